//! What can be wrong with bytes and with text: one enum per surface, each naming the field.

use alloc::string::String;

/// Bytes that are not the message they are taken for.
///
/// The field names are those of SPC-4, in capitals as the standard prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends before or inside this field.
    #[error("{field} is cut short: {need} bytes needed, {have} there")]
    Truncated {
        /// The first field that is not whole.
        field: &'static str,
        /// Bytes the field takes.
        need: usize,
        /// Bytes that were left for it.
        have: usize,
    },
    /// The field holds a value that this message cannot have.
    #[error("{field} has the impossible value {value:#x}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

impl DecodeError {
    /// The name of the field that was cut short or invalid.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Truncated { field, .. } | Self::Invalid { field, .. } => field,
        }
    }
}

/// Text that is not a reservation key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// No digits at all.
    #[error("a reservation key needs at least one hex digit")]
    Empty,
    /// A key is 8 bytes: 16 hex digits.
    #[error("a reservation key has at most 16 hex digits, not {digits}")]
    TooLong {
        /// Characters after the optional `0x`.
        digits: usize,
    },
    /// Something else than 0-9, a-f, A-F.
    #[error("{character:?} is not a hex digit")]
    NotHex {
        /// The first offender.
        character: char,
    },
}

/// Text that is not a TransportID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTransportIdError {
    /// None of the known forms.
    #[error(
        "{text:?} is none of fcp,HEX sas,HEX srp,HEX sbp,HEX sop,HEX raw,HEX iqn.NAME \
         iqn.NAME,i,0xISID"
    )]
    UnknownForm {
        /// The whole text.
        text: String,
    },
    /// The hex number after the protocol has the wrong number of digits, or is not hex.
    #[error("{form},{text}: {expected} hex digits needed")]
    Hex {
        /// What stands before the comma.
        form: &'static str,
        /// What stands after it.
        text: String,
        /// Digits needed.
        expected: usize,
    },
    /// The ISID after `,i,0x` is not 1 to 12 hex digits.
    #[error("{text:?} is not an initiator session id: 1 to 12 hex digits needed")]
    InitiatorSessionId {
        /// What stands after `,i,0x`.
        text: String,
    },
    /// An iSCSI name is longer than the protocol allows.
    #[error("an iSCSI name has at most {most} bytes, not {length}")]
    NameTooLong {
        /// Bytes of the name.
        length: usize,
        /// [`IscsiTransportId::MAX_NAME_LENGTH`](crate::IscsiTransportId::MAX_NAME_LENGTH).
        most: usize,
    },
}
