//! Paths and maps as the kernel has them at one moment.

use dm_multipath::map::{Map, ResolveError};
use dm_multipath::scsi::{self, ScsiDevice, ScsiError};
use dm_multipath::sys::{DmControl, DmName};
use dm_multipath::table::MultipathTable;
use dm_multipath::udev::UdevView;
use dm_multipath::{DeviceNumber, Roots};

/// A SCSI disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// What sysfs says.
    pub scsi: ScsiDevice,
    /// Its size in sectors of 512 bytes.
    pub size: u64,
    /// The hardware handler that the SCSI layer has attached.
    pub handler: Option<String>,
    /// What the array calls the node behind the path's target port.
    pub node: String,
    /// What udev knows of it.
    pub udev: UdevView,
}

/// A multipath map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMap {
    /// Its state.
    pub map: Map,
    /// Its table.
    pub table: MultipathTable,
    /// How many events it has had.
    pub event_nr: u32,
    /// Whether nobody may write to it.
    pub read_only: bool,
}

impl FoundPath {
    /// Reads a path from sysfs.
    ///
    /// # Errors
    /// There is no such disk.
    pub fn read(roots: &Roots, device: DeviceNumber) -> Result<Self, ScsiError> {
        let scsi = ScsiDevice::read(roots, device)?;
        Ok(Self {
            node: scsi::read_target_node(roots, &scsi),
            udev: UdevView::read(device),
            scsi,
            size: scsi::read_size(roots, device)?,
            handler: scsi::read_handler(roots, device),
        })
    }
}

impl FoundMap {
    /// Reads a map from device-mapper.
    ///
    /// # Errors
    /// There is no such map, or it is none of target type multipath.
    pub fn read(roots: &Roots, dm: &DmControl, device: DeviceNumber) -> Result<Self, ResolveError> {
        let name = DmName::Device(device);
        // First: an event between the two is seen again.
        let info = dm.info(name)?;
        let map = Map::resolve(roots, dm, &device.to_string())?;
        let targets = dm.table(name)?.targets;
        let line = targets.first().map_or("", |target| target.params.as_str());
        let table = line.parse().map_err(|source| ResolveError::Status {
            device,
            name: map.name.clone(),
            source,
        })?;
        Ok(Self {
            map,
            table,
            event_nr: info.event_nr,
            read_only: info.is_read_only(),
        })
    }

    /// The WWID in its uuid; `None` if multipath-tools' form was not used for it.
    #[must_use]
    pub fn wwid(&self) -> Option<&str> {
        self.map.wwid()
    }
}
