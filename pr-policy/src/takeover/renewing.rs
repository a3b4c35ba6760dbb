//! After a takeover: the other paths are registered again, or unregistered, and nobody must have
//! shut this node out meanwhile.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use super::recounting::Recounting;
use super::retracting::Retracting;
use super::taking::Taking;
use super::{Goal, Sender, Taken, Takeover};
use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::learn::Learning;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterMode, Request};
use crate::snapshot::PathState;
use crate::state::State;

/// Waits for the other paths to be registered again, or unregistered.
#[derive(Debug, Clone)]
pub(crate) struct Renewing {
    broadcast: Broadcast,
    takeover: Takeover,
    next: Next,
}

/// Waits to hear whether the path that took over is still registered.
#[derive(Debug, Clone)]
pub(crate) struct Validating {
    attempt: Attempt,
    takeover: Takeover,
    holder: Taken,
    then: Then,
}

/// What follows if it is.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// All paths are registered, and nobody shut us out meanwhile: it ends so.
    End(Outcome),
    /// The device has spared it: the other paths are registered again.
    Renew,
}

/// What follows.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// The goal is reached; this path took the reservation.
    Validate(Taken),
    /// The goal is reached, but nobody knows which path took the reservation.
    Conclude,
    /// The goal is out of reach; this path holds, and everything else is as before.
    PutBack(Taken, Outcome),
    /// The reservation is on a path that fell silent: take it again, or else end so.
    TakeAgain(Outcome),
    /// Something failed: this is how it ends.
    End(Outcome),
}

impl Renewing {
    pub(super) fn start(
        takeover: Takeover,
        next: Next,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (key, except) = if takeover.is_leaving() && next.is_goal_reached() {
            (ReservationKey::NONE, None)
        } else {
            (takeover.key(), next.holder())
        };
        let progress = takeover.sweep(key, except, job, courier);
        Self::after(progress, takeover, next, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.takeover, self.next, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        mut takeover: Takeover,
        next: Next,
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
        for (path, _) in &end.absent {
            job.note_state(*path, PathState::Dead);
        }
        let changes = u32::try_from(end.done.len()).unwrap_or(u32::MAX);
        takeover.generation = takeover.generation.wrapping_add(changes);
        takeover.renewed.extend(&end.done);
        if next.is_goal_reached() {
            takeover.note_goal(job);
        } else if !takeover.renewed.is_empty() {
            job.effects.registration = Some(takeover.registration());
        }
        let so_far = end.shortfall().unwrap_or(Outcome::Done);
        match next {
            Next::Validate(_) | Next::Conclude if takeover.is_leaving() => {
                takeover.end(so_far, courier)
            }
            Next::Validate(holder) => {
                Validating::start(takeover, holder, Then::End(so_far), job, courier)
            }
            Next::PutBack(holder, outcome) => {
                Validating::start(takeover, holder, Then::End(outcome), job, courier)
            }
            Next::Conclude => takeover.conclude(so_far, job, courier),
            Next::TakeAgain(outcome) if job.usable().is_empty() => takeover.end(outcome, courier),
            Next::TakeAgain(outcome) => {
                takeover.doubt = Some(outcome);
                Taking::start(takeover, job, courier)
            }
            Next::End(outcome) => takeover.end(outcome, courier),
        }
    }
}

impl Next {
    fn holder(&self) -> Option<Taken> {
        match self {
            Self::Validate(holder) | Self::PutBack(holder, _) => Some(*holder),
            Self::Conclude | Self::TakeAgain(_) | Self::End(_) => None,
        }
    }

    fn is_goal_reached(&self) -> bool {
        matches!(self, Self::Validate(_) | Self::Conclude)
    }
}

impl Takeover {
    /// Nobody has shut this node out. What a device makes of the preemption of our own key under
    /// a reservation of all registrants, it has to say itself.
    fn conclude(self, outcome: Outcome, job: &mut Job, courier: &mut Courier) -> State {
        match self.goal {
            Goal::Spared(_) => {
                let preempt = self.preempt.clone();
                Learning::start_after_takeover(preempt, self, outcome, job, courier)
            }
            _ => self.end(outcome, courier),
        }
    }

    fn note_goal(&self, job: &mut Job) {
        let registered = self.registration();
        (job.effects.registration, job.effects.holding) = match self.goal {
            Goal::Kept(held) | Goal::Spared(held) => (Some(registered), Some(Holding::Held(held))),
            Goal::Released(_) | Goal::Moved(_, Sender::Stays) => {
                (Some(registered), Some(Holding::NotHeld))
            }
            Goal::Unregistered(_) | Goal::Moved(_, Sender::Leaves) => {
                (Some(Registration::Unregistered), Some(Holding::NotHeld))
            }
        };
    }
}

impl Validating {
    pub(super) fn start(
        takeover: Takeover,
        holder: Taken,
        then: Then,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let command = job.proving(takeover.key()).command();
        let progress = Attempt::start(courier, Vec::from([holder.0]), command);
        Self::after(progress, takeover, holder, then, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(
            progress,
            self.takeover,
            self.holder,
            self.then,
            job,
            courier,
        )
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        mut takeover: Takeover,
        holder: Taken,
        then: Then,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Validating(Self {
                    attempt,
                    takeover,
                    holder,
                    then,
                });
            }
            Progress::Ended(end) => end,
        };
        let is_removed = matches!(end, AttemptEnd::Exhausted) && !trail.conflicts.is_empty();
        match (end, then) {
            (_, Then::End(outcome)) if is_removed => {
                Retracting::start(takeover, outcome, job, courier)
            }
            (_, Then::End(outcome)) => takeover.conclude(outcome, job, courier),
            (_, Then::Renew) if is_removed => {
                Retracting::start(takeover, Outcome::Done, job, courier)
            }
            (AttemptEnd::Done(_), Then::Renew) => {
                takeover.generation = takeover.generation.wrapping_add(1);
                Renewing::start(takeover, Next::Validate(holder), job, courier)
            }
            // The preemption itself was accepted.
            (AttemptEnd::Answered(..), Then::Renew) => {
                Recounting::start(takeover, Outcome::Done, job, courier)
            }
            (AttemptEnd::Exhausted, Then::Renew) => {
                takeover.lost.push(holder.0);
                Recounting::start(takeover, Outcome::Done, job, courier)
            }
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
            all_tg_pt: self.all_tg_pt(),
            transport_ids: Vec::new(),
        }
    }

    /// REGISTER that ends the registration with this key.
    pub(crate) fn leaving(&self, key: ReservationKey) -> Register {
        Register {
            mode: RegisterMode::Compare,
            key,
            ..self.imposing(ReservationKey::NONE)
        }
    }

    /// A conflict is none for one who unregisters whatever there is: then there was nothing.
    pub(crate) fn unless_in_vain(&self, outcome: Outcome) -> Outcome {
        match (&self.request, outcome) {
            (Request::Register(register), Outcome::Conflict)
                if register.mode == RegisterMode::Ignore =>
            {
                Outcome::Done
            }
            (_, outcome) => outcome,
        }
    }

    /// REGISTER of a key in place of itself: succeeds only on a nexus that has it, and changes
    /// nothing but the generation.
    pub(crate) fn proving(&self, key: ReservationKey) -> Register {
        Register {
            mode: RegisterMode::Compare,
            key,
            ..self.imposing(key)
        }
    }
}
