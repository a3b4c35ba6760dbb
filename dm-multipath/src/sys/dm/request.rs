//! Requests to device-mapper: `struct dm_ioctl` and the data behind it, as bytes.

use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::answer::{self, Answer};
use super::{
    DmCall, DmDevice, DmError, DmFlags, DmListed, DmName, DmTarget, DmTargets, DmVersion,
    UdevCookie,
};
use crate::sys::abi::{self, DM_MAX_TYPE_NAME, DM_NAME_LEN, DM_UUID_LEN, DmIoctl, DmTargetSpec};

/// A request without data behind the head. Lives on the stack.
pub(super) struct HeadRequest<'a> {
    call: DmCall,
    device: Option<DmName<'a>>,
    bytes: [u8; HEAD_SIZE],
}

/// A request with data, or one that is answered with data.
pub(super) struct DataRequest<'a> {
    call: DmCall,
    device: Option<DmName<'a>>,
    bytes: Vec<u8>,
}

impl<'a> HeadRequest<'a> {
    pub(super) fn new(call: DmCall) -> Self {
        let mut request = Self {
            call,
            device: None,
            bytes: [0; HEAD_SIZE],
        };
        init(&mut request.bytes);
        request
    }

    pub(super) fn named(call: DmCall, device: DmName<'a>) -> Result<Self, DmError> {
        let mut request = Self::new(call);
        request.device = Some(device);
        request.select(device)?;
        Ok(request)
    }

    /// Fills in one more of the fields that name the device.
    pub(super) fn select(&mut self, device: DmName<'_>) -> Result<(), DmError> {
        select(&mut self.bytes, device)
    }

    pub(super) fn set_flags(&mut self, flags: DmFlags) {
        set_flags(&mut self.bytes, flags);
    }

    pub(super) fn set_cookie(&mut self, cookie: UdevCookie) {
        set_cookie(&mut self.bytes, cookie);
    }

    pub(super) fn send(&mut self, fd: BorrowedFd<'_>) -> Result<(), DmError> {
        transfer(fd, self.call, &mut self.bytes).map_err(|errno| DmError::Ioctl {
            call: self.call,
            device: answer::name_of(self.device),
            errno,
        })
    }

    pub(super) fn version(&self) -> DmVersion {
        answer::version(&self.bytes)
    }

    pub(super) fn device(&self) -> Result<DmDevice, DmError> {
        Answer::new(self.call, self.device, &self.bytes).device()
    }
}

impl<'a> DataRequest<'a> {
    /// A request with room for `size` bytes of data, and for answers of usual size.
    pub(super) fn new(call: DmCall, size: usize) -> Self {
        let size = HEAD_SIZE
            .saturating_add(size)
            .clamp(FIRST_BUFFER, MAX_BUFFER);
        let mut request = Self {
            call,
            device: None,
            bytes: vec![0; size],
        };
        init(&mut request.bytes);
        request
    }

    pub(super) fn named(call: DmCall, device: DmName<'a>, size: usize) -> Result<Self, DmError> {
        let mut request = Self::new(call, size);
        request.device = Some(device);
        select(&mut request.bytes, device)?;
        Ok(request)
    }

    pub(super) fn set_flags(&mut self, flags: DmFlags) {
        set_flags(&mut self.bytes, flags);
    }

    pub(super) fn set_cookie(&mut self, cookie: UdevCookie) {
        set_cookie(&mut self.bytes, cookie);
    }

    /// Writes data, at `offset` from the end of the head. The buffer is zeroed, which
    /// terminates texts; a zero byte within one would silently end it, so none is let in.
    pub(super) fn put_data(&mut self, offset: usize, data: &[u8]) -> Result<(), DmError> {
        // The last byte stays zero.
        let fits = HEAD_SIZE
            .checked_add(offset)
            .and_then(|start| start.checked_add(data.len()))
            .is_some_and(|end| end < self.bytes.len());
        if !fits {
            return Err(DmError::InvalidData {
                reason: "larger than the largest buffer",
            });
        }
        abi::put(&mut self.bytes, HEAD_SIZE + offset, data).ok_or(DmError::InvalidData {
            reason: "larger than the largest buffer",
        })
    }

