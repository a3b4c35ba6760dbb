//! The values of options: number formats and ranges.
//!
//! Here because they differ from option to option (keys, types and ports are hex, lengths and
//! seconds decimal) and because a value that does not fit is refused, never cut down.
use super::options::MAX_TRANSPORT_IDS;
use super::usage::UsageError;
use scsi_pr::{ReservationKey, ReservationType, TransportId};
use std::time::Duration;

/// How much is logged (`-v`), least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// 0: only what makes going on impossible.
    Critical,
    /// 1: errors.
    Error,
    /// 2: warnings, the default.
    #[default]
    Warning,
    /// 3: what is done, step by step.
    Info,
    /// 4 and more: every command with its bytes.
    Trace,
}

pub(super) fn parse_key(
    option: &'static str,
    text: Option<&str>,
) -> Result<ReservationKey, UsageError> {
    let expected = "1 to 16 hex digits, with or without 0x";
    text.map_or(Ok(ReservationKey::NONE), |text| {
        text.parse()
            .map_err(|_| UsageError::BadArgument { option, expected })
    })
}

pub(super) fn parse_type(text: Option<&str>) -> Result<ReservationType, UsageError> {
    let expected = "one hex digit: 1, 3, 5, 6, 7 or 8";
    let bad = UsageError::BadArgument {
        option: "--prout-type",
        expected,
    };
    match text.map(|text| u8::from_str_radix(strip_hex(text), 16)) {
        None => Ok(ReservationType(0)),
        Some(Ok(number @ 0..=MAX_TYPE)) => Ok(ReservationType(number)),
        Some(_) => Err(bad),
    }
}

pub(super) fn parse_relative_target_port(text: Option<&str>) -> Result<u16, UsageError> {
    let expected = "up to 4 hex digits";
    let bad = UsageError::BadArgument {
        option: "--relative-target-port",
        expected,
    };
    text.map_or(Ok(0), |text| {
        u16::from_str_radix(strip_hex(text), 16).map_err(|_| bad)
    })
}

pub(super) fn parse_alloc_length(text: Option<&str>) -> Result<Option<u16>, UsageError> {
    let expected = "a decimal number from 0 to 8192";
    let bad = UsageError::BadArgument {
        option: "--alloc-length",
        expected,
    };
    match text.map(str::parse) {
        // 0 is no cap, as in multipath-tools: a device has nothing to say in no bytes.
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(length @ 1..=MAX_ALLOC_LENGTH)) => Ok(Some(length)),
        Some(_) => Err(bad),
    }
}

pub(super) fn parse_timeout(text: Option<&str>) -> Result<Option<Duration>, UsageError> {
    let expected = "seconds, a decimal number from 1 to 86400";
    let bad = UsageError::BadArgument {
        option: "--timeout",
        expected,
    };
    match text.map(str::parse) {
        None => Ok(None),
        Some(Ok(seconds @ 1..=MAX_TIMEOUT_SECONDS)) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(bad),
    }
}

pub(super) fn parse_transport_ids(texts: &[String]) -> Result<Vec<TransportId>, UsageError> {
    let expected = "fcp,<16 hex>, sas,<16 hex>, iqn.… or iqn.…,i,0x<isid>, at most 32 times";
    let bad = UsageError::BadArgument {
        option: "--transport-id",
        expected,
    };
    if texts.len() > MAX_TRANSPORT_IDS {
        return Err(bad);
    }
    texts
        .iter()
        .map(|text| text.parse().map_err(|_| bad.clone()))
        .collect()
}

pub(super) fn parse_verbosity(text: Option<&str>) -> Result<Verbosity, UsageError> {
    let bad = UsageError::BadArgument {
        option: "--verbose",
        expected: "a number from 0 to 4",
    };
    match text.map(str::parse::<u32>) {
        None => Ok(Verbosity::default()),
        Some(Ok(0)) => Ok(Verbosity::Critical),
        Some(Ok(1)) => Ok(Verbosity::Error),
        Some(Ok(2)) => Ok(Verbosity::Warning),
        Some(Ok(3)) => Ok(Verbosity::Info),
        Some(Ok(_)) => Ok(Verbosity::Trace),
        Some(Err(_)) => Err(bad),
    }
}

/// Hex digits without their `0x`; a sign is no digit, although Rust's number parser takes one.
fn strip_hex(text: &str) -> &str {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        digits
    } else {
        ""
    }
}

/// TYPE is a field of four bits (SPC-4 6.16.1).
const MAX_TYPE: u8 = 0xf;
/// The cap of the existing tools, kept as the range of the option.
const MAX_ALLOC_LENGTH: u16 = 8192;
/// One day; longer is a mistake.
const MAX_TIMEOUT_SECONDS: u64 = 86_400;
