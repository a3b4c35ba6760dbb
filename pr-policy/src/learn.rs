//! After a preemption: who holds the reservation now?

use scsi_pr::Reservation;

use crate::courier::{Courier, Settled};
use crate::holder::{HolderReading, is_held_by};
use crate::job::Job;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::request::Preempt;
use crate::restore::{Aftermath, Restoring};
use crate::snapshot::PathId;
use crate::state::State;

/// Waits to hear who holds the reservation after a preemption.
#[derive(Debug, Clone)]
pub(crate) struct Learning {
    reading: HolderReading,
    preempted: Preempted,
}

/// The preemption that was carried out.
#[derive(Debug, Clone)]
struct Preempted {
    preempt: Preempt,
    /// The path that did it, if it said so.
    done_by: Option<PathId>,
    aftermath: Option<Aftermath>,
}

impl Learning {
    pub(crate) fn start(
        preempt: Preempt,
        done_by: Option<PathId>,
        aftermath: Option<Aftermath>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let preempted = Preempted {
            preempt,
            done_by,
            aftermath,
        };
        let progress = HolderReading::start(job, courier);
        Self::after(progress, preempted, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.preempted, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.preempted, job, courier)
    }

    fn after(
        progress: Progress<HolderReading, Result<Option<Reservation>, Outcome>>,
        preempted: Preempted,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => {
                return State::Learning(Self { reading, preempted });
            }
            // The preemption is done; only what the record will say of the holder is not known.
            Progress::Ended(Err(_)) => {}
            Progress::Ended(Ok(found)) => job.effects.holding = Some(preempted.holding(found)),
        }
        let Preempted {
            preempt,
            done_by,
            aftermath,
        } = preempted;
        match aftermath {
            Some(Aftermath::Keeping) if job.effects.holding == Some(Holding::NotHeld) => {
                shut_out(job)
            }
            Some(aftermath) => {
                Restoring::start_after_preempt(aftermath, preempt.key, done_by, job, courier)
            }
            None => State::Finished(Outcome::Done),
        }
    }
}

/// We held a moment ago, and do not any more: another node has cleared or preempted our key.
/// To register our other paths now would let this node back in.
fn shut_out(job: &mut Job) -> State {
    job.effects.registration = Some(Registration::Unregistered);
    State::Finished(Outcome::Done)
}

impl Preempted {
    fn holding(&self, found: Option<Reservation>) -> Holding {
        let is_registered = self.aftermath != Some(Aftermath::Removing);
        match found.filter(|reservation| is_held_by(reservation, self.preempt.key)) {
            Some(reservation) if is_registered => Holding::Held(reservation.reservation_type),
            _ => Holding::NotHeld,
        }
    }
}
