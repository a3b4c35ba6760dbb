//! Cases that are known to break a promise: named, with the reason, and left out by name.
//!
//! Each stands for histories in which *this fault strikes here*; leaving them out keeps the rest
//! of the search meaningful. An exclusion that is not needed any more is to be deleted.

use super::op::{Fault, Link, Op};
use super::setting::Wiring;
use super::stage::World;
use crate::request::Request;
use scsi_pr::ReservationKey;
use scsi_pr::device_server::Quirks;

/// A case that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Another node takes registrations away while this one registers: the paths registered
    /// before that lose theirs, those after it keep them (P3).
    TakingDuringRegister,
    /// The same while this node unregisters. The device takes that in two steps if this node
    /// holds: after RELEASE a PREEMPT of its key finds no reservation to take, and whoever sent
    /// it does not hold (P1, P3). And a takeover meets a conflict where one disk that ignores
    /// the key has nothing to do (P1).
    TakingDuringUnregister,
    /// The same while this node releases: a path that released in vain before hides the
    /// conflict of the one after (P1).
    TakingDuringRelease,
    /// A path dies while this node unregisters by taking the reservation over from a dead path:
    /// if it is the new holder, nobody is left to purge it (P4).
    LossDuringLeavingTakeover,
    /// A path dies while this node unregisters on a device that does not tell whose the
    /// registrations are: it is not known before that it will have to be purged (P4).
    LossDuringUncountedUnregister,
    /// Another node registers the key that this one is about to end everywhere at once, after
    /// this one has looked whose it is: no PREEMPT can be made to depend on that (P5).
    SameKeyDuringPurge,
    /// RESERVE without an answer by a node whose key another node has too: the key alone tells
    /// who holds (P1).
    SilentReserveWithSharedKey,
}

impl Exclusion {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TakingDuringRegister,
        Self::TakingDuringUnregister,
        Self::TakingDuringRelease,
        Self::LossDuringLeavingTakeover,
        Self::LossDuringUncountedUnregister,
        Self::SameKeyDuringPurge,
        Self::SilentReserveWithSharedKey,
    ];

    /// Whether this fault is left out here, before the next action of `node`.
    #[must_use]
    pub fn covers(self, world: &World, node: usize, fault: &Fault) -> bool {
        let Some(request) = world.request(node) else {
            return false;
        };
        let unregisters = match request {
            Request::Register(register) => register.is_unregister(),
            _ => false,
        };
        let registers = matches!(request, Request::Register(_)) && !unregisters;
        let loses = matches!(fault, Fault::Link { link, .. } if *link != Link::Up);
        match self {
            Self::TakingDuringRegister => registers && is_taking(fault),
            Self::TakingDuringUnregister => unregisters && is_taking(fault),
            Self::TakingDuringRelease => matches!(request, Request::Release(_)) && is_taking(fault),
            Self::LossDuringLeavingTakeover => unregisters && world.is_suspended(node) && loses,
            Self::LossDuringUncountedUnregister => {
                let setting = world.setting();
                let is_named = setting.wiring != Wiring::Nameless
                    && !setting.profile.has(Quirks::NO_FULL_STATUS);
                unregisters && !is_named && loses
            }
            Self::SameKeyDuringPurge => {
                let own = world.remembered_key(node);
                let is_same = matches!(
                    fault,
                    Fault::Meddle { request: Request::Register(register), .. }
                        if own == Some(register.new_key)
                );
                (unregisters || registers) && is_same
            }
            Self::SilentReserveWithSharedKey => {
                let reserves = matches!(request, Request::Reserve(_));
                let key = request.key().filter(|_| reserves);
                let is_silent = !matches!(fault, Fault::Meddle { .. });
                is_silent && key.is_some_and(|key| world.is_key_of_another(node, key))
            }
        }
    }
}

fn is_taking(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Meddle {
            request: Request::Preempt(_) | Request::Clear(_),
            ..
        }
    )
}

impl World {
    /// The command that runs on a node, or that a crash cut off there.
    fn request(&self, node: usize) -> Option<&Request> {
        let host = &self.nodes[node];
        let running = host.running.as_ref().map(|running| &running.op);
        let asked = |op: &Op| matches!(op, Op::Ask { .. });
        let op = running.filter(|op| asked(op)).or(host.journal.as_ref());
        match op {
            Some(Op::Ask { request, .. }) => Some(request),
            _ => None,
        }
    }

    fn is_suspended(&self, node: usize) -> bool {
        self.nodes[node].is_suspended
    }

    fn remembered_key(&self, node: usize) -> Option<ReservationKey> {
        self.nodes[node].record.key
    }

    fn is_key_of_another(&self, node: usize, key: ReservationKey) -> bool {
        let mut others = (0..self.nodes.len()).filter(|other| *other != node);
        others.any(|other| self.key(other) == Some(key))
    }
}
