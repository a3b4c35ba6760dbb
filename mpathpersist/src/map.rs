//! One map as a request finds it: its paths, what they are good for, and which nexuses they are.

use dm_multipath::map::{Map, ResolveError};
use dm_multipath::scsi::{self, PortIdentity, ScsiDevice, ScsiState};
use dm_multipath::sys::DmControl;
use dm_multipath::table::{MultipathStatus, PathState as MapPathState};
use dm_multipath::{DeviceNumber, Roots};
use mpath_state::config::MapIdentity;
use mpath_state::record::Nexus;
use pr_policy::{Path, PathId, PathState, Snapshot};
use scsi_pr::{IscsiTransportId, TransportId};

use crate::kernel::KernelPath;
use crate::run::Failure;

/// A resolved map and its paths.
#[derive(Debug, Clone)]
pub(crate) struct OpenMap {
    map: Map,
    paths: Vec<KernelPath>,
    states: Vec<PathState>,
    devices: Vec<Option<ScsiDevice>>,
}

impl OpenMap {
    /// A map and its paths, in the map's order, as a simulation has them.
    pub(crate) fn new(
        map: Map,
        paths: Vec<KernelPath>,
        states: Vec<PathState>,
        devices: Vec<Option<ScsiDevice>>,
    ) -> Self {
        Self {
            map,
            paths,
            states,
            devices,
        }
    }

    /// Finds the map that `name` means, and its paths; no other map or path is looked at.
    pub(crate) fn resolve(roots: &Roots, dm: &DmControl, name: &str) -> Result<Self, Failure> {
        let map = Map::resolve(roots, dm, name).map_err(|error| failure(name, error))?;
        let paths = map
            .paths
            .iter()
            .map(|path| kernel_path(roots, path.device))
            .collect();
        let states = map
            .paths
            .iter()
            .map(|path| path_state(roots, path.device, path.dm_state))
            .collect();
        Ok(Self {
            map,
            paths,
            states,
            devices: Vec::new(),
        })
    }

    /// A map that the kernel does not have, or not yet: without paths.
    pub(crate) fn unmade(wwid: &str, name: &str) -> Self {
        let status = MultipathStatus {
            features: Vec::new(),
            hw_handler: Vec::new(),
            next_group: 0,
            groups: Vec::new(),
        };
        let map = Map {
            device: DeviceNumber::new(0, 0),
            name: name.to_owned(),
            uuid: format!("mpath-{wwid}"),
            size: 0,
            suspended: false,
            status,
            paths: Vec::new(),
        };
        Self {
            map,
            paths: Vec::new(),
            states: Vec::new(),
            devices: Vec::new(),
        }
    }

    /// A path of the map.
    pub(crate) fn position(&self, device: DeviceNumber) -> Option<PathId> {
        let at = self.paths.iter().position(|path| path.device == device)?;
        Some(PathId(u32::try_from(at).unwrap_or(u32::MAX)))
    }

    /// Takes in a path, which may be in the map's table or not (yet).
    pub(crate) fn include(&mut self, roots: &Roots, device: DeviceNumber) -> PathId {
        self.position(device).unwrap_or_else(|| {
            let at = self.paths.len();
            self.paths.push(kernel_path(roots, device));
            self.states.push(PathState::Doubtful);
            self.devices.push(ScsiDevice::read(roots, device).ok());
            PathId(u32::try_from(at).unwrap_or(u32::MAX))
        })
    }

    /// Notes what a path has turned out to be good for.
    pub(crate) fn note_state(&mut self, id: PathId, state: PathState) {
        if let Some(known) = index(id).and_then(|at| self.states.get_mut(at)) {
            *known = state;
        }
    }

    /// Reads what the paths' devices call themselves: needed only to change something.
    pub(crate) fn read_identities(&mut self, roots: &Roots) {
        let read = |path: &KernelPath| ScsiDevice::read(roots, path.device).ok();
        self.devices = self.paths.iter().map(read).collect();
    }

    /// The map as the kernel has it, without what was found out about its paths.
    pub(crate) fn into_map(self) -> Map {
        self.map
    }

    pub(crate) fn name(&self) -> &str {
        &self.map.name
    }

    /// The map's WWID; a map that was made without one goes by its name.
    pub(crate) fn wwid(&self) -> &str {
        self.map.wwid().unwrap_or(&self.map.name)
    }

    pub(crate) fn device(&self) -> DeviceNumber {
        self.map.device
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.map.suspended
    }

    pub(crate) fn paths(&self) -> &[KernelPath] {
        &self.paths
    }

    pub(crate) fn path(&self, id: PathId) -> Option<&KernelPath> {
        self.paths.get(index(id)?)
    }

