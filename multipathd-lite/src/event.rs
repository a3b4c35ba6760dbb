//! Everything that can happen to the daemon: one closed set.

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::AccessState;
use dm_multipath::uevent::Uevent;
use mpath_state::StoredKey;
use mpath_state::protocol::Reply;
use mpath_state::record::MapRecord;
use scsi_pr::UnitAttention;

use crate::ask::{Ask, ReplyTo};
use crate::model::CheckState;
use crate::rules::Rules;
use crate::tasks::{Deed, FoundMap, FoundPath, HookOutcome, WorkReport};

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// A client wants a change.
    Asked(Ask),
    /// The kernel told of a device.
    Uevent(Uevent),
    /// The kernel told of more devices than could be heard.
    UeventsLost,
    /// Something happened to one or more of device-mapper's devices.
    DmChanged,
    /// Somebody who had a map's lock let it go.
    LockReleased {
        /// Whose lock: the map's WWID as a file name.
        stem: String,
    },
    /// The configuration was read.
    RulesRead(Box<Rules>),
    /// The whole host was looked at.
    Scanned(Box<Scanned>),
    /// A path was looked at; it is gone if there is none.
    PathRead {
        /// Its number.
        device: DeviceNumber,
        /// What was found.
        found: Option<Box<FoundPath>>,
    },
    /// The maps were looked at.
    MapsRead(Box<MapsRead>),
    /// A map was looked at.
    MapRead {
        /// Its number.
        device: DeviceNumber,
        /// What was found.
        look: MapLook,
    },
    /// What is remembered of a map was read.
    BooksRead(Box<BooksRead>),
    /// A check of a path ended, or did not end in time.
    Checked(Checked),
    /// Work on a map ended.
    WorkDone(Box<WorkReport>),
    /// An errand for a client ended.
    ErrandDone {
        /// The map it was about.
        wwid: Option<String>,
        /// What was done.
        deed: Deed,
        /// The answer.
        reply: Reply,
        /// Where the answer goes.
        reply_to: Option<ReplyTo>,
    },
    /// A command of the configuration has ended.
    HookDone(HookOutcome),
    /// The configuration is to be read again, and everything to be looked at.
    Reconfigure,
    /// The daemon is to end.
    Shutdown,
}

/// Everything on the host.
#[derive(Debug, Default)]
pub struct Scanned {
    /// All SCSI disks.
    pub paths: Vec<FoundPath>,
    /// All multipath maps.
    pub maps: MapsRead,
    /// What is remembered of them.
    pub books: Vec<BooksRead>,
}

/// The maps of the kernel.
#[derive(Debug, Default)]
pub struct MapsRead {
    /// The numbers of all of them.
    pub all: Vec<DeviceNumber>,
    /// Those that had an event since they were known, or were not known.
    pub changed: Vec<FoundMap>,
}

/// What has become of a map.
#[derive(Debug)]
pub enum MapLook {
    /// It is there.
    Found(Box<FoundMap>),
    /// There is no multipath map of this number.
    Gone,
    /// The kernel could not be asked.
    Failed,
}

/// What is remembered of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct BooksRead {
    /// The map.
    pub wwid: String,
    /// Its record.
    pub record: Option<MapRecord>,
    /// Its configured or stored key.
    pub configured: Option<StoredKey>,
    /// Whether a killed process left something behind.
    pub has_leftover: bool,
}

/// The end of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The path.
    pub device: DeviceNumber,
    /// What it is good for.
    pub state: CheckState,
    /// For people; empty if there is nothing to say.
    pub message: String,
    /// What the device told on the occasion.
    pub attention: Option<UnitAttention>,
    /// How the array likes the path, and whether it prefers it, as sysfs says.
    pub access: (Option<AccessState>, Option<bool>),
    /// How many registrations there are with the key that was asked for.
    pub registrations: Option<usize>,
    /// Whether the command is still under way.
    pub is_pending: bool,
}
