//! The answer to a PERSISTENT RESERVE IN, decoded for printing.
//!
//! Here so that text and JSON show the same thing, and so that a response that was cut by
//! `--alloc-length` is never taken for a whole one.
use pr_policy::Read;
use scsi_pr::{Capabilities, DecodeError, InAction, ReadFullStatus, ReadKeys, ReadReservation};

/// A decoded response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// READ KEYS.
    Keys(ReadKeys),
    /// READ RESERVATION.
    Reservation(ReadReservation),
    /// REPORT CAPABILITIES.
    Capabilities(Capabilities),
    /// READ FULL STATUS.
    FullStatus(ReadFullStatus),
}

impl Response {
    /// Decodes the response to `read`: whole, or as far as it goes if its length was capped.
    pub fn decode(read: &Read, bytes: &[u8]) -> Result<Self, DecodeError> {
        let is_capped = read.allocation_length.is_some();
        Ok(match read.action {
            InAction::READ_RESERVATION if is_capped => {
                Self::Reservation(ReadReservation::decode_partial(bytes)?)
            }
            InAction::READ_RESERVATION => Self::Reservation(ReadReservation::decode(bytes)?),
            InAction::REPORT_CAPABILITIES if is_capped => {
                Self::Capabilities(Capabilities::decode_partial(bytes)?)
            }
            InAction::REPORT_CAPABILITIES => Self::Capabilities(Capabilities::decode(bytes)?),
            InAction::READ_FULL_STATUS if is_capped => {
                Self::FullStatus(ReadFullStatus::decode_partial(bytes)?)
            }
            InAction::READ_FULL_STATUS => Self::FullStatus(ReadFullStatus::decode(bytes)?),
            _ if is_capped => Self::Keys(ReadKeys::decode_partial(bytes)?),
            _ => Self::Keys(ReadKeys::decode(bytes)?),
        })
    }

    /// Whether everything that the device had to say is there.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Keys(keys) => keys.is_complete(),
            Self::Reservation(reservation) => reservation.is_complete(),
            Self::Capabilities(_) => true,
            Self::FullStatus(status) => status.is_complete(),
        }
    }
}
