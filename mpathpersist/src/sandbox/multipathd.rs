//! What multipathd does for a path that comes back: its registration is settled before the map
//! may use it. A node without a daemon has nobody else for that than whoever brings the path
//! back; where `multipathd-lite` runs, it is left to it.

use std::time::Duration;

use dm_multipath::DeviceNumber;
use mpath_state::StoredKey;
use pr_policy::Limits;

use super::device::{disk_number, map_number};
use super::san::{Condition, InMap};
use super::{Node, SandboxError};
use crate::custody::{Custody, Verdict};
use crate::daemon::Daemon;
use crate::device::Device;
use crate::host::Host;
use crate::run::Failure;

/// A path that is to be settled.
struct Returning {
    name: String,
    path: DeviceNumber,
    map: DeviceNumber,
    map_name: String,
    wwid: String,
}

impl Node {
    /// Brings paths back, and reinstates those whose registration can be settled. Says what
    /// became of each that was not in use.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn bring_back(&self, devices: &[String]) -> Result<Vec<String>, SandboxError> {
        let host = Host::on_node(self.clone());
        let found = devices.iter().map(|device| self.returning(device));
        let found: Vec<Option<Returning>> = found.collect::<Result<_, _>>()?;
        let is_left = Daemon::connect(&host.daemon, DAEMON_PATIENCE).is_some();
        self.set_condition(devices, Condition::Up)?;
        let mut told = Vec::new();
        for returning in found.into_iter().flatten() {
            let name = &returning.name;
            told.push(if is_left {
                format!("{name}: up; multipathd-lite, which runs on this node, sees to it")
            } else {
                format!("{name}: {}", self.settle(&host, &returning)?)
            });
        }
        Ok(told)
    }

    fn returning(&self, device: &str) -> Result<Option<Returning>, SandboxError> {
        let san = self.folder().read()?;
        let node = self.find(&san)?;
        let path = self.path(&san, device)?;
        let at = node.paths.iter().position(|known| known == path);
        let lun = san.luns.get(path.lun);
        let is_out = path.in_map == InMap::Failed;
        Ok(at.zip(lun).filter(|_| is_out).map(|(at, lun)| Returning {
            name: path.device.clone(),
            path: disk_number(at),
            map: map_number(path.lun),
            map_name: lun.map.clone(),
            wwid: lun.wwid.clone(),
        }))
    }

    fn settle(&self, host: &Host, returning: &Returning) -> Result<String, SandboxError> {
        let refused = |error: Failure| SandboxError::Return {
            device: returning.name.clone(),
            reason: error.to_string(),
        };
        let map = (returning.wwid.as_str(), returning.map_name.as_str());
        let device = Device::open(host, &returning.map_name);
        let recovered = device.and_then(|mut device| device.recover(LOCK_PATIENCE));
        if let Err(failure) = recovered {
            return Ok(format!("kept out: {failure}"));
        }
        let mut custody =
            Custody::take(host, map, Some(returning.map), LOCK_PATIENCE).map_err(refused)?;
        let settled = custody
            .settle(returning.path, Limits::OUT.deadline)
            .map_err(refused)?;
        let key = custody.record().map_err(refused)?;
        let key = key.and_then(|record| record.key);
        if settled.verdict.is_settled() {
            self.set_in_map(&returning.name, InMap::Active)?;
        }
        Ok(told(settled.verdict, key))
    }

    pub(super) fn set_in_map(&self, device: &str, in_map: InMap) -> Result<(), SandboxError> {
        self.folder().change(|san| {
            self.path_mut(san, device)?.in_map = in_map;
            Ok(())
        })
    }
}

fn told(verdict: Verdict, key: Option<StoredKey>) -> String {
    let key = key.map_or_else(|| "its key".to_owned(), |key| key.key.to_string());
    match verdict {
        Verdict::Unsettled => {
            "kept out, since it cannot be told whether this node is still registered: bring \
             another path back, or this one again"
                .to_owned()
        }
        Verdict::Kept | Verdict::Registered => format!("back in use, registered with {key}"),
        Verdict::Expelled => {
            "back in use, not registered: this node was shut out while the path was away".to_owned()
        }
        Verdict::Unregistered | Verdict::Unconcerned => {
            "back in use, not registered, as this node is not".to_owned()
        }
    }
}

/// Commands on the map end within 18 s.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// It is only looked whether somebody listens.
const DAEMON_PATIENCE: Duration = Duration::from_secs(1);
