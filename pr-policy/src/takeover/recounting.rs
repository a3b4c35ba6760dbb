//! A takeover that did not hear what became of its command: what does the device say?
//!
//! Paths that have lost their registration get it back only if this node is still one of the
//! registrants. Where the ports of registrations are not named, that is so if nothing but our own
//! command can have moved the generation.

use scsi_pr::ReservationType;

use super::renewing::{Next, Renewing};
use super::retracting::Retracting;
use super::{Goal, Takeover};
use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::limits::MAX_TAKEOVERS;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::state::State;

/// Waits to hear whether a command without an answer was executed.
#[derive(Debug, Clone)]
pub(crate) struct Recounting {
    reading: CensusReading,
    takeover: Takeover,
    outcome: Outcome,
}

/// Where a takeover is, although nobody said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// None of our nexuses is registered any more: somebody has taken our registrations away.
    ShutOut,
    /// It cannot be told whether we are still registered.
    Unclear,
    /// What was wanted is there.
    Reached,
    /// One nexus holds with our key.
    Held,
    /// The reservation of all registrants that was to be preempted stands as before.
    Untouched,
    /// Something else.
    Different,
}

impl Recounting {
    /// `outcome` is how it ends if nothing more can be done.
    pub(super) fn start(
        takeover: Takeover,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
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
        match progress {
            Progress::Waiting(reading) => State::Recounting(Self {
                reading,
                takeover,
                outcome,
            }),
            Progress::Ended(Ok(census)) => decide(takeover, &census, outcome, job, courier),
            Progress::Ended(Err(_)) => takeover.end(outcome, courier),
        }
    }
}

fn decide(
    mut takeover: Takeover,
    census: &Census,
    outcome: Outcome,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let standing = takeover.standing(census, job);
    let was_executed = takeover.generation != census.generation();
    takeover.generation = census.generation();
    takeover.has_purged |= census.count(takeover.key()) <= 1;
    if let (Standing::Held, Some(held)) = (standing, census.single_holder(takeover.key())) {
        job.effects.holding = Some(Holding::Held(held.reservation_type));
    }
    let may_go_on = takeover.rounds < MAX_TAKEOVERS;
    let next = match standing {
        // Nothing was registered again so far: there is nothing to retract.
        Standing::ShutOut if takeover.rounds == 1 => {
            takeover.note_shut_out(job);
            return takeover.end(outcome, courier);
        }
        Standing::ShutOut => return Retracting::start(takeover, outcome, job, courier),
        Standing::Unclear => return takeover.end(outcome, courier),
        Standing::Reached => Next::Conclude,
        Standing::Held if may_go_on => {
            // What shows no effect is asked for as it was: perhaps it is to be refused.
            if was_executed {
                takeover.preempt.victim = takeover.key();
            }
            Next::TakeAgain(outcome)
        }
        Standing::Untouched if may_go_on => Next::TakeAgain(outcome),
        Standing::Held | Standing::Untouched | Standing::Different => Next::End(outcome),
    };
    Renewing::start(takeover, next, job, courier)
}

impl Takeover {
    /// One who asks for a preemption with a key that was never registered is not shut out.
    fn note_shut_out(&self, job: &mut Job) {
        let was_registered = !matches!(self.goal, Goal::Kept(_) | Goal::Spared(_))
            || job.remembered_key == Some(self.key());
        if was_registered {
            job.effects.registration = Some(Registration::Unregistered);
            job.effects.holding = Some(Holding::NotHeld);
        }
    }

    fn standing(&self, census: &Census, job: &Job) -> Standing {
        let key = self.key();
        let moves = census.generation().wrapping_sub(self.generation);
        let is_undisturbed = match moves {
            // Nothing was executed: a conflict said that the path was not registered before.
            0 => self.conflicts.is_empty(),
            // Our own PREEMPT was: the sender is left, and nobody has registered since.
            1 => census.count(key) == 1,
            _ => false,
        };
        match census.is_member(key, job) {
            _ if self.has_moved && job.request.is_move_in(census) => return Standing::Reached,
            Some(true) => {}
            Some(false) if matches!(self.goal, Goal::Unregistered(_)) => return Standing::Reached,
            Some(false) => return Standing::ShutOut,
            None if is_undisturbed => {}
            None => return Standing::Unclear,
        }
        match (self.goal, census.single_holder(key)) {
            (Goal::Kept(_), Some(_)) => Standing::Held,
            (Goal::Kept(wanted), None) => kept(wanted, census, moves),
            (Goal::Spared(_), _) if moves == 0 => Standing::Untouched,
            (Goal::Spared(_), _) if census.count(key) == 1 => Standing::Reached,
            (Goal::Spared(_), _) | (Goal::Moved(..), None) => Standing::Different,
            (_, None) => Standing::Reached,
            (_, Some(_)) if is_undisturbed => Standing::Held,
            (goal, Some(held)) => match job.judge_victim(census, &held) {
                Ownership::Ours => Standing::Held,
                Ownership::Foreign if matches!(goal, Goal::Moved(..)) => Standing::Different,
                Ownership::Foreign => Standing::Reached,
                Ownership::Unclear => Standing::Different,
            },
        }
    }
}

/// No nexus alone holds with our key; do all registrants?
fn kept(wanted: ReservationType, census: &Census, moves: u32) -> Standing {
    let found = census
        .reservation()
        .map(|reservation| reservation.reservation_type)
        .filter(|found| found.is_all_registrants());
    match found {
        Some(_) if moves == 0 => Standing::Untouched,
        Some(found) if found == wanted => Standing::Reached,
        _ => Standing::Different,
    }
}
