//! A look at the reservation before something is done that depends on who holds it.

use scsi_pr::Reservation;

use crate::ask::Asking;
use crate::courier::{Courier, Settled};
use crate::holder::{HolderReading, is_held_by};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::request::{Preempt, Request};
use crate::restore::Aftermath;
use crate::state::State;
use crate::takeover::Takeover;

/// Waits to hear who holds the reservation.
#[derive(Debug, Clone)]
pub(crate) struct Inspecting {
    reading: HolderReading,
}

impl Inspecting {
    pub(crate) fn start(job: &mut Job, courier: &mut Courier) -> State {
        let progress = HolderReading::start(job, courier);
        Self::after(progress, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, job, courier)
    }

    fn after(
        progress: Progress<HolderReading, Result<Option<Reservation>, Outcome>>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => State::Inspecting(Self { reading }),
            Progress::Ended(Err(outcome)) => State::Finished(outcome),
            Progress::Ended(Ok(found)) => decide(found, job, courier),
        }
    }
}

fn decide(found: Option<Reservation>, job: &mut Job, courier: &mut Courier) -> State {
    let Request::Preempt(preempt) = job.request.clone() else {
        return Asking::start(None, job, courier);
    };
    match preempt.aftermath(found.as_ref()) {
        Aftermath::Keeping => Takeover::asked_for(preempt).start(job, courier),
        Aftermath::Removing => Asking::start(Some(Aftermath::Removing), job, courier),
    }
}

impl Preempt {
    /// Whether this may take registrations from the sender's own node.
    pub(crate) fn may_hit_sender(&self) -> bool {
        self.victim == self.key || self.victim.is_none()
    }

    /// What this does to the sender's node (SPC-4 5.12.11.2), given who holds.
    fn aftermath(&self, found: Option<&Reservation>) -> Aftermath {
        let takes_reservation = found.is_some_and(|reservation| {
            let is_shared = reservation.reservation_type.is_all_registrants();
            is_shared == self.victim.is_none() && is_held_by(reservation, self.victim)
        });
        if takes_reservation || self.victim.is_none() {
            Aftermath::Keeping
        } else {
            Aftermath::Removing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::VictimCommands;
    use scsi_pr::{ReservationKey, ReservationType, Scope};

    fn held(key: u64, reservation_type: u8) -> Option<Reservation> {
        Some(Reservation {
            key: ReservationKey(key),
            scope: Scope::LOGICAL_UNIT,
            reservation_type: ReservationType(reservation_type),
        })
    }

    #[test]
    fn what_a_preemption_of_ourselves_does() {
        use Aftermath::{Keeping, Removing};
        let rows = [
            // Our own key as the victim: a preemption of the reservation only if we hold it.
            (0xa, None, Removing),
            (0xa, held(0xa, 5), Keeping),
            (0xa, held(0xa, 1), Keeping),
            (0xa, held(0xb, 5), Removing),
            (0xa, held(0, 7), Removing),
            (0xa, held(0xa, 8), Removing),
            // No key as the victim: everybody who shares the reservation, or an error.
            (0, held(0, 7), Keeping),
            (0, held(0, 8), Keeping),
            (0, held(0xa, 5), Keeping),
            (0, None, Keeping),
        ];
        for (victim, found, expected) in rows {
            let preempt = Preempt {
                key: ReservationKey(0xa),
                victim: ReservationKey(victim),
                reservation_type: ReservationType(5),
                commands: VictimCommands::Finish,
            };
            assert!(preempt.may_hit_sender());
            assert_eq!(
                preempt.aftermath(found.as_ref()),
                expected,
                "{victim:#x} {found:?}"
            );
        }
    }
}
