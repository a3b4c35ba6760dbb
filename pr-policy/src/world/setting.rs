//! What does not change in a world: how many nodes and paths, how they are wired, which target.

use alloc::format;
use alloc::vec::Vec;

use scsi_pr::device_server::{LogicalUnit, Nexus, Profile};
use scsi_pr::{IscsiTransportId, TransportId};

use crate::mutation::Mutation;

/// The fixed part of a world.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How the target deviates from the standard; the reference's target does it too.
    pub profile: Profile,
    /// How paths begin and end.
    pub wiring: Wiring,
    /// A mistake that the policy makes.
    pub mutation: Option<Mutation>,
    /// By node and path.
    nexuses: Vec<Vec<Nexus>>,
    /// By node.
    reference: Vec<Nexus>,
}

/// Where a node's paths begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// Each path from an initiator port of its own, to a target port of its own.
    PortPerPath,
    /// One initiator port, several target ports.
    OneInitiator,
    /// iSCSI sessions of one initiator, to one target port.
    Iscsi,
    /// As [`Self::PortPerPath`], but the node cannot tell its initiator ports.
    Nameless,
}

impl Setting {
    /// A world with so many paths for each node.
    #[must_use]
    pub fn new(profile: Profile, wiring: Wiring, paths: &[usize]) -> Self {
        let nexus = |node, path| wiring.nexus(node, path);
        let all = |(node, count): (usize, &usize)| (0..*count).map(|p| nexus(node, p)).collect();
        Self {
            profile,
            wiring,
            mutation: None,
            nexuses: paths.iter().enumerate().map(all).collect(),
            reference: (0..paths.len()).map(|node| nexus(node, 0)).collect(),
        }
    }

    /// The same with a mistake.
    #[must_use]
    pub fn with(self, mutation: Mutation) -> Self {
        Self {
            mutation: Some(mutation),
            ..self
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nexuses.len()
    }

    /// How many paths a node has, when all are there.
    #[must_use]
    pub fn paths(&self, node: usize) -> usize {
        self.nexuses[node].len()
    }

    /// The nexus of a path.
    #[must_use]
    pub fn nexus(&self, node: usize, path: usize) -> &Nexus {
        &self.nexuses[node][path]
    }

    /// The one nexus of a node in the reference.
    #[must_use]
    pub fn reference(&self, node: usize) -> &Nexus {
        &self.reference[node]
    }

    /// The initiator port of a path, where its node can tell.
    pub(super) fn known_port(&self, node: usize, path: usize) -> Option<TransportId> {
        let port = &self.nexus(node, path).initiator_port;
        (self.wiring != Wiring::Nameless).then(|| port.clone())
    }

    /// A unit that knows every nexus.
    pub(super) fn unit(&self) -> LogicalUnit {
        let mut unit = LogicalUnit::new(self.profile);
        for nexus in self.nexuses.iter().flatten() {
            unit.connect(nexus);
        }
        unit
    }

    pub(super) fn reference_unit(&self) -> LogicalUnit {
        let mut unit = LogicalUnit::new(self.profile);
        for nexus in &self.reference {
            unit.connect(nexus);
        }
        unit
    }
}

impl Wiring {
    fn nexus(self, node: usize, path: usize) -> Nexus {
        let (number, port) = (node as u64, path as u64);
        let target_port = u16::try_from(path + 1).unwrap_or(u16::MAX);
        let sas = |low| TransportId::Sas {
            address: 0x5a00_0000_0000_0000 | number << 8 | low,
        };
        match self {
            Self::PortPerPath | Self::Nameless => Nexus {
                initiator_port: sas(port),
                relative_target_port: target_port,
            },
            Self::OneInitiator => Nexus {
                initiator_port: sas(0),
                relative_target_port: target_port,
            },
            Self::Iscsi => Nexus {
                initiator_port: TransportId::Iscsi(IscsiTransportId::Port {
                    name: format!("iqn.2026-01.org.example:node{node}"),
                    isid: 0x4000_0000_0000 | port,
                }),
                relative_target_port: 1,
            },
        }
    }
}
