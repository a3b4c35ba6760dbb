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

use alloc::vec::Vec;

use scsi_pr::{
    FullStatusDescriptor, ReadFullStatus, ReadKeys, Reservation, ReservationKey, TransportId,
};

use self::own::Memory;
pub(crate) use self::own::is_same_initiator;
use crate::job::Job;

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// This node's.
    Ours,
    /// Another node's, or another node has a part in it.
    Foreign,
    /// It cannot be told.
    Unclear,
}

/// Registrations of a key that may be this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: usize,
    /// Whether those of other nodes are known and not among them.
    pub(crate) is_named: bool,
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

impl Tally {
    /// There is none, says the device: it compares the key of the first path with that.
    pub(crate) const NONE: Self = Self {
        count: 0,
        is_named: false,
    };
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

    /// Whether nobody is registered.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Named(status) => status.descriptors.is_empty(),
            Self::Counted { keys, .. } => keys.keys.is_empty(),
        }
    }

    /// Registrations with this key.
    pub(crate) fn count(&self, key: ReservationKey) -> usize {
        match self {
            Self::Named(_) => self.with_key(key).count(),
            Self::Counted { keys, .. } => keys.keys.iter().filter(|found| **found == key).count(),
        }
    }

    /// Registrations with this key, but for those that the device names as other nodes'.
    pub(crate) fn tally(&self, key: ReservationKey, job: &Job) -> Tally {
        match self {
            Self::Counted { .. } => Tally {
                count: self.count(key),
                is_named: false,
            },
            Self::Named(_) => {
                let is_foreign = |found: &&FullStatusDescriptor| {
                    job.owner_of(&found.transport_id) == Ownership::Foreign
                };
                let all = self.with_key(key);
                Tally {
                    count: all.filter(|found| !is_foreign(found)).count(),
                    is_named: true,
                }
            }
        }
    }

    /// How many registrations there are at least if so many paths have registered. Some devices
    /// keep one for each initiator port, whatever the number of paths.
    pub(crate) fn least_registrations(&self, paths: usize, job: &Job) -> usize {
        let Self::Named(status) = self else {
            return paths;
        };
        let mut found = status.descriptors.as_slice();
        while let [first, rest @ ..] = found {
            if rest
                .iter()
                .any(|other| other.transport_id == first.transport_id)
            {
                return paths;
            }
            found = rest;
        }
        paths.min(job.distinct_ports())
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

    /// Whether the device cannot say whose the registrations with this key are, and there was none
    /// before this node registered with it.
    pub(crate) fn is_new(&self, key: ReservationKey, job: &Job) -> bool {
        let was_nothing = match (&job.before_change, job.before_crash) {
            (_, Some(before)) => before.registrations == 0,
            (Some(standing), None) => standing.old.count + standing.new.count == 0,
            (None, None) => false,
        };
        let count = self.count(key);
        was_nothing
            && self.named(self.with_key(key), job).is_none()
            && (1..=job.own_nexuses()).contains(&count)
    }

    /// The initiator ports that are registered with this key, where they are named.
    pub(crate) fn ports(&self, key: ReservationKey) -> Vec<TransportId> {
        let found = self.with_key(key);
        found.map(|found| found.transport_id.clone()).collect()
    }

    /// How many initiator ports are registered with this key; 0 where they are not named.
    pub(crate) fn distinct_ports(&self, key: ReservationKey) -> usize {
        let mut ports = Vec::new();
        for port in self.ports(key) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports.len()
    }

    /// All initiator ports that are registered, with their keys, where they are named.
    pub(crate) fn registered(&self) -> Vec<(TransportId, ReservationKey)> {
        match self {
            Self::Named(status) => {
                let all = status.descriptors.iter();
                all.map(|found| (found.transport_id.clone(), found.key))
                    .collect()
            }
            Self::Counted { .. } => Vec::new(),
        }
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
            None => {
                let memory = job.recalls_holding(key).unless_lost(job);
                self.reckoned(key, job.own_nexuses(), memory, job)
            }
        }
    }

    /// The initiator port that holds the reservation, where it is named and is one.
    pub(crate) fn holding_port(&self) -> Option<&TransportId> {
        let held = self.reservation()?;
        let Self::Named(status) = self else {
            return None;
        };
        let mut holders = status.descriptors.iter().filter(|found| found.holder);
        let holder = holders.next()?;
        let is_shared = held.reservation_type.is_all_registrants();
        (!is_shared).then_some(&holder.transport_id)
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
    /// usable paths can undo themselves. News that something was taken away do not matter: who
    /// is not registered any more cannot preempt them either.
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
                let memory = job.recalls_registering(key).unless_lost(job);
                self.reckoned(key, most, memory, job)
            }
        })
    }

    /// Whether so many registrations with this key are this node's as far as the record tells,
    /// where the ports do not.
    pub(crate) fn recalls(&self, key: ReservationKey, count: usize, job: &Job) -> bool {
        self.is_unnamed(key, job)
            && job.recalls_registering(key) == Memory::Yes
            && count <= job.own_nexuses()
    }

    /// Whether the ports do not tell whose the registrations with this key are.
    pub(crate) fn is_unnamed(&self, key: ReservationKey, job: &Job) -> bool {
        self.named(self.with_key(key), job).is_none()
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

    /// A port that has this key and is another node's.
    pub(crate) fn stranger(&self, key: ReservationKey, job: &Job) -> Option<TransportId> {
        let ports = self.with_key(key).map(|found| &found.transport_id);
        let mut strangers = ports.filter(|port| job.owner_of(port) == Ownership::Foreign);
        strangers.next().cloned()
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
            (1.., Memory::Yes) if self.count(key) <= most => Ownership::Ours,
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
            _ if job.nexuses_out_of_reach() == 0 => self.count(key) <= job.usable().len(),
            // Any of them may be a dead path's, and a usable one lack the key.
            _ => self.count(key) == 0,
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use Ownership::{Foreign, Ours, Unclear};
    use scsi_pr::{IscsiTransportId, ReservationType, Scope, TransportId, UnitAttention};

    use super::*;
    use crate::courier::News;
    use crate::request::{Release, Request};
    use crate::snapshot::{Path, PathId, PathState, Snapshot};
    use crate::transaction::Options;

    const KEY: ReservationKey = ReservationKey(0xa);
    const TYPE: ReservationType = ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY;

    fn port(address: u64) -> TransportId {
        TransportId::Sas { address }
    }

    /// Paths 1 and 2 are usable, 3 is dead; three nexuses are remembered to be registered.
    fn job(holding: bool) -> Job {
        let state = |id| {
            if id == 3 {
                PathState::Dead
            } else {
                PathState::Usable
            }
        };
        let path = |id: u32| Path {
            id: PathId(id),
            state: state(id),
            initiator_port: Some(port(u64::from(id))),
        };
        let snapshot = Snapshot {
            paths: (1..=3).map(path).collect(),
            remembered_key: Some(KEY),
            remembered_holding: holding,
            remembered_nexuses: 3,
            ..Snapshot::default()
        };
        let request = Request::Release(Release {
            key: KEY,
            reservation_type: TYPE,
        });
        let options = Options::for_request(&request);
        Job::new(request, snapshot, options)
    }

    /// Ports registered with the key; the last one holds.
    fn named(ports: impl IntoIterator<Item = TransportId>) -> Census {
        let descriptor = |transport_id| FullStatusDescriptor {
            key: KEY,
            all_tg_pt: false,
            holder: false,
            scope: Scope::LOGICAL_UNIT,
            reservation_type: TYPE,
            relative_target_port: 1,
            transport_id,
        };
        let mut descriptors: Vec<_> = ports.into_iter().map(descriptor).collect();
        if let Some(last) = descriptors.last_mut() {
            last.holder = true;
        }
        Census::Named(ReadFullStatus::new(7, descriptors))
    }

    fn ports(addresses: &[u64]) -> Census {
        named(addresses.iter().map(|address| port(*address)))
    }

    fn counted(count: usize) -> Census {
        Census::Counted {
            keys: ReadKeys::new(7, [KEY].repeat(count)),
            reservation: None,
        }
    }

    #[test]
    fn whose_it_is_by_the_ports() {
        let rows: [(&[u64], _, _, _, _); 7] = [
            // Registered ports, whose the holder is, whether it may be preempted, what the
            // usable paths leave behind, whether we are registered.
            (&[1, 2], Ours, Ours, None, Some(true)),
            (&[1, 2, 3], Ours, Ours, Some(Ours), Some(true)),
            // A usable path without a registration, and a dead one with it.
            (&[1, 3], Ours, Ours, Some(Ours), Some(true)),
            (&[1, 1], Ours, Ours, Some(Ours), Some(true)),
            (&[1, 2, 99], Foreign, Foreign, Some(Foreign), Some(true)),
            (&[99, 3], Ours, Unclear, Some(Foreign), Some(true)),
            (&[99], Foreign, Foreign, Some(Foreign), Some(false)),
        ];
        for (registered, holder, victim, left, member) in rows {
            let (census, job) = (ports(registered), job(true));
            assert_eq!(census.holder(KEY, &job), holder, "{registered:?}");
            assert_eq!(
                census.preemptible_holder(KEY, &job),
                victim,
                "{registered:?}"
            );
            assert_eq!(census.left_behind(KEY, &job), left, "{registered:?}");
            assert_eq!(census.is_member(KEY, &job), member, "{registered:?}");
        }
    }

    #[test]
    fn whose_it_is_by_counting() {
        let rows = [
            // How many, whether the record says that we hold, whose the holder is, what the
            // usable paths leave behind, what is left of an old key.
            (0, true, Ours, None, None),
            (1, true, Ours, Some(Ours), Some(Ours)),
            (2, true, Ours, Some(Ours), Some(Unclear)),
            (3, true, Ours, Some(Ours), Some(Unclear)),
            (3, false, Unclear, Some(Ours), Some(Unclear)),
            (4, true, Unclear, Some(Unclear), Some(Unclear)),
        ];
        for (count, holding, holder, left, stale) in rows {
            let (census, job) = (counted(count), job(holding));
            assert_eq!(census.holder(KEY, &job), holder, "{count}");
            assert_eq!(census.left_behind(KEY, &job), left, "{count}");
            assert_eq!(census.stale(KEY, &job), stale, "{count}");
            let is_gone = (count == 0).then_some(false);
            assert_eq!(census.is_member(KEY, &job), is_gone, "{count}");
        }
    }

    #[test]
    fn what_weakens_the_record() {
        let holder = |change: &dyn Fn(&mut Job)| {
            let mut job = job(true);
            change(&mut job);
            counted(3).holder(KEY, &job)
        };
        assert_eq!(holder(&|_| ()), Ours);
        let from = |path| {
            move |job: &mut Job| {
                job.note_news(Vec::from([News {
                    path: Some(PathId(path)),
                    attention: UnitAttention::RegistrationsPreempted,
                }]));
            }
        };
        assert_eq!(holder(&from(1)), Unclear);
        // What a path that was away is told may be long ago.
        assert_eq!(holder(&from(3)), Ours);
        assert_eq!(holder(&|job| job.remembered_key = None), Unclear);
        assert_eq!(holder(&|job| drop(job.paths.pop())), Ours);
        // A fourth nexus may be another node's, or one of ours that is gone.
        let mut job = job(true);
        assert_eq!(counted(4).holder(KEY, &job), Unclear);
        job.remembered_gone = 1;
        assert_eq!(counted(4).holder(KEY, &job), Ours);
        let all_within_reach = |job: &mut Job| {
            job.paths.pop();
            job.remembered_nexuses = 2;
        };
        assert_eq!(holder(&all_within_reach), Foreign);
        let nothing_recorded = |job: &mut Job| {
            job.paths.pop();
            job.remembered_nexuses = 0;
        };
        assert_eq!(holder(&nothing_recorded), Unclear);
    }

    /// A port that this host cannot name proves nothing about another; the count has to.
    #[test]
    fn a_host_that_does_not_know_its_ports() {
        let mut job = job(true);
        job.paths[2].initiator_port = None;
        assert_eq!(ports(&[1, 2, 99]).holder(KEY, &job), Ours);
        assert_eq!(ports(&[1, 2, 98, 99]).holder(KEY, &job), Unclear);
        assert_eq!(ports(&[1, 99]).is_member(KEY, &job), Some(true));
        assert_eq!(ports(&[99]).is_member(KEY, &job), None);
        job.own_ports.push(port(99));
        assert_eq!(ports(&[1, 2, 98, 99]).holder(KEY, &job), Ours);
    }

    #[test]
    fn another_session_of_our_iscsi_initiator_is_ours() {
        let session = |name: &str, isid| {
            TransportId::Iscsi(IscsiTransportId::Port {
                name: name.into(),
                isid,
            })
        };
        let mut job = job(false);
        for path in &mut job.paths {
            path.initiator_port = Some(session("iqn.2026-01.example:us", 1));
        }
        let census = named([session("iqn.2026-01.Example:us", 2)]);
        assert_eq!(census.holder(KEY, &job), Ours);
        let census = named([session("iqn.2026-01.example:them", 1)]);
        assert_eq!(census.holder(KEY, &job), Foreign);
    }
}
