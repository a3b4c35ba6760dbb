//! SCSI persistent reservations on a dm-multipath map, as if it were one disk.
//!
//! * [`Device`] is the library: open a map, [run](Device::run) a [`pr_policy::Request`].
//! * [`Device::rehearse`] tells how a request would go, and changes nothing.
//! * [`cli`] is the command `mpathpersist`, texts and exit statuses included.
//! * [`view`] is everything about a map without touching it, [`overview`] shows it.
//! * [`sandbox`] is a simulated SAN in a folder, for trying all that out.
//! * [`executor`] carries a [`pr_policy::Transaction`] out with any [`executor::Hands`].
//!
//! What to send to which path is decided in `pr-policy`; nothing here judges an answer.
#![forbid(unsafe_code)]

mod books;
mod carrier;
pub mod cli;
pub mod code;
mod custody;
mod daemon;
mod device;
mod event_log;
pub mod executor;
mod host;
mod kernel;
mod leftover;
mod map;
mod operations;
pub mod overview;
mod paint;
mod rehearsal;
mod repair;
mod run;
pub mod sandbox;
pub mod size;
pub mod view;

pub use custody::{Custody, Holder, Settled, Verdict};
pub use daemon::{Daemon, DaemonError};
pub use device::{Device, HostRunner};
pub use host::Host;
pub use kernel::{KernelHands, KernelMap, KernelPath};
pub use operations::OperationError;
pub use paint::Paint;
pub use rehearsal::{Branch, Condition, OwnPath, Picture, Rehearsal, RehearsedStep};
pub use repair::{Repaired, Step};
pub use run::{Doubt, Failure, FanOut, Report, RunOptions, Runner};
