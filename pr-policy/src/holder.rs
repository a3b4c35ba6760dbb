//! Reading who holds the reservation, in the middle of another request.

use scsi_pr::{InAction, ReadReservation, Reservation, ReservationKey};

use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};

/// Waits for READ RESERVATION.
#[derive(Debug, Clone)]
pub(crate) struct HolderReading(Reading);

impl HolderReading {
    pub(crate) fn start(
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<ReadReservation, Outcome>> {
        let paths = job.readable();
        Self::after(Reading::start(
            courier,
            paths,
            InAction::READ_RESERVATION,
            None,
        ))
    }

    pub(crate) fn handle(
        self,
        settled: Settled,
        courier: &mut Courier,
    ) -> Progress<Self, Result<ReadReservation, Outcome>> {
        Self::after(self.0.handle(settled, courier))
    }

    pub(crate) fn handle_alarm(
        self,
        courier: &mut Courier,
    ) -> Progress<Self, Result<ReadReservation, Outcome>> {
        Self::after(self.0.handle_alarm(courier))
    }

    fn after(
        progress: Progress<Reading, ReadEnd>,
    ) -> Progress<Self, Result<ReadReservation, Outcome>> {
        match progress {
            Progress::Waiting(reading) => Progress::Waiting(Self(reading)),
            Progress::Ended(end) => Progress::Ended(found(end)),
        }
    }
}

fn found(end: ReadEnd) -> Result<ReadReservation, Outcome> {
    match end {
        ReadEnd::Response { path, data } => {
            ReadReservation::decode(&data).map_err(|_| Outcome::Malformed { path })
        }
        end => Err(end.into_outcome()),
    }
}

/// Whether a reservation is one that a nexus registered with `key` holds. An all-registrants
/// reservation names no key: every registrant holds it.
pub(crate) fn is_held_by(reservation: &Reservation, key: ReservationKey) -> bool {
    reservation.reservation_type.is_all_registrants() || reservation.key == key
}
