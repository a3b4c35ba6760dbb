//! Sends one command to many paths, each in a lane of its own, and settles every lane.
//!
//! ```text
//!   lane:  queued ──► sent ── accepted ──────────────────────► done
//!            ▲         │ ──── conflict ── the next command ──► queued, else conflict
//!            │         │ ──── refused, failed ───────────────► answered
//!            │         └───── unreachable ──► probing
//!            └─────────────── usable, not sent too often ◄─┘
//!
//!   probing: dead ───────────────► the lane's next path, else absent
//!            usable, or not known ► the lane's next path, else behind
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::attempt::Trail;
use crate::courier::{Courier, Persistence, Reply, Settled, Silence, Verdict};
use crate::limits::MAX_REPEATS;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::snapshot::{PathId, PathState};
use crate::wire::Command;

/// Waits until every lane is settled.
#[derive(Debug, Clone)]
pub(crate) struct Broadcast {
    orders: Orders,
    suspects: Vec<PathId>,
    queue: VecDeque<Lane>,
    sent: Vec<Lane>,
    probing: Vec<Lane>,
    result: BroadcastEnd,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The command.
    pub(crate) command: Command,
    /// One after the other, where the one before met a conflict: also one that was executed before,
    /// unseen.
    pub(crate) insist: Vec<Command>,
    /// Paths that have answered `command` with a conflict before.
    pub(crate) stale: Vec<PathId>,
    /// Paths whose turn comes when all others are settled.
    pub(crate) last: Vec<PathId>,
    /// How many lanes run at once.
    pub(crate) width: Width,
    /// How long a busy path is asked again.
    pub(crate) persistence: Persistence,
}

/// How many paths are asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// All of them, until a path says that it is busy.
    All,
    /// One after the other.
    One,
}

/// How the lanes ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BroadcastEnd {
    /// Paths that accepted.
    pub(crate) done: Vec<PathId>,
    /// Which command that was, by path: 0 for `command`.
    pub(crate) rungs: Vec<(PathId, usize)>,
    /// Paths that may have executed one without an answer, and which one: the first.
    unseen: Vec<(PathId, usize)>,
    /// Paths that answered RESERVATION CONFLICT.
    pub(crate) conflicts: Vec<PathId>,
    /// Paths found dead, and what became of the command there.
    pub(crate) absent: Vec<(PathId, Silence)>,
    /// Paths that answered otherwise.
    pub(crate) answered: Vec<(PathId, Reply)>,
    /// Paths that are alive, or may be, and yet gave no answer; what became of it there.
    pub(crate) behind: Vec<(PathId, Silence)>,
}

/// A group of paths of which one is enough: the one at work, and the others.
#[derive(Debug, Clone)]
struct Lane {
    path: PathId,
    alternates: VecDeque<PathId>,
    /// Which command is its turn.
    rung: usize,
    /// How often this path was given the command and stayed silent.
    silences: u32,
    /// What that means; once it may have been executed, it stays so.
    silence: Silence,
    /// Which command that was, the first of them.
    unseen: Option<usize>,
}

impl Broadcast {
    /// `lanes` are groups of paths of which one is enough; `suspects` are paths that were
    /// silent already: they are looked at before anything more is sent to them.
    pub(crate) fn start(
        courier: &mut Courier,
        lanes: Vec<Vec<PathId>>,
        suspects: Vec<PathId>,
        orders: Orders,
    ) -> Progress<Self, BroadcastEnd> {
        let mut broadcast = Self {
            orders,
            suspects,
            queue: VecDeque::new(),
            sent: Vec::new(),
            probing: Vec::new(),
            result: BroadcastEnd::default(),
        };
        for paths in lanes {
            broadcast.enter(paths.into(), courier);
        }
        broadcast.advance(courier)
    }

    pub(crate) fn handle(
        mut self,
        settled: Settled,
        courier: &mut Courier,
    ) -> Progress<Self, BroadcastEnd> {
        match settled.verdict {
            Verdict::Probed(state) => {
                if let Some(lane) = take(&mut self.probing, settled.path) {
                    self.settle_probe(lane, state, courier);
                }
            }
            verdict => {
                if let Some(lane) = take(&mut self.sent, settled.path) {
                    self.settle(lane, verdict, courier);
                }
            }
        }
        self.advance(courier)
    }

