//! Putting back what a failed registration has changed.
//!
//! One disk that refuses a registration has changed nothing. A map may have changed some of its
//! paths before one that carries I/O refuses, and would be left with two keys: the paths that
//! accepted get the old key again, where it is known. This is tried once and never changes the
//! outcome; what could not be put back stays in the effects.

use alloc::vec::Vec;

use scsi_pr::{AnswerClass, Refusal, ReservationKey};

use crate::broadcast::{Broadcast, BroadcastEnd, Orders};
use crate::courier::{Courier, Persistence, Settled};
use crate::job::{Job, Standing};
use crate::outcome::{Outcome, Registration};
use crate::reading::Progress;
use crate::register::Spread;
use crate::remnant::Remnants;
use crate::request::{Register, RegisterMode};
use crate::snapshot::PathId;
use crate::state::State;
use crate::takeover::Suspended;
use crate::transaction::Occasion;

/// Waits for the paths that had accepted to take the old key again.
#[derive(Debug, Clone)]
pub(crate) struct Undoing {
    broadcast: Broadcast,
    register: Register,
    changed: Vec<PathId>,
    failure: Outcome,
}

impl Undoing {
    pub(crate) fn start(
        spread: Spread,
        failure: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let Spread {
            register,
            mut changed,
            silent,
            ..
        } = spread;
        let Some(old) = old_key(&register, &failure, job).filter(|old| *old != register.new_key)
        else {
            return State::Finished(failure);
        };
        let back = Register {
            mode: RegisterMode::Compare,
            key: register.new_key,
            new_key: old,
            // The last registration says it for all of them, those of other nodes as well.
            aptpl: if old.is_none() {
                register.aptpl
            } else {
                job.remembered_aptpl
            },
            all_tg_pt: register.all_tg_pt,
            transport_ids: Vec::new(),
        };
        let orders = Orders {
            last: Vec::new(),
            command: back.command(),
            insist: Vec::new(),
            stale: Vec::new(),
            width: job.width(),
            persistence: Persistence::Deadline,
        };
        changed.extend(silent);
        if changed.is_empty() {
            return State::Finished(failure);
        }
        let lanes = changed.iter().map(|path| Vec::from([*path])).collect();
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, register, changed, failure, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(
            progress,
            self.register,
            self.changed,
            self.failure,
            job,
            courier,
        )
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        register: Register,
        changed: Vec<PathId>,
        failure: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Undoing(Self {
                    broadcast,
                    register,
                    changed,
                    failure,
                });
            }
            Progress::Ended(end) => end,
        };
        // Where the new key conflicts, somebody else has taken it away meanwhile.
        let is_left = |path: &PathId| !end.done.contains(path) && !end.conflicts.contains(path);
        let left: Vec<PathId> = changed.into_iter().filter(is_left).collect();
        let is_none = old_key(&register, &failure, job).is_some_and(ReservationKey::is_none);
        job.effects.registration = match (left.is_empty(), is_none) {
            (true, true) if job.remembered_key.is_some() => Some(Registration::Unregistered),
            // A path that has the key gives it up when it returns.
            (false, true) => Some(Registration::Unregistered),
            (false, false) => Some(job.registered(&register, &left)),
            (true, _) => None,
        };
        if !is_none {
            return State::Finished(failure);
        }
        job.note_absent(&end);
        Remnants::new(failure, Suspended::No, job).settle(job, courier)
    }
}

/// The key that stood on the paths before; `None` where nobody knows, or where a registration
/// was to end: putting that back could not be told from registering anew. A device that has no
/// room for one more says so to a path that had none: every path of a node that is registered has
/// one, so this one was not any more, whatever its record says; unless the device named it.
fn old_key(register: &Register, failure: &Outcome, job: &Job) -> Option<ReservationKey> {
    let was_there = job
        .before_change
        .as_ref()
        .is_none_or(|before| before.old.count > 0);
    match register.mode {
        _ if register.is_unregister() => None,
        _ if job.occasion == Occasion::Recovery => {
            Some(job.remembered_key.unwrap_or(ReservationKey::NONE))
        }
        RegisterMode::Compare => Some(register.key),
        RegisterMode::Ignore if is_want_of_room(failure) && !job.is_seen_registered() => {
            Some(ReservationKey::NONE)
        }
        RegisterMode::Ignore => job.remembered_key.filter(|_| was_there),
    }
}

fn is_want_of_room(failure: &Outcome) -> bool {
    let Outcome::Answered { status, sense, .. } = failure else {
        return false;
    };
    let class = scsi_pr::classify(*status, sense.as_ref());
    class == AnswerClass::Refused(Refusal::InsufficientResources)
}

impl Job {
    /// Whether the device named registrations of this node before it registered.
    fn is_seen_registered(&self) -> bool {
        let seen = |before: &Standing| {
            let tallies = [before.old, before.new].into_iter();
            let mut named = tallies.filter(|tally| tally.is_named);
            named.any(|tally| tally.count > 0)
        };
        self.before_change.as_ref().is_some_and(seen)
    }
}
