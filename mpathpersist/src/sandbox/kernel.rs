//! What a node's kernel would show a daemon and let it do: disks, maps, messages to a map, and
//! commands through one path.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dm_multipath::DeviceNumber;
use dm_multipath::map::Map;
use dm_multipath::scsi::ScsiDevice;
use pr_policy::Answer;

use super::device::{SECTORS, disk_number, open_map, scsi_device};
use super::hands::Fate;
use super::san::{Condition, InMap, San, SanPath};
use super::{Node, SandboxError};

/// A disk of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDisk {
    /// What sysfs would say.
    pub scsi: ScsiDevice,
    /// Its size in sectors of 512 bytes.
    pub size: u64,
}

impl Node {
    /// The disks that the node has: all paths that are not gone.
    ///
    /// # Errors
    /// The sandbox cannot be used.
    pub fn disks(&self) -> Result<Vec<NodeDisk>, SandboxError> {
        let san = self.folder().read()?;
        let disk = |(device, path): (DeviceNumber, &SanPath)| {
            let lun = san.luns.get(path.lun)?;
            Some(NodeDisk {
                scsi: scsi_device(&(device, path), path.lun, lun),
                size: SECTORS,
            })
        };
        Ok(self.present(&san)?.filter_map(disk).collect())
    }

    /// The maps that have a path.
    ///
    /// # Errors
    /// The sandbox cannot be used.
    pub fn maps(&self) -> Result<Vec<Map>, SandboxError> {
        let san = self.folder().read()?;
        let node = self.find(&san)?;
        let luns = san.luns.iter().enumerate();
        let maps = luns.map(|(at, lun)| open_map(node, at, lun).into_map());
        Ok(maps.filter(|map| !map.paths.is_empty()).collect())
    }

    /// How each path is, by its number. Those that are gone are named, too.
    ///
    /// # Errors
    /// The sandbox cannot be used.
    pub fn conditions(&self) -> Result<BTreeMap<DeviceNumber, (String, Condition)>, SandboxError> {
        let san = self.folder().read()?;
        let paths = self.find(&san)?.paths.iter().enumerate();
        let of = |(at, path): (usize, &SanPath)| {
            (disk_number(at), (path.device.clone(), path.condition))
        };
        Ok(paths.map(of).collect())
    }

    /// Takes a path out of use in its map.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn fail_in_map(&self, path: DeviceNumber) -> Result<(), SandboxError> {
        self.put_in_map(path, InMap::Failed)
    }

    /// Puts a path to use again. Its registration has to be settled, and its map in custody.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn reinstate_in_map(&self, path: DeviceNumber) -> Result<(), SandboxError> {
        self.put_in_map(path, InMap::Active)
    }

    fn put_in_map(&self, path: DeviceNumber, in_map: InMap) -> Result<(), SandboxError> {
        let san = self.folder().read()?;
        let mut present = self.present(&san)?;
        let found = present.find(|(device, _)| *device == path);
        match found {
            Some((_, found)) => self.set_in_map(&found.device, in_map),
            None => self.path(&san, &path.to_string()).map(drop),
        }
    }

    /// Sends a command through a path. `None`: there is no answer, for as long as the path hangs.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn send(&self, device: &str, cdb: &[u8]) -> Result<Option<Answer>, SandboxError> {
        Ok(match self.transmit(device, cdb, &[])? {
            Fate::Answered(answer) => Some(answer),
            Fate::Silence => None,
        })
    }

    /// Where its daemon listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir().join("multipathd.socket")
    }

    fn present<'a>(
        &self,
        san: &'a San,
    ) -> Result<impl Iterator<Item = (DeviceNumber, &'a SanPath)> + use<'a>, SandboxError> {
        let paths = self.find(san)?.paths.iter().enumerate();
        let present = paths.filter(|(_, path)| path.condition != Condition::Gone);
        Ok(present.map(|(at, path)| (disk_number(at), path)))
    }
}