    /// Starts a lane with the first of these paths; a suspect is looked at first.
    fn enter(&mut self, mut paths: VecDeque<PathId>, courier: &mut Courier) {
        let Some(path) = paths.pop_front() else {
            return;
        };
        let is_suspect = self.suspects.contains(&path);
        let is_stale = self.orders.stale.contains(&path);
        let lane = Lane {
            path,
            alternates: paths,
            rung: usize::from(is_stale).min(self.orders.insist.len()),
            silences: u32::from(is_suspect),
            silence: Silence::NotExecuted(None),
            unseen: None,
        };
        if is_suspect {
            self.probe(lane, courier);
        } else {
            self.queue.push_back(lane);
        }
    }

    fn probe(&mut self, lane: Lane, courier: &mut Courier) {
        courier.probe(lane.path);
        self.probing.push(lane);
    }

    fn settle(&mut self, mut lane: Lane, verdict: Verdict, courier: &mut Courier) {
        match verdict {
            Verdict::Done(_) => {
                self.result.done.push(lane.path);
                self.result.rungs.push((lane.path, lane.rung));
                self.note_unseen(&lane);
            }
            Verdict::Conflict if lane.rung >= self.orders.insist.len() => {
                self.note_unseen(&lane);
                self.result.conflicts.push(lane.path);
            }
            Verdict::Conflict => {
                lane.rung += 1;
                self.queue.push_front(lane);
            }
            Verdict::Refused(_, reply) | Verdict::Failed(reply) => {
                self.result.answered.push((lane.path, reply));
            }
            Verdict::Unreachable(silence) => {
                if silence == Silence::Unknown {
                    self.probe_queued(courier);
                }
                lane.silences += 1;
                if silence == Silence::Unknown {
                    lane.unseen.get_or_insert(lane.rung);
                }
                if lane.silence != Silence::Unknown {
                    lane.silence = silence;
                }
                self.probe(lane, courier);
            }
            Verdict::Probed(_) | Verdict::Map(_) => {}
        }
    }

    fn note_unseen(&mut self, lane: &Lane) {
        let unseen = lane.unseen.map(|rung| (lane.path, rung));
        self.result.unseen.extend(unseen);
    }

    /// One path hangs; the others that wait for their turn may be behind the same controller.
    fn probe_queued(&mut self, courier: &mut Courier) {
        for lane in core::mem::take(&mut self.queue) {
            self.probe(lane, courier);
        }
    }

    fn settle_probe(&mut self, lane: Lane, state: PathState, courier: &mut Courier) {
        let is_usable = state == PathState::Usable;
        if is_usable && lane.silences <= MAX_REPEATS {
            self.queue.push_back(lane);
            return;
        }
        if state == PathState::Dead {
            self.result.absent.push((lane.path, lane.silence));
        } else if lane.alternates.is_empty() {
            self.result.behind.push((lane.path, lane.silence));
        }
        self.enter(lane.alternates, courier);
    }

    fn advance(mut self, courier: &mut Courier) -> Progress<Self, BroadcastEnd> {
        while self.has_room(courier) {
            let Some(lane) = self.next_lane() else {
                break;
            };
            let command = self.orders.command_at(lane.rung).clone();
            courier.send(lane.path, command, self.orders.persistence);
            self.sent.push(lane);
        }
        if self.sent.is_empty() && self.probing.is_empty() {
            return Progress::Ended(self.result);
        }
        Progress::Waiting(self)
    }

    fn next_lane(&mut self) -> Option<Lane> {
        let is_last = |lane: &Lane| self.orders.last.contains(&lane.path);
        let mut under_way = self.sent.iter().chain(&self.probing);
        let first = self.queue.iter().position(|lane| !is_last(lane));
        let at = match first {
            None if under_way.all(is_last) => 0,
            None => return None,
            Some(first) => first,
        };
        self.queue.remove(at)
    }

    fn has_room(&self, courier: &Courier) -> bool {
        let is_wide = self.orders.width == Width::All && !courier.is_one_at_a_time();
        is_wide || self.sent.is_empty()
    }
}

