//! What the loop has others do: whatever may wait for a device, a lock or the kernel.
//!
//! | task | who does it |
//! |---|---|
//! | [`Task::Check`] | a few processes that stay, watched by the loop; in a sandbox a thread |
//! | [`Task::Read`] | one thread, in order: sysfs, device-mapper's lists, records |
//! | [`Task::Hook`] | a few threads, each with a process of its own |
//! | [`Task::Work`], [`Task::Errand`] | a bounded pool of threads; one work per map at a time |

pub mod check;
mod errand;
mod found;
pub(crate) mod ground;
pub(crate) mod hook;
mod pool;
mod reader;
mod sandbox_check;
pub mod table;
mod told;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::PortTimeouts;
use mpath_state::StoredKey;
use mpathpersist::{Holder, Host, Settled};
use scsi_pr::ReservationKey;

pub use found::{FoundMap, FoundPath};
pub use hook::{HookOrder, HookOutcome, Incident};
pub use pool::Pool;
pub use told::{Told, Turn};

use crate::ask::ReplyTo;
use crate::event::BooksRead;
use crate::rules::{Files, MapRules, Naming, Rules};

/// Something to be done, apart from the loop.
#[derive(Debug)]
pub enum Task {
    /// Check a path.
    Check(CheckOrder),
    /// Read something.
    Read(ReadOrder),
    /// Work on a map, under its lock.
    Work(Box<WorkOrder>),
    /// Do a small thing, under no lock of ours.
    Errand(Errand),
    /// Run a command of the configuration.
    Hook(Box<HookOrder>),
    /// A path is gone: nobody waits for its check any more.
    Forget(DeviceNumber),
    /// Make the next event of device-mapper heard.
    ArmDm,
}

/// A path to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOrder {
    /// The path.
    pub device: DeviceNumber,
    /// Its name.
    pub name: String,
    /// How long it may take.
    pub timeout: Duration,
    /// What it is asked.
    pub question: Question,
}

/// What a path is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it takes I/O.
    Ready,
    /// How many registrations there are with this key. Not every unit attention reaches a
    /// checker: I/O may get it first, and some targets give none.
    Registrations(ReservationKey),
}

/// Something to be read.
#[derive(Debug)]
pub enum ReadOrder {
    /// The configuration.
    Rules,
    /// Everything.
    Host(Arc<Rules>),
    /// One path.
    Path(DeviceNumber),
    /// One map.
    Map(DeviceNumber),
    /// The maps that have had more events than these.
    Maps(BTreeMap<DeviceNumber, u32>),
    /// What is remembered of a map; its first path tells which configuration it has.
    Books {
        /// The map.
        wwid: String,
        /// What it is called.
        key: KeySource,
    },
}

/// How a map's configured key is found.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// The configuration.
    pub rules: Arc<Rules>,
    /// Vendor and product of the map.
    pub vendor_product: (String, String),
}

/// What is done about a command that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recover {
    /// There is none.
    Nothing,
    /// It is finished before anything else; if it cannot be, nothing else is done. What it left
    /// half done tells of no path what it should have.
    First,
    /// It has been tried often enough: the paths must not wait for ever.
    IfPossible,
}

/// Work on a map, in the order of its fields.
#[derive(Debug, Clone)]
pub struct WorkOrder {
    /// The map.
    pub wwid: String,
    /// The kernel's name of it; its WWID while it has none.
    pub name: String,
    /// Its number, if the kernel has it.
    pub device: Option<DeviceNumber>,
    /// Where its key comes from.
    pub key: KeySource,
    /// What a killed process left behind is to be finished.
    pub recover: Recover,
    /// The paths whose registration is to be settled.
    pub settle: Vec<DeviceNumber>,
    /// Whether the reservation is to be read.
    pub look_for_holder: bool,
    /// The table that it is to have, if it is to have another.
    pub assemble: Option<Assembly>,
    /// Where its name comes from, if it may have to have another.
    pub rename: Option<Naming>,
    /// The paths that are to be put to use again once they are settled.
    pub reinstate: Vec<DeviceNumber>,
    /// Whether it is to go.
    pub remove: Option<Removal>,
}

