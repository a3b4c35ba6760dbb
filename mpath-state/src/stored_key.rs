//! A reservation key with its APTPL mark: what multipath.conf, the prkeys file and the
//! multipathd socket all speak of, each in the form `0x123abc[:aptpl]`.

use std::fmt;
use std::str::FromStr;

use scsi_pr::ReservationKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key that a map is to be registered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The key; never zero when it was parsed.
    pub key: ReservationKey,
    /// Registrations with this key ask for Activate Persist Through Power Loss
    /// (SPC-4 6.14.3).
    pub aptpl: bool,
}

impl StoredKey {
    /// `key` without APTPL.
    #[must_use]
    pub const fn new(key: ReservationKey) -> Self {
        Self { key, aptpl: false }
    }
}

/// `0x123abc` or `0x123abc:aptpl`.
impl fmt::Display for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.aptpl { APTPL_MARK } else { "" };
        write!(f, "{}{mark}", self.key)
    }
}

/// Accepts `123abc`, `0x123abc` and either with `:aptpl`; refuses zero, which SPC-4 5.12.7
/// keeps for "not registered".
impl FromStr for StoredKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (digits, aptpl) = match text.strip_suffix(APTPL_MARK) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let digits = digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"))
            .unwrap_or(digits);
        let key = parse_hex(digits).ok_or_else(|| NotAKey {
            text: text.to_owned(),
        })?;
        Ok(Self { key, aptpl })
    }
}

/// The text is not a usable reservation key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a reservation key: 1 to 16 hexadecimal digits, not all zero, \
     optionally 0x before and :aptpl behind"
)]
pub struct NotAKey {
    /// What stood there.
    pub text: String,
}

/// 1 to 16 hexadecimal digits that are not zero.
pub(crate) fn parse_hex(digits: &str) -> Option<ReservationKey> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = plain.then(|| digits.parse::<ReservationKey>().ok())??;
    (!key.is_none()).then_some(key)
}

impl Serialize for StoredKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoredKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

const APTPL_MARK: &str = ":aptpl";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let shown = text.parse::<StoredKey>().ok().map(|key| key.to_string());
        assert_eq!(shown.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn keys_are_read_as_multipath_tools_writes_them() {
        check("123abc", Some("0x123abc"));
        check("0x123ABC", Some("0x123abc"));
        check("0X1:aptpl", Some("0x1:aptpl"));
        check("0xffffffffffffffff", Some("0xffffffffffffffff"));
        check("0x0000000000000055", Some("0x55"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "0x",
            "0",
            "0x0:aptpl",
            "+1",
            "-1",
            "0x1g",
            "1:APTPL",
            "1:",
            " 1",
        ] {
            check(text, None);
        }
        check("0x11112222333344445", None);
        check("file", None);
    }
}
