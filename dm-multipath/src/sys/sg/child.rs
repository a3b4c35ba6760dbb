//! The child process that carries one SCSI command to the kernel.
//!
//! Everything here runs between `fork` and `_exit` in a copy of a program that may have had
//! other threads. So: no allocation, no lock, no panic, only system calls that POSIX or the
//! kernel makes async-signal-safe. All signals stay blocked, so that no handler of the parent
//! runs here; `SIGKILL` works all the same, unless the kernel sleeps uninterruptibly.

use std::ffi::{CStr, c_int, c_uint};
use std::os::fd::RawFd;

use super::command::{HDR_AT, Stage};
use crate::sys::abi;

/// All that a child needs, prepared by its parent.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The child's end of the pipe.
    pub(super) pipe: RawFd,
    /// The node of the path.
    pub(super) node: &'a CStr,
    /// The bytes of the exchange; they hold pointers to themselves and to the command.
    pub(super) bytes: &'a mut [u8],
    /// Up to which descriptor to close one by one on kernels that cannot close a range.
    pub(super) close_below: c_int,
}

/// The child's whole life.
pub(super) fn run(job: Job<'_>) -> ! {
    close_all_but(job.pipe, job.close_below);
    // Closing the node, at exit, may take longer than the command.
    let _node = carry_out(job.node, job.bytes);
    write_all(job.pipe, job.bytes);
    // The parent sees the end of the result now; closing the node, at exit, may take longer.
    close(job.pipe);
    exit()
}

/// The life of a child that writes `1` into a file of sysfs instead.
pub(super) fn trigger(job: Job<'_>) -> ! {
    close_all_but(job.pipe, job.close_below);
    let opened = open(job.node, libc::O_WRONLY);
    let (stage, errno) = match opened.and_then(write_one) {
        Ok(()) => (Stage::Answered, 0),
        Err(failed) => failed,
    };
    note(job.bytes, stage, errno);
    write_all(job.pipe, job.bytes);
    close(job.pipe);
    exit()
}

fn write_one(fd: RawFd) -> Result<(), (Stage, c_int)> {
    let text = b"1";
    // SAFETY: `text` is initialised memory of exactly that length, only read.
    let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    match written {
        1 => Ok(()),
        _ => Err((Stage::IoctlFailed, errno())),
    }
}

/// Closes what was inherited. Whoever waits for the end of the parent's output, or for a lock
/// that the parent holds, must not wait for a child that hangs.
pub(super) fn close_all_but(kept: RawFd, close_below: c_int) {
    let Ok(number) = c_uint::try_from(kept) else {
        exit()
    };
    let below = number == 0 || close_range(0, number - 1);
    let above = close_range(number.saturating_add(1), c_uint::MAX);
    if !(below && above) {
        close_singly(kept, close_below);
    }
}

/// For kernels before 5.9, which have no close_range(2), and filters that refuse it.
pub(super) fn close_singly(kept: RawFd, close_below: c_int) {
    for fd in 0..close_below {
        if fd != kept {
            close(fd);
        }
    }
}

fn close_range(first: c_uint, last: c_uint) -> bool {
    const NO_FLAGS: c_uint = 0;
    // SAFETY: close_range(2) takes numbers only. No Rust code of this process uses the
    // descriptors any more: it is the child, which returns to none of its callers.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, NO_FLAGS) };
    result == 0
}

/// Sends the command and notes in the exchange how far it came; the node stays open, if it could
/// be opened.
pub(super) fn carry_out(node: &CStr, bytes: &mut [u8]) -> Option<RawFd> {
    // Read-only: closing a descriptor open for writing makes udev look at the device again.
    let opened = open(node, libc::O_RDONLY);
    let sent = opened.and_then(|fd| send(fd, bytes));
    let (stage, errno) = match sent {
        Ok(()) => (Stage::Answered, 0),
        Err(failed) => failed,
    };
    note(bytes, stage, errno);
    opened.ok()
}

/// Notes in the exchange how far it came.
fn note(bytes: &mut [u8], stage: Stage, errno: c_int) {
    // Infallible: the exchange is never shorter than its head.
    let _ = abi::put(bytes, 0, &(stage as u32).to_ne_bytes());
    let _ = abi::put(bytes, 4, &errno.to_ne_bytes());
}

fn open(node: &CStr, access: c_int) -> Result<RawFd, (Stage, c_int)> {
    let flags = access | libc::O_NONBLOCK | libc::O_CLOEXEC;
    loop {
        // SAFETY: `node` is a zero-terminated string that outlives the call.
        let fd = unsafe { libc::open(node.as_ptr(), flags) };
        if fd >= 0 {
            return Ok(fd);
        }
        match errno() {
            libc::EINTR => {}
            errno => return Err((Stage::OpenFailed, errno)),
        }
    }
}

fn send(fd: RawFd, bytes: &mut [u8]) -> Result<(), (Stage, c_int)> {
    let Some(hdr) = bytes.get_mut(HDR_AT..) else {
        exit()
    };
    let request = abi::SG_IO as libc::Ioctl;
    // SAFETY: `fd` was just opened. `hdr` begins with a `struct sg_io_hdr`, 88 bytes (64 on
    // 32-bit machines), which the kernel reads and completes. The pointers in it lead to the
    // CDB and outgoing data of the command, which this process keeps in place during the call,
    // and to the sense and data parts of these same bytes, whose lengths are in it too; the
    // kernel writes no more than that, and not after the call returns.
    let result = unsafe { libc::ioctl(fd, request, hdr.as_mut_ptr()) };
    // Not repeated on EINTR: the command may have been carried out.
    if result < 0 {
        Err((Stage::IoctlFailed, errno()))
    } else {
        Ok(())
    }
}

/// Writes everything, or what the parent still wants: it may have closed its end.
fn write_all(pipe: RawFd, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: `rest` is initialised memory of exactly that length, only read.
        let written = unsafe { libc::write(pipe, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(written) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return,
        }
    }
}

pub(super) fn close(fd: RawFd) {
    // SAFETY: as in `close_range`; a number that is not open is refused with EBADF.
    let _ = unsafe { libc::close(fd) };
}

/// A name for those who look for processes that hang; and memory that is not paged out to the
/// disk which this process is to ask after. Without either it works, too.
pub(super) fn settle_in(name: &'static CStr) {
    // SAFETY: reads a zero-terminated string that lives for ever.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes a number only.
    let _ = unsafe { libc::mlockall(flags) };
}

/// Another process with these same bytes; 0 is its own view, `None` means there is none left.
pub(super) fn fork() -> Option<libc::pid_t> {
    // SAFETY: this process has no other threads, and its child goes on with what this module is
    // for: system calls that are async-signal-safe, and nothing else.
    let pid = unsafe { libc::fork() };
    (pid >= 0).then_some(pid)
}

/// Children of this process leave no trace when they end.
pub(super) fn reap_by_itself() {
    // SAFETY: takes numbers only; SIG_IGN is no function.
    let _ = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

pub(super) fn errno() -> c_int {
    // SAFETY: always a valid pointer, to this thread's variable.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: see above; nobody else accesses this thread's variable.
    unsafe { *location }
}

pub(super) fn exit() -> ! {
    // SAFETY: ends the process without running the parent's exit handlers. The parent tells
    // success by what it finds in the pipe, not by the status.
    unsafe { libc::_exit(0) }
}
