//! The operations of [`Device`] by name, for programs that want values instead of bytes.

use pr_policy::{
    Clear, Outcome, Preempt, Read, Register, RegisterAndMove, RegisterMode, Release, Request,
    Reserve, VictimCommands,
};
use scsi_pr::{
    Capabilities, DecodeError, InAction, ReadFullStatus, ReadKeys, ReadReservation, ReservationKey,
    ReservationType,
};
use thiserror::Error;

use crate::device::Device;
use crate::run::{Failure, RunOptions};

/// Why an operation did not succeed.
#[derive(Debug, Error)]
pub enum OperationError {
    /// The request did not get as far as an answer of the device.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The map answered, but not with success. A reservation conflict is found here, as
    /// [`Outcome::Conflict`].
    #[error("{map}: {request} ended with {outcome:?}")]
    Refused {
        /// The map's name.
        map: String,
        /// What was asked, in the words of the standard.
        request: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// The response is none of its kind.
    #[error("{map}: {source}")]
    Malformed {
        /// The map's name.
        map: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

impl Device<'_> {
    /// READ KEYS: every registered key, one for each registration.
    ///
    /// # Errors
    /// See [`OperationError`]; so for all operations.
    pub fn read_keys(&mut self) -> Result<ReadKeys, OperationError> {
        self.read_as(InAction::READ_KEYS, ReadKeys::decode)
    }

    /// READ RESERVATION: who holds the reservation, if anybody.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn read_reservation(&mut self) -> Result<ReadReservation, OperationError> {
        self.read_as(InAction::READ_RESERVATION, ReadReservation::decode)
    }

    /// REPORT CAPABILITIES.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn report_capabilities(&mut self) -> Result<Capabilities, OperationError> {
        self.read_as(InAction::REPORT_CAPABILITIES, Capabilities::decode)
    }

    /// READ FULL STATUS: every registration with its ports.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn read_full_status(&mut self) -> Result<ReadFullStatus, OperationError> {
        self.read_as(InAction::READ_FULL_STATUS, ReadFullStatus::decode)
    }

    /// REGISTER: changes the key from `key` (none: not registered yet) to `new_key`.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn register(
        &mut self,
        key: ReservationKey,
        new_key: ReservationKey,
    ) -> Result<(), OperationError> {
        self.change_registration(RegisterMode::Compare, key, new_key)
    }

    /// REGISTER AND IGNORE EXISTING KEY.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn register_and_ignore(&mut self, new_key: ReservationKey) -> Result<(), OperationError> {
        self.change_registration(RegisterMode::Ignore, ReservationKey::NONE, new_key)
    }

    /// Ends the registration of this node.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn unregister(&mut self, key: ReservationKey) -> Result<(), OperationError> {
        self.change_registration(RegisterMode::Compare, key, ReservationKey::NONE)
    }

    /// RESERVE.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn reserve(
        &mut self,
        key: ReservationKey,
        reservation_type: ReservationType,
    ) -> Result<(), OperationError> {
        self.carry(&Request::Reserve(Reserve {
            key,
            reservation_type,
        }))
    }

    /// RELEASE.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn release(
        &mut self,
        key: ReservationKey,
        reservation_type: ReservationType,
    ) -> Result<(), OperationError> {
        self.carry(&Request::Release(Release {
            key,
            reservation_type,
        }))
    }

    /// CLEAR: ends the reservation and every registration, of every node.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn clear(&mut self, key: ReservationKey) -> Result<(), OperationError> {
        self.carry(&Request::Clear(Clear { key }))
    }

    /// PREEMPT, or PREEMPT AND ABORT: takes `victim`'s registrations away, and its reservation.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn preempt(
        &mut self,
        key: ReservationKey,
        victim: ReservationKey,
        reservation_type: ReservationType,
        commands: VictimCommands,
    ) -> Result<(), OperationError> {
        self.carry(&Request::Preempt(Preempt {
            key,
            victim,
            reservation_type,
            commands,
        }))
    }

    /// REGISTER AND MOVE: hands the reservation to another nexus.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub fn register_and_move(&mut self, request: RegisterAndMove) -> Result<(), OperationError> {
        self.carry(&Request::RegisterAndMove(request))
    }

    fn change_registration(
        &mut self,
        mode: RegisterMode,
        key: ReservationKey,
        new_key: ReservationKey,
    ) -> Result<(), OperationError> {
        self.carry(&Request::Register(Register {
            mode,
            key,
            new_key,
            aptpl: false,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        }))
    }

    fn carry(&mut self, request: &Request) -> Result<(), OperationError> {
        let report = self.run(request, &RunOptions::default())?;
        match report.outcome {
            Outcome::Done => Ok(()),
            outcome => Err(self.refused(request, outcome)),
        }
    }

    fn read_as<T>(
        &mut self,
        action: InAction,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, OperationError> {
        let request = Request::Read(Read {
            action,
            allocation_length: None,
        });
        let report = self.run(&request, &RunOptions::default())?;
        let Outcome::Read(bytes) = report.outcome else {
            return Err(self.refused(&request, report.outcome));
        };
        decode(&bytes).map_err(|source| OperationError::Malformed {
            map: self.name().to_owned(),
            source,
        })
    }

    fn refused(&self, request: &Request, outcome: Outcome) -> OperationError {
        OperationError::Refused {
            map: self.name().to_owned(),
            request: request.to_string(),
            outcome,
        }
    }
}
