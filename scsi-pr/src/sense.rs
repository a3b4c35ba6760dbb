//! Sense data: why a command ended with CHECK CONDITION.

use alloc::vec::Vec;
use core::fmt;

use crate::DecodeError;
use crate::reader::Reader;

/// A sense key (SPC-4 4.5.6): 4 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenseKey(pub u8);

impl SenseKey {
    /// Nothing to tell.
    pub const NO_SENSE: Self = Self(0x0);
    /// Done, with some trouble.
    pub const RECOVERED_ERROR: Self = Self(0x1);
    /// The logical unit cannot be reached this way, or not now.
    pub const NOT_READY: Self = Self(0x2);
    /// The medium is damaged.
    pub const MEDIUM_ERROR: Self = Self(0x3);
    /// The device is damaged.
    pub const HARDWARE_ERROR: Self = Self(0x4);
    /// The command or its parameters are wrong.
    pub const ILLEGAL_REQUEST: Self = Self(0x5);
    /// Something happened since the last command; this one was not done.
    pub const UNIT_ATTENTION: Self = Self(0x6);
    /// Protected data.
    pub const DATA_PROTECT: Self = Self(0x7);
    /// Blank medium.
    pub const BLANK_CHECK: Self = Self(0x8);
    /// The vendor knows.
    pub const VENDOR_SPECIFIC: Self = Self(0x9);
    /// A copy was aborted.
    pub const COPY_ABORTED: Self = Self(0xa);
    /// The device aborted the command.
    pub const ABORTED_COMMAND: Self = Self(0xb);
    /// Data is left in a buffer.
    pub const VOLUME_OVERFLOW: Self = Self(0xd);
    /// Data did not compare equal.
    pub const MISCOMPARE: Self = Self(0xe);
    /// A command completed, with something to tell.
    pub const COMPLETED: Self = Self(0xf);
}

impl fmt::Display for SenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::NO_SENSE => "NO SENSE",
            Self::RECOVERED_ERROR => "RECOVERED ERROR",
            Self::NOT_READY => "NOT READY",
            Self::MEDIUM_ERROR => "MEDIUM ERROR",
            Self::HARDWARE_ERROR => "HARDWARE ERROR",
            Self::ILLEGAL_REQUEST => "ILLEGAL REQUEST",
            Self::UNIT_ATTENTION => "UNIT ATTENTION",
            Self::DATA_PROTECT => "DATA PROTECT",
            Self::BLANK_CHECK => "BLANK CHECK",
            Self::VENDOR_SPECIFIC => "VENDOR SPECIFIC",
            Self::COPY_ABORTED => "COPY ABORTED",
            Self::ABORTED_COMMAND => "ABORTED COMMAND",
            Self::VOLUME_OVERFLOW => "VOLUME OVERFLOW",
            Self::MISCOMPARE => "MISCOMPARE",
            Self::COMPLETED => "COMPLETED",
            Self(other) => return write!(f, "sense key {other:#x}"),
        })
    }
}

/// How sense data is laid out (SPC-4 4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SenseFormat {
    /// Response codes 0x70 and 0x71 (SPC-4 4.5.3).
    Fixed,
    /// Response codes 0x72 and 0x73 (SPC-4 4.5.2).
    Descriptor,
}

/// Sense data (SPC-4 4.5), as far as it matters here; other parts are not kept.
///
/// ```
/// use scsi_pr::{Sense, SenseKey};
/// let sense = Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, 0x03);
/// assert_eq!(Sense::decode(&sense.encode())?, sense);
/// assert_eq!(sense.to_string(), "UNIT ATTENTION 06/2a/03 (reservations preempted)");
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sense {
    /// The layout it came in.
    pub format: SenseFormat,
    /// A deferred error (response codes 0x71, 0x73): it is about an earlier command, and the
    /// command it came with was not done (SPC-4 4.5.5).
    pub deferred: bool,
    /// The class of what happened.
    pub key: SenseKey,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// INFORMATION, if marked valid.
    pub information: Option<u64>,
    /// SENSE KEY SPECIFIC, if marked valid (the mark, bit 7 of the first byte, included).
    pub sense_key_specific: Option<[u8; 3]>,
}

