//! Where worker processes come from that stay: a process forked before its parent knows anything,
//! which forks them when they are wanted. However large the parent has become, they are small, and
//! keep none of its pages.
//!
//! ```text
//!   parent                        nursery                     worker
//!   ------                        -------                     ------
//!   fork early            ──────▶ close all but its socket
//!   socket pair, send one end ──▶ receive it, fork  ────────▶ close all but that end, serve it
//! ```
//!
//! Whoever drops its end of a worker's socket has ended it. The nursery ends with its parent.

use std::ffi::CStr;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use nix::unistd::Pid;

use super::child::{self, close_all_but};
use super::resident::{Buffers, ResidentWorker};
use super::worker::{abandon, abandoned_workers, close_below, fork};
use crate::sys::abi;

/// A process that starts [`ResidentWorker`]s. Dropping it ends it, but none of its workers.
#[derive(Debug)]
pub struct Nursery {
    pid: Pid,
    socket: OwnedFd,
}

impl Nursery {
    /// Forks it. It keeps the pages that this process has now: the earlier the better.
    ///
    /// # Errors
    /// There is no memory, process or descriptor left.
    pub fn spawn() -> io::Result<Self> {
        let (ours, theirs) = pair()?;
        let mut buffers = Buffers::new();
        let close_below = close_below();
        abandoned_workers();
        let socket = theirs.as_raw_fd();
        let pid = fork(|| {
            close_all_but(socket, close_below);
            child::settle_in(NAME);
            child::reap_by_itself();
            tend(socket, &mut buffers, close_below)
        })?;
        Ok(Self { pid, socket: ours })
    }

    /// Starts a worker. It may fail later: then it is dead when it is asked something.
    ///
    /// # Errors
    /// There is no descriptor left, or the nursery has been killed.
    pub fn worker(&self) -> io::Result<ResidentWorker> {
        let (ours, theirs) = pair()?;
        let rights = [theirs.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&rights)];
        let mark = [IoSlice::new(&[0])];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &mark, &rights, flags, None)?;
        Ok(ResidentWorker::new(ours))
    }

    /// Its process id, for messages about it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // It may have ended; it is not reaped yet, so the number is still its own.
        let _ = kill(self.pid, Signal::SIGKILL);
        abandon(self.pid);
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    Ok(pair)
}

/// The nursery's whole life, with buffers for its children that its parent has allocated.
fn tend(socket: RawFd, buffers: &mut Buffers, close_below: i32) -> ! {
    loop {
        let Some(end) = receive(socket) else {
            child::exit()
        };
        if child::fork() == Some(0) {
            close_all_but(end, close_below);
            buffers.serve(end);
        }
        // If there was no process left, this is how the parent hears of it.
        child::close(end);
    }
}

/// The next descriptor; `None` when the parent has closed its end.
fn receive(socket: RawFd) -> Option<RawFd> {
    loop {
        let mut mark = [0_u8];
        let mut control = [0_u8; CONTROL];
        let mut data = libc::iovec {
            iov_base: mark.as_mut_ptr().cast(),
            iov_len: mark.len(),
        };
        // SAFETY: all of it is numbers and pointers, of which zero is a valid value.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = control.len() as _;
        // SAFETY: the message names `mark` and `control` with their lengths; both outlive the call,
        // and the kernel writes no more than that.
        let got = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match got {
            1 => {}
            -1 if child::errno() == libc::EINTR => continue,
            _ => return None,
        }
        // One descriptor behind the head of the only control message.
        let number = abi::get_u32(&control, size_of::<libc::cmsghdr>())?;
        return RawFd::try_from(number).ok();
    }
}

/// At most 15 letters.
const NAME: &CStr = c"path-nursery";

/// Room for one control message with one descriptor (`CMSG_SPACE(4)`).
const CONTROL: usize = size_of::<libc::cmsghdr>() + size_of::<usize>();

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// The processes that a process has started.
    pub(in super::super) fn children(parent: u32) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        all.filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
            fields.and_then(|fields| fields.split(' ').nth(1)) == Some(&parent.to_string())
        })
        .collect()
    }

    pub(in super::super) fn eventually(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            let late = start.elapsed() > Duration::from_secs(20);
            assert!(!late, "not within 20 s: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn its_workers_come_and_go_without_a_trace() {
        let nursery = Nursery::spawn().unwrap();
        let workers: Vec<_> = (0..3).map(|_| nursery.worker().unwrap()).collect();
        eventually("three workers", || children(nursery.id()).len() == 3);
        drop(workers);
        // Nobody waits for them: they are reaped by the kernel.
        eventually("no worker", || children(nursery.id()).is_empty());
    }

    #[test]
    fn its_workers_are_small_however_large_its_parent_is() {
        let nursery = Nursery::spawn().unwrap();
        let large = vec![1_u8; 256 << 20];
        let _worker = nursery.worker().unwrap();
        eventually("a worker", || !children(nursery.id()).is_empty());
        let status = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let text = status(&children(nursery.id())[0]);
        let line = text
            .lines()
            .find(|line| line.starts_with("VmSize:"))
            .unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kib < large.len() / 1024, "{line}");
    }

    #[test]
    fn one_that_was_killed_starts_nobody() {
        let nursery = Nursery::spawn().unwrap();
        let worker = nursery.worker().unwrap();
        kill(nursery.pid, Signal::SIGKILL).unwrap();
        eventually("it is dead", || nursery.worker().is_err());
        drop(worker);
    }
}
