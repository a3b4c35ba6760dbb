//! Registering, changing the key and unregistering: one path first, then all the others.
//!
//! The first path, the *pilot*, decides whether the request is allowed at all, as one disk
//! would. After it has accepted, the others must follow: a path that carries I/O without the
//! right key breaks the map, so a conflict there is a stale key that is replaced.

use alloc::vec::Vec;

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::request::Register;
use crate::snapshot::PathId;
use crate::state::State;
use crate::transaction::FanOut;

/// Waits for a path to accept the registration.
#[derive(Debug, Clone)]
pub(crate) struct Piloting {
    attempt: Attempt,
    register: Register,
}

/// Waits for the other paths.
#[derive(Debug, Clone)]
pub(crate) struct FanningOut {
    broadcast: Broadcast,
    register: Register,
    accepted: Accepted,
}

/// The proof that the device allowed this registration: the path that accepted it first.
#[derive(Debug, Clone, Copy)]
struct Accepted(PathId);

impl Piloting {
    pub(crate) fn start(register: Register, job: &mut Job, courier: &mut Courier) -> State {
        let progress = Attempt::start(courier, job.usable(), register.command());
        Self::after(progress, register, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.register, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        register: Register,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(attempt) => State::Piloting(Self { attempt, register }),
            Progress::Ended((AttemptEnd::Done(pilot), trail)) => {
                FanningOut::start(register, Accepted(pilot), &trail, job, courier)
            }
            Progress::Ended((AttemptEnd::Answered(path, reply), _)) => {
                State::Finished(job.outcome_of(path, reply))
            }
            Progress::Ended((AttemptEnd::Exhausted, trail)) => {
                State::Finished(trail.into_outcome())
            }
        }
    }
}

impl FanningOut {
    fn start(
        register: Register,
        accepted: Accepted,
        trail: &Trail,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let suspects: Vec<PathId> = trail.unreachable().collect();
        let mut settled = suspects.clone();
        settled.push(accepted.0);
        let orders = Orders {
            command: register.following_command(),
            insist: Some(register.insisting_command()),
            width: match job.fan_out {
                FanOut::Parallel => Width::All,
                FanOut::Sequential => Width::One,
            },
        };
        let lanes = job.lanes(&register, &settled);
        let progress = Broadcast::start(courier, lanes, suspects, orders);
        Self::after(progress, register, accepted, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.register, self.accepted, job)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        register: Register,
        accepted: Accepted,
        job: &mut Job,
    ) -> State {
        match progress {
            Progress::Waiting(broadcast) => State::FanningOut(Self {
                broadcast,
                register,
                accepted,
            }),
            Progress::Ended(end) => Self::ended(&register, accepted, end, job),
        }
    }

    fn ended(register: &Register, accepted: Accepted, end: BroadcastEnd, job: &mut Job) -> State {
        note_effects(register, accepted, &end, job);
        let answered = end.answered.into_iter().next();
        let behind = end.behind.into_iter().chain(end.conflicts).next();
        State::Finished(match (answered, behind) {
            (Some((path, reply)), _) => job.outcome_of(path, reply),
            (None, Some(path)) => Outcome::Incomplete { path },
            (None, None) => Outcome::Done,
        })
    }
}

fn note_effects(register: &Register, accepted: Accepted, end: &BroadcastEnd, job: &mut Job) {
    let is_complete = end.answered.is_empty() && end.behind.is_empty() && end.conflicts.is_empty();
    if !register.is_unregister() {
        let mut paths = Vec::from([accepted.0]);
        paths.extend(&end.done);
        paths.sort_unstable();
        let key = register.new_key;
        job.effects.registration = Some(Registration::Registered { key, paths });
    } else if is_complete {
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
    }
}

impl Trail {
    /// The outcome of a request that no path accepted.
    pub(crate) fn into_outcome(self) -> Outcome {
        if let Some(path) = self.unknown.first() {
            return Outcome::Unknown { path: *path };
        }
        if !self.conflicts.is_empty() {
            return Outcome::Conflict;
        }
        match self.silent.into_iter().next_back() {
            Some((path, Some(reply))) => Outcome::Answered {
                path,
                status: reply.status,
                sense: reply.sense,
            },
            Some((path, None)) => Outcome::Unreachable { path },
            None => Outcome::NoUsablePath,
        }
    }
}
