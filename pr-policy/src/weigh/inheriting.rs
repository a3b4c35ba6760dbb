//! A change of key, from the old one's side: how much of it was there before, and what is left of
//! it on nexuses out of reach when the usable paths have the new one.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use scsi_pr::{ReservationKey, TransportId};

use super::unclear;
use crate::courier::Courier;
use crate::evidence::{Census, Ownership, Tally};
use crate::job::{Job, Standing};
use crate::limits::MAX_PURGES;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome};
use crate::purge::{Purging, Purpose};
use crate::register::{Piloting, Spread};
use crate::request::{Register, RegisterMode};
use crate::restore::Restoring;
use crate::state::State;

/// What the old key of this node left behind goes to the new one.
#[derive(Debug, Clone)]
pub(crate) struct Inheritance {
    pub(crate) spread: Spread,
    /// The old key, if there was another.
    old_key: Option<ReservationKey>,
    witness: Witness,
    /// How often it has been tried.
    purges: u32,
}

/// What a node that was shut out has registered nevertheless.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    /// With this key.
    pub(crate) key: ReservationKey,
    /// The keys to be purged with it, the last one its own.
    pub(crate) victims: VecDeque<ReservationKey>,
    pub(crate) outcome: Outcome,
}

/// Who says that this node was not shut out while its paths registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    /// The first path has the key.
    Pilot,
    /// Nobody: the first path fell silent.
    None,
}

/// Notes how much of the old key there is, before the first path changes.
pub(super) fn change(
    register: Register,
    census: Option<&Census>,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    job.before_change = census.map(|census| census.standing(&register, job));
    job.effects.shared_with = census.and_then(|census| census.stranger(register.new_key, job));
    if let Some(port) = census.and_then(Census::holding_port) {
        job.change_last_from(port, &register);
    }
    Piloting::start(register, job, courier)
}

pub(super) fn inherit(
    inheritance: Inheritance,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    if let Some(outcome) = inheritance.is_shut_out(census, job) {
        return State::shut_out(&inheritance.spread, outcome, job, courier);
    }
    let new_key = inheritance.spread.register.new_key;
    if inheritance.purges > 0
        && let Some(held) = census.single_holder(new_key)
    {
        job.effects.holding = Some(Holding::Held(held.reservation_type));
    }
    let old_key = inheritance
        .old_key
        .filter(|_| !job.makes(Mutation::LeaveOldKey));
    let stale = old_key.and_then(|key| match census.is_left_of_change(key, job) {
        true => Some((key, Ownership::Ours)),
        false => Some((key, census.stale(key, job)?)),
    });
    let Some((old_key, owner)) = stale else {
        return State::Finished(Outcome::Done);
    };
    let held = census.single_holder(old_key);
    if job.may_act_on(owner) && inheritance.purges < MAX_PURGES {
        let purpose = Purpose::Inherit(inheritance.once_more(), old_key, held);
        return Purging::start(purpose, job, courier);
    }
    match held {
        Some(held) if job.judge_victim(census, &held) != Ownership::Foreign => {
            State::Finished(unclear(&held))
        }
        _ => {
            job.note_spared(old_key, owner, census.count(old_key));
            State::Finished(Outcome::Done)
        }
    }
}

/// Goes on where a registration was cut off, if any path had taken the new key. If this node has
/// fewer registrations than before, somebody has taken some away since: this node itself does that
/// only when every usable path has the new key. One that was not registered before goes back to
/// that: whether what it has came before somebody else shut it out, or after, nobody can tell.
pub(super) fn resume(
    register: Register,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let now = census.tally(register.new_key, job);
    job.before_change = Some(census.standing(&register, job));
    if is_robbed(now, &register, census, job) {
        let spread = Spread::unseen(register);
        return State::shut_out(&spread, Outcome::Conflict, job, courier);
    }
    if now.count == 0 {
        return State::Finished(Outcome::Conflict);
    }
    if now.is_named {
        // Whether each path has it is settled before it carries I/O.
        job.effects.registration = Some(job.registered(&register, &[]));
    }
    if let Some(port) = census.holding_port() {
        job.change_last_from(port, &register);
    }
    Piloting::start(register, job, courier)
}

/// Whether registrations of this node are missing that it had before it was cut off, or whether
/// that cannot be told.
fn is_robbed(now: Tally, register: &Register, census: &Census, job: &Job) -> bool {
    let old_key = job.remembered_key.filter(|old| *old != register.new_key);
    let old = old_key.map_or(0, |key| census.tally(key, job).count);
    let in_use = job.usable().into_iter().filter(|path| job.is_steady(*path));
    let Some(before) = job.before_crash else {
        return false;
    };
    // Each path that registered anew was one change, and there was no other.
    let changes = census.generation().wrapping_sub(before.generation);
    let made = match register.all_tg_pt {
        true => census.distinct_ports(register.new_key),
        false => now.count,
    };
    let used = in_use.count();
    match before.registrations {
        0 => now.count > 0 && u32::try_from(made) != Ok(changes),
        count => {
            let made = made.min(used);
            // Each path changed its key, the first was asked whether it still has it if there were
            // others, and then the old one was preempted.
            let with_purge = made + usize::from(made > 1) + 1;
            let has_purged = u32::try_from(with_purge).is_ok_and(|least| changes >= least);
            now.count + old < count && (now.count < used || !has_purged)
        }
    }
}

