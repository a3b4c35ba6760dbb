//! Whose registrations are these? The question that decides whether a dead path may be purged.
//!
//! No two nodes should use one key, but they do: a live migration has both ends registered with
//! the same one for a while. So a key proves nothing. Strongest evidence first:
//!
//! 1. READ FULL STATUS names the initiator port of each registration, and a host knows its own.
//! 2. More registrations of a key than this node ever made: somebody else uses it too. All of
//!    this node's nexuses within reach: what none of them has is another's.
//! 3. The record says that this node registered, and no unit attention says otherwise.

mod own;

use scsi_pr::{FullStatusDescriptor, ReadFullStatus, ReadKeys, Reservation, ReservationKey};

use self::own::{Memory, is_same_initiator};
use crate::job::Job;

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
    /// Counts the changes of registrations (PRGENERATION).
    pub(crate) fn generation(&self) -> u32 {
        match self {
            Self::Named(status) => status.generation,
            Self::Counted { keys, .. } => keys.generation,
        }
    }

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

    /// The reservation, if one nexus holds it, registered with this key.
    pub(crate) fn single_holder(&self, key: ReservationKey) -> Option<Reservation> {
        self.reservation().filter(|reservation| {
            !reservation.reservation_type.is_all_registrants() && reservation.key == key
        })
    }

    /// Registrations with this key.
    pub(crate) fn count(&self, key: ReservationKey) -> usize {
        match self {
            Self::Named(_) => self.with_key(key).count(),
            Self::Counted { keys, .. } => keys.keys.iter().filter(|found| **found == key).count(),
        }
    }

    /// Whether there is a registration with this key, and none with another.
    pub(crate) fn is_the_only_key(&self, key: ReservationKey) -> bool {
        let all = match self {
            Self::Named(status) => status.descriptors.len(),
            Self::Counted { keys, .. } => keys.keys.len(),
        };
        all > 0 && self.count(key) == all
    }

    /// Whether the device names every registration with this key as this node's. Then one
    /// PREEMPT ends them all at once, those of paths that die in this moment as well.
    pub(crate) fn is_all_ours(&self, key: ReservationKey, job: &Job) -> bool {
        self.count(key) > 0 && self.named(self.with_key(key), job) == Some(Ownership::Ours)
    }

    /// Whether nothing says that somebody else has this key too.
    pub(crate) fn may_be_all_ours(&self, key: ReservationKey, job: &Job) -> bool {
        match self.named(self.with_key(key), job) {
            Some(owner) => owner == Ownership::Ours,
            None => self.count(key) <= job.own_nexuses(),
        }
    }

    /// Whose the nexus is that holds with `key` and that no usable path is.
    pub(crate) fn holder(&self, key: ReservationKey, job: &Job) -> Ownership {
        let holders = self.with_key(key).filter(|found| found.holder);
        match self.named(holders, job) {
            Some(owner) => owner,
            None => self.reckoned(key, job.own_nexuses(), job.recalls_holding(key), job),
        }
    }

    /// As [`Self::holder`], for one who wants to preempt it: that takes every registration of
    /// the key, so that all of them have to be this node's.
    pub(crate) fn preemptible_holder(&self, key: ReservationKey, job: &Job) -> Ownership {
        let owner = self.holder(key, job);
        let are_all_ours = match self.named(self.with_key(key), job) {
            Some(all) => all == Ownership::Ours,
            None => self.count(key) <= job.own_nexuses(),
        };
        if owner == Ownership::Ours && !are_all_ours {
            return Ownership::Unclear;
        }
        owner
    }

    /// Whose the registrations with `key` are; `None` if there are none beyond those that the
    /// usable paths can undo themselves.
    pub(crate) fn left_behind(&self, key: ReservationKey, job: &Job) -> Option<Ownership> {
        if self.is_within_reach(key, job) {
            return None;
        }
        Some(match self.named(self.with_key(key), job) {
            Some(owner) => owner,
            None => self.reckoned(key, job.own_nexuses(), job.recalls_registering(key), job),
        })
    }

    /// Whose the registrations with a key are that no usable path has any more; `None` if
    /// there are none.
    pub(crate) fn stale(&self, key: ReservationKey, job: &Job) -> Option<Ownership> {
        if self.count(key) == 0 {
            return None;
        }
        Some(match self.named(self.with_key(key), job) {
            Some(owner) => owner,
            None => {
                let most = job.nexuses_out_of_reach();
                self.reckoned(key, most, job.recalls_registering(key), job)
            }
        })
    }

    /// Whether a registration with this key is this node's; `None` if the ports do not tell.
    pub(crate) fn is_member(&self, key: ReservationKey, job: &Job) -> Option<bool> {
        let mut owners = self
            .with_key(key)
            .map(|found| job.owner_of(&found.transport_id));
        if owners.clone().any(|owner| owner == Ownership::Ours) {
            return Some(true);
        }
        let is_foreign = owners.all(|owner| owner == Ownership::Foreign);
        (is_foreign && matches!(self, Self::Named(_)) || self.count(key) == 0).then_some(false)
    }

    /// The registrations with this key, where they are named.
    fn with_key(&self, key: ReservationKey) -> impl Iterator<Item = &FullStatusDescriptor> + Clone {
        let descriptors = match self {
            Self::Named(status) => status.descriptors.as_slice(),
            Self::Counted { .. } => &[],
        };
        descriptors.iter().filter(move |found| found.key == key)
    }

    /// Whose these are by their ports, if ports are named and tell.
    fn named<'a>(
        &self,
        found: impl Iterator<Item = &'a FullStatusDescriptor>,
        job: &Job,
    ) -> Option<Ownership> {
        match self {
            Self::Named(_) => {
                let owner = together(found.map(|found| job.owner_of(&found.transport_id)));
                Some(owner.unwrap_or(Ownership::Foreign))
                    .filter(|owner| *owner != Ownership::Unclear)
            }
            Self::Counted { .. } => None,
        }
    }

    /// Whose the registrations are that no usable path has, without any ports: at most so many
    /// can be this node's.
    fn reckoned(&self, key: ReservationKey, most: usize, memory: Memory, job: &Job) -> Ownership {
        match (job.nexuses_out_of_reach(), memory) {
            (0, _) if job.recalls_all_nexuses(key) => Ownership::Foreign,
            (1.., Memory::Yes) if self.count(key) <= most && !job.has_lost_by_news() => {
                Ownership::Ours
            }
            _ => Ownership::Unclear,
        }
    }

    /// Whether every registration with this key is one that a usable path can end. Where ports
    /// are named, none may be of a port that has more registrations than usable paths, or a path
    /// that is not usable: that it is registered cannot be ruled out then.
    fn is_within_reach(&self, key: ReservationKey, job: &Job) -> bool {
        let is_covered = |found: &FullStatusDescriptor| {
            let port = &found.transport_id;
            let same = self
                .with_key(key)
                .filter(|other| is_same_initiator(&other.transport_id, port));
            let (usable, others) = job.paths_from(port);
            others == 0 && same.count() <= usable
        };
        match self {
            Self::Named(_) if job.knows_its_ports() => self.with_key(key).all(is_covered),
            _ => self.count(key) <= job.usable().len(),
        }
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
