//! The answer to READ KEYS.

use alloc::vec::Vec;

use crate::reader::{Reader, length_field};
use crate::{DecodeError, ReservationKey};

/// All registered keys, one per registered nexus (SPC-4 6.15.2).
///
/// ```
/// use scsi_pr::{ReadKeys, ReservationKey};
/// let answer = [0, 0, 0, 0x42, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x12, 0x3a, 0xbc];
/// let keys = ReadKeys::decode(&answer)?;
/// assert_eq!(keys, ReadKeys::new(0x42, vec![ReservationKey(0x123abc)]));
///
/// // An allocation length of 12 cut the only key.
/// let cut = ReadKeys::decode_partial(&answer[..12])?;
/// assert!(cut.keys.is_empty() && !cut.is_complete());
/// assert_eq!(cut.additional_length, 8);
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadKeys {
    /// PRGENERATION: moves by one with every REGISTER, CLEAR and PREEMPT.
    pub generation: u32,
    /// Bytes of keys that the target has, however many were transferred.
    pub additional_length: u32,
    /// The keys that were transferred whole, in the target's order.
    pub keys: Vec<ReservationKey>,
}

impl ReadKeys {
    /// A complete answer.
    #[must_use]
    pub fn new(generation: u32, keys: Vec<ReservationKey>) -> Self {
        Self {
            generation,
            additional_length: length_field(keys.len() * KEY_LENGTH),
            keys,
        }
    }

    /// The bytes. ADDITIONAL LENGTH is never written smaller than the keys that follow.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = length_field(self.keys.len() * KEY_LENGTH).max(self.additional_length);
        let mut bytes = Vec::new();
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.keys.iter().flat_map(|key| key.0.to_be_bytes()));
        bytes
    }

    /// Reads a complete answer; bytes after ADDITIONAL LENGTH are ignored.
    ///
    /// # Errors
    /// A field is cut short, or ADDITIONAL LENGTH is not a multiple of a key.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut answer = Self {
            generation: 0,
            additional_length: 0,
            keys: Vec::new(),
        };
        answer.read(&mut Reader::new(bytes))?;
        Ok(answer)
    }

    /// Reads an answer that a short allocation length may have cut: the keys that are whole.
    ///
    /// # Errors
    /// The 8-byte header is cut short, or ADDITIONAL LENGTH is not a multiple of a key.
    pub fn decode_partial(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut answer = Self {
            generation: 0,
            additional_length: 0,
            keys: Vec::new(),
        };
        match answer.read(&mut Reader::new(bytes)) {
            Err(DecodeError::Truncated { field: KEY, .. }) | Ok(()) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Whether no key is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        length_field(self.keys.len() * KEY_LENGTH) >= self.additional_length
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.generation = reader.u32(PRGENERATION)?;
        let (field, length) = reader.length(ADDITIONAL_LENGTH)?;
        if !length.is_multiple_of(KEY_LENGTH) {
            return Err(DecodeError::Invalid {
                field: ADDITIONAL_LENGTH,
                value: field.into(),
            });
        }
        self.additional_length = field;
        for _ in 0..length / KEY_LENGTH {
            self.keys.push(ReservationKey(reader.u64(KEY)?));
        }
        Ok(())
    }
}

pub(crate) const PRGENERATION: &str = "PRGENERATION";
pub(crate) const ADDITIONAL_LENGTH: &str = "ADDITIONAL LENGTH";
const KEY: &str = "RESERVATION KEY";
const KEY_LENGTH: usize = 8;
