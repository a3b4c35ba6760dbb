//! The parent's side of a worker process.

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use super::child::{self, Job};
use super::command::{DATA_AT, Exchange, SgCommand};
use super::reply::{self, SgError, SgReply};
use crate::sys::apart::is_apart;

/// A SCSI command on its way, in a process of its own.
///
/// As a descriptor ([`AsFd`]) it hangs up (`POLLHUP`, which needs no asking for) when the
/// result is complete; [`wait`] waits for that. Dropping it gives the command up: the process
/// is killed, without waiting for it, since it may hang in the kernel. The command itself may
/// or may not be carried out then.
///
/// A program that uses workers must not reap children it did not start (`waitpid(-1)`), and
/// not ignore `SIGCHLD`: the numbers of its workers could then belong to others.
#[derive(Debug)]
pub struct SgWorker {
    pid: Pid,
    pipe: File,
    /// As large as the result; what the child's copy of it becomes is read into it.
    exchange: Exchange,
}

impl SgWorker {
    /// Starts a command for the device behind `node`.
    ///
    /// Fails only for lack of memory, processes or descriptors, or if the command is
    /// impossible; what the node or device says is in [`finish`](Self::finish)'s result.
    pub fn spawn(node: &Path, command: &SgCommand) -> io::Result<Self> {
        Self::spawn_child(node, command, child::run)
    }

    pub(super) fn spawn_child(
        node: &Path,
        command: &SgCommand,
        run: fn(Job<'_>) -> !,
    ) -> io::Result<Self> {
        let node = CString::new(node.as_os_str().as_bytes())?;
        let mut exchange = Exchange::new(command)?;
        let close_below = close_below();
        let (reader, writer) = result_pipe(exchange.bytes.len())?;
        abandoned_workers();
        let pid = fork(|| {
            run(Job {
                pipe: writer.as_raw_fd(),
                node: &node,
                bytes: &mut exchange.bytes,
                close_below,
            })
        })?;
        Ok(Self {
            pid,
            pipe: File::from(reader),
            exchange,
        })
    }

    /// The worker's process id, for messages about it.
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The result. Never blocks: before [`wait`] has named this worker, it may be
    /// [`SgError::Unanswered`], and the command is given up.
    pub fn finish(mut self) -> Result<SgReply, SgError> {
        let mut got = 0;
        loop {
            let rest = self.exchange.bytes.get_mut(got..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.pipe.read(rest) {
                Ok(0) => break,
                Ok(read) => got += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(SgError::Unanswered);
                }
                Err(_) => return Err(SgError::WorkerDied),
            }
        }
        let requested = self.exchange.bytes.len() - DATA_AT;
        let result = self.exchange.bytes.get(..got).unwrap_or_default();
        if got < self.exchange.bytes.len() {
            return Err(SgError::WorkerDied);
        }
        reply::decode(result, requested)
    }
}

impl AsFd for SgWorker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for SgWorker {
    fn drop(&mut self) {
        // It may have ended; it is not reaped yet, so the number is still its own.
        let _ = kill(self.pid, Signal::SIGKILL);
        abandon(self.pid);
    }
}

/// Waits until at least one worker has its result, and returns the positions of those that
/// do; none after `timeout`, and none at once if there are no workers. Without a timeout waits
/// as long as it takes.
pub fn wait(workers: &[&SgWorker], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    if workers.is_empty() {
        return Ok(Vec::new());
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // No events: a hang-up is always reported, readable bytes of an unfinished result are not.
    let mut fds: Vec<_> = workers
        .iter()
        .map(|worker| PollFd::new(worker.as_fd(), PollFlags::empty()))
        .collect();
    loop {
        match poll(&mut fds, poll_timeout(deadline)) {
            Ok(0) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let ended = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    Ok(fds
        .iter()
        .enumerate()
        .filter(|(_, fd)| ended(fd))
        .map(|(index, _)| index)
        .collect())
}

/// How many workers of this process were given up on and still run, since they hang in the
/// kernel. Reaps those that do not.
pub fn abandoned_workers() -> usize {
    let Some(mut abandoned) = abandoned() else {
        return 0;
    };
    abandoned.retain(|pid| is_running(*pid));
    abandoned.len()
}

fn poll_timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up, so as not to spin through the last millisecond.
    let left_ms = left.as_micros().div_ceil(1000);
    PollTimeout::try_from(left_ms).unwrap_or(PollTimeout::MAX)
}

/// Forks, with all signals blocked from before the fork until the child ends.
pub(super) fn fork(child: impl FnOnce()) -> io::Result<Pid> {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the child calls nothing but `child`, which makes only async-signal-safe calls,
    // allocates nothing and never returns (`child::run`; the tests' likewise).
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        child();
        // SAFETY: ends the process; not reached.
        unsafe { libc::_exit(1) }
    }
    let error = io::Error::last_os_error();
    // Cannot fail: the mask is one that the kernel gave. A child would be lost otherwise.
    let _ = mask.thread_set_mask();
    if pid < 0 {
        Err(error)
    } else {
        Ok(Pid::from_raw(pid))
    }
}

/// A pipe that holds a whole result, so that the child never waits for its parent to read.
fn result_pipe(size: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // Only the parent's end: the child's write must not come up short.
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let capacity = fcntl(&writer, FcntlArg::F_GETPIPE_SZ)?;
    let size = c_int::try_from(size).map_err(io::Error::other)?;
    if capacity < size {
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(size))?;
    }
    Ok((reader, writer))
}

/// One above the highest descriptor that this process can have open, or rather within reason.
pub(super) fn close_below() -> c_int {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((MAX_CLOSED, MAX_CLOSED));
    c_int::try_from(soft.min(MAX_CLOSED)).unwrap_or(c_int::MAX)
}

/// Reaps `pid` if it has ended, otherwise remembers it for later; and tries those remembered.
pub(super) fn abandon(pid: Pid) {
    let Some(mut abandoned) = abandoned() else {
        return;
    };
    abandoned.push(pid);
    abandoned.retain(|pid| is_running(*pid));
}

/// The list. In a child that was set apart it is not waited for: another thread may have had it at
/// the fork, and there is none there to give it back. Who is not entered is reaped by init.
fn abandoned() -> Option<MutexGuard<'static, Vec<Pid>>> {
    if is_apart() {
        ABANDONED.try_lock().ok()
    } else {
        ABANDONED.lock().ok()
    }
}

