//! Tries one command on one path after another until a path accepts it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::courier::{Courier, Reply, Settled, Silence, Verdict};
use crate::reading::Progress;
use crate::snapshot::PathId;
use crate::wire::Command;

/// Waits for one path's verdict on the command.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    command: Command,
    untried: VecDeque<PathId>,
    trail: Trail,
}

/// What the paths said that did not accept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    /// Paths that answered RESERVATION CONFLICT.
    pub(crate) conflicts: Vec<PathId>,
    /// Paths that may have executed the command without an answer.
    pub(crate) unknown: Vec<PathId>,
    /// Paths that did not execute it, with the answer that said so.
    pub(crate) silent: Vec<(PathId, Option<Reply>)>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// This path accepted.
    Done(PathId),
    /// This path answered in a way that ends the matter.
    Answered(PathId, Reply),
    /// No path is left; the trail tells why.
    Exhausted,
}

impl Attempt {
    pub(crate) fn start(
        courier: &mut Courier,
        paths: Vec<PathId>,
        command: Command,
    ) -> Progress<Self, (AttemptEnd, Trail)> {
        Self {
            command,
            untried: paths.into(),
            trail: Trail::default(),
        }
        .try_next(courier)
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
                self.trail.conflicts.push(path);
                self.try_next(courier)
            }
            Verdict::Unreachable(Silence::Unknown) => {
                self.trail.unknown.push(path);
                self.try_next(courier)
            }
            Verdict::Unreachable(Silence::NotExecuted(reply)) => {
                self.trail.silent.push((path, reply));
                self.try_next(courier)
            }
            Verdict::Probed(_) => Progress::Waiting(self),
        }
    }

    fn try_next(mut self, courier: &mut Courier) -> Progress<Self, (AttemptEnd, Trail)> {
        match self.untried.pop_front() {
            Some(path) => {
                courier.send(path, self.command.clone());
                Progress::Waiting(self)
            }
            None => self.end(AttemptEnd::Exhausted),
        }
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
}
