//! Taking the reservation over from a nexus of our own that cannot be reached any more, or
//! because a preemption of our own key was asked for.
//!
//! PREEMPT with our own key as the victim makes the sender the holder and removes every other
//! registration of that key: the dead path's, and those of our living paths as well. Until they
//! are registered again their I/O would fail, so the map is suspended meanwhile; I/O waits.
//!
//! ```text
//!   Suspending ─► Taking ─► [Handing] ─► Renewing ─► Validating ─► Resuming ─► end
//!                   ▲ │ no answer │         ▲             │
//!                   │ └──► Recounting ──────┤             │
//!                   │                       │ held by ours, out of reach: register, take again
//!                   └───────────────────────┘             │
//!        shut out, as seen by Handing, Recounting or Validating: Retracting ─► Resuming
//! ```
//!
//! Whatever fails, the map is resumed. A map with one usable path has no other path whose I/O
//! could fail: it is not suspended.
//!
//! **Invariant**: what removes registrations ends while there is still time to renew them.

mod handing;
mod recounting;
mod renewing;
mod retracting;
mod taking;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use scsi_pr::{Reservation, ReservationKey, ReservationType};

pub(crate) use self::handing::Handing;
pub(crate) use self::recounting::Recounting;
pub(crate) use self::renewing::{Renewing, Validating};
pub(crate) use self::retracting::Retracting;
pub(crate) use self::taking::Taking;
use crate::broadcast::{Broadcast, BroadcastEnd, Orders};
use crate::courier::{Courier, MapChange, Persistence, Settled, Verdict};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::outcome::{Others, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Preempt, RegisterAndMove, VictimCommands};
use crate::snapshot::PathId;
use crate::state::State;

/// What is taken over, and what for.
#[derive(Debug, Clone)]
pub(crate) struct Takeover {
    preempt: Preempt,
    goal: Goal,
    /// PRGENERATION, if nobody but us has changed a registration since it was read.
    generation: u32,
    /// Paths that fell silent meanwhile: they are asked last, and looked at before.
    lost: Vec<PathId>,
    /// Whether PREEMPT was executed: of our registrations only those are left that were renewed.
    has_purged: bool,
    /// Paths that are registered since.
    renewed: Vec<PathId>,
    /// Those that were registered last: they can say whether it still holds.
    swept: Vec<PathId>,
    /// Paths that answered the last PREEMPT with a conflict.
    conflicts: Vec<PathId>,
    /// How it ends if nothing more can be done: what an earlier round could not hear.
    doubt: Option<Outcome>,
    rounds: u32,
    /// Whether the reservation may have been moved to where it is wanted.
    has_moved: bool,
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
    /// As the device decides: our own key is preempted while all registrants hold. That removes
    /// the sender too (SPC-4 5.12.11.2), but the kernel's target spares it; then the other paths
    /// stay in with it, as one disk would.
    Spared(ReservationType),
    /// The reservation, of this type, moved to another node as the request says.
    Moved(ReservationType, Sender),
}

/// What becomes of the node that moves its reservation away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// All paths registered.
    Stays,
    /// No path registered.
    Leaves,
}

/// Whether the map is suspended, and has to be resumed in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspended {
    No,
    Yes,
}

/// The proof that this path is the holder now: it accepted PREEMPT.
#[derive(Debug, Clone, Copy)]
struct Taken(PathId);

/// Waits for the map to be suspended.
#[derive(Debug, Clone)]
pub(crate) struct Suspending(Takeover);

/// Waits for the map to be resumed.
#[derive(Debug, Clone)]
pub(crate) struct Resuming(Outcome);

impl Takeover {
    /// Takes over what a dead path of ours holds with `key`, as a reading said at `generation`.
    pub(crate) fn of_dead_path(key: ReservationKey, goal: Goal, generation: u32) -> Self {
        let preempt = Preempt {
            key,
            victim: key,
            reservation_type: goal.reservation_type(),
            commands: VictimCommands::Finish,
        };
        Self::with(preempt, goal, generation)
    }

    /// Carries out a preemption that was asked for and that hits our own registrations.
    pub(crate) fn asked_for(preempt: Preempt, generation: u32) -> Self {
        let goal = Goal::Kept(preempt.reservation_type);
        Self::with(preempt, goal, generation)
    }

    /// Carries out a preemption of our own key that was asked for while all registrants hold.
    pub(crate) fn of_all_registrants(preempt: Preempt, generation: u32) -> Self {
        let goal = Goal::Spared(preempt.reservation_type);
        Self::with(preempt, goal, generation)
    }

    /// Takes over what this node holds with the request's key, so that it can be moved on.
    pub(crate) fn to_move(moved: &RegisterAndMove, held: &Reservation, generation: u32) -> Self {
        let sender = match moved.unregister {
            true => Sender::Leaves,
            false => Sender::Stays,
        };
        let goal = Goal::Moved(held.reservation_type, sender);
        Self::of_dead_path(moved.key, goal, generation)
    }

