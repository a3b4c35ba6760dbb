//! What a multipath node remembers and is configured with.
//!
//! Files and text only: this crate opens no device and no socket.
//!
//! - [`prkeys`]: the reservation keys shared with multipath-tools (`/etc/multipath/prkeys`)
//! - [`config`]: `multipath.conf` and its drop-ins, with the origin of every value
//! - [`record`]: what this node did on a map, its lock and its journal (`/run/mpath-pr`)
//! - [`protocol`]: the messages of the multipathd socket, as types
//! - [`lock`]: waiting for a file lock, but not for ever
//! - [`bindings`] and [`wwids`]: which names and which WWIDs multipath-tools has given out
#![forbid(unsafe_code)]

mod appended;
pub mod bindings;
pub mod config;
pub mod lock;
mod pr_status;
pub mod prkeys;
pub mod protocol;
pub mod record;
mod stored_key;
mod words;
pub mod wwids;

pub use pr_status::{NotAPrStatus, PrStatus};
pub use stored_key::{NotAKey, StoredKey};