    /// Writes a table: for each target its head and its parameters, each on an 8-byte
    /// boundary; `next` counts from one head to the next.
    pub(super) fn put_targets(&mut self, targets: &[DmTarget]) -> Result<(), DmError> {
        let count = u32::try_from(targets.len()).map_err(|_| DmError::InvalidData {
            reason: "too many targets",
        })?;
        put_u32(&mut self.bytes, offset_of!(DmIoctl, target_count), count);
        let mut offset = 0;
        for target in targets {
            check_target(target)?;
            let size = target_size(target);
            let next = u32::try_from(size).map_err(|_| DmError::InvalidData {
                reason: "parameters too long",
            })?;
            let mut put = |field: usize, value: &[u8]| self.put_data(offset + field, value);
            put(
                offset_of!(DmTargetSpec, sector_start),
                &target.start.to_ne_bytes(),
            )?;
            put(
                offset_of!(DmTargetSpec, length),
                &target.length.to_ne_bytes(),
            )?;
            put(offset_of!(DmTargetSpec, next), &next.to_ne_bytes())?;
            put(
                offset_of!(DmTargetSpec, target_type),
                target.target_type.as_bytes(),
            )?;
            put(size_of::<DmTargetSpec>(), target.params.as_bytes())?;
            offset += size;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, fd: BorrowedFd<'_>) -> Result<(), DmError> {
        transfer(fd, self.call, &mut self.bytes).map_err(|errno| DmError::Ioctl {
            call: self.call,
            device: answer::name_of(self.device),
            errno,
        })
    }

    /// Sends a request that only asks, again with twice the buffer until the answer fits.
    pub(super) fn send_growing(&mut self, fd: BorrowedFd<'_>) -> Result<(), DmError> {
        self.grow_until(|request| request.send(fd))
    }

    fn grow_until(
        &mut self,
        mut send: impl FnMut(&mut Self) -> Result<(), DmError>,
    ) -> Result<(), DmError> {
        // The kernel overwrites the head: start each try from the same one.
        let head = self.bytes.get(..HEAD_SIZE).unwrap_or_default().to_vec();
        loop {
            send(self)?;
            if !answer::flags(&self.bytes).contains(DmFlags::BUFFER_FULL) {
                return Ok(());
            }
            let size = self.bytes.len() * 2;
            if size > MAX_BUFFER {
                return Err(DmError::BufferFull {
                    call: self.call,
                    device: answer::name_of(self.device),
                    limit: self.bytes.len(),
                });
            }
            self.bytes = vec![0; size];
            put(&mut self.bytes, 0, &head);
            put_data_size(&mut self.bytes);
        }
    }

    pub(super) fn device(&self) -> Result<DmDevice, DmError> {
        self.answer().device()
    }

    pub(super) fn targets(&self) -> Result<DmTargets, DmError> {
        self.answer().targets()
    }

    pub(super) fn listed(&self) -> Result<Vec<DmListed>, DmError> {
        self.answer().listed()
    }

    pub(super) fn message_output(&self) -> Result<Option<String>, DmError> {
        self.answer().message_output()
    }

    fn answer(&self) -> Answer<'_> {
        Answer::new(self.call, self.device, &self.bytes)
    }
}

/// How many bytes of data a table takes, with one more that stays zero.
pub(super) fn table_size(targets: &[DmTarget]) -> usize {
    targets
        .iter()
        .map(target_size)
        .fold(1, usize::saturating_add)
}

fn target_size(target: &DmTarget) -> usize {
    (size_of::<DmTargetSpec>() + target.params.len() + 1).next_multiple_of(8)
}

fn check_target(target: &DmTarget) -> Result<(), DmError> {
    let kind = target.target_type.as_bytes();
    if kind.is_empty() || kind.len() >= DM_MAX_TYPE_NAME || kind.contains(&0) {
        return Err(DmError::InvalidData {
            reason: "a target type has 1 to 15 bytes, none zero",
        });
    }
    if target.params.as_bytes().contains(&0) {
        return Err(DmError::InvalidData {
            reason: "zero byte in a target's parameters",
        });
    }
    Ok(())
}

