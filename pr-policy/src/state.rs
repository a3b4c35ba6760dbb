//! The states of a transaction and who hands over to whom; `docs/states.dot` has every step.
//!
//! ```text
//!   read:        Answering ─► end
//!   out:         Surveying ─► (by request)
//!   register:    Weighing ─► Piloting ─► FanningOut ─► [Affirming] ─► [Undoing] ─► end
//!                                            └─ shut out: Weighing ─► [Purging] ─► Restoring
//!   change key:  Weighing ─► Piloting ─► FanningOut ─► [Affirming] ─► Weighing
//!                     Weighing ─► [Purging] ─► end
//!                        ▲  no answer  │
//!                        └─────────────┘
//!   unregister:  Weighing ─► [Releasing ─► [Confirming] ─► Weighing]
//!                         ├─► Piloting ─► FanningOut ─► end
//!                         ├─► Purging ─► Restoring ─► end
//!                         │      └─ no answer: Weighing again
//!                         └─► takeover
//!   reserve:     Asking ─► [Verifying] ─► end
//!                       └─► Weighing ─► [Proving] ─► end
//!   release:     Releasing ─► Confirming ─► [Weighing ─► [takeover]] ─► end
//!   preempt:     Asking ─► [Verifying] ─► Learning ─► end
//!     our key:   Inspecting ─► Asking ─► [Verifying] ─► Learning ─► Restoring ─► end
//!                          └─► takeover
//!   move:        [Weighing] ─► Asking ─► [Weighing ─► [takeover]] ─► [Restoring] ─► end
//!   clear:       Asking ─► [Verifying] ─► end
//!
//!   remnants:    what has unregistered ─► Weighing ─► Hushing ─► Borrowing ─► Purging ─► Restoring
//!                     ─► Resuming ─► end: see `remnant`
//!
//!   takeover:    Suspending ─► Taking ─► [Handing] ─► Renewing ─► Validating ─► Resuming ─► end
//!                with [Recounting], [Retracting], [Learning]: see `takeover`
//! ```

use crate::ask::Asking;
use crate::courier::{Courier, Settled};
use crate::inspect::Inspecting;
use crate::job::Job;
use crate::learn::Learning;
use crate::outcome::Outcome;
use crate::purge::Purging;
use crate::read::Answering;
use crate::register::{Affirming, FanningOut, Piloting};
use crate::release::{Confirming, Releasing};
use crate::remnant::{Borrowing, Hushing};
use crate::request::Request;
use crate::restore::{Aftermath, Restoring};
use crate::survey::Surveying;
use crate::takeover::{
    Handing, Recounting, Renewing, Resuming, Retracting, Suspending, Taking, Validating,
};
use crate::transaction::Occasion;
use crate::undo::Undoing;
use crate::verify::Verifying;
use crate::weigh::{Proving, Question, Reservations, Weighing};

/// Where a transaction stands: what it waits for, or how it ended.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Waits for the response of a read that was asked for.
    Answering(Answering),
    /// Waits to hear which doubtful paths are alive.
    Surveying(Surveying),
    /// Waits to hear who holds the reservation, before anything is changed.
    Inspecting(Inspecting),
    /// Waits for the first path to accept a registration.
    Piloting(Piloting),
    /// Waits for the other paths to follow.
    FanningOut(FanningOut),
    /// Waits to hear whether the first path still has the key.
    Affirming(Affirming),
    /// Waits for the paths that followed to take the old key again, since one refused.
    Undoing(Undoing),
    /// Waits for every path to answer RELEASE.
    Releasing(Releasing),
    /// Waits to hear whether the reservation is gone.
    Confirming(Confirming),
    /// Waits for one path to accept the command.
    Asking(Asking),
    /// Waits to hear whether a command without an answer was executed.
    Verifying(Verifying),
    /// Waits to hear who holds the reservation after a preemption.
    Learning(Learning),
    /// Waits for our other paths to be put right after a command that took their registrations.
    Restoring(Restoring),
    /// Waits to hear whose the registrations are that no usable path has.
    Weighing(Weighing),
    /// Waits for a path to show that it is registered.
    Proving(Proving),
    /// Waits for registrations out of reach to be preempted.
    Purging(Purging),
    /// Waits for the map to be suspended, for a key to be taken for a moment.
    Hushing(Hushing),
    /// Waits for a path to take that key.
    Borrowing(Borrowing),
    /// Waits for the map to be suspended.
    Suspending(Suspending),
    /// Waits for a path to take the reservation over.
    Taking(Taking),
    /// Waits to hear whether a takeover without an answer was executed.
    Recounting(Recounting),
    /// Waits for the new holder to release.
    Handing(Handing),
    /// Waits for the other paths to be registered again.
    Renewing(Renewing),
    /// Waits to hear that nobody shut us out meanwhile.
    Validating(Validating),
    /// Waits for registrations to be taken back.
    Retracting(Retracting),
    /// Waits for the map to be resumed.
    Resuming(Resuming),
    /// Has ended.
    Finished(Outcome),
}

impl State {
    pub(crate) fn start(job: &mut Job, courier: &mut Courier) -> Self {
        match &job.request {
            Request::Read(read) => Answering::start(read.clone(), job, courier),
            _ => Surveying::start(job, courier),
        }
    }