    /// The map as the kernel has it.
    pub(crate) fn kernel_map(&self) -> &Map {
        &self.map
    }

    /// What sysfs says of a path, if that was read and the device is still there.
    pub(crate) fn scsi_device(&self, id: PathId) -> Option<&ScsiDevice> {
        self.devices.get(index(id)?)?.as_ref()
    }

    /// What device-mapper thinks of a path.
    pub(crate) fn dm_state(&self, id: PathId) -> Option<MapPathState> {
        Some(self.map.paths.get(index(id)?)?.dm_state)
    }

    /// What the configuration knows the map by.
    pub(crate) fn identity(&self) -> MapIdentity {
        let device = self.devices.iter().flatten().next();
        MapIdentity {
            wwid: self.wwid().to_owned(),
            vendor: device.map_or_else(String::new, |device| device.vendor.clone()),
            product: device.map_or_else(String::new, |device| device.model.clone()),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let path = |(at, state): (usize, &PathState)| Path {
            id: PathId(u32::try_from(at).unwrap_or(u32::MAX)),
            state: *state,
            initiator_port: self.initiator_port(at),
        };
        Snapshot {
            paths: self.states.iter().enumerate().map(path).collect(),
            ..Snapshot::default()
        }
    }

    /// The nexus that a path is, in words.
    pub(crate) fn nexus(&self, id: PathId) -> Option<Nexus> {
        let at = index(id)?;
        let device = self.devices.get(at)?.as_ref()?;
        let target_port = device.target_port.as_ref().and_then(transport_id);
        Some(Nexus {
            initiator_port: self.initiator_port(at).map(|port| port.to_string()),
            target_port: target_port.map(|port| port.to_string()),
            hctl: device.hctl.to_string(),
            ..Nexus::default()
        })
    }

    /// Those of its paths whose identities have been read.
    pub(crate) fn nexuses(&self) -> Vec<Nexus> {
        let paths = self.snapshot().paths;
        paths
            .iter()
            .filter_map(|path| self.nexus(path.id))
            .collect()
    }

    fn initiator_port(&self, at: usize) -> Option<TransportId> {
        transport_id(self.devices.get(at)?.as_ref()?.initiator_port.as_ref()?)
    }
}

fn index(id: PathId) -> Option<usize> {
    usize::try_from(id.0).ok()
}

fn kernel_path(roots: &Roots, device: DeviceNumber) -> KernelPath {
    match scsi::read_name(roots, device) {
        Ok(name) => KernelPath {
            device,
            node: roots.dev.join(&name),
            name,
        },
        Err(_) => {
            let name = device.to_string();
            KernelPath {
                device,
                node: roots.dev.join("block").join(&name),
                name,
            }
        }
    }
}

fn path_state(roots: &Roots, device: DeviceNumber, state: MapPathState) -> PathState {
    let is_running = scsi::read_state(roots, device).is_ok_and(|state| state == ScsiState::RUNNING);
    match (is_running, state) {
        (false, _) => PathState::Dead,
        (true, MapPathState::Active) => PathState::Usable,
        (true, MapPathState::Failed) => PathState::Doubtful,
    }
}

fn transport_id(port: &PortIdentity) -> Option<TransportId> {
    Some(match port {
        PortIdentity::FibreChannel { wwpn } => TransportId::FibreChannel { n_port_name: *wwpn },
        PortIdentity::Sas { address } => TransportId::Sas { address: *address },
        PortIdentity::Iscsi { name, isid, .. } => TransportId::Iscsi(match isid {
            Some(isid) => IscsiTransportId::Port {
                name: name.clone(),
                isid: *isid,
            },
            None => IscsiTransportId::Device { name: name.clone() },
        }),
    })
}

fn failure(name: &str, error: ResolveError) -> Failure {
    let device = name.to_owned();
    match error {
        ResolveError::NotFound { .. } => Failure::NotFound {
            device,
            reason: "No such file or directory".to_owned(),
            nearest: None,
        },
        ResolveError::Stat { source, .. } => Failure::NotFound {
            device,
            reason: source.to_string(),
            nearest: None,
        },
        ResolveError::NotBlockDevice { .. } => Failure::NotBlockDevice { device },
        ResolveError::NotDeviceMapper { .. } => Failure::NotMultipath {
            device,
            reason: "not a device-mapper device".to_owned(),
        },
        ResolveError::NotMultipath { .. } => Failure::NotMultipath {
            device,
            reason: error.to_string(),
        },
        ResolveError::Status { .. } | ResolveError::Dm(_) => Failure::Other {
            device,
            reason: error.to_string(),
        },
    }
}
