//! PERSISTENT RESERVE IN as asked for: the first good answer of any path.

use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};
use crate::request::Read;
use crate::state::State;

/// Waits for the response of a read.
#[derive(Debug, Clone)]
pub(crate) struct Answering {
    reading: Reading,
}

impl Answering {
    pub(crate) fn start(read: Read, job: &Job, courier: &mut Courier) -> State {
        let paths = job.readable();
        Self::after(Reading::start(
            courier,
            paths,
            read.action,
            read.allocation_length,
        ))
    }

    pub(crate) fn handle(self, settled: Settled, courier: &mut Courier) -> State {
        Self::after(self.reading.handle(settled, courier))
    }

    pub(crate) fn handle_alarm(self, courier: &mut Courier) -> State {
        Self::after(self.reading.handle_alarm(courier))
    }

    fn after(progress: Progress<Reading, ReadEnd>) -> State {
        match progress {
            Progress::Waiting(reading) => State::Answering(Self { reading }),
            Progress::Ended(ReadEnd::Response { data, .. }) => State::Finished(Outcome::Read(data)),
            Progress::Ended(end) => State::Finished(end.into_outcome()),
        }
    }
}

impl ReadEnd {
    /// The outcome of a request whose read did not succeed.
    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            Self::Response { path, .. } => Outcome::Malformed { path },
            Self::Answered { path, reply } => Outcome::Answered {
                path,
                status: reply.status,
                sense: reply.sense,
            },
            Self::Conflict => Outcome::Conflict,
            Self::Silent { path } => Outcome::Unreachable { path },
            Self::NoPath => Outcome::NoUsablePath,
        }
    }
}
