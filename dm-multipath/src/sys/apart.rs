//! A child process that finishes what must not stop half-way.
//!
//! Between suspending a map and resuming it a program must not be killed, must not wait for
//! memory or files that live on the map, and must not wait without end. Fence agents do kill:
//! so that part runs in a child of a session of its own, which no signal to the parent reaches.
//!
//! ```text
//!   parent                         child
//!   ------                         -----
//!   fork  ───────────────────────▶ session of its own, signals blocked, standard streams away,
//!     │                            memory locked, writeback never waited for
//!   wait for the result            work
//!     ◀─────────────────────────── result, end
//! ```
//!
//! If the parent dies, the child goes on, and keeps the locks that it inherited until it ends.

use std::ffi::c_ulong;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};

/// A child at work.
#[derive(Debug)]
pub struct Apart {
    pid: Pid,
    pipe: File,
}

impl Apart {
    /// Starts `work` in a child. In the child nothing else of this program runs: not its other
    /// threads, not its destructors. `work` must not use locks that another thread may hold, so
    /// it must not log.
    ///
    /// # Errors
    /// There is no memory, process or descriptor left.
    pub fn start(work: impl FnOnce() -> Vec<u8>) -> io::Result<Self> {
        Self::start_behind(shield, work)
    }

    fn start_behind(
        shield: fn() -> io::Result<()>,
        work: impl FnOnce() -> Vec<u8>,
    ) -> io::Result<Self> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: the child calls only what glibc makes safe after a fork (its allocator
        // included) and leaves with `_exit` below, never returning into the caller.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                pipe: File::from(reader),
            }),
            ForkResult::Child => {
                drop(reader);
                APART.store(true, Ordering::Relaxed);
                // A panic must not unwind into the caller's frames: there, the child would go on
                // as a second copy of the parent.
                let work = AssertUnwindSafe(|| shield().map(|()| work()));
                let (result, status) = match catch_unwind(work) {
                    Ok(Ok(result)) => (result, 0),
                    Ok(Err(error)) => (Vec::new(), error.raw_os_error().unwrap_or(libc::EIO)),
                    Err(_) => (Vec::new(), 0),
                };
                let _ = File::from(writer).write_all(&result);
                // SAFETY: ends the process; the parent's destructors and exit handlers are not
                // this child's to run.
                unsafe { libc::_exit(status) }
            }
        }
    }

    /// The child's process id, for messages about it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// What `work` returned; nothing if the child panicked, or died.
    ///
    /// # Errors
    /// `TimedOut`: it did not end within `patience`, and goes on. Otherwise `work` was not begun:
    /// the child could not be made independent of the map.
    pub fn wait(mut self, patience: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut result = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            self.await_readable(deadline)?;
            match self.pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => result.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let ended = loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                ended => break ended,
            }
        };
        match ended {
            Ok(WaitStatus::Exited(_, errno)) if errno != 0 => {
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => Ok(result),
        }
    }

    fn await_readable(&self, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Whether this process is such a child: what another thread held when it was forked nobody gives
/// back in it.
pub(super) fn is_apart() -> bool {
    APART.load(Ordering::Relaxed)
}

static APART: AtomicBool = AtomicBool::new(false);

/// Makes this process hard to stop and independent of what lies on a suspended map.
fn shield() -> io::Result<()> {
    setsid()?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // Against the out-of-memory killer; where this is not allowed the rest still helps.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)?;
    become_io_flusher();
    Ok(())
}

/// From Linux 5.6 on: allocations of this process never wait for I/O (`PR_SET_IO_FLUSHER`),
/// which could be to the suspended map. On older kernels the locked memory has to do.
fn become_io_flusher() {
    let (yes, unused): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: prctl with four integers; the kernel reads and writes no memory of ours.
    let _ = unsafe { libc::prctl(PR_SET_IO_FLUSHER, yes, unused, unused, unused) };
}

/// Runs `call` so that a system call it waits in ends with `EINTR` after `patience`. Changes
/// what the whole process does with `SIGALRM`: for children of [`Apart`] only.
pub fn interrupted_after<T>(patience: Duration, call: impl FnOnce() -> T) -> io::Result<T> {
    let wake = SigAction::new(
        SigHandler::Handler(ignore),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { sigaction(Signal::SIGALRM, &wake) }?;
    let mut alarm = SigSet::empty();
    alarm.add(Signal::SIGALRM);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&alarm), None)?;
    set_timer(patience)?;
    let result = call();
    set_timer(Duration::ZERO)?;
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&alarm), None)?;
    Ok(result)
}

extern "C" fn ignore(_: i32) {}

/// Again and again after the first time: the signal may come just before the call it is for.
fn set_timer(first: Duration) -> io::Result<()> {
    let value = timeval(first);
    let interval = if first.is_zero() {
        timeval(Duration::ZERO)
    } else {
        timeval(AGAIN_AFTER)
    };
    let timer = libc::itimerval {
        it_interval: *interval.as_ref(),
        it_value: *value.as_ref(),
    };
    // SAFETY: reads the structure, which lives until the call returns; writes nothing, since
    // the place for the old value is null.
    let result =
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

fn timeval(duration: Duration) -> TimeVal {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    TimeVal::new(seconds, i64::from(duration.subsec_micros()))
}

/// `include/uapi/linux/prctl.h`.
const PR_SET_IO_FLUSHER: i32 = 57;

const AGAIN_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_child_returns_what_it_did() {
        let apart = Apart::start(|| vec![7; 100_000]).unwrap();
        assert_eq!(
            apart.wait(Duration::from_secs(20)).unwrap(),
            vec![7; 100_000]
        );
    }

    #[test]
    fn a_child_is_of_a_session_of_its_own_and_deaf() {
        let apart = Apart::start(|| {
            let session = nix::unistd::getsid(None).unwrap() == nix::unistd::getpid();
            let deaf = SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM);
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
            let locked = locked.is_some_and(|size| size.trim() != "0 kB");
            vec![u8::from(session), u8::from(deaf), u8::from(locked)]
        });
        assert_eq!(
            apart.unwrap().wait(Duration::from_secs(20)).unwrap(),
            [1, 1, 1]
        );
    }

    #[test]
    fn what_cannot_be_shielded_is_not_begun() {
        let refuse = || Err(io::Error::from_raw_os_error(libc::ENOMEM));
        let apart = Apart::start_behind(refuse, || vec![1]).unwrap();
        let error = apart.wait(Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn a_child_that_panics_is_one_that_returns_nothing() {
        let apart = Apart::start(|| panic!("in the child"));
        assert_eq!(apart.unwrap().wait(Duration::from_secs(20)).unwrap(), []);
    }

    #[test]
    fn waiting_ends_before_the_child_does() {
        let apart = Apart::start(|| {
            thread::park_timeout(Duration::from_secs(2));
            Vec::new()
        });
        let error = apart.unwrap().wait(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_call_that_waits_is_interrupted() {
        let apart = Apart::start(|| {
            let (reader, _writer) = pipe2(OFlag::empty()).unwrap();
            let read = interrupted_after(Duration::from_millis(1), || {
                nix::unistd::read(&reader, &mut [0])
            });
            vec![u8::from(read.unwrap() == Err(Errno::EINTR))]
        });
        assert_eq!(apart.unwrap().wait(Duration::from_secs(20)).unwrap(), [1]);
    }
}
