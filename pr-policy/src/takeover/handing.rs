//! The path that has taken the reservation over gives it up: with RELEASE if it stays registered,
//! by REGISTER AND MOVE if another node is to have it, and by unregistering otherwise. That ends
//! both at once, so that the path may die before or after, and not in between.

use alloc::vec::Vec;

use super::recounting::Recounting;
use super::renewing::{Next, Renewing};
use super::retracting::Retracting;
use super::{Goal, Taken, Takeover};
use crate::attempt::{Attempt, AttemptEnd, Reversal, Trail};
use crate::courier::{Courier, Settled};
use crate::job::{Job, release_command};
use crate::outcome::Holding;
use crate::reading::Progress;
use crate::state::State;
use crate::wire::Command;

/// Waits for the new holder to release, to move the reservation, or to unregister.
#[derive(Debug, Clone)]
pub(crate) struct Handing {
    attempt: Attempt,
    takeover: Takeover,
    holder: Taken,
}

impl Takeover {
    fn handing_command(&self, job: &Job) -> Command {
        match (self.goal, job.request.out_command()) {
            (Goal::Moved(..), Some(moving)) => moving,
            (Goal::Unregistered(_), _) => job.leaving(self.key()).command(),
            (goal, _) => release_command(self.key(), goal.reservation_type()),
        }
    }
}

impl Handing {
    pub(super) fn start(
        mut takeover: Takeover,
        holder: Taken,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        takeover.has_moved |= matches!(takeover.goal, Goal::Moved(..));
        let command = takeover.handing_command(job);
        let paths = Vec::from([holder.0]);
        let progress = Attempt::start_with(Reversal::TakesTime, courier, paths, command);
        Self::after(progress, takeover, holder, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.takeover, self.holder, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        mut takeover: Takeover,
        holder: Taken,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Handing(Self {
                    attempt,
                    takeover,
                    holder,
                });
            }
            Progress::Ended(end) => end,
        };
        match end {
            AttemptEnd::Done(_) => {
                job.effects.holding = Some(Holding::NotHeld);
                Renewing::start(takeover, Next::Validate(holder), job, courier)
            }
            AttemptEnd::Answered(path, reply) if reply.is_refusal() => {
                let next = Next::PutBack(holder, reply.into_outcome(path));
                Renewing::start(takeover, next, job, courier)
            }
            AttemptEnd::Answered(path, reply) => {
                Recounting::start(takeover, reply.into_outcome(path), job, courier)
            }
            // Not registered any more, that means.
            AttemptEnd::Exhausted if !trail.conflicts.is_empty() => {
                let outcome = job.unless_in_vain(trail.into_outcome());
                Retracting::start(takeover, outcome, job, courier)
            }
            AttemptEnd::Exhausted => {
                // Then it was refused, if it was executed.
                takeover.has_moved &= !job.robbed.contains(&holder.0);
                takeover.lost.push(holder.0);
                Recounting::start(takeover, trail.into_outcome(), job, courier)
            }
        }
    }
}
