//! Reads one PERSISTENT RESERVE IN response completely, through whichever path answers first.
//!
//! A path that is silent for [`Limits::read_patience`](crate::Limits) is not given up: the next
//! one is asked as well, and the first good answer wins. Reading twice does no harm, and a path
//! that hangs costs one patience, not a deadline.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use scsi_pr::InAction;

use crate::courier::{Courier, Reply, Settled, Silence, Verdict};
use crate::limits::{FIRST_ALLOCATION, MAX_GROWTHS};
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
                length: FIRST_ALLOCATION,
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
            Verdict::Refused(_, reply) => Progress::Ended(ReadEnd::Answered { path, reply }),
            Verdict::Conflict => Progress::Ended(ReadEnd::Conflict),
            Verdict::Failed(reply) | Verdict::Unreachable(Silence::NotExecuted(Some(reply))) => {
                self.last = Some(ReadEnd::Answered { path, reply });
                self.ask_next(courier)
            }
            Verdict::Unreachable(_) | Verdict::Probed(_) => {
                self.last.get_or_insert(ReadEnd::Silent { path });
                self.ask_next(courier)
            }
        }
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
        courier.clear_alarm();
        if self.asked.is_empty() {
            return Progress::Ended(self.last.unwrap_or(ReadEnd::NoPath));
        }
        Progress::Waiting(self)
    }

    fn ask(&mut self, path: PathId, courier: &mut Courier) {
        courier.send(path, Command::read(self.action, self.allocation.length()));
        self.asked.push(path);
        if !self.untried.is_empty() {
            courier.set_alarm(courier.limits().read_patience);
        }
    }

    fn accept(
        mut self,
        path: PathId,
        data: Vec<u8>,
        courier: &mut Courier,
    ) -> Progress<Self, ReadEnd> {
        courier.drop_all();
        self.asked.clear();
        match self.allocation.grown_for(self.action, &data) {
            Some(larger) => {
                self.allocation = larger;
                self.untried.push_front(path);
                self.ask_next(courier)
            }
            None => Progress::Ended(ReadEnd::Response { path, data }),
        }
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
        let full = full_length(data)?;
        let room = usize::from(length);
        let fits = full <= room && !(may_be_cut_silently(action, full, room));
        if fits || length == u16::MAX || growths == MAX_GROWTHS {
            return None;
        }
        let length = if full <= room {
            u16::MAX
        } else {
            u16::try_from(full).unwrap_or(u16::MAX)
        };
        Some(Self::Growing {
            length,
            growths: growths + 1,
        })
    }
}

/// Length of the whole response, from its ADDITIONAL LENGTH field (SPC-4 6.15.2, 6.15.5).
fn full_length(data: &[u8]) -> Option<usize> {
    let additional: [u8; 4] = data.get(4..8)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(additional))
        .ok()?
        .checked_add(8)
}

/// The kernel's target counts only the full status descriptors that it sent
/// (drivers/target/target_core_pr.c), so a response that nearly fills its room may be cut.
fn may_be_cut_silently(action: InAction, full: usize, room: usize) -> bool {
    action == InAction::READ_FULL_STATUS && room.saturating_sub(full) < LARGEST_DESCRIPTOR
}

/// A full status descriptor: 24 bytes and a TransportID of at most 4 + 224 + 17 bytes (iSCSI
/// name, separator and ISID), padded.
const LARGEST_DESCRIPTOR: usize = 24 + 248;