/// Whether a device can have this name: not empty (the kernel would take it as not given),
/// not too long (it would be cut), no zero byte (it would end there).
pub(super) fn check_name(device: DmName<'_>) -> Result<(), DmError> {
    let (text, limit) = match device {
        DmName::Name(name) => (name, DM_NAME_LEN),
        DmName::Uuid(uuid) => (uuid, DM_UUID_LEN),
        DmName::Device(number) => {
            let reason = "no such device number";
            return match number.to_kernel() {
                Some(_) => Ok(()),
                None => Err(DmError::InvalidName {
                    name: number.to_string(),
                    reason,
                }),
            };
        }
    };
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() >= limit {
        "it is too long"
    } else if text.contains('\0') {
        "it has a zero byte"
    } else {
        return Ok(());
    };
    Err(DmError::InvalidName {
        name: text.to_owned(),
        reason,
    })
}

fn select(bytes: &mut [u8], device: DmName<'_>) -> Result<(), DmError> {
    check_name(device)?;
    match device {
        DmName::Name(name) => put(bytes, offset_of!(DmIoctl, name), name.as_bytes()),
        DmName::Uuid(uuid) => put(bytes, offset_of!(DmIoctl, uuid), uuid.as_bytes()),
        DmName::Device(number) => {
            let dev = number.to_kernel().unwrap_or_default();
            put(bytes, offset_of!(DmIoctl, dev), &dev.to_ne_bytes());
        }
    }
    Ok(())
}

fn init(bytes: &mut [u8]) {
    put_u32(bytes, offset_of!(DmIoctl, version), INTERFACE_MAJOR);
    put_u32(bytes, offset_of!(DmIoctl, data_start), HEAD_SIZE_U32);
    put_data_size(bytes);
}

fn put_data_size(bytes: &mut [u8]) {
    // Buffers end at MAX_BUFFER, far below 4 GiB.
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    put_u32(bytes, offset_of!(DmIoctl, data_size), size);
}

fn set_flags(bytes: &mut [u8], flags: DmFlags) {
    put_u32(bytes, offset_of!(DmIoctl, flags), flags.bits());
}

fn set_cookie(bytes: &mut [u8], cookie: UdevCookie) {
    put_u32(bytes, offset_of!(DmIoctl, event_nr), cookie.0);
}

fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    put(bytes, offset, &value.to_ne_bytes());
}

/// For fields of the head, which every buffer has: it is never out of range.
fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    let written = abi::put(bytes, offset, value);
    debug_assert!(
        written.is_some(),
        "head of {} bytes, field at {offset}",
        bytes.len()
    );
}

