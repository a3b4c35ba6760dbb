//! The exit statuses of the command: an exact contract with fence agents and cluster stacks.
//!
//! Which failure gets which is decided in [`super::verdict`].
use std::fmt;

/// The exit status of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// Success.
    pub const SUCCESS: Self = Self(0);
    /// Syntax error, invalid parameter, or a key that may not be used.
    pub const SYNTAX_ERROR: Self = Self(1);
    /// Sense key NOT READY.
    pub const NOT_READY: Self = Self(2);
    /// Sense key MEDIUM ERROR.
    pub const MEDIUM_ERROR: Self = Self(3);
    /// Sense key HARDWARE ERROR.
    pub const HARDWARE_ERROR: Self = Self(4);
    /// Sense key ILLEGAL REQUEST.
    pub const ILLEGAL_REQUEST: Self = Self(5);
    /// Sense key UNIT ATTENTION, still after the retries.
    pub const UNIT_ATTENTION: Self = Self(6);
    /// INVALID COMMAND OPERATION CODE: the device knows no persistent reservations.
    pub const INVALID_OPERATION: Self = Self(7);
    /// Sense key ABORTED COMMAND.
    pub const ABORTED_COMMAND: Self = Self(8);
    /// CHECK CONDITION with sense key NO SENSE, or without sense data.
    pub const NO_SENSE: Self = Self(9);
    /// A response that is none.
    pub const MALFORMED_RESPONSE: Self = Self(10);
    /// RESERVATION CONFLICT.
    pub const RESERVATION_CONFLICT: Self = Self(11);
    /// The device file: not there, not a block device.
    pub const DEVICE_FILE: Self = Self(12);
    /// Device-mapper: not a multipath map, or no usable path.
    pub const DEVICE_MAPPER: Self = Self(13);
    /// A worker could not be started.
    pub const WORKER: Self = Self(14);
    /// Anything else: transport, driver, an answer that never came.
    pub const OTHER: Self = Self(15);

    /// What each of them says, for a manual.
    pub const MEANINGS: [(Self, &str); 16] = [
        (Self::SUCCESS, "success"),
        (
            Self::SYNTAX_ERROR,
            "syntax error, invalid parameter, a key that may not be used, or not root",
        ),
        (Self::NOT_READY, "the device answered NOT READY"),
        (Self::MEDIUM_ERROR, "MEDIUM ERROR"),
        (Self::HARDWARE_ERROR, "HARDWARE ERROR"),
        (Self::ILLEGAL_REQUEST, "ILLEGAL REQUEST"),
        (
            Self::UNIT_ATTENTION,
            "UNIT ATTENTION, still after the retries",
        ),
        (
            Self::INVALID_OPERATION,
            "the device knows no persistent reservations",
        ),
        (Self::ABORTED_COMMAND, "ABORTED COMMAND"),
        (Self::NO_SENSE, "the command failed without a reason"),
        (Self::MALFORMED_RESPONSE, "a response that is none"),
        (
            Self::RESERVATION_CONFLICT,
            "RESERVATION CONFLICT: as one disk would answer",
        ),
        (
            Self::DEVICE_FILE,
            "the device was not found, or is not a block device",
        ),
        (
            Self::DEVICE_MAPPER,
            "the device is not a multipath map, or no path of it can be used",
        ),
        (Self::WORKER, "a worker process could not be started"),
        (
            Self::OTHER,
            "anything else: transport, driver, an answer that never came",
        ),
    ];

    /// Whether this is [`ExitStatus::SUCCESS`].
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// The first failure of two runs, which is what a batch ends with.
    #[must_use]
    pub fn or(self, later: Self) -> Self {
        if self.is_success() { later } else { self }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        for (status, (known, _)) in (0..).zip(ExitStatus::MEANINGS) {
            assert_eq!(known, ExitStatus(status));
        }
    }
}
