//! After a registration has spread over the paths: was this node shut out meanwhile?
//!
//! ```text
//!   pilot ── REGISTER of the key in place of itself ── accepted ─► go on
//!                                                      conflict ─► take everything back
//!                                                      silence ──► the others
//!   others ── the same ── any conflict ─► take everything back
//!                         none ─────────► the census has to tell
//! ```
//!
//! Whoever shuts this node out takes away what it has by then. Paths that register after that
//! would let it in again; the first path is the one that cannot have. The question changes
//! nothing, so it is asked again where an answer is lost.

use alloc::vec::Vec;

use crate::broadcast::{Broadcast, BroadcastEnd, Orders};
use crate::courier::{Courier, Persistence, Settled};
use crate::evidence::Census;
use crate::job::Job;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome, Registration};
use crate::reading::Progress;
use crate::remnant::Remnants;
use crate::request::{Register, RegisterMode};
use crate::snapshot::{PathId, PathState};
use crate::state::State;
use crate::takeover::Suspended;
use crate::undo::Undoing;
use crate::weigh::{Inheritance, Late, Question, Weighing};

/// Waits to hear whether the first path of a registration still has the key.
#[derive(Debug, Clone)]
pub(crate) struct Affirming {
    broadcast: Broadcast,
    witnesses: Witnesses,
    spread: Spread,
    next: Next,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witnesses {
    /// The first path.
    Pilot,
    /// The others, since the first one is silent.
    Others,
}

/// A registration and the paths that have accepted it.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub(crate) register: Register,
    /// The first of them.
    pub(crate) pilot: PathId,
    pub(crate) changed: Vec<PathId>,
    /// How many of them had the key that was to be replaced.
    pub(crate) moved: usize,
    /// Those that had neither that nor the new one, and have it now.
    pub(crate) forced: Vec<PathId>,
    /// Those that had neither, and still have not.
    pub(crate) bare: Vec<PathId>,
    /// Paths that share a registration have registered it twice.
    pub(crate) twice: bool,
    /// Paths that start from one port have made a registration each.
    pub(crate) doubled: bool,
    /// One of them may have made one for all without an answer.
    pub(crate) unsure: bool,
    /// How many more may have accepted it without an answer.
    pub(crate) unheard: usize,
    /// Living paths among those: if it fails, they are asked to go back as well.
    pub(crate) silent: Vec<PathId>,
}

/// What follows if the path still has the key.
#[derive(Debug, Clone)]
enum Next {
    /// What is left of the old key.
    Inherit,
    /// The old key again, since this is how it ended.
    Undo(Outcome),
    /// Nothing: somebody else has taken what was left of the old key.
    Lose,
}

impl Spread {
    /// Nobody saw which paths accepted.
    pub(crate) fn unseen(register: Register) -> Self {
        Self {
            register,
            pilot: PathId(0),
            changed: Vec::new(),
            moved: 0,
            forced: Vec::new(),
            bare: Vec::new(),
            twice: false,
            doubled: false,
            unsure: false,
            unheard: 0,
            silent: Vec::new(),
        }
    }
}

impl Affirming {
    pub(super) fn start(
        spread: Spread,
        failure: Option<Outcome>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let next = failure.map_or(Next::Inherit, Next::Undo);
        let is_alone = spread.register.is_unregister() || spread.changed.len() < 2;
        if is_alone || job.makes(Mutation::TrustTheFanOut) {
            return go_on(spread, next, job, courier);
        }
        Self::begin(Witnesses::Pilot, spread, next, job, courier)
    }

    /// The old key could not be preempted on nexuses out of reach, although it was there: it is
    /// gone, or the new one is.
    pub(crate) fn start_after_purge(spread: Spread, job: &mut Job, courier: &mut Courier) -> State {
        Self::begin(Witnesses::Pilot, spread, Next::Lose, job, courier)
    }

