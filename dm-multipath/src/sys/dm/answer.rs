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
    /// Its name as the kernel has it: libdevmapper's tools write unusual bytes as `\xNN`.
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

    /// Whether nobody may write to it.
    pub fn is_read_only(&self) -> bool {
        self.flags.contains(DmFlags::READ_ONLY)
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
    /// Its name as the kernel has it: libdevmapper's tools write unusual bytes as `\xNN`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::abi::put;

    const HEAD: usize = size_of::<DmIoctl>();

    /// An answer with these bytes behind the head, by a device-mapper of version 4.47.
    fn answer(targets: u32, flags: DmFlags, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEAD + data.len()];
        let size = u32::try_from(bytes.len()).unwrap();
        let words = [
            (0, 4),
            (4, 47),
            (12, size),
            (16, 312),
            (20, targets),
            (24, 3),
            (32, 9),
        ];
        for (offset, value) in words {
            put(&mut bytes, offset, &u32::to_ne_bytes(value)).unwrap();
        }
        put(&mut bytes, 28, &flags.bits().to_ne_bytes()).unwrap();
        put(&mut bytes, 40, &0x10_fd2c_u64.to_ne_bytes()).unwrap();
        put(&mut bytes, 48, b"mpatha").unwrap();
        put(&mut bytes, 176, b"mpath-3600").unwrap();
        put(&mut bytes, HEAD, data).unwrap();
        bytes
    }

    /// A target, its successor at `next` from the first.
    fn target(next: u32, params: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; (40 + params.len() + 1).next_multiple_of(8)];
        put(&mut bytes, 0, &5_u64.to_ne_bytes()).unwrap();
        put(&mut bytes, 8, &7_u64.to_ne_bytes()).unwrap();
        put(&mut bytes, 20, &next.to_ne_bytes()).unwrap();
        put(&mut bytes, 24, b"multipath").unwrap();
        put(&mut bytes, 40, params).unwrap();
        bytes
    }

    /// An entry of a list with event number 4 and perhaps a uuid; its successor `next` further.
    fn listed(next: u32, dev: u64, name: &[u8], uuid: Option<&[u8]>) -> Vec<u8> {
        let extra = (12 + name.len() + 1).next_multiple_of(8);
        let length = uuid.map_or(0, |uuid| uuid.len() + 1);
        let mut bytes = vec![0; (extra + 8 + length).next_multiple_of(8)];
        put(&mut bytes, 0, &dev.to_ne_bytes()).unwrap();
        put(&mut bytes, 8, &next.to_ne_bytes()).unwrap();
        put(&mut bytes, 12, name).unwrap();
        put(&mut bytes, extra, &4_u32.to_ne_bytes()).unwrap();
        if let Some(uuid) = uuid {
            put(&mut bytes, extra + 4, &1_u32.to_ne_bytes()).unwrap();
            put(&mut bytes, extra + 8, uuid).unwrap();
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Answer<'_> {
        Answer::new(DmCall::TableStatus, None, bytes)
    }

    fn two_targets() -> Vec<u8> {
        let data = [target(48, b"first"), target(96, b"second")].concat();
        answer(2, DmFlags::SUSPENDED, &data)
    }

    fn two_listed() -> Vec<u8> {
        let data = [
            listed(40, 0xfd00, b"mpatha", Some(b"mpath-1")),
            listed(0, 0xfd01, b"mpathb", None),
        ];
        answer(0, DmFlags::UUID, &data.concat())
    }

    #[test]
    fn a_device_is_copied_out() {
        let bytes = answer(
            2,
            DmFlags::SUSPENDED | DmFlags::from_bits_retain(1 << 30),
            &[],
        );
        let device = read(&bytes).device().unwrap();
        let expected = DmDevice {
            device: DeviceNumber::new(253, 300),
            name: "mpatha".into(),
            uuid: "mpath-3600".into(),
            open_count: 3,
            event_nr: 9,
            target_count: 2,
            flags: DmFlags::SUSPENDED | DmFlags::from_bits_retain(1 << 30),
        };
        assert_eq!(device, expected);
        assert!(device.is_suspended());
        assert_eq!(version(&bytes).to_string(), "4.47.0");
    }

    #[test]
    fn targets_are_copied_out() {
        let bytes = two_targets();
        let found = read(&bytes).targets().unwrap();
        let params: Vec<_> = found
            .targets
            .iter()
            .map(|target| target.params.as_str())
            .collect();
        assert_eq!(params, ["first", "second"]);
        let first = &found.targets[0];
        assert_eq!(
            (first.start, first.length, first.target_type.as_str()),
            (5, 7, "multipath")
        );
    }

    #[test]
    fn targets_that_lead_back_are_refused() {
        for next in [0, 1, 39, 48, u32::MAX] {
            let data = [target(48, b"first"), target(next, b"second")].concat();
            let bytes = answer(3, DmFlags::empty(), &data);
            let error = read(&bytes).targets().unwrap_err();
            assert!(matches!(error, DmError::Malformed { .. }), "{next}");
        }
    }

    #[test]
    fn a_list_is_copied_out() {
        let bytes = two_listed();
        let device = |minor, name: &str, uuid: Option<&str>| DmListed {
            device: DeviceNumber::new(253, minor),
            name: name.into(),
            event_nr: Some(4),
            uuid: uuid.map(str::to_owned),
        };
        let expected = [
            device(0, "mpatha", Some("mpath-1")),
            device(1, "mpathb", None),
        ];
        assert_eq!(read(&bytes).listed().unwrap(), expected);
        // Before 4.37 there is nothing behind the name.
        let mut old = two_listed();
        put(&mut old, 4, &36_u32.to_ne_bytes()).unwrap();
        let list = read(&old).listed().unwrap();
        assert!(
            list.iter()
                .all(|device| device.event_nr.is_none() && device.uuid.is_none())
        );
        let empty = answer(0, DmFlags::empty(), &[0; 16]);
        assert_eq!(read(&empty).listed().unwrap(), []);
        let nothing = answer(0, DmFlags::empty(), &[]);
        assert_eq!(read(&nothing).listed().unwrap(), []);
    }

    #[test]
    fn a_list_that_leads_back_is_refused() {
        for next in [1, 11, 1000, u32::MAX] {
            let bytes = answer(0, DmFlags::empty(), &listed(next, 0xfd00, b"a", None));
            read(&bytes).listed().unwrap_err();
        }
    }

    #[test]
    fn output_of_a_message() {
        let text = answer(0, DmFlags::DATA_OUT, b"words\0");
        assert_eq!(
            read(&text).message_output().unwrap().as_deref(),
            Some("words")
        );
        let none = answer(0, DmFlags::empty(), b"words\0");
        assert_eq!(read(&none).message_output().unwrap(), None);
        let full = answer(0, DmFlags::DATA_OUT | DmFlags::BUFFER_FULL, b"words\0");
        assert!(matches!(
            read(&full).message_output(),
            Err(DmError::BufferFull { .. })
        ));
        let cut = answer(0, DmFlags::DATA_OUT, b"words");
        assert!(matches!(
            read(&cut).message_output(),
            Err(DmError::Malformed { .. })
        ));
    }

    #[test]
    fn no_cut_or_changed_answer_panics() {
        for bytes in [two_targets(), two_listed()] {
            for cut in 0..bytes.len() {
                read_all(&bytes[..cut]);
            }
            for position in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut changed = bytes.clone();
                    changed[position] = value;
                    read_all(&changed);
                }
            }
        }
    }

    /// Reads bytes as every kind of answer.
    fn read_all(bytes: &[u8]) {
        let answer = read(bytes);
        let lengths = answer.targets().map_or(0, |found| found.targets.len());
        assert!(lengths <= bytes.len() / 40);
        let lengths = answer.listed().map_or(0, |list| list.len());
        assert!(lengths <= bytes.len() / 12);
        let _ = answer.message_output();
    }
}