/// Why a map is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// A client wants it.
    Asked,
    /// Its last path is gone.
    NoPaths,
    /// It was made here before the daemon started, and none of its paths is there any more.
    Leftover,
}

/// A table to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// The map's size in sectors of 512 bytes.
    pub size: u64,
    /// How it is to be made.
    pub rules: MapRules,
    /// The hardware handler that the paths have.
    pub handler: Option<String>,
    /// When it is to be loaded.
    pub effort: Effort,
    /// The paths of the group that is to stay in use; none: the best group.
    pub used: BTreeSet<DeviceNumber>,
    /// The paths it is made of.
    pub paths: Vec<Member>,
}

impl Assembly {
    /// Where its name comes from.
    #[must_use]
    pub fn naming(&self) -> &Naming {
        &self.rules.naming
    }
}

/// When a table is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// If it differs from the one that the map has.
    IfDifferent,
    /// In any case.
    Always,
}

/// A path for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub device: DeviceNumber,
    /// More is better.
    pub priority: i32,
    /// The target port group of its port.
    pub port_group: Option<u16>,
    /// The node behind its target port.
    pub node: String,
    /// Whether it works.
    pub health: Health,
    /// Whether its registration is settled already.
    pub is_settled: bool,
}

/// Whether a path works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does, as far as is known.
    Works,
    /// It does not.
    Failed,
}

/// What came of work on a map.
#[derive(Debug, Default)]
pub struct WorkReport {
    /// The map.
    pub wwid: String,
    /// What became of the paths that were to be settled; those that are missing were not reached.
    pub settled: Vec<(DeviceNumber, Settled)>,
    /// The paths that were put to use again.
    pub reinstated: Vec<DeviceNumber>,
    /// Whether its table was made or changed.
    pub is_loaded: bool,
    /// The name that it has on file, if it was given one.
    pub named: Option<String>,
    /// Whether it was removed.
    pub is_removed: bool,
    /// Whether it was recovered, if it was to be.
    pub is_recovered: bool,
    /// Whether there was something to recover.
    pub has_completed: bool,
    /// Who holds the reservation, if that was read.
    pub holder: Option<Holder>,
    /// The map as the kernel has it now.
    pub found: Option<FoundMap>,
    /// What is remembered of it now.
    pub books: Option<BooksRead>,
    /// What went wrong, for people.
    pub problems: Vec<String>,
}

/// A small thing to be done.
#[derive(Debug)]
pub struct Errand {
    /// The map it is about.
    pub wwid: Option<String>,
    /// What.
    pub deed: Deed,
    /// Who waits for it.
    pub reply_to: Option<ReplyTo>,
}

/// What an errand does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Tells a map's target something, such as `fail_path 8:16`.
    Message {
        /// The map.
        map: DeviceNumber,
        /// What.
        text: String,
    },
    /// Sets how long I/O of a path waits for its port.
    Limit {
        /// The path.
        path: DeviceNumber,
        /// How long.
        timeouts: PortTimeouts,
    },
    /// Suspends the map.
    Suspend(DeviceNumber),
    /// Resumes the map.
    Resume(DeviceNumber),
    /// Stores a key for the map, or removes it.
    StoreKey(Option<StoredKey>),
    /// Enters into the record what a client said of this node's registration, under the lock.
    Remember {
        /// The map's name.
        name: String,
        /// What.
        fact: Fact,
    },
}

/// What a client said of this node's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// It is registered with this key, as far as is known.
    Registered(Option<StoredKey>),
    /// It is not registered.
    NotRegistered,
    /// It holds the reservation.
    Holds,
    /// It does not hold it.
    HoldsNot,
}

/// What all tasks are done with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Where things are.
    pub host: Arc<Host>,
    /// Names and WWIDs.
    pub files: Arc<Files>,
    /// What clients have told last, for the errands that enter it.
    pub told: Arc<Told>,
}
