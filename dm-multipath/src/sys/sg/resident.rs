//! A worker process that stays: for a program that sends commands all day, to which a fork for
//! each would be most of their cost. It comes from a [`Nursery`](super::Nursery).
//!
//! ```text
//!   parent                                worker
//!   ------                                ------
//!   send: node, CDB               ──────▶ open the node, SG_IO (may sleep for minutes), close
//!   poll the socket, receive      ◀────── the whole exchange
//!   … again …                             … again …
//!   drop, or be killed: the end of the socket ──▶ _exit
//! ```
//!
//! It takes one command at a time. As with [`SgWorker`](super::SgWorker), it makes only
//! async-signal-safe calls and allocates nothing; and a parent that is killed leaves nothing
//! behind but workers that hang in the kernel, which end when they are let go.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};

use super::child::{self, carry_out};
use super::command::{DATA_AT, SgCommand, SgData, Transfer, lay_out};
use super::reply::{self, SgError, SgReply};
use crate::sys::abi;

/// A process that carries SCSI commands to the kernel, one at a time.
///
/// As a descriptor ([`AsFd`]) it is readable when there is an answer, or when it has died.
/// Dropping it ends it without waiting, since it may hang in the kernel.
#[derive(Debug)]
pub struct ResidentWorker {
    socket: OwnedFd,
    /// How much data the command under way asked for.
    under_way: Option<usize>,
}

impl ResidentWorker {
    /// The one at the other end of this socket.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            under_way: None,
        }
    }

    /// Sends a command for the device behind `node`; what comes of it is for
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// It is at work; it has died; or the command is none for it, such as one with more than
    /// 8 KiB of data or data for the device.
    pub fn send(&mut self, node: &Path, command: &SgCommand) -> io::Result<()> {
        if self.under_way.is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let (request, requested) = encode(node, command)?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.socket.as_raw_fd(), &request, flags)?;
        self.under_way = Some(requested);
        Ok(())
    }

    /// The answer, if it has come. Never waits.
    pub fn receive(&mut self) -> Option<Result<SgReply, SgError>> {
        let requested = self.under_way?;
        let mut exchange = vec![0; DATA_AT + requested];
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = match recv(self.socket.as_raw_fd(), &mut exchange, flags) {
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            received => received.unwrap_or(0),
        };
        self.under_way = None;
        if received < exchange.len() {
            return Some(Err(SgError::WorkerDied));
        }
        Some(reply::decode(&exchange, requested))
    }
}

impl AsFd for ResidentWorker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 4 | time-out in milliseconds |
/// | 4 | 4 | how much data the device may send |
/// | 8 | 1 | length of the CDB |
/// | [`CDB_AT`] | so many | CDB |
/// | | the rest | the node, with a zero byte |
fn encode(node: &Path, command: &SgCommand) -> io::Result<(Vec<u8>, usize)> {
    command.check()?;
    let requested = match command.data {
        SgData::None => 0,
        SgData::In(length) if length <= MAX_DATA => length,
        SgData::In(_) | SgData::Out(_) => return Err(invalid("no command for this worker")),
    };
    let node = node.as_os_str().as_bytes();
    let length = u32::try_from(requested).map_err(io::Error::other)?;
    let cdb_length = u8::try_from(command.cdb.len()).map_err(io::Error::other)?;
    let request = [
        &command.timeout_ms.to_ne_bytes(),
        &length.to_ne_bytes(),
        [cdb_length].as_slice(),
        &command.cdb,
        node,
        &[0],
    ]
    .concat();
    if node.contains(&0) || request.len() > MAX_REQUEST {
        return Err(invalid("no name of a node"));
    }
    Ok((request, requested))
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// What a worker works with: allocated before anybody forks.
pub(super) struct Buffers {
    request: Vec<u8>,
    exchange: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            request: vec![0; MAX_REQUEST],
            exchange: vec![0; DATA_AT + MAX_DATA],
        }
    }

    /// The worker's whole life.
    pub(super) fn serve(&mut self, socket: RawFd) -> ! {
        child::settle_in(NAME);
        let Self { request, exchange } = self;
        loop {
            let Some(length) = read(socket, request) else {
                child::exit()
            };
            let answer = request
                .get(..length)
                .and_then(|request| answer(request, exchange));
            match answer {
                Some(length) => write(socket, exchange.get(..length).unwrap_or_default()),
                None => child::exit(),
            }
        }
    }
}

/// Carries one request out; how many bytes of the exchange are its answer.
fn answer(request: &[u8], exchange: &mut [u8]) -> Option<usize> {
    let timeout_ms = abi::get_u32(request, 0)?;
    let requested = abi::get_u32(request, 4)?;
    let rest = request.get(CDB_AT..)?;
    let (cdb, node) = rest.split_at_checked(usize::from(*request.get(8)?))?;
    let node = CStr::from_bytes_with_nul(node).ok()?;
    let length = DATA_AT.checked_add(usize::try_from(requested).ok()?)?;
    let exchange = exchange.get_mut(..length)?;
    exchange.fill(0);
    lay_out(exchange, cdb, Transfer::into_buffer(requested), timeout_ms)?;
    if let Some(fd) = carry_out(node, exchange) {
        child::close(fd);
    }
    Some(length)
}

fn read(socket: RawFd, request: &mut [u8]) -> Option<usize> {
    loop {
        // SAFETY: `request` is memory of exactly that length, which nothing else uses.
        let got = unsafe { libc::read(socket, request.as_mut_ptr().cast(), request.len()) };
        match usize::try_from(got) {
            // The parent has closed its end.
            Ok(0) => return None,
            Ok(length) => return Some(length),
            Err(_) if child::errno() == libc::EINTR => {}
            Err(_) => return None,
        }
    }
}

