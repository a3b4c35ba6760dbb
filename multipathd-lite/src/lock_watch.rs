//! Notices when somebody who had a map's lock lets it go: `mpathpersist`, done or killed.
//!
//! The kernel tells of every close of a lock file that was open for writing, also when the
//! process that had it open was killed. No lock is taken for that, and nothing is polled.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watch on the folder of locks. As a descriptor it is readable when there is something.
#[derive(Debug)]
pub(crate) struct LockWatch {
    inotify: Inotify,
}

impl LockWatch {
    /// Watches the folder, which is made if need be.
    ///
    /// # Errors
    /// The folder cannot be made, or there is no descriptor left.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(folder, AddWatchFlags::IN_CLOSE_WRITE)?;
        Ok(Self { inotify })
    }

    /// Whose locks were let go: the names of the lock files without their ending.
    #[must_use]
    pub(crate) fn released(&self) -> Vec<String> {
        let events = match self.inotify.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN | Errno::EINTR) => return Vec::new(),
            Err(errno) => {
                tracing::error!("watching locks: {errno}");
                return Vec::new();
            }
        };
        let names = events
            .into_iter()
            .filter_map(|event| event.name?.into_string().ok());
        let mut stems: Vec<String> = names
            .filter_map(|name| Some(name.strip_suffix(".lock")?.to_owned()))
            .collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }
}

impl AsFd for LockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mpath_state::record::RecordDir;
    use std::time::Duration;

    #[test]
    fn a_lock_that_is_let_go_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let watch = LockWatch::open(dir.path()).unwrap();
        let lock = RecordDir::new(dir.path())
            .lock("36001405", Duration::ZERO)
            .unwrap();
        assert!(watch.released().is_empty());
        drop(lock);
        assert_eq!(watch.released(), ["36001405"]);
        assert!(watch.released().is_empty());
    }
}
