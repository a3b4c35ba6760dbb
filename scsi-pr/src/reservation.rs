//! A persistent reservation: its scope, its type, and the byte that carries both.

use core::fmt;

use crate::ReservationKey;

/// What a reservation covers (SPC-4 6.15.3.3): 4 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(pub u8);

impl Scope {
    /// The whole logical unit, the only scope that is not obsolete.
    pub const LOGICAL_UNIT: Self = Self(0x0);
}

/// `LU_SCOPE`, or the number of an obsolete scope.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LOGICAL_UNIT => f.pad("LU_SCOPE"),
            Self(other) => write!(f, "{other}"),
        }
    }
}

/// The type of a reservation (SPC-4 6.15.3.4): 4 bits.
///
/// ```
/// use scsi_pr::ReservationType;
/// let held = ReservationType(7);
/// assert!(held.is_all_registrants());
/// assert_eq!(held.to_string(), "Write Exclusive, all registrants");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReservationType(pub u8);

impl ReservationType {
    /// Only the holder's nexus may write.
    pub const WRITE_EXCLUSIVE: Self = Self(0x1);
    /// Only the holder's nexus may read or write.
    pub const EXCLUSIVE_ACCESS: Self = Self(0x3);
    /// Only registrants may write; one of them is the holder.
    pub const WRITE_EXCLUSIVE_REGISTRANTS_ONLY: Self = Self(0x5);
    /// Only registrants may read or write; one of them is the holder.
    pub const EXCLUSIVE_ACCESS_REGISTRANTS_ONLY: Self = Self(0x6);
    /// Only registrants may write; each of them is a holder.
    pub const WRITE_EXCLUSIVE_ALL_REGISTRANTS: Self = Self(0x7);
    /// Only registrants may read or write; each of them is a holder.
    pub const EXCLUSIVE_ACCESS_ALL_REGISTRANTS: Self = Self(0x8);

    /// The six types that are not obsolete or reserved, by number.
    pub const KNOWN: [Self; 6] = [
        Self::WRITE_EXCLUSIVE,
        Self::EXCLUSIVE_ACCESS,
        Self::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
        Self::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
        Self::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
        Self::EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
    ];

    /// Every registrant holds the reservation (types 7 and 8).
    #[must_use]
    pub const fn is_all_registrants(self) -> bool {
        matches!(
            self,
            Self::WRITE_EXCLUSIVE_ALL_REGISTRANTS | Self::EXCLUSIVE_ACCESS_ALL_REGISTRANTS
        )
    }

    /// Every registrant has access, one holds the reservation (types 5 and 6).
    #[must_use]
    pub const fn is_registrants_only(self) -> bool {
        matches!(
            self,
            Self::WRITE_EXCLUSIVE_REGISTRANTS_ONLY | Self::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
        )
    }

    /// One of [`Self::KNOWN`].
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.is_all_registrants()
            || self.is_registrants_only()
            || matches!(self, Self::WRITE_EXCLUSIVE | Self::EXCLUSIVE_ACCESS)
    }
}

/// The name in words; `obsolete [N]` for all others, N in hex from 10 on.
impl fmt::Display for ReservationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::WRITE_EXCLUSIVE => "Write Exclusive",
            Self::EXCLUSIVE_ACCESS => "Exclusive Access",
            Self::WRITE_EXCLUSIVE_REGISTRANTS_ONLY => "Write Exclusive, registrants only",
            Self::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY => "Exclusive Access, registrants only",
            Self::WRITE_EXCLUSIVE_ALL_REGISTRANTS => "Write Exclusive, all registrants",
            Self::EXCLUSIVE_ACCESS_ALL_REGISTRANTS => "Exclusive Access, all registrants",
            Self(other @ 0..=9) => return write!(f, "obsolete [{other}]"),
            Self(other) => return write!(f, "obsolete [{other:#x}]"),
        })
    }
}

/// A reservation that stands (SPC-4 6.15.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// The holder's key. With the all-registrants types the standard wants zero here, and
    /// targets differ.
    pub key: ReservationKey,
    /// What it covers.
    pub scope: Scope,
    /// Who may do what.
    pub reservation_type: ReservationType,
}

/// Name of the byte that holds scope (high nibble) and type (low nibble).
pub(crate) const SCOPE_AND_TYPE: &str = "SCOPE, TYPE";

pub(crate) const fn encode_scope_and_type(scope: Scope, reservation_type: ReservationType) -> u8 {
    (scope.0 & 0xf) << 4 | reservation_type.0 & 0xf
}

pub(crate) const fn decode_scope_and_type(byte: u8) -> (Scope, ReservationType) {
    (Scope(byte >> 4), ReservationType(byte & 0xf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn check(number: u8, name: &str, class: &str) {
        let value = ReservationType(number);
        assert_eq!(value.to_string(), name);
        let found = match (value.is_known(), value.is_registrants_only()) {
            _ if value.is_all_registrants() => "all",
            (_, true) => "only",
            (true, false) => "single",
            (false, false) => "unknown",
        };
        assert_eq!(found, class, "{name}");
        assert_eq!(
            ReservationType::KNOWN.contains(&value),
            value.is_known(),
            "{name}"
        );
    }

    #[test]
    fn names_and_classes() {
        check(0, "obsolete [0]", "unknown");
        check(1, "Write Exclusive", "single");
        check(2, "obsolete [2]", "unknown");
        check(3, "Exclusive Access", "single");
        check(4, "obsolete [4]", "unknown");
        check(5, "Write Exclusive, registrants only", "only");
        check(6, "Exclusive Access, registrants only", "only");
        check(7, "Write Exclusive, all registrants", "all");
        check(8, "Exclusive Access, all registrants", "all");
        check(9, "obsolete [9]", "unknown");
        check(0xf, "obsolete [0xf]", "unknown");
    }

    #[test]
    fn scope_prints_as_word_or_number() {
        assert_eq!(Scope::LOGICAL_UNIT.to_string(), "LU_SCOPE");
        assert_eq!(Scope(2).to_string(), "2");
    }

    #[test]
    fn every_byte_round_trips() {
        for byte in 0..=u8::MAX {
            let (scope, reservation_type) = decode_scope_and_type(byte);
            assert_eq!(encode_scope_and_type(scope, reservation_type), byte);
        }
    }
}
