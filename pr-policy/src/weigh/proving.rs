//! Is this node still registered at all? A count and the record say that a dead path of ours
//! holds, but somebody with the same key may have taken over. Or our paths have released, and
//! somebody else holds: since then, or since it took the reservation from us?

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::request::{Release, Reserve};
use crate::snapshot::PathId;
use crate::state::State;

/// Waits for a usable path to show that it is registered.
#[derive(Debug, Clone)]
pub(crate) struct Proving {
    attempt: Attempt,
    claim: Claim,
}

/// What follows if it is.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    /// It holds, as it asked for.
    Reserved(Reserve),
    /// It has released what it held, if anything, before somebody else reserved.
    Released(Release),
}

impl Proving {
    /// Asks these paths.
    pub(crate) fn start(
        claim: Claim,
        paths: Vec<PathId>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let command = job.proving(claim.key()).command();
        let progress = Attempt::start(courier, paths, command);
        Self::after(progress, claim, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.claim, job)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        claim: Claim,
        job: &mut Job,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => return State::Proving(Self { attempt, claim }),
            Progress::Ended(end) => end,
        };
        match (claim, end) {
            (Claim::Reserved(reserve), AttemptEnd::Done(_)) => {
                State::reserved_already(&reserve, job)
            }
            (Claim::Reserved(_), AttemptEnd::Exhausted) if trail.conflicts.is_empty() => {
                State::Finished(trail.into_outcome())
            }
            (Claim::Reserved(_), _) => State::Finished(Outcome::Conflict),
            (Claim::Released(_), AttemptEnd::Done(_)) => State::Finished(Outcome::Done),
            (Claim::Released(_), _) if !trail.conflicts.is_empty() => {
                State::Finished(Outcome::Conflict)
            }
            (Claim::Released(_), AttemptEnd::Answered(path, reply)) => {
                State::Finished(reply.into_outcome(path))
            }
            (Claim::Released(_), AttemptEnd::Exhausted) => State::Finished(trail.into_outcome()),
        }
    }
}

impl Claim {
    fn key(&self) -> ReservationKey {
        match self {
            Self::Reserved(reserve) => reserve.key,
            Self::Released(release) => release.key,
        }
    }
}
