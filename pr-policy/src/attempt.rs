//! Tries one command on one path after another until a path accepts it.
//!
//! ```text
//!   trying ── accepted, refused, failed ──────────────────────────► end
//!     │ ▲ ─── conflict, not executed ──► trying the next path, or end
//!     │ └──── all probes in ◄──┐
//!     └────── first silence ──► probing: every path left, at once
//! ```
//!
//! Behind a controller that hangs there are many paths. Each would cost a whole patience; looking
//! at all of them at once costs one probe.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::courier::{Courier, Persistence, Reply, Settled, Silence, Verdict};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::snapshot::{PathId, PathState};
use crate::wire::Command;

/// Waits for one path's verdict on the command.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    command: Command,
    reversal: Reversal,
    untried: VecDeque<PathId>,
    strangers: Strangers,
    repeat: Repeat,
    probes: Probes,
    trail: Trail,
}

/// Whether the command may be sent again where it may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second time it does the same, or is refused.
    Harmless,
    /// The second time it does something else: whoever asked looks first.
    Harmful,
}

/// Paths that the map does not use, although they are alive. They may lack the key, so that a
/// conflict there says nothing: they are asked if no other path has said anything.
#[derive(Debug, Clone)]
enum Strangers {
    Waiting(Vec<PathId>),
    Asked,
}

/// Whether time has to be left to put things back once a path has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reversal {
    NotNeeded,
    TakesTime,
}

/// Paths that did not accept, by what is known of the command there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    /// Paths that answered RESERVATION CONFLICT.
    pub(crate) conflicts: Vec<PathId>,
    /// Paths that may have executed the command without an answer.
    pub(crate) unknown: Vec<PathId>,
    /// How many conflicts there were before the first of those: where no path that was asked
    /// before was allowed to, it was not executed there either, unless they lack a registration.
    pub(crate) early_conflicts: usize,
    /// Paths that did not execute it, with the answer that said so.
    pub(crate) silent: Vec<(PathId, Option<Reply>)>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// This path accepted.
    Done(PathId),
    /// This path answered in a way that ends the matter. After a failure too: whether the
    /// command was executed is not known then, and one disk would have said the same.
    Answered(PathId, Reply),
    /// No path is left; the trail tells why.
    Exhausted,
}

#[derive(Debug, Clone)]
enum Probes {
    NotNeeded,
    Pending(Vec<PathId>),
    Done,
}

impl Attempt {
    pub(crate) fn start(
        courier: &mut Courier,
        paths: Vec<PathId>,
        command: Command,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        Self::start_with(Reversal::NotNeeded, courier, paths, command)
    }

    /// Through the paths that the map uses, and then through the others.
    pub(crate) fn start_through(
        job: &Job,
        courier: &mut Courier,
        command: Command,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        let (paths, strangers) = job.members_and_strangers();
        let mut attempt = Self::new(Reversal::NotNeeded, paths, command);
        attempt.strangers = Strangers::Waiting(strangers);
        attempt.try_next(courier)
    }

    pub(crate) fn start_with(
        reversal: Reversal,
        courier: &mut Courier,
        paths: Vec<PathId>,
        command: Command,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        Self::new(reversal, paths, command).try_next(courier)
    }

    pub(crate) fn start_reversible(
        repeat: Repeat,
        courier: &mut Courier,
        paths: Vec<PathId>,
        command: Command,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        let mut attempt = Self::new(Reversal::TakesTime, paths, command);
        attempt.repeat = repeat;
        attempt.try_next(courier)
    }

    fn new(reversal: Reversal, paths: Vec<PathId>, command: Command) -> Self {
        Self {
            command,
            reversal,
            untried: paths.into(),
            strangers: Strangers::Waiting(Vec::new()),
            repeat: Repeat::Harmless,
            probes: Probes::NotNeeded,
            trail: Trail::default(),
        }
    }

    pub(crate) fn handle(
        mut self,
        settled: Settled,
        courier: &mut Courier,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        let path = settled.path;
        match settled.verdict {
            Verdict::Done(_) => self.end(AttemptEnd::Done(path)),
            Verdict::Refused(_, reply) | Verdict::Failed(reply) => {
                self.end(AttemptEnd::Answered(path, reply))
            }
            Verdict::Conflict => {
                if !matches!(self.strangers, Strangers::Asked) {
                    self.trail.conflicts.push(path);
                }
                self.try_next(courier)
            }
            Verdict::Unreachable(Silence::Unknown) => {
                if self.trail.unknown.is_empty() {
                    self.trail.early_conflicts = self.trail.conflicts.len();
                }
                self.trail.unknown.push(path);
                if self.repeat == Repeat::Harmful {
                    return self.end(AttemptEnd::Exhausted);
                }
                self.probe_untried(courier)
            }
            Verdict::Unreachable(Silence::NotExecuted(reply)) => {
                self.trail.silent.push((path, reply));
                self.try_next(courier)
            }
            Verdict::Probed(state) => self.note_probe(path, state, courier),
            Verdict::Map(_) => Progress::Waiting(self),
        }
    }