impl Orders {
    fn command_at(&self, rung: usize) -> &Command {
        let insist = rung.checked_sub(1).and_then(|at| self.insist.get(at));
        insist.unwrap_or(&self.command)
    }
}

impl BroadcastEnd {
    /// How a request ended whose every living path had to accept; `None` if they all did.
    pub(crate) fn shortfall(&self) -> Option<Outcome> {
        if let Some((path, reply)) = self.answered.first() {
            return Some(reply.clone().into_outcome(*path));
        }
        let behind = self.behind.iter().map(|(path, _)| path);
        let path = *behind.chain(&self.conflicts).next()?;
        Some(Outcome::Incomplete { path })
    }

    /// The paths that accepted at one of these rungs, and have executed nothing before.
    pub(crate) fn heard_at<'a>(&'a self, rungs: &'a [usize]) -> impl Iterator<Item = PathId> + 'a {
        let is_heard = |(path, rung): &&(PathId, usize)| {
            rungs.contains(rung)
                && self
                    .first_unseen(*path)
                    .is_none_or(|unseen| unseen >= *rung)
        };
        self.rungs.iter().filter(is_heard).map(|(path, _)| *path)
    }

    /// The paths that may have executed this one without an answer, and said so later.
    pub(crate) fn unseen_at(&self, rung: usize) -> impl Iterator<Item = PathId> {
        let is_there = move |(_, at): &&(PathId, usize)| *at == rung;
        self.unseen.iter().filter(is_there).map(|(path, _)| *path)
    }

    fn first_unseen(&self, path: PathId) -> Option<usize> {
        let mut unseen = self.unseen.iter();
        unseen
            .find(|(other, _)| *other == path)
            .map(|(_, rung)| *rung)
    }

    /// The paths that accepted at this rung, heard or not: they had refused those before.
    pub(crate) fn at(&self, rung: usize) -> impl Iterator<Item = PathId> {
        let is_there = move |(_, at): &&(PathId, usize)| *at == rung;
        self.rungs.iter().filter(is_there).map(|(path, _)| *path)
    }

    /// How many paths executed the first command, some of them unseen: then the next one found
    /// what it had done.
    pub(crate) fn moved(&self) -> usize {
        let is_moved = |(path, rung): &&(PathId, usize)| {
            *rung == 0 || *rung == 1 && self.first_unseen(*path) == Some(0)
        };
        self.rungs.iter().filter(is_moved).count()
    }

    /// The living paths that may have executed the command although they never said so.
    pub(crate) fn may_have_followed(&self) -> impl Iterator<Item = PathId> {
        let is_unknown = |(_, silence): &&(PathId, Silence)| *silence == Silence::Unknown;
        self.behind.iter().filter(is_unknown).map(|(path, _)| *path)
    }

    /// The paths that may have executed the command although they never said so.
    pub(crate) fn unheard(&self) -> impl Iterator<Item = PathId> {
        let silences = self.absent.iter().chain(&self.behind);
        let unknown = silences.filter(|(_, silence)| *silence == Silence::Unknown);
        unknown.map(|(path, _)| *path)
    }

    /// Whether no path that is alive said anything but RESERVATION CONFLICT.
    pub(crate) fn has_only_conflicts(&self) -> bool {
        !self.conflicts.is_empty()
            && self.done.is_empty()
            && self.answered.is_empty()
            && self.behind.is_empty()
    }

    /// What the paths said, of which none accepted.
    pub(crate) fn into_trail(self) -> Trail {
        let unseen = self.unseen;
        let is_unseen = |path: &PathId| unseen.iter().any(|(other, _)| other == path);
        let (unknown, conflicts) = self.conflicts.into_iter().partition(is_unseen);
        let mut trail = Trail {
            conflicts,
            unknown,
            ..Trail::default()
        };
        for (path, silence) in self.absent.into_iter().chain(self.behind) {
            match silence {
                Silence::Unknown => trail.unknown.push(path),
                Silence::NotExecuted(reply) => trail.silent.push((path, reply)),
            }
        }
        trail
    }
}

fn take(lanes: &mut Vec<Lane>, path: PathId) -> Option<Lane> {
    let at = lanes.iter().position(|lane| lane.path == path)?;
    Some(lanes.swap_remove(at))
}
