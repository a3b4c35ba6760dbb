//! TransportID: the name of an initiator port, in the form its transport gives it.

use alloc::vec::Vec;

use crate::reader::Reader;
use crate::{DecodeError, IscsiTransportId};

/// A PROTOCOL IDENTIFIER (SPC-4 7.6.1): 4 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolId(pub u8);

impl ProtocolId {
    /// Fibre Channel (FCP).
    pub const FIBRE_CHANNEL: Self = Self(0x0);
    /// Parallel SCSI.
    pub const PARALLEL_SCSI: Self = Self(0x1);
    /// IEEE 1394 (SBP).
    pub const SBP: Self = Self(0x3);
    /// SCSI over RDMA.
    pub const SRP: Self = Self(0x4);
    /// iSCSI.
    pub const ISCSI: Self = Self(0x5);
    /// Serial attached SCSI.
    pub const SAS: Self = Self(0x6);
    /// SCSI over PCI Express.
    pub const SOP: Self = Self(0xa);
}

/// The identity of an initiator port (SPC-4 7.6.4).
///
/// The text form is that of the command line: `fcp,HEX`, `sas,HEX`, `sbp,HEX` (16 digits),
/// `srp,HEX` (32), `sop,HEX` (4), an iSCSI name, or `raw,HEX` for bytes of any other protocol.
///
/// ```
/// use scsi_pr::TransportId;
/// let port: TransportId = "sas,5001405012345678".parse()?;
/// assert_eq!(port, TransportId::Sas { address: 0x5001_4050_1234_5678 });
/// assert_eq!(port.encode().len(), TransportId::FIXED_LENGTH);
/// assert_eq!(TransportId::decode(&port.encode())?, port);
/// assert_eq!(port.to_string(), "sas,5001405012345678");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransportId {
    /// Fibre Channel (SPC-4 7.6.4.2).
    FibreChannel {
        /// The worldwide port name.
        n_port_name: u64,
    },
    /// Serial attached SCSI (SPC-4 7.6.4.7).
    Sas {
        /// The SAS address of the port.
        address: u64,
    },
    /// iSCSI, a node or a port (SPC-4 7.6.4.6).
    Iscsi(IscsiTransportId),
    /// SCSI over RDMA (SPC-4 7.6.4.5).
    Srp {
        /// The initiator port identifier.
        initiator_port: [u8; 16],
    },
    /// IEEE 1394 (SPC-4 7.6.4.4).
    Sbp {
        /// The node's EUI-64.
        eui64: u64,
    },
    /// SCSI over PCI Express (SPC-4 7.6.4.8).
    Sop {
        /// The PCI routing id: bus, device, function.
        routing_id: u16,
    },
    /// Anything else: another protocol, or a format of a known one that this crate does not
    /// understand. The bytes are kept, and written, as they came.
    Unknown {
        /// The whole TransportID, its first byte included.
        bytes: Vec<u8>,
    },
}

impl TransportId {
    /// Bytes of every TransportID but iSCSI's.
    pub const FIXED_LENGTH: usize = 24;

    /// Which transport it belongs to.
    #[must_use]
    pub fn protocol(&self) -> ProtocolId {
        match self {
            Self::FibreChannel { .. } => ProtocolId::FIBRE_CHANNEL,
            Self::Sas { .. } => ProtocolId::SAS,
            Self::Iscsi(_) => ProtocolId::ISCSI,
            Self::Srp { .. } => ProtocolId::SRP,
            Self::Sbp { .. } => ProtocolId::SBP,
            Self::Sop { .. } => ProtocolId::SOP,
            Self::Unknown { bytes } => {
                ProtocolId(bytes.first().copied().unwrap_or(0) & PROTOCOL_MASK)
            }
        }
    }

