//! Answers of device-mapper, copied out of the buffer by offset.

use std::fmt;
use std::mem::{offset_of, size_of};

use super::{DmCall, DmError, DmFlags, DmName};
use crate::DeviceNumber;
use crate::sys::abi::{self, DM_MAX_TYPE_NAME, DM_NAME_LIST_NAME, DM_UUID_LEN};
use crate::sys::abi::{DM_NAME_LEN, DmIoctl, DmNameList, DmTargetSpec};

/// The version of device-mapper's ioctl interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DmVersion {
    /// Incompatible changes.
    pub major: u32,
    /// Additions.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

impl fmt::Display for DmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What device-mapper knows about one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmDevice {
    /// Its number.
    pub device: DeviceNumber,
    /// Its name, unmangled.
    pub name: String,
    /// Its uuid; empty if it has none.
    pub uuid: String,
    /// How many have it open.
    pub open_count: u32,
    /// How many events it has had, such as paths failing.
    pub event_nr: u32,
    /// How many targets its live table has; 0 also if there is none.
    pub target_count: u32,
    /// Its state.
    pub flags: DmFlags,
}

impl DmDevice {
    /// Whether its I/O is stopped.
    pub fn is_suspended(&self) -> bool {
        self.flags.contains(DmFlags::SUSPENDED)
    }
}

/// One line of a table, or of the status of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmTarget {
    /// The first sector (512 bytes) of the device that it serves.
    pub start: u64,
    /// How many sectors it serves.
    pub length: u64,
    /// Its type, such as `multipath`.
    pub target_type: String,
    /// Its parameters, or what it says about its state.
    pub params: String,
}

/// A device with the lines of its table or status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmTargets {
    /// The device, as of the same moment.
    pub device: DmDevice,
    /// One for each target.
    pub targets: Vec<DmTarget>,
}

/// One entry of the list of all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmListed {
    /// Its number.
    pub device: DeviceNumber,
    /// Its name, unmangled.
    pub name: String,
    /// How many events it has had. Since interface version 4.37.
    pub event_nr: Option<u32>,
    /// Its uuid. Since interface version 4.46; older kernels do not tell.
    pub uuid: Option<String>,
}

/// An answer to be read.
pub(super) struct Answer<'a> {
    call: DmCall,
    name: Option<DmName<'a>>,
    bytes: &'a [u8],
}

impl<'a> Answer<'a> {
    pub(super) fn new(call: DmCall, name: Option<DmName<'a>>, bytes: &'a [u8]) -> Self {
        // The kernel says how many of the bytes it used.
        let used = abi::get_u32(bytes, offset_of!(DmIoctl, data_size)).unwrap_or(0) as usize;
        Self {
            call,
            name,
            bytes: bytes.get(..used).unwrap_or(bytes),
        }
    }

    pub(super) fn device(&self) -> Result<DmDevice, DmError> {
        self.read_device().ok_or_else(|| self.malformed(0))
    }

    fn read_device(&self) -> Option<DmDevice> {
        let bytes = self.bytes;
        let open_count =
            abi::get(bytes, offset_of!(DmIoctl, open_count)).map(i32::from_ne_bytes)?;
        Some(DmDevice {
            device: DeviceNumber::from_kernel(abi::get_u64(bytes, offset_of!(DmIoctl, dev))?),
            name: abi::get_text(bytes, offset_of!(DmIoctl, name), DM_NAME_LEN)?,
            uuid: abi::get_text(bytes, offset_of!(DmIoctl, uuid), DM_UUID_LEN)?,
            open_count: u32::try_from(open_count).unwrap_or(0),
            event_nr: abi::get_u32(bytes, offset_of!(DmIoctl, event_nr))?,
            target_count: abi::get_u32(bytes, offset_of!(DmIoctl, target_count))?,
            flags: flags(bytes),
        })
    }

    /// The targets behind the head. `next` counts from the first target's head.
    pub(super) fn targets(&self) -> Result<DmTargets, DmError> {
        let device = self.device()?;
        let first = self.data_start()?;
        let mut targets = Vec::new();
        let mut offset = first;
        for _ in 0..device.target_count {
            let (target, next) =
                read_target(self.bytes, offset).ok_or_else(|| self.malformed(offset))?;
            targets.push(target);
            let next = first.saturating_add(next as usize);
            // Each target must lie behind the one before, which also ends the loop.
            if next < offset.saturating_add(size_of::<DmTargetSpec>()) {
                return Err(self.malformed(offset));
            }
            offset = next;
        }
        Ok(DmTargets { device, targets })
    }

