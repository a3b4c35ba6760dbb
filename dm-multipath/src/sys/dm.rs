//! The device-mapper control node: what devices there are, their tables, their status.
//!
//! One method per ioctl of `drivers/md/dm-ioctl.c`. A device is always named by the caller;
//! only [`list`](DmControl::list) looks at more than one. The calls without variable data
//! ([`suspend`](DmControl::suspend), [`resume`](DmControl::resume), …) allocate nothing unless
//! they fail, so that they can be used while the disk that holds this program is suspended.

mod answer;
mod error;
mod request;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};

use bitflags::bitflags;

pub use answer::{DmDevice, DmListed, DmTarget, DmTargets, DmVersion};
pub use error::{DmCall, DmError};

use crate::{DeviceNumber, Roots};
use request::{DataRequest, HeadRequest};

/// An open `/dev/mapper/control`. Needs `CAP_SYS_ADMIN`.
///
/// As a descriptor ([`AsFd`]) it becomes readable after [`arm_poll`](Self::arm_poll).
#[derive(Debug)]
pub struct DmControl {
    file: File,
}

/// How one device is named to the kernel, which looks it up by exactly this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmName<'a> {
    /// By number.
    Device(DeviceNumber),
    /// By name, such as `mpatha`: 1 to 127 bytes.
    Name(&'a str),
    /// By uuid, such as `mpath-36001405…`: 1 to 128 bytes.
    Uuid(&'a str),
}

impl From<DeviceNumber> for DmName<'_> {
    fn from(device: DeviceNumber) -> Self {
        Self::Device(device)
    }
}

impl fmt::Display for DmName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "{device}"),
            Self::Name(name) => write!(f, "{name}"),
            Self::Uuid(uuid) => write!(f, "uuid {uuid}"),
        }
    }
}

bitflags! {
    /// The flags of `struct dm_ioctl` (`DM_*_FLAG` in `include/uapi/linux/dm-ioctl.h`).
    /// Bits that are not named here survive.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DmFlags: u32 {
        /// The device is read-only, or shall be.
        const READ_ONLY = 1 << 0;
        /// The device is suspended, or shall be.
        const SUSPENDED = 1 << 1;
        /// Ask for tables, not for status.
        const STATUS_TABLE = 1 << 4;
        /// There is a table in the active slot.
        const ACTIVE_PRESENT = 1 << 5;
        /// There is a table in the inactive slot, loaded but not yet resumed to.
        const INACTIVE_PRESENT = 1 << 6;
        /// The answer did not fit.
        const BUFFER_FULL = 1 << 8;
        /// Suspend without freezing the file system on the device.
        const SKIP_LOCKFS = 1 << 10;
        /// Suspend without waiting for queued I/O; ask for status without committing.
        const NO_FLUSH = 1 << 11;
        /// A uevent was sent.
        const UEVENT_GENERATED = 1 << 13;
        /// Lists carry uuids.
        const UUID = 1 << 14;
        /// A message gave output.
        const DATA_OUT = 1 << 16;
        /// Remove when the last user closes the device.
        const DEFERRED_REMOVE = 1 << 17;
        /// Suspended by the kernel itself.
        const INTERNAL_SUSPEND = 1 << 18;
        const _ = !0;
    }
}

bitflags! {
    /// How to suspend, and how [`DmControl::resume`] is to suspend when it swaps tables.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SuspendFlags: u32 {
        /// Do not wait for I/O that the target has queued. Without it a map that queues
        /// because it has no path is never suspended.
        const NO_FLUSH = DmFlags::NO_FLUSH.bits();
        /// Do not freeze the file system on the device, which would write to it.
        const SKIP_LOCKFS = DmFlags::SKIP_LOCKFS.bits();
    }
}

/// The value that the kernel puts as `DM_COOKIE` into the uevent of a call.
///
/// The upper 16 bits are flags for udev's rules (`DM_UDEV_*_FLAG` of `libdevmapper.h`); the
/// lower 16 name a semaphore that `dmsetup udevcomplete` decrements, which nobody waits for
/// here. Zero sends no cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdevCookie(pub u32);

