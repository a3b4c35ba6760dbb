//! One step of a sequence: a command, or a link that is cut.

use std::fmt;

use scsi_pr::{
    BasicParameters, InAction, OutAction, PrInCdb, PrOutCdb, ReservationKey, ReservationType, Scope,
};

/// A command, or a link that is cut and mended.
pub(super) struct Step {
    pub(super) nexus: usize,
    pub(super) text: String,
    pub(super) cdb: Vec<u8>,
    pub(super) data_out: Vec<u8>,
    /// Bytes of room for the answer.
    pub(super) data_in: usize,
    /// Whether the bytes of the answer are compared.
    pub(super) is_compared: bool,
    pub(super) cuts_link: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.nexus, self.text)
    }
}

impl Step {
    pub(super) fn plain(nexus: usize, text: &str, cdb: &[u8]) -> Self {
        Self {
            nexus,
            text: text.to_owned(),
            cdb: cdb.to_vec(),
            data_out: Vec::new(),
            data_in: 0,
            is_compared: false,
            cuts_link: false,
        }
    }

    pub(super) fn test_unit_ready(nexus: usize) -> Self {
        Self::plain(nexus, "TEST UNIT READY", &[0; 6])
    }

    pub(super) fn register_and_ignore(nexus: usize, key: ReservationKey) -> Self {
        let parameters = BasicParameters {
            service_action_reservation_key: key,
            ..BasicParameters::default()
        };
        let action = OutAction::REGISTER_AND_IGNORE_EXISTING_KEY;
        Self::out(nexus, action, 0, parameters.encode())
    }

    pub(super) fn clear(nexus: usize, reservation_key: ReservationKey) -> Self {
        let parameters = BasicParameters {
            reservation_key,
            ..BasicParameters::default()
        };
        Self::out(nexus, OutAction::CLEAR, 0, parameters.encode())
    }

    pub(super) fn read(nexus: usize, action: InAction, allocation_length: u16) -> Self {
        let cdb = PrInCdb {
            action,
            allocation_length,
        };
        Self {
            data_in: usize::from(allocation_length),
            is_compared: true,
            ..Self::plain(
                nexus,
                &format!("{action} of {allocation_length}"),
                &cdb.encode(),
            )
        }
    }

    pub(super) fn out(nexus: usize, action: OutAction, scope_and_type: u8, list: Vec<u8>) -> Self {
        let cdb = PrOutCdb {
            action,
            scope: Scope(scope_and_type >> 4),
            reservation_type: ReservationType(scope_and_type & 0xf),
            parameter_list_length: u32::try_from(list.len()).unwrap_or(u32::MAX),
        };
        Self {
            data_out: list,
            ..Self::plain(
                nexus,
                &format!("{action} {scope_and_type:02x}"),
                &cdb.encode(),
            )
        }
    }

    /// What is transferred: the target's buffer, of which what it did not write is zero.
    pub(super) fn padded(&self, mut data: Vec<u8>) -> Vec<u8> {
        if self.is_compared {
            data.resize(data.len().max(self.data_in), 0);
        } else {
            data.clear();
        }
        data
    }
}

impl Step {
    /// For the tally.
    pub(super) fn kind(&self) -> &'static str {
        match self.cdb.as_slice() {
            [] => "link cut and mended",
            [0x00, ..] => "TEST UNIT READY",
            [0x28 | 0x88, ..] => "READ",
            [0x2a | 0x8a, ..] => "WRITE",
            [0x5e, 0, ..] => "IN  READ KEYS",
            [0x5e, 1, ..] => "IN  READ RESERVATION",
            [0x5e, 2, ..] => "IN  REPORT CAPABILITIES",
            [0x5e, 3, ..] => "IN  READ FULL STATUS",
            [0x5e, ..] => "IN  reserved",
            [0x5f, 0, ..] => "OUT REGISTER",
            [0x5f, 1, ..] => "OUT RESERVE",
            [0x5f, 2, ..] => "OUT RELEASE",
            [0x5f, 3, ..] => "OUT CLEAR",
            [0x5f, 4, ..] => "OUT PREEMPT",
            [0x5f, 5, ..] => "OUT PREEMPT AND ABORT",
            [0x5f, 6, ..] => "OUT REGISTER AND IGNORE EXISTING KEY",
            [0x5f, 7, ..] => "OUT REGISTER AND MOVE",
            [0x5f, ..] => "OUT reserved",
            _ => "INQUIRY, REPORT LUNS, REQUEST SENSE",
        }
    }
}