    /// The bytes: a multiple of 4, at least 24 ([`Self::Unknown`]: as they are).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let protocol = self.protocol().0;
        match self {
            Self::FibreChannel { n_port_name } => fixed(protocol, 8, &n_port_name.to_be_bytes()),
            Self::Sas { address } => fixed(protocol, 4, &address.to_be_bytes()),
            Self::Iscsi(port) => port.encode(),
            Self::Srp { initiator_port } => fixed(protocol, 8, initiator_port),
            Self::Sbp { eui64 } => fixed(protocol, 8, &eui64.to_be_bytes()),
            Self::Sop { routing_id } => fixed(protocol, 2, &routing_id.to_be_bytes()),
            Self::Unknown { bytes } => bytes.clone(),
        }
    }

    /// Reads exactly one TransportID.
    ///
    /// # Errors
    /// A field is cut short, or bytes are left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (port, length) = Self::peek(&reader, bytes.len())?;
        reader.take(TRANSPORTID, length)?;
        match u64::try_from(reader.left()) {
            Ok(0) => Ok(port),
            left => Err(DecodeError::Invalid {
                field: TRANSPORTID,
                value: left.unwrap_or(u64::MAX),
            }),
        }
    }

    /// Reads the next TransportID of a list.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (port, length) = Self::peek(reader, Self::FIXED_LENGTH)?;
        reader.take(TRANSPORTID, length)?;
        Ok(port)
    }

    /// What stands at the reader, and its length on the wire. One whose length nothing tells
    /// (an unknown protocol) is taken to have `unknown_length` bytes, but at least 24.
    pub(crate) fn peek(
        reader: &Reader<'_>,
        unknown_length: usize,
    ) -> Result<(Self, usize), DecodeError> {
        let mut reader = reader.clone();
        let whole = reader.clone();
        let [first] = reader.array("PROTOCOL IDENTIFIER")?;
        let protocol = ProtocolId(first & PROTOCOL_MASK);
        if protocol == ProtocolId::ISCSI {
            return Self::peek_iscsi(whole, reader, first);
        }
        let port = match (first & FORMAT_MASK, protocol) {
            (0, ProtocolId::FIBRE_CHANNEL) => {
                reader.take("RESERVED", 7)?;
                let n_port_name = reader.u64("N_PORT_NAME")?;
                reader.take("RESERVED", 8)?;
                Self::FibreChannel { n_port_name }
            }
            (0, ProtocolId::SAS) => {
                reader.take("RESERVED", 3)?;
                let address = reader.u64("SAS ADDRESS")?;
                reader.take("RESERVED", 12)?;
                Self::Sas { address }
            }
            (0, ProtocolId::SRP) => {
                reader.take("RESERVED", 7)?;
                Self::Srp {
                    initiator_port: reader.array("INITIATOR PORT IDENTIFIER")?,
                }
            }
            (0, ProtocolId::SBP) => {
                reader.take("RESERVED", 7)?;
                let eui64 = reader.u64("EUI-64")?;
                reader.take("RESERVED", 8)?;
                Self::Sbp { eui64 }
            }
            (0, ProtocolId::SOP) => {
                reader.take("RESERVED", 1)?;
                let routing_id = reader.u16("ROUTING ID")?;
                reader.take("RESERVED", 20)?;
                Self::Sop { routing_id }
            }
            _ => return Self::peek_unknown(whole, unknown_length.max(Self::FIXED_LENGTH)),
        };
        Ok((port, Self::FIXED_LENGTH))
    }

    fn peek_iscsi(
        whole: Reader<'_>,
        mut reader: Reader<'_>,
        first: u8,
    ) -> Result<(Self, usize), DecodeError> {
        reader.take("RESERVED", 1)?;
        let length = usize::from(reader.u16("ADDITIONAL LENGTH")?);
        let name = reader.take("ISCSI NAME", length)?;
        match IscsiTransportId::decode_name(first & FORMAT_MASK, name) {
            Some(port) => Ok((Self::Iscsi(port), ISCSI_HEADER_LENGTH + length)),
            None => Self::peek_unknown(whole, ISCSI_HEADER_LENGTH + length),
        }
    }

    fn peek_unknown(mut whole: Reader<'_>, length: usize) -> Result<(Self, usize), DecodeError> {
        let bytes = whole.take(TRANSPORTID, length)?.to_vec();
        Ok((Self::Unknown { bytes }, length))
    }
}

/// A TransportID of 24 bytes with `value` at `offset`.
fn fixed(protocol: u8, offset: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from([protocol]);
    bytes.resize(offset, 0);
    bytes.extend(value);
    bytes.resize(TransportId::FIXED_LENGTH, 0);
    bytes
}

pub(crate) const TRANSPORTID: &str = "TRANSPORTID";
const PROTOCOL_MASK: u8 = 0x0f;
const FORMAT_MASK: u8 = 0xc0;
const ISCSI_HEADER_LENGTH: usize = 4;
