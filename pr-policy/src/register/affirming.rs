//! After a registration has spread over the paths: was this node shut out meanwhile?
//!
//! ```text
//!   pilot ── REGISTER of the key in place of itself ── accepted ─► go on
//!                                                      conflict ─► take everything back
//!                                                      silence ──► the census has to tell
//! ```
//!
//! Whoever shuts this node out takes away what it has by then. Paths that register after that
//! would let it in again; the first path is the one that cannot have.

use alloc::vec::Vec;

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterMode};
use crate::snapshot::PathId;
use crate::state::State;
use crate::undo::Undoing;
use crate::weigh::{Inheritance, Late, Question, Weighing};

/// Waits to hear whether the first path of a registration still has the key.
#[derive(Debug, Clone)]
pub(crate) struct Affirming {
    attempt: Attempt,
    spread: Spread,
    next: Next,
}

/// A registration and the paths that have accepted it.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub(crate) register: Register,
    /// The first of them.
    pub(crate) pilot: PathId,
    pub(crate) changed: Vec<PathId>,
    /// How many of them had another key than the one to be replaced.
    pub(crate) replaced: usize,
    /// How many more may have accepted it without an answer.
    pub(crate) unheard: usize,
}

/// What follows if the path still has the key.
#[derive(Debug, Clone)]
enum Next {
    /// What is left of the old key.
    Inherit,
    /// The old key again, since this is how it ended.
    Undo(Outcome),
    /// Nothing: somebody else has taken what was left of the old key.
    Lose,
}

impl Spread {
    /// Nobody saw which paths accepted.
    pub(crate) fn unseen(register: Register) -> Self {
        Self {
            register,
            pilot: PathId(0),
            changed: Vec::new(),
            replaced: 0,
            unheard: 0,
        }
    }
}

impl Affirming {
    pub(super) fn start(
        spread: Spread,
        failure: Option<Outcome>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let next = failure.map_or(Next::Inherit, Next::Undo);
        let is_alone = spread.register.is_unregister() || spread.changed.len() < 2;
        if is_alone || job.makes(Mutation::TrustTheFanOut) {
            return go_on(spread, next, job, courier);
        }
        Self::begin(spread, next, job, courier)
    }

    /// The old key could not be preempted on nexuses out of reach, although it was there: it is
    /// gone, or the new one is.
    pub(crate) fn start_after_purge(spread: Spread, job: &mut Job, courier: &mut Courier) -> State {
        Self::begin(spread, Next::Lose, job, courier)
    }

    fn begin(spread: Spread, next: Next, job: &mut Job, courier: &mut Courier) -> State {
        // With the same APTPL and ALL_TG_PT: the device takes those of the last registration.
        let register = Register {
            mode: RegisterMode::Compare,
            key: spread.register.new_key,
            transport_ids: Vec::new(),
            ..spread.register.clone()
        };
        let progress = Attempt::start(courier, Vec::from([spread.pilot]), register.command());
        Self::after(progress, spread, next, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.spread, self.next, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        spread: Spread,
        next: Next,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Affirming(Self {
                    attempt,
                    spread,
                    next,
                });
            }
            Progress::Ended(end) => end,
        };
        match (end, next) {
            // A path that may have registered before the first one has lost that since.
            (AttemptEnd::Done(path), Next::Inherit) if spread.unheard > 0 && job.has_lost => {
                State::shut_out(&spread, Outcome::Unknown { path }, job, courier)
            }
            (AttemptEnd::Done(_), next) => go_on(spread, next, job, courier),
            (AttemptEnd::Exhausted, next) if !trail.conflicts.is_empty() => {
                // One disk would have registered, and been shut out then.
                let outcome = match next {
                    Next::Undo(failure) => failure,
                    Next::Inherit | Next::Lose => Outcome::Done,
                };
                State::shut_out(&spread, outcome, job, courier)
            }
            (_, Next::Inherit) => {
                let inheritance = Inheritance::without_pilot(spread, job);
                Weighing::start(Question::Inherit(inheritance), job, courier)
            }
            (_, Next::Undo(failure)) => {
                Undoing::start(spread.register, spread.changed, failure, job, courier)
            }
            (_, Next::Lose) => State::Finished(Outcome::Unknown { path: spread.pilot }),
        }
    }
}

impl State {
    /// Somebody has shut this node out while it registered: what came too late must not stay.
    pub(crate) fn shut_out(
        spread: &Spread,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> Self {
        let key = spread.register.new_key;
        let old_key = job.own_key().filter(|old| *old != key);
        let late = Late {
            key,
            victims: old_key.into_iter().chain([key]).collect(),
            outcome,
        };
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
        Weighing::start(Question::ShutOut(late), job, courier)
    }
}

fn go_on(spread: Spread, next: Next, job: &mut Job, courier: &mut Courier) -> State {
    match next {
        Next::Inherit if spread.register.is_unregister() => State::Finished(Outcome::Done),
        Next::Inherit => match Inheritance::new(spread, job) {
            Some(inheritance) => Weighing::start(Question::Inherit(inheritance), job, courier),
            None => State::Finished(Outcome::Done),
        },
        Next::Undo(failure) => {
            Undoing::start(spread.register, spread.changed, failure, job, courier)
        }
        // One disk would have registered, whatever it had.
        Next::Lose if spread.register.mode == RegisterMode::Ignore => {
            State::Finished(Outcome::Done)
        }
        // One disk would not have been allowed to change its key any more.
        Next::Lose => State::shut_out(&spread, Outcome::Conflict, job, courier),
    }
}
