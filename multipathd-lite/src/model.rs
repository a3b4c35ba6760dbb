//! What the daemon knows: everything that is shown, and nothing that has to be asked for first.
//!
//! A snapshot is an `Arc` of the whole: taking one costs nothing, and it never changes. Maps and
//! paths are shared between snapshots, and copied when they change.

mod map;
mod path;
mod pr;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub use map::{Group, Map, Queueing};
pub(crate) use path::NOT_LOOKED_AT;
pub use path::{CheckState, Path, PathUse, Schedule};
pub use pr::{PrState, Settling};

use dm_multipath::DeviceNumber;

/// Everything at one moment.
#[derive(Debug, Clone)]
pub struct Model {
    /// Maps by WWID.
    pub maps: BTreeMap<String, Arc<Map>>,
    /// Paths by device number, also those that are in no map.
    pub paths: BTreeMap<DeviceNumber, Arc<Path>>,
    /// What happened since the start.
    pub counters: Counters,
    /// What the daemon does.
    pub activity: Activity,
    /// When it was started.
    pub started: Instant,
    /// The configuration in force, as text for `show config`.
    pub config: Arc<str>,
}

/// What the daemon does, as `show daemon` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It looks at the host for the first time, or again.
    Configuring,
    /// It settles or assembles maps.
    Running,
    /// It waits for something to happen.
    Idle,
    /// It is about to end.
    ShuttingDown,
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Uevents of block devices.
    pub uevents: u64,
    /// Paths checked.
    pub checks: u64,
    /// Checks that did not end in time.
    pub checks_late: u64,
    /// Paths that failed.
    pub paths_failed: u64,
    /// Paths reinstated.
    pub paths_reinstated: u64,
    /// Paths that were registered by the daemon when they returned.
    pub registrations_repaired: u64,
    /// Times this node was found to be shut out.
    pub preemptions_seen: u64,
    /// Checks that have not ended in time and are still under way.
    pub checks_stuck: u64,
    /// Commands that were killed, and completed or ended by the daemon.
    pub journals_recovered: u64,
    /// Commands of the configuration that were run.
    pub hooks_run: u64,
    /// Those of them that failed.
    pub hooks_failed: u64,
    /// Those that were not run, since too many were waiting.
    pub hooks_dropped: u64,
    /// Times the kernel lost uevents, or the daemon was too slow for them.
    pub uevents_lost: u64,
}

impl Model {
    /// Nothing known yet.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        Self {
            maps: BTreeMap::new(),
            paths: BTreeMap::new(),
            counters: Counters::default(),
            activity: Activity::Configuring,
            started,
            config: Arc::from(""),
        }
    }

    /// The map that a client means: by name, WWID, or `dm-N`.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&Arc<Map>> {
        let by_name = || self.maps.values().find(|map| map.name == name);
        let by_node = || {
            let is_it = |map: &&Arc<Map>| map.node().is_some_and(|node| node == name);
            self.maps.values().find(is_it)
        };
        by_name().or_else(|| self.maps.get(name)).or_else(by_node)
    }

    /// The path that a client means: `sda`, `8:0`, or `/dev/sda`.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&Arc<Path>> {
        if let Ok(device) = name.parse() {
            return self.paths.get(&device);
        }
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        self.paths.values().find(|path| path.scsi.name == name)
    }

    /// The paths of a map, group by group as in its table.
    pub fn paths_of<'a>(&'a self, map: &'a Map) -> impl Iterator<Item = &'a Arc<Path>> {
        let devices = map.groups.iter().flat_map(|group| &group.paths);
        devices.filter_map(|device| self.paths.get(device))
    }

    /// A map, to be changed.
    pub fn map_mut(&mut self, wwid: &str) -> Option<&mut Map> {
        self.maps.get_mut(wwid).map(Arc::make_mut)
    }

    /// A path, to be changed.
    pub fn path_mut(&mut self, device: DeviceNumber) -> Option<&mut Path> {
        self.paths.get_mut(&device).map(Arc::make_mut)
    }
}

/// As `show daemon` says it.
impl std::fmt::Display for Activity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Configuring => "configure",
            Self::Running => "running",
            Self::Idle => "idle",
            Self::ShuttingDown => "shutdown",
        })
    }
}