    fn begin(
        witnesses: Witnesses,
        spread: Spread,
        next: Next,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let orders = Orders {
            last: Vec::new(),
            command: spread.register.affirming().command(),
            insist: Vec::new(),
            stale: Vec::new(),
            width: job.width(),
            persistence: Persistence::Deadline,
        };
        let is_asked = |path: &PathId| (*path == spread.pilot) == (witnesses == Witnesses::Pilot);
        let asked = spread.changed.iter().copied().filter(is_asked);
        let lanes = asked.map(|path| Vec::from([path])).collect();
        let progress = Broadcast::start(courier, lanes, Vec::new(), orders);
        Self::after(progress, witnesses, spread, next, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(
            progress,
            self.witnesses,
            self.spread,
            self.next,
            job,
            courier,
        )
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        witnesses: Witnesses,
        spread: Spread,
        next: Next,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::Affirming(Self {
                    broadcast,
                    witnesses,
                    spread,
                    next,
                });
            }
            Progress::Ended(end) => end,
        };
        for (path, _) in &end.absent {
            job.note_state(*path, PathState::Dead);
        }
        if !end.conflicts.is_empty() {
            // One disk would have registered, and been shut out then.
            let outcome = match next {
                Next::Undo(failure) => failure,
                Next::Inherit | Next::Lose => Outcome::Done,
            };
            return State::shut_out(&spread, outcome, job, courier);
        }
        let has_vouched = !end.done.is_empty();
        match (witnesses, next) {
            // A path that may have registered before the first one may have lost that since.
            (Witnesses::Pilot, Next::Inherit)
                if has_vouched && (spread.unheard > 0 || spread.unsure) && job.has_lost =>
            {
                Weighing::start(Question::Overtaken(spread), job, courier)
            }
            (_, Next::Inherit) if spread.twice => {
                State::shut_out(&spread, Outcome::Done, job, courier)
            }
            (Witnesses::Pilot, next) if has_vouched => go_on(spread, next, job, courier),
            (Witnesses::Pilot, next) if spread.changed.len() > 1 => {
                Self::begin(Witnesses::Others, spread, next, job, courier)
            }
            (_, Next::Inherit) => {
                let inheritance = Inheritance::without_pilot(spread, job);
                Weighing::start(Question::Inherit(inheritance), job, courier)
            }
            (_, Next::Undo(failure)) => Undoing::start(spread, failure, job, courier),
            (_, Next::Lose) => State::Finished(Outcome::Unknown { path: spread.pilot }),
        }
    }
}

impl Spread {
    /// Unit attentions wait until a path is asked: what they tell of may have been before this
    /// request. The device has counted every change since: if they are all this node's, nobody has
    /// taken anything away.
    pub(crate) fn unless_overtaken(
        self,
        census: Option<&Census>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let own = u32::try_from(self.changed.len() + VOUCHED).ok();
        let before = job.before_change.as_ref();
        let expected = before
            .zip(own)
            .map(|(before, own)| before.generation.wrapping_add(own));
        if census.is_some_and(|census| Some(census.generation()) == expected) && !self.twice {
            return go_on(self, Next::Inherit, job, courier);
        }
        let outcome = Outcome::Unknown { path: self.pilot };
        State::shut_out(&self, outcome, job, courier)
    }
}

/// The first path has been asked once whether it still has the key.
const VOUCHED: usize = 1;

impl State {
    /// Somebody has shut this node out while it registered: what came too late must not stay.
    pub(crate) fn shut_out(
        spread: &Spread,
        outcome: Outcome,
        job: &mut Job,
        courier: &mut Courier,
    ) -> Self {
        let key = spread.register.new_key;
        let old_key = job.own_key().filter(|old| *old != key);
        let late = Late {
            key,
            victims: old_key.into_iter().chain([key]).collect(),
            outcome,
        };
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
        Weighing::start(Question::ShutOut(late), job, courier)
    }
}

fn go_on(spread: Spread, next: Next, job: &mut Job, courier: &mut Courier) -> State {
    match next {
        Next::Inherit if spread.register.is_unregister() => {
            Remnants::new(Outcome::Done, Suspended::No, job).settle(job, courier)
        }
        Next::Inherit => match Inheritance::new(spread, job) {
            Some(inheritance) => Weighing::start(Question::Inherit(inheritance), job, courier),
            None => State::Finished(Outcome::Done),
        },
        Next::Undo(failure) => Undoing::start(spread, failure, job, courier),
        // One disk would have registered, whatever it had.
        Next::Lose if spread.register.mode == RegisterMode::Ignore => {
            State::Finished(Outcome::Done)
        }
        // One disk would not have been allowed to change its key any more.
        Next::Lose => State::shut_out(&spread, Outcome::Conflict, job, courier),
    }
}
