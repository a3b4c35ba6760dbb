//! Removing registrations of our own from nexuses that cannot be reached, by preempting them
//! from one that can.

use scsi_pr::{Reservation, ReservationKey, ReservationType};

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::limits::MAX_PURGES;
use crate::outcome::{Holding, Outcome};
use crate::reading::Progress;
use crate::register::Affirming;
use crate::register::Piloting;
use crate::remnant::{Remnants, evict};
use crate::request::{Preempt, Register, RegisterMode, VictimCommands};
use crate::restore::Restoring;
use crate::state::State;
use crate::weigh::{Inheritance, Late, Question, Reservations, Weighing, take_back};

/// Waits for a path to accept PREEMPT.
#[derive(Debug, Clone)]
pub(crate) struct Purging {
    attempt: Attempt,
    purpose: Purpose,
}

/// Which registrations go, and why.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// All of our key: this node unregisters. No reservation of that key stands, so that the
    /// sender's own registration goes with the others.
    Unregister {
        register: Register,
        key: ReservationKey,
    },
    /// All of a key of this node, which had been shut out when it registered.
    TakeBack { victim: ReservationKey, late: Late },
    /// All of a key of this node, which is out, with the one that a path has taken for a moment.
    Evict {
        key: ReservationKey,
        victim: ReservationKey,
        remnants: Remnants,
    },
    /// Those of the old key: the usable paths have the new one. A reservation that the old key
    /// held passes to the sender.
    Inherit(Inheritance, ReservationKey, Option<Reservation>),
}

impl Purging {
    pub(crate) fn start(purpose: Purpose, job: &mut Job, courier: &mut Courier) -> State {
        let progress = Attempt::start(courier, job.usable(), purpose.preempt(job).command());
        Self::after(progress, purpose, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.purpose, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        purpose: Purpose,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => return State::Purging(Self { attempt, purpose }),
            Progress::Ended(end) => end,
        };
        match purpose {
            Purpose::Unregister { register, .. } => {
                unregistered(register, &end, &trail, job, courier)
            }
            // What is left goes path by path.
            Purpose::TakeBack { late, .. } => {
                job.may_have_left |= !matches!(end, AttemptEnd::Done(_));
                take_back(late, job, courier)
            }
            Purpose::Evict { key, remnants, .. } => {
                job.may_have_left |= !matches!(end, AttemptEnd::Done(_));
                evict(remnants, key, job, courier)
            }
            Purpose::Inherit(inheritance, _, held) => {
                inherited(inheritance, held, end, trail, job, courier)
            }
        }
    }
}

/// What could not be purged from here is left where it is: one disk would unregister.
fn unregistered(
    register: Register,
    end: &AttemptEnd,
    trail: &Trail,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    job.purges += 1;
    if matches!(end, AttemptEnd::Done(_)) {
        job.effects.holding = Some(Holding::NotHeld);
        return Restoring::start_after_preempt(job, courier);
    }
    job.may_have_left = true;
    // It lacks the key, since the map does not use it: what is out of reach stays so.
    if job.hears_of_strangers() && trail.may_only_conflict() {
        return State::Finished(Outcome::NoUsablePath);
    }
    if trail.unknown.is_empty() {
        return Piloting::start(register, job, courier);
    }
    // Where it may have been executed, REGISTER would meet a conflict although all went well.
    let register = Register {
        mode: RegisterMode::Ignore,
        ..register
    };
    if job.purges >= MAX_PURGES {
        return Piloting::start(register, job, courier);
    }
    // Once this path is unregistered nobody is left who could purge the others.
    let question = Question::Unregister(register, Reservations::ReleasedWhereReachable);
    Weighing::start(question, job, courier)
}

fn inherited(
    inheritance: Inheritance,
    held: Option<Reservation>,
    end: AttemptEnd,
    trail: Trail,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    match end {
        AttemptEnd::Done(_) => {
            if let Some(held) = held {
                job.effects.holding = Some(Holding::Held(held.reservation_type));
            }
            State::Finished(Outcome::Done)
        }
        AttemptEnd::Answered(path, reply) => State::Finished(reply.into_outcome(path)),
        AttemptEnd::Exhausted if !trail.unknown.is_empty() => {
            Weighing::start(Question::Inherit(inheritance), job, courier)
        }
        // Nothing is left of the old key, or we have just been shut out.
        AttemptEnd::Exhausted if !trail.conflicts.is_empty() => {
            Affirming::start_after_purge(inheritance.spread, job, courier)
        }
        AttemptEnd::Exhausted => State::Finished(trail.into_outcome()),
    }
}

impl Purpose {
    fn preempt(&self, job: &Job) -> Preempt {
        let (key, victim) = match self {
            Self::Unregister { key, .. } => (*key, *key),
            Self::TakeBack { victim, late } => (late.key, *victim),
            Self::Evict { key, victim, .. } => (*key, *victim),
            Self::Inherit(inheritance, old_key, _) => {
                (inheritance.spread.register.new_key, *old_key)
            }
        };
        Preempt {
            key,
            victim,
            reservation_type: job.type_in_force.unwrap_or(ANY_TYPE),
            commands: VictimCommands::Finish,
        }
    }
}

/// Where only registrations are removed the type is ignored, but it must be one
/// (SPC-4 5.12.11.2).
///
/// The kernel's target has one registration in mind also where all registrants hold; where that is
/// among the victims, it makes a new reservation of the type in the command. So this one is for
/// where nobody holds.
const ANY_TYPE: ReservationType = ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
