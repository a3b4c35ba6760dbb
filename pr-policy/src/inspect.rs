//! A look before a preemption: at the reservation, if what it does to this node depends on who
//! holds; at the keys otherwise, so that a lost answer can be told from a victim that was not
//! there.

use scsi_pr::{InAction, ReadKeys, ReadReservation, Reservation};

use crate::ask::Asking;
use crate::courier::{Courier, Settled};
use crate::holder::{HolderReading, is_held_by};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};
use crate::request::{Preempt, Request};
use crate::restore::Aftermath;
use crate::state::State;
use crate::takeover::Takeover;

/// Waits to hear who holds the reservation, or whether the victim is registered.
#[derive(Debug, Clone)]
pub(crate) enum Inspecting {
    Holder(HolderReading),
    Victim(Reading),
}

/// The victim of a preemption before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Victim {
    /// Registrations with its key.
    pub(crate) count: usize,
    /// PRGENERATION then.
    pub(crate) generation: u32,
}

impl Inspecting {
    pub(crate) fn start(preempt: &Preempt, job: &mut Job, courier: &mut Courier) -> State {
        if preempt.may_hit_sender() {
            let progress = HolderReading::start(job, courier);
            Self::after_holder(progress, job, courier)
        } else {
            let progress = Reading::start(courier, job.readable(), InAction::READ_KEYS, None);
            Self::after_victim(progress, job, courier)
        }
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        match self {
            Self::Holder(reading) => {
                Self::after_holder(reading.handle(settled, courier), job, courier)
            }
            Self::Victim(reading) => {
                Self::after_victim(reading.handle(settled, courier), job, courier)
            }
        }
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        match self {
            Self::Holder(reading) => {
                Self::after_holder(reading.handle_alarm(courier), job, courier)
            }
            Self::Victim(reading) => {
                Self::after_victim(reading.handle_alarm(courier), job, courier)
            }
        }
    }

    fn after_holder(
        progress: Progress<HolderReading, Result<ReadReservation, Outcome>>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => State::Inspecting(Self::Holder(reading)),
            Progress::Ended(Err(outcome)) => State::Finished(outcome),
            Progress::Ended(Ok(found)) => decide(found, job, courier),
        }
    }

    /// What cannot be read is no reason not to preempt.
    fn after_victim(
        progress: Progress<Reading, ReadEnd>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(reading) => return State::Inspecting(Self::Victim(reading)),
            Progress::Ended(end) => end,
        };
        if let (ReadEnd::Response { data, .. }, Request::Preempt(preempt)) = (end, &job.request) {
            job.victim_before = preempt.find_victim(&data);
        }
        Asking::start(Aftermath::Spared, job, courier)
    }
}

fn decide(seen: ReadReservation, job: &mut Job, courier: &mut Courier) -> State {
    let Request::Preempt(preempt) = job.request.clone() else {
        return Asking::start(Aftermath::Spared, job, courier);
    };
    match preempt.hit(seen.reservation.as_ref()) {
        Hit::TakesOver => Takeover::asked_for(preempt, seen.generation).start(job, courier),
        Hit::DeviceDecides => {
            Takeover::of_all_registrants(preempt, seen.generation).start(job, courier)
        }
        Hit::RemovesAll => Asking::start(Aftermath::Removed, job, courier),
    }
}

/// What a preemption of this node's own key, or of all registrants, does to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// The sender keeps its registration and the reservation; our other paths lose theirs.
    TakesOver,
    /// All our registrations go.
    RemovesAll,
    /// All registrants hold: whether the sender's registration goes as well is not the same on
    /// all devices.
    DeviceDecides,
}

impl Preempt {
    fn find_victim(&self, data: &[u8]) -> Option<Victim> {
        let seen = ReadKeys::decode(data).ok()?;
        let found = seen.keys.iter().filter(|key| **key == self.victim);
        Some(Victim {
            count: found.count(),
            generation: seen.generation,
        })
    }

    /// Whether this may take registrations from the sender's own node.
    pub(crate) fn may_hit_sender(&self) -> bool {
        self.victim == self.key || self.victim.is_none()
    }

    /// What this does to the sender's node (SPC-4 5.12.11.2), given who holds.
    fn hit(&self, found: Option<&Reservation>) -> Hit {
        let is_shared = found.is_some_and(|found| found.reservation_type.is_all_registrants());
        let takes_reservation = is_shared == self.victim.is_none()
            && found.is_some_and(|found| is_held_by(found, self.victim));
        match takes_reservation {
            true => Hit::TakesOver,
            // So the device will say; unless another node makes it a reservation of all
            // registrants before.
            false if self.victim.is_none() => Hit::TakesOver,
            false if is_shared => Hit::DeviceDecides,
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
        use Hit::{DeviceDecides, RemovesAll, TakesOver};
        let rows = [
            // Our own key as the victim: a preemption of the reservation only if we hold it.
            (0xa, None, RemovesAll),
            (0xa, held(0xa, 5), TakesOver),
            (0xa, held(0xa, 1), TakesOver),
            (0xa, held(0xb, 5), RemovesAll),
            (0xa, held(0, 7), DeviceDecides),
            (0xa, held(0xa, 8), DeviceDecides),
            // No key as the victim: everybody who shares the reservation, or an error.
            (0, held(0, 7), TakesOver),
            (0, held(0, 8), TakesOver),
            (0, held(0xa, 5), TakesOver),
            (0, None, TakesOver),
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
