//! TransportIDs as text: what stands on a command line and in messages.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::iscsi::{parse_isid, split_port};
use crate::{IscsiTransportId, ParseTransportIdError, TransportId};

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FibreChannel { n_port_name } => write!(f, "fcp,{n_port_name:016x}"),
            Self::Sas { address } => write!(f, "sas,{address:016x}"),
            Self::Iscsi(port) => write!(f, "{port}"),
            Self::Srp { initiator_port } => {
                write!(f, "srp,{:032x}", u128::from_be_bytes(*initiator_port))
            }
            Self::Sbp { eui64 } => write!(f, "sbp,{eui64:016x}"),
            Self::Sop { routing_id } => write!(f, "sop,{routing_id:04x}"),
            Self::Unknown { bytes } => {
                f.write_str("raw,")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl FromStr for TransportId {
    type Err = ParseTransportIdError;

    fn from_str(text: &str) -> Result<Self, ParseTransportIdError> {
        if let Some((form, digits)) = text.split_once(',') {
            match form {
                "fcp" => {
                    return Ok(Self::FibreChannel {
                        n_port_name: hex_u64("fcp", digits)?,
                    });
                }
                "sas" => {
                    return Ok(Self::Sas {
                        address: hex_u64("sas", digits)?,
                    });
                }
                "sbp" => {
                    return Ok(Self::Sbp {
                        eui64: hex_u64("sbp", digits)?,
                    });
                }
                "srp" => {
                    return Ok(Self::Srp {
                        initiator_port: hex("srp", digits, 32)?.to_be_bytes(),
                    });
                }
                "sop" => {
                    // Four digits fit.
                    let routing_id = u16::try_from(hex("sop", digits, 4)?);
                    return Ok(Self::Sop {
                        routing_id: routing_id.unwrap_or(u16::MAX),
                    });
                }
                "raw" => return parse_raw(digits),
                _ => {}
            }
        }
        parse_iscsi(text)
    }
}

fn parse_iscsi(text: &str) -> Result<TransportId, ParseTransportIdError> {
    if !ISCSI_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(ParseTransportIdError::UnknownForm { text: text.into() });
    }
    let port = match split_port(text) {
        Some((name, digits)) => {
            let wrong = || ParseTransportIdError::InitiatorSessionId {
                text: digits.into(),
            };
            let isid = parse_isid(digits).ok_or_else(wrong)?;
            IscsiTransportId::Port {
                name: name.into(),
                isid,
            }
        }
        None => IscsiTransportId::Device { name: text.into() },
    };
    let (length, most) = (port.name().len(), IscsiTransportId::MAX_NAME_LENGTH);
    if length > most {
        return Err(ParseTransportIdError::NameTooLong { length, most });
    }
    Ok(TransportId::Iscsi(port))
}

const ISCSI_PREFIXES: [&str; 3] = ["iqn.", "eui.", "naa."];

fn parse_raw(digits: &str) -> Result<TransportId, ParseTransportIdError> {
    let wrong = || ParseTransportIdError::Hex {
        form: "raw",
        text: digits.to_string(),
        expected: 2 * TransportId::FIXED_LENGTH,
    };
    let is_hex = digits
        .chars()
        .all(|character| character.is_ascii_hexdigit());
    if !is_hex || digits.len() < 2 * TransportId::FIXED_LENGTH || !digits.len().is_multiple_of(8) {
        return Err(wrong());
    }
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = core::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(wrong)?;
    Ok(TransportId::Unknown { bytes })
}

fn hex_u64(form: &'static str, digits: &str) -> Result<u64, ParseTransportIdError> {
    // Sixteen digits fit.
    Ok(u64::try_from(hex(form, digits, 16)?).unwrap_or(u64::MAX))
}

/// Exactly `expected` hex digits, `0x` before them optional.
fn hex(form: &'static str, text: &str, expected: usize) -> Result<u128, ParseTransportIdError> {
    let wrong = || ParseTransportIdError::Hex {
        form,
        text: text.to_string(),
        expected,
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits
        .chars()
        .all(|character| character.is_ascii_hexdigit());
    if !is_hex || digits.len() != expected {
        return Err(wrong());
    }
    u128::from_str_radix(digits, 16).map_err(|_| wrong())
}
