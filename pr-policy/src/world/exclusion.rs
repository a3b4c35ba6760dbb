//! Cases that are known to break a promise: named, with the reason, and left out by name.
//!
//! Each stands for histories in which *this fault strikes here*; leaving them out keeps the rest
//! of the search meaningful. An exclusion that is not needed any more is to be deleted.

use super::op::{Fault, Link, Op};
use super::setting::Wiring;
use super::stage::World;
use crate::request::Request;
use scsi_pr::ReservationKey;
use scsi_pr::device_server::{Profile, Quirks};

/// A case that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Another node preempts one that holds the reservation and changes its key: the device
    /// changes one nexus at a time, and the holder has the other of the two keys then. So there is
    /// no reservation to take, although a path has the key (P1). What follows from that breaks
    /// others (P2, P3). The holder changes last, so that whoever preempts the old key hits it. What
    /// is left: the new key, which nobody is told of before the command is done; the old one where
    /// a path out of reach has it; and devices that do not say from which of this node's ports the
    /// reservation is held.
    TakingFromHolderDuringChange,
    /// Another node shuts this one out while it registers, and beside that an answer is lost while
    /// a path out of reach has a registration, or a path dies afterwards. Each alone is dealt with.
    /// Together they leave a late registration to be taken for one that was in time (P3, P1), or
    /// nobody knows whose it is (P4).
    SecondFaultWhenTaken,
    /// The program is killed while it registers, and after another node has taken registrations
    /// away: nothing that outlives it says that the paths which registered later must not have
    /// (P1, P3). Or when every usable path has the new key, and another node preempts the old one,
    /// which a path out of reach still had, before the next start: so it would look if this node
    /// had done that itself (P3).
    CrashAfterTakingDuringRegister,
    /// A path dies while it is settled, and after another node has taken registrations away: it
    /// was the only one to register later, and the others carry I/O, so that none of them can take
    /// the key for a moment to purge it (P4). It is unregistered before it is used again.
    LossAfterTakingDuringReturn,
    /// A path dies while this node puts back a registration that the device has no room for: the
    /// others are unregistered then, and none has room to take the key for a moment, so that nobody
    /// is left to purge it (P4). Or those die that have a registration, and there is no room for
    /// the one that is left (P1).
    LossWithoutRoom,
    /// PREEMPT or CLEAR without an answer, and its victim leaves meanwhile, or another node removes
    /// it, or the sender: nothing tells who of them was first (P1, P2, P3).
    SilentTakingAmongOthers,
    /// A path dies and the program is killed while this node registers, or a path dies while what
    /// was cut off is completed, on a device that does not tell whose the registrations are: it is
    /// not known any more which paths had registered (P3, P4). Or a path dies while this node
    /// unregisters there, and the map cannot be suspended for what is left to be purged (P4).
    LossOnUncounted,
    /// Another node shuts this one out while it takes over, or a path returns, and one port has all
    /// paths of this node, on a device that registers for all target ports, or for all paths of a
    /// port where two are up: the first path that is
    /// registered again registers the others too, and none is left that could tell (P3, P4).
    TakingDuringRenewalForAllPorts,
    /// Another node registers the key that this one is about to end everywhere at once, after
    /// this one has looked whose it is: no PREEMPT can be made to depend on that (P5). Or it gives
    /// that key up, after this one has seen that it must spare it: what was spared stays (P4).
    SameKeyDuringPurge,
    /// The node that is to get the reservation loses its registration, or changes its key, while
    /// it is moved there: the device registers the one nexus that was named, with the key that
    /// was given, and its node knows nothing of that (P1, P2).
    ReceiverChangesDuringMove,
}

