//! What the daemon stands on: device-mapper and sysfs, or a node of a sandbox in their place.
//!
//! The seam is here, in the hands of `mpathpersist` (`Custody`) and in what tells of changes
//! ([`crate::sources`]); engine, loop and server know nothing of it.

use std::collections::BTreeMap;

use dm_multipath::DeviceNumber;
use dm_multipath::map::Map;
use dm_multipath::scsi;
use dm_multipath::sys::dm::{SuspendFlags, UdevCookie};
use dm_multipath::sys::{DmControl, DmError};
use dm_multipath::table::MultipathTable;
use dm_multipath::udev::UdevView;
use mpathpersist::Host;
use mpathpersist::sandbox::{Node, SandboxError};

use super::{FoundMap, FoundPath};
use crate::event::{MapLook, MapsRead};

/// What is below the maps of a host.
#[derive(Debug)]
pub(crate) enum Ground<'a> {
    Kernel { host: &'a Host, dm: DmControl },
    Sandbox(&'a Node),
}

/// Something cannot be done there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroundError {
    #[error(transparent)]
    Dm(#[from] DmError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("the maps of a sandbox are there as they are: it cannot {what}")]
    Fixed { what: String },
}

impl<'a> Ground<'a> {
    pub(crate) fn open(host: &'a Host) -> Result<Self, DmError> {
        Ok(match &host.sandbox {
            Some(node) => Self::Sandbox(node),
            None => Self::Kernel {
                host,
                dm: DmControl::open_in(&host.roots)?,
            },
        })
    }

    /// Device-mapper itself, for what only it can do.
    pub(crate) fn dm(&self, what: &str) -> Result<&DmControl, GroundError> {
        match self {
            Self::Kernel { dm, .. } => Ok(dm),
            Self::Sandbox(_) => Err(GroundError::Fixed {
                what: what.to_owned(),
            }),
        }
    }

    /// Tells a map's target something.
    pub(crate) fn message(&self, map: DeviceNumber, text: &str) -> Result<(), GroundError> {
        match self {
            Self::Kernel { dm, .. } => Ok(dm.message(map.into(), 0, text).map(drop)?),
            Self::Sandbox(node) => simulate(node, text),
        }
    }

    pub(crate) fn suspend(&self, map: DeviceNumber) -> Result<(), GroundError> {
        let flags = SuspendFlags::NO_FLUSH | SuspendFlags::SKIP_LOCKFS;
        Ok(self.dm("be suspended")?.suspend(map.into(), flags)?)
    }

    pub(crate) fn resume(&self, map: DeviceNumber) -> Result<(), GroundError> {
        let (flags, cookie) = (SuspendFlags::SKIP_LOCKFS, UdevCookie::NONE);
        Ok(self.dm("be resumed")?.resume(map.into(), flags, cookie)?)
    }

    /// A map as it is now.
    pub(crate) fn map(&self, device: DeviceNumber) -> Option<FoundMap> {
        match self {
            Self::Kernel { host, dm } => FoundMap::read(&host.roots, dm, device).ok(),
            Self::Sandbox(node) => {
                let maps = node.maps().ok()?.into_iter();
                found(maps.into_iter().find(|map| map.device == device)?)
            }
        }
    }

    /// Names and WWIDs of all multipath maps.
    pub(crate) fn names(&self) -> Result<Vec<(String, String)>, GroundError> {
        let named = |name: String, uuid: Option<String>| {
            let wwid = uuid?.strip_prefix(UUID_PREFIX)?.to_owned();
            Some((name, wwid))
        };
        Ok(match self {
            Self::Kernel { dm, .. } => {
                let listed = dm.list()?.into_iter();
                listed.filter_map(|map| named(map.name, map.uuid)).collect()
            }
            Self::Sandbox(node) => {
                let maps = node.maps()?.into_iter();
                maps.filter_map(|map| named(map.name, Some(map.uuid)))
                    .collect()
            }
        })
    }
}

/// A disk as it is now; `None` if there is none.
pub(crate) fn read_path(host: &Host, device: DeviceNumber) -> Option<FoundPath> {
    match &host.sandbox {
        None => FoundPath::read(&host.roots, device).ok(),
        Some(_) => {
            let mut disks = read_paths(host).into_iter();
            disks.find(|disk| disk.scsi.device == device)
        }
    }
}

/// All disks.
pub(crate) fn read_paths(host: &Host) -> Vec<FoundPath> {
    let Some(node) = &host.sandbox else {
        let devices = or_nothing("look for disks", scsi::scan(&host.roots));
        let read = |device: &DeviceNumber| FoundPath::read(&host.roots, *device).ok();
        return devices.iter().filter_map(read).collect();
    };
    let disks = or_nothing("look for disks", node.disks()).into_iter();
    let path = disks.map(|disk| FoundPath {
        node: disk.scsi.hctl.to_string(),
        udev: UdevView::Absent,
        scsi: disk.scsi,
        size: disk.size,
        handler: None,
    });
    path.collect()
}

/// All maps; those that have had as many events as `known` says are only named.
pub(crate) fn read_maps(host: &Host, known: &BTreeMap<DeviceNumber, u32>) -> MapsRead {
    match Ground::open(host) {
        Ok(Ground::Kernel { dm, .. }) => super::reader::read_kernel_maps(host, &dm, known),
        // It counts no events: each map is looked at.
        Ok(Ground::Sandbox(node)) => {
            let maps = or_nothing("look for maps", node.maps());
            MapsRead {
                all: maps.iter().map(|map| map.device).collect(),
                changed: maps.into_iter().filter_map(found).collect(),
            }
        }
        Err(error) => {
            tracing::error!("{error}");
            MapsRead::default()
        }
    }
}

/// A map as it is now.
pub(crate) fn read_map(host: &Host, device: DeviceNumber) -> MapLook {
    match Ground::open(host) {
        Ok(Ground::Kernel { dm, .. }) => super::reader::read_kernel_map(host, &dm, device),
        // It has no uevents of maps.
        Ok(Ground::Sandbox(_)) => MapLook::Failed,
        Err(error) => {
            tracing::error!("{error}");
            MapLook::Failed
        }
    }
}

fn or_nothing<T: Default, E: std::fmt::Display>(what: &str, read: Result<T, E>) -> T {
    read.unwrap_or_else(|error| {
        tracing::error!("cannot {what}: {error}");
        T::default()
    })
}

/// The table that such a map would have: all paths in one group.
fn found(map: Map) -> Option<FoundMap> {
    let paths: Vec<String> = map
        .paths
        .iter()
        .map(|path| format!(" {} 1", path.device))
        .collect();
    let line = format!("0 0 1 1 service-time 0 {} 1{}", paths.len(), paths.concat());
    let table: MultipathTable = line.parse().ok()?;
    Some(FoundMap {
        map,
        table,
        event_nr: 0,
        read_only: false,
    })
}

/// The messages that mean something to a map without I/O.
fn simulate(node: &Node, text: &str) -> Result<(), GroundError> {
    let path = |words: &str| words.trim().parse::<DeviceNumber>().ok();
    let fixed = || GroundError::Fixed {
        what: format!("take '{text}'"),
    };
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "fail_path" => Ok(node.fail_in_map(path(rest).ok_or_else(fixed)?)?),
        "reinstate_path" => Ok(node.reinstate_in_map(path(rest).ok_or_else(fixed)?)?),
        "queue_if_no_path" | "fail_if_no_path" => Ok(()),
        _ => Err(fixed()),
    }
}

/// What multipath-tools puts before the WWID in a map's uuid.
pub(crate) const UUID_PREFIX: &str = "mpath-";
