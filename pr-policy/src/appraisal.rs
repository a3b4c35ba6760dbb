//! What the registrations on a map amount to: which path has which key, whose all others are, who
//! holds the reservation, and what is wrong with that.
//!
//! Only what a reading tells is used: the stronger evidence (a REGISTER that succeeds where the
//! key is) would change the device's generation, and is left to commands. What cannot be told by
//! reading is said to be unclear.

mod findings;
mod matching;
mod remedies;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use scsi_pr::{FullStatusDescriptor, Reservation, ReservationKey, TransportId};

pub use self::findings::{Finding, Severity};
use self::matching::Ports;
pub use self::remedies::{Reluctance, Remedy};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::outcome::Holding;
use crate::path_return::Membership;
use crate::snapshot::{Path, PathId, PathState};

/// What this node is and is to be, beside what its [`Snapshot`](crate::Snapshot) remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it remembers of its registration.
    pub membership: Membership,
    /// What it remembers of the reservation, if anything.
    pub holding: Option<Holding>,
    /// The key that is configured, or stored, for the map.
    pub configured: Option<ReservationKey>,
    /// The relative target port of each path, where this host can tell.
    pub target_ports: Vec<(PathId, u16)>,
    /// What is known of the device's way to count.
    pub counting: Counting,
}

/// How a device counts registrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// One for each nexus, as the standard has it, unless it looks otherwise.
    #[default]
    PerNexus,
    /// One for each initiator port.
    PerInitiatorPort,
}

/// What stands on the device, seen from one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appraisal {
    /// PRGENERATION.
    pub generation: u32,
    /// Whether the device names the ports of registrations.
    pub naming: Naming,
    /// The reservation.
    pub reservation: Option<Reservation>,
    /// Whose it is, if a single nexus holds it.
    pub holder: Option<Holder>,
    /// The key that the paths should have; none if this node need not be registered.
    pub expected: Option<ReservationKey>,
    /// The map's paths, in the map's order.
    pub paths: Vec<PathAppraisal>,
    /// Registrations that no path of the map is.
    pub others: Vec<Stranger>,
    /// Every key and how many registrations have it.
    pub keys: Vec<(ReservationKey, usize)>,
    /// What is not as it should be, and what is worth knowing.
    pub findings: Vec<Finding>,
}

/// How much a device says of its registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Key and ports of each (READ FULL STATUS).
    Named,
    /// The keys alone (READ KEYS).
    Counted,
}

/// The holder of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub owner: Ownership,
    /// The path that it is, if it is one of the map.
    pub path: Option<PathId>,
    /// Its initiator port, if the device names it.
    pub port: Option<TransportId>,
    /// What says so.
    pub evidence: Evidence,
}

/// What an [`Ownership`] rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The device names its initiator port.
    Port,
    /// It is of a key that this node does not use.
    Key,
    /// This node remembers it, and no count speaks against it.
    Memory,
    /// Nothing.
    None,
}

/// One path of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathAppraisal {
    /// Which.
    pub id: PathId,
    /// What is registered for it.
    pub registered: Registered,
    /// Whether that is as it should be.
    pub verdict: PathVerdict,
    /// It holds the reservation, alone or with all registrants.
    pub holds: bool,
}

/// What is registered for a nexus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// This key.
    Key(ReservationKey),
    /// No key.
    Nothing,
    /// The device, or this host, does not tell.
    Unknown,
}

/// Whether a path's registration is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathVerdict {
    /// It has the key that it should have, or none as it should have none.
    Right,
    /// It may carry I/O and has no key.
    Missing,
    /// It has another key than it should have.
    Other,
    /// It has a key although this node is not to be registered.
    Unexpected,
    /// It is not in use: what it has matters when it comes back.
    Away,
    /// It cannot be told.
    Unclear,
}

/// A registration of a nexus that is no path of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Whose it is.
    pub owner: Ownership,
    /// Its key.
    pub key: ReservationKey,
    /// It holds the reservation.
    pub holds: bool,
    /// Its target port; none: all of them.
    pub relative_target_port: Option<u16>,
    /// Its initiator port.
    pub transport_id: TransportId,
    /// The path that has taken its place, if this node remembers to have registered it: an iSCSI
    /// session to the same port, set up again under another ISID.
    pub successor: Option<PathId>,
}

