//! A count and the record say that a dead path of ours holds: is this node still registered at
//! all, or has somebody with the same key taken over?

use super::State;
use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::request::Reserve;

/// Waits for a usable path to show that it is registered.
#[derive(Debug, Clone)]
pub(crate) struct Proving {
    attempt: Attempt,
    reserve: Reserve,
}

impl Proving {
    pub(super) fn start(reserve: Reserve, job: &mut Job, courier: &mut Courier) -> State {
        let command = job.proving(reserve.key).command();
        let progress = Attempt::start(courier, job.usable(), command);
        Self::after(progress, reserve, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.reserve, job)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        reserve: Reserve,
        job: &mut Job,
    ) -> State {
        match progress {
            Progress::Waiting(attempt) => State::Proving(Self { attempt, reserve }),
            Progress::Ended((AttemptEnd::Done(_), _)) => State::reserved_already(&reserve, job),
            Progress::Ended(_) => State::Finished(Outcome::Conflict),
        }
    }
}
