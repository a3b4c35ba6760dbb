//! Taking the reservation over from a nexus of our own that cannot be reached any more.
//!
//! PREEMPT with our own key as the victim makes the sender the holder and removes every other
//! registration of that key: the dead path's, and those of our living paths as well. Until they
//! are registered again their I/O would fail, so the map is suspended meanwhile; I/O waits.
//!
//! ```text
//!   Suspending ─► Taking ─► [Handing over] ─► Renewing ─► Validating ─► Resuming ─► end
//!                  │  ▲ conflict, but executed: again ▲       │ shut out: Retracting ▲
//!                  └──┴─────────────── any failure ───┴───────┴──────────────────────┘
//! ```
//!
//! Whatever fails, the map is resumed. A map with one usable path has no other path whose I/O
//! could fail: it is not suspended.

use alloc::vec::Vec;

use scsi_pr::{ReservationKey, ReservationType};

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::census::CensusReading;
use crate::courier::{Courier, MapChange, Persistence, Settled, Verdict};
use crate::evidence::{Census, Ownership};
use crate::job::{Job, release_command};
use crate::limits::MAX_TAKEOVERS;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Preempt, Register, RegisterMode, VictimCommands};
use crate::snapshot::PathId;
use crate::state::State;
use crate::wire::Command;

/// What is taken over, and what for.
#[derive(Debug, Clone)]
pub(crate) struct Takeover {
    key: ReservationKey,
    command: Command,
    goal: Goal,
    /// Paths that fell silent meanwhile.
    lost: Vec<PathId>,
    rounds: u32,
    suspended: Suspended,
}

/// What this node wants in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// No reservation, all paths registered.
    Released(ReservationType),
    /// No reservation, no path registered.
    Unregistered(ReservationType),
    /// A reservation of this type, all paths registered.
    Kept(ReservationType),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspended {
    No,
    Yes,
}

/// Waits for the map to be suspended.
#[derive(Debug, Clone)]
pub(crate) struct Suspending(Takeover);

/// Waits for a path to accept PREEMPT.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    attempt: Attempt,
    takeover: Takeover,
}

/// Waits to hear whether a PREEMPT without an answer was executed.
#[derive(Debug, Clone)]
pub(crate) struct Recounting {
    reading: CensusReading,
    takeover: Takeover,
    outcome: Outcome,
}

/// Waits for the new holder to accept RELEASE.
#[derive(Debug, Clone)]
pub(crate) struct Handing {
    attempt: Attempt,
    takeover: Takeover,
    holder: Taken,
}

/// Waits for the other paths to be registered again, or unregistered.
#[derive(Debug, Clone)]
pub(crate) struct Renewing {
    broadcast: Broadcast,
    takeover: Takeover,
    next: AfterRenewing,
}

/// Waits to hear whether the holder is still registered: nobody shut us out meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Validating {
    attempt: Attempt,
    takeover: Takeover,
    outcome: Outcome,
}

/// Waits for registrations to be taken back that this node must not have any more.
#[derive(Debug, Clone)]
pub(crate) struct Retracting {
    broadcast: Broadcast,
    takeover: Takeover,
    outcome: Outcome,
}

/// Waits for the map to be resumed.
#[derive(Debug, Clone)]
pub(crate) struct Resuming(Outcome);

/// The proof that this path is the holder now: it accepted PREEMPT.
#[derive(Debug, Clone, Copy)]
struct Taken(PathId);

#[derive(Debug, Clone)]
enum AfterRenewing {
    /// The reservation was taken by this path.
    Validate(Taken),
    /// It is on a path that fell silent: take it again.
    TakeAgain,
    /// Something failed: this is how it ends.
    End(Outcome),
}

impl Takeover {
    /// Takes over what a dead path of ours holds with `key`.
    pub(crate) fn of_dead_path(key: ReservationKey, goal: Goal) -> Self {
        let preempt = Preempt {
            key,
            victim: key,
            reservation_type: goal.reservation_type(),
            commands: VictimCommands::Finish,
        };
        Self::with(key, preempt, goal)
    }

    /// Carries out a preemption that was asked for and that hits our own registrations.
    pub(crate) fn asked_for(preempt: Preempt) -> Self {
        Self::with(
            preempt.key,
            preempt.clone(),
            Goal::Kept(preempt.reservation_type),
        )
    }

    fn with(key: ReservationKey, preempt: Preempt, goal: Goal) -> Self {
        Self {
            key,
            command: preempt.command(),
            goal,
            lost: Vec::new(),
            rounds: 0,
            suspended: Suspended::No,
        }
    }

    pub(crate) fn start(self, job: &mut Job, courier: &mut Courier) -> State {
        if job.usable().len() < 2 {
            return self.take(job, courier);
        }
        courier.suspend();
        State::Suspending(Suspending(self))
    }

    fn take(mut self, job: &mut Job, courier: &mut Courier) -> State {
        self.rounds += 1;
        let paths = self.living(job);
        let progress = Attempt::start(courier, paths, self.command.clone());
        Taking::after(progress, self, job, courier)
    }

