//! What can go wrong with device-mapper's ioctls.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// Which request to device-mapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmCall {
    /// `DM_VERSION`
    Version,
    /// `DM_LIST_DEVICES`
    List,
    /// `DM_DEV_CREATE`
    Create,
    /// `DM_DEV_REMOVE`
    Remove,
    /// `DM_DEV_RENAME`
    Rename,
    /// `DM_DEV_SUSPEND` with `DM_SUSPEND_FLAG`
    Suspend,
    /// `DM_DEV_SUSPEND` without `DM_SUSPEND_FLAG`
    Resume,
    /// `DM_DEV_STATUS`
    Info,
    /// `DM_TABLE_LOAD`
    Load,
    /// `DM_TABLE_CLEAR`
    Clear,
    /// `DM_TABLE_STATUS`
    TableStatus,
    /// `DM_TARGET_MSG`
    Message,
    /// `DM_DEV_ARM_POLL`
    ArmPoll,
}

impl DmCall {
    /// The request's number (`DM_*_CMD` in `include/uapi/linux/dm-ioctl.h`).
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Version => 0,
            Self::List => 2,
            Self::Create => 3,
            Self::Remove => 4,
            Self::Rename => 5,
            Self::Suspend | Self::Resume => 6,
            Self::Info => 7,
            Self::Load => 9,
            Self::Clear => 10,
            Self::TableStatus => 12,
            Self::Message => 14,
            Self::ArmPoll => 16,
        }
    }
}

impl fmt::Display for DmCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::List => "list",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Info => "info",
            Self::Load => "load",
            Self::Clear => "clear",
            Self::TableStatus => "table status",
            Self::Message => "message",
            Self::ArmPoll => "arm poll",
        })
    }
}

/// A request to device-mapper that failed.
#[derive(Debug, thiserror::Error)]
pub enum DmError {
    /// The control node could not be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The control node.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("device-mapper {call} of {device}: {}", errno.desc())]
    Ioctl {
        /// Which request.
        call: DmCall,
        /// The device as the caller named it.
        device: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The answer is larger than any sensible one.
    #[error("device-mapper {call} of {device}: the answer does not fit {limit} bytes")]
    BufferFull {
        /// Which request.
        call: DmCall,
        /// The device as the caller named it.
        device: String,
        /// The largest buffer that was tried, in bytes.
        limit: usize,
    },
    /// No device can have such a name, uuid or number.
    #[error("device-mapper cannot name a device {name:?}: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A table or message that would not arrive as it is.
    #[error("device-mapper cannot take this data: {reason}")]
    InvalidData {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The kernel's answer contradicts itself.
    #[error("device-mapper {call} of {device}: malformed answer at byte {offset}")]
    Malformed {
        /// Which request.
        call: DmCall,
        /// The device as the caller named it.
        device: String,
        /// Where, from the start of `struct dm_ioctl`.
        offset: usize,
    },
}

impl DmError {
    /// The kernel's error number, if the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Ioctl { errno, .. } => Some(*errno),
            Self::Open { source, .. } => source.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    /// Whether there is no device of that name, uuid or number: the kernel's lookup says
    /// `ENXIO` (`find_device()` in `drivers/md/dm-ioctl.c`), and impossible names name none.
    pub fn is_no_such_device(&self) -> bool {
        matches!(
            self,
            Self::Ioctl {
                errno: Errno::ENXIO,
                ..
            } | Self::InvalidName { .. }
        )
    }
}
