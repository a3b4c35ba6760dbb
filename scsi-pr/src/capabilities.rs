//! The answer to REPORT CAPABILITIES.

use crate::reader::Reader;
use crate::{DecodeError, ReservationType};
use alloc::vec::Vec;

/// What the target can do (SPC-4 6.15.4), named as the standard names its bits.
///
/// ```
/// use scsi_pr::{Capabilities, ReservationType};
/// let answer = [0x00, 0x08, 0x0d, 0x80, 0xea, 0x01, 0x00, 0x00];
/// let capabilities = Capabilities::decode(&answer)?;
/// assert!(capabilities.sip_c && capabilities.tmv);
/// assert!(capabilities.type_mask.supports(ReservationType::EXCLUSIVE_ACCESS));
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    /// Replace lost reservation capable.
    pub rlr_c: bool,
    /// Compatible reservation handling: the old RESERVE and RELEASE of a registrant are no
    /// conflict.
    pub crh: bool,
    /// Specify initiator ports capable: SPEC_I_PT works.
    pub sip_c: bool,
    /// All target ports capable: ALL_TG_PT works.
    pub atp_c: bool,
    /// Persist through power loss capable: APTPL works.
    pub ptpl_c: bool,
    /// Type mask valid.
    pub tmv: bool,
    /// Which commands write-exclusive types let through: 3 bits, 0 to 7.
    pub allow_commands: u8,
    /// Persist through power loss is on.
    pub ptpl_a: bool,
    /// The types that are supported; meaningful only with [`Self::tmv`].
    pub type_mask: TypeMask,
}

impl Capabilities {
    /// The value of LENGTH, and the bytes of the answer.
    pub const LENGTH: u16 = 8;

    /// The eight bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::from(Self::LENGTH.to_be_bytes());
        bytes.push(
            bit(self.rlr_c, RLR_C)
                | bit(self.crh, CRH)
                | bit(self.sip_c, SIP_C)
                | bit(self.atp_c, ATP_C)
                | bit(self.ptpl_c, PTPL_C),
        );
        let allow = (self.allow_commands & ALLOW_COMMANDS) << ALLOW_COMMANDS_SHIFT;
        bytes.push(bit(self.tmv, TMV) | allow | bit(self.ptpl_a, PTPL_A));
        bytes.extend(self.type_mask.0.to_be_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    /// Reads a complete answer; bytes after the eighth are ignored.
    ///
    /// # Errors
    /// A field is cut short, or LENGTH is less than 8.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let answer = Self::read(&mut reader)?;
        reader.take("RESERVED", 2)?;
        Ok(answer)
    }

    /// Reads an answer that a short allocation length may have cut. All that matters must be
    /// there: six bytes.
    ///
    /// # Errors
    /// As [`Self::decode`], but the two reserved bytes at the end may be missing.
    pub fn decode_partial(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.u16("LENGTH")?;
        if length < Self::LENGTH {
            return Err(DecodeError::Invalid {
                field: "LENGTH",
                value: length.into(),
            });
        }
        let can = reader.u8("CAPABILITIES")?;
        let state = reader.u8("TMV, ALLOW COMMANDS, PTPL_A")?;
        Ok(Self {
            rlr_c: can & RLR_C != 0,
            crh: can & CRH != 0,
            sip_c: can & SIP_C != 0,
            atp_c: can & ATP_C != 0,
            ptpl_c: can & PTPL_C != 0,
            tmv: state & TMV != 0,
            allow_commands: state >> ALLOW_COMMANDS_SHIFT & ALLOW_COMMANDS,
            ptpl_a: state & PTPL_A != 0,
            type_mask: TypeMask(reader.u16("PERSISTENT RESERVATION TYPE MASK")?),
        })
    }
}

/// The supported reservation types (SPC-4 6.15.4), a bit each; unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TypeMask(pub u16);

impl TypeMask {
    /// Type 7.
    pub const WRITE_EXCLUSIVE_ALL_REGISTRANTS: Self = Self(0x8000);
    /// Type 6.
    pub const EXCLUSIVE_ACCESS_REGISTRANTS_ONLY: Self = Self(0x4000);
    /// Type 5.
    pub const WRITE_EXCLUSIVE_REGISTRANTS_ONLY: Self = Self(0x2000);
    /// Type 3.
    pub const EXCLUSIVE_ACCESS: Self = Self(0x0800);
    /// Type 1.
    pub const WRITE_EXCLUSIVE: Self = Self(0x0200);
    /// Type 8.
    pub const EXCLUSIVE_ACCESS_ALL_REGISTRANTS: Self = Self(0x0001);
    /// All six.
    pub const ALL: Self = Self(0xea01);

    /// Whether the bit of this type is set; false for types without one.
    #[must_use]
    pub const fn supports(self, reservation_type: ReservationType) -> bool {
        let bit = match reservation_type {
            ReservationType::WRITE_EXCLUSIVE => Self::WRITE_EXCLUSIVE,
            ReservationType::EXCLUSIVE_ACCESS => Self::EXCLUSIVE_ACCESS,
            ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY => {
                Self::WRITE_EXCLUSIVE_REGISTRANTS_ONLY
            }
            ReservationType::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY => {
                Self::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
            }
            ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS => {
                Self::WRITE_EXCLUSIVE_ALL_REGISTRANTS
            }
            ReservationType::EXCLUSIVE_ACCESS_ALL_REGISTRANTS => {
                Self::EXCLUSIVE_ACCESS_ALL_REGISTRANTS
            }
            _ => Self(0),
        };
        self.0 & bit.0 != 0
    }
}

const fn bit(on: bool, mask: u8) -> u8 {
    if on { mask } else { 0 }
}

// Byte 2.
const RLR_C: u8 = 0x80;
const CRH: u8 = 0x10;
const SIP_C: u8 = 0x08;
const ATP_C: u8 = 0x04;
const PTPL_C: u8 = 0x01;
// Byte 3.
const TMV: u8 = 0x80;
const ALLOW_COMMANDS: u8 = 0x07;
const ALLOW_COMMANDS_SHIFT: u32 = 4;
const PTPL_A: u8 = 0x01;
