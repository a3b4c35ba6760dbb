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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::abi::put;

    /// What a child passes on of a successful INQUIRY for 8 bytes of which 3 did not come.
    fn answered() -> Vec<u8> {
        let mut bytes = vec![0; DATA_AT];
        bytes.extend(*b"DATA----");
        put(&mut bytes, 0, &(Stage::Answered as u32).to_ne_bytes()).unwrap();
        set(&mut bytes, offset_of!(SgIoHdr, status), &[0x02]);
        set(
            &mut bytes,
            offset_of!(SgIoHdr, host_status),
            &0x0e_u16.to_ne_bytes(),
        );
        set(
            &mut bytes,
            offset_of!(SgIoHdr, driver_status),
            &0x08_u16.to_ne_bytes(),
        );
        set(&mut bytes, offset_of!(SgIoHdr, resid), &3_i32.to_ne_bytes());
        set(
            &mut bytes,
            offset_of!(SgIoHdr, duration),
            &17_u32.to_ne_bytes(),
        );
        set(&mut bytes, offset_of!(SgIoHdr, sb_len_wr), &[4]);
        put(&mut bytes, SENSE_AT, &[0x70, 0, 0x06, 0, 0xff]).unwrap();
        bytes
    }

    fn set(bytes: &mut [u8], field: usize, value: &[u8]) {
        put(bytes, HDR_AT + field, value).unwrap();
    }

    #[test]
    fn every_field_arrives() {
        let reply = decode(&answered(), 8).unwrap();
        let expected = SgReply {
            status: 0x02,
            host_status: 0x0e,
            driver_status: 0x08,
            sense: vec![0x70, 0, 0x06, 0],
            data: b"DATA-".to_vec(),
            duration_ms: 17,
        };
        assert_eq!(reply, expected);
    }

    #[test]
    fn delivered_means_no_error_below_the_device() {
        fn check(host_status: u16, driver_status: u16, delivered: bool) {
            let reply = SgReply {
                host_status,
                driver_status,
                ..decode(&answered(), 8).unwrap()
            };
            assert_eq!(
                reply.is_delivered(),
                delivered,
                "{host_status:#x} {driver_status:#x}"
            );
        }
        check(0, 0, true);
        check(0, 0x08, true);
        check(0, 0x28, true);
        check(0, 0x06, false);
        check(0x0e, 0, false);
    }

    #[test]
    fn strange_lengths_stay_within_what_was_asked_for() {
        fn check(resid: i32, expected: &[u8]) {
            let mut bytes = answered();
            set(&mut bytes, offset_of!(SgIoHdr, resid), &resid.to_ne_bytes());
            assert_eq!(decode(&bytes, 8).unwrap().data, expected, "{resid}");
        }
        check(0, b"DATA----");
        check(8, b"");
        check(9, b"");
        check(i32::MAX, b"");
        check(-1, b"DATA----");
        check(i32::MIN, b"DATA----");

        let mut bytes = answered();
        set(&mut bytes, offset_of!(SgIoHdr, sb_len_wr), &[0xff]);
        assert_eq!(decode(&bytes, 8).unwrap().sense.len(), SENSE_SIZE);
    }

    #[test]
    fn a_cut_result_is_a_dead_worker() {
        let bytes = answered();
        for length in 0..DATA_AT {
            assert_eq!(
                decode(&bytes[..length], 8),
                Err(SgError::WorkerDied),
                "{length}"
            );
        }
        assert_eq!(decode(&vec![0; bytes.len()], 8), Err(SgError::WorkerDied));
    }

    #[test]
    fn failures_carry_the_error_number() {
        fn check(stage: Stage, expected: SgError) {
            let mut bytes = answered();
            put(&mut bytes, 0, &(stage as u32).to_ne_bytes()).unwrap();
            put(&mut bytes, 4, &libc::ENXIO.to_ne_bytes()).unwrap();
            assert_eq!(decode(&bytes, 8), Err(expected));
        }
        check(Stage::OpenFailed, SgError::Open(Errno::ENXIO));
        check(Stage::IoctlFailed, SgError::Ioctl(Errno::ENXIO));
    }
}
