//! What came back from a SCSI command.

use std::mem::offset_of;

use nix::errno::Errno;

use super::command::{DATA_AT, HDR_AT, SENSE_AT, SENSE_SIZE, Stage};
use crate::sys::abi::{self, SgIoHdr};

/// The answer to a SCSI command, as the kernel passes it on: wire values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SgReply {
    /// SCSI status (SAM-5 5.3), such as 0x02 CHECK CONDITION. Means nothing while
    /// [`host_status`](Self::host_status) is not 0.
    pub status: u8,
    /// What the adapter's driver has to say; 0 is well (`enum scsi_host_status` in
    /// `include/scsi/scsi_status.h`).
    pub host_status: u16,
    /// What the SCSI layer has to say: 0, or 0x08 (`DRIVER_SENSE`) if there is sense data.
    pub driver_status: u16,
    /// Sense data, as much as came.
    pub sense: Vec<u8>,
    /// Data from the device, as much as came.
    pub data: Vec<u8>,
    /// How long the command took, in milliseconds.
    pub duration_ms: u32,
}

impl SgReply {
    /// Whether the command reached the device and its status came back.
    ///
    /// The lower half of the driver's status is looked at, as sg3_utils and the kernel's own
    /// users do: the upper half once held suggestions. `DRIVER_SENSE` is no failure.
    pub fn is_delivered(&self) -> bool {
        let driver = self.driver_status & DRIVER_MASK;
        self.host_status == 0 && (driver == 0 || driver == DRIVER_SENSE)
    }
}

/// Why there is no answer to a SCSI command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SgError {
    /// The node could not be opened: `ENXIO` if the path is offline, `ENOENT` if gone.
    #[error("open: {}", .0.desc())]
    Open(Errno),
    /// The kernel refused to send the command: `ENOTTY` if it is not a SCSI device, `ENODEV`
    /// if it is gone, `EPERM`.
    #[error("SG_IO: {}", .0.desc())]
    Ioctl(Errno),
    /// The worker ended, or was killed, without a result.
    #[error("the worker process ended without a result")]
    WorkerDied,
    /// The worker was given up on before it had a result.
    #[error("no answer yet")]
    Unanswered,
}

/// Decodes what a child wrote; `requested` is how much data was asked for.
pub(super) fn decode(bytes: &[u8], requested: usize) -> Result<SgReply, SgError> {
    decode_stage(bytes)?;
    decode_reply(bytes, requested).ok_or(SgError::WorkerDied)
}

fn decode_stage(bytes: &[u8]) -> Result<(), SgError> {
    let stage = abi::get_u32(bytes, 0)
        .and_then(Stage::from_bits)
        .ok_or(SgError::WorkerDied)?;
    let errno = abi::get(bytes, 4)
        .map(i32::from_ne_bytes)
        .ok_or(SgError::WorkerDied)?;
    match stage {
        Stage::Answered => Ok(()),
        Stage::OpenFailed => Err(SgError::Open(Errno::from_raw(errno))),
        Stage::IoctlFailed => Err(SgError::Ioctl(Errno::from_raw(errno))),
    }
}

fn decode_reply(bytes: &[u8], requested: usize) -> Option<SgReply> {
    let hdr = bytes.get(HDR_AT..SENSE_AT)?;
    let half = |offset: usize| abi::get(hdr, offset).map(u16::from_ne_bytes);
    let byte = |offset: usize| hdr.get(offset).copied();
    let sense_length = usize::from(byte(offset_of!(SgIoHdr, sb_len_wr))?).min(SENSE_SIZE);
    let resid = abi::get(hdr, offset_of!(SgIoHdr, resid)).map(i32::from_ne_bytes)?;
    let data = bytes.get(DATA_AT..)?;
    let received = received(requested, resid).min(data.len());
    Some(SgReply {
        status: byte(offset_of!(SgIoHdr, status))?,
        host_status: half(offset_of!(SgIoHdr, host_status))?,
        driver_status: half(offset_of!(SgIoHdr, driver_status))?,
        sense: bytes.get(SENSE_AT..SENSE_AT + sense_length)?.to_vec(),
        data: data.get(..received)?.to_vec(),
        duration_ms: abi::get_u32(hdr, offset_of!(SgIoHdr, duration))?,
    })
}

/// How many of the requested bytes came, given how many the driver says did not. Drivers have
/// been seen to report less than nothing missing (an overrun), or more than was asked for.
fn received(requested: usize, resid: i32) -> usize {
    match usize::try_from(resid) {
        Ok(missing) => requested.saturating_sub(missing),
        Err(_) => requested,
    }
}

/// `DRIVER_SENSE` (`include/scsi/sg.h`).
const DRIVER_SENSE: u16 = 0x08;
const DRIVER_MASK: u16 = 0x0f;