    fn living(&self, job: &Job) -> Vec<PathId> {
        job.usable()
            .into_iter()
            .filter(|path| !self.lost.contains(path))
            .collect()
    }

    /// Registers, or unregisters, every living path but `except`.
    fn renew(
        self,
        except: Option<PathId>,
        next: AfterRenewing,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let key = match self.goal {
            Goal::Unregistered(_) => ReservationKey::NONE,
            Goal::Released(_) | Goal::Kept(_) => self.key,
        };
        let progress = self.sweep(key, except, job, courier);
        Renewing::after(progress, self, next, job, courier)
    }

    fn retract(self, outcome: Outcome, job: &mut Job, courier: &mut Courier) -> State {
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
        let progress = self.sweep(ReservationKey::NONE, None, job, courier);
        Retracting::after(progress, self, outcome, courier)
    }

    fn sweep(
        &self,
        key: ReservationKey,
        except: Option<PathId>,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Broadcast, BroadcastEnd> {
        let paths = self
            .living(job)
            .into_iter()
            .filter(|path| Some(*path) != except);
        let orders = Orders {
            command: job.imposing(key).command(),
            insist: None,
            stale: Vec::new(),
            width: Width::All,
            persistence: Persistence::Deadline,
        };
        let lanes = paths.map(|path| Vec::from([path])).collect();
        Broadcast::start(courier, lanes, self.lost.clone(), orders)
    }

    fn end(self, outcome: Outcome, courier: &mut Courier) -> State {
        match self.suspended {
            Suspended::No => State::Finished(outcome),
            Suspended::Yes => {
                courier.resume();
                State::Resuming(Resuming(outcome))
            }
        }
    }
}

impl Goal {
    fn reservation_type(self) -> ReservationType {
        match self {
            Self::Released(held) | Self::Unregistered(held) | Self::Kept(held) => held,
        }
    }
}

impl Suspending {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let mut takeover = self.0;
        match settled.verdict {
            Verdict::Map(MapChange::Suspended) => {
                takeover.suspended = Suspended::Yes;
                takeover.take(job, courier)
            }
            // Also when nobody answered: it may be suspended nevertheless.
            Verdict::Map(MapChange::NotSuspended) => {
                takeover.suspended = Suspended::Yes;
                takeover.end(Outcome::NotSuspended, courier)
            }
            _ => State::Suspending(Self(takeover)),
        }
    }
}

impl Taking {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.takeover, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        mut takeover: Takeover,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => return State::Taking(Self { attempt, takeover }),
            Progress::Ended(end) => end,
        };
        takeover.lost.extend(trail.unreachable());
        match end {
            AttemptEnd::Done(path) => taken(Taken(path), takeover, job, courier),
            AttemptEnd::Answered(path, reply) => takeover.end(reply.into_outcome(path), courier),
            AttemptEnd::Exhausted if trail.unknown.is_empty() => {
                takeover.end(trail.into_outcome(), courier)
            }
            AttemptEnd::Exhausted => {
                Recounting::start(takeover, trail.into_outcome(), job, courier)
            }
        }
    }
}

fn taken(holder: Taken, takeover: Takeover, job: &mut Job, courier: &mut Courier) -> State {
    match takeover.goal {
        Goal::Kept(_) => takeover.renew(
            Some(holder.0),
            AfterRenewing::Validate(holder),
            job,
            courier,
        ),
        Goal::Released(held) | Goal::Unregistered(held) => {
            let release = release_command(takeover.key, held);
            let progress = Attempt::start(courier, Vec::from([holder.0]), release);
            Handing::after(progress, takeover, holder, job, courier)
        }
    }
}

