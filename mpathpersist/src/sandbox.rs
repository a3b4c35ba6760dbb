//! A simulated SAN in a folder: one array, some nodes, and the paths between them.
//!
//! Everything above the kernel runs on it unchanged: finding the map, the lock, the books, the
//! policy. Replaced is only what is below: looking a map up ([`Node`] does), sending a command
//! (to a [`LogicalUnit`](scsi_pr::device_server::LogicalUnit), which is compared with the
//! kernel's own target command by command), and suspending a map. Processes share a sandbox
//! through a lock; its state is one file that is replaced whole, so whoever is killed leaves a
//! usable one.
//!
//! ```text
//! DIR/san.json          the array, what it remembers, and every path with its condition
//! DIR/lock              held while a command is carried out
//! DIR/alice/            what a host has in /etc and /run: multipath.conf, prkeys, run/, and
//!                       the socket of `multipathd-lite --sandbox DIR/alice`
//! DIR/bob/
//! ```
//!
//! `mpathpersist sandbox init DIR` makes one, `mpathpersist --sandbox DIR/alice …` is the command
//! on a node of it. For a program of one's own:
//!
//! ```
//! use mpathpersist::sandbox::{Condition, Folder, Node, Plan};
//! use mpathpersist::{Device, Host};
//! use scsi_pr::{ReservationKey, ReservationType};
//!
//! let dir = tempfile::tempdir()?;
//! Folder::create(dir.path(), &Plan::default().san()?)?;
//! let alice = dir.path().join("alice");
//! let host = Host::in_sandbox(&alice)?;
//! let mut disk = Device::open(&host, "mpatha")?;
//! let (key, held) = (ReservationKey(0x123abc), ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
//! disk.register_and_ignore(key)?;
//! disk.reserve(key, held)?;
//! Node::locate(&alice)?.set_condition(&["sda".to_owned()], Condition::Offline)?;
//! disk.release(key, held)?;
//! assert_eq!(disk.read_keys()?.keys, [key; 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod command;
mod device;
mod disk;
mod error;
mod folder;
mod hands;
mod kernel;
mod multipathd;
mod node;
mod plan;
mod san;
mod saved;
mod table;

pub use crate::paint::Paint;
pub use disk::Disk;
pub use error::SandboxError;
pub use folder::Folder;
pub use hands::SandboxHands;
pub use kernel::NodeDisk;
pub use node::{Node, Unusable};
pub use plan::Plan;
pub use san::{Condition, InMap, Lun, San, SanNode, SanPath};
pub use saved::{PROFILES, profile_name};
pub use table::Table;