    /// With a path that has fallen silent before.
    pub(crate) fn after_silence_of(mut self, path: Option<PathId>) -> Self {
        self.lost.extend(path);
        self
    }

    fn with(preempt: Preempt, goal: Goal, generation: u32) -> Self {
        Self {
            preempt,
            goal,
            generation,
            lost: Vec::new(),
            has_purged: false,
            renewed: Vec::new(),
            swept: Vec::new(),
            conflicts: Vec::new(),
            doubt: None,
            rounds: 0,
            has_moved: false,
            suspended: Suspended::No,
        }
    }

    pub(crate) fn start(self, job: &mut Job, courier: &mut Courier) -> State {
        if job.usable().len() < 2 || job.makes(Mutation::NoSuspend) {
            return Taking::start(self, job, courier);
        }
        courier.suspend();
        State::Suspending(Suspending(self))
    }

    /// Whether this node is to be unregistered in the end.
    fn is_leaving(&self) -> bool {
        matches!(
            self.goal,
            Goal::Unregistered(_) | Goal::Moved(_, Sender::Leaves)
        )
    }

    fn key(&self) -> ReservationKey {
        self.preempt.key
    }

    /// What is registered so far, for the record: a takeover may end at any point.
    fn registration(&self) -> Registration {
        let mut paths = self.renewed.clone();
        paths.sort_unstable();
        paths.dedup();
        let others = match self.has_purged {
            true => Others::Removed,
            false => Others::AsBefore,
        };
        Registration::Registered {
            key: self.key(),
            paths,
            others,
        }
    }

    /// Gives every usable path but `except` this key, or none.
    fn sweep(
        &self,
        key: ReservationKey,
        except: Option<Taken>,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Broadcast, BroadcastEnd> {
        let is_meant = |path: &PathId| {
            except.is_none_or(|except| except.0 != *path)
                && !(key.is_none() && self.may_have_moved_to(*path, job))
        };
        let is_shared =
            |path: &PathId| except.is_some_and(|holder| job.share_port(*path, holder.0));
        let lanes = job.usable().into_iter().filter(is_meant);
        let mut commands = VecDeque::from([job.imposing(key).command()]);
        // With ALL_TG_PT the first of them registers the holder as well: there is no telling.
        if !key.is_none() && !job.all_tg_pt() && job.usable().iter().any(is_shared) {
            let [affirm, register] = [job.proving(key), job.joining(key)].map(|it| it.command());
            commands.push_front(affirm.clone());
            commands.push_front(register);
            commands.push_front(affirm);
        }
        let orders = Orders {
            last: Vec::new(),
            command: commands.pop_front().unwrap_or(job.imposing(key).command()),
            insist: commands.into(),
            stale: Vec::new(),
            width: job.width(),
            persistence: Persistence::Deadline,
        };
        let lanes = lanes.map(|path| Vec::from([path])).collect();
        Broadcast::start(courier, lanes, self.lost.clone(), orders)
    }

    /// Whether this path may be the nexus that the reservation has been moved to: nobody knows
    /// from which port it starts. PREEMPT has unregistered it, so that there is nothing to undo.
    fn may_have_moved_to(&self, path: PathId, job: &Job) -> bool {
        let mut paths = job.paths.iter();
        matches!(self.goal, Goal::Moved(..))
            && paths.any(|other| other.id == path && other.initiator_port.is_none())
    }

    pub(crate) fn end(self, outcome: Outcome, courier: &mut Courier) -> State {
        end(self.suspended, outcome, courier)
    }
}

/// The end of a transaction that may have suspended the map.
pub(crate) fn end(suspended: Suspended, outcome: Outcome, courier: &mut Courier) -> State {
    match suspended {
        Suspended::No => State::Finished(outcome),
        Suspended::Yes => {
            courier.resume();
            State::Resuming(Resuming(outcome))
        }
    }
}

impl Goal {
    fn reservation_type(self) -> ReservationType {
        match self {
            Self::Released(held)
            | Self::Unregistered(held)
            | Self::Kept(held)
            | Self::Spared(held)
            | Self::Moved(held, _) => held,
        }
    }
}

impl Suspending {
    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let mut takeover = self.0;
        match settled.verdict {
            Verdict::Map(MapChange::Suspended) => {
                takeover.suspended = Suspended::Yes;
                Taking::start(takeover, job, courier)
            }
            // It may be suspended nevertheless, or become so: nobody can tell.
            Verdict::Map(MapChange::NotSuspended) => {
                takeover.suspended = Suspended::Yes;
                takeover.end(Outcome::NotSuspended, courier)
            }
            Verdict::Map(MapChange::NotAsked) => takeover.end(Outcome::NotSuspended, courier),
            _ => State::Suspending(Self(takeover)),
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
