//! What is wrong, or worth knowing, about the registrations on a map.

use alloc::vec::Vec;

use scsi_pr::{Reservation, ReservationKey, ReservationType, TransportId};

use super::{Appraisal, Naming, PathVerdict, Registered, Standing};
use crate::evidence::Ownership;
use crate::job::Job;
use crate::outcome::Holding;
use crate::path_return::Membership;
use crate::snapshot::{PathId, PathState};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Nothing fails now; it will when something else happens.
    Attention,
    /// I/O fails, or fencing does not work.
    Broken,
}

/// Something about the registrations on a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Paths that may carry I/O have no key, although this node is registered.
    PathsWithoutKey {
        /// Which.
        paths: Vec<PathId>,
        /// The key they should have.
        key: ReservationKey,
        /// The reservation that makes their I/O fail, if there is one.
        reservation: Option<Reservation>,
    },
    /// Paths that may carry I/O have another key than they should have.
    PathsWithOtherKey {
        /// Which, and the key that each has.
        paths: Vec<(PathId, ReservationKey)>,
        /// The key they should have.
        key: ReservationKey,
    },
    /// Paths that may carry I/O have a key, although this node is not registered.
    PathsWithKey {
        /// Which, and the key that each has.
        paths: Vec<(PathId, ReservationKey)>,
    },
    /// There are fewer registrations of this node's key than paths that may carry I/O; the device
    /// does not say which are missing.
    TooFewRegistrations {
        /// The key.
        key: ReservationKey,
        /// How many there are.
        count: usize,
        /// How many paths may carry I/O.
        usable: usize,
    },
    /// Nexuses of this node that are no path of the map are registered.
    LeakedKey {
        /// Their key.
        key: ReservationKey,
        /// How many.
        count: usize,
        /// Whether it is the key that this node has now.
        is_current: bool,
    },
    /// This node is registered with a key that is neither configured nor stored.
    NotConfigured {
        /// The key.
        key: ReservationKey,
    },
    /// The key that this node remembers to have registered is not the configured one.
    KeyChanged {
        /// The key of the registrations.
        registered: ReservationKey,
        /// The key that is configured, or stored.
        configured: ReservationKey,
    },
    /// Another node is registered with the same key.
    SharedKey {
        /// The key.
        key: ReservationKey,
        /// An initiator port of the other node.
        port: TransportId,
    },
    /// This node was registered, and none of its nexuses is any more.
    Preempted {
        /// The key that it had.
        key: ReservationKey,
        /// The reservation that stands now.
        reservation: Option<Reservation>,
    },
    /// Another node holds the reservation, and this one is not registered.
    ShutOut {
        /// The reservation.
        reservation: Reservation,
    },
    /// This node's path that holds the reservation is not usable.
    HolderOnDeadPath {
        /// Which.
        path: PathId,
    },
    /// A nexus of this node that is no path of the map holds the reservation.
    HolderOnLostPath,
    /// It cannot be told whose the reservation is.
    HolderUnclear {
        /// The key that holds.
        key: ReservationKey,
    },
    /// A key holds the reservation that nobody is registered with.
    HolderNotRegistered {
        /// The key.
        key: ReservationKey,
    },
    /// One path only may use the disk, and the map has more.
    SinglePathType {
        /// The type.
        reservation_type: ReservationType,
    },
    /// This node remembers to hold a reservation that it does not hold.
    RemembersHolding,
    /// This node holds a reservation that it does not remember.
    ForgotHolding,
    /// The device names no ports: most of the above cannot be told.
    PortsNotNamed,
}

impl Finding {
    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::PathsWithoutKey {
                reservation: Some(_),
                ..
            }
            | Self::PathsWithOtherKey { .. }
            | Self::Preempted { .. } => Severity::Broken,
            Self::LeakedKey {
                is_current: true, ..
            }
            | Self::ShutOut { .. }
            | Self::HolderOnDeadPath { .. }
            | Self::HolderOnLostPath
            | Self::ForgotHolding
            | Self::PortsNotNamed => Severity::Info,
            Self::PathsWithoutKey { .. }
            | Self::PathsWithKey { .. }
            | Self::TooFewRegistrations { .. }
            | Self::LeakedKey { .. }
            | Self::NotConfigured { .. }
            | Self::KeyChanged { .. }
            | Self::SharedKey { .. }
            | Self::HolderUnclear { .. }
            | Self::HolderNotRegistered { .. }
            | Self::SinglePathType { .. }
            | Self::RemembersHolding => Severity::Attention,
        }
    }
}

/// All there is, the worst first.
pub(super) fn of(seen: &Appraisal, job: &Job, standing: &Standing) -> Vec<Finding> {
    let mut findings = Vec::new();
    match preempted(seen, standing) {
        Some(preempted) => findings.push(preempted),
        None => {
            findings.extend(missing(seen));
            findings.extend(too_few(seen, job));
            findings.extend(shut_out(seen));
        }
    }
    findings.extend(other_keys(seen));
    findings.extend(leaked(seen));
    findings.extend(configuration(seen, standing));
    findings.extend(shared(seen));
    findings.extend(held(seen, job));
    findings.extend(memory(seen, standing));
    if seen.naming == Naming::Counted && !seen.keys.is_empty() {
        findings.push(Finding::PortsNotNamed);
    }
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity()));
    findings
}

