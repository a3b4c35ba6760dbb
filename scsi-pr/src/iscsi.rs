//! The two iSCSI TransportIDs: a node by its name, a port by name and session id.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::ProtocolId;

/// An iSCSI initiator (SPC-4 7.6.4.6).
///
/// ```
/// use scsi_pr::IscsiTransportId;
/// let port = IscsiTransportId::Port {
///     name: "iqn.2026-01.lab:a".into(),
///     isid: 0x0002_3d00_0001,
/// };
/// assert_eq!(port.to_string(), "iqn.2026-01.lab:a,i,0x00023d000001");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IscsiTransportId {
    /// Format 00b: a device, that is, all ports of the node.
    Device {
        /// The iSCSI name (`iqn.`, `eui.`, `naa.`), UTF-8, at most 223 bytes.
        name: String,
    },
    /// Format 01b: one port, that is, one session.
    Port {
        /// The iSCSI name (`iqn.`, `eui.`, `naa.`), UTF-8, at most 223 bytes.
        name: String,
        /// The initiator session id: 48 bits.
        isid: u64,
    },
}

impl IscsiTransportId {
    /// The longest iSCSI name, in bytes (RFC 7143 4.2.7.1).
    pub const MAX_NAME_LENGTH: usize = 223;

    /// The name of the node.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Device { name } | Self::Port { name, .. } => name,
        }
    }

    /// Name, NUL, and NULs up to a multiple of 4 and at least 20 bytes. A name that does not
    /// fit the 16-bit length, which no target would take anyway, is cut.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let format = match self {
            Self::Device { .. } => FORMAT_DEVICE,
            Self::Port { .. } => FORMAT_PORT,
        };
        let mut text = self.to_string().into_bytes();
        text.truncate(MOST_ADDITIONAL_BYTES - 1);
        text.push(0);
        text.resize(
            text.len().max(LEAST_ADDITIONAL_BYTES).next_multiple_of(4),
            0,
        );
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::from([format | ProtocolId::ISCSI.0, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(text);
        bytes
    }

    /// The name field under a FORMAT CODE; `None` if it is not of that form: the caller keeps
    /// the bytes then.
    pub(crate) fn decode_name(format: u8, field: &[u8]) -> Option<Self> {
        let text = field.split(|&byte| byte == 0).next()?;
        let text = core::str::from_utf8(text).ok()?;
        if text.is_empty() {
            return None;
        }
        match format {
            FORMAT_DEVICE => Some(Self::Device { name: text.into() }),
            FORMAT_PORT => {
                let (name, isid) = split_port(text)?;
                Some(Self::Port {
                    name: name.into(),
                    isid: parse_isid(isid)?,
                })
            }
            _ => None,
        }
    }
}

/// `NAME` or `NAME,i,0xISID`, as it also stands in the TransportID.
impl core::fmt::Display for IscsiTransportId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Device { name } => f.write_str(name),
            Self::Port { name, isid } => {
                f.write_str(name)?;
                f.write_str(",i,0x")?;
                write!(f, "{:012x}", isid & ISID_MASK)
            }
        }
    }
}

/// Splits `NAME,i,0xISID`.
pub(crate) fn split_port(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(",i,0x")
        .or_else(|| text.rsplit_once(",i,0X"))
}

/// An ISID of 1 to 12 hex digits.
pub(crate) fn parse_isid(digits: &str) -> Option<u64> {
    let is_hex = digits
        .chars()
        .all(|character| character.is_ascii_hexdigit());
    let fits = (1..=ISID_DIGITS).contains(&digits.len());
    if is_hex && fits {
        u64::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

const FORMAT_DEVICE: u8 = 0x00;
const FORMAT_PORT: u8 = 0x40;
/// SPC-4 7.6.4.6: ADDITIONAL LENGTH is at least 20 and a multiple of 4.
const LEAST_ADDITIONAL_BYTES: usize = 20;
/// The largest multiple of 4 that the 16-bit ADDITIONAL LENGTH holds.
const MOST_ADDITIONAL_BYTES: usize = 0xfffc;
const ISID_MASK: u64 = 0xffff_ffff_ffff;
const ISID_DIGITS: usize = 12;