fn transfer(fd: BorrowedFd<'_>, call: DmCall, bytes: &mut [u8]) -> Result<(), Errno> {
    let request = nix::request_code_readwrite!(DM_IOCTL, call.number(), HEAD_SIZE);
    // The kernel believes this field, so it must tell the buffer's true size.
    put_data_size(bytes);
    // SAFETY: `fd` is open as long as the borrow lives. `bytes` is exclusively borrowed and
    // initialised; the kernel (`ctl_ioctl()`) reads and writes at most `data_size` bytes of
    // it, which was just set to its length, and keeps no pointer to it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, bytes.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// `DM_IOCTL`, the type of all these ioctls.
const DM_IOCTL: u8 = 0xfd;
/// The major version of the interface; a kernel with another one refuses. As minor version
/// 0 is sent, so that every kernel of this major version accepts.
const INTERFACE_MAJOR: u32 = 4;
const HEAD_SIZE: usize = size_of::<DmIoctl>();
#[allow(clippy::cast_possible_truncation, reason = "312")]
const HEAD_SIZE_U32: u32 = HEAD_SIZE as u32;
/// Enough for the status of a map with 300 paths.
const FIRST_BUFFER: usize = 16 << 10;
/// Enough for a list of 50 000 devices with the longest names and uuids, or the status of
/// the largest map that makes sense. Stops a kernel that always says "buffer full".
const MAX_BUFFER: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceNumber;

    fn request(device: DmName<'_>) -> DataRequest<'_> {
        DataRequest::named(DmCall::TableStatus, device, 0).unwrap()
    }

    #[test]
    fn the_head_names_one_device() {
        let by_number = request(DmName::Device(DeviceNumber::new(253, 300)));
        assert_eq!(abi::get_u32(&by_number.bytes, 0), Some(4));
        assert_eq!(abi::get_u32(&by_number.bytes, 12), Some(16 << 10));
        assert_eq!(abi::get_u32(&by_number.bytes, 16), Some(312));
        assert_eq!(abi::get_u64(&by_number.bytes, 40), Some(0x10_fd2c));
        assert!(by_number.bytes[48..].iter().all(|byte| *byte == 0));
        let by_name = request(DmName::Name("mpatha"));
        assert_eq!(&by_name.bytes[48..55], b"mpatha\0");
        assert!(
            by_name.bytes[40..48]
                .iter()
                .chain(&by_name.bytes[176..])
                .all(|byte| *byte == 0)
        );
        let by_uuid = request(DmName::Uuid("mpath-3"));
        assert_eq!(&by_uuid.bytes[176..184], b"mpath-3\0");
        assert!(by_uuid.bytes[40..176].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn impossible_names_are_refused() {
        fn check(device: DmName<'_>, possible: bool) {
            let error = HeadRequest::named(DmCall::Info, device).err();
            assert_eq!(error.is_none(), possible, "{device:?}");
            assert!(error.is_none_or(|error| error.is_no_such_device()));
        }
        let text = "x".repeat(129);
        check(DmName::Name(&text[..127]), true);
        check(DmName::Name(&text[..128]), false);
        check(DmName::Uuid(&text[..128]), true);
        check(DmName::Uuid(&text[..129]), false);
        check(DmName::Name(""), false);
        check(DmName::Uuid(""), false);
        check(DmName::Name("a\0b"), false);
        check(DmName::Device(DeviceNumber::new(4096, 0)), false);
    }

    fn target(target_type: &str, params: &str) -> DmTarget {
        let (target_type, params) = (target_type.to_owned(), params.to_owned());
        DmTarget {
            start: 8,
            length: 16,
            target_type,
            params,
        }
    }

    #[test]
    fn a_table_is_laid_out_on_8_byte_boundaries() {
        // With its head of 40 bytes and a final zero the first takes 48, the second 56.
        let targets = [target("error", "1234567"), target("multipath", "12345678")];
        let size = table_size(&targets);
        assert_eq!(size, 48 + 56 + 1);
        let device = DmName::Name("x");
        let mut request = DataRequest::named(DmCall::Load, device, size).unwrap();
        request.put_targets(&targets).unwrap();
        assert_eq!(abi::get_u32(&request.bytes, 20), Some(2));
        let data = &request.bytes[HEAD_SIZE..];
        assert_eq!(
            (abi::get_u64(data, 0), abi::get_u64(data, 8)),
            (Some(8), Some(16))
        );
        assert_eq!(abi::get_u32(data, 20), Some(48));
        assert_eq!(&data[24..30], b"error\0");
        assert_eq!(&data[40..48], b"1234567\0");
        assert_eq!(abi::get_u32(data, 48 + 20), Some(56));
        assert_eq!(&data[48 + 24..48 + 34], b"multipath\0");
        assert_eq!(&data[48 + 40..48 + 49], b"12345678\0");
        assert!(data[48 + 49..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_table_that_would_not_arrive_is_refused() {
        let long = "x".repeat(16);
        let huge = "x".repeat(MAX_BUFFER);
        for target in [
            target("", ""),
            target(&long, ""),
            target("a\0", ""),
            target("a", "\0"),
            target("a", &huge),
        ] {
            let targets = [target];
            let size = table_size(&targets);
            let mut request = DataRequest::named(DmCall::Load, DmName::Name("x"), size).unwrap();
            let error = request.put_targets(&targets).unwrap_err();
            assert!(matches!(error, DmError::InvalidData { .. }), "{error}");
        }
    }

    /// The kernel's answer overwrites the head; each try must start from the original one.
    #[test]
    fn the_buffer_grows_up_to_a_bound() {
        let mut request = request(DmName::Name("mpatha"));
        request.set_flags(DmFlags::STATUS_TABLE);
        let mut sizes = Vec::new();
        let result = request.grow_until(|request| {
            assert_eq!(&request.bytes[48..55], b"mpatha\0");
            assert_eq!(answer::flags(&request.bytes), DmFlags::STATUS_TABLE);
            sizes.push(request.bytes.len());
            request.bytes.fill(0xff);
            set_flags(&mut request.bytes, DmFlags::BUFFER_FULL);
            Ok(())
        });
        assert!(matches!(
            result,
            Err(DmError::BufferFull {
                limit: MAX_BUFFER,
                ..
            })
        ));
        assert_eq!(
            (sizes.len(), sizes[0], sizes[1]),
            (11, FIRST_BUFFER, 2 * FIRST_BUFFER)
        );
    }
}