    /// The first state of a request that changes something, once the paths are known.
    pub(crate) fn start_out(job: &mut Job, courier: &mut Courier) -> Self {
        if job.usable().is_empty() {
            return Self::Finished(Outcome::NoUsablePath);
        }
        if job.recovers_what_was_refused() {
            return Self::Finished(Outcome::Conflict);
        }
        match job.request.clone() {
            Request::Read(read) => Answering::start(read, job, courier),
            Request::Register(register) if register.is_unregister() => {
                let question = Question::Unregister(register, Reservations::Standing);
                Weighing::start(question, job, courier)
            }
            Request::Register(register) if job.occasion == Occasion::Recovery => {
                Weighing::start(Question::Resume(register), job, courier)
            }
            Request::Register(register) => Piloting::start_asked(register, job, courier),
            Request::Release(_) | Request::Preempt(_) if job.occasion == Occasion::Recovery => {
                Weighing::start(Question::Recall, job, courier)
            }
            Request::RegisterAndMove(moved) if job.occasion == Occasion::Recovery => {
                Weighing::start(Question::MoveCutOff(moved), job, courier)
            }
            Request::RegisterAndMove(moved) if moved.unregister => {
                Weighing::start(Question::Leave(moved), job, courier)
            }
            Request::Release(release) => Releasing::start(release, job, courier),
            Request::Preempt(preempt) => Inspecting::start(&preempt, job, courier),
            Request::Reserve(_) | Request::Clear(_) | Request::RegisterAndMove(_) => {
                Asking::start(Aftermath::Spared, job, courier)
            }
        }
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> Self {
        match self {
            Self::Answering(state) => state.handle(settled, courier),
            Self::Surveying(state) => state.handle(settled, job, courier),
            Self::Inspecting(state) => state.handle(settled, job, courier),
            Self::Piloting(state) => state.handle(settled, job, courier),
            Self::FanningOut(state) => state.handle(settled, job, courier),
            Self::Affirming(state) => state.handle(settled, job, courier),
            Self::Undoing(state) => state.handle(settled, job, courier),
            Self::Releasing(state) => state.handle(settled, job, courier),
            Self::Confirming(state) => state.handle(settled, job, courier),
            Self::Asking(state) => state.handle(settled, job, courier),
            Self::Verifying(state) => state.handle(settled, job, courier),
            Self::Learning(state) => state.handle(settled, job, courier),
            Self::Restoring(state) => state.handle(settled, job, courier),
            Self::Weighing(state) => state.handle(settled, job, courier),
            Self::Proving(state) => state.handle(settled, job, courier),
            Self::Purging(state) => state.handle(settled, job, courier),
            Self::Hushing(state) => state.handle(settled, job, courier),
            Self::Borrowing(state) => state.handle(settled, job, courier),
            Self::Suspending(state) => state.handle(settled, job, courier),
            Self::Taking(state) => state.handle(settled, job, courier),
            Self::Recounting(state) => state.handle(settled, job, courier),
            Self::Handing(state) => state.handle(settled, job, courier),
            Self::Renewing(state) => state.handle(settled, job, courier),
            Self::Validating(state) => state.handle(settled, job, courier),
            Self::Retracting(state) => state.handle(settled, job, courier),
            Self::Resuming(state) => state.handle(&settled),
            Self::Finished(_) => self,
        }
    }

    /// The alarm that only reading states set has gone off.
    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> Self {
        match self {
            Self::Answering(state) => state.handle_alarm(courier),
            Self::Inspecting(state) => state.handle_alarm(job, courier),
            Self::Confirming(state) => state.handle_alarm(job, courier),
            Self::Verifying(state) => state.handle_alarm(job, courier),
            Self::Learning(state) => state.handle_alarm(job, courier),
            Self::Weighing(state) => state.handle_alarm(job, courier),
            Self::Recounting(state) => state.handle_alarm(job, courier),
            other => other,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Answering(_) => "Answering",
            Self::Surveying(_) => "Surveying",
            Self::Inspecting(_) => "Inspecting",
            Self::Piloting(_) => "Piloting",
            Self::FanningOut(_) => "FanningOut",
            Self::Affirming(_) => "Affirming",
            Self::Undoing(_) => "Undoing",
            Self::Releasing(_) => "Releasing",
            Self::Confirming(_) => "Confirming",
            Self::Asking(_) => "Asking",
            Self::Verifying(_) => "Verifying",
            Self::Learning(_) => "Learning",
            Self::Restoring(_) => "Restoring",
            Self::Weighing(_) => "Weighing",
            Self::Proving(_) => "Proving",
            Self::Purging(_) => "Purging",
            Self::Hushing(_) => "Hushing",
            Self::Borrowing(_) => "Borrowing",
            Self::Suspending(_) => "Suspending",
            Self::Taking(_) => "Taking",
            Self::Recounting(_) => "Recounting",
            Self::Handing(_) => "Handing",
            Self::Renewing(_) => "Renewing",
            Self::Validating(_) => "Validating",
            Self::Retracting(_) => "Retracting",
            Self::Resuming(_) => "Resuming",
            Self::Finished(_) => "Finished",
        }
    }
}
