//! One node of a sandbox: what a command on it finds.

use std::path::{Path, PathBuf};

use super::folder::STATE;
use super::san::{Condition, InMap, San, SanNode, SanPath};
use super::{Folder, SandboxError};
use crate::rehearsal::Rehearsal;
use crate::run::{Failure, Report, RunOptions, Runner};
use pr_policy::Request;

/// A node of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    folder: Folder,
    name: String,
}

impl Node {
    /// The node that a folder means: that of the node, or that of a sandbox with one node.
    ///
    /// # Errors
    /// There is no sandbox or no such node, or it has several.
    pub fn locate(dir: &Path) -> Result<Self, SandboxError> {
        if dir.join(STATE).exists() {
            let folder = Folder::open(dir)?;
            let san = folder.read()?;
            return match san.nodes.as_slice() {
                [node] => Ok(Self {
                    name: node.name.clone(),
                    folder,
                }),
                nodes => Err(SandboxError::WhichNode {
                    dir: dir.to_owned(),
                    nodes: nodes.iter().map(|node| node.name.clone()).collect(),
                }),
            };
        }
        let missing = || SandboxError::Missing {
            dir: dir.to_owned(),
        };
        let name = dir.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(missing)?;
        let folder = match dir.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Folder::open(Path::new(".")),
            Some(parent) => Folder::open(parent),
            None => return Err(missing()),
        };
        let node = Self {
            folder: folder.map_err(|_| missing())?,
            name: name.to_owned(),
        };
        node.find(&node.folder.read()?)?;
        Ok(node)
    }

    /// The sandbox it is a node of.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own files: configuration, keys, records.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.folder.dir().join(&self.name)
    }

    /// Puts paths into a condition, and does what its host does at once: a path that is known
    /// to be dead is failed in the map.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn set_condition(
        &self,
        devices: &[String],
        condition: Condition,
    ) -> Result<(), SandboxError> {
        self.folder.change(|san| {
            for device in devices {
                let (lun, nexus, is_back) = {
                    let path = self.path_mut(san, device)?;
                    let is_back = path.is_known_dead() && condition == Condition::Up;
                    path.condition = condition;
                    if path.is_known_dead() && path.in_map == InMap::Active {
                        path.in_map = InMap::Failed;
                    }
                    (path.lun, path.nexus(), is_back)
                };
                if let Some(lun) = san.luns.get_mut(lun).filter(|_| is_back) {
                    lun.unit.lose_nexus(&nexus);
                }
            }
            Ok(())
        })
    }

    pub(super) fn find<'a>(&self, san: &'a San) -> Result<&'a SanNode, SandboxError> {
        san.node(&self.name).ok_or_else(|| {
            let known = san.nodes.iter().map(|node| node.name.clone());
            self.unknown("node", &self.name, known.collect())
        })
    }

    pub(super) fn path<'a>(&self, san: &'a San, device: &str) -> Result<&'a SanPath, SandboxError> {
        let node = self.find(san)?;
        let found = node.path(bare(device));
        found.ok_or_else(|| self.unknown("path", device, devices(node)))
    }

    pub(super) fn path_mut<'a>(
        &self,
        san: &'a mut San,
        device: &str,
    ) -> Result<&'a mut SanPath, SandboxError> {
        let known = devices(self.find(san)?);
        let paths = san.node_mut(&self.name).map(|node| &mut node.paths);
        let mut paths = paths.into_iter().flatten();
        let found = paths.find(|path| path.device == bare(device));
        found.ok_or_else(|| self.unknown("path", device, known))
    }

    fn unknown(&self, kind: &'static str, name: &str, known: Vec<String>) -> SandboxError {
        SandboxError::Unknown {
            dir: self.folder.dir().to_owned(),
            kind,
            name: name.to_owned(),
            known,
        }
    }
}

/// A device without the folder that its node would be in.
fn bare(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

fn devices(node: &SanNode) -> Vec<String> {
    node.paths.iter().map(|path| path.device.clone()).collect()
}

/// Refuses every request, since the sandbox it was meant for cannot be used.
#[derive(Debug)]
pub struct Unusable(pub SandboxError);

impl Unusable {
    fn failure(&self, device: &str) -> Failure {
        Failure::Other {
            device: device.to_owned(),
            reason: self.0.to_string(),
        }
    }
}

impl Runner for Unusable {
    fn run(
        &mut self,
        device: &str,
        _request: &Request,
        _options: &RunOptions,
    ) -> Result<Report, Failure> {
        Err(self.failure(device))
    }

    fn rehearse(
        &mut self,
        device: &str,
        _request: &Request,
        _options: &RunOptions,
    ) -> Result<Rehearsal, Failure> {
        Err(self.failure(device))
    }
}
