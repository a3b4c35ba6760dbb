//! PREEMPT of our own key, through one path after the other.

use alloc::vec::Vec;

use super::handing::Handing;
use super::recounting::Recounting;
use super::renewing::{Next, Renewing, Then, Validating};
use super::retracting::Retracting;
use super::{Goal, Taken, Takeover};
use crate::attempt::{Attempt, AttemptEnd, Repeat, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::outcome::Holding;
use crate::reading::Progress;
use crate::snapshot::PathId;
use crate::state::State;

/// Waits for a path to accept PREEMPT.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    attempt: Attempt,
    takeover: Takeover,
}

impl Taking {
    pub(super) fn start(mut takeover: Takeover, job: &mut Job, courier: &mut Courier) -> State {
        takeover.rounds += 1;
        let mut paths: Vec<PathId> = job.usable();
        paths.sort_by_key(|path| takeover.lost.contains(path));
        let command = takeover.preempt.command();
        let progress = Attempt::start_reversible(takeover.repeat(), courier, paths, command);
        Self::after(progress, takeover, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.takeover, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        mut takeover: Takeover,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, mut trail) = match progress {
            Progress::Waiting(attempt) => return State::Taking(Self { attempt, takeover }),
            Progress::Ended(end) => end,
        };
        takeover.lost.extend(trail.unreachable());
        takeover.conflicts.clone_from(&trail.conflicts);
        if takeover.rounds == 1 {
            // A path that the map did not use may lack the key.
            trail.disregard(|path| !job.is_steady(path));
        }
        let is_known = trail.unknown.is_empty();
        match end {
            AttemptEnd::Done(path) => taken(Taken(path), takeover, job, courier),
            AttemptEnd::Answered(path, reply) => {
                let is_refused = reply.is_refusal();
                let outcome = reply.into_outcome(path);
                if is_known && is_refused {
                    takeover.end(outcome, courier)
                } else {
                    Recounting::start(takeover, outcome, job, courier)
                }
            }
            AttemptEnd::Exhausted if !is_known => {
                Recounting::start(takeover, trail.into_outcome(), job, courier)
            }
            // A moment ago these paths were registered again.
            AttemptEnd::Exhausted if takeover.rounds > 1 && !trail.conflicts.is_empty() => {
                let outcome = job.unless_in_vain(trail.into_outcome());
                Retracting::start(takeover, outcome, job, courier)
            }
            // Somebody has been faster, says every path: nothing is registered any more.
            AttemptEnd::Exhausted if takeover.is_leaving() && !trail.conflicts.is_empty() => {
                let outcome = job.unless_in_vain(trail.into_outcome());
                Retracting::start(takeover, outcome, job, courier)
            }
            AttemptEnd::Exhausted => {
                let doubt = takeover.doubt.take();
                takeover.end(doubt.unwrap_or(trail.into_outcome()), courier)
            }
        }
    }
}

impl Takeover {
    /// Our own key as the victim takes the reservation over while one nexus holds it, and ends all
    /// our registrations while all registrants do: what it makes of the one is the other.
    fn repeat(&self) -> Repeat {
        if self.goal.reservation_type().is_all_registrants() {
            Repeat::Harmful
        } else {
            Repeat::Harmless
        }
    }
}

fn taken(holder: Taken, mut takeover: Takeover, job: &mut Job, courier: &mut Courier) -> State {
    takeover.generation = takeover.generation.wrapping_add(1);
    job.robbed.clear();
    takeover.has_purged = true;
    takeover.renewed = Vec::from([holder.0]);
    if job.makes(Mutation::ResumeTooEarly) {
        courier.resume();
    }
    // Whether the device spares the sender is to be seen.
    if !matches!(takeover.goal, Goal::Spared(_)) {
        let held = takeover.goal.reservation_type();
        job.effects.registration = Some(takeover.registration());
        job.effects.holding = Some(Holding::Held(held));
    }
    match takeover.goal {
        Goal::Kept(_) => Renewing::start(takeover, Next::Validate(holder), job, courier),
        Goal::Spared(_) => Validating::start(takeover, holder, Then::Renew, job, courier),
        Goal::Released(_) | Goal::Unregistered(_) | Goal::Moved(..) => {
            Handing::start(takeover, holder, job, courier)
        }
    }
}
