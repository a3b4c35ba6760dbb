//! A command whose answer was lost: the device is asked whether it was executed.

use scsi_pr::{InAction, ReadKeys, ReservationKey};

use crate::attempt::Trail;
use crate::courier::{Courier, Settled};
use crate::inspect::Victim;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};
use crate::request::{Clear, Preempt, Request, VictimCommands};
use crate::restore::Aftermath;
use crate::snapshot::PathId;
use crate::state::State;

/// Waits for the reading that tells whether a command without an answer was executed.
#[derive(Debug, Clone)]
pub(crate) struct Verifying {
    reading: Reading,
    doubt: Doubt,
}

/// What is to be found out.
#[derive(Debug, Clone)]
struct Doubt {
    /// The path whose answer is missing.
    silent: PathId,
    trail: Trail,
    aftermath: Aftermath,
}

impl Verifying {
    pub(crate) fn start(
        silent: PathId,
        trail: Trail,
        aftermath: Aftermath,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let action = match job.request {
            Request::Clear(_) | Request::Preempt(_) => InAction::READ_KEYS,
            _ => return State::Finished(Outcome::Unknown { path: silent }),
        };
        let doubt = Doubt {
            silent,
            trail,
            aftermath,
        };
        let progress = Reading::start(courier, job.readable(), action, None);
        Self::after(progress, doubt, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.doubt, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.doubt, job, courier)
    }

    fn after(
        progress: Progress<Reading, ReadEnd>,
        doubt: Doubt,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(reading) => return State::Verifying(Self { reading, doubt }),
            Progress::Ended(end) => end,
        };
        let was_executed = match end {
            ReadEnd::Response { data, .. } => doubt.was_executed(job, &data),
            _ => None,
        };
        match was_executed {
            Some(true) if doubt.trail.early_conflicts == 0 => {
                State::accepted(None, doubt.aftermath, job, courier)
            }
            Some(false) if !doubt.trail.conflicts.is_empty() => State::Finished(Outcome::Conflict),
            // Not executed yet, perhaps: the path may still have it in a queue. Or all is as if it
            // were, but the paths before were refused: somebody else may have done it.
            Some(_) | None => State::Finished(Outcome::Unknown { path: doubt.silent }),
        }
    }
}

impl Doubt {
    /// Whether the command shows in what the device says now; `None` if that cannot be told.
    fn was_executed(&self, job: &Job, data: &[u8]) -> Option<bool> {
        match &job.request {
            Request::Clear(clear) => clear.was_executed(job, &ReadKeys::decode(data).ok()?),
            // Either all are gone, or the device has refused it: the keys are the same.
            Request::Preempt(preempt) if preempt.victim.is_none() => None,
            Request::Preempt(preempt) => {
                let seen = ReadKeys::decode(data).ok()?;
                let was_executed = preempt.was_executed(self.aftermath, &seen)?;
                // The paths after the silent one say the same if this node or the victim was not
                // there to begin with.
                let is_proven = match (self.aftermath, job.victim_before) {
                    _ if self.trail.conflicts.is_empty() => true,
                    (Aftermath::Removed, _) => false,
                    (Aftermath::Spared, victim) => {
                        victim.is_some_and(|victim| victim.was_preempted(&seen))
                    }
                };
                (is_proven || !was_executed).then_some(was_executed)
            }
            _ => None,
        }
    }
}

impl Clear {
    /// Nothing is left at all: who is registered now may have come since, or been there before
    /// and have taken our key away.
    fn was_executed(&self, job: &Job, seen: &ReadKeys) -> Option<bool> {
        if seen.keys.contains(&self.key) {
            return Some(false);
        }
        let was_registered = job.remembered_key == Some(self.key);
        (was_registered && seen.keys.is_empty()).then_some(true)
    }
}

impl Victim {
    /// Whether the registrations changed once since, and it was there.
    fn was_preempted(self, seen: &ReadKeys) -> bool {
        self.count > 0 && seen.generation == self.generation.wrapping_add(1)
    }
}

impl Preempt {
    /// Whether the preemption shows in the keys; that commands were aborted shows nowhere.
    ///
    /// The kernel's target removes the victim's registrations first and may then hang in aborting
    /// its commands: its writes may still be under way although its key is gone.
    fn was_executed(&self, aftermath: Aftermath, seen: &ReadKeys) -> Option<bool> {
        let shows = self.shows(aftermath, seen);
        match self.commands {
            VictimCommands::Abort if shows => None,
            VictimCommands::Abort | VictimCommands::Finish => Some(shows),
        }
    }

    fn shows(&self, aftermath: Aftermath, seen: &ReadKeys) -> bool {
        let count = |key: ReservationKey| seen.keys.iter().filter(|seen| **seen == key).count();
        match aftermath {
            Aftermath::Spared => count(self.key) > 0 && count(self.victim) == 0,
            // The kernel's target spares the sender under an all-registrants reservation.
            Aftermath::Removed => count(self.key) <= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scsi_pr::ReservationType;

    /// Our key is 0xa, the other node's 0xb.
    fn preempted(
        commands: VictimCommands,
        victim: u64,
        aftermath: Aftermath,
        keys: &[u64],
    ) -> Option<bool> {
        let preempt = Preempt {
            key: ReservationKey(0xa),
            victim: ReservationKey(victim),
            reservation_type: ReservationType(5),
            commands,
        };
        let keys = keys.iter().copied().map(ReservationKey).collect();
        preempt.was_executed(aftermath, &ReadKeys::new(0, keys))
    }

    #[test]
    fn what_the_keys_say_of_a_preemption() {
        use Aftermath::{Removed, Spared};
        let rows: [(u64, Aftermath, &[u64], bool); 7] = [
            (0xb, Spared, &[0xa, 0xa], true),
            (0xb, Spared, &[0xa, 0xb], false),
            (0xb, Spared, &[0xc], false),
            (0xb, Spared, &[], false),
            (0xa, Removed, &[0xb], true),
            (0xa, Removed, &[0xa, 0xb], true),
            (0xa, Removed, &[0xa, 0xa], false),
        ];
        for (victim, aftermath, keys, expected) in rows {
            let finish = preempted(VictimCommands::Finish, victim, aftermath, keys);
            assert_eq!(
                finish,
                Some(expected),
                "{victim:#x} {aftermath:?} {keys:x?}"
            );
            let abort = preempted(VictimCommands::Abort, victim, aftermath, keys);
            let expected = if expected { None } else { Some(false) };
            assert_eq!(abort, expected, "{victim:#x} {aftermath:?} {keys:x?}");
        }
    }
}
