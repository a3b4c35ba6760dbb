//! What a node knows of itself: its ports, its nexuses, and what it remembers.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use scsi_pr::{IscsiTransportId, ReservationKey, TransportId};

use super::Ownership;
use crate::job::Job;
use crate::snapshot::PathState;

/// What the record says of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Yes,
    No,
}

impl Memory {
    /// What it is worth once news came that something was taken away.
    pub(super) fn unless_lost(self, job: &Job) -> Self {
        if job.has_lost { Self::No } else { self }
    }
}

impl Job {
    /// Whose an initiator port is. A host that does not know all of its own ports cannot call
    /// another one foreign.
    pub(crate) fn owner_of(&self, port: &TransportId) -> Ownership {
        let known = self
            .paths
            .iter()
            .filter_map(|path| path.initiator_port.as_ref());
        if known
            .chain(&self.own_ports)
            .any(|own| is_same_initiator(own, port))
        {
            return Ownership::Ours;
        }
        if self.knows_its_ports() {
            Ownership::Foreign
        } else {
            Ownership::Unclear
        }
    }

    pub(super) fn knows_its_ports(&self) -> bool {
        self.paths.iter().all(|path| path.initiator_port.is_some())
    }

    /// Initiator ports that paths of this node start from.
    pub(super) fn distinct_ports(&self) -> usize {
        let ports: BTreeSet<String> = self
            .paths
            .iter()
            .filter_map(|path| Some(path.initiator_port.as_ref()?.to_string()))
            .collect();
        ports.len()
    }

    /// How many paths start from this port: usable ones, and others.
    pub(super) fn paths_from(&self, port: &TransportId) -> (usize, usize) {
        let own = self.paths.iter().filter(|path| {
            let own = path.initiator_port.as_ref();
            own.is_some_and(|own| is_same_initiator(own, port))
        });
        let (usable, others): (usize, usize) = own.fold((0, 0), |(usable, others), path| {
            if path.state == PathState::Usable {
                (usable + 1, others)
            } else {
                (usable, others + 1)
            }
        });
        (usable, others)
    }

    /// Paths of this map, or remembered nexuses, that no command reaches now, or did not reach a
    /// moment ago. One that the map did not use need not be among the remembered.
    pub(crate) fn nexuses_out_of_reach(&self) -> usize {
        let mut known = self.usable();
        known.retain(|path| self.is_steady(*path) && !self.silent.contains(path));
        self.own_nexuses().saturating_sub(known.len())
    }

    /// The most registrations that this node can have made.
    pub(super) fn own_nexuses(&self) -> usize {
        let known = self.paths.len() + self.remembered_gone;
        known.max(self.remembered_nexuses)
    }

    /// Without a record there may have been others, whose paths are gone from the map.
    pub(super) fn recalls_all_nexuses(&self, key: ReservationKey) -> bool {
        self.remembered_key == Some(key) && self.remembered_nexuses > 0
    }

    pub(super) fn recalls_registering(&self, key: ReservationKey) -> Memory {
        if self.remembered_key == Some(key) {
            Memory::Yes
        } else {
            Memory::No
        }
    }

    pub(super) fn recalls_holding(&self, key: ReservationKey) -> Memory {
        match self.recalls_registering(key) {
            Memory::Yes if self.remembered_holding => Memory::Yes,
            _ => Memory::No,
        }
    }
}

/// An iSCSI initiator is its name: a session that is set up again may get another ISID, and the
/// registration of the old one is as much this node's. Elsewhere a port is its address.
pub(crate) fn is_same_initiator(one: &TransportId, other: &TransportId) -> bool {
    match (one, other) {
        (TransportId::Iscsi(one), TransportId::Iscsi(other)) => {
            initiator_name(one).eq_ignore_ascii_case(initiator_name(other))
        }
        _ => one == other,
    }
}

fn initiator_name(id: &IscsiTransportId) -> &str {
    match id {
        IscsiTransportId::Device { name } | IscsiTransportId::Port { name, .. } => name,
    }
}
