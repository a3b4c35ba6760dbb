//! The service actions of PERSISTENT RESERVE IN and OUT.

use core::fmt;

/// A service action of PERSISTENT RESERVE IN (SPC-4 6.15.1): 5 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InAction(pub u8);

impl InAction {
    /// All registered keys; answered with [`ReadKeys`](crate::ReadKeys).
    pub const READ_KEYS: Self = Self(0x00);
    /// The reservation; answered with [`ReadReservation`](crate::ReadReservation).
    pub const READ_RESERVATION: Self = Self(0x01);
    /// What the target can do; answered with [`Capabilities`](crate::Capabilities).
    pub const REPORT_CAPABILITIES: Self = Self(0x02);
    /// Every registration with its nexus; answered with
    /// [`ReadFullStatus`](crate::ReadFullStatus).
    pub const READ_FULL_STATUS: Self = Self(0x03);
}

impl fmt::Display for InAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::READ_KEYS => "READ KEYS",
            Self::READ_RESERVATION => "READ RESERVATION",
            Self::REPORT_CAPABILITIES => "REPORT CAPABILITIES",
            Self::READ_FULL_STATUS => "READ FULL STATUS",
            Self(other) => return write!(f, "PERSISTENT RESERVE IN action {other:#04x}"),
        })
    }
}

/// A service action of PERSISTENT RESERVE OUT (SPC-4 6.16.2): 5 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutAction(pub u8);

impl OutAction {
    /// Register, change or remove this nexus' key; the old key must match.
    pub const REGISTER: Self = Self(0x00);
    /// Create a reservation.
    pub const RESERVE: Self = Self(0x01);
    /// Give the reservation up.
    pub const RELEASE: Self = Self(0x02);
    /// Remove the reservation and all registrations.
    pub const CLEAR: Self = Self(0x03);
    /// Remove another key's registrations and take its reservation.
    pub const PREEMPT: Self = Self(0x04);
    /// As PREEMPT, and abort the removed nexuses' commands.
    pub const PREEMPT_AND_ABORT: Self = Self(0x05);
    /// As REGISTER, whatever the old key is.
    pub const REGISTER_AND_IGNORE_EXISTING_KEY: Self = Self(0x06);
    /// Register another nexus and hand it the reservation.
    pub const REGISTER_AND_MOVE: Self = Self(0x07);
    /// Acknowledge a reservation that the target lost.
    pub const REPLACE_LOST_RESERVATION: Self = Self(0x08);
}

impl fmt::Display for OutAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::REGISTER => "REGISTER",
            Self::RESERVE => "RESERVE",
            Self::RELEASE => "RELEASE",
            Self::CLEAR => "CLEAR",
            Self::PREEMPT => "PREEMPT",
            Self::PREEMPT_AND_ABORT => "PREEMPT AND ABORT",
            Self::REGISTER_AND_IGNORE_EXISTING_KEY => "REGISTER AND IGNORE EXISTING KEY",
            Self::REGISTER_AND_MOVE => "REGISTER AND MOVE",
            Self::REPLACE_LOST_RESERVATION => "REPLACE LOST RESERVATION",
            Self(other) => return write!(f, "PERSISTENT RESERVE OUT action {other:#04x}"),
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
            (0x00, "READ KEYS"),
            (0x01, "READ RESERVATION"),
            (0x02, "REPORT CAPABILITIES"),
            (0x03, "READ FULL STATUS"),
            (0x04, "PERSISTENT RESERVE IN action 0x04"),
        ] {
            assert_eq!(InAction(number).to_string(), name);
        }
        for (number, name) in [
            (0x00, "REGISTER"),
            (0x01, "RESERVE"),
            (0x02, "RELEASE"),
            (0x03, "CLEAR"),
            (0x04, "PREEMPT"),
            (0x05, "PREEMPT AND ABORT"),
            (0x06, "REGISTER AND IGNORE EXISTING KEY"),
            (0x07, "REGISTER AND MOVE"),
            (0x08, "REPLACE LOST RESERVATION"),
            (0x1f, "PERSISTENT RESERVE OUT action 0x1f"),
        ] {
            assert_eq!(OutAction(number).to_string(), name);
        }
    }
}
