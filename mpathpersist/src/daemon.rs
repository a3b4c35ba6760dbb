//! Tells a running multipathd what has changed, through its socket.
//!
//! multipath-tools' daemon and multipathd-lite speak the same protocol. A host without any
//! daemon is normal, and a daemon that hangs must not hold a fencing command up: everything
//! here together has one allowance of time. What the device takes between two questions does not
//! count.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mpath_state::protocol::{Command, FrameDecoder, FrameError, Reply, SocketAddress, encode};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::os::fd::AsRawFd;
use thiserror::Error;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Daemon {
    stream: UnixStream,
    address: SocketAddress,
    patience: Duration,
}

/// Why the daemon could not be told.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The socket failed, or the time was up.
    #[error("multipathd at {address}: {source}")]
    Socket {
        /// Where the daemon listens.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The answer was no message of the protocol.
    #[error("multipathd at {address}: {source}")]
    Frame {
        /// Where the daemon listens.
        address: String,
        /// What is wrong with it.
        source: FrameError,
    },
    /// The daemon closed the connection instead of answering.
    #[error("multipathd at {address} closed the connection")]
    Closed {
        /// Where the daemon listens.
        address: String,
    },
}

impl Daemon {
    /// Connects to the first of `addresses` where somebody listens; `None` if nobody does.
    /// All that is asked of the daemon together may take `patience`.
    #[must_use]
    pub fn connect(addresses: &[SocketAddress], patience: Duration) -> Option<Self> {
        addresses.iter().find_map(|address| {
            let stream = open(address).ok()?;
            Some(Self {
                stream,
                address: address.clone(),
                patience,
            })
        })
    }

    /// From now on all together may take no more than `patience`.
    pub fn hurry(&mut self, patience: Duration) {
        self.patience = self.patience.min(patience);
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// The connection failed, or the time was up. After that it cannot be used any more.
    pub fn ask(&mut self, command: &Command) -> Result<Reply, DaemonError> {
        let text = self.ask_text(&command.to_string())?;
        tracing::debug!(%command, reply = text.trim_end(), "multipathd answered");
        Ok(Reply::parse(&text))
    }

    /// Asks one thing in words that need not mean anything here, and gives the answer as it came.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn ask_text(&mut self, command: &str) -> Result<String, DaemonError> {
        let deadline = Instant::now() + self.patience;
        let text = self.ask_until(deadline, command);
        self.patience = deadline.saturating_duration_since(Instant::now());
        text
    }

    fn ask_until(&mut self, deadline: Instant, command: &str) -> Result<String, DaemonError> {
        self.set_timeouts(deadline)
            .map_err(|source| self.socket_error(source))?;
        let request = encode(command);
        self.stream
            .write_all(&request)
            .map_err(|source| self.socket_error(source))?;
        self.receive(deadline)
    }

    fn receive(&mut self, deadline: Instant) -> Result<String, DaemonError> {
        let mut decoder = FrameDecoder::for_replies();
        let mut buffer = [0; READ_CHUNK];
        loop {
            self.set_timeouts(deadline)
                .map_err(|source| self.socket_error(source))?;
            let length = self
                .stream
                .read(&mut buffer)
                .map_err(|source| self.socket_error(source))?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                return Err(DaemonError::Closed {
                    address: self.address.to_string(),
                });
            };
            decoder.push(bytes);
            let address = self.address.to_string();
            let text = decoder
                .poll_text()
                .map_err(|source| DaemonError::Frame { address, source })?;
            if let Some(text) = text {
                return Ok(text);
            }
        }
    }

    fn set_timeouts(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }

    fn socket_error(&self, source: io::Error) -> DaemonError {
        let source = match source.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => source,
        };
        DaemonError::Socket {
            address: self.address.to_string(),
            source,
        }
    }
}

/// Connects without waiting: a daemon whose backlog is full does not answer in time either.
fn open(address: &SocketAddress) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let target = match address {
        SocketAddress::Abstract(name) => UnixAddr::new_abstract(name.as_bytes())?,
        SocketAddress::Path(path) => UnixAddr::new(path)?,
    };
    connect(socket.as_raw_fd(), &target)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

const READ_CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread;

    use tempfile::TempDir;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A daemon that reads one request and answers with `reply`, byte for byte.
    fn daemon(reply: Vec<u8>) -> (TempDir, SocketAddress, thread::JoinHandle<String>) {
        let (dir, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 8];
            stream.read_exact(&mut length).unwrap();
            let mut text = vec![0; usize::try_from(u64::from_ne_bytes(length)).unwrap()];
            stream.read_exact(&mut text).unwrap();
            stream.write_all(&reply).unwrap();
            String::from_utf8(text).unwrap()
        });
        (dir, SocketAddress::Path(path), thread)
    }

    fn place() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("socket");
        (dir, path)
    }

    fn question() -> Command {
        Command::SetPrHold("mpatha".to_owned())
    }

    #[test]
    fn a_daemon_answers() {
        let (_dir, address, thread) = daemon(encode("ok\n"));
        let mut daemon = Daemon::connect(&[address], PATIENCE).unwrap();
        assert_eq!(daemon.ask(&question()).unwrap(), Reply::Ok);
        assert_eq!(thread.join().unwrap(), "setprhold map mpatha\0");
    }

    #[test]
    fn the_first_address_with_a_daemon_is_taken() {
        let (_empty, nobody) = place();
        let (_dir, address, thread) = daemon(encode("fail\n"));
        let addresses = [SocketAddress::Path(nobody), address];
        let mut daemon = Daemon::connect(&addresses, PATIENCE).unwrap();
        assert_ne!(daemon.ask(&question()).unwrap(), Reply::Ok);
        thread.join().unwrap();
    }

    #[test]
    fn without_a_daemon_there_is_no_connection() {
        let (_dir, path) = place();
        assert!(Daemon::connect(&[SocketAddress::Path(path)], PATIENCE).is_none());
    }

    #[test]
    fn a_daemon_that_hangs_costs_its_patience() {
        let (_dir, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let patience = Duration::from_millis(20);
        let mut daemon = Daemon::connect(&[SocketAddress::Path(path)], patience).unwrap();
        let Err(DaemonError::Socket { source, .. }) = daemon.ask(&question()) else {
            panic!("nobody reads, and yet there was an answer");
        };
        assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_left_to_wait_is_never_more_than_before() {
        let (_dir, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let mut daemon = Daemon::connect(&[SocketAddress::Path(path)], PATIENCE).unwrap();
        let patience = Duration::from_millis(20);
        daemon.hurry(patience);
        daemon.hurry(PATIENCE);
        assert_eq!(daemon.patience, patience);
        assert!(daemon.ask(&question()).is_err());
        assert_eq!(daemon.patience, Duration::ZERO);
    }

    #[test]
    fn half_an_answer_is_none() {
        let mut half = encode("ok\n");
        half.truncate(9);
        let (_dir, address, thread) = daemon(half);
        let mut daemon = Daemon::connect(&[address], PATIENCE).unwrap();
        assert!(matches!(
            daemon.ask(&question()),
            Err(DaemonError::Closed { .. })
        ));
        thread.join().unwrap();
    }
}
