//! RELEASE: through every usable path, since any of them may be the holder; then a look whether
//! the reservation is really gone.

use alloc::vec::Vec;

use scsi_pr::{ReadReservation, Reservation};

use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Persistence, Settled};
use crate::holder::HolderReading;
use crate::job::{Job, release_command};
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome};
use crate::reading::Progress;
use crate::register::Piloting;
use crate::request::{Register, Release};
use crate::snapshot::{PathId, PathState};
use crate::state::State;
use crate::weigh::{Claim, Proving, Question, Reservations, Weighing};

/// Waits for every usable path to answer RELEASE.
#[derive(Debug, Clone)]
pub(crate) struct Releasing {
    broadcast: Broadcast,
    release: Release,
    purpose: Purpose,
}

/// Waits to hear whether the reservation is gone.
#[derive(Debug, Clone)]
pub(crate) struct Confirming {
    reading: HolderReading,
    release: Release,
    purpose: Purpose,
    answers: BroadcastEnd,
}

/// Why a reservation is released.
#[derive(Debug, Clone)]
enum Purpose {
    /// Somebody asked for it.
    Asked,
    /// Unregistering a path under a standing reservation would fail I/O.
    BeforeUnregistering(Register),
}

impl Releasing {
    pub(crate) fn start(release: Release, job: &mut Job, courier: &mut Courier) -> State {
        Self::begin(release, Purpose::Asked, job, courier)
    }

    /// Releases a reservation that this node may hold, so that it can unregister.
    pub(crate) fn start_before_unregistering(
        register: Register,
        release: Release,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        Self::begin(
            release,
            Purpose::BeforeUnregistering(register),
            job,
            courier,
        )
    }

    fn begin(release: Release, purpose: Purpose, job: &mut Job, courier: &mut Courier) -> State {
        let lanes = job.usable().into_iter().map(|path| [path].into()).collect();
        let orders = Orders {
            last: Vec::new(),
            command: release_command(release.key, release.reservation_type),
            insist: Vec::new(),
            stale: Vec::new(),
            width: Width::All,
            persistence: Persistence::Patience,
        };
        let progress = Broadcast::start(courier, lanes, [].into(), orders);
        Self::after(progress, release, purpose, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.release, self.purpose, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        release: Release,
        purpose: Purpose,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let mut answers = match progress {
            Progress::Waiting(broadcast) => {
                return State::Releasing(Self {
                    broadcast,
                    release,
                    purpose,
                });
            }
            Progress::Ended(answers) => answers,
        };
        // A path that the map did not use may lack the key.
        answers.conflicts.retain(|path| job.is_steady(*path));
        for (path, _) in &answers.absent {
            job.note_state(*path, PathState::Dead);
        }
        let behind: Vec<PathId> = answers.behind.iter().map(|(path, _)| *path).collect();
        job.demote(&behind);
        match purpose {
            Purpose::Asked if job.makes(Mutation::SkipReread) && !answers.done.is_empty() => {
                State::Finished(Outcome::Done)
            }
            _ if !answers.done.is_empty() => {
                Confirming::start(release, purpose, answers, job, courier)
            }
            // Not registered with this key, says every path: nothing can be purged from here.
            Purpose::BeforeUnregistering(register) if answers.has_only_conflicts() => {
                Piloting::start(register, job, courier)
            }
            Purpose::BeforeUnregistering(register) => State::unregister(register, job, courier),
            Purpose::Asked => State::Finished(match answers.answered.first() {
                Some((path, reply)) => reply.clone().into_outcome(*path),
                None => job.unless_strange(answers.into_trail().into_outcome()),
            }),
        }
    }
}

impl Confirming {
    fn start(
        release: Release,
        purpose: Purpose,
        answers: BroadcastEnd,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let progress = HolderReading::start(job, courier);
        Self::after(progress, release, purpose, answers, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(
            progress,
            self.release,
            self.purpose,
            self.answers,
            job,
            courier,
        )
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(
            progress,
            self.release,
            self.purpose,
            self.answers,
            job,
            courier,
        )
    }

    fn after(
        progress: Progress<HolderReading, Result<ReadReservation, Outcome>>,
        release: Release,
        purpose: Purpose,
        answers: BroadcastEnd,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let found = match progress {
            Progress::Waiting(reading) => {
                return State::Confirming(Self {
                    reading,
                    release,
                    purpose,
                    answers,
                });
            }
            Progress::Ended(found) => found,
        };
        let is_held = matches!(&found, Ok(found) if found.reservation.is_some());
        let outcome = match found {
            Ok(found) => judge(found.reservation, &release, &answers),
            Err(outcome) => unseen(outcome),
        };
        if outcome == Outcome::Done {
            job.effects.holding = Some(Holding::NotHeld);
        }
        match (purpose, outcome) {
            (Purpose::Asked, Outcome::HolderUnreachable { .. }) => {
                Weighing::start(Question::Released(release), job, courier)
            }
            (Purpose::Asked, Outcome::Done) if is_held => {
                let paths = answers.done;
                Proving::start(Claim::Released(release), paths, job, courier)
            }
            (Purpose::Asked, outcome) => State::Finished(outcome),
            (Purpose::BeforeUnregistering(register), _) => {
                State::unregister(register, job, courier)
            }
        }
    }
}

impl State {
    /// What could be released is released.
    fn unregister(register: Register, job: &mut Job, courier: &mut Courier) -> Self {
        if job.usable().is_empty() {
            return Self::Finished(Outcome::NoUsablePath);
        }
        let question = Question::Unregister(register, Reservations::ReleasedWhereReachable);
        Weighing::start(question, job, courier)
    }
}

/// A path accepted RELEASE; is what stands now somebody else's, or did it miss ours?
fn judge(found: Option<Reservation>, release: &Release, answers: &BroadcastEnd) -> Outcome {
    let is_missed = |reservation: &Reservation| {
        let is_shared = reservation.reservation_type.is_all_registrants();
        let is_same_type = reservation.reservation_type == release.reservation_type;
        // Every registrant holds a shared one, and one of another type was not released.
        reservation.key == release.key && !is_shared || is_shared && !is_same_type
    };
    let Some(reservation) = found.filter(is_missed) else {
        // Only the holder says that its reservation is of another type; it is gone since.
        let mut answered = answers.answered.iter();
        let invalid = answered.find(|(_, reply)| reply.is_invalid_release());
        return invalid.map_or(Outcome::Done, |(path, reply)| {
            reply.clone().into_outcome(*path)
        });
    };
    if let Some((path, reply)) = answers.answered.first() {
        return reply.clone().into_outcome(*path);
    }
    // The kernel's target has the holder answer so, and not 26/04.
    if !answers.conflicts.is_empty() && reservation.reservation_type != release.reservation_type {
        return Outcome::Conflict;
    }
    match answers.behind.first() {
        Some((path, _)) => Outcome::Incomplete { path: *path },
        // Nobody refused, and every registrant would have: it came since.
        None if reservation.reservation_type.is_all_registrants() => Outcome::Done,
        // Only a dead path can hold it, or somebody who has reserved since.
        None => Outcome::HolderUnreachable {
            key: reservation.key,
            reservation_type: reservation.reservation_type,
        },
    }
}

/// A path accepted RELEASE, but nobody can say whether it was the holder.
fn unseen(read: Outcome) -> Outcome {
    match read {
        Outcome::Unreachable { path } => Outcome::Unknown { path },
        other => other,
    }
}
