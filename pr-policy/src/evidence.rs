//! Whose registrations are these? The question that decides whether a dead path may be purged.
//!
//! No two nodes should use one key, but they do: a live migration has both ends registered with
//! the same one for a while. So a key proves nothing. Strongest evidence first:
//!
//! 1. READ FULL STATUS names the initiator port of each registration, and a host knows its own.
//! 2. More registrations of a key than this node ever made: somebody else uses it too.
//! 3. The record says that this node registered, and nothing says otherwise.

use scsi_pr::{
    IscsiTransportId, ReadFullStatus, ReadKeys, Reservation, ReservationKey, TransportId,
};

use crate::job::Job;
use crate::snapshot::PathState;

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This node's.
    Ours,
    /// Another node's, or another node has a part in it.
    Foreign,
    /// It cannot be told.
    Unclear,
}

/// Everything registered on the device at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Census {
    /// With the ports of each registration.
    Named(ReadFullStatus),
    /// Keys alone, from devices that do not report full status.
    Counted {
        keys: ReadKeys,
        reservation: Option<Reservation>,
    },
}

impl Census {
    /// The reservation that stands.
    pub(crate) fn reservation(&self) -> Option<Reservation> {
        match self {
            Self::Counted { reservation, .. } => *reservation,
            Self::Named(status) => {
                let holder = status.descriptors.iter().find(|found| found.holder)?;
                let is_shared = holder.reservation_type.is_all_registrants();
                Some(Reservation {
                    key: if is_shared {
                        ReservationKey::NONE
                    } else {
                        holder.key
                    },
                    scope: holder.scope,
                    reservation_type: holder.reservation_type,
                })
            }
        }
    }

    /// Whose the nexus is that holds with `key`.
    pub(crate) fn holder(&self, key: ReservationKey, job: &Job) -> Ownership {
        match self {
            Self::Named(status) => {
                let holders = status
                    .descriptors
                    .iter()
                    .filter(|found| found.holder && found.key == key);
                together(holders.map(|holder| job.owner_of(&holder.transport_id)))
                    .unwrap_or(Ownership::Foreign)
            }
            Self::Counted { .. } if !job.has_nexuses_out_of_reach() => Ownership::Foreign,
            Self::Counted { .. } if self.count(key) > job.own_nexuses() => Ownership::Unclear,
            Self::Counted { .. } if job.remembers_holding(key) => Ownership::Ours,
            Self::Counted { .. } => Ownership::Unclear,
        }
    }

    /// Whose the registrations with `key` are; `None` if there are none beyond those that the
    /// usable paths can undo themselves.
    pub(crate) fn left_behind(&self, key: ReservationKey, job: &Job) -> Option<Ownership> {
        let within_reach = job.in_state(PathState::Usable).len();
        if self.count(key) == 0 {
            return None;
        }
        match self {
            Self::Named(status) => {
                let found = status.descriptors.iter().filter(|found| found.key == key);
                let owner = together(found.map(|found| job.owner_of(&found.transport_id)))?;
                let is_within_reach = self.count(key) <= within_reach;
                (owner != Ownership::Ours || !is_within_reach).then_some(owner)
            }
            Self::Counted { .. } if self.count(key) <= within_reach => None,
            Self::Counted { .. } if !job.has_nexuses_out_of_reach() => Some(Ownership::Foreign),
            Self::Counted { .. } if self.count(key) > job.own_nexuses() => Some(Ownership::Unclear),
            Self::Counted { .. } if job.remembers_registering(key) => Some(Ownership::Ours),
            Self::Counted { .. } => Some(Ownership::Unclear),
        }
    }

    /// Whose the registrations with a key are that no usable path has any more; `None` if
    /// there are none.
    pub(crate) fn stale(&self, key: ReservationKey, job: &Job) -> Option<Ownership> {
        match self {
            _ if self.count(key) == 0 => None,
            Self::Named(status) => {
                let found = status.descriptors.iter().filter(|found| found.key == key);
                together(found.map(|found| job.owner_of(&found.transport_id)))
            }
            Self::Counted { .. } if !job.has_nexuses_out_of_reach() => Some(Ownership::Foreign),
            Self::Counted { .. } if self.count(key) > job.nexuses_out_of_reach() => {
                Some(Ownership::Unclear)
            }
            Self::Counted { .. } if job.remembers_registering(key) => Some(Ownership::Ours),
            Self::Counted { .. } => Some(Ownership::Unclear),
        }
    }

    /// The reservation, if one nexus holds it, registered with this key.
    pub(crate) fn single_holder(&self, key: ReservationKey) -> Option<Reservation> {
        self.reservation().filter(|reservation| {
            !reservation.reservation_type.is_all_registrants() && reservation.key == key
        })
    }

    /// Registrations with this key.
    pub(crate) fn count(&self, key: ReservationKey) -> usize {
        match self {
            Self::Named(status) => status
                .descriptors
                .iter()
                .filter(|found| found.key == key)
                .count(),
            Self::Counted { keys, .. } => keys.keys.iter().filter(|found| **found == key).count(),
        }
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
        let knows_its_ports = self.paths.iter().all(|path| path.initiator_port.is_some());
        if knows_its_ports {
            Ownership::Foreign
        } else {
            Ownership::Unclear
        }
    }

    /// Paths of this map, or remembered nexuses, that no command reaches now.
    fn nexuses_out_of_reach(&self) -> usize {
        self.own_nexuses()
            .saturating_sub(self.in_state(PathState::Usable).len())
    }

    fn has_nexuses_out_of_reach(&self) -> bool {
        self.nexuses_out_of_reach() > 0
    }

    /// The most registrations that this node can have made.
    fn own_nexuses(&self) -> usize {
        self.paths.len().max(self.remembered_nexuses)
    }

    fn remembers_registering(&self, key: ReservationKey) -> bool {
        self.remembered_key == Some(key)
    }

    fn remembers_holding(&self, key: ReservationKey) -> bool {
        self.remembers_registering(key) && self.remembered_holding
    }
}

/// All of one kind, or mixed: what is partly another's is another's. `None` for nothing.
fn together(owners: impl Iterator<Item = Ownership>) -> Option<Ownership> {
    owners.reduce(|one, other| match (one, other) {
        (Ownership::Ours, Ownership::Ours) => Ownership::Ours,
        (Ownership::Foreign, _) | (_, Ownership::Foreign) => Ownership::Foreign,
        _ => Ownership::Unclear,
    })
}

/// An iSCSI initiator is its name: a session that is set up again may get another ISID, and the
/// registration of the old one is as much this node's. Elsewhere a port is its address.
fn is_same_initiator(one: &TransportId, other: &TransportId) -> bool {
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