    /// The devices behind the head. `next` counts from each entry to the one behind it and is
    /// 0 in the last; an empty list is one entry with device number 0.
    pub(super) fn listed(&self) -> Result<Vec<DmListed>, DmError> {
        let has_event_nr = version(self.bytes) >= LIST_HAS_EVENT_NR;
        let mut offset = self.data_start()?;
        let mut list = Vec::new();
        if abi::get_u64(self.bytes, offset).unwrap_or(0) == 0 {
            return Ok(list);
        }
        loop {
            let (listed, next) = read_listed(self.bytes, offset, has_event_nr)
                .ok_or_else(|| self.malformed(offset))?;
            list.push(listed);
            match next as usize {
                0 => return Ok(list),
                next if next < DM_NAME_LIST_NAME => return Err(self.malformed(offset)),
                next => offset = offset.saturating_add(next),
            }
        }
    }

    pub(super) fn message_output(&self) -> Result<Option<String>, DmError> {
        let flags = flags(self.bytes);
        if flags.contains(DmFlags::BUFFER_FULL) {
            let (call, device) = (self.call, name_of(self.name));
            return Err(DmError::BufferFull {
                call,
                device,
                limit: self.bytes.len(),
            });
        }
        if !flags.contains(DmFlags::DATA_OUT) {
            return Ok(None);
        }
        let start = self.data_start()?;
        let text = abi::get_text(self.bytes, start, self.bytes.len());
        text.map(Some).ok_or_else(|| self.malformed(start))
    }

    fn data_start(&self) -> Result<usize, DmError> {
        let offset = offset_of!(DmIoctl, data_start);
        let start = abi::get_u32(self.bytes, offset).ok_or_else(|| self.malformed(offset))?;
        Ok(start as usize)
    }

    fn malformed(&self, offset: usize) -> DmError {
        DmError::Malformed {
            call: self.call,
            device: name_of(self.name),
            offset,
        }
    }
}

pub(super) fn version(bytes: &[u8]) -> DmVersion {
    let number = |index: usize| {
        let offset = offset_of!(DmIoctl, version) + index * size_of::<u32>();
        abi::get_u32(bytes, offset).unwrap_or(0)
    };
    DmVersion {
        major: number(0),
        minor: number(1),
        patch: number(2),
    }
}

pub(super) fn flags(bytes: &[u8]) -> DmFlags {
    let bits = abi::get_u32(bytes, offset_of!(DmIoctl, flags)).unwrap_or(0);
    DmFlags::from_bits_retain(bits)
}

pub(super) fn name_of(device: Option<DmName<'_>>) -> String {
    device.map_or_else(|| "all devices".to_owned(), |device| device.to_string())
}

fn read_target(bytes: &[u8], offset: usize) -> Option<(DmTarget, u32)> {
    let head = bytes.get(offset..)?;
    let target = DmTarget {
        start: abi::get_u64(head, offset_of!(DmTargetSpec, sector_start))?,
        length: abi::get_u64(head, offset_of!(DmTargetSpec, length))?,
        target_type: abi::get_text(
            head,
            offset_of!(DmTargetSpec, target_type),
            DM_MAX_TYPE_NAME,
        )?,
        params: abi::get_text(head, size_of::<DmTargetSpec>(), usize::MAX)?,
    };
    Some((target, abi::get_u32(head, offset_of!(DmTargetSpec, next))?))
}

fn read_listed(bytes: &[u8], offset: usize, has_event_nr: bool) -> Option<(DmListed, u32)> {
    let entry = bytes.get(offset..)?;
    let next = abi::get_u32(entry, offset_of!(DmNameList, next))?;
    let rest = entry.get(DM_NAME_LIST_NAME..)?;
    let name_length = rest.iter().position(|byte| *byte == 0)?;
    let name = String::from_utf8_lossy(rest.get(..name_length)?).into_owned();
    let device = DeviceNumber::from_kernel(abi::get_u64(entry, offset_of!(DmNameList, dev))?);
    let mut listed = DmListed {
        device,
        name,
        event_nr: None,
        uuid: None,
    };
    if has_event_nr {
        // Behind the name, on the next 8-byte boundary: event number, flags, uuid.
        let extra = (DM_NAME_LIST_NAME + name_length + 1).next_multiple_of(8);
        listed.event_nr = abi::get_u32(entry, extra);
        let flags = abi::get_u32(entry, extra + size_of::<u32>()).unwrap_or(0);
        if flags & LIST_ENTRY_HAS_UUID != 0 {
            listed.uuid = Some(abi::get_text(
                entry,
                extra + 2 * size_of::<u32>(),
                DM_UUID_LEN,
            )?);
        }
    }
    Some((listed, next))
}

/// The interface version since which list entries carry an event number.
const LIST_HAS_EVENT_NR: DmVersion = DmVersion {
    major: 4,
    minor: 37,
    patch: 0,
};
/// `DM_NAME_LIST_FLAG_HAS_UUID`. Before it was introduced these bits are padding, zero as sent.
const LIST_ENTRY_HAS_UUID: u32 = 1;
