//! The status byte that ends every command.

use core::fmt;

/// A SCSI status (SAM-5 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8);

impl Status {
    /// Done.
    pub const GOOD: Self = Self(0x00);
    /// Sense data says what happened.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// The condition of a conditional command was met.
    pub const CONDITION_MET: Self = Self(0x04);
    /// Not now.
    pub const BUSY: Self = Self(0x08);
    /// A reservation, or a wrong key, stands against it.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
    /// No room for another command.
    pub const TASK_SET_FULL: Self = Self(0x28);
    /// Auto contingent allegiance is active.
    pub const ACA_ACTIVE: Self = Self(0x30);
    /// Aborted by another nexus.
    pub const TASK_ABORTED: Self = Self(0x40);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::GOOD => "GOOD",
            Self::CHECK_CONDITION => "CHECK CONDITION",
            Self::CONDITION_MET => "CONDITION MET",
            Self::BUSY => "BUSY",
            Self::RESERVATION_CONFLICT => "RESERVATION CONFLICT",
            Self::TASK_SET_FULL => "TASK SET FULL",
            Self::ACA_ACTIVE => "ACA ACTIVE",
            Self::TASK_ABORTED => "TASK ABORTED",
            Self(other) => return write!(f, "status {other:#04x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names() {
        for (number, name) in [
            (0x00, "GOOD"),
            (0x02, "CHECK CONDITION"),
            (0x04, "CONDITION MET"),
            (0x08, "BUSY"),
            (0x18, "RESERVATION CONFLICT"),
            (0x28, "TASK SET FULL"),
            (0x30, "ACA ACTIVE"),
            (0x40, "TASK ABORTED"),
            (0x22, "status 0x22"),
        ] {
            assert_eq!(Status(number).to_string(), name);
        }
    }
}