impl Recounting {
    fn start(takeover: Takeover, outcome: Outcome, job: &mut Job, courier: &mut Courier) -> State {
        let progress = CensusReading::start(job, courier);
        Self::after(progress, takeover, outcome, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, job, courier);
        Self::after(progress, self.takeover, self.outcome, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(job, courier);
        Self::after(progress, self.takeover, self.outcome, job, courier)
    }

    fn after(
        progress: Progress<CensusReading, Result<Census, Outcome>>,
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let census = match progress {
            Progress::Waiting(reading) => {
                return State::Recounting(Self {
                    reading,
                    takeover,
                    outcome,
                });
            }
            Progress::Ended(Ok(census)) => census,
            Progress::Ended(Err(_)) => return takeover.end(outcome, courier),
        };
        let key = takeover.key;
        if census.count(key) == 0 {
            return takeover.retract(outcome, job, courier);
        }
        let is_ours = census.holder(key, job) == Ownership::Ours;
        let was_executed = is_ours && census.count(key) == 1;
        if was_executed && takeover.rounds < MAX_TAKEOVERS && !takeover.living(job).is_empty() {
            return takeover.renew(None, AfterRenewing::TakeAgain, job, courier);
        }
        let next = AfterRenewing::End(outcome);
        takeover.renew(None, next, job, courier)
    }
}

impl Handing {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.takeover, self.holder, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        mut takeover: Takeover,
        holder: Taken,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Handing(Self {
                    attempt,
                    takeover,
                    holder,
                });
            }
            Progress::Ended(end) => end,
        };
        match end {
            AttemptEnd::Done(path) => {
                job.effects.holding = Some(Holding::NotHeld);
                let except = match takeover.goal {
                    Goal::Unregistered(_) => None,
                    _ => Some(path),
                };
                takeover.renew(except, AfterRenewing::Validate(holder), job, courier)
            }
            AttemptEnd::Answered(path, reply) => {
                let next = AfterRenewing::End(reply.into_outcome(path));
                takeover.renew(Some(path), next, job, courier)
            }
            AttemptEnd::Exhausted if !trail.conflicts.is_empty() => {
                takeover.retract(Outcome::Conflict, job, courier)
            }
            AttemptEnd::Exhausted => {
                takeover.lost.push(holder.0);
                let is_hopeless = takeover.living(job).is_empty();
                let next = if is_hopeless || takeover.rounds >= MAX_TAKEOVERS {
                    AfterRenewing::End(trail.into_outcome())
                } else {
                    AfterRenewing::TakeAgain
                };
                // The paths have to be registered to preempt, also on the way out.
                takeover.renew_registered(next, job, courier)
            }
        }
    }
}

impl Takeover {
    fn renew_registered(self, next: AfterRenewing, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.sweep(self.key, None, job, courier);
        Renewing::after(progress, self, next, job, courier)
    }
}

impl Renewing {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.takeover, self.next, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        takeover: Takeover,
        next: AfterRenewing,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Renewing(Self {
                    broadcast,
                    takeover,
                    next,
                });
            }
            Progress::Ended(end) => end,
        };
        match next {
            AfterRenewing::TakeAgain => takeover.take(job, courier),
            AfterRenewing::End(outcome) => takeover.end(outcome, courier),
            AfterRenewing::Validate(holder) => {
                note_effects(&takeover, holder, &end, job);
                let outcome = end.shortfall().unwrap_or(Outcome::Done);
                match takeover.goal {
                    Goal::Unregistered(_) => takeover.end(outcome, courier),
                    _ => Validating::start(holder, takeover, outcome, job, courier),
                }
            }
        }
    }
}

fn note_effects(takeover: &Takeover, holder: Taken, end: &BroadcastEnd, job: &mut Job) {
    let mut paths = end.done.clone();
    paths.push(holder.0);
    paths.sort_unstable();
    paths.dedup();
    let registered = Registration::Registered {
        key: takeover.key,
        paths,
    };
    (job.effects.registration, job.effects.holding) = match takeover.goal {
        Goal::Kept(held) => (Some(registered), Some(Holding::Held(held))),
        Goal::Released(_) => (Some(registered), Some(Holding::NotHeld)),
        Goal::Unregistered(_) => (Some(Registration::Unregistered), Some(Holding::NotHeld)),
    };
}

impl Validating {
    fn start(
        holder: Taken,
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        // Succeeds only where the key is registered, and changes nothing but the generation.
        let register = Register {
            mode: RegisterMode::Compare,
            key: takeover.key,
            ..job.imposing(takeover.key)
        };
        let paths = Vec::from([holder.0]);
        let progress = Attempt::start(courier, paths, register.command());
        Self::after(progress, takeover, outcome, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.takeover, self.outcome, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(attempt) => State::Validating(Self {
                attempt,
                takeover,
                outcome,
            }),
            Progress::Ended((AttemptEnd::Exhausted, trail)) if !trail.conflicts.is_empty() => {
                takeover.retract(outcome, job, courier)
            }
            Progress::Ended(_) => takeover.end(outcome, courier),
        }
    }
}

impl Retracting {
    pub(crate) fn handle(self, settled: Settled, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.takeover, self.outcome, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        takeover: Takeover,
        outcome: Outcome,
        courier: &mut Courier,
    ) -> State {
        match progress {
            Progress::Waiting(broadcast) => State::Retracting(Self {
                broadcast,
                takeover,
                outcome,
            }),
            Progress::Ended(_) => takeover.end(outcome, courier),
        }
    }
}

impl Resuming {
    pub(crate) fn handle(self, settled: &Settled) -> State {
        match settled.verdict {
            Verdict::Map(MapChange::Resumed) => State::Finished(self.0),
            _ => State::Resuming(self),
        }
    }
}

impl Job {
    /// REGISTER AND IGNORE EXISTING KEY as this node registers, with whatever key.
    pub(crate) fn imposing(&self, key: ReservationKey) -> Register {
        Register {
            mode: RegisterMode::Ignore,
            key: ReservationKey::NONE,
            new_key: key,
            aptpl: self.remembered_aptpl,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        }
    }
}
