//! A SCSI command, and the bytes that carry it to the kernel and its answer back.

use std::io;
use std::mem::{offset_of, size_of};

use crate::sys::abi::{self, SgIoHdr};

/// A SCSI command to be sent to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SgCommand {
    /// The command descriptor block, 6 to 32 bytes.
    pub cdb: Vec<u8>,
    /// Its data, at most 256 KiB.
    pub data: SgData,
    /// After how many milliseconds the kernel aborts it. The block layer raises less than
    /// 7000 to 7000 (`BLK_MIN_SG_TIMEOUT` in `include/linux/blkdev.h`) and takes 0 for its
    /// default of 60 s; a shorter deadline is kept by giving up on the worker.
    pub timeout_ms: u32,
}

/// The data that goes with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SgData {
    /// None.
    None,
    /// The device sends up to so many bytes.
    In(usize),
    /// The device gets these bytes.
    Out(Vec<u8>),
}

/// What the child passes back, and the memory that the kernel writes its answer to:
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 4 | how far the child came, a [`Stage`] |
/// | 4 | 4 | error number, if it went no further |
/// | 8 | `sizeof(struct sg_io_hdr)` | the request, which the kernel completes |
/// | [`SENSE_AT`] | [`SENSE_SIZE`] | sense data |
/// | [`DATA_AT`] | as asked for | data of the device |
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) bytes: Vec<u8>,
}

/// How far a child came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    /// The ioctl succeeded.
    Answered = 0x5367_0001,
    /// The node could not be opened.
    OpenFailed = 0x5367_0002,
    /// The ioctl failed.
    IoctlFailed = 0x5367_0003,
}

impl Stage {
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        [Self::Answered, Self::OpenFailed, Self::IoctlFailed]
            .into_iter()
            .find(|stage| *stage as u32 == bits)
    }
}

impl Exchange {
    /// Lays out the request. Pointers to `command` and to the buffer itself go into it: both
    /// must stay where they are until the child is forked.
    pub(super) fn new(command: &SgCommand) -> io::Result<Self> {
        command.check()?;
        let (direction, length) = match &command.data {
            SgData::None => (SG_DXFER_NONE, 0),
            SgData::In(length) => (SG_DXFER_FROM_DEV, *length),
            SgData::Out(bytes) => (SG_DXFER_TO_DEV, bytes.len()),
        };
        let incoming = if direction == SG_DXFER_FROM_DEV {
            length
        } else {
            0
        };
        let mut exchange = Self {
            bytes: vec![0; DATA_AT + incoming],
        };
        let data = match &command.data {
            SgData::Out(bytes) => bytes.as_ptr().expose_provenance(),
            SgData::None | SgData::In(_) => 0,
        };
        let transfer = Transfer {
            direction,
            length: u32::try_from(length).map_err(io::Error::other)?,
            data,
        };
        let written = lay_out(
            &mut exchange.bytes,
            &command.cdb,
            transfer,
            command.timeout_ms,
        );
        debug_assert!(written.is_some(), "the head has a fixed size");
        Ok(exchange)
    }
}

/// The data of a request as the kernel is told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    direction: i32,
    length: u32,
    /// Where outgoing data is.
    data: usize,
}

impl Transfer {
    /// So many bytes of the device at most, into the buffer; none if it is 0.
    pub(super) const fn into_buffer(length: u32) -> Self {
        Self {
            direction: if length == 0 {
                SG_DXFER_NONE
            } else {
                SG_DXFER_FROM_DEV
            },
            length,
            data: 0,
        }
    }
}

/// Writes the head of a request to a buffer; `None` if that is too short. Pointers to `cdb` and to
/// the buffer itself go into it. Allocates nothing, takes no lock.
pub(super) fn lay_out(
    bytes: &mut [u8],
    cdb: &[u8],
    transfer: Transfer,
    timeout_ms: u32,
) -> Option<()> {
    let start = bytes.as_mut_ptr().expose_provenance();
    // Addresses of bytes of the buffer, which the kernel is going to write to.
    let (sense, incoming) = (start.checked_add(SENSE_AT)?, start.checked_add(DATA_AT)?);
    let data = match transfer.direction {
        SG_DXFER_FROM_DEV => incoming,
        _ => transfer.data,
    };
    let cdb_length = u8::try_from(cdb.len()).ok()?;
    let cdb = cdb.as_ptr().expose_provenance();
    let mut put = |field: usize, value: &[u8]| abi::put(bytes, HDR_AT + field, value);
    let id = SG_INTERFACE_ID.to_ne_bytes();
    put(offset_of!(SgIoHdr, interface_id), &id)?;
    let direction = transfer.direction.to_ne_bytes();
    put(offset_of!(SgIoHdr, dxfer_direction), &direction)?;
    put(offset_of!(SgIoHdr, cmd_len), &[cdb_length])?;
    put(offset_of!(SgIoHdr, mx_sb_len), &[SENSE_SIZE_U8])?;
    let length = transfer.length.to_ne_bytes();
    put(offset_of!(SgIoHdr, dxfer_len), &length)?;
    put(offset_of!(SgIoHdr, dxferp), &data.to_ne_bytes())?;
    put(offset_of!(SgIoHdr, cmdp), &cdb.to_ne_bytes())?;
    put(offset_of!(SgIoHdr, sbp), &sense.to_ne_bytes())?;
    put(offset_of!(SgIoHdr, timeout), &timeout_ms.to_ne_bytes())
}