    fn try_next(mut self, courier: &mut Courier) -> Progress<Self, (AttemptEnd, Trail)> {
        self.admit_strangers();
        let Some(path) = self.untried.pop_front() else {
            return self.end(AttemptEnd::Exhausted);
        };
        let persistence = match (self.reversal, self.untried.is_empty()) {
            (Reversal::NotNeeded, true) => Persistence::Deadline,
            (Reversal::NotNeeded, false) => Persistence::Patience,
            (Reversal::TakesTime, true) => Persistence::Reversible,
            (Reversal::TakesTime, false) => Persistence::ReversiblePatience,
        };
        courier.send(path, self.command.clone(), persistence);
        Progress::Waiting(self)
    }

    fn admit_strangers(&mut self) {
        let Strangers::Waiting(strangers) = &mut self.strangers else {
            return;
        };
        let is_heard = !self.trail.conflicts.is_empty() || !self.untried.is_empty();
        if !is_heard && !strangers.is_empty() {
            self.untried = core::mem::take(strangers).into();
            self.strangers = Strangers::Asked;
        }
    }

    fn probe_untried(mut self, courier: &mut Courier) -> Progress<Self, (AttemptEnd, Trail)> {
        if self.untried.is_empty() || !matches!(self.probes, Probes::NotNeeded) {
            return self.try_next(courier);
        }
        let pending = Vec::from(core::mem::take(&mut self.untried));
        for path in &pending {
            courier.probe(*path);
        }
        self.probes = Probes::Pending(pending);
        Progress::Waiting(self)
    }

    fn note_probe(
        mut self,
        path: PathId,
        state: PathState,
        courier: &mut Courier,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        let Probes::Pending(pending) = &mut self.probes else {
            return Progress::Waiting(self);
        };
        pending.retain(|other| *other != path);
        let is_last = pending.is_empty();
        if state == PathState::Usable {
            self.untried.push_back(path);
        } else {
            self.trail.silent.push((path, None));
        }
        if !is_last {
            return Progress::Waiting(self);
        }
        self.probes = Probes::Done;
        self.try_next(courier)
    }

    fn end(self, end: AttemptEnd) -> Progress<Self, (AttemptEnd, Trail)> {
        Progress::Ended((end, self.trail))
    }
}

impl Trail {
    /// Every path that was unreachable.
    pub(crate) fn unreachable(&self) -> impl Iterator<Item = PathId> {
        self.unknown
            .iter()
            .copied()
            .chain(self.silent.iter().map(|(path, _)| *path))
    }

    /// Whether the paths that refuse may have been registered with one that did not answer.
    pub(crate) fn may_be_covered(&self) -> bool {
        !self.unknown.is_empty() && !self.conflicts.is_empty()
    }

    /// Takes no notice of what these paths refuse.
    pub(crate) fn disregard(&mut self, is_meant: impl Fn(PathId) -> bool) {
        let all = core::mem::take(&mut self.conflicts);
        let (strange, known) = all.into_iter().partition(|path| is_meant(*path));
        self.conflicts = known;
        let strange: Vec<PathId> = strange;
        self.silent
            .extend(strange.into_iter().map(|path| (path, None)));
    }

    /// Whether every path that answered refused, and one did.
    pub(crate) fn may_only_conflict(&self) -> bool {
        self.unknown.is_empty() && !self.conflicts.is_empty()
    }

    /// The outcome of a request that no path accepted.
    pub(crate) fn into_outcome(self) -> Outcome {
        if let Some(path) = self.unknown.first() {
            return Outcome::Unknown { path: *path };
        }
        if !self.conflicts.is_empty() {
            return Outcome::Conflict;
        }
        let last = self.silent.last().map(|(path, _)| *path);
        let mut replies = self.silent.into_iter().rev();
        match (replies.find_map(|(path, reply)| Some((path, reply?))), last) {
            (Some((path, reply)), _) => reply.into_outcome(path),
            (None, Some(path)) => Outcome::Unreachable { path },
            (None, None) => Outcome::NoUsablePath,
        }
    }
}
