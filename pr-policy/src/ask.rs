//! Commands that one path carries out for the whole map: RESERVE, CLEAR, PREEMPT, REGISTER AND
//! MOVE; and what has to be looked at, or put right, afterwards.

use alloc::vec::Vec;

use scsi_pr::{InAction, ReadKeys, ReadReservation, Reservation, ReservationKey};

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Settled};
use crate::holder::{HolderReading, is_held_by};
use crate::inspect::SelfPreempt;
use crate::job::Job;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::{Progress, ReadEnd, Reading};
use crate::request::{Register, RegisterMode, Request};
use crate::snapshot::PathId;
use crate::state::State;

/// Waits for a path to accept the command.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    attempt: Attempt,
    self_preempt: Option<SelfPreempt>,
}

/// Waits for the reading that tells whether a command without an answer was executed.
#[derive(Debug, Clone)]
pub(crate) struct Verifying {
    reading: Reading,
    self_preempt: Option<SelfPreempt>,
    silent: PathId,
}

/// Waits to hear who holds the reservation after a preemption.
#[derive(Debug, Clone)]
pub(crate) struct Learning {
    reading: HolderReading,
    self_preempt: Option<SelfPreempt>,
    done_by: Option<PathId>,
}

/// Waits for our paths to be registered again, or unregistered, after a preemption of our key.
#[derive(Debug, Clone)]
pub(crate) struct Restoring {
    broadcast: Broadcast,
    self_preempt: SelfPreempt,
    done_by: Option<PathId>,
}

impl Asking {
    pub(crate) fn start(job: &mut Job, courier: &mut Courier) -> State {
        Self::begin(None, job, courier)
    }

    pub(crate) fn start_self_preempt(
        self_preempt: SelfPreempt,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        Self::begin(Some(self_preempt), job, courier)
    }

    fn begin(self_preempt: Option<SelfPreempt>, job: &mut Job, courier: &mut Courier) -> State {
        let Some(command) = job.request.out_command() else {
            return State::Finished(Outcome::NoUsablePath);
        };
        let progress = Attempt::start(courier, job.usable(), command);
        Self::after(progress, self_preempt, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.self_preempt, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        self_preempt: Option<SelfPreempt>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(attempt) => State::Asking(Self {
                attempt,
                self_preempt,
            }),
            Progress::Ended((AttemptEnd::Done(path), _)) => {
                accepted(Some(path), self_preempt, job, courier)
            }
            Progress::Ended((AttemptEnd::Answered(path, reply), _)) => {
                State::Finished(job.outcome_of(path, reply))
            }
            Progress::Ended((AttemptEnd::Exhausted, trail)) => match trail.unknown.first() {
                Some(path) => Verifying::start(*path, self_preempt, job, courier),
                None => State::Finished(trail.into_outcome()),
            },
        }
    }
}

/// The device has carried out the command.
fn accepted(
    done_by: Option<PathId>,
    self_preempt: Option<SelfPreempt>,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    match &job.request {
        Request::Preempt(_) => return Learning::start(done_by, self_preempt, job, courier),
        Request::Reserve(reserve) => {
            job.effects.holding = Some(Holding::Held(reserve.reservation_type));
        }
        Request::Clear(_) => {
            job.effects.registration = Some(Registration::Unregistered);
            job.effects.holding = Some(Holding::NotHeld);
        }
        Request::RegisterAndMove(_) => job.effects.holding = Some(Holding::NotHeld),
        Request::Read(_) | Request::Register(_) | Request::Release(_) => {}
    }
    State::Finished(Outcome::Done)
}

impl Verifying {
    fn start(
        silent: PathId,
        self_preempt: Option<SelfPreempt>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let action = match job.request {
            Request::Reserve(_) => InAction::READ_RESERVATION,
            Request::Clear(_) | Request::Preempt(_) => InAction::READ_KEYS,
            _ => return State::Finished(Outcome::Unknown { path: silent }),
        };
        let progress = Reading::start(courier, job.readable(), action, None);
        Self::after(progress, silent, self_preempt, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.silent, self.self_preempt, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.silent, self.self_preempt, job, courier)
    }