impl Census {
    /// Whether a port of this node that was registered is not any more, with whatever key.
    fn lacks_port_of(&self, before: &[TransportId], job: &Job) -> bool {
        let registered = self.registered();
        let is_left = |port: &TransportId| registered.iter().any(|(found, _)| found == port);
        let mut own = before
            .iter()
            .filter(|port| job.owner_of(port) == Ownership::Ours);
        own.any(|port| !is_left(port))
    }

    fn standing(&self, register: &Register, job: &Job) -> Standing {
        let old_key = job.own_key().filter(|old| *old != register.new_key);
        Standing {
            old: old_key.map_or(Tally::NONE, |key| self.tally(key, job)),
            new: self.tally(register.new_key, job),
            ports: old_key.map_or(Vec::new(), |key| self.ports(key)),
            registered: self.registered(),
            generation: self.generation(),
        }
    }
}

/// Takes back what was registered too late, and what is left of the old key, through a path that
/// was late: so it goes from those as well that are dead by now.
pub(super) fn shut_out(
    mut late: Late,
    census: Option<&Census>,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let is_ours = |key: &ReservationKey| {
        census.is_some_and(|census| {
            census.is_all_ours(*key, job)
                || census.is_new(*key, job)
                || census.is_left_of_change(*key, job)
        })
    };
    late.victims.retain(is_ours);
    job.may_have_left |= job.nexuses_out_of_reach() > 0;
    take_back(late, job, courier)
}

/// The next of them.
pub(crate) fn take_back(mut late: Late, job: &mut Job, courier: &mut Courier) -> State {
    match late.victims.pop_front() {
        Some(victim) => Purging::start(Purpose::TakeBack { victim, late }, job, courier),
        None => Restoring::start_shut_out(late.outcome, job, courier),
    }
}

impl Inheritance {
    /// `None` where there was no other key: nothing can be left of it. Unless it has to be seen
    /// whether paths share a registration.
    pub(crate) fn new(spread: Spread, job: &Job) -> Option<Self> {
        let inheritance = Self::with(spread, Witness::Pilot, job);
        let is_open = inheritance.old_key.is_some() || inheritance.spread.doubled;
        is_open.then_some(inheritance)
    }

    /// Whether nothing but another node's doing could be found.
    pub(crate) fn is_done(&self) -> bool {
        self.old_key.is_none() && self.witness == Witness::Pilot
    }

    /// The path that registered first does not say any more whether it is registered.
    pub(crate) fn without_pilot(spread: Spread, job: &Job) -> Self {
        Self::with(spread, Witness::None, job)
    }

    fn with(spread: Spread, witness: Witness, job: &Job) -> Self {
        let new_key = spread.register.new_key;
        Self {
            old_key: job.own_key().filter(|old| *old != new_key),
            spread,
            witness,
            purges: 0,
        }
    }

    fn once_more(self) -> Self {
        Self {
            purges: self.purges + 1,
            ..self
        }
    }

    /// Whether a path of the first one's port had to be forced, or made another, although the
    /// device keeps one registration for all of them: it had gone in between.
    fn is_taken_from_port(&self, census: &Census, job: &Job) -> bool {
        let spread = &self.spread;
        let Some(port) = job.initiator_port(spread.pilot) else {
            return false;
        };
        let registered = census.registered();
        let registrations = registered.iter().filter(|(own, _)| own == port).count();
        let mut forced = spread.forced.iter();
        let is_forced = forced.any(|path| job.share_port(*path, spread.pilot));
        registrations == 1 && (is_forced || spread.doubled)
    }

    /// How it ends if somebody has taken registrations of this node away while it changed them.
    fn is_shut_out(&self, census: &Census, job: &Job) -> Option<Outcome> {
        let spread = &self.spread;
        let ours = census.tally(spread.register.new_key, job);
        let least = census.least_registrations(spread.changed.len(), job);
        if self.witness == Witness::None && ours.count < least {
            return Some(Outcome::Incomplete { path: spread.pilot });
        }
        if self.purges == 0 && self.is_taken_from_port(census, job) {
            // One disk would have changed its key, and been shut out then.
            return Some(Outcome::Done);
        }
        let changed = spread.moved + spread.unheard;
        let is_less = |before: Tally, now: Tally| {
            before.is_named == now.is_named && before.count.saturating_sub(changed) > now.count
        };
        let is_asked = self.purges == 0 && spread.register.mode == RegisterMode::Compare;
        let before = job.before_change.as_ref().filter(|_| is_asked)?;
        let now = census.tally(self.old_key?, job);
        let is_robbed = if job.all_tg_pt() {
            let mut lacking = spread.forced.iter().chain(&spread.bare);
            lacking.any(|path| job.starts_from(*path, &before.ports))
                || ours.count > 0 && census.lacks_port_of(&before.ports, job)
        } else {
            // A path that did not answer has the one key or the other, unless the old one was taken
            // from it. If it was the new one, later, nothing is left of that either.
            let is_named = before.old.is_named && now.is_named && ours.is_named;
            let is_missing = now.count + ours.count < before.old.count + before.new.count;
            is_less(before.old, now) || is_named && is_missing && ours.count > 0
        };
        is_robbed.then_some(match (ours.count, self.witness) {
            // The first path had the new key before everything was taken away: one disk would have
            // changed its key.
            (0, Witness::Pilot) => Outcome::Done,
            // It would not have been allowed to any more.
            _ => Outcome::Conflict,
        })
    }
}
