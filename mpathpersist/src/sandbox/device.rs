//! From the name of a device to its map and paths, as device-mapper and sysfs would show them.

use dm_multipath::DeviceNumber;
use dm_multipath::map::{Map, MapPath};
use dm_multipath::scsi::{Hctl, PortIdentity, ScsiDevice, ScsiState, Transport};
use dm_multipath::table::{
    GroupState, MultipathStatus, PathState as MapPathState, StatusGroup, StatusPath,
};

use super::san::{Condition, InMap, Lun, San, SanNode, SanPath};
use super::{Node, SandboxError};
use crate::carrier::Listed;
use crate::kernel::KernelPath;
use crate::map::OpenMap;
use crate::run::Failure;

impl Node {
    /// Finds the map that `name` means, and its paths.
    pub(crate) fn resolve(&self, name: &str) -> Result<OpenMap, Failure> {
        let failure = |error: SandboxError| Failure::Other {
            device: name.to_owned(),
            reason: error.to_string(),
        };
        let san = self.folder().read().map_err(failure)?;
        let node = self.find(&san).map_err(failure)?;
        let found = san.luns.iter().enumerate();
        let mut found = found.filter(|(at, lun)| is_meant(name, *at, lun));
        match found.next() {
            Some((at, lun)) => Ok(open_map(node, at, lun)),
            None => Err(self.not_a_map(name, node, &san)),
        }
    }

    /// Every map of the node.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Failure> {
        let failure = |error: SandboxError| Failure::Other {
            device: self.name().to_owned(),
            reason: error.to_string(),
        };
        let san = self.folder().read().map_err(failure)?;
        let listed = |lun: &Lun| Listed {
            spec: lun.map.clone(),
            name: lun.map.clone(),
        };
        Ok(san.luns.iter().map(listed).collect())
    }

    fn not_a_map(&self, name: &str, node: &SanNode, san: &San) -> Failure {
        let device = name.to_owned();
        if node
            .path(name.strip_prefix("/dev/").unwrap_or(name))
            .is_some()
        {
            return Failure::NotMultipath {
                device,
                reason: "not a device-mapper device".to_owned(),
            };
        }
        let maps: Vec<&str> = san.luns.iter().map(|lun| lun.map.as_str()).collect();
        let (dir, maps) = (self.folder().dir().display(), maps.join(", "));
        Failure::NotFound {
            device,
            reason: format!("the sandbox {dir} has {maps}"),
            nearest: None,
        }
    }
}

/// `/dev/mapper/NAME`, `/dev/dm-N`, `dm-N`, the bare name, the WWID, the uuid, or `253:N`.
fn is_meant(name: &str, at: usize, lun: &Lun) -> bool {
    let Lun { map, wwid, .. } = lun;
    let node = name.strip_prefix("/dev/").unwrap_or(name);
    [
        map.clone(),
        wwid.clone(),
        format!("mpath-{wwid}"),
        map_number(at).to_string(),
    ]
    .iter()
    .any(|meant| meant == name)
        || node == format!("mapper/{map}")
        || node == format!("dm-{at}")
}

pub(super) fn open_map(node: &SanNode, at: usize, lun: &Lun) -> OpenMap {
    let paths = node.paths.iter().enumerate();
    let is_listed = |path: &SanPath| path.lun == at && path.condition != Condition::Gone;
    let paths: Vec<(DeviceNumber, &SanPath)> = paths
        .filter(|(_, path)| is_listed(path))
        .map(|(at, path)| (disk_number(at), path))
        .collect();
    let map = Map {
        device: map_number(at),
        name: lun.map.clone(),
        uuid: format!("mpath-{}", lun.wwid),
        size: SECTORS,
        suspended: false,
        status: status(&paths),
        paths: paths.iter().map(map_path).collect(),
    };
    let states = paths.iter().map(|(_, path)| Node::path_state(path));
    let devices = paths.iter().map(|path| Some(scsi_device(path, at, lun)));
    OpenMap::new(
        map,
        paths.iter().map(kernel_path).collect(),
        states.collect(),
        devices.collect(),
    )
}

fn status(paths: &[(DeviceNumber, &SanPath)]) -> MultipathStatus {
    let path = |(device, path): &(DeviceNumber, &SanPath)| StatusPath {
        device: *device,
        state: map_state(path),
        fail_count: 0,
        args: Vec::new(),
    };
    MultipathStatus {
        features: vec!["0".to_owned(), "0".to_owned()],
        hw_handler: Vec::new(),
        next_group: 1,
        groups: vec![StatusGroup {
            state: GroupState::Active,
            selector: Vec::new(),
            paths: paths.iter().map(path).collect(),
        }],
    }
}

fn map_path((device, path): &(DeviceNumber, &SanPath)) -> MapPath {
    MapPath {
        device: *device,
        group: 1,
        dm_state: map_state(path),
        fail_count: 0,
    }
}

fn map_state(path: &SanPath) -> MapPathState {
    match path.in_map {
        InMap::Active => MapPathState::Active,
        InMap::Failed => MapPathState::Failed,
    }
}

fn kernel_path((device, path): &(DeviceNumber, &SanPath)) -> KernelPath {
    KernelPath {
        device: *device,
        name: path.device.clone(),
        node: format!("/dev/{}", path.device).into(),
    }
}

pub(super) fn scsi_device(
    (device, path): &(DeviceNumber, &SanPath),
    at: usize,
    lun: &Lun,
) -> ScsiDevice {
    let port = |wwpn| Some(PortIdentity::FibreChannel { wwpn });
    ScsiDevice {
        device: *device,
        name: path.device.clone(),
        hctl: Hctl {
            host: u32::try_from(path.initiator_port & 0xff).unwrap_or_default(),
            channel: 0,
            target: u32::from(path.relative_target_port),
            lun: at as u64,
        },
        vendor: "MPATHPR".to_owned(),
        model: "SANDBOX".to_owned(),
        rev: "1".to_owned(),
        wwid: Some(lun.wwid.clone()),
        state: if path.is_known_dead() {
            ScsiState::OFFLINE
        } else {
            ScsiState::RUNNING
        },
        access_state: None,
        preferred: None,
        transport: Transport::FibreChannel,
        initiator_port: port(path.initiator_port),
        target_port: port(path.target_port),
        relative_target_port: Some(path.relative_target_port),
        target_port_group: None,
    }
}

pub(super) fn map_number(at: usize) -> DeviceNumber {
    DeviceNumber::new(MAP_MAJOR, u32::try_from(at).unwrap_or(u32::MAX))
}

/// 16 disks to a major number, 16 minor numbers to a disk (`drivers/scsi/sd.c`); disks that the
/// kernel would number otherwise get the first major number all the same.
pub(super) fn disk_number(at: usize) -> DeviceNumber {
    let minor = u32::try_from(at).unwrap_or(u32::MAX).saturating_mul(16);
    DeviceNumber::new(DISK_MAJOR, minor)
}

const DISK_MAJOR: u32 = 8;
/// What device-mapper gets on most hosts.
const MAP_MAJOR: u32 = 253;
/// 1 GiB; nothing is stored there.
pub(super) const SECTORS: u64 = 2 << 20;
