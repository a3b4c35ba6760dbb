//! RELEASE: through every usable path, since any of them may be the holder; then a look whether
//! the reservation is really gone.

use scsi_pr::{Reservation, ReservationKey, ReservationType};

use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Settled};
use crate::holder::HolderReading;
use crate::job::{Job, release_command};
use crate::outcome::{Holding, Outcome};
use crate::reading::Progress;
use crate::register::Piloting;
use crate::request::{Register, Release};
use crate::state::State;

/// Waits for every usable path to answer RELEASE.
#[derive(Debug, Clone)]
pub(crate) struct Releasing {
    broadcast: Broadcast,
    purpose: Purpose,
}

/// Waits to hear whether the reservation is gone.
#[derive(Debug, Clone)]
pub(crate) struct Confirming {
    reading: HolderReading,
    release: Release,
}

/// Why a reservation is released.
#[derive(Debug, Clone)]
enum Purpose {
    /// Somebody asked for it.
    Asked(Release),
    /// Unregistering a path under a standing reservation would fail I/O.
    BeforeUnregistering(Register),
}

impl Releasing {
    pub(crate) fn start(release: Release, job: &mut Job, courier: &mut Courier) -> State {
        let Release {
            key,
            reservation_type,
        } = release;
        Self::begin(key, reservation_type, Purpose::Asked(release), job, courier)
    }

    /// Releases a reservation that this node holds, so that it can unregister.
    pub(crate) fn start_before_unregistering(
        register: Register,
        key: ReservationKey,
        held: ReservationType,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        Self::begin(
            key,
            held,
            Purpose::BeforeUnregistering(register),
            job,
            courier,
        )
    }

    fn begin(
        key: ReservationKey,
        held: ReservationType,
        purpose: Purpose,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let lanes = job.usable().into_iter().map(|path| [path].into()).collect();
        let command = release_command(key, held);
        let orders = Orders {
            command,
            insist: None,
            width: Width::All,
        };
        let progress = Broadcast::start(courier, lanes, [].into(), orders);
        Self::after(progress, purpose, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.purpose, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        purpose: Purpose,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match (progress, purpose) {
            (Progress::Waiting(broadcast), purpose) => {
                State::Releasing(Self { broadcast, purpose })
            }
            (Progress::Ended(_), Purpose::BeforeUnregistering(register)) => {
                Piloting::start(register, job, courier)
            }
            (Progress::Ended(end), Purpose::Asked(release)) => {
                Self::ended(release, end, job, courier)
            }
        }
    }

    fn ended(release: Release, end: BroadcastEnd, job: &mut Job, courier: &mut Courier) -> State {
        for path in &end.absent {
            job.note_state(*path, crate::snapshot::PathState::Dead);
        }
        if let Some((path, reply)) = end.answered.into_iter().next() {
            return State::Finished(job.outcome_of(path, reply));
        }
        if !end.done.is_empty() {
            return Confirming::start(release, job, courier);
        }
        State::Finished(
            match (end.conflicts.first(), end.behind.first(), end.absent.last()) {
                (Some(_), _, _) => Outcome::Conflict,
                (None, Some(path), _) => Outcome::Unknown { path: *path },
                (None, None, Some(path)) => Outcome::Unreachable { path: *path },
                (None, None, None) => Outcome::NoUsablePath,
            },
        )
    }
}

impl Confirming {
    fn start(release: Release, job: &mut Job, courier: &mut Courier) -> State {
        let progress = HolderReading::start(job, courier);
        Self::after(progress, release, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.release, job)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.release, job)
    }

    fn after(
        progress: Progress<HolderReading, Result<Option<Reservation>, Outcome>>,
        release: Release,
        job: &mut Job,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => State::Confirming(Self { reading, release }),
            Progress::Ended(Err(outcome)) => State::Finished(outcome),
            Progress::Ended(Ok(found)) => State::Finished(judge(found, &release, job)),
        }
    }
}

/// A registered path accepted RELEASE; is what stands now somebody else's, or did it miss ours?
fn judge(found: Option<Reservation>, release: &Release, job: &mut Job) -> Outcome {
    let Some(reservation) = found.filter(|reservation| reservation.key == release.key) else {
        return match found {
            // Every registrant holds it: the paths that answered did not match its type.
            Some(reservation)
                if reservation.reservation_type.is_all_registrants()
                    && reservation.reservation_type != release.reservation_type =>
            {
                Outcome::Conflict
            }
            _ => {
                job.effects.holding = Some(Holding::NotHeld);
                Outcome::Done
            }
        };
    };
    if reservation.reservation_type != release.reservation_type {
        return Outcome::Conflict;
    }
    let Reservation {
        key,
        reservation_type,
        ..
    } = reservation;
    Outcome::HolderUnreachable {
        key,
        reservation_type,
    }
}