impl UdevCookie {
    /// No cookie: udev's rules then keep what they decided for the device before.
    pub const NONE: Self = Self(0);
    /// Tells udev's rules that the event is a real change by the device's owner
    /// (`DM_UDEV_PRIMARY_SOURCE_FLAG`), so that they look at the device again.
    pub const PRIMARY_SOURCE: Self = Self(0x0040 << 16);
    /// For a multipath map: only its paths have changed, so what it holds need not be looked at
    /// again (`DM_SUBSYSTEM_UDEV_FLAG0`).
    pub const MULTIPATH_RELOAD: Self = Self(0x0100 << 16);
    /// For a multipath map: no path of it works, so that reading from it would hang or fail
    /// (`DM_SUBSYSTEM_UDEV_FLAG2`).
    pub const MULTIPATH_NO_PATHS: Self = Self(0x0400 << 16);

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether a loaded table's device takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// It does.
    ReadWrite,
    /// It does not.
    ReadOnly,
}

/// When a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveMode {
    /// At once; `EBUSY` while it is open.
    Now,
    /// When its last user closes it.
    Deferred,
}

impl DmControl {
    /// Opens `/dev/mapper/control`.
    pub fn open() -> Result<Self, DmError> {
        Self::open_in(&Roots::default())
    }

