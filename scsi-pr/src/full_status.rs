//! The answer to READ FULL STATUS.

use alloc::vec::Vec;

use crate::read_keys::{ADDITIONAL_LENGTH, PRGENERATION};
use crate::reader::{Reader, length_field};
use crate::reservation::{SCOPE_AND_TYPE, decode_scope_and_type, encode_scope_and_type};
use crate::transport_id::TRANSPORTID;
use crate::{DecodeError, ReservationKey, ReservationType, Scope, TransportId};

/// Every registration with its nexus (SPC-4 6.15.5).
///
/// ```
/// use scsi_pr::{FullStatusDescriptor, ReadFullStatus};
/// use scsi_pr::{ReservationKey, ReservationType, Scope, TransportId};
/// let holder = FullStatusDescriptor {
///     key: ReservationKey(0x123abc),
///     all_tg_pt: false,
///     holder: true,
///     scope: Scope::LOGICAL_UNIT,
///     reservation_type: ReservationType::WRITE_EXCLUSIVE,
///     relative_target_port: 1,
///     transport_id: TransportId::FibreChannel { n_port_name: 0x2100_0024_ff00_0001 },
/// };
/// let answer = ReadFullStatus::new(7, vec![holder]);
/// assert_eq!(ReadFullStatus::decode(&answer.encode())?, answer);
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFullStatus {
    /// PRGENERATION, as in [`ReadKeys`](crate::ReadKeys).
    pub generation: u32,
    /// Bytes of all descriptors, those that were cut off included. Targets differ in whether
    /// they count those: see [`Self::may_lack_some`].
    pub additional_length: u32,
    /// The registrations that were transferred whole, in the target's order.
    pub descriptors: Vec<FullStatusDescriptor>,
}

impl ReadFullStatus {
    /// A complete answer.
    #[must_use]
    pub fn new(generation: u32, descriptors: Vec<FullStatusDescriptor>) -> Self {
        let length = descriptors
            .iter()
            .map(|descriptor| descriptor.encode().len())
            .sum();
        Self {
            generation,
            additional_length: length_field(length),
            descriptors,
        }
    }

    /// The bytes. ADDITIONAL LENGTH is never written smaller than the descriptors that follow.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let descriptors: Vec<u8> = self
            .descriptors
            .iter()
            .flat_map(FullStatusDescriptor::encode)
            .collect();
        let length = length_field(descriptors.len()).max(self.additional_length);
        let mut bytes = Vec::new();
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(descriptors);
        bytes
    }

    /// Reads a complete answer; bytes after ADDITIONAL LENGTH are ignored.
    ///
    /// # Errors
    /// A field is cut short or reaches beyond the length that was declared for it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut reader) = Self::read_header(bytes)?;
        let mut descriptors = Vec::new();
        while reader.left() > 0 {
            descriptors.push(FullStatusDescriptor::read(&mut reader)?);
        }
        Ok(Self::new(header.generation, descriptors))
    }

    /// Reads an answer that a short allocation length may have cut: the descriptors that are
    /// whole.
    ///
    /// # Errors
    /// The 8-byte header is cut short, or an answer that is not cut is malformed.
    pub fn decode_partial(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut answer, mut reader) = Self::read_header(bytes)?;
        while reader.left() > 0 {
            match FullStatusDescriptor::read(&mut reader) {
                Ok(descriptor) => answer.descriptors.push(descriptor),
                Err(DecodeError::Truncated { .. }) if reader.is_cut() => return Ok(answer),
                Err(error) => return Err(error),
            }
        }
        // Whole, so counted again: a descriptor may have been longer than its TransportID.
        Ok(Self::new(answer.generation, answer.descriptors))
    }

    /// Whether every descriptor that the target counted is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        encoded_length(&self.descriptors) >= self.additional_length
    }

    /// Whether the target may have more than it counted, having been given this allocation
    /// length: ask again with a larger one, at best 65535.
    ///
    /// The standard has ADDITIONAL LENGTH count all registrations. Linux' target counts only
    /// those that it put into the buffer, so that a cut answer can look complete
    /// (`drivers/target/target_core_pr.c`); what gives it away is that the longest descriptor
    /// would not have fitted any more. READ KEYS counts all there.
    #[must_use]
    pub const fn may_lack_some(&self, allocation_length: u16) -> bool {
        let room = (allocation_length as u32).saturating_sub(HEADER_LENGTH);
        self.additional_length
            .saturating_add(FullStatusDescriptor::MAX_LENGTH)
            > room
    }

    fn read_header(bytes: &[u8]) -> Result<(Self, Reader<'_>), DecodeError> {
        let mut reader = Reader::new(bytes);
        let generation = reader.u32(PRGENERATION)?;
        let (additional_length, length) = reader.length(ADDITIONAL_LENGTH)?;
        let answer = Self {
            generation,
            additional_length,
            descriptors: Vec::new(),
        };
        Ok((answer, reader.window(length)))
    }
}

