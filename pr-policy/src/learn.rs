//! After a preemption: who holds the reservation now?

use alloc::boxed::Box;

use scsi_pr::{ReadReservation, Reservation};

use crate::courier::{Courier, Settled};
use crate::holder::{HolderReading, is_held_by};
use crate::job::Job;
use crate::outcome::{Holding, Outcome};
use crate::reading::Progress;
use crate::request::Preempt;
use crate::restore::{Aftermath, Restoring};
use crate::state::State;
use crate::takeover::Takeover;

/// Waits to hear who holds the reservation after a preemption.
#[derive(Debug, Clone)]
pub(crate) struct Learning {
    reading: HolderReading,
    preempted: Preempted,
    next: Next,
}

/// What follows.
#[derive(Debug, Clone)]
enum Next {
    Restore,
    /// The takeover ends so.
    End(Box<Takeover>, Outcome),
}

/// The preemption that was carried out.
#[derive(Debug, Clone)]
struct Preempted {
    preempt: Preempt,
    aftermath: Aftermath,
}

impl Learning {
    pub(crate) fn start(
        preempt: Preempt,
        aftermath: Aftermath,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        Self::begin(
            Preempted { preempt, aftermath },
            Next::Restore,
            job,
            courier,
        )
    }

    /// After a takeover of which only the device knows what it came to.
    pub(crate) fn start_after_takeover(
        preempt: Preempt,
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let aftermath = Aftermath::Spared;
        let next = Next::End(Box::new(takeover), outcome);
        Self::begin(Preempted { preempt, aftermath }, next, job, courier)
    }

    fn begin(preempted: Preempted, next: Next, job: &mut Job, courier: &mut Courier) -> State {
        let progress = HolderReading::start(job, courier);
        Self::after(progress, preempted, next, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.preempted, self.next, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.preempted, self.next, job, courier)
    }

    fn after(
        progress: Progress<HolderReading, Result<ReadReservation, Outcome>>,
        preempted: Preempted,
        next: Next,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => {
                return State::Learning(Self {
                    reading,
                    preempted,
                    next,
                });
            }
            // The preemption is done; only what the record will say of the holder is not known.
            Progress::Ended(Err(_)) => {}
            Progress::Ended(Ok(found)) => {
                job.effects.holding = Some(preempted.holding(found.reservation));
            }
        }
        match (next, preempted.aftermath) {
            (Next::End(takeover, outcome), _) => takeover.end(outcome, courier),
            (Next::Restore, Aftermath::Spared) => State::Finished(Outcome::Done),
            (Next::Restore, Aftermath::Removed) => Restoring::start_after_preempt(job, courier),
        }
    }
}

impl Preempted {
    fn holding(&self, found: Option<Reservation>) -> Holding {
        let is_registered = self.aftermath != Aftermath::Removed;
        match found.filter(|reservation| is_held_by(reservation, self.preempt.key)) {
            Some(reservation) if is_registered => Holding::Held(reservation.reservation_type),
            _ => Holding::NotHeld,
        }
    }
}