impl Sense {
    /// Current sense in fixed format without extras.
    #[must_use]
    pub const fn new(key: SenseKey, asc: u8, ascq: u8) -> Self {
        Self {
            format: SenseFormat::Fixed,
            deferred: false,
            key,
            asc,
            ascq,
            information: None,
            sense_key_specific: None,
        }
    }

    /// Whether the additional sense code and its qualifier are these.
    #[must_use]
    pub const fn is_code(&self, asc: u8, ascq: u8) -> bool {
        self.asc == asc && self.ascq == ascq
    }

    /// Which field the target found wrong, with ILLEGAL REQUEST (SPC-4 4.5.2.4.2).
    #[must_use]
    pub fn field_pointer(&self) -> Option<FieldPointer> {
        let [flags, high, low] = self.sense_key_specific?;
        (self.key == SenseKey::ILLEGAL_REQUEST).then(|| FieldPointer {
            in_cdb: flags & IN_CDB != 0,
            byte: u16::from_be_bytes([high, low]),
            bit: (flags & BIT_POINTER_VALID != 0).then_some(flags & BIT_POINTER),
        })
    }

    /// The bytes: 18 in fixed format, 8 and its descriptors in descriptor format. INFORMATION
    /// beyond 32 bits is left out of the fixed format, which has no room for it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self.format {
            SenseFormat::Fixed => self.encode_fixed(),
            SenseFormat::Descriptor => self.encode_descriptors(),
        }
    }

    /// Reads complete sense data; bytes after ADDITIONAL SENSE LENGTH are ignored.
    ///
    /// A kernel's sense buffer may be too small for all that the device sent: for what comes
    /// out of one, use [`Self::decode_partial`].
    ///
    /// # Errors
    /// A field is cut short, or the response code is none of 0x70 to 0x73.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let code = reader.u8(RESPONSE_CODE)?;
        let (format, deferred) = split_response_code(code)?;
        match format {
            SenseFormat::Fixed => read_fixed(reader, code, deferred),
            SenseFormat::Descriptor => read_descriptor_format(reader, deferred),
        }
    }

    /// Reads sense data that may be cut: whatever has the sense key is enough, missing codes
    /// are zero, and extras count only if they are whole.
    ///
    /// # Errors
    /// The sense key is missing, or the response code is none of 0x70 to 0x73.
    pub fn decode_partial(bytes: &[u8]) -> Result<Self, DecodeError> {
        let complete = Self::decode(bytes);
        if !matches!(complete, Err(DecodeError::Truncated { .. })) {
            return complete;
        }
        let mut reader = Reader::new(bytes);
        let code = reader.u8(RESPONSE_CODE)?;
        let (format, deferred) = split_response_code(code)?;
        let sense = match format {
            SenseFormat::Fixed => {
                reader.take("OBSOLETE", 1)?;
                let key = SenseKey(reader.u8(SENSE_KEY)? & SENSE_KEY_MASK);
                let _ = reader.take("INFORMATION, LENGTH, COMMAND-SPECIFIC INFORMATION", 9);
                Self::new(
                    key,
                    reader.u8(ASC).unwrap_or(0),
                    reader.u8(ASCQ).unwrap_or(0),
                )
            }
            SenseFormat::Descriptor => {
                let key = SenseKey(reader.u8(SENSE_KEY)? & SENSE_KEY_MASK);
                Self::new(
                    key,
                    reader.u8(ASC).unwrap_or(0),
                    reader.u8(ASCQ).unwrap_or(0),
                )
            }
        };
        Ok(Self {
            format,
            deferred,
            ..sense
        })
    }

    fn encode_fixed(&self) -> Vec<u8> {
        let information = self.information.and_then(|value| u32::try_from(value).ok());
        let valid = if information.is_some() { VALID } else { 0 };
        let deferred = u8::from(self.deferred);
        let mut bytes = Vec::from([valid | FIXED_CURRENT | deferred, 0]);
        bytes.push(self.key.0 & SENSE_KEY_MASK);
        bytes.extend(information.unwrap_or(0).to_be_bytes());
        bytes.push(FIXED_ADDITIONAL_LENGTH);
        bytes.extend([0; 4]);
        bytes.extend([self.asc, self.ascq, 0]);
        bytes.extend(self.marked_sense_key_specific().unwrap_or([0; 3]));
        bytes
    }

    fn encode_descriptors(&self) -> Vec<u8> {
        let mut descriptors = Vec::new();
        if let Some(information) = self.information {
            descriptors.extend([INFORMATION_DESCRIPTOR, 0x0a, VALID, 0]);
            descriptors.extend(information.to_be_bytes());
        }
        if let Some(specific) = self.marked_sense_key_specific() {
            descriptors.extend([SENSE_KEY_SPECIFIC_DESCRIPTOR, 0x06, 0, 0]);
            descriptors.extend(specific);
            descriptors.push(0);
        }
        let code = DESCRIPTOR_CURRENT | u8::from(self.deferred);
        let mut bytes = Vec::from([code, self.key.0 & SENSE_KEY_MASK, self.asc, self.ascq]);
        bytes.extend([0; 3]);
        // At most 20 bytes.
        bytes.push(u8::try_from(descriptors.len()).unwrap_or(u8::MAX));
        bytes.extend(descriptors);
        bytes
    }

    fn marked_sense_key_specific(&self) -> Option<[u8; 3]> {
        self.sense_key_specific
            .map(|[flags, high, low]| [flags | VALID, high, low])
    }
}

