//! Reads one PERSISTENT RESERVE IN response completely, through whichever path answers first.
//!
//! A path that is silent for [`Limits::read_patience`](crate::Limits) is not given up: the next
//! one is asked as well, and the first good answer wins. Reading twice does no harm, and a path
//! that hangs costs one patience, not a deadline.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use scsi_pr::{FullStatusDescriptor, InAction};

use crate::courier::{Courier, Persistence, Reply, Settled, Silence, Verdict};
use crate::limits::{FIRST_ALLOCATION, FULL_STATUS_SLACK, MAX_GROWTHS, PAGE};
use crate::snapshot::PathId;
use crate::wire::Command;

/// Waits for a response.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    action: InAction,
    allocation: Allocation,
    untried: VecDeque<PathId>,
    asked: Vec<PathId>,
    last: Option<ReadEnd>,
}

/// How a reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// The response.
    Response { path: PathId, data: Vec<u8> },
    /// A path answered with something else, and no other did better.
    Answered { path: PathId, reply: Reply },
    /// A path answered with RESERVATION CONFLICT.
    Conflict,
    /// No path answered.
    Silent { path: PathId },
    /// There was no path to ask.
    NoPath,
}

/// Where a part of a transaction stands.
#[derive(Debug, Clone)]
pub(crate) enum Progress<S, E> {
    Waiting(S),
    Ended(E),
}

#[derive(Debug, Clone, Copy)]
enum Allocation {
    /// The caller's cap: the response may come cut.
    Capped(u16),
    /// Grows until the response fits.
    Growing { length: u16, growths: u32 },
}

impl Reading {
    pub(crate) fn start(
        courier: &mut Courier,
        paths: Vec<PathId>,
        action: InAction,
        cap: Option<u16>,
    ) -> Progress<Self, ReadEnd> {
        let allocation = match cap {
            Some(length) => Allocation::Capped(length),
            None => Allocation::Growing {
                length: first_length(action),
                growths: 0,
            },
        };
        let (untried, asked) = (paths.into(), Vec::new());
        Self {
            action,
            allocation,
            untried,
            asked,
            last: None,
        }
        .ask_next(courier)
    }

    pub(crate) fn handle(
        mut self,
        settled: Settled,
        courier: &mut Courier,
    ) -> Progress<Self, ReadEnd> {
        let path = settled.path;
        self.asked.retain(|asked| *asked != path);
        match settled.verdict {
            Verdict::Done(data) => self.accept(path, data, courier),
            Verdict::Refused(_, reply) => Self::end(ReadEnd::Answered { path, reply }, courier),
            Verdict::Conflict => Self::end(ReadEnd::Conflict, courier),
            Verdict::Failed(reply) | Verdict::Unreachable(Silence::NotExecuted(Some(reply))) => {
                self.last = Some(ReadEnd::Answered { path, reply });
                self.ask_next(courier)
            }
            Verdict::Unreachable(_) | Verdict::Probed(_) | Verdict::Map(_) => {
                self.last.get_or_insert(ReadEnd::Silent { path });
                self.ask_next(courier)
            }
        }
    }

    /// The paths that have not answered yet.
    pub(crate) fn asked(&self) -> &[PathId] {
        &self.asked
    }

    /// The patience with the paths asked so far is over.
    pub(crate) fn handle_alarm(self, courier: &mut Courier) -> Progress<Self, ReadEnd> {
        self.ask_next(courier)
    }

    fn ask_next(mut self, courier: &mut Courier) -> Progress<Self, ReadEnd> {
        if let Some(path) = self.untried.pop_front() {
            self.ask(path, courier);
            return Progress::Waiting(self);
        }
        if self.asked.is_empty() {
            return Self::end(self.last.unwrap_or(ReadEnd::NoPath), courier);
        }
        Progress::Waiting(self)
    }

