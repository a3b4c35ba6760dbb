//! After a command that changed the registrations of this node's own paths: putting the others
//! in the same state as the one that carried it out.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Persistence, Settled};
use crate::job::Job;
use crate::outcome::{Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterAndMove, RegisterMode};
use crate::snapshot::{Path, PathId};
use crate::state::State;

/// What a preemption of this node's own key, or of all registrants, does to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// The sender keeps its registration and the reservation; our other paths lose theirs.
    Keeping,
    /// All our registrations go.
    Removing,
}

/// Waits for our other paths to be registered again, or unregistered.
#[derive(Debug, Clone)]
pub(crate) struct Restoring {
    broadcast: Broadcast,
    goal: Goal,
}

#[derive(Debug, Clone)]
struct Goal {
    register: Register,
    /// The path that is right already.
    done_by: Option<PathId>,
}

impl Restoring {
    pub(crate) fn start_after_preempt(
        aftermath: Aftermath,
        key: ReservationKey,
        done_by: Option<PathId>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (new_key, done_by) = match aftermath {
            Aftermath::Keeping => (key, done_by),
            Aftermath::Removing => (ReservationKey::NONE, None),
        };
        let goal = Goal::new(new_key, done_by, job);
        let lanes = job.lanes(&goal.register, done_by, &[]);
        Self::begin(goal, lanes, job, courier)
    }

    /// The reservation was moved away and its sender unregistered. If one of our own paths may
    /// be the receiving nexus, this node goes on with it, and nothing more is done.
    pub(crate) fn start_leaving(
        moved: &RegisterAndMove,
        done_by: Option<PathId>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let goal = Goal::new(ReservationKey::NONE, done_by, job);
        if job.paths.iter().any(|path| may_receive(path, moved)) {
            return State::Finished(Outcome::Done);
        }
        let lanes = job.lanes(&goal.register, done_by, &[]);
        Self::begin(goal, lanes, job, courier)
    }

    fn begin(goal: Goal, lanes: Vec<Vec<PathId>>, job: &mut Job, courier: &mut Courier) -> State {
        let orders = Orders {
            command: goal.register.command(),
            insist: None,
            stale: Vec::new(),
            width: Width::All,
            persistence: Persistence::Deadline,
        };
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, goal, job)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.goal, job)
    }

    fn after(progress: Progress<Broadcast, BroadcastEnd>, goal: Goal, job: &mut Job) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Restoring(Self { broadcast, goal });
            }
            Progress::Ended(end) => end,
        };
        let registered: Vec<PathId> = goal.done_by.into_iter().chain(end.done.clone()).collect();
        job.effects.registration = Some(if goal.register.is_unregister() {
            Registration::Unregistered
        } else {
            job.registered(&goal.register, &registered)
        });
        State::Finished(end.shortfall().unwrap_or(Outcome::Done))
    }
}

impl Goal {
    fn new(new_key: ReservationKey, done_by: Option<PathId>, job: &Job) -> Self {
        let register = Register {
            mode: RegisterMode::Ignore,
            key: ReservationKey::NONE,
            new_key,
            aptpl: job.remembered_aptpl,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        };
        Self { register, done_by }
    }
}

/// Whether this path may be the nexus that a REGISTER AND MOVE named: it starts from that
/// initiator port, or nobody knows from which.
fn may_receive(path: &Path, moved: &RegisterAndMove) -> bool {
    let port = path.initiator_port.as_ref();
    port.is_none_or(|port| *port == moved.transport_id)
}