impl Appraisal {
    pub(crate) fn new(census: &Census, job: &Job, standing: &Standing) -> Self {
        let ports = Ports::new(census, job, standing);
        let expected = expected(census, job, standing, &ports);
        let mut paths: Vec<&Path> = job.paths.iter().collect();
        paths.sort_by_key(|path| path.id);
        let judged = |path: &&Path| ports.appraise(path, expected);
        let mut appraisal = Self {
            generation: census.generation(),
            naming: match census {
                Census::Named(_) => Naming::Named,
                Census::Counted { .. } => Naming::Counted,
            },
            reservation: census.reservation(),
            holder: holder(census, job, &ports),
            expected,
            paths: paths.iter().map(judged).collect(),
            others: ports.strangers(),
            keys: keys(census),
            findings: Vec::new(),
        };
        appraisal.findings = findings::of(&appraisal, job, standing);
        appraisal
    }

    /// Registrations with a key.
    #[must_use]
    pub fn count(&self, key: ReservationKey) -> usize {
        let found = self.keys.iter().find(|(known, _)| *known == key);
        found.map_or(0, |(_, count)| *count)
    }
}

/// The key that this node's paths should have. One that never registered here is to have a key if
/// it has one all the same: then it is the configured one, or else the one it has.
fn expected(
    census: &Census,
    job: &Job,
    standing: &Standing,
    ports: &Ports<'_>,
) -> Option<ReservationKey> {
    match standing.membership {
        Membership::Lasting => job.remembered_key.or(standing.configured),
        Membership::Ended => None,
        Membership::Never => match census {
            Census::Counted { .. } => standing.configured.filter(|key| census.count(*key) > 0),
            Census::Named(status) => {
                let is_ours = |found: &&FullStatusDescriptor| ports.path_of(found).is_some();
                let ours = status.descriptors.iter().find(is_ours)?;
                Some(standing.configured.unwrap_or(ours.key))
            }
        },
    }
}

fn holder(census: &Census, job: &Job, ports: &Ports<'_>) -> Option<Holder> {
    let reservation = census.reservation()?;
    if reservation.reservation_type.is_all_registrants() {
        return None;
    }
    let Census::Named(status) = census else {
        return Some(counted_holder(census, reservation.key, job));
    };
    let found = status.descriptors.iter().find(|found| found.holder)?;
    Some(Holder {
        owner: job.owner_of(&found.transport_id),
        path: ports.path_of(found),
        port: Some(found.transport_id.clone()),
        evidence: match job.owner_of(&found.transport_id) {
            Ownership::Unclear => Evidence::None,
            _ => Evidence::Port,
        },
    })
}

/// Without any ports: a key that is not this node's is another's, and of its own key it has the
/// record and the count.
fn counted_holder(census: &Census, key: ReservationKey, job: &Job) -> Holder {
    let is_own = job.remembered_key == Some(key);
    let may_be_ours = is_own && job.remembered_holding && census.may_be_all_ours(key, job);
    let (owner, evidence) = match (is_own, job.remembered_key) {
        _ if may_be_ours => (Ownership::Ours, Evidence::Memory),
        (false, Some(_)) => (Ownership::Foreign, Evidence::Key),
        _ => (Ownership::Unclear, Evidence::None),
    };
    Holder {
        owner,
        path: None,
        port: None,
        evidence,
    }
}

fn keys(census: &Census) -> Vec<(ReservationKey, usize)> {
    let mut keys: Vec<ReservationKey> = match census {
        Census::Named(status) => status.descriptors.iter().map(|found| found.key).collect(),
        Census::Counted { keys, .. } => keys.keys.clone(),
    };
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| (key, census.count(key)))
        .collect()
}

impl Ports<'_> {
    fn appraise(&self, path: &Path, expected: Option<ReservationKey>) -> PathAppraisal {
        let (registered, holds) = self.registered(path);
        PathAppraisal {
            id: path.id,
            registered,
            verdict: verdict(path.state, registered, expected),
            holds,
        }
    }
}

fn verdict(
    state: PathState,
    registered: Registered,
    expected: Option<ReservationKey>,
) -> PathVerdict {
    match (state, registered, expected) {
        (PathState::Dead | PathState::Doubtful, ..) => PathVerdict::Away,
        (_, Registered::Unknown, None) => PathVerdict::Right,
        (_, Registered::Unknown, Some(_)) => PathVerdict::Unclear,
        (_, Registered::Nothing, None) => PathVerdict::Right,
        (_, Registered::Nothing, Some(_)) => PathVerdict::Missing,
        (_, Registered::Key(_), None) => PathVerdict::Unexpected,
        (_, Registered::Key(found), Some(key)) if found == key => PathVerdict::Right,
        (_, Registered::Key(_), Some(_)) => PathVerdict::Other,
    }
}
