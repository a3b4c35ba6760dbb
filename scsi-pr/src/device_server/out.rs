//! PERSISTENT RESERVE OUT (SPC-4 6.16): its parameter list, and what all actions check.

use super::nexus::NexusId;
use super::response::Denial;
use super::{LogicalUnit, Quirks};
use crate::reader::Reader;
use crate::{DecodeError, OutAction, PrOutCdb, ReservationKey, ReservationType, Scope};

/// A command with what all parameter lists have.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutCommand<'a> {
    pub(super) action: OutAction,
    pub(super) scope: Scope,
    pub(super) reservation_type: ReservationType,
    pub(super) reservation_key: ReservationKey,
    pub(super) service_action_key: ReservationKey,
    pub(super) spec_i_pt: bool,
    pub(super) all_tg_pt: bool,
    pub(super) aptpl: bool,
    /// The whole parameter list.
    pub(super) list: &'a [u8],
}

impl LogicalUnit {
    pub(super) fn persistent_reserve_out(
        &mut self,
        sender: NexusId,
        cdb: PrOutCdb,
        data_out: &[u8],
    ) -> Result<(), Denial> {
        if !self.lets_past(sender, cdb.action, data_out) {
            return Err(Denial::Conflict);
        }
        let list = self.parameter_list(cdb, data_out)?;
        let command = OutCommand::decode(cdb, list).map_err(|_| Denial::LIST_LENGTH)?;
        command.check()?;
        match command.action {
            OutAction::REGISTER | OutAction::REGISTER_AND_IGNORE_EXISTING_KEY => {
                self.register(sender, &command)
            }
            OutAction::RESERVE => self.reserve(sender, &command),
            OutAction::RELEASE => self.release(sender, &command),
            OutAction::CLEAR => self.clear(sender, &command),
            OutAction::PREEMPT | OutAction::PREEMPT_AND_ABORT => self.preempt(sender, &command),
            OutAction::REGISTER_AND_MOVE => self.register_and_move(sender, &command),
            _ => Err(Denial::CDB_FIELD),
        }
    }

    fn parameter_list<'a>(&self, cdb: PrOutCdb, data_out: &'a [u8]) -> Result<&'a [u8], Denial> {
        if self.profile.has(Quirks::TRANSFER_IS_THE_LIST) {
            return Ok(data_out);
        }
        let length = usize::try_from(cdb.parameter_list_length).unwrap_or(usize::MAX);
        data_out.get(..length).ok_or(Denial::LIST_LENGTH)
    }

    /// The sender's key, if it is registered and sent that.
    pub(super) fn check_key(
        &self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        if self.key_of(sender) == Some(command.reservation_key) {
            Ok(())
        } else {
            Err(Denial::Conflict)
        }
    }

    pub(super) fn check_registered(&self, sender: NexusId) -> Result<(), Denial> {
        let lio = Quirks::UNREGISTERED_IS_COMMUNICATION_FAILURE;
        match self.entry_of(sender) {
            Some(_) => Ok(()),
            None if self.profile.has(lio) => Err(Denial::COMMUNICATION_FAILURE),
            None => Err(Denial::Conflict),
        }
    }

    /// SCOPE and TYPE of RESERVE and PREEMPT, as far as they are wrong whoever sends them.
    pub(super) fn check_scope_and_type(&self, command: &OutCommand<'_>) -> Result<(), Denial> {
        let is_scope_later = self.profile.has(Quirks::SCOPE_IN_PARAMETER_LIST);
        let is_valid_scope = is_scope_later || command.scope == Scope::LOGICAL_UNIT;
        if command.reservation_type.is_known() && is_valid_scope {
            Ok(())
        } else {
            Err(Denial::CDB_FIELD)
        }
    }

    /// The SCOPE of RESERVE and PREEMPT, where it is looked at late.
    pub(super) fn check_scope(command: &OutCommand<'_>) -> Result<(), Denial> {
        if command.scope == Scope::LOGICAL_UNIT {
            Ok(())
        } else {
            Err(Denial::LIST_FIELD)
        }
    }
}

impl<'a> OutCommand<'a> {
    fn decode(cdb: PrOutCdb, list: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(list);
        let reservation_key = ReservationKey(reader.u64("RESERVATION KEY")?);
        let service_action_key = ReservationKey(reader.u64("SERVICE ACTION RESERVATION KEY")?);
        reader.take("OBSOLETE", 4)?;
        let flags = reader.u8("SPEC_I_PT, ALL_TG_PT, APTPL")?;
        reader.take("RESERVED, OBSOLETE", 3)?;
        // REGISTER AND MOVE has other fields there, and reads them itself.
        let is_basic = cdb.action != OutAction::REGISTER_AND_MOVE;
        Ok(Self {
            action: cdb.action,
            scope: cdb.scope,
            reservation_type: cdb.reservation_type,
            reservation_key,
            service_action_key,
            spec_i_pt: is_basic && flags & SPEC_I_PT != 0,
            all_tg_pt: is_basic && flags & ALL_TG_PT != 0,
            aptpl: is_basic && flags & APTPL != 0,
            list,
        })
    }

    /// What is wrong whatever the state is.
    fn check(&self) -> Result<(), Denial> {
        if self.spec_i_pt && self.action != OutAction::REGISTER {
            return Err(Denial::LIST_FIELD);
        }
        let may_be_long = self.spec_i_pt || self.action == OutAction::REGISTER_AND_MOVE;
        if may_be_long || self.list.len() == LIST_LENGTH {
            Ok(())
        } else {
            Err(Denial::LIST_LENGTH)
        }
    }
}

const LIST_LENGTH: usize = 24;
const SPEC_I_PT: u8 = 0x08;
const ALL_TG_PT: u8 = 0x04;
const APTPL: u8 = 0x01;