impl Exclusion {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::TakingFromHolderDuringChange,
        Self::SecondFaultWhenTaken,
        Self::CrashAfterTakingDuringRegister,
        Self::LossAfterTakingDuringReturn,
        Self::LossWithoutRoom,
        Self::SilentTakingAmongOthers,
        Self::LossOnUncounted,
        Self::TakingDuringRenewalForAllPorts,
        Self::SameKeyDuringPurge,
        Self::ReceiverChangesDuringMove,
    ];

    /// Whether this fault is left out here, before the next action of `node`.
    #[must_use]
    pub fn covers(self, world: &World, node: usize, fault: &Fault) -> bool {
        let loses = matches!(fault, Fault::Link { link, .. } if *link != Link::Up);
        let Some(request) = world.request(node) else {
            let is_late = self == Self::LossAfterTakingDuringReturn;
            return is_late && loses && world.meddlings(node) > 0
                || self == Self::TakingDuringRenewalForAllPorts && world.is_renewed(node, fault);
        };
        let unregisters = match request {
            Request::Register(register) => register.is_unregister(),
            _ => false,
        };
        let registers = matches!(request, Request::Register(_)) && !unregisters;
        match self {
            Self::TakingFromHolderDuringChange => {
                let is_old = world.is_preemption_of_old_key(node, fault)
                    && !world.has_registered_dead_path(node)
                    && world.tells_holder();
                registers
                    && !is_old
                    && world.is_preemption_of(node, fault)
                    && world.misses_holder(node, fault)
            }
            Self::SecondFaultWhenTaken => {
                let is_mishap = !matches!(fault, Fault::Meddle { .. } | Fault::Crash);
                let is_second = is_taking(fault) && world.mishaps_of(node) > 0
                    || is_mishap && world.meddlings(node) > 0;
                registers && is_second && (loses || world.has_registered_dead_path(node))
            }
            Self::CrashAfterTakingDuringRegister => {
                let is_cut_off = world.nodes[node].journal.is_some();
                let is_left = || world.has_registered_dead_path(node);
                let is_late = is_cut_off && world.is_preemption_of_old_key(node, fault);
                registers
                    && (*fault == Fault::Crash && world.meddlings(node) > 0 || is_late && is_left())
            }
            // While no command runs.
            Self::LossAfterTakingDuringReturn => false,
            Self::LossWithoutRoom => {
                registers && loses && world.setting().profile.max_registrants.is_some()
            }
            Self::SilentTakingAmongOthers => {
                let is_meddling = matches!(fault, Fault::Meddle { .. });
                let is_second = match is_meddling {
                    true => world.mishaps_of(node) > 0,
                    false => world.meddlings(node) > 0,
                };
                matches!(request, Request::Preempt(_) | Request::Clear(_)) && is_second
            }
            Self::LossOnUncounted => {
                let is_cut_off = world.nodes[node].journal.is_some();
                let is_second = *fault == Fault::Crash && world.mishaps_of(node) > 0;
                let is_hit = loses && is_cut_off
                    || registers && is_second
                    || unregisters && *fault == Fault::NotSuspended;
                is_hit && !world.names_registrations()
            }
            Self::TakingDuringRenewalForAllPorts => {
                world.is_suspended(node) && world.is_renewed(node, fault)
            }
            Self::SameKeyDuringPurge => {
                let own = world.remembered_key(node).filter(|_| may_purge(request));
                own.is_some_and(|own| is_gain_or_loss_of(own, fault))
            }
            Self::ReceiverChangesDuringMove => match request {
                Request::RegisterAndMove(moved) => is_end_of(moved.new_key, fault),
                _ => false,
            },
        }
    }
}

/// Whether a command may end registrations with a key of its own on all paths at once.
fn may_purge(request: &Request) -> bool {
    match request {
        Request::Register(_) | Request::Release(_) | Request::RegisterAndMove(_) => true,
        Request::Preempt(preempt) => preempt.victim == preempt.key || preempt.victim.is_none(),
        Request::Reserve(_) | Request::Clear(_) | Request::Read(_) => false,
    }
}

