//! What a caller asks of a map: one PERSISTENT RESERVE command with its operands.

use alloc::vec::Vec;
use core::fmt;

use scsi_pr::{InAction, OutAction, ReservationKey, ReservationType, TransportId};

/// One PERSISTENT RESERVE command, addressed to a map as if it were one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// PERSISTENT RESERVE IN (SPC-4 6.15).
    Read(Read),
    /// REGISTER, or REGISTER AND IGNORE EXISTING KEY; a zero new key unregisters.
    Register(Register),
    /// RESERVE.
    Reserve(Reserve),
    /// RELEASE.
    Release(Release),
    /// CLEAR.
    Clear(Clear),
    /// PREEMPT or PREEMPT AND ABORT.
    Preempt(Preempt),
    /// REGISTER AND MOVE.
    RegisterAndMove(RegisterAndMove),
}

/// A PERSISTENT RESERVE IN command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The service action.
    pub action: InAction,
    /// A cap on the allocation length in bytes. Without one the response is read completely.
    pub allocation_length: Option<u16>,
}

/// A registration, a change of key, or the end of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Whether the device compares the existing key.
    pub mode: RegisterMode,
    /// RESERVATION KEY: the key registered until now, zero for none.
    pub key: ReservationKey,
    /// SERVICE ACTION RESERVATION KEY: the key from now on, zero to unregister.
    pub new_key: ReservationKey,
    /// APTPL: registrations and reservation shall survive a power loss of the device.
    pub aptpl: bool,
    /// ALL_TG_PT: the registration counts on every target port of the device.
    pub all_tg_pt: bool,
    /// SPEC_I_PT: further initiator ports to register.
    pub transport_ids: Vec<TransportId>,
}

/// Whether a registration compares the existing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterMode {
    /// REGISTER: the given key must be the registered one.
    Compare,
    /// REGISTER AND IGNORE EXISTING KEY.
    Ignore,
}

/// A RESERVE command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The registered key.
    pub key: ReservationKey,
    /// The type to reserve with.
    pub reservation_type: ReservationType,
}

/// A RELEASE command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The registered key.
    pub key: ReservationKey,
    /// The type of the reservation to release.
    pub reservation_type: ReservationType,
}

/// A CLEAR command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// The registered key.
    pub key: ReservationKey,
}

/// A PREEMPT or PREEMPT AND ABORT command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preempt {
    /// The registered key.
    pub key: ReservationKey,
    /// The key whose registrations, and whose reservation, are to go.
    pub victim: ReservationKey,
    /// The type of the reservation that the preempter gets.
    pub reservation_type: ReservationType,
    /// What becomes of the victim's commands in flight.
    pub commands: VictimCommands,
}

/// What becomes of a preempted nexus' commands in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VictimCommands {
    /// PREEMPT: they run to their end.
    Finish,
    /// PREEMPT AND ABORT: they are aborted.
    Abort,
}

/// A REGISTER AND MOVE command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAndMove {
    /// The registered key of the holder.
    pub key: ReservationKey,
    /// The key to register for the nexus that gets the reservation.
    pub new_key: ReservationKey,
    /// APTPL, as for a registration.
    pub aptpl: bool,
    /// UNREG: the sender's own registration ends.
    pub unregister: bool,
    /// RELATIVE TARGET PORT IDENTIFIER of the receiving nexus.
    pub relative_target_port: u16,
    /// Initiator port of the receiving nexus.
    pub transport_id: TransportId,
}

impl Request {
    /// The service action of a PERSISTENT RESERVE OUT request, `None` for a read.
    #[must_use]
    pub fn out_action(&self) -> Option<OutAction> {
        match self {
            Self::Read(_) => None,
            Self::Register(register) => Some(register.action()),
            Self::Reserve(_) => Some(OutAction::RESERVE),
            Self::Release(_) => Some(OutAction::RELEASE),
            Self::Clear(_) => Some(OutAction::CLEAR),
            Self::Preempt(preempt) => Some(preempt.action()),
            Self::RegisterAndMove(_) => Some(OutAction::REGISTER_AND_MOVE),
        }
    }

    /// The service action of a PERSISTENT RESERVE IN request, `None` for any other.
    #[must_use]
    pub fn in_action(&self) -> Option<InAction> {
        match self {
            Self::Read(read) => Some(read.action),
            _ => None,
        }
    }
}

/// The service action, in the words of the standard.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.out_action(), self.in_action()) {
            (Some(action), _) => action.fmt(f),
            (None, Some(action)) => action.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl Register {
    /// The service action that carries this registration.
    #[must_use]
    pub fn action(&self) -> OutAction {
        match self.mode {
            RegisterMode::Compare => OutAction::REGISTER,
            RegisterMode::Ignore => OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
        }
    }

    /// Whether this ends the registration.
    #[must_use]
    pub fn is_unregister(&self) -> bool {
        self.new_key.is_none()
    }
}

impl Preempt {
    /// The service action that carries this preemption.
    #[must_use]
    pub fn action(&self) -> OutAction {
        match self.commands {
            VictimCommands::Finish => OutAction::PREEMPT,
            VictimCommands::Abort => OutAction::PREEMPT_AND_ABORT,
        }
    }
}
/// Stands for what is no request of anybody, but begins by reading everything registered.
pub(crate) fn census_request() -> Request {
    Request::Read(Read {
        action: InAction::READ_FULL_STATUS,
        allocation_length: None,
    })
}
