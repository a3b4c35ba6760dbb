//! Somebody has shut this node out in the middle of a takeover: registrations that were renewed
//! meanwhile would let it back in.

use scsi_pr::ReservationKey;

use super::Takeover;
use crate::broadcast::{Broadcast, BroadcastEnd};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::remnant::Remnants;
use crate::state::State;

/// Waits for registrations to be taken back that this node must not have any more.
#[derive(Debug, Clone)]
pub(crate) struct Retracting {
    broadcast: Broadcast,
    takeover: Takeover,
    outcome: Outcome,
}

impl Retracting {
    pub(super) fn start(
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
        let progress = takeover.sweep(ReservationKey::NONE, None, job, courier);
        Self::after(progress, takeover, outcome, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.takeover, self.outcome, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(broadcast) => State::Retracting(Self {
                broadcast,
                takeover,
                outcome,
            }),
            Progress::Ended(end) => {
                job.note_absent(&end);
                let outcome = end.shortfall().unwrap_or(outcome);
                Remnants::new(outcome, takeover.suspended, job).settle(job, courier)
            }
        }
    }
}
