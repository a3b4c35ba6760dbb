//! What a sandbox consists of.

use scsi_pr::TransportId;
use scsi_pr::device_server::{LogicalUnit, Nexus};
use serde::{Deserialize, Serialize};

use super::saved::SavedUnit;

/// One array and the nodes that reach it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct San {
    /// [`San::VERSION`].
    pub(super) version: u32,
    /// The array's logical units; each is a map on every node.
    pub luns: Vec<Lun>,
    /// The nodes.
    pub nodes: Vec<SanNode>,
}

/// A logical unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lun {
    /// The map's name, as in `/dev/mapper/NAME`.
    pub map: String,
    /// Its name in the whole world.
    pub wwid: String,
    /// What the array remembers of it.
    #[serde(with = "unit")]
    pub unit: LogicalUnit,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SanNode {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its paths to all logical units.
    pub paths: Vec<SanPath>,
}

/// A path: one I_T nexus to one logical unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SanPath {
    /// The position of its logical unit in [`San::luns`].
    pub lun: usize,
    /// Its block device, such as `sda`.
    pub device: String,
    /// The N_Port name of its initiator port.
    pub initiator_port: u64,
    /// The N_Port name of its target port.
    pub target_port: u64,
    /// The number of its target port among all of the array.
    pub relative_target_port: u16,
    /// How it is.
    pub condition: Condition,
    /// What the map thinks of it.
    pub in_map: InMap,
}

/// How a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It carries commands.
    Up,
    /// The node knows that it does not work: commands fail at once.
    Offline,
    /// The node has no such device any more.
    Gone,
    /// Commands get no answer, and nobody has noticed yet.
    Hanging,
}

/// What a map thinks of a path that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InMap {
    /// It carries I/O.
    Active,
    /// It has failed and was not reinstated since.
    Failed,
}

impl San {
    /// The format of the file.
    pub const VERSION: u32 = 1;

    pub(super) fn node(&self, name: &str) -> Option<&SanNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub(super) fn node_mut(&mut self, name: &str) -> Option<&mut SanNode> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    /// What no program of ours writes, although each value alone is possible.
    pub(super) fn contradiction(&self) -> Option<String> {
        let lost = |path: &&SanPath| path.lun >= self.luns.len();
        let path = self.nodes.iter().flat_map(|node| &node.paths).find(lost)?;
        Some(format!("path {} leads to no logical unit", path.device))
    }
}

impl SanNode {
    pub(super) fn path(&self, device: &str) -> Option<&SanPath> {
        self.paths.iter().find(|path| path.device == device)
    }

    /// Its paths to one logical unit.
    pub(super) fn paths_to(&self, lun: usize) -> impl Iterator<Item = &SanPath> {
        self.paths.iter().filter(move |path| path.lun == lun)
    }
}

impl SanPath {
    /// The nexus that it is.
    #[must_use]
    pub fn nexus(&self) -> Nexus {
        Nexus {
            initiator_port: TransportId::FibreChannel {
                n_port_name: self.initiator_port,
            },
            relative_target_port: self.relative_target_port,
        }
    }

    /// Whether the map sends I/O through it.
    #[must_use]
    pub fn carries_io(&self) -> bool {
        self.in_map == InMap::Active && self.condition == Condition::Up
    }

    pub(super) fn is_known_dead(&self) -> bool {
        matches!(self.condition, Condition::Offline | Condition::Gone)
    }
}

impl Condition {
    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Offline => "offline",
            Self::Gone => "gone",
            Self::Hanging => "hanging",
        }
    }
}

mod unit {
    use super::{LogicalUnit, SavedUnit};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(unit: &LogicalUnit, to: S) -> Result<S::Ok, S::Error> {
        SavedUnit::from(unit.clone()).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<LogicalUnit, D::Error> {
        let saved = SavedUnit::deserialize(from)?;
        LogicalUnit::try_from(saved).map_err(D::Error::custom)
    }
}
