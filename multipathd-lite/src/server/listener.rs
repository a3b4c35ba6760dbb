//! Where clients connect.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;

use mpath_state::protocol::SocketAddress;
use nix::sys::socket::{Backlog, listen};

/// A socket that clients connect to. One with a path is removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: Option<PathBuf>,
}

impl Listener {
    /// Listens at `address`. A socket that lies at the path already is replaced: whoever calls
    /// this knows that no other daemon is running.
    ///
    /// # Errors
    /// The name is taken, or the path cannot be used.
    pub fn bind(address: &SocketAddress) -> io::Result<Self> {
        let (socket, path) = match address {
            SocketAddress::Abstract(name) => {
                let address = SocketAddr::from_abstract_name(name.as_bytes())?;
                (UnixListener::bind_addr(&address)?, None)
            }
            SocketAddress::Path(path) => {
                if fs::symlink_metadata(path).is_ok_and(|old| old.file_type().is_socket()) {
                    fs::remove_file(path)?;
                }
                let socket = UnixListener::bind(path)?;
                // Who may do what is decided by who it is.
                fs::set_permissions(path, Permissions::from_mode(0o666))?;
                (socket, Some(path.clone()))
            }
        };
        socket.set_nonblocking(true)?;
        listen(&socket, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN))?;
        Ok(Self { socket, path })
    }

    /// The next client; `None`: nobody waits.
    pub(super) fn accept(&self) -> io::Result<Option<UnixStream>> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    return Ok(Some(stream));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Clients that have connected and not been let in yet: a thousand that come at once find room.
const BACKLOG: i32 = 1024;
