//! Registering, changing the key and unregistering: one path first, then all the others.
//!
//! The first path, the *pilot*, decides whether the request is allowed at all, as one disk
//! would. After it has accepted, the others must follow: a path that carries I/O without the
//! right key breaks the map, so a conflict there is a stale key that is replaced. Whoever shuts
//! this node out meanwhile takes away what the first paths have, and nothing from those that
//! follow: see [`Affirming`].

mod affirming;

use alloc::vec::Vec;

pub(crate) use self::affirming::{Affirming, Spread};
use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Persistence, Settled};
use crate::job::Job;
use crate::outcome::{Holding, Others, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterMode};
use crate::snapshot::{PathId, PathState};
use crate::state::State;
use crate::transaction::FanOut;
use crate::weigh::{Question, Weighing};

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
struct Accepted {
    pilot: PathId,
    /// How many paths may have accepted it before, without an answer.
    unheard: usize,
}

impl Piloting {
    /// After a look at what is registered with the key that is about to change, if any is: each
    /// path changes its own, and one that was taken away in between would not be missed.
    pub(crate) fn start_asked(register: Register, job: &mut Job, courier: &mut Courier) -> State {
        if register.changes_key() {
            Weighing::start(Question::Change(register), job, courier)
        } else {
            Self::start(register, job, courier)
        }
    }

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
                let accepted = Accepted {
                    pilot,
                    unheard: trail.unknown.len(),
                };
                FanningOut::start(register, accepted, &trail, job, courier)
            }
            Progress::Ended((AttemptEnd::Answered(path, reply), _)) => {
                State::Finished(reply.into_outcome(path))
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
        let orders = Orders {
            command: register.following_command(),
            insist: Some(register.insisting_command()),
            stale: trail.conflicts.clone(),
            width: job.width(),
            persistence: if register.is_unregister() {
                Persistence::Deadline
            } else {
                Persistence::Reversible
            },
        };
        let lanes = job.lanes(&register, Some(accepted.pilot), &suspects);
        let progress = Broadcast::start(courier, lanes, suspects, orders);
        Self::after(progress, register, accepted, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.register, self.accepted, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        register: Register,
        accepted: Accepted,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::FanningOut(Self {
                    broadcast,
                    register,
                    accepted,
                });
            }
            Progress::Ended(end) => end,
        };
        let mut changed = Vec::from([accepted.pilot]);
        changed.extend(&end.done);
        note_effects(&register, &changed, &end, job);
        let failure = end.shortfall();
        let unheard = accepted.unheard + end.unheard();
        if failure.is_none() {
            for (path, _) in &end.absent {
                job.note_state(*path, PathState::Dead);
            }
        }
        let spread = Spread {
            register,
            pilot: accepted.pilot,
            changed,
            replaced: end.replaced,
            unheard,
        };
        Affirming::start(spread, failure, job, courier)
    }
}

impl Register {
    /// Whether a key that the device compares is to be replaced by another one.
    fn changes_key(&self) -> bool {
        self.mode == RegisterMode::Compare
            && !self.key.is_none()
            && !self.new_key.is_none()
            && self.key != self.new_key
    }
}

fn note_effects(register: &Register, changed: &[PathId], end: &BroadcastEnd, job: &mut Job) {
    if !register.is_unregister() {
        job.effects.registration = Some(job.registered(register, changed));
    } else if end.shortfall().is_none() {
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
    }
}

impl Job {
    /// How many registrations the device is given at once.
    pub(crate) fn width(&self) -> Width {
        match self.fan_out {
            FanOut::Parallel => Width::All,
            FanOut::Sequential => Width::One,
        }
    }

    /// What is registered once these paths have accepted.
    pub(crate) fn registered(&self, register: &Register, accepted: &[PathId]) -> Registration {
        let covered = accepted
            .iter()
            .flat_map(|path| self.covered_by(register, *path));
        let mut paths: Vec<PathId> = covered.chain(accepted.iter().copied()).collect();
        paths.sort_unstable();
        paths.dedup();
        Registration::Registered {
            key: register.new_key,
            paths,
            others: Others::AsBefore,
        }
    }
}