    fn ask(&mut self, path: PathId, courier: &mut Courier) {
        let command = Command::read(self.action, self.allocation.length());
        courier.send(path, command, Persistence::Deadline);
        self.asked.push(path);
        if self.untried.is_empty() {
            courier.clear_alarm();
        } else {
            courier.set_alarm(courier.limits().read_patience);
        }
    }

    fn accept(
        mut self,
        path: PathId,
        data: Vec<u8>,
        courier: &mut Courier,
    ) -> Progress<Self, ReadEnd> {
        match self.allocation.grown_for(self.action, &data) {
            Some(larger) => {
                courier.drop_all();
                self.asked.clear();
                self.allocation = larger;
                self.untried.push_front(path);
                self.ask_next(courier)
            }
            None => Self::end(ReadEnd::Response { path, data }, courier),
        }
    }

    /// The other paths' answers are of no use any more. They must not reach the next state
    /// either, which would take them for answers to commands of its own.
    fn end(end: ReadEnd, courier: &mut Courier) -> Progress<Self, ReadEnd> {
        courier.drop_all();
        Progress::Ended(end)
    }
}

impl Allocation {
    fn length(self) -> u16 {
        match self {
            Self::Capped(length) | Self::Growing { length, .. } => length,
        }
    }

    /// The next allocation to try, if this response may lack something.
    fn grown_for(self, action: InAction, data: &[u8]) -> Option<Self> {
        let Self::Growing { length, growths } = self else {
            return None;
        };
        let largest = largest_descriptor(action)?;
        let full = full_length(data)?;
        let room = usize::from(length);
        let is_whole = full.saturating_add(largest) <= room;
        if is_whole || length == allowed_length(action, usize::MAX) || growths == MAX_GROWTHS {
            return None;
        }
        let is_last = growths + 1 == MAX_GROWTHS;
        let wanted = if is_last || full <= room {
            usize::MAX
        } else {
            full.saturating_add(largest)
        };
        let length = allowed_length(action, wanted);
        Some(Self::Growing {
            length,
            growths: growths + 1,
        })
    }
}

/// What is asked for first.
fn first_length(action: InAction) -> u16 {
    match action {
        InAction::READ_FULL_STATUS => FIRST_ALLOCATION - FULL_STATUS_SLACK,
        _ => FIRST_ALLOCATION,
    }
}

/// The smallest allocation length that has the wanted room and does the device no harm, or the
/// largest there is.
fn allowed_length(action: InAction, wanted: usize) -> u16 {
    if action != InAction::READ_FULL_STATUS {
        return u16::try_from(wanted).unwrap_or(u16::MAX);
    }
    let slack = usize::from(FULL_STATUS_SLACK);
    let pages = wanted.saturating_add(slack).div_ceil(PAGE);
    let most = u16::MAX - FULL_STATUS_SLACK + 1;
    u16::try_from(pages.saturating_mul(PAGE) - slack).map_or(most, |length| length.min(most))
}

/// Length of the whole response, from its ADDITIONAL LENGTH field (SPC-4 6.15.2, 6.15.5).
fn full_length(data: &[u8]) -> Option<usize> {
    let additional: [u8; 4] = data.get(4..8)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(additional))
        .ok()?
        .checked_add(8)
}

/// The largest descriptor of a response that has any number of them; `None` for the others,
/// which have a fixed length and no ADDITIONAL LENGTH that could be trusted to mean this.
///
/// The standard has ADDITIONAL LENGTH count all registrations, but targets have counted only
/// those that fitted (`drivers/target/target_core_pr.c`, for READ FULL STATUS to this day): a
/// response is taken for whole only if one more descriptor would have fitted too.
fn largest_descriptor(action: InAction) -> Option<usize> {
    match action {
        InAction::READ_KEYS => Some(8),
        InAction::READ_FULL_STATUS => usize::try_from(FullStatusDescriptor::MAX_LENGTH).ok(),
        _ => None,
    }
}
