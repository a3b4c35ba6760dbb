//! The answer to READ RESERVATION.

use alloc::vec::Vec;

use crate::read_keys::{ADDITIONAL_LENGTH, PRGENERATION};
use crate::reader::{Reader, length_field};
use crate::reservation::{SCOPE_AND_TYPE, decode_scope_and_type, encode_scope_and_type};
use crate::{DecodeError, Reservation, ReservationKey};

/// The reservation that stands, if any (SPC-4 6.15.3).
///
/// ```
/// use scsi_pr::{ReadReservation, Reservation, ReservationKey, ReservationType, Scope};
/// let held = Reservation {
///     key: ReservationKey(0x123abc),
///     scope: Scope::LOGICAL_UNIT,
///     reservation_type: ReservationType::EXCLUSIVE_ACCESS,
/// };
/// let answer = ReadReservation::new(3, Some(held));
/// assert_eq!(ReadReservation::decode(&answer.encode())?, answer);
/// assert_eq!(ReadReservation::decode(&[0, 0, 0, 3, 0, 0, 0, 0])?.reservation, None);
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadReservation {
    /// PRGENERATION, as in [`ReadKeys`](crate::ReadKeys).
    pub generation: u32,
    /// 0: nothing is reserved. 16: a reservation follows, or was cut off.
    pub additional_length: u32,
    /// The reservation. `None` means that there is none only if [`Self::is_complete`].
    pub reservation: Option<Reservation>,
}

impl ReadReservation {
    /// A complete answer.
    #[must_use]
    pub fn new(generation: u32, reservation: Option<Reservation>) -> Self {
        let length = if reservation.is_some() {
            DESCRIPTOR_LENGTH
        } else {
            0
        };
        Self {
            generation,
            additional_length: length_field(length),
            reservation,
        }
    }

    /// The bytes. ADDITIONAL LENGTH is never written smaller than what follows.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let whole = Self::new(self.generation, self.reservation);
        let mut bytes = Vec::new();
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(
            whole
                .additional_length
                .max(self.additional_length)
                .to_be_bytes(),
        );
        if let Some(Reservation {
            key,
            scope,
            reservation_type,
        }) = self.reservation
        {
            bytes.extend(key.0.to_be_bytes());
            bytes.extend([0; 5]);
            bytes.push(encode_scope_and_type(scope, reservation_type));
            bytes.extend([0; 2]);
        }
        bytes
    }

    /// Reads a complete answer; bytes after the reservation are ignored.
    ///
    /// # Errors
    /// A field is cut short, or ADDITIONAL LENGTH is neither 0 nor enough for a reservation.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut answer = Self::read_header(&mut reader)?;
        if answer.additional_length > 0 {
            answer.reservation = Some(read_reservation(&mut reader)?);
        }
        Ok(answer)
    }

    /// Reads an answer that a short allocation length may have cut. If the reservation is not
    /// whole, it is `None` and [`Self::is_complete`] is false.
    ///
    /// # Errors
    /// The 8-byte header is cut short, or ADDITIONAL LENGTH is impossible.
    pub fn decode_partial(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut answer = Self::read_header(&mut reader)?;
        if answer.additional_length > 0 {
            answer.reservation = read_reservation(&mut reader).ok();
        }
        Ok(answer)
    }

    /// Whether the reservation that the header announces is there.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.additional_length == 0 || self.reservation.is_some()
    }

    fn read_header(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let generation = reader.u32(PRGENERATION)?;
        let (additional_length, length) = reader.length(ADDITIONAL_LENGTH)?;
        if length > 0 && length < DESCRIPTOR_LENGTH {
            let value = additional_length.into();
            return Err(DecodeError::Invalid {
                field: ADDITIONAL_LENGTH,
                value,
            });
        }
        Ok(Self {
            generation,
            additional_length,
            reservation: None,
        })
    }
}

fn read_reservation(reader: &mut Reader<'_>) -> Result<Reservation, DecodeError> {
    let key = ReservationKey(reader.u64("RESERVATION KEY")?);
    reader.take("SCOPE-SPECIFIC ADDRESS", 4)?;
    reader.take("RESERVED", 1)?;
    let (scope, reservation_type) = decode_scope_and_type(reader.u8(SCOPE_AND_TYPE)?);
    reader.take("EXTENT LENGTH", 2)?;
    Ok(Reservation {
        key,
        scope,
        reservation_type,
    })
}

const DESCRIPTOR_LENGTH: usize = 16;