    /// Opens `mapper/control` below `roots.dev`. The kernel loads device-mapper's module for
    /// it if need be.
    pub fn open_in(roots: &Roots) -> Result<Self, DmError> {
        let path = roots.dev.join("mapper/control");
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Self { file }),
            Err(source) => Err(DmError::Open { path, source }),
        }
    }

    /// The kernel's version of this interface (`DM_VERSION`).
    pub fn version(&self) -> Result<DmVersion, DmError> {
        let mut request = HeadRequest::new(DmCall::Version);
        request.send(self.as_fd())?;
        Ok(request.version())
    }

    /// All devices (`DM_LIST_DEVICES`). The only call that costs with the size of the host.
    pub fn list(&self) -> Result<Vec<DmListed>, DmError> {
        let mut request = DataRequest::new(DmCall::List, 0);
        request.set_flags(DmFlags::UUID);
        request.send_growing(self.as_fd())?;
        request.listed()
    }

    /// One device's state, without its targets (`DM_DEV_STATUS`). Allocates for its names.
    pub fn info(&self, device: DmName<'_>) -> Result<DmDevice, DmError> {
        let mut request = HeadRequest::named(DmCall::Info, device)?;
        request.send(self.as_fd())?;
        request.device()
    }

    /// What the targets of one device say about themselves (`DM_TABLE_STATUS`).
    ///
    /// Answers for a suspended device too. Does not make the target write anything
    /// (`DM_NOFLUSH_FLAG`).
    pub fn status(&self, device: DmName<'_>) -> Result<DmTargets, DmError> {
        self.targets(device, DmFlags::NO_FLUSH)
    }

    /// The live table of one device (`DM_TABLE_STATUS` with `DM_STATUS_TABLE_FLAG`).
    pub fn table(&self, device: DmName<'_>) -> Result<DmTargets, DmError> {
        self.targets(device, DmFlags::STATUS_TABLE | DmFlags::NO_FLUSH)
    }

    fn targets(&self, device: DmName<'_>, flags: DmFlags) -> Result<DmTargets, DmError> {
        let mut request = DataRequest::named(DmCall::TableStatus, device, 0)?;
        request.set_flags(flags);
        request.send_growing(self.as_fd())?;
        request.targets()
    }

    /// Makes a device without a table (`DM_DEV_CREATE`). `EBUSY` if the name or uuid is taken.
    pub fn create(&self, name: &str, uuid: Option<&str>) -> Result<DmDevice, DmError> {
        let mut request = HeadRequest::named(DmCall::Create, DmName::Name(name))?;
        if let Some(uuid) = uuid {
            request.select(DmName::Uuid(uuid))?;
        }
        request.send(self.as_fd())?;
        request.device()
    }

    /// Puts a table into the inactive slot (`DM_TABLE_LOAD`); [`resume`](Self::resume) makes
    /// it live.
    pub fn load(
        &self,
        device: DmName<'_>,
        targets: &[DmTarget],
        mode: LoadMode,
    ) -> Result<DmDevice, DmError> {
        let mut request = DataRequest::named(DmCall::Load, device, request::table_size(targets))?;
        if mode == LoadMode::ReadOnly {
            request.set_flags(DmFlags::READ_ONLY);
        }
        request.put_targets(targets)?;
        request.send(self.as_fd())?;
        request.device()
    }

    /// Empties the inactive slot (`DM_TABLE_CLEAR`).
    pub fn clear(&self, device: DmName<'_>) -> Result<(), DmError> {
        HeadRequest::named(DmCall::Clear, device)?.send(self.as_fd())
    }

    /// Gives the device called `name` another name (`DM_DEV_RENAME`, which looks up by name
    /// only).
    pub fn rename(&self, name: &str, new: &str, cookie: UdevCookie) -> Result<(), DmError> {
        request::check_name(DmName::Name(new))?;
        let size = new.len() + 1;
        let mut request = DataRequest::named(DmCall::Rename, DmName::Name(name), size)?;
        request.set_cookie(cookie);
        request.put_data(0, new.as_bytes())?;
        request.send(self.as_fd())
    }

    /// Removes a device (`DM_DEV_REMOVE`).
    pub fn remove(
        &self,
        device: DmName<'_>,
        mode: RemoveMode,
        cookie: UdevCookie,
    ) -> Result<(), DmError> {
        let mut request = HeadRequest::named(DmCall::Remove, device)?;
        if mode == RemoveMode::Deferred {
            request.set_flags(DmFlags::DEFERRED_REMOVE);
        }
        request.set_cookie(cookie);
        request.send(self.as_fd())
    }

    /// Stops a device's I/O (`DM_DEV_SUSPEND`): what arrives from now on waits in the kernel
    /// until [`resume`](Self::resume). Suspending a suspended device does nothing.
    pub fn suspend(&self, device: DmName<'_>, flags: SuspendFlags) -> Result<(), DmError> {
        let mut request = HeadRequest::named(DmCall::Suspend, device)?;
        request.set_flags(DmFlags::SUSPENDED | DmFlags::from_bits_retain(flags.bits()));
        request.send(self.as_fd())
    }

    /// Makes the table in the inactive slot live, if there is one, and lets I/O flow
    /// (`DM_DEV_SUSPEND` without `DM_SUSPEND_FLAG`).
    pub fn resume(
        &self,
        device: DmName<'_>,
        flags: SuspendFlags,
        cookie: UdevCookie,
    ) -> Result<(), DmError> {
        let mut request = HeadRequest::named(DmCall::Resume, device)?;
        request.set_flags(DmFlags::from_bits_retain(flags.bits()));
        request.set_cookie(cookie);
        request.send(self.as_fd())
    }

    /// Sends a message to the target at `sector` (`DM_TARGET_MSG`), for example
    /// `fail_path 8:16`. Returns what the target answers, if it does; the multipath target
    /// never does.
    pub fn message(
        &self,
        device: DmName<'_>,
        sector: u64,
        text: &str,
    ) -> Result<Option<String>, DmError> {
        if text.contains('\0') {
            return Err(DmError::InvalidData {
                reason: "zero byte in a message",
            });
        }
        let size = size_of::<u64>() + text.len() + 1;
        let mut request = DataRequest::named(DmCall::Message, device, size)?;
        request.put_data(0, &sector.to_ne_bytes())?;
        request.put_data(size_of::<u64>(), text.as_bytes())?;
        // Never repeated with a larger buffer: a message may change something.
        request.send(self.as_fd())?;
        request.message_output()
    }

    /// Makes this descriptor readable on the next event of any device after this call
    /// (`DM_DEV_ARM_POLL`).
    pub fn arm_poll(&self) -> Result<(), DmError> {
        HeadRequest::new(DmCall::ArmPoll).send(self.as_fd())
    }
}

impl AsFd for DmControl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
