//! What finds maps and carries their commands: the kernel, or a sandbox in its place.

use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use dm_multipath::Roots;
use dm_multipath::sys::{DmControl, DmError};
use pr_policy::{Outcome, Transaction};

use crate::executor::carry_out;
use crate::host::Host;
use crate::kernel::{KernelHands, KernelMap};
use crate::map::OpenMap;
use crate::run::Failure;
use crate::sandbox::{Node, SandboxHands};

/// What is below the maps of a host.
#[derive(Debug)]
pub(crate) enum Carrier<'a> {
    /// Device-mapper, sysfs, SG_IO.
    Kernel { roots: &'a Roots, dm: DmControl },
    /// A node of a simulated SAN.
    Sandbox(&'a Node),
}

impl<'a> Carrier<'a> {
    /// That of a host on which `name` is to be opened.
    pub(crate) fn open(host: &'a Host, name: &str) -> Result<Self, Failure> {
        if let Some(node) = &host.sandbox {
            return Ok(Self::Sandbox(node));
        }
        check_node(name)?;
        let dm = DmControl::open().map_err(|error| Failure::Other {
            device: name.to_owned(),
            reason: error.to_string(),
        })?;
        let roots = &host.roots;
        Ok(Self::Kernel { roots, dm })
    }

    /// Finds the map that `name` means, and its paths; no other map or path is looked at.
    pub(crate) fn resolve(&self, name: &str) -> Result<OpenMap, Failure> {
        match self {
            Self::Kernel { roots, dm } => OpenMap::resolve(roots, dm, name),
            Self::Sandbox(node) => node.resolve(name),
        }
    }

    /// As [`resolve`](Self::resolve), with what the paths' devices call themselves: needed only
    /// to change something.
    pub(crate) fn resolve_with_identities(&self, name: &str) -> Result<OpenMap, Failure> {
        let mut map = self.resolve(name)?;
        if let Self::Kernel { roots, .. } = self {
            map.read_identities(roots);
        }
        Ok(map)
    }

    /// Resumes a map that somebody left suspended.
    pub(crate) fn resume(&self, map: &OpenMap) -> Result<(), DmError> {
        match self {
            Self::Kernel { dm, .. } => {
                let device = map.device();
                KernelMap { dm, device }.resume()
            }
            // Nothing waits there: it has no I/O.
            Self::Sandbox(_) => Ok(()),
        }
    }

    /// Runs a transaction on a map to its end.
    pub(crate) fn carry_out(
        &self,
        map: &OpenMap,
        transaction: &mut Transaction,
        deadline: Duration,
    ) -> Result<Outcome, Failure> {
        let name = || map.name().to_owned();
        match self {
            Self::Kernel { roots, dm } => {
                let device = map.device();
                let kernel_map = KernelMap { dm, device };
                let mut hands = KernelHands::new(roots, kernel_map, map.paths(), deadline);
                carry_out(transaction, &mut hands).map_err(|error| Failure::Worker {
                    map: name(),
                    reason: error.to_string(),
                })
            }
            Self::Sandbox(node) => {
                let mut hands = SandboxHands::new(node, map.paths());
                carry_out(transaction, &mut hands).map_err(|error| Failure::Other {
                    device: name(),
                    reason: error.to_string(),
                })
            }
        }
    }
}

/// A wrong name is told as such also on a host without device-mapper.
fn check_node(name: &str) -> Result<(), Failure> {
    if !name.contains('/') {
        return Ok(());
    }
    let device = name.to_owned();
    match std::fs::metadata(name) {
        Ok(metadata) if metadata.file_type().is_block_device() => Ok(()),
        Ok(_) => Err(Failure::NotBlockDevice { device }),
        Err(error) => Err(Failure::NotFound {
            device,
            reason: error.to_string(),
        }),
    }
}
