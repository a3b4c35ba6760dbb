//! A look at the reservation before something is done that depends on who holds it.

use scsi_pr::{ReadReservation, Reservation};

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
        progress: Progress<HolderReading, Result<ReadReservation, Outcome>>,
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

fn decide(seen: ReadReservation, job: &mut Job, courier: &mut Courier) -> State {
    let Request::Preempt(preempt) = job.request.clone() else {
        return Asking::start(Aftermath::Spared, job, courier);
    };
    match preempt.hit(seen.reservation.as_ref()) {
        Hit::TakesOver => Takeover::asked_for(preempt, seen.generation).start(job, courier),
        Hit::RemovesAll => Asking::start(Aftermath::Removed, job, courier),
        Hit::Misses => Asking::start(Aftermath::Spared, job, courier),
    }
}

/// What a preemption of this node's own key, or of all registrants, does to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// The sender keeps its registration and the reservation; our other paths lose theirs.
    TakesOver,
    /// All our registrations go.
    RemovesAll,
    /// Nothing: no key is nobody's, and the device will say so.
    Misses,
}

impl Preempt {
    /// Whether this may take registrations from the sender's own node.
    pub(crate) fn may_hit_sender(&self) -> bool {
        self.victim == self.key || self.victim.is_none()
    }

    /// What this does to the sender's node (SPC-4 5.12.11.2), given who holds.
    fn hit(&self, found: Option<&Reservation>) -> Hit {
        let takes_reservation = found.is_some_and(|reservation| {
            let is_shared = reservation.reservation_type.is_all_registrants();
            is_shared == self.victim.is_none() && is_held_by(reservation, self.victim)
        });
        match takes_reservation {
            true => Hit::TakesOver,
            false if self.victim.is_none() => Hit::Misses,
            false => Hit::RemovesAll,
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
        use Hit::{Misses, RemovesAll, TakesOver};
        let rows = [
            // Our own key as the victim: a preemption of the reservation only if we hold it.
            (0xa, None, RemovesAll),
            (0xa, held(0xa, 5), TakesOver),
            (0xa, held(0xa, 1), TakesOver),
            (0xa, held(0xb, 5), RemovesAll),
            (0xa, held(0, 7), RemovesAll),
            (0xa, held(0xa, 8), RemovesAll),
            // No key as the victim: everybody who shares the reservation, or an error.
            (0, held(0, 7), TakesOver),
            (0, held(0, 8), TakesOver),
            (0, held(0xa, 5), Misses),
            (0, None, Misses),
        ];
        for (victim, found, expected) in rows {
            let preempt = Preempt {
                key: ReservationKey(0xa),
                victim: ReservationKey(victim),
                reservation_type: ReservationType(5),
                commands: VictimCommands::Finish,
            };
            assert!(preempt.may_hit_sender());
            let hit = preempt.hit(found.as_ref());
            assert_eq!(hit, expected, "{victim:#x} {found:?}");
        }
    }
}