    fn after(
        progress: Progress<Reading, ReadEnd>,
        silent: PathId,
        self_preempt: Option<SelfPreempt>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(reading) => State::Verifying(Self {
                reading,
                self_preempt,
                silent,
            }),
            Progress::Ended(ReadEnd::Response { data, .. }) => {
                match was_executed(&job.request, &data) {
                    Some(true) => accepted(None, self_preempt, job, courier),
                    Some(false) => State::Finished(Outcome::Conflict),
                    None => State::Finished(Outcome::Unknown { path: silent }),
                }
            }
            Progress::Ended(_) => State::Finished(Outcome::Unknown { path: silent }),
        }
    }
}

/// Whether a command whose answer was lost shows in what the device says now.
fn was_executed(request: &Request, data: &[u8]) -> Option<bool> {
    match request {
        Request::Reserve(reserve) => {
            let found = ReadReservation::decode(data).ok()?.reservation;
            Some(found.is_some_and(|reservation| {
                is_held_by(&reservation, reserve.key)
                    && reservation.reservation_type == reserve.reservation_type
            }))
        }
        Request::Clear(_) => Some(ReadKeys::decode(data).ok()?.keys.is_empty()),
        Request::Preempt(preempt) if !preempt.may_hit_sender() => {
            let keys = ReadKeys::decode(data).ok()?.keys;
            Some(keys.contains(&preempt.key) && !keys.contains(&preempt.victim))
        }
        _ => None,
    }
}

impl Learning {
    fn start(
        done_by: Option<PathId>,
        self_preempt: Option<SelfPreempt>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let progress = HolderReading::start(job, courier);
        Self::after(progress, done_by, self_preempt, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.done_by, self.self_preempt, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.done_by, self.self_preempt, job, courier)
    }

    fn after(
        progress: Progress<HolderReading, Result<Option<Reservation>, Outcome>>,
        done_by: Option<PathId>,
        self_preempt: Option<SelfPreempt>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let found = match progress {
            Progress::Waiting(reading) => {
                return State::Learning(Self {
                    reading,
                    self_preempt,
                    done_by,
                });
            }
            // The preemption is done; only what the record will say of the holder is not known.
            Progress::Ended(Err(_)) => None,
            Progress::Ended(Ok(found)) => Some(found),
        };
        let key = job.own_key().unwrap_or(ReservationKey::NONE);
        if let Some(found) = found {
            let ours = found.filter(|reservation| is_held_by(reservation, key));
            job.effects.holding = Some(match ours {
                Some(reservation) => Holding::Held(reservation.reservation_type),
                None => Holding::NotHeld,
            });
        }
        match self_preempt {
            Some(self_preempt) => Restoring::start(self_preempt, done_by, key, job, courier),
            None => State::Finished(Outcome::Done),
        }
    }
}

impl Restoring {
    fn start(
        self_preempt: SelfPreempt,
        done_by: Option<PathId>,
        key: ReservationKey,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let new_key = match self_preempt {
            SelfPreempt::Keeping => key,
            SelfPreempt::Removing => ReservationKey::NONE,
        };
        let register = Register {
            mode: RegisterMode::Ignore,
            key: ReservationKey::NONE,
            new_key,
            aptpl: job.remembered_aptpl,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        };
        let settled = match self_preempt {
            SelfPreempt::Keeping => Vec::from_iter(done_by),
            SelfPreempt::Removing => Vec::new(),
        };
        let lanes = job.lanes(&register, &settled);
        let orders = Orders {
            command: register.command(),
            insist: None,
            width: Width::All,
        };
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, self_preempt, done_by, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.self_preempt, self.done_by, job)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        self_preempt: SelfPreempt,
        done_by: Option<PathId>,
        job: &mut Job,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Restoring(Self {
                    broadcast,
                    self_preempt,
                    done_by,
                });
            }
            Progress::Ended(end) => end,
        };
        job.effects.registration = Some(match self_preempt {
            SelfPreempt::Removing => Registration::Unregistered,
            SelfPreempt::Keeping => Registration::Registered {
                key: job.own_key().unwrap_or(ReservationKey::NONE),
                paths: done_by.into_iter().chain(end.done).collect(),
            },
        });
        let answered = end.answered.into_iter().next();
        let behind = end.behind.into_iter().chain(end.conflicts).next();
        State::Finished(match (answered, behind) {
            (Some((path, reply)), _) => job.outcome_of(path, reply),
            (None, Some(path)) => Outcome::Incomplete { path },
            (None, None) => Outcome::Done,
        })
    }
}
