//! SCSI commands (`SG_IO`), in worker processes: one for each command, or one that stays.
//!
//! `SG_IO` on a block device sleeps uninterruptibly until the command ends, and the block
//! layer lets no command time out in less than 7 s (`BLK_MIN_SG_TIMEOUT`); error handling
//! adds minutes. A thread in that state would keep the whole process from ending, and whoever
//! waits for it (a fence agent, an init system) with it. A child process does not: its parent
//! can give up on it, exit and be reaped, while the child ends when the kernel lets it.
//!
//! ```text
//!   parent                                child
//!   ------                                -----
//!   allocate everything
//!   block signals, fork, unblock  ──────▶ close every descriptor but its end of the pipe
//!   poll the pipe for hang-up             open the node
//!     │                                   SG_IO (may sleep for minutes)
//!     ◀────────── the whole buffer ────── write, close
//!   finish: read, decode                  _exit
//!   or drop: SIGKILL, forget
//! ```
//!
//! Between `fork` and `_exit` the child makes only async-signal-safe calls and allocates
//! nothing, since another thread of the parent may have held any lock, the allocator's
//! included, at the moment of the fork.

mod child;
mod command;
mod nursery;
mod reply;
mod rescan;
mod resident;
mod worker;

pub use command::{SgCommand, SgData};
pub use nursery::Nursery;
pub use reply::{SgError, SgReply};
pub use rescan::{RescanError, rescan};
pub use resident::ResidentWorker;
pub use worker::{SgWorker, abandoned_workers, wait};
