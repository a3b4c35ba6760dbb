//! What can be put right without being asked what is wanted: only what evidence says is this
//! node's, and never a registration that was taken away.

use alloc::vec::Vec;

use scsi_pr::{ReservationKey, ReservationType};

use super::{Appraisal, Finding, Naming, PathVerdict, Registered};
use crate::evidence::Ownership;
use crate::request::{Preempt, Request, VictimCommands};
use crate::snapshot::PathId;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Settle a path as one that comes back is settled ([`PathReturn`](crate::PathReturn)): it
    /// gets the node's key if the node is still a member, and loses any other way.
    Settle(PathId),
    /// Remove registrations of a key that this node has had.
    Purge(Request),
}

/// Why something is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reluctance {
    /// This node was shut out: coming back is for whoever fenced it to allow.
    ShutOut,
    /// Not every registration of the key is named as this node's.
    NotOurs(ReservationKey),
    /// The node is not registered itself, and so cannot remove anything.
    NotRegistered(ReservationKey),
    /// The device does not say which path it is.
    NotNamed(ReservationKey),
    /// A session that is no more is still registered with the node's own key. To preempt that
    /// leaves a path registered only where this node holds the reservation: anywhere else a node
    /// that is being fenced could come back by it.
    Superseded(ReservationKey),
}

impl Appraisal {
    /// What to do, in this order, and what is better left as it is.
    #[must_use]
    pub fn remedies(&self) -> (Vec<Remedy>, Vec<Reluctance>) {
        let mut remedies = Vec::new();
        let mut reluctant = Vec::new();
        let is_off = |verdict| {
            matches!(
                verdict,
                PathVerdict::Missing | PathVerdict::Other | PathVerdict::Unexpected
            )
        };
        let is_shut_out = |finding: &Finding| matches!(finding, Finding::Preempted { .. });
        if self.findings.iter().any(is_shut_out) {
            reluctant.push(Reluctance::ShutOut);
            return (remedies, reluctant);
        }
        let off = self.paths.iter().filter(|path| is_off(path.verdict));
        remedies.extend(off.map(|path| Remedy::Settle(path.id)));
        for finding in &self.findings {
            match finding {
                Finding::LeakedKey {
                    key,
                    is_current: false,
                    ..
                } => match self.purge(*key) {
                    Ok(request) => remedies.push(Remedy::Purge(request)),
                    Err(reason) => reluctant.push(reason),
                },
                Finding::LeakedKey {
                    key,
                    is_current: true,
                    ..
                } if self.is_superseded(*key) => match self.end_superseded(*key) {
                    Ok(request) => remedies.push(Remedy::Purge(request)),
                    Err(reason) => reluctant.push(reason),
                },
                Finding::TooFewRegistrations { key, .. } => {
                    reluctant.push(Reluctance::NotNamed(*key));
                }
                _ => {}
            }
        }
        (remedies, reluctant)
    }

    fn is_superseded(&self, key: ReservationKey) -> bool {
        let mut others = self.others.iter();
        others.any(|other| other.key == key && other.successor.is_some())
    }

    fn end_superseded(&self, key: ReservationKey) -> Result<Request, Reluctance> {
        let is_ours = |holder: &super::Holder| holder.owner == Ownership::Ours;
        match self.holder.as_ref().is_some_and(is_ours) {
            true => self.purge(key),
            false => Err(Reluctance::Superseded(key)),
        }
    }

    /// A preemption takes every registration of the key, so that all have to be this node's.
    fn purge(&self, victim: ReservationKey) -> Result<Request, Reluctance> {
        let has_key = |path: &super::PathAppraisal| Registered::Key(victim) == path.registered;
        let on_paths = self.paths.iter().filter(|path| has_key(path)).count();
        let ours = |other: &&super::Stranger| other.key == victim && other.owner == Ownership::Ours;
        let lost = self.others.iter().filter(ours).count();
        let is_all_ours = self.naming == Naming::Named && on_paths + lost == self.count(victim);
        if !is_all_ours {
            return Err(Reluctance::NotOurs(victim));
        }
        let is_member = |path: &super::PathAppraisal| path.verdict == PathVerdict::Right;
        let key = self.expected.filter(|_| self.paths.iter().any(is_member));
        let Some(key) = key else {
            return Err(Reluctance::NotRegistered(victim));
        };
        let held = self.reservation.map(|held| held.reservation_type);
        Ok(Request::Preempt(Preempt {
            key,
            victim,
            reservation_type: held.unwrap_or(ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY),
            commands: VictimCommands::Finish,
        }))
    }
}
