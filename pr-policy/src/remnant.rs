//! What this node has left on nexuses out of reach, although it is registered on none of its
//! usable paths any more: nobody is left to preempt that.
//!
//! So one usable path takes the key for a moment, and preempts it with itself. That ends every
//! registration of the key at once, the dead path's as well. Until then the path would let the
//! node in that is out: the map is suspended meanwhile, and the other paths stay as they are.
//!
//! ```text
//!   Weighing ── nothing of ours ──────────────────────────────────────► end
//!      │ ▲
//!      ▼ └───────────────── a path died again ──────────────┐
//!   Hushing ─► Borrowing ─► PREEMPT of each key ─► Restoring ┴─► Resuming ─► end
//! ```
//!
//! Only what is known to be this node's is ended so: that another node has the key as well is not
//! unusual while a guest moves.

use alloc::collections::VecDeque;

use scsi_pr::ReservationKey;

use crate::attempt::{Attempt, AttemptEnd, Repeat, Trail};
use crate::courier::{Courier, MapChange, Settled, Verdict};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::limits::MAX_PURGES;
use crate::outcome::{Outcome, Spared};
use crate::purge::{Purging, Purpose};
use crate::reading::Progress;
use crate::request::{Register, Request};
use crate::restore::Restoring;
use crate::state::State;
use crate::takeover::{Suspended, end};
use crate::weigh::{Question, Weighing};

/// Keys that may be left somewhere, and how the transaction ends.
#[derive(Debug, Clone)]
pub(crate) struct Remnants {
    /// The last one is taken for a moment.
    pub(crate) keys: VecDeque<ReservationKey>,
    pub(crate) outcome: Outcome,
    pub(crate) suspended: Suspended,
    rounds: u32,
}

/// Waits for the map to be suspended.
#[derive(Debug, Clone)]
pub(crate) struct Hushing(Remnants);

/// Waits for a path to take a key of this node for a moment.
#[derive(Debug, Clone)]
pub(crate) struct Borrowing {
    attempt: Attempt,
    remnants: Remnants,
    key: ReservationKey,
}

impl Remnants {
    /// This node is registered on no usable path any more, and it ends so.
    pub(crate) fn new(outcome: Outcome, suspended: Suspended, job: &Job) -> Self {
        let new_key = match &job.request {
            Request::Register(register) => Some(register.new_key),
            _ => None,
        };
        let mut keys = VecDeque::new();
        let known = [job.remembered_key, job.own_key(), new_key];
        for key in known.into_iter().flatten().filter(|key| !key.is_none()) {
            if !keys.contains(&key) {
                keys.push_back(key);
            }
        }
        Self {
            keys,
            outcome,
            suspended,
            rounds: 0,
        }
    }

    /// Ends the transaction, after a look at what is left if a path fell silent on the way.
    pub(crate) fn settle(self, job: &mut Job, courier: &mut Courier) -> State {
        let may_be_left = core::mem::take(&mut job.may_have_left);
        let is_over = !may_be_left
            || self.rounds >= MAX_PURGES
            || self.keys.is_empty()
            || job.usable().is_empty();
        if is_over {
            return self.end(courier);
        }
        Weighing::start(Question::Remnants(self), job, courier)
    }

    /// What is registered by now.
    pub(crate) fn weigh(mut self, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
        self.keys.retain(|key| census.is_remnant(*key, job));
        let is_ended = |spared: &Spared| self.keys.contains(&spared.key);
        job.effects.spared = job.effects.spared.filter(|spared| !is_ended(spared));
        self.rounds += 1;
        match self.suspended {
            _ if self.keys.is_empty() => self.end(courier),
            Suspended::Yes => Borrowing::start(self, job, courier),
            Suspended::No => {
                courier.suspend();
                State::Hushing(Hushing(self))
            }
        }
    }

    pub(crate) fn end(self, courier: &mut Courier) -> State {
        end(self.suspended, self.outcome, courier)
    }
}

impl Hushing {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let mut remnants = self.0;
        match settled.verdict {
            Verdict::Map(MapChange::Suspended) => {
                remnants.suspended = Suspended::Yes;
                Borrowing::start(remnants, job, courier)
            }
            // It may be suspended nevertheless, or become so: nobody can tell.
            Verdict::Map(MapChange::NotSuspended) => {
                remnants.suspended = Suspended::Yes;
                remnants.end(courier)
            }
            Verdict::Map(MapChange::NotAsked) => remnants.end(courier),
            _ => State::Hushing(Self(remnants)),
        }
    }
}

impl Borrowing {
    fn start(remnants: Remnants, job: &mut Job, courier: &mut Courier) -> State {
        let Some(key) = remnants.keys.back().copied() else {
            return remnants.end(courier);
        };
        let command = job.imposing(key).command();
        // One that does not answer could not give it back either.
        let mut paths = job.usable();
        paths.retain(|path| !job.silent.contains(path));
        let progress = Attempt::start_reversible(Repeat::Harmless, courier, paths, command);
        Self::after(progress, remnants, key, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.remnants, self.key, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        remnants: Remnants,
        key: ReservationKey,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Borrowing(Self {
                    attempt,
                    remnants,
                    key,
                });
            }
            Progress::Ended(end) => end,
        };
        job.may_have_left |= !trail.unknown.is_empty();
        match end {
            AttemptEnd::Done(_) => evict(remnants, key, job, courier),
            _ if trail.unknown.is_empty() => remnants.end(courier),
            // One may have taken it.
            _ => Restoring::start_evicted(remnants, job, courier),
        }
    }
}

/// The next of the keys, with the one that a path has taken.
pub(crate) fn evict(
    mut remnants: Remnants,
    key: ReservationKey,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    match remnants.keys.pop_front() {
        Some(victim) => {
            let purpose = Purpose::Evict {
                key,
                victim,
                remnants,
            };
            Purging::start(purpose, job, courier)
        }
        None => {
            remnants.keys.push_back(key);
            Restoring::start_evicted(remnants, job, courier)
        }
    }
}

impl Census {
    /// Whether there is a registration with this key, and all of them are this node's.
    fn is_remnant(&self, key: ReservationKey, job: &Job) -> bool {
        self.is_all_ours(key, job)
            || self.is_new(key, job)
            || self.stale(key, job) == Some(Ownership::Ours)
            || self.is_left_of_change(key, job)
            || self.is_late(key, job)
    }

    /// Whether the device cannot say whose the registrations with the new key are, there was none
    /// before this node registered with it, and there are no more than paths out of reach.
    fn is_late(&self, key: ReservationKey, job: &Job) -> bool {
        let is_new = |register: &Register| register.new_key == key;
        let registers = matches!(&job.request, Request::Register(register) if is_new(register));
        let was_none = job
            .before_change
            .as_ref()
            .is_some_and(|before| before.new.count == 0);
        registers
            && was_none
            && self.is_unnamed(key, job)
            && (1..=job.nexuses_out_of_reach()).contains(&self.count(key))
    }

    /// Whether the device cannot say whose the registrations with the old key are, and there are no
    /// more than those that could not be changed.
    pub(crate) fn is_left_of_change(&self, key: ReservationKey, job: &Job) -> bool {
        let Some(before) = job
            .before_change
            .as_ref()
            .map(|standing| standing.old.count)
        else {
            return false;
        };
        let count = self.count(key);
        job.own_key() == Some(key)
            && self.recalls(key, before, job)
            && (1..=job.nexuses_out_of_reach()).contains(&count)
            && count + job.moved <= before
    }
}
