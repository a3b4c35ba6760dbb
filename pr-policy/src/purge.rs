//! Removing registrations of our own from nexuses that cannot be reached, by preempting them
//! from one that can.

use scsi_pr::{Reservation, ReservationKey, ReservationType};

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::{Holding, Outcome};
use crate::reading::Progress;
use crate::register::Piloting;
use crate::request::{Preempt, Register, RegisterMode, VictimCommands};
use crate::restore::{Aftermath, Restoring};
use crate::state::State;

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
    /// Those of the old key: the usable paths have the new one. A reservation that the old key
    /// held passes to the sender.
    Inherit {
        new_key: ReservationKey,
        old_key: ReservationKey,
        held: Option<Reservation>,
    },
}

impl Purging {
    pub(crate) fn start(purpose: Purpose, job: &mut Job, courier: &mut Courier) -> State {
        let progress = Attempt::start(courier, job.usable(), purpose.preempt().command());
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
        match (end, purpose) {
            (AttemptEnd::Answered(path, reply), _) => State::Finished(reply.into_outcome(path)),
            (AttemptEnd::Done(_), Purpose::Unregister { key, .. }) => {
                job.effects.holding = Some(Holding::NotHeld);
                Restoring::start_after_preempt(Aftermath::Removing, key, None, job, courier)
            }
            (AttemptEnd::Done(_), Purpose::Inherit { held, .. }) => {
                if let Some(held) = held {
                    job.effects.holding = Some(Holding::Held(held.reservation_type));
                }
                State::Finished(Outcome::Done)
            }
            (AttemptEnd::Exhausted, purpose) => exhausted(purpose, trail, job, courier),
        }
    }
}

fn exhausted(purpose: Purpose, trail: Trail, job: &mut Job, courier: &mut Courier) -> State {
    let only_conflicts = trail.unknown.is_empty() && !trail.conflicts.is_empty();
    match purpose {
        // The key is not ours any more: one disk would say what the device says to REGISTER.
        Purpose::Unregister { register, .. }
            if only_conflicts || register.mode == RegisterMode::Ignore =>
        {
            Piloting::start(register, job, courier)
        }
        // Nothing is left of the old key, or we have just been shut out.
        Purpose::Inherit { .. } if only_conflicts => State::Finished(Outcome::Done),
        _ => State::Finished(trail.into_outcome()),
    }
}

impl Purpose {
    fn preempt(&self) -> Preempt {
        let (key, victim, reservation_type) = match self {
            Self::Unregister { key, .. } => (*key, *key, ANY_TYPE),
            Self::Inherit {
                new_key,
                old_key,
                held,
            } => {
                let held = held.map_or(ANY_TYPE, |held| held.reservation_type);
                (*new_key, *old_key, held)
            }
        };
        Preempt {
            key,
            victim,
            reservation_type,
            commands: VictimCommands::Finish,
        }
    }
}

/// Where only registrations are removed the type is ignored, but it must be one (SPC-4 5.13.11).
const ANY_TYPE: ReservationType = ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
