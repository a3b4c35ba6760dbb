//! The reservation key: the name under which a registrant is known to the logical unit.

use core::fmt;
use core::str::FromStr;

use crate::ParseKeyError;

/// A reservation key (SPC-4 5.13.1): 64 bits, big-endian on the wire.
///
/// Text is hex, `0x` optional on input, printed with `0x`, lower case, no leading zeros.
///
/// ```
/// use scsi_pr::ReservationKey;
/// let key: ReservationKey = "0x0123ABC".parse()?;
/// assert_eq!(key, ReservationKey(0x123abc));
/// assert_eq!(key.to_string(), "0x123abc");
/// # Ok::<(), scsi_pr::ParseKeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReservationKey(pub u64);

impl ReservationKey {
    /// Zero: no key. As SERVICE ACTION RESERVATION KEY of a REGISTER it unregisters.
    pub const NONE: Self = Self(0);

    /// Hex digits of the longest key.
    pub const MAX_DIGITS: usize = 16;

    /// Whether this is [`Self::NONE`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ReservationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for ReservationKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        if let Some(character) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(ParseKeyError::NotHex { character });
        }
        if digits.len() > Self::MAX_DIGITS {
            return Err(ParseKeyError::TooLong {
                digits: digits.len(),
            });
        }
        u64::from_str_radix(digits, 16)
            .map(Self)
            .map_err(|_| ParseKeyError::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn check(text: &str, expected: Result<u64, ParseKeyError>) {
        assert_eq!(text.parse(), expected.map(ReservationKey), "{text:?}");
    }

    #[test]
    fn parse() {
        check("0", Ok(0));
        check("123abc", Ok(0x123abc));
        check("0X123ABC", Ok(0x123abc));
        check("ffffffffffffffff", Ok(u64::MAX));
        check("0x0000000000000001", Ok(1));
        check("", Err(ParseKeyError::Empty));
        check("0x", Err(ParseKeyError::Empty));
        check(
            "0x00000000000000001",
            Err(ParseKeyError::TooLong { digits: 17 }),
        );
        check("+1", Err(ParseKeyError::NotHex { character: '+' }));
        check("-1", Err(ParseKeyError::NotHex { character: '-' }));
        check(" 1", Err(ParseKeyError::NotHex { character: ' ' }));
        check("12g", Err(ParseKeyError::NotHex { character: 'g' }));
        check("ä", Err(ParseKeyError::NotHex { character: 'ä' }));
    }

    #[test]
    fn display() {
        assert_eq!(ReservationKey::NONE.to_string(), "0x0");
        assert_eq!(ReservationKey(0x00ab).to_string(), "0xab");
        assert_eq!(ReservationKey(u64::MAX).to_string(), "0xffffffffffffffff");
    }
}