/// Whether another node registers with this key, or ends or changes the registration that it has
/// with it.
fn is_gain_or_loss_of(key: ReservationKey, fault: &Fault) -> bool {
    let Fault::Meddle { request, .. } = fault else {
        return false;
    };
    let gains = matches!(request, Request::Register(register) if register.new_key == key);
    let is_its_own = request.key() == Some(key);
    gains || is_its_own && matches!(request, Request::Register(_) | Request::Clear(_))
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

/// Whether another node changes, ends or preempts registrations with this key.
fn is_end_of(key: ReservationKey, fault: &Fault) -> bool {
    match fault {
        Fault::Meddle {
            request: Request::Register(register),
            ..
        } => register.key == key,
        Fault::Meddle {
            request: Request::Preempt(preempt),
            ..
        } => preempt.victim == key,
        _ => false,
    }
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

    /// Whether another node preempts a key that this one may have.
    fn is_preemption_of(&self, node: usize, fault: &Fault) -> bool {
        let Fault::Meddle {
            request: Request::Preempt(preempt),
            ..
        } = fault
        else {
            return false;
        };
        self.possible_keys(node).contains(&preempt.victim)
    }

    /// Whether another node preempts the key that this one remembers.
    fn is_preemption_of_old_key(&self, node: usize, fault: &Fault) -> bool {
        let old_key = self.remembered_key(node);
        matches!(
            fault,
            Fault::Meddle { request: Request::Preempt(preempt), .. }
                if old_key == Some(preempt.victim)
        )
    }

    /// Whether the device tells this host whose the registrations are.
    fn names_registrations(&self) -> bool {
        self.setting.wiring != Wiring::Nameless && !self.setting.profile.has(Quirks::NO_FULL_STATUS)
    }

    /// Whether the device tells this host from which of its ports the reservation is held, and
    /// whether there is another one.
    fn tells_holder(&self) -> bool {
        self.names_registrations() && self.setting.wiring != Wiring::OneInitiator
    }

    /// Whether another node takes something from one whose paths all register for each other.
    fn is_renewed(&self, node: usize, fault: &Fault) -> bool {
        let profile = self.setting.profile;
        let mut up =
            (0..self.setting.paths(node)).filter(|path| self.link(node, *path) == Link::Up);
        let has_witness = up.nth(2).is_some();
        let is_shared = profile.has(Quirks::NEEDS_ALL_TG_PT)
            || profile == Profile::per_initiator_port() && self.is_suspended(node) && !has_witness;
        self.setting.wiring == Wiring::OneInitiator
            && is_shared
            && self.is_running(node)
            && is_taking(fault)
    }

    fn is_suspended(&self, node: usize) -> bool {
        self.nodes[node].is_suspended
    }

    /// How often other nodes have stepped into the command that runs on a node.
    fn meddlings(&self, node: usize) -> u32 {
        let running = self.nodes[node].running.as_ref();
        running.map_or(0, |running| running.meddlings)
    }

    /// How much has gone wrong in it.
    fn mishaps_of(&self, node: usize) -> u32 {
        let running = self.nodes[node].running.as_ref();
        running.map_or(0, |running| running.mishaps)
    }

    /// Whether a path out of reach has a registration, or had when that was taken away.
    fn has_registered_dead_path(&self, node: usize) -> bool {
        let is_left = |path: &usize| self.link(node, *path) != Link::Up;
        let mut left = (0..self.setting.paths(node)).filter(is_left);
        left.any(|path| {
            let nexus = self.setting.nexus(node, path);
            self.unit.registered_key(nexus).is_some()
                || self.nodes[node].record.nexuses.contains(&path)
        })
    }

    /// Whether a nexus of this node holds the reservation, with another key than the one that is
    /// preempted.
    fn misses_holder(&self, node: usize, fault: &Fault) -> bool {
        let Fault::Meddle {
            request: Request::Preempt(preempt),
            ..
        } = fault
        else {
            return false;
        };
        let is_missed = |path| {
            let nexus = self.setting.nexus(node, path);
            self.unit.is_holder(nexus) && self.unit.registered_key(nexus) != Some(preempt.victim)
        };
        (0..self.setting.paths(node)).any(is_missed)
    }

    fn remembered_key(&self, node: usize) -> Option<ReservationKey> {
        self.nodes[node].record.key
    }
}