/// One registration (SPC-4 6.15.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullStatusDescriptor {
    /// The registered key.
    pub key: ReservationKey,
    /// ALL_TG_PT: it counts for all target ports, [`Self::relative_target_port`] does not.
    pub all_tg_pt: bool,
    /// R_HOLDER: this nexus holds the reservation.
    pub holder: bool,
    /// Scope of the reservation; meaningful for the holder only.
    pub scope: Scope,
    /// Type of the reservation; meaningful for the holder only.
    pub reservation_type: ReservationType,
    /// The target port of the nexus, 1 to 65535.
    pub relative_target_port: u16,
    /// The initiator port of the nexus.
    pub transport_id: TransportId,
}

impl FullStatusDescriptor {
    /// Bytes of the longest descriptor: with an iSCSI port of the longest name.
    pub const MAX_LENGTH: u32 = 24 + 248;

    /// The bytes of this descriptor.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let transport_id = self.transport_id.encode();
        let mut bytes = Vec::new();
        bytes.extend(self.key.0.to_be_bytes());
        bytes.extend([0; 4]);
        let all_tg_pt = if self.all_tg_pt { ALL_TG_PT } else { 0 };
        let holder = if self.holder { R_HOLDER } else { 0 };
        bytes.push(all_tg_pt | holder);
        bytes.push(encode_scope_and_type(self.scope, self.reservation_type));
        bytes.extend([0; 4]);
        bytes.extend(self.relative_target_port.to_be_bytes());
        bytes.extend(length_field(transport_id.len()).to_be_bytes());
        bytes.extend(transport_id);
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = ReservationKey(reader.u64("RESERVATION KEY")?);
        reader.take("RESERVED", 4)?;
        let flags = reader.u8("ALL_TG_PT, R_HOLDER")?;
        let (scope, reservation_type) = decode_scope_and_type(reader.u8(SCOPE_AND_TYPE)?);
        reader.take("RESERVED", 4)?;
        let relative_target_port = reader.u16("RELATIVE TARGET PORT IDENTIFIER")?;
        let (_, length) = reader.length("ADDITIONAL DESCRIPTOR LENGTH")?;
        let (transport_id, _) = TransportId::peek(&reader.window(length), length)?;
        reader.take(TRANSPORTID, length)?;
        Ok(Self {
            key,
            all_tg_pt: flags & ALL_TG_PT != 0,
            holder: flags & R_HOLDER != 0,
            scope,
            reservation_type,
            relative_target_port,
            transport_id,
        })
    }
}

fn encoded_length(descriptors: &[FullStatusDescriptor]) -> u32 {
    length_field(
        descriptors
            .iter()
            .map(|descriptor| descriptor.encode().len())
            .sum(),
    )
}

const HEADER_LENGTH: u32 = 8;
// Byte 12.
const ALL_TG_PT: u8 = 0x02;
const R_HOLDER: u8 = 0x01;
