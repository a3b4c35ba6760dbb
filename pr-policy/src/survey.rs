//! Before anything is changed: which of the doubtful paths are alive?

use alloc::vec::Vec;

use crate::courier::{Courier, Settled, Verdict};
use crate::job::Job;
use crate::snapshot::{PathId, PathState};
use crate::state::State;

/// Waits for the probes of doubtful paths.
#[derive(Debug, Clone)]
pub(crate) struct Surveying {
    pending: Vec<PathId>,
}

impl Surveying {
    pub(crate) fn start(job: &mut Job, courier: &mut Courier) -> State {
        let pending = job.in_state(PathState::Doubtful);
        for path in &pending {
            courier.probe(*path);
        }
        Self { pending }.advance(job, courier)
    }

    pub(crate) fn handle(
        mut self,
        settled: Settled,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        if let Verdict::Probed(state) = settled.verdict {
            let path = settled.path;
            self.pending.retain(|pending| *pending != path);
            job.note_state(path, state);
        }
        self.advance(job, courier)
    }

    fn advance(self, job: &mut Job, courier: &mut Courier) -> State {
        if self.pending.is_empty() {
            State::start_out(job, courier)
        } else {
            State::Surveying(self)
        }
    }
}
