//! A path as the daemon knows it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::scsi::ScsiDevice;
use dm_multipath::table;
use dm_multipath::udev::UdevView;

use super::Settling;

/// A SCSI block device.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// What sysfs says of it; not copied with each change of the rest.
    pub scsi: Arc<ScsiDevice>,
    /// What udev knows of it.
    pub udev: Arc<UdevView>,
    /// Its size in sectors of 512 bytes.
    pub size: u64,
    /// The map that it is in, or why it is in none.
    pub usage: PathUse,
    /// What the last check said.
    pub check: CheckState,
    /// What the checker has to say for people; often empty.
    pub message: String,
    /// The kernel's state of it in its map; `None` while it is in no table.
    pub dm_state: Option<table::PathState>,
    /// How often it has failed in the kernel since the table was loaded.
    pub fail_count: u32,
    /// Its priority: more is better.
    pub priority: i32,
    /// When it is checked.
    pub schedule: Schedule,
    /// When the last check ended.
    pub checked_at: Option<Instant>,
    /// Whether its registration has been settled.
    pub settling: Settling,
}

/// What a path is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathUse {
    /// It belongs to the map with this WWID, in its table or about to be.
    Map(String),
    /// It belongs to none, because of this: `blacklisted by wwid`, `single path`, …
    None(String),
}

/// What a check says of a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckState {
    /// Not checked yet.
    #[default]
    Unchecked,
    /// It takes I/O.
    Up,
    /// Standby: it takes I/O once the array is told to.
    Ghost,
    /// The array is changing over.
    Transition,
    /// It does not.
    Down,
    /// The check did not end in time.
    Timeout,
    /// It cannot be checked.
    Wild,
}

/// When a path is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two checks.
    pub interval: Duration,
    /// When the next check is due.
    pub due: Instant,
}

impl Path {
    /// A path that was just found.
    #[must_use]
    pub fn new(scsi: ScsiDevice, size: u64, now: Instant) -> Self {
        Self {
            scsi: Arc::new(scsi),
            udev: Arc::default(),
            size,
            usage: PathUse::None(NOT_LOOKED_AT.to_owned()),
            check: CheckState::Unchecked,
            message: String::new(),
            dm_state: None,
            fail_count: 0,
            priority: 0,
            schedule: Schedule {
                interval: Duration::ZERO,
                due: now,
            },
            checked_at: None,
            settling: Settling::Pending,
        }
    }

    /// The WWID of the map that it belongs to.
    #[must_use]
    pub fn map(&self) -> Option<&str> {
        match &self.usage {
            PathUse::Map(wwid) => Some(wwid),
            PathUse::None(_) => None,
        }
    }
}

/// Why a path that was just found is in no map.
pub(crate) const NOT_LOOKED_AT: &str = "not looked at yet";

impl CheckState {
    /// Whether the path may be in use in this state.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Ghost)
    }

    /// Whether the path must not be used in this state.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Down | Self::Timeout | Self::Wild)
    }
}

/// As `show paths` says it (`%T`).
impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchecked => "undef",
            Self::Up => "ready",
            Self::Ghost => "ghost",
            Self::Transition => "i/o pending",
            Self::Down => "faulty",
            Self::Timeout => "i/o timeout",
            Self::Wild => "undef",
        })
    }
}
