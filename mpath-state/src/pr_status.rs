//! Three-valued memory: something about a map's persistent reservation is so, is not so,
//! or has not been seen since it last may have changed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether this node's registration (or reservation) on a map stands, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrStatus {
    /// It stands.
    Set,
    /// It does not stand.
    Unset,
    /// Nobody knows: nothing was read yet, or a command was cut off.
    #[default]
    Unknown,
}

/// `set`, `unset` or `unknown`, as multipathd answers (without the line feed).
impl fmt::Display for PrStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Set => "set",
            Self::Unset => "unset",
            Self::Unknown => "unknown",
        })
    }
}

/// Reads today's words and the digits that multipath-tools 0.9.4 answered with.
impl FromStr for PrStatus {
    type Err = NotAPrStatus;

    fn from_str(text: &str) -> Result<Self, NotAPrStatus> {
        match text.trim_end() {
            "set" | "1" => Ok(Self::Set),
            "unset" | "0" => Ok(Self::Unset),
            "unknown" => Ok(Self::Unknown),
            _ => Err(NotAPrStatus {
                text: text.to_owned(),
            }),
        }
    }
}

/// The text is none of `set`, `unset`, `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is none of set, unset, unknown")]
pub struct NotAPrStatus {
    /// What stood there.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_old_digits_are_read() {
        for status in [PrStatus::Set, PrStatus::Unset, PrStatus::Unknown] {
            assert_eq!(format!("{status}\n").parse(), Ok(status));
        }
        assert_eq!("1".parse(), Ok(PrStatus::Set));
        assert_eq!("0\n".parse(), Ok(PrStatus::Unset));
        assert!("fail\n".parse::<PrStatus>().is_err());
        assert!("".parse::<PrStatus>().is_err());
    }
}
