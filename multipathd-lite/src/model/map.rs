//! A map as the daemon knows it.

use dm_multipath::DeviceNumber;
use dm_multipath::table::{GroupState, Selector};

use super::PrState;
use crate::rules::Failback;

/// A multipath map, whether the kernel has it already or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The WWID of its logical unit.
    pub wwid: String,
    /// Its name, as in `/dev/mapper/NAME`.
    pub name: String,
    /// Its number; `None` while the kernel does not have it.
    pub device: Option<DeviceNumber>,
    /// Its size in sectors of 512 bytes.
    pub size: u64,
    /// Its groups as in the kernel's table; the paths in the table's order.
    pub groups: Vec<Group>,
    /// The features of its table, as words.
    pub features: Vec<String>,
    /// The hardware handler of its table, as words.
    pub hw_handler: Vec<String>,
    /// What happens to I/O while no path works.
    pub queueing: Queueing,
    /// Whether it does not queue, although it is configured to: no path worked for too long, or a
    /// client wanted it.
    pub is_queueing_stopped: bool,
    /// When it goes back to its best group.
    pub failback: Failback,
    /// Whether its I/O is stopped.
    pub suspended: bool,
    /// Whether the kernel lets nobody write to it.
    pub read_only: bool,
    /// The kernel's count of its events.
    pub event_nr: u32,
    /// How often paths of it have failed since the daemon knows it.
    pub path_faults: u32,
    /// How often its table was loaded by the daemon.
    pub table_loads: u32,
    /// What is known of this node's registration.
    pub pr: PrState,
}

/// A group of paths that are used together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The kernel's state of it.
    pub state: GroupState,
    /// What chooses among its paths.
    pub selector: Selector,
    /// Its priority: the mean of its paths'.
    pub priority: i32,
    /// Its paths.
    pub paths: Vec<DeviceNumber>,
}

/// What happens to I/O while no path works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queueing {
    /// It fails at once.
    Off,
    /// It waits until a path returns.
    On,
    /// It waits for so many seconds since the last path failed, then fails.
    Seconds(u32),
}

impl Map {
    /// A map that the kernel does not have yet.
    #[must_use]
    pub fn new(wwid: &str, name: &str) -> Self {
        Self {
            wwid: wwid.to_owned(),
            name: name.to_owned(),
            device: None,
            size: 0,
            groups: Vec::new(),
            features: Vec::new(),
            hw_handler: Vec::new(),
            queueing: Queueing::Off,
            is_queueing_stopped: false,
            failback: Failback::Manual,
            suspended: false,
            read_only: false,
            event_nr: 0,
            path_faults: 0,
            table_loads: 0,
            pr: PrState::default(),
        }
    }

    /// The kernel's name of it, `dm-3`.
    #[must_use]
    pub fn node(&self) -> Option<String> {
        Some(format!("dm-{}", self.device?.minor))
    }

    /// The paths of its table.
    pub fn paths(&self) -> impl Iterator<Item = DeviceNumber> + '_ {
        self.groups
            .iter()
            .flat_map(|group| group.paths.iter().copied())
    }
}
