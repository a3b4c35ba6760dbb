//! A change of key, from the old one's side: how much of it was there before, and what is left of
//! it on nexuses out of reach when the usable paths have the new one.

use alloc::collections::VecDeque;

use scsi_pr::ReservationKey;

use super::unclear;
use crate::courier::Courier;
use crate::evidence::{Census, Ownership, Tally};
use crate::job::Job;
use crate::limits::MAX_PURGES;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome};
use crate::purge::{Purging, Purpose};
use crate::register::{Piloting, Spread};
use crate::request::Register;
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
    job.before_change = census.map(|census| census.tally(register.key, job));
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
    let stale = old_key.and_then(|key| Some((key, census.stale(key, job)?)));
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
        _ => State::Finished(Outcome::Done),
    }
}

/// Goes on where a registration was cut off, if any path had taken the new key. If this node has
/// fewer registrations than it remembers, somebody has taken some away since: this node itself
/// does that only when every usable path has the new key.
pub(super) fn resume(
    register: Register,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let new_key = register.new_key;
    let now = census.tally(new_key, job);
    if now.count == 0 {
        return State::Finished(Outcome::Conflict);
    }
    if let Some(old_key) = job.remembered_key.filter(|old| *old != new_key)
        && !job.all_tg_pt()
        && now.count < job.usable().len()
        && now.count + census.tally(old_key, job).count
            < census.least_registrations(job.remembered_nexuses, job)
    {
        let spread = Spread::unseen(register);
        return State::shut_out(&spread, Outcome::Conflict, job, courier);
    }
    if now.is_named {
        // Whether each path has it is settled before it carries I/O.
        job.effects.registration = Some(job.registered(&register, &[]));
    }
    Piloting::start(register, job, courier)
}

/// Takes back what was registered too late, and what is left of the old key, through a path that
/// was late: so it goes from those as well that are dead by now.
pub(super) fn shut_out(
    mut late: Late,
    census: Option<&Census>,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let is_ours = |key: &ReservationKey| census.is_some_and(|census| census.is_all_ours(*key, job));
    late.victims.retain(is_ours);
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
    /// `None` where there was no other key: nothing can be left of it.
    pub(crate) fn new(spread: Spread, job: &Job) -> Option<Self> {
        let inheritance = Self::with(spread, Witness::Pilot, job);
        inheritance.old_key.is_some().then_some(inheritance)
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

    /// How it ends if somebody has taken registrations of this node away while it changed them.
    fn is_shut_out(&self, census: &Census, job: &Job) -> Option<Outcome> {
        let spread = &self.spread;
        let ours = census.tally(spread.register.new_key, job);
        let least = census.least_registrations(spread.changed.len(), job);
        if self.witness == Witness::None && ours.count < least {
            return Some(Outcome::Incomplete { path: spread.pilot });
        }
        let changed = spread.changed.len() + spread.unheard - spread.replaced;
        let is_less = |before: Tally, now: Tally| {
            before.is_named == now.is_named && before.count.saturating_sub(changed) > now.count
        };
        let is_asked = self.purges == 0 && !job.all_tg_pt();
        let before = job.before_change.filter(|_| is_asked)?;
        let now = census.tally(spread.register.key, job);
        // One disk would not have been allowed to change its key any more.
        is_less(before, now).then_some(Outcome::Conflict)
    }
}
