//! After a command that ended the registration of the path that carried it out: the others follow.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use crate::broadcast::{Broadcast, BroadcastEnd, Orders};
use crate::courier::{Courier, Persistence, Settled};
use crate::evidence::is_same_initiator;
use crate::job::Job;
use crate::outcome::{Outcome, Registration};
use crate::reading::Progress;
use crate::remnant::Remnants;
use crate::request::RegisterAndMove;
use crate::snapshot::{PathId, PathState};
use crate::state::State;
use crate::takeover::Suspended;

/// What a command does to this node's own registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// Nothing that has to be put right.
    Spared,
    /// They all go.
    Removed,
}

/// Waits for our other paths to be unregistered.
#[derive(Debug, Clone)]
pub(crate) struct Restoring {
    broadcast: Broadcast,
    /// How it ends if all of them are.
    remnants: Remnants,
}

impl Restoring {
    /// All registrations of this node's key were preempted: what is left of them, or of other
    /// keys on our paths, goes too.
    pub(crate) fn start_after_preempt(job: &mut Job, courier: &mut Courier) -> State {
        let remnants = Remnants::new(Outcome::Done, Suspended::No, job);
        Self::begin(None, remnants, job, courier)
    }

    /// This node was shut out while it registered: no path may have a key any more.
    pub(crate) fn start_shut_out(outcome: Outcome, job: &mut Job, courier: &mut Courier) -> State {
        let remnants = Remnants::new(outcome, Suspended::No, job);
        Self::begin(None, remnants, job, courier)
    }

    /// What was left on nexuses out of reach was preempted: a path has the key still.
    pub(crate) fn start_evicted(remnants: Remnants, job: &mut Job, courier: &mut Courier) -> State {
        Self::begin(None, remnants, job, courier)
    }

    /// The reservation was moved away and its sender unregistered. If one of our own paths may
    /// be the receiving nexus, this node goes on with it, and nothing more is done.
    pub(crate) fn start_leaving(
        moved: &RegisterAndMove,
        done_by: Option<PathId>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        if moved.may_name_path_of(job) {
            return State::Finished(Outcome::Done);
        }
        let remnants = Remnants::new(Outcome::Done, Suspended::No, job);
        Self::begin(done_by, remnants, job, courier)
    }

    /// `done_by` is the path that is right already.
    fn begin(
        done_by: Option<PathId>,
        remnants: Remnants,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let register = job.imposing(ReservationKey::NONE);
        let lanes = job.lanes(&register, done_by, &[]);
        let orders = Orders {
            last: Vec::new(),
            command: register.command(),
            insist: Vec::new(),
            stale: Vec::new(),
            width: job.width(),
            persistence: Persistence::Deadline,
        };
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, remnants, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.remnants, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        mut remnants: Remnants,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Restoring(Self {
                    broadcast,
                    remnants,
                });
            }
            Progress::Ended(end) => end,
        };
        job.effects.registration = Some(Registration::Unregistered);
        job.note_absent(&end);
        remnants.outcome = end.shortfall().unwrap_or(remnants.outcome);
        remnants.settle(job, courier)
    }
}

impl Job {
    /// Paths that did not unregister may have a key.
    pub(crate) fn note_absent(&mut self, end: &BroadcastEnd) {
        for (path, _) in &end.absent {
            self.note_state(*path, PathState::Dead);
        }
        let behind: Vec<PathId> = end.behind.iter().map(|(path, _)| *path).collect();
        self.may_have_left |= !end.absent.is_empty() || !behind.is_empty();
        self.demote(&behind);
    }
}

impl RegisterAndMove {
    /// Whether it names an initiator port of this map.
    pub(crate) fn names_path_of(&self, job: &Job) -> bool {
        let ports = job.paths.iter().map(|path| path.initiator_port.as_ref());
        let mut known = ports.flatten();
        known.any(|port| is_same_initiator(port, &self.transport_id))
    }

    /// The same, or nobody knows from which port a path starts.
    pub(crate) fn may_name_path_of(&self, job: &Job) -> bool {
        let ports = job.paths.iter().map(|path| path.initiator_port.as_ref());
        ports.clone().any(|port| port.is_none()) || self.names_path_of(job)
    }
}