/// Key, codes, and what they mean where that matters for persistent reservations.
impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, asc, ascq, .. } = self;
        write!(f, "{key} {:02x}/{asc:02x}/{ascq:02x}", key.0)?;
        if let Some(meaning) = meaning(*asc, *ascq) {
            write!(f, " ({meaning})")?;
        }
        if self.deferred {
            f.write_str(", deferred")
        } else {
            Ok(())
        }
    }
}

/// Where a CDB or parameter list is wrong (SPC-4 4.5.2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldPointer {
    /// In the CDB; else in the parameter list.
    pub in_cdb: bool,
    /// The byte, from 0.
    pub byte: u16,
    /// The bit, the leftmost one of the field, if the target tells.
    pub bit: Option<u8>,
}

fn split_response_code(code: u8) -> Result<(SenseFormat, bool), DecodeError> {
    match code & RESPONSE_CODE_MASK {
        0x70 => Ok((SenseFormat::Fixed, false)),
        0x71 => Ok((SenseFormat::Fixed, true)),
        0x72 => Ok((SenseFormat::Descriptor, false)),
        0x73 => Ok((SenseFormat::Descriptor, true)),
        other => Err(DecodeError::Invalid {
            field: RESPONSE_CODE,
            value: other.into(),
        }),
    }
}

fn read_fixed(mut reader: Reader<'_>, code: u8, deferred: bool) -> Result<Sense, DecodeError> {
    reader.take("OBSOLETE", 1)?;
    let key = SenseKey(reader.u8(SENSE_KEY)? & SENSE_KEY_MASK);
    let information = reader.u32("INFORMATION")?;
    let length = usize::from(reader.u8(ADDITIONAL_SENSE_LENGTH)?);
    let mut rest = reader.window(length);
    rest.optional::<4>("COMMAND-SPECIFIC INFORMATION")?;
    let [asc] = rest.optional(ASC)?.unwrap_or_default();
    let [ascq] = rest.optional(ASCQ)?.unwrap_or_default();
    rest.optional::<1>("FIELD REPLACEABLE UNIT CODE")?;
    let specific = rest.optional::<3>("SENSE KEY SPECIFIC")?;
    rest.take("ADDITIONAL SENSE BYTES", rest.left())?;
    Ok(Sense {
        deferred,
        information: (code & VALID != 0).then_some(information.into()),
        sense_key_specific: specific.filter(|[flags, ..]| flags & VALID != 0),
        ..Sense::new(key, asc, ascq)
    })
}

