//! What passes between a transaction and the hands that carry it out.

use alloc::vec::Vec;
use core::time::Duration;

use scsi_pr::{
    BasicParameters, PrInCdb, PrOutCdb, RegisterAndMoveParameters, ReservationType, Scope, Sense,
    Status,
};
use scsi_pr::{InAction, OutAction};

use crate::snapshot::{PathId, PathState};

/// Ties an answer to the action that asked for it. A path may be asked again while an earlier
/// answer is still outstanding; the late one must not be taken for the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u32);

/// Something to be done to the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a command through a path; answer with [`Event::Answered`].
    Send {
        /// To be given back with the answer.
        ticket: Ticket,
        /// Where to send it.
        path: PathId,
        /// What to send.
        command: Command,
        /// When the answer counts as lost, since the transaction's start.
        give_up: Duration,
    },
    /// Look whether a path is usable now: device state, then TEST UNIT READY; answer with
    /// [`Event::Probed`].
    Probe {
        /// To be given back with the answer.
        ticket: Ticket,
        /// The path to look at.
        path: PathId,
        /// When the answer counts as *dead*, since the transaction's start.
        give_up: Duration,
    },
    /// Suspend the map, so that I/O waits: no flush of queued I/O, no freezing of file systems;
    /// answer with [`Event::Suspended`]. From here to [`Action::Resume`] the caller must not
    /// depend on anything that may lie on the map, and must not die.
    Suspend {
        /// To be given back with the answer.
        ticket: Ticket,
    },
    /// Resume the map, also after the deadline, and also if [`Action::Suspend`] failed or has
    /// not come to an end: it may still suspend the map, and has to be waited for. The last
    /// action of a transaction; answer with [`Event::Resumed`].
    Resume {
        /// To be given back with the answer.
        ticket: Ticket,
    },
}

/// Something that happened in the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command ended.
    Answered {
        /// The ticket of the [`Action::Send`].
        ticket: Ticket,
        /// How it ended.
        answer: Answer,
    },
    /// A path was looked at.
    Probed {
        /// The ticket of the [`Action::Probe`].
        ticket: Ticket,
        /// What it is good for now.
        state: PathState,
    },
    /// The map is suspended, or could not be.
    Suspended {
        /// The ticket of the [`Action::Suspend`].
        ticket: Ticket,
        /// Whether it is.
        success: Success,
    },
    /// The map carries I/O again, as far as that is in anybody's power.
    Resumed {
        /// The ticket of the [`Action::Resume`].
        ticket: Ticket,
    },
}

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// How a command ended, before judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The device answered.
    Status {
        /// The SCSI status.
        status: Status,
        /// Its sense data, if any that could be read.
        sense: Option<Sense>,
        /// The data it sent.
        data: Vec<u8>,
    },
    /// The command never left this host: the device could not be opened or refused the ioctl.
    NotSent,
    /// The transport failed or the time was up: the command may have been executed.
    Lost,
}

/// A PERSISTENT RESERVE command as a typed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// PERSISTENT RESERVE IN.
    In(PrInCdb),
    /// PERSISTENT RESERVE OUT.
    Out {
        /// The service action.
        action: OutAction,
        /// The type, zero where the action has none.
        reservation_type: ReservationType,
        /// The parameter list.
        parameters: Parameters,
    },
}

/// The parameter list of a PERSISTENT RESERVE OUT command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameters {
    /// The list of every action but REGISTER AND MOVE.
    Basic(BasicParameters),
    /// The list of REGISTER AND MOVE.
    RegisterAndMove(RegisterAndMoveParameters),
}

impl Command {
    /// A PERSISTENT RESERVE IN command that takes up to `allocation_length` bytes.
    #[must_use]
    pub fn read(action: InAction, allocation_length: u16) -> Self {
        Self::In(PrInCdb {
            action,
            allocation_length,
        })
    }

    /// The command descriptor block and the data that goes out with it.
    #[must_use]
    pub fn encode(&self) -> ([u8; 10], Vec<u8>) {
        match self {
            Self::In(cdb) => (cdb.encode(), Vec::new()),
            Self::Out {
                action,
                reservation_type,
                parameters,
            } => {
                let data = parameters.encode();
                let cdb = PrOutCdb {
                    action: *action,
                    scope: Scope::LOGICAL_UNIT,
                    reservation_type: *reservation_type,
                    parameter_list_length: u32::try_from(data.len()).unwrap_or(u32::MAX),
                };
                (cdb.encode(), data)
            }
        }
    }

    /// How many bytes the device may send back.
    #[must_use]
    pub fn allocation_length(&self) -> usize {
        match self {
            Self::In(cdb) => usize::from(cdb.allocation_length),
            Self::Out { .. } => 0,
        }
    }
}

impl Parameters {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Basic(list) => list.encode(),
            Self::RegisterAndMove(list) => list.encode(),
        }
    }
}
