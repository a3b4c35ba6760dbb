//! The command descriptor blocks: ten bytes that ask for a persistent reserve action.

use crate::reader::Reader;
use crate::reservation::{SCOPE_AND_TYPE, decode_scope_and_type, encode_scope_and_type};
use crate::{DecodeError, InAction, OutAction, ReservationType, Scope};

/// The CDB of PERSISTENT RESERVE IN (SPC-4 6.15.1).
///
/// ```
/// use scsi_pr::{InAction, PrInCdb};
/// let cdb = PrInCdb { action: InAction::READ_KEYS, allocation_length: 0x2000 };
/// assert_eq!(cdb.encode(), [0x5e, 0x00, 0, 0, 0, 0, 0, 0x20, 0x00, 0]);
/// assert_eq!(PrInCdb::decode(&cdb.encode()), Ok(cdb));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrInCdb {
    /// What is asked.
    pub action: InAction,
    /// Most bytes the target may answer with.
    pub allocation_length: u16,
}

impl PrInCdb {
    /// The operation code.
    pub const OPERATION_CODE: u8 = 0x5e;

    /// The ten bytes; CONTROL is zero.
    #[must_use]
    pub const fn encode(&self) -> [u8; 10] {
        let [high, low] = self.allocation_length.to_be_bytes();
        let action = self.action.0 & SERVICE_ACTION_MASK;
        [Self::OPERATION_CODE, action, 0, 0, 0, 0, 0, high, low, 0]
    }

    /// Reads a CDB; reserved bits, CONTROL and what follows byte 9 are ignored.
    ///
    /// # Errors
    /// Fewer than ten bytes, or another operation code.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_operation_code(&mut reader, Self::OPERATION_CODE)?;
        let action = reader.u8("SERVICE ACTION")?;
        reader.take("RESERVED", 5)?;
        let allocation_length = reader.u16("ALLOCATION LENGTH")?;
        reader.u8("CONTROL")?;
        Ok(Self {
            action: InAction(action & SERVICE_ACTION_MASK),
            allocation_length,
        })
    }
}

/// The CDB of PERSISTENT RESERVE OUT (SPC-4 6.16.1).
///
/// ```
/// use scsi_pr::{OutAction, PrOutCdb, ReservationType, Scope};
/// let cdb = PrOutCdb {
///     action: OutAction::RESERVE,
///     scope: Scope::LOGICAL_UNIT,
///     reservation_type: ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
///     parameter_list_length: 24,
/// };
/// assert_eq!(cdb.encode(), [0x5f, 0x01, 0x05, 0, 0, 0, 0, 0, 0x18, 0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrOutCdb {
    /// What is to be done.
    pub action: OutAction,
    /// Ignored by the target for the actions that make or need no reservation.
    pub scope: Scope,
    /// Likewise.
    pub reservation_type: ReservationType,
    /// Bytes of the parameter list that goes with it.
    pub parameter_list_length: u32,
}

impl PrOutCdb {
    /// The operation code.
    pub const OPERATION_CODE: u8 = 0x5f;

    /// The ten bytes; CONTROL is zero.
    #[must_use]
    pub const fn encode(&self) -> [u8; 10] {
        let [a, b, c, d] = self.parameter_list_length.to_be_bytes();
        let action = self.action.0 & SERVICE_ACTION_MASK;
        let scope_and_type = encode_scope_and_type(self.scope, self.reservation_type);
        [
            Self::OPERATION_CODE,
            action,
            scope_and_type,
            0,
            0,
            a,
            b,
            c,
            d,
            0,
        ]
    }

    /// Reads a CDB; reserved bits, CONTROL and what follows byte 9 are ignored.
    ///
    /// # Errors
    /// Fewer than ten bytes, or another operation code.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_operation_code(&mut reader, Self::OPERATION_CODE)?;
        let action = OutAction(reader.u8("SERVICE ACTION")? & SERVICE_ACTION_MASK);
        let (scope, reservation_type) = decode_scope_and_type(reader.u8(SCOPE_AND_TYPE)?);
        reader.take("RESERVED", 2)?;
        let parameter_list_length = reader.u32("PARAMETER LIST LENGTH")?;
        reader.u8("CONTROL")?;
        Ok(Self {
            action,
            scope,
            reservation_type,
            parameter_list_length,
        })
    }
}

fn read_operation_code(reader: &mut Reader<'_>, expected: u8) -> Result<(), DecodeError> {
    const FIELD: &str = "OPERATION CODE";
    let code = reader.u8(FIELD)?;
    if code == expected {
        Ok(())
    } else {
        Err(DecodeError::Invalid {
            field: FIELD,
            value: code.into(),
        })
    }
}

const SERVICE_ACTION_MASK: u8 = 0x1f;
