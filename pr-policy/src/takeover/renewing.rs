//! After a takeover: the other paths are registered again, or unregistered, and nobody must have
//! shut this node out meanwhile.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use super::recounting::Recounting;
use super::retracting::Retracting;
use super::taking::Taking;
use super::{Goal, Sender, Taken, Takeover};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders};
use crate::courier::{Courier, Persistence, Settled};
use crate::job::Job;
use crate::learn::Learning;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::remnant::Remnants;
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
    broadcast: Broadcast,
    witness: Witness,
    takeover: Takeover,
    holder: Taken,
    then: Then,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    /// The path that took over.
    Holder,
    /// Those that were registered again, since that one is silent.
    Renewed,
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
        let is_robbed = next
            .holder()
            .is_some_and(|holder| is_robbed(holder, &end, job));
        takeover.swept.clone_from(&end.done);
        let so_far = unrenewed(&end).unwrap_or(Outcome::Done);
        match next {
            _ if is_robbed => Retracting::start(takeover, so_far, job, courier),
            Next::Validate(_) | Next::Conclude if takeover.is_leaving() => {
                job.note_absent(&end);
                Remnants::new(so_far, takeover.suspended, job).settle(job, courier)
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
        Self::ask(Witness::Holder, takeover, holder, then, job, courier)
    }

    fn ask(
        witness: Witness,
        takeover: Takeover,
        holder: Taken,
        then: Then,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let paths = match witness {
            Witness::Holder => Vec::from([holder.0]),
            Witness::Renewed => takeover.swept.clone(),
        };
        let orders = Orders {
            last: Vec::new(),
            command: job.proving(takeover.key()).command(),
            insist: Vec::new(),
            stale: Vec::new(),
            width: job.width(),
            persistence: Persistence::Deadline,
        };
        let lanes = paths.into_iter().map(|path| Vec::from([path])).collect();
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, witness, takeover, holder, then, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(
            progress,
            self.witness,
            self.takeover,
            self.holder,
            self.then,
            job,
            courier,
        )
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        witness: Witness,
        mut takeover: Takeover,
        holder: Taken,
        then: Then,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Validating(Self {
                    broadcast,
                    witness,
                    takeover,
                    holder,
                    then,
                });
            }
            Progress::Ended(end) => end,
        };
        if !end.conflicts.is_empty() {
            let outcome = match then {
                Then::End(outcome) => outcome,
                Then::Renew => Outcome::Done,
            };
            return Retracting::start(takeover, outcome, job, courier);
        }
        let is_affirmed = !end.done.is_empty();
        match (witness, then) {
            (Witness::Holder, Then::End(outcome)) if !is_affirmed => {
                let then = Then::End(outcome);
                Self::ask(Witness::Renewed, takeover, holder, then, job, courier)
            }
            (_, Then::End(outcome)) => takeover.conclude(outcome, job, courier),
            (_, Then::Renew) if is_affirmed => {
                takeover.generation = takeover.generation.wrapping_add(1);
                Renewing::start(takeover, Next::Validate(holder), job, courier)
            }
            // The preemption itself was accepted.
            (_, Then::Renew) => {
                if end.answered.is_empty() {
                    takeover.lost.push(holder.0);
                }
                Recounting::start(takeover, Outcome::Done, job, courier)
            }
        }
    }
}

/// Whether paths from the holder's port say both that they share its registration and that they
/// made one: then it had gone in between. The commands are those of [`Takeover::sweep`]: what has
/// the key already, what had none, what has it by now.
fn is_robbed(holder: Taken, end: &BroadcastEnd, job: &Job) -> bool {
    let mut made = end.at(1);
    let mut share = end.heard_at(&[0, 2]);
    made.any(|path| job.share_port(path, holder.0))
        && share.any(|path| job.share_port(path, holder.0))
}

/// What is missing; the answer to a registration is none to the preemption, which was executed.
fn unrenewed(end: &BroadcastEnd) -> Option<Outcome> {
    match end.answered.first() {
        Some((path, _)) => Some(Outcome::Incomplete { path: *path }),
        None => end.shortfall(),
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

    /// REGISTER of a nexus that has no key.
    pub(crate) fn joining(&self, key: ReservationKey) -> Register {
        Register {
            mode: RegisterMode::Compare,
            ..self.imposing(key)
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
