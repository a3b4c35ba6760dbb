//! What finds maps and carries their commands: the kernel, or a sandbox in its place.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use dm_multipath::scsi::read_size;
use dm_multipath::sys::dm::DmListed;
use dm_multipath::sys::sg::rescan;
use dm_multipath::sys::{DmControl, DmError};
use dm_multipath::{DeviceNumber, Roots};
use pr_policy::{Before, Look, Outcome, PathId, PathReturn, Settlement, Transaction};

use crate::device::other;
use crate::executor::{self, carry_out, settle};
use crate::host::Host;
use crate::kernel::{KernelHands, KernelMap};
use crate::map::OpenMap;
use crate::rehearsal::sounding::{self, Sounding};
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
        if host.sandbox.is_none()
            && let Err(failure) = check_node(name)
        {
            return Err(match Self::of(host, name) {
                Ok(carrier) => carrier.with_nearest(failure),
                Err(_) => failure,
            });
        }
        Self::of(host, name)
    }

    /// That of a host.
    pub(crate) fn of(host: &'a Host, name: &str) -> Result<Self, Failure> {
        if let Some(node) = &host.sandbox {
            return Ok(Self::Sandbox(node));
        }
        let roots = &host.roots;
        let dm = DmControl::open_in(roots).map_err(|error| other(name, &error))?;
        Ok(Self::Kernel { roots, dm })
    }

    /// Sees to it that the kernel knows the size of a path that is registered: under exclusive
    /// access it could not read it before.
    pub(crate) fn refresh(&self, path: DeviceNumber, patience: Duration) -> Result<(), String> {
        let Self::Kernel { roots, .. } = self else {
            return Ok(());
        };
        let is_sizeless = || matches!(read_size(roots, path), Ok(0));
        if !is_sizeless() {
            return Ok(());
        }
        let attribute = roots.sys.join(format!("dev/block/{path}/device/rescan"));
        rescan(&attribute, patience).map_err(|error| error.to_string())?;
        match is_sizeless() {
            true => Err("it still has none".to_owned()),
            false => Ok(()),
        }
    }

    /// Finds the map that `name` means, and its paths; no other map or path is looked at.
    pub(crate) fn resolve(&self, name: &str) -> Result<OpenMap, Failure> {
        let resolved = match self {
            Self::Kernel { roots, dm } => OpenMap::resolve(roots, dm, name),
            Self::Sandbox(node) => node.resolve(name),
        };
        resolved.map_err(|failure| self.with_nearest(failure))
    }

    /// Names a map for one that is not there: the only case in which others are looked for.
    fn with_nearest(&self, failure: Failure) -> Failure {
        match failure {
            Failure::NotFound { device, reason, .. } => {
                let nearest = self.list().ok().and_then(|maps| nearest(&device, &maps));
                Failure::NotFound {
                    device,
                    reason,
                    nearest,
                }
            }
            other => other,
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

    /// Every multipath map of the host: by what it can be found, in the order of the names. No
    /// path is looked at.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Failure> {
        let mut listed = match self {
            Self::Kernel { dm, .. } => {
                let all = dm.list().map_err(|error| other("device-mapper", &error))?;
                let maps = all.into_iter().filter(may_be_multipath);
                maps.map(|found| Listed {
                    spec: found.device.to_string(),
                    name: found.name,
                })
                .collect()
            }
            Self::Sandbox(node) => node.list()?,
        };
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// Looks at what is registered, without changing anything.
    pub(crate) fn look(
        &self,
        map: &OpenMap,
        look: &mut Look,
        deadline: Duration,
    ) -> Result<(), Failure> {
        match self {
            Self::Kernel { roots, dm } => {
                let mut hands = kernel_hands(roots, dm, map, deadline);
                executor::look(look, &mut hands).map_err(|error| no_worker(map, &error))
            }
            Self::Sandbox(node) => {
                let mut hands = SandboxHands::new(node, map.paths());
                executor::look(look, &mut hands).map_err(|error| other(map.name(), &error))
            }
        }
    }

    /// Takes a path into a map, which may be in its table or not (yet).
    pub(crate) fn include(&self, map: &mut OpenMap, path: DeviceNumber) -> Result<PathId, Failure> {
        match self {
            Self::Kernel { roots, .. } => Ok(map.include(roots, path)),
            // There the table has whatever the node has.
            Self::Sandbox(_) => map.position(path).ok_or_else(|| Failure::Other {
                device: map.name().to_owned(),
                reason: format!("path {path} is gone"),
            }),
        }
    }

    /// Finds out how each path would answer a command, by reading through it.
    pub(crate) fn sound(&self, map: &OpenMap) -> Result<Vec<Sounding>, Failure> {
        match self {
            Self::Kernel { roots, dm } => {
                let mut hands = kernel_hands(roots, dm, map, sounding::PATIENCE);
                sounding::take(map, &mut hands).map_err(|error| no_worker(map, &error))
            }
            Self::Sandbox(node) => {
                let mut hands = SandboxHands::new(node, map.paths());
                sounding::take(map, &mut hands).map_err(|error| other(map.name(), &error))
            }
        }
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
        note: impl FnMut(Before),
    ) -> Result<Outcome, Failure> {
        match self {
            Self::Kernel { roots, dm } => {
                let mut hands = kernel_hands(roots, dm, map, deadline);
                carry_out(transaction, &mut hands, note).map_err(|error| no_worker(map, &error))
            }
            Self::Sandbox(node) => {
                let mut hands = SandboxHands::new(node, map.paths());
                carry_out(transaction, &mut hands, note).map_err(|error| other(map.name(), &error))
            }
        }
    }

    /// Settles a path that came back; `watch` sees it before everything that is done.
    pub(crate) fn settle(
        &self,
        map: &OpenMap,
        machine: &mut PathReturn,
        budget: Duration,
        watch: impl FnMut(&PathReturn) -> Result<(), Failure>,
    ) -> Result<Settlement, Failure> {
        match self {
            Self::Kernel { roots, dm } => {
                let mut hands = kernel_hands(roots, dm, map, budget);
                settle(machine, &mut hands, watch, |error| no_worker(map, &error))
            }
            Self::Sandbox(node) => {
                let mut hands = SandboxHands::new(node, map.paths());
                let blame = |error| other(map.name(), &error);
                settle(machine, &mut hands, watch, blame)
            }
        }
    }
}

fn kernel_hands<'a>(
    roots: &'a Roots,
    dm: &'a DmControl,
    map: &'a OpenMap,
    deadline: Duration,
) -> KernelHands<'a> {
    let device = map.device();
    KernelHands::new(roots, KernelMap { dm, device }, map.paths(), deadline)
}

fn no_worker(map: &OpenMap, error: &io::Error) -> Failure {
    Failure::Worker {
        map: map.name().to_owned(),
        reason: error.to_string(),
    }
}

/// A map of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// What [`Carrier::resolve`] finds it by.
    pub(crate) spec: String,
    /// Its name.
    pub(crate) name: String,
}

/// The map whose name is most like this one; names that have little in common suggest nothing.
fn nearest(name: &str, maps: &[Listed]) -> Option<String> {
    let wanted = name.rsplit('/').next().unwrap_or(name);
    let likeness = |map: &&Listed| strsim::jaro_winkler(wanted, &map.name);
    let best = maps
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&best) >= LEAST_LIKENESS).then(|| best.name.clone())
}

/// Of 1; `mpthb` and `mpathb` have 0.96, `root` and `mpatha` 0.47.
const LEAST_LIKENESS: f64 = 0.8;

/// Kernels that tell no uuid in the list leave it to the table to say.
fn may_be_multipath(found: &DmListed) -> bool {
    found
        .uuid
        .as_ref()
        .is_none_or(|uuid| uuid.is_empty() || uuid.starts_with("mpath-"))
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
            nearest: None,
        }),
    }
}
