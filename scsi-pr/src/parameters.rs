//! The parameter lists of PERSISTENT RESERVE OUT.

use alloc::vec::Vec;

use crate::reader::{Reader, length_field};
use crate::{DecodeError, ReservationKey, TransportId};

/// The parameter list of every action but REGISTER AND MOVE (SPC-4 6.16.3).
///
/// ```
/// use scsi_pr::{BasicParameters, ReservationKey, TransportId};
/// let parameters = BasicParameters {
///     service_action_reservation_key: ReservationKey(0x123abc),
///     transport_ids: vec!["iqn.2026-01.lab:a".parse()?],
///     ..BasicParameters::default()
/// };
/// let list = parameters.encode();
/// assert_eq!(list[20], 0x08); // SPEC_I_PT
/// assert_eq!(BasicParameters::decode(&list)?, parameters);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasicParameters {
    /// The key this nexus is registered with.
    pub reservation_key: ReservationKey,
    /// The new key of a REGISTER, the victim's of a PREEMPT, else ignored.
    pub service_action_reservation_key: ReservationKey,
    /// Activate persist through power loss.
    pub aptpl: bool,
    /// Register at all target ports.
    pub all_tg_pt: bool,
    /// Register these initiator ports too; SPEC_I_PT is set if and only if there are any.
    pub transport_ids: Vec<TransportId>,
}

impl BasicParameters {
    /// Bytes of the list without TransportIDs.
    pub const LENGTH: usize = 24;

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = encode_keys(self.reservation_key, self.service_action_reservation_key);
        bytes.extend([0; 4]);
        let spec_i_pt = if self.transport_ids.is_empty() {
            0
        } else {
            SPEC_I_PT
        };
        let all_tg_pt = if self.all_tg_pt { ALL_TG_PT } else { 0 };
        bytes.push(spec_i_pt | all_tg_pt | if self.aptpl { APTPL } else { 0 });
        bytes.extend([0; 3]);
        if !self.transport_ids.is_empty() {
            let ids: Vec<u8> = self
                .transport_ids
                .iter()
                .flat_map(TransportId::encode)
                .collect();
            bytes.extend(length_field(ids.len()).to_be_bytes());
            bytes.extend(ids);
        }
        bytes
    }

    /// Reads a whole list. SPEC_I_PT with an empty list of TransportIDs reads as if it were
    /// not set.
    ///
    /// # Errors
    /// A field is cut short, or bytes are left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (reservation_key, service_action_reservation_key) = read_keys(&mut reader)?;
        reader.take("OBSOLETE", 4)?;
        let flags = reader.u8("SPEC_I_PT, ALL_TG_PT, APTPL")?;
        reader.take("RESERVED", 1)?;
        reader.take("OBSOLETE", 2)?;
        let transport_ids = if flags & SPEC_I_PT == 0 {
            Vec::new()
        } else {
            read_transport_ids(&mut reader)?
        };
        refuse_rest(&reader)?;
        Ok(Self {
            reservation_key,
            service_action_reservation_key,
            aptpl: flags & APTPL != 0,
            all_tg_pt: flags & ALL_TG_PT != 0,
            transport_ids,
        })
    }
}

/// The parameter list of REGISTER AND MOVE (SPC-4 6.16.4).
///
/// ```
/// use scsi_pr::{RegisterAndMoveParameters, ReservationKey, TransportId};
/// let parameters = RegisterAndMoveParameters {
///     reservation_key: ReservationKey(0xa),
///     service_action_reservation_key: ReservationKey(0xb),
///     unreg: true,
///     aptpl: false,
///     relative_target_port: 2,
///     transport_id: TransportId::Sas { address: 0x5001_4050_1234_5678 },
/// };
/// assert_eq!(RegisterAndMoveParameters::decode(&parameters.encode())?, parameters);
/// # Ok::<(), scsi_pr::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAndMoveParameters {
    /// The key this nexus, the holder's, is registered with.
    pub reservation_key: ReservationKey,
    /// The key that the other nexus gets.
    pub service_action_reservation_key: ReservationKey,
    /// Unregister this nexus.
    pub unreg: bool,
    /// Activate persist through power loss.
    pub aptpl: bool,
    /// The target port of the other nexus, 1 to 65535.
    pub relative_target_port: u16,
    /// The initiator port of the other nexus.
    pub transport_id: TransportId,
}

impl RegisterAndMoveParameters {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let transport_id = self.transport_id.encode();
        let mut bytes = encode_keys(self.reservation_key, self.service_action_reservation_key);
        let unreg = if self.unreg { UNREG } else { 0 };
        bytes.extend([0, unreg | if self.aptpl { APTPL } else { 0 }]);
        bytes.extend(self.relative_target_port.to_be_bytes());
        bytes.extend(length_field(transport_id.len()).to_be_bytes());
        bytes.extend(transport_id);
        bytes
    }

    /// Reads a whole list.
    ///
    /// # Errors
    /// A field is cut short, or there is not exactly one TransportID.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (reservation_key, service_action_reservation_key) = read_keys(&mut reader)?;
        reader.take("RESERVED", 1)?;
        let flags = reader.u8("UNREG, APTPL")?;
        let relative_target_port = reader.u16("RELATIVE TARGET PORT IDENTIFIER")?;
        let (field, length) = reader.length(TRANSPORTID_LENGTH)?;
        let mut window = reader.window(length);
        let transport_id = TransportId::read(&mut window)?;
        if window.left() > 0 {
            return Err(DecodeError::Invalid {
                field: TRANSPORTID_LENGTH,
                value: field.into(),
            });
        }
        reader.take(TRANSPORTID_LENGTH, length)?;
        refuse_rest(&reader)?;
        Ok(Self {
            reservation_key,
            service_action_reservation_key,
            unreg: flags & UNREG != 0,
            aptpl: flags & APTPL != 0,
            relative_target_port,
            transport_id,
        })
    }
}

fn encode_keys(reservation_key: ReservationKey, service_action: ReservationKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(reservation_key.0.to_be_bytes());
    bytes.extend(service_action.0.to_be_bytes());
    bytes
}

fn read_keys(reader: &mut Reader<'_>) -> Result<(ReservationKey, ReservationKey), DecodeError> {
    let reservation_key = ReservationKey(reader.u64("RESERVATION KEY")?);
    let service_action = ReservationKey(reader.u64("SERVICE ACTION RESERVATION KEY")?);
    Ok((reservation_key, service_action))
}

fn read_transport_ids(reader: &mut Reader<'_>) -> Result<Vec<TransportId>, DecodeError> {
    let (_, length) = reader.length(TRANSPORTID_LENGTH)?;
    let mut window = reader.window(length);
    let mut ids = Vec::new();
    while window.left() > 0 {
        ids.push(TransportId::read(&mut window)?);
    }
    reader.take(TRANSPORTID_LENGTH, length)?;
    Ok(ids)
}

/// A list is exactly as long as its fields (SPC-4 6.16.1).
fn refuse_rest(reader: &Reader<'_>) -> Result<(), DecodeError> {
    match reader.left() {
        0 => Ok(()),
        left => Err(DecodeError::Invalid {
            field: "PARAMETER LIST LENGTH",
            value: length_field(left).into(),
        }),
    }
}

const TRANSPORTID_LENGTH: &str = "TRANSPORTID PARAMETER DATA LENGTH";

// Byte 20 of the basic list, byte 17 of REGISTER AND MOVE.
const SPEC_I_PT: u8 = 0x08;
const ALL_TG_PT: u8 = 0x04;
const UNREG: u8 = 0x02;
const APTPL: u8 = 0x01;
