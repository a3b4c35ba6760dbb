//! Which registration is which path's.

use alloc::vec::Vec;

use scsi_pr::{FullStatusDescriptor, IscsiTransportId, TransportId};

use super::{Counting, Registered, Standing, Stranger};
use crate::evidence::{Census, is_same_initiator};
use crate::job::Job;
use crate::snapshot::{Path, PathId};

/// The registrations that a device names, beside the paths of the map.
#[derive(Debug)]
pub(super) struct Ports<'a> {
    found: Option<&'a [FullStatusDescriptor]>,
    job: &'a Job,
    target_ports: &'a [(PathId, u16)],
    counting: Counting,
    precision: Precision,
    all_registrants: bool,
    is_empty: bool,
}

/// How an iSCSI session is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    /// By name and ISID: what this host takes for its ISIDs has been seen on the device.
    Session,
    /// By name alone.
    Node,
}

impl<'a> Ports<'a> {
    pub(super) fn new(census: &'a Census, job: &'a Job, standing: &'a Standing) -> Self {
        let found = match census {
            Census::Named(status) => Some(status.descriptors.as_slice()),
            Census::Counted { .. } => None,
        };
        let reservation = census.reservation();
        Self {
            found,
            job,
            target_ports: &standing.target_ports,
            counting: counting(found.unwrap_or_default(), job, standing),
            precision: precision(found.unwrap_or_default(), job),
            all_registrants: reservation
                .is_some_and(|held| held.reservation_type.is_all_registrants()),
            is_empty: census.is_empty(),
        }
    }

    /// What is registered for a path, and whether that holds the reservation.
    pub(super) fn registered(&self, path: &Path) -> (Registered, bool) {
        if self.is_empty {
            return (Registered::Nothing, false);
        }
        let (Some(found), true) = (self.found, self.is_recognisable(path)) else {
            return (Registered::Unknown, false);
        };
        match found.iter().find(|found| self.is_of(found, path)) {
            Some(found) => {
                let holds = found.holder || self.all_registrants;
                (Registered::Key(found.key), holds)
            }
            None => (Registered::Nothing, false),
        }
    }

    /// The path that a registration is of.
    pub(super) fn path_of(&self, found: &FullStatusDescriptor) -> Option<PathId> {
        let mut paths = self.job.paths.iter();
        let path = paths.find(|path| self.is_recognisable(path) && self.is_of(found, path));
        path.map(|path| path.id)
    }

    /// Registrations of nexuses that are no path of the map.
    pub(super) fn strangers(&self) -> Vec<Stranger> {
        let found = self.found.unwrap_or_default().iter();
        let strangers = found.filter(|found| self.path_of(found).is_none());
        strangers
            .map(|found| Stranger {
                owner: self.job.owner_of(&found.transport_id),
                key: found.key,
                holds: found.holder || self.all_registrants,
                relative_target_port: (!found.all_tg_pt).then_some(found.relative_target_port),
                transport_id: found.transport_id.clone(),
                successor: self.successor(found),
            })
            .collect()
    }

    fn successor(&self, found: &FullStatusDescriptor) -> Option<PathId> {
        let port = &found.transport_id;
        if !is_one_session(port) || !self.job.own_ports.contains(port) {
            return None;
        }
        let is_successor = |path: &&Path| {
            let own = path.initiator_port.as_ref();
            let is_same_node = |own| is_one_session(own) && is_same_initiator(own, port);
            own.is_some_and(is_same_node)
                && self.target_port(path) == Some(found.relative_target_port)
        };
        let mut paths = self.job.paths.iter();
        paths.find(is_successor).map(|path| path.id)
    }

    /// Whether it can be told which registration is this path's.
    fn is_recognisable(&self, path: &Path) -> bool {
        let Some(port) = &path.initiator_port else {
            return false;
        };
        let is_alone = || paths_from(self.job, port) == 1;
        self.target_port(path).is_some()
            || self.counting == Counting::PerInitiatorPort
            || is_alone()
    }

    fn is_of(&self, found: &FullStatusDescriptor, path: &Path) -> bool {
        let Some(port) = &path.initiator_port else {
            return false;
        };
        let is_port = match self.precision {
            Precision::Session => is_session(port, &found.transport_id),
            Precision::Node => is_same_initiator(port, &found.transport_id),
        };
        let is_target = found.all_tg_pt
            || self.counting == Counting::PerInitiatorPort
            || self
                .target_port(path)
                .is_none_or(|port| port == found.relative_target_port);
        is_port && is_target
    }

    fn target_port(&self, path: &Path) -> Option<u16> {
        let known = self.target_ports.iter().find(|(id, _)| *id == path.id);
        known.map(|(_, port)| *port)
    }
}

fn is_one_session(port: &TransportId) -> bool {
    matches!(port, TransportId::Iscsi(IscsiTransportId::Port { .. }))
}

/// A port of which only the name is known is every session of that name.
fn is_session(port: &TransportId, found: &TransportId) -> bool {
    match port {
        TransportId::Iscsi(IscsiTransportId::Device { .. }) => is_same_initiator(port, found),
        _ => port == found,
    }
}

/// open-iscsi's ISIDs are a guess of this host until the device has named one of them.
fn precision(found: &[FullStatusDescriptor], job: &Job) -> Precision {
    let paths = job.paths.iter();
    let mut own = paths
        .filter_map(|path| path.initiator_port.as_ref())
        .chain(&job.own_ports);
    let is_named = |port: &TransportId| found.iter().any(|found| found.transport_id == *port);
    if own.any(is_named) {
        Precision::Session
    } else {
        Precision::Node
    }
}

/// Some arrays keep one registration for each initiator port. It takes two such ports with several
/// paths each to tell that from a path that has lost its key.
fn counting(found: &[FullStatusDescriptor], job: &Job, standing: &Standing) -> Counting {
    if standing.counting == Counting::PerInitiatorPort {
        return Counting::PerInitiatorPort;
    }
    let is_once = |found: &FullStatusDescriptor, all: &[FullStatusDescriptor]| {
        let same = all
            .iter()
            .filter(|other| other.transport_id == found.transport_id);
        same.count() == 1 && !found.all_tg_pt
    };
    let several = |found: &&FullStatusDescriptor| paths_from(job, &found.transport_id) > 1;
    let ports = found.iter().filter(several).count();
    if ports > 1 && found.iter().all(|one| is_once(one, found)) {
        Counting::PerInitiatorPort
    } else {
        Counting::PerNexus
    }
}

fn paths_from(job: &Job, port: &TransportId) -> usize {
    let from = job
        .paths
        .iter()
        .filter(|path| path.initiator_port.as_ref() == Some(port));
    from.count()
}