fn read_descriptor_format(mut reader: Reader<'_>, deferred: bool) -> Result<Sense, DecodeError> {
    let key = SenseKey(reader.u8(SENSE_KEY)? & SENSE_KEY_MASK);
    let asc = reader.u8(ASC)?;
    let ascq = reader.u8(ASCQ)?;
    reader.take("RESERVED", 3)?;
    let length = usize::from(reader.u8(ADDITIONAL_SENSE_LENGTH)?);
    let mut rest = reader.window(length);
    let format = SenseFormat::Descriptor;
    let mut sense = Sense {
        format,
        deferred,
        ..Sense::new(key, asc, ascq)
    };
    while rest.left() > 0 {
        let kind = rest.u8("DESCRIPTOR TYPE")?;
        let length = usize::from(rest.u8("ADDITIONAL LENGTH")?);
        let body = rest.take("SENSE DATA DESCRIPTOR", length)?;
        match (kind, body) {
            (INFORMATION_DESCRIPTOR, [flags, _, value @ ..]) if flags & VALID != 0 => {
                sense.information = value.first_chunk().copied().map(u64::from_be_bytes);
            }
            (SENSE_KEY_SPECIFIC_DESCRIPTOR, [_, _, flags, high, low, ..]) if flags & VALID != 0 => {
                sense.sense_key_specific = Some([*flags, *high, *low]);
            }
            _ => {}
        }
    }
    Ok(sense)
}

/// Additional sense codes (SPC-4 annex F) that this business meets, in our words.
const fn meaning(asc: u8, ascq: u8) -> Option<&'static str> {
    Some(match (asc, ascq) {
        (0x04, 0x01) => "becoming ready",
        (0x04, 0x04) => "formatting",
        (0x04, 0x07) => "operation in progress",
        (0x04, 0x0a) => "changing its access state",
        (0x04, 0x0b) => "target port is in standby",
        (0x04, 0x0c) => "target port is unavailable",
        (0x08, 0x00) => "communication failure",
        (0x1a, 0x00) => "parameter list has the wrong length",
        (0x20, 0x00) => "operation is not supported",
        (0x24, 0x00) => "a field of the command is invalid",
        (0x25, 0x00) => "no such logical unit",
        (0x26, 0x00) => "a field of the parameter list is invalid",
        (0x26, 0x04) => "release of a reservation of another scope or type",
        (0x29, 0x00) => "power on or reset",
        (0x29, 0x07) => "I_T nexus lost",
        (0x2a, 0x03) => "reservations preempted",
        (0x2a, 0x04) => "reservations released",
        (0x2a, 0x05) => "registrations preempted",
        (0x2a, 0x06) => "access state changed",
        (0x3f, 0x0e) => "list of logical units changed",
        (0x55, 0x04) => "no room for another registration",
        _ => return None,
    })
}

const RESPONSE_CODE: &str = "RESPONSE CODE";
const SENSE_KEY: &str = "SENSE KEY";
const ASC: &str = "ADDITIONAL SENSE CODE";
const ASCQ: &str = "ADDITIONAL SENSE CODE QUALIFIER";
const ADDITIONAL_SENSE_LENGTH: &str = "ADDITIONAL SENSE LENGTH";

const RESPONSE_CODE_MASK: u8 = 0x7f;
const SENSE_KEY_MASK: u8 = 0x0f;
const FIXED_CURRENT: u8 = 0x70;
const DESCRIPTOR_CURRENT: u8 = 0x72;
const FIXED_ADDITIONAL_LENGTH: u8 = 10;
/// VALID of INFORMATION, SKSV of SENSE KEY SPECIFIC: bit 7 in every place.
const VALID: u8 = 0x80;
const INFORMATION_DESCRIPTOR: u8 = 0x00;
const SENSE_KEY_SPECIFIC_DESCRIPTOR: u8 = 0x02;
// First byte of SENSE KEY SPECIFIC.
const IN_CDB: u8 = 0x40;
const BIT_POINTER_VALID: u8 = 0x08;
const BIT_POINTER: u8 = 0x07;