/// A packet is written as a whole. There is room: only one is ever under way.
fn write(socket: RawFd, bytes: &[u8]) {
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` is initialised memory of exactly that length, only read. Without a reader
    // there is an error, which the next read finds as well.
    let _ = unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) };
}

/// At most 15 letters.
const NAME: &CStr = c"path-check";

const CDB_AT: usize = 9;

/// Room for a CDB and the name of a node.
const MAX_REQUEST: usize = 512;

/// The most data that a device may send: two pages for each worker.
const MAX_DATA: usize = 8192;

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, pause};

    use super::super::nursery::Nursery;
    use super::super::nursery::tests::{children, eventually};
    use super::super::worker::fork;
    use super::*;

    const COMMAND: fn(SgData) -> SgCommand = |data| SgCommand {
        cdb: vec![0x12, 0, 0, 0, 36, 0],
        data,
        timeout_ms: 1000,
    };

    /// A worker, the nursery that it is from, and its number.
    fn worker() -> (ResidentWorker, Nursery, u32) {
        let nursery = Nursery::spawn().unwrap();
        let worker = nursery.worker().unwrap();
        eventually("a worker", || !children(nursery.id()).is_empty());
        let id = children(nursery.id())[0];
        (worker, nursery, id)
    }

    fn await_answer(worker: &mut ResidentWorker) -> Result<SgReply, SgError> {
        let mut fds = [PollFd::new(worker.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(20_000_u16)).unwrap(), 1);
        worker.receive().unwrap()
    }

    fn ask(worker: &mut ResidentWorker, node: &str, data: SgData) -> Result<SgReply, SgError> {
        worker.send(Path::new(node), &COMMAND(data)).unwrap();
        await_answer(worker)
    }

    /// What a process is called; `None` if there is none.
    fn name(id: u32) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{id}/comm")).ok()
    }

    #[test]
    fn one_command_after_the_other() {
        let (mut worker, _nursery, _) = worker();
        let refused = Err(SgError::Ioctl(Errno::ENOTTY));
        for data in [
            SgData::None,
            SgData::In(36),
            SgData::In(MAX_DATA),
            SgData::None,
        ] {
            assert_eq!(ask(&mut worker, "/dev/null", data), refused);
        }
        let missing = ask(&mut worker, "/dev/no/such", SgData::None);
        assert_eq!(missing, Err(SgError::Open(Errno::ENOENT)));
        assert_eq!(ask(&mut worker, "/", SgData::In(1)), refused);
    }

    #[test]
    fn it_keeps_no_node_open() {
        let (mut worker, _nursery, id) = worker();
        for _ in 0..3 {
            let _ = ask(&mut worker, "/dev/null", SgData::None);
        }
        let folder = format!("/proc/{id}/fd");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let (mut worker, _nursery, _) = worker();
        let long = "x".repeat(MAX_REQUEST);
        for (node, data) in [
            ("/dev/null", SgData::Out(vec![0; 24])),
            ("/dev/null", SgData::In(MAX_DATA + 1)),
            ("/dev/\0", SgData::None),
            (&long, SgData::None),
        ] {
            let error = worker.send(Path::new(node), &COMMAND(data)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        worker
            .send(Path::new("/dev/null"), &COMMAND(SgData::None))
            .unwrap();
        let second = worker.send(Path::new("/dev/null"), &COMMAND(SgData::None));
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn there_is_no_answer_without_a_question() {
        let (mut worker, _nursery, _) = worker();
        assert_eq!(worker.receive(), None);
    }

    #[test]
    fn one_that_was_killed_is_dead() {
        let (mut worker, _nursery, id) = worker();
        kill(pid(id), Signal::SIGKILL).unwrap();
        // Whether it dies before or after it has the command.
        if worker
            .send(Path::new("/dev/null"), &COMMAND(SgData::None))
            .is_ok()
        {
            let answer = await_answer(&mut worker);
            let refused = Err(SgError::Ioctl(Errno::ENOTTY));
            assert!(
                answer == Err(SgError::WorkerDied) || answer == refused,
                "{answer:?}"
            );
        }
    }

    #[test]
    fn it_ends_when_it_is_dropped() {
        let (worker, _nursery, id) = worker();
        eventually("it has its name", || {
            name(id).as_deref() == Some("path-check\n")
        });
        drop(worker);
        eventually("it is gone", || name(id).is_none());
    }

    /// A parent that was killed closes its ends, and kills nobody.
    #[test]
    fn it_ends_when_its_parent_does() {
        let (numbers, number) = std::io::pipe().unwrap();
        let parent = fork(|| {
            // Allocating after a fork: glibc makes that safe, and this is a test.
            let (_worker, nursery, id) = worker();
            let ids = [nursery.id().to_ne_bytes(), id.to_ne_bytes()].concat();
            let _ = nix::unistd::write(&number, &ids);
            loop {
                pause();
            }
        });
        drop(number);
        let mut ids = [0; 8];
        io::Read::read_exact(&mut &numbers, &mut ids).unwrap();
        kill(parent.unwrap(), Signal::SIGKILL).unwrap();
        for id in ids.chunks(4) {
            let id = u32::from_ne_bytes(id.try_into().unwrap());
            eventually("it is gone, or a zombie of whoever adopts it", || {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
                stat.map_or(true, |stat| stat.contains(") Z "))
            });
        }
    }

    fn pid(id: u32) -> Pid {
        Pid::from_raw(id.try_into().unwrap())
    }
}
