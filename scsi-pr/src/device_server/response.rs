//! What the logical unit answers.

use alloc::vec::Vec;

use crate::{Sense, SenseKey, Status};

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Response {
    /// How it ended.
    pub status: Status,
    /// Why; with CHECK CONDITION only.
    pub sense: Option<Sense>,
    /// What was transferred to the initiator, at most the allocation length.
    pub data: Vec<u8>,
}

impl Response {
    pub(super) const fn good(data: Vec<u8>) -> Self {
        Self {
            status: Status::GOOD,
            sense: None,
            data,
        }
    }

    pub(super) const fn check_condition(sense: Sense) -> Self {
        Self {
            status: Status::CHECK_CONDITION,
            sense: Some(sense),
            data: Vec::new(),
        }
    }
}

/// Why a command is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    Conflict,
    Busy,
    /// ILLEGAL REQUEST or, once, NOT READY.
    Sense(SenseKey, u8, u8),
}

impl Denial {
    /// 1A/00: parameter list length error.
    pub(super) const LIST_LENGTH: Self = Self::illegal(0x1a, 0x00);
    /// 20/00: invalid command operation code.
    pub(super) const OPERATION_CODE: Self = Self::illegal(0x20, 0x00);
    /// 24/00: invalid field in CDB.
    pub(super) const CDB_FIELD: Self = Self::illegal(0x24, 0x00);
    /// 26/00: invalid field in parameter list.
    pub(super) const LIST_FIELD: Self = Self::illegal(0x26, 0x00);
    /// 26/04: invalid release of persistent reservation.
    pub(super) const INVALID_RELEASE: Self = Self::illegal(0x26, 0x04);
    /// 55/04: insufficient registration resources.
    pub(super) const NO_RESOURCES: Self = Self::illegal(0x55, 0x04);
    /// 08/00: logical unit communication failure.
    pub(super) const COMMUNICATION_FAILURE: Self = Self::Sense(SenseKey::NOT_READY, 0x08, 0x00);

    const fn illegal(asc: u8, ascq: u8) -> Self {
        Self::Sense(SenseKey::ILLEGAL_REQUEST, asc, ascq)
    }
}

impl From<Denial> for Response {
    fn from(denial: Denial) -> Self {
        let status = match denial {
            Denial::Conflict => Status::RESERVATION_CONFLICT,
            Denial::Busy => Status::BUSY,
            Denial::Sense(key, asc, ascq) => {
                return Self::check_condition(Sense::new(key, asc, ascq));
            }
        };
        Self {
            status,
            sense: None,
            data: Vec::new(),
        }
    }
}
