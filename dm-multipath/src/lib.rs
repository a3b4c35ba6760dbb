//! The Linux kernel's view of multipath: device-mapper, sysfs and SG_IO.
//!
//! What is a multipath map made of, what does the kernel think of its paths, what do their
//! SCSI devices call themselves, and how is a SCSI command sent to one of them. The crate
//! knows nothing about persistent reservations and decides nothing; it serves any tool that
//! looks at multipath maps.
//!
//! * [`sys`] is the only place with `unsafe` code: the device-mapper ioctls
//!   ([`DmControl`](sys::DmControl)) and SCSI commands in worker processes
//!   ([`SgWorker`](sys::sg::SgWorker)).
//! * [`table`] is the grammar of the multipath target's table and status lines. No I/O.
//! * [`map`] resolves what a user typed to one map and its paths, looking at no other map.
//! * [`scsi`] reads one SCSI device from its own folder in sysfs: name, address, identity,
//!   and the ports at both ends of its I_T nexus.
//! * [`uevent`] hears from the kernel that a device came, changed or went.
//! * [`node`] makes the link in `/dev/mapper` where nobody else does.
//!
//! All discovery happens below [`Roots`], so that it can be pointed at a captured tree.

#![deny(unsafe_code)]

mod device_number;
pub mod map;
pub mod node;
mod roots;
pub mod scsi;
#[allow(
    unsafe_code,
    reason = "the kernel's ABI; every block carries its argument"
)]
pub mod sys;
mod sysfs;
pub mod table;
pub mod udev;
pub mod uevent;

pub use device_number::{DeviceNumber, ParseDeviceNumberError};
pub use roots::Roots;
