//! Sends one command to many paths, each in a lane of its own, and settles every lane.
//!
//! ```text
//!   lane:  sent ── accepted ─────────────────────────────► done
//!           │ ──── conflict ── other command given ──► sent again (once)
//!           │          └────── none given ───────────────► conflict
//!           └───── unreachable ──► probing ── dead ──► next path of the lane, or absent
//!                                     └────── usable ──► sent again (once) ──► behind
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::courier::{Courier, Reply, Settled, Verdict};
use crate::limits::MAX_REPEATS;
use crate::reading::Progress;
use crate::snapshot::{PathId, PathState};
use crate::wire::Command;

/// Waits until every lane is settled.
#[derive(Debug, Clone)]
pub(crate) struct Broadcast {
    orders: Orders,
    queue: VecDeque<Lane>,
    running: Vec<Lane>,
    result: BroadcastEnd,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The command.
    pub(crate) command: Command,
    /// Sent where `command` met a conflict or may have been executed unseen.
    pub(crate) insist: Option<Command>,
    /// How many lanes run at once.
    pub(crate) width: Width,
}

/// How many paths are asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    All,
    One,
}

/// How the lanes ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BroadcastEnd {
    /// Paths that accepted.
    pub(crate) done: Vec<PathId>,
    /// Paths that answered RESERVATION CONFLICT.
    pub(crate) conflicts: Vec<PathId>,
    /// Paths found dead.
    pub(crate) absent: Vec<PathId>,
    /// Paths that answered otherwise.
    pub(crate) answered: Vec<(PathId, Reply)>,
    /// Paths that are alive and yet gave no answer.
    pub(crate) behind: Vec<PathId>,
}

#[derive(Debug, Clone)]
struct Lane {
    path: PathId,
    alternates: VecDeque<PathId>,
    start: Start,
    insisted: bool,
    repeats: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Send,
    Probe,
}

impl Broadcast {
    /// `lanes` are groups of paths of which one is enough; `suspects` are paths that were
    /// silent already: they are looked at before anything is sent to them.
    pub(crate) fn start(
        courier: &mut Courier,
        lanes: Vec<Vec<PathId>>,
        suspects: Vec<PathId>,
        orders: Orders,
    ) -> Progress<Self, BroadcastEnd> {
        let lanes = lanes
            .into_iter()
            .filter_map(|paths| Lane::new(paths, Start::Send));
        let suspects = suspects
            .into_iter()
            .filter_map(|path| Lane::new(Vec::from([path]), Start::Probe));
        let queue = lanes.chain(suspects).collect();
        Self {
            orders,
            queue,
            running: Vec::new(),
            result: BroadcastEnd::default(),
        }
        .advance(courier)
    }

    pub(crate) fn handle(
        mut self,
        settled: Settled,
        courier: &mut Courier,
    ) -> Progress<Self, BroadcastEnd> {
        let Some(at) = self
            .running
            .iter()
            .position(|lane| lane.path == settled.path)
        else {
            return Progress::Waiting(self);
        };
        let lane = self.running.swap_remove(at);
        self.settle(lane, settled.verdict, courier);
        self.advance(courier)
    }

    fn settle(&mut self, mut lane: Lane, verdict: Verdict, courier: &mut Courier) {
        match verdict {
            Verdict::Done(_) => self.result.done.push(lane.path),
            Verdict::Conflict => self.settle_conflict(lane, courier),
            Verdict::Refused(_, reply) | Verdict::Failed(reply) => {
                self.result.answered.push((lane.path, reply));
            }
            Verdict::Unreachable(_) => {
                courier.probe(lane.path);
                self.running.push(lane);
            }
            Verdict::Probed(PathState::Dead | PathState::Doubtful) => {
                self.result.absent.push(lane.path);
                if let Some(next) = lane.alternates.pop_front() {
                    lane.path = next;
                    lane.repeats = 0;
                    self.run(lane, courier);
                }
            }
            Verdict::Probed(PathState::Usable) if lane.repeats < MAX_REPEATS => {
                lane.repeats += 1;
                lane.insisted = self.orders.insist.is_some();
                self.resend(lane, courier);
            }
            Verdict::Probed(PathState::Usable) => self.result.behind.push(lane.path),
        }
    }

    fn settle_conflict(&mut self, mut lane: Lane, courier: &mut Courier) {
        if lane.insisted || self.orders.insist.is_none() {
            self.result.conflicts.push(lane.path);
        } else {
            lane.insisted = true;
            self.resend(lane, courier);
        }
    }

    fn resend(&mut self, lane: Lane, courier: &mut Courier) {
        self.run(
            Lane {
                start: Start::Send,
                ..lane
            },
            courier,
        );
    }

    fn run(&mut self, lane: Lane, courier: &mut Courier) {
        let insist = self.orders.insist.as_ref().filter(|_| lane.insisted);
        match lane.start {
            Start::Send => {
                courier.send(lane.path, insist.unwrap_or(&self.orders.command).clone());
            }
            Start::Probe => courier.probe(lane.path),
        }
        self.running.push(lane);
    }

    fn advance(mut self, courier: &mut Courier) -> Progress<Self, BroadcastEnd> {
        while self.orders.width == Width::All || self.running.is_empty() {
            let Some(lane) = self.queue.pop_front() else {
                break;
            };
            self.run(lane, courier);
        }
        if self.running.is_empty() {
            return Progress::Ended(self.result);
        }
        Progress::Waiting(self)
    }
}

impl Lane {
    fn new(paths: Vec<PathId>, start: Start) -> Option<Self> {
        let mut alternates = VecDeque::from(paths);
        let path = alternates.pop_front()?;
        Some(Self {
            path,
            alternates,
            start,
            insisted: false,
            repeats: 0,
        })
    }
}
