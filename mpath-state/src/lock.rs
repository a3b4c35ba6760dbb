//! Waiting for a file lock, but not longer than a given time.
//!
//! The kernel has no lock call with a deadline. Polling would either wake up often or answer
//! late, and loses its turn to whoever waits in the kernel's queue; an alarm signal would
//! interrupt the caller's other threads. So: try once (the usual case), and only when
//! somebody holds the lock let a helper thread wait in the kernel. If the time is over the
//! helper is left behind; when its turn comes at last it finds nobody interested and closes
//! the file, which releases the lock.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// What to lock and how; each is one kind of lock call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// `flock`, exclusive.
    Flock,
    /// `fcntl` on the whole file, shared.
    RecordRead,
    /// `fcntl` on the whole file, exclusive.
    RecordWrite,
}

/// Locks `file` and gives it back, or gives `None` when `timeout` has passed.
///
/// Both kinds belong to the open file, not to the process: threads of one process exclude
/// each other, and closing another descriptor of the same file releases nothing. (The
/// classic POSIX lock fails in both; its holders and these exclude each other all the same.)
///
/// # Errors
/// The file system knows no locks, or the thread that would wait cannot be started.
pub fn lock_within(file: File, kind: LockKind, timeout: Duration) -> io::Result<Option<File>> {
    if try_lock(&file, kind)? {
        return Ok(Some(file));
    }
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("lock-wait".to_owned())
        .spawn(move || {
            let locked = wait_for_lock(&file, kind).map(|()| file);
            // When nobody listens any more, the file is dropped here and with it the lock.
            drop(sender.send(locked));
        })?;
    receiver.recv_timeout(timeout).ok().transpose()
}

/// Process id of somebody whose classic POSIX lock stands in the way of a write lock; the
/// kernel does not tell it of the other kinds.
pub(crate) fn record_lock_holder(file: &File) -> Option<u32> {
    let mut wanted = whole_file(libc::F_WRLCK);
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut wanted)).ok()?;
    u32::try_from(wanted.l_pid).ok().filter(|pid| *pid != 0)
}

fn try_lock(file: &File, kind: LockKind) -> io::Result<bool> {
    let wanted = match kind {
        LockKind::Flock => {
            return match file.try_lock() {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) => Err(error),
            };
        }
        LockKind::RecordRead => whole_file(libc::F_RDLCK),
        LockKind::RecordWrite => whole_file(libc::F_WRLCK),
    };
    match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&wanted)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn wait_for_lock(file: &File, kind: LockKind) -> io::Result<()> {
    let wanted = match kind {
        LockKind::Flock => return uninterrupted(|| file.lock()),
        LockKind::RecordRead => whole_file(libc::F_RDLCK),
        LockKind::RecordWrite => whole_file(libc::F_WRLCK),
    };
    uninterrupted(|| {
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLKW(&wanted)).map_err(io::Error::from)?;
        Ok(())
    })
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The whole file, also what is appended later (`l_len` 0).
fn whole_file(lock_type: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(lock_type).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