/// Whether a child still runs; reaps it if not.
fn is_running(pid: Pid) -> bool {
    matches!(
        waitpid(pid, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    )
}

/// Workers that were given up on or have just passed on their result, and may still run. They
/// are reaped by the next worker's start or end, or by init when this process is gone.
static ABANDONED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Where closing descriptors one by one ends (kernels before 5.9 only): far above what
/// programs open, and a tenth of a second of system calls.
const MAX_CLOSED: u64 = 65_536;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sys::stat::Mode;
    use nix::unistd::{mkfifo, pause};

    use super::super::command::SgData;
    use super::*;
    use crate::sys::apart::Apart;

    const COMMAND: fn(SgData) -> SgCommand = |data| SgCommand {
        cdb: vec![0x12, 0, 0, 0, 36, 0],
        data,
        timeout_ms: 1000,
    };

    /// The child that has a map suspended was forked while another thread started a worker.
    #[test]
    fn a_child_set_apart_waits_for_no_other_thread() {
        let held = ABANDONED.lock().unwrap();
        let child = Apart::start(|| {
            let worker = SgWorker::spawn(Path::new("/dev/null"), &COMMAND(SgData::None));
            drop(worker);
            b"done".to_vec()
        });
        let ended = child.unwrap().wait(Duration::from_secs(10));
        drop(held);
        assert_eq!(ended.unwrap(), b"done");
    }

    /// The result of a command to something that is no SCSI device.
    fn answer(node: &str, data: SgData) -> Result<SgReply, SgError> {
        let worker = SgWorker::spawn(Path::new(node), &COMMAND(data)).unwrap();
        assert_eq!(wait(&[&worker], None).unwrap(), [0]);
        worker.finish()
    }

    /// A child that never answers. All signals are blocked, so `pause` never returns.
    fn hang(job: Job<'_>) -> ! {
        child::close_all_but(job.pipe, job.close_below);
        loop {
            pause();
        }
    }

    fn hanging() -> SgWorker {
        SgWorker::spawn_child(Path::new("/"), &COMMAND(SgData::None), hang).unwrap()
    }

    /// The state of a process as in `/proc/PID/stat`; `None` if there is none.
    fn state(pid: Pid) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn open_descriptors(pid: Pid) -> usize {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count()
    }

    /// Waits for what needs no time but that of other processes.
    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "not within 20 s: {what}"
            );
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_no_scsi_device_is_named_by_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(fifo.metadata().unwrap().file_type().is_fifo());
        let refused = Err(SgError::Ioctl(Errno::ENOTTY));
        assert_eq!(answer("/dev/null", SgData::None), refused);
        assert_eq!(answer("/", SgData::In(36)), refused);
        assert_eq!(
            answer(fifo.to_str().unwrap(), SgData::Out(vec![0; 24])),
            refused
        );
        let missing = folder.path().join("missing");
        let missing = answer(missing.to_str().unwrap(), SgData::None);
        assert_eq!(missing, Err(SgError::Open(Errno::ENOENT)));
        assert_eq!(
            answer("/dev/null/x", SgData::None),
            Err(SgError::Open(Errno::ENOTDIR))
        );
    }

    #[test]
    fn a_node_with_a_zero_byte_is_refused() {
        let error = SgWorker::spawn(Path::new("/dev/\0"), &COMMAND(SgData::None)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    /// The child writes more than a pipe holds by default while nobody reads.
    #[test]
    fn the_largest_result_fits_the_pipe() {
        let refused = Err(SgError::Ioctl(Errno::ENOTTY));
        assert_eq!(answer("/dev/null", SgData::In(256 << 10)), refused);
    }

    #[test]
    fn waiting_names_those_that_have_answered() {
        let first = hanging();
        let second = SgWorker::spawn(Path::new("/dev/null"), &COMMAND(SgData::None)).unwrap();
        let third = hanging();
        let workers = [&first, &second, &third];
        assert_eq!(wait(&workers, Some(Duration::from_secs(60))).unwrap(), [1]);
        let start = Instant::now();
        let timeout = Duration::from_millis(20);
        assert_eq!(wait(&[&first, &third], Some(timeout)).unwrap(), []);
        assert!(start.elapsed() >= timeout);
        assert_eq!(wait(&[&first], Some(Duration::ZERO)).unwrap(), []);
        assert_eq!(wait(&[], None).unwrap(), []);
        assert_eq!(first.finish(), Err(SgError::Unanswered));
    }

    #[test]
    fn dropping_a_hanging_worker_kills_and_reaps_it() {
        let worker = hanging();
        let pid = worker.pid;
        drop(worker);
        eventually("reaped", || {
            abandoned_workers();
            state(pid).is_none()
        });
    }

    /// As a child in the kernel: not even SIGCONT would get it to notice anything.
    #[test]
    fn dropping_a_stopped_worker_does_not_wait() {
        let worker = hanging();
        let pid = worker.pid;
        kill(pid, Signal::SIGSTOP).unwrap();
        eventually("stopped", || state(pid) == Some('T'));
        drop(worker);
        eventually("gone", || {
            abandoned_workers();
            state(pid).is_none()
        });
    }

    #[test]
    fn a_killed_worker_is_a_dead_worker() {
        let worker = hanging();
        kill(worker.pid, Signal::SIGKILL).unwrap();
        assert_eq!(wait(&[&worker], None).unwrap(), [0]);
        assert_eq!(worker.finish(), Err(SgError::WorkerDied));
    }

    /// Whoever reads the parent's output until its end must not wait for a child that hangs.
    #[test]
    fn a_worker_holds_none_of_its_parents_descriptors() {
        let (mut reader, writer) = io::pipe().unwrap();
        // As standard output is: without close-on-exec, and this one also in the way of the
        // descriptors that are closed below and above the worker's own.
        fcntl(&writer, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let worker = hanging();
        let copy = writer.try_clone().unwrap();
        let other = hanging();
        drop((writer, copy));
        let mut end = [0];
        assert_eq!(reader.read(&mut end).unwrap(), 0);
        eventually("only its pipe is open", || {
            open_descriptors(worker.pid) == 1
        });
        assert_eq!(wait(&[&worker, &other], Some(Duration::ZERO)).unwrap(), []);
    }

    #[test]
    fn descriptors_can_be_closed_one_by_one() {
        fn close_singly(job: Job<'_>) -> ! {
            child::close_singly(job.pipe, job.close_below);
            loop {
                pause();
            }
        }
        let command = COMMAND(SgData::None);
        let worker = SgWorker::spawn_child(Path::new("/"), &command, close_singly).unwrap();
        eventually("only its pipe is open", || {
            open_descriptors(worker.pid) == 1
        });
    }

    /// Forking while other threads hold the allocator's locks, or have signals handled.
    #[test]
    fn workers_start_from_many_threads() {
        static DONE: AtomicBool = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !DONE.load(Ordering::Relaxed) {
                        (1..64).for_each(|n| drop(std::hint::black_box(vec![0_u8; n * 100])));
                    }
                });
            }
            let spawners: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            let refused = Err(SgError::Ioctl(Errno::ENOTTY));
                            assert_eq!(answer("/dev/null", SgData::In(36)), refused);
                        }
                    })
                })
                .collect();
            let results: Vec<_> = spawners.into_iter().map(|thread| thread.join()).collect();
            DONE.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok));
        });
    }

    #[test]
    fn the_signal_mask_is_as_before() {
        let mask = || SigSet::thread_get_mask().unwrap();
        let before = mask();
        drop(hanging());
        assert_eq!(mask(), before);
    }
}