impl SgCommand {
    pub(super) fn check(&self) -> io::Result<()> {
        let length = match &self.data {
            SgData::None => 0,
            SgData::In(length) => *length,
            SgData::Out(bytes) => bytes.len(),
        };
        let reason = if !(MIN_CDB..=MAX_CDB).contains(&self.cdb.len()) {
            "a CDB has 6 to 32 bytes"
        } else if length > MAX_DATA {
            "more than 256 KiB of data"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }
}

/// Where `struct sg_io_hdr` is in an [`Exchange`].
pub(super) const HDR_AT: usize = 8;
/// Where the sense data is in an [`Exchange`].
pub(super) const SENSE_AT: usize = HDR_AT + size_of::<SgIoHdr>();
/// Room for sense data: the most that SPC-4 (4.5.1) allows.
pub(super) const SENSE_SIZE: usize = 252;
#[allow(clippy::cast_possible_truncation, reason = "252")]
const SENSE_SIZE_U8: u8 = SENSE_SIZE as u8;
/// Where the data of the device is in an [`Exchange`].
pub(super) const DATA_AT: usize = SENSE_AT + SENSE_SIZE;

/// `'S'`: version 3 of the interface.
const SG_INTERFACE_ID: i32 = 0x53;
const SG_DXFER_NONE: i32 = -1;
const SG_DXFER_TO_DEV: i32 = -2;
const SG_DXFER_FROM_DEV: i32 = -3;
/// The shortest CDB of SPC-4 (4.2).
const MIN_CDB: usize = 6;
/// The kernel's limit (`MAX_COMMAND_SIZE` in `include/scsi/scsi_cmnd.h`).
const MAX_CDB: usize = 32;
/// Four times what a 16-bit allocation length can ask for. Bounds the pipe's buffer, since
/// the child must be able to write its whole result whether or not anybody reads.
const MAX_DATA: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn command(cdb: usize, data: SgData) -> SgCommand {
        SgCommand {
            cdb: vec![0; cdb],
            data,
            timeout_ms: 1000,
        }
    }

    #[test]
    fn impossible_commands_are_refused() {
        fn check(cdb: usize, data: SgData, possible: bool) {
            let result = Exchange::new(&command(cdb, data));
            assert_eq!(result.is_ok(), possible, "{result:?}");
            if let Err(error) = result {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
        }
        for (cdb, possible) in [(0, false), (5, false), (6, true), (32, true), (33, false)] {
            check(cdb, SgData::None, possible);
        }
        for (size, possible) in [(0, true), (MAX_DATA, true), (MAX_DATA + 1, false)] {
            check(10, SgData::In(size), possible);
            check(10, SgData::Out(vec![0; size]), possible);
        }
    }

    #[test]
    fn the_head_says_what_is_where() {
        let command = command(10, SgData::In(24));
        let exchange = Exchange::new(&command).unwrap();
        let hdr = &exchange.bytes[HDR_AT..];
        let word = |offset| abi::get_u32(hdr, offset).unwrap();
        let pointer = |offset| abi::get(hdr, offset).map(usize::from_ne_bytes).unwrap();
        assert_eq!(word(offset_of!(SgIoHdr, interface_id)), 0x53);
        assert_eq!(
            word(offset_of!(SgIoHdr, dxfer_direction)),
            (-3_i32).cast_unsigned()
        );
        assert_eq!(word(offset_of!(SgIoHdr, dxfer_len)), 24);
        assert_eq!(word(offset_of!(SgIoHdr, timeout)), 1000);
        assert_eq!(hdr[offset_of!(SgIoHdr, cmd_len)], 10);
        assert_eq!(hdr[offset_of!(SgIoHdr, mx_sb_len)], 252);
        assert_eq!(
            pointer(offset_of!(SgIoHdr, cmdp)),
            command.cdb.as_ptr().addr()
        );
        assert_eq!(
            pointer(offset_of!(SgIoHdr, sbp)),
            exchange.bytes[SENSE_AT..].as_ptr().addr()
        );
        assert_eq!(
            pointer(offset_of!(SgIoHdr, dxferp)),
            exchange.bytes[DATA_AT..].as_ptr().addr()
        );
        assert_eq!(exchange.bytes.len(), DATA_AT + 24);
    }

    #[test]
    fn outgoing_data_stays_where_it_is() {
        let command = command(10, SgData::Out(vec![1, 2, 3]));
        let SgData::Out(data) = &command.data else {
            unreachable!()
        };
        let exchange = Exchange::new(&command).unwrap();
        let dxferp = abi::get(&exchange.bytes, HDR_AT + offset_of!(SgIoHdr, dxferp));
        assert_eq!(dxferp.map(usize::from_ne_bytes), Some(data.as_ptr().addr()));
        assert_eq!(exchange.bytes.len(), DATA_AT);
    }
}