fn preempted(seen: &Appraisal, standing: &Standing) -> Option<Finding> {
    let key = seen.expected?;
    let is_ours = |owner| owner != Ownership::Foreign;
    let is_registered = match seen.naming {
        Naming::Counted => seen.count(key) > 0,
        Naming::Named => {
            seen.paths
                .iter()
                .any(|path| !matches!(path.registered, Registered::Nothing))
                || seen.others.iter().any(|other| is_ours(other.owner))
        }
    };
    let is_lost = standing.membership == Membership::Lasting && !is_registered;
    is_lost.then_some(Finding::Preempted {
        key,
        reservation: seen.reservation,
    })
}

fn with_verdict(seen: &Appraisal, verdict: PathVerdict) -> Vec<(PathId, ReservationKey)> {
    let paths = seen.paths.iter().filter(|path| path.verdict == verdict);
    paths
        .map(|path| match path.registered {
            Registered::Key(key) => (path.id, key),
            Registered::Nothing | Registered::Unknown => (path.id, ReservationKey::NONE),
        })
        .collect()
}

fn missing(seen: &Appraisal) -> Option<Finding> {
    let paths = with_verdict(seen, PathVerdict::Missing);
    let key = seen.expected.filter(|_| !paths.is_empty())?;
    Some(Finding::PathsWithoutKey {
        paths: paths.into_iter().map(|(path, _)| path).collect(),
        key,
        reservation: seen.reservation,
    })
}

fn too_few(seen: &Appraisal, job: &Job) -> Option<Finding> {
    let key = seen.expected.filter(|_| seen.naming == Naming::Counted)?;
    let (count, usable) = (seen.count(key), job.usable().len());
    (count < usable).then_some(Finding::TooFewRegistrations { key, count, usable })
}

fn shut_out(seen: &Appraisal) -> Option<Finding> {
    let reservation = seen.reservation.filter(|_| seen.expected.is_none())?;
    let is_out = with_verdict(seen, PathVerdict::Unexpected).is_empty();
    is_out.then_some(Finding::ShutOut { reservation })
}

fn other_keys(seen: &Appraisal) -> Option<Finding> {
    if let Some(key) = seen.expected {
        let paths = with_verdict(seen, PathVerdict::Other);
        return (!paths.is_empty()).then_some(Finding::PathsWithOtherKey { paths, key });
    }
    let paths = with_verdict(seen, PathVerdict::Unexpected);
    (!paths.is_empty()).then_some(Finding::PathsWithKey { paths })
}

fn leaked(seen: &Appraisal) -> Vec<Finding> {
    let mut found: Vec<(ReservationKey, usize)> = Vec::new();
    let ours = |owner| owner == Ownership::Ours;
    for other in seen.others.iter().filter(|other| ours(other.owner)) {
        match found.iter_mut().find(|(key, _)| *key == other.key) {
            Some((_, count)) => *count += 1,
            None => found.push((other.key, 1)),
        }
    }
    let finding = |(key, count)| Finding::LeakedKey {
        key,
        count,
        is_current: seen.expected == Some(key),
    };
    found.into_iter().map(finding).collect()
}

fn configuration(seen: &Appraisal, standing: &Standing) -> Option<Finding> {
    let key = seen.expected?;
    match standing.configured {
        None => Some(Finding::NotConfigured { key }),
        Some(configured) if configured != key => Some(Finding::KeyChanged {
            registered: key,
            configured,
        }),
        Some(_) => None,
    }
}

fn shared(seen: &Appraisal) -> Option<Finding> {
    let key = seen.expected?;
    let is_shared = |owner, found| owner == Ownership::Foreign && found == key;
    let mut others = seen.others.iter();
    let other = others.find(|other| is_shared(other.owner, other.key))?;
    Some(Finding::SharedKey {
        key,
        port: other.transport_id.clone(),
    })
}

fn held(seen: &Appraisal, job: &Job) -> Vec<Finding> {
    let (Some(holder), Some(reservation)) = (&seen.holder, seen.reservation) else {
        return Vec::new();
    };
    let key = reservation.key;
    if seen.naming == Naming::Counted && seen.count(key) == 0 {
        return Vec::from([Finding::HolderNotRegistered { key }]);
    }
    let reservation_type = reservation.reservation_type;
    let is_single = !reservation_type.is_registrants_only();
    let single = is_single && job.usable().len() > 1;
    let mut findings = Vec::new();
    match (holder.owner, holder.path) {
        (Ownership::Ours, Some(path)) if is_away(job, path) => {
            findings.push(Finding::HolderOnDeadPath { path });
        }
        (Ownership::Ours, None) if seen.naming == Naming::Named => {
            findings.push(Finding::HolderOnLostPath);
        }
        (Ownership::Unclear, _) => findings.push(Finding::HolderUnclear { key }),
        _ => {}
    }
    if single && holder.owner == Ownership::Ours {
        findings.push(Finding::SinglePathType { reservation_type });
    }
    findings
}

fn is_away(job: &Job, id: PathId) -> bool {
    let mut paths = job.paths.iter();
    paths.any(|path| path.id == id && path.state != PathState::Usable)
}

/// Of all registrants each holds: there is nothing to be remembered wrongly.
fn memory(seen: &Appraisal, standing: &Standing) -> Option<Finding> {
    let is_ours = seen.holder.as_ref().map(|holder| holder.owner);
    match (standing.holding, is_ours) {
        (Some(Holding::Held(_)), None) if seen.reservation.is_none() => {
            Some(Finding::RemembersHolding)
        }
        (Some(Holding::Held(_)), Some(Ownership::Foreign)) => Some(Finding::RemembersHolding),
        (Some(Holding::NotHeld), Some(Ownership::Ours)) => Some(Finding::ForgotHolding),
        _ => None,
    }
}
