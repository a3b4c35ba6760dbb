//! The layouts of the kernel's structures: `include/uapi/linux/dm-ioctl.h` and
//! `include/scsi/sg.h`.
//!
//! The structures exist only to let the compiler compute and check sizes and offsets; data is
//! read and written through [`get`] and [`put`] at these offsets.

use std::mem::{offset_of, size_of};

/// `DM_NAME_LEN`: a device's name with its terminating zero byte.
pub(crate) const DM_NAME_LEN: usize = 128;
/// `DM_UUID_LEN`: a device's uuid with its terminating zero byte.
pub(crate) const DM_UUID_LEN: usize = 129;
/// `DM_MAX_TYPE_NAME`: a target type's name, zero-terminated.
pub(crate) const DM_MAX_TYPE_NAME: usize = 16;
/// `SG_IO` (`include/scsi/sg.h`).
pub(crate) const SG_IO: u32 = 0x2285;

/// `struct dm_ioctl`, the head of every request and answer.
#[repr(C)]
pub(crate) struct DmIoctl {
    pub(crate) version: [u32; 3],
    pub(crate) data_size: u32,
    pub(crate) data_start: u32,
    pub(crate) target_count: u32,
    pub(crate) open_count: i32,
    pub(crate) flags: u32,
    pub(crate) event_nr: u32,
    pub(crate) padding: u32,
    pub(crate) dev: u64,
    pub(crate) name: [u8; DM_NAME_LEN],
    pub(crate) uuid: [u8; DM_UUID_LEN],
    pub(crate) data: [u8; 7],
}

const _: () = assert!(size_of::<DmIoctl>() == 312);
const _: () = assert!(offset_of!(DmIoctl, data_size) == 12);
const _: () = assert!(offset_of!(DmIoctl, data_start) == 16);
const _: () = assert!(offset_of!(DmIoctl, target_count) == 20);
const _: () = assert!(offset_of!(DmIoctl, open_count) == 24);
const _: () = assert!(offset_of!(DmIoctl, flags) == 28);
const _: () = assert!(offset_of!(DmIoctl, event_nr) == 32);
const _: () = assert!(offset_of!(DmIoctl, padding) == 36);
const _: () = assert!(offset_of!(DmIoctl, dev) == 40);
const _: () = assert!(offset_of!(DmIoctl, name) == 48);
const _: () = assert!(offset_of!(DmIoctl, uuid) == 176);
const _: () = assert!(offset_of!(DmIoctl, data) == 305);

/// `struct dm_target_spec`, the head of each target in a table; its parameters follow.
#[repr(C)]
pub(crate) struct DmTargetSpec {
    pub(crate) sector_start: u64,
    pub(crate) length: u64,
    pub(crate) status: i32,
    pub(crate) next: u32,
    pub(crate) target_type: [u8; DM_MAX_TYPE_NAME],
}

const _: () = assert!(size_of::<DmTargetSpec>() == 40);
const _: () = assert!(offset_of!(DmTargetSpec, length) == 8);
const _: () = assert!(offset_of!(DmTargetSpec, status) == 16);
const _: () = assert!(offset_of!(DmTargetSpec, next) == 20);
const _: () = assert!(offset_of!(DmTargetSpec, target_type) == 24);

/// The fixed part of `struct dm_name_list`; the name follows at [`DM_NAME_LIST_NAME`].
#[repr(C)]
pub(crate) struct DmNameList {
    pub(crate) dev: u64,
    pub(crate) next: u32,
}

/// Where `name[]` begins in `struct dm_name_list`: right after `next`, before its padding.
pub(crate) const DM_NAME_LIST_NAME: usize = offset_of!(DmNameList, next) + size_of::<u32>();
const _: () = assert!(DM_NAME_LIST_NAME == 12);

/// `struct sg_io_hdr`, version 3.
#[repr(C)]
pub(crate) struct SgIoHdr {
    pub(crate) interface_id: i32,
    pub(crate) dxfer_direction: i32,
    pub(crate) cmd_len: u8,
    pub(crate) mx_sb_len: u8,
    pub(crate) iovec_count: u16,
    pub(crate) dxfer_len: u32,
    pub(crate) dxferp: usize,
    pub(crate) cmdp: usize,
    pub(crate) sbp: usize,
    pub(crate) timeout: u32,
    pub(crate) flags: u32,
    pub(crate) pack_id: i32,
    pub(crate) usr_ptr: usize,
    pub(crate) status: u8,
    pub(crate) masked_status: u8,
    pub(crate) msg_status: u8,
    pub(crate) sb_len_wr: u8,
    pub(crate) host_status: u16,
    pub(crate) driver_status: u16,
    pub(crate) resid: i32,
    pub(crate) duration: u32,
    pub(crate) info: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<SgIoHdr>() == 88);
    assert!(offset_of!(SgIoHdr, cmd_len) == 8);
    assert!(offset_of!(SgIoHdr, dxfer_len) == 12);
    assert!(offset_of!(SgIoHdr, dxferp) == 16);
    assert!(offset_of!(SgIoHdr, cmdp) == 24);
    assert!(offset_of!(SgIoHdr, sbp) == 32);
    assert!(offset_of!(SgIoHdr, timeout) == 40);
    assert!(offset_of!(SgIoHdr, usr_ptr) == 56);
    assert!(offset_of!(SgIoHdr, status) == 64);
    assert!(offset_of!(SgIoHdr, sb_len_wr) == 67);
    assert!(offset_of!(SgIoHdr, host_status) == 68);
    assert!(offset_of!(SgIoHdr, driver_status) == 70);
    assert!(offset_of!(SgIoHdr, resid) == 72);
    assert!(offset_of!(SgIoHdr, duration) == 76);
    assert!(offset_of!(SgIoHdr, info) == 80);
};
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<SgIoHdr>() == 64);
    assert!(offset_of!(SgIoHdr, dxferp) == 16);
    assert!(offset_of!(SgIoHdr, timeout) == 28);
    assert!(offset_of!(SgIoHdr, status) == 44);
    assert!(offset_of!(SgIoHdr, info) == 60);
};

/// The `N` bytes at `offset`, or `None` if they are not all there.
pub(crate) fn get<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The 32-bit number in host order at `offset`.
pub(crate) fn get_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    get(bytes, offset).map(u32::from_ne_bytes)
}

/// The 64-bit number in host order at `offset`.
pub(crate) fn get_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    get(bytes, offset).map(u64::from_ne_bytes)
}

/// The text from `offset` up to a zero byte or `limit` bytes. Bytes that are not UTF-8 become
/// U+FFFD: device-mapper lets any byte but zero into names.
pub(crate) fn get_text(bytes: &[u8], offset: usize, limit: usize) -> Option<String> {
    let field = bytes.get(offset..)?;
    let field = field.get(..limit).unwrap_or(field);
    let end = field.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(field.get(..end)?).into_owned())
}

/// Writes `value` at `offset`; out of the buffer's range nothing is written and `None` comes
/// back.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> Option<()> {
    let end = offset.checked_add(value.len())?;
    bytes.get_mut(offset..end)?.copy_from_slice(value);
    Some(())
}
