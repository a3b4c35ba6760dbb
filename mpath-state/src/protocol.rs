//! The multipathd socket as types: where it is, how a message is framed, what can be asked
//! and answered. No socket is opened here; whoever owns the connection uses
//! [`encode`] and [`FrameDecoder`], [`Command`] and [`Reply`].
//!
//! The same protocol is spoken by multipath-tools' `multipathd`, so that either program can
//! be swapped for its counterpart.

mod cli_words;
mod command;
mod frame;
mod reply;

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

pub use command::{Command, CommandError, DeviceId, Show, Verb};
pub use frame::{FrameDecoder, FrameError, LENGTH_BYTES, encode};
pub use reply::{Reply, ReplyError};

/// Name of the abstract socket, without the leading NUL byte of its address.
pub const ABSTRACT_SOCKET_NAME: &str = "/org/kernel/linux/storage/multipathd";

/// Path of the socket in the file system; newer versions listen on both.
pub const SOCKET_PATH: &str = "/run/multipathd.socket";

/// Environment variable that names another socket, for clients only; see
/// [`SocketAddress::candidates`].
pub const SOCKET_ENV: &str = "MULTIPATH_SOCKET_NAME";

/// Where a daemon may be listening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// A name in the abstract namespace, without its leading NUL byte.
    Abstract(String),
    /// A path in the file system.
    Path(PathBuf),
}

impl SocketAddress {
    /// The addresses to try, in this order, given the value of [`SOCKET_ENV`]: that one
    /// alone (`@name` is abstract, anything else a path), otherwise the two usual ones.
    #[must_use]
    pub fn candidates(named: Option<&OsStr>) -> Vec<Self> {
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            let path = PathBuf::from(SOCKET_PATH);
            return vec![
                Self::Abstract(ABSTRACT_SOCKET_NAME.to_owned()),
                Self::Path(path),
            ];
        };
        match named.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(name) => vec![Self::Abstract(name.to_owned())],
            None => vec![Self::Path(PathBuf::from(named))],
        }
    }
}

/// `@name` or the path.
impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Longest request a server reads, in bytes, the terminating NUL included. A path list of
/// 1024 paths takes 9 KiB; whoever sends more than this is no client of this protocol.
pub const MAX_REQUEST_LEN: u64 = 65_536;

/// Longest reply a client reads, in bytes, the terminating NUL included. `show maps json` of
/// 1024 maps with 16 paths each is about 16 MiB; twice that is a broken server.
pub const MAX_REPLY_LEN: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_one_socket() {
        let shown = |named: Option<&str>| {
            let candidates = SocketAddress::candidates(named.map(OsStr::new));
            candidates
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let usual = [
            "@/org/kernel/linux/storage/multipathd",
            "/run/multipathd.socket",
        ];
        assert_eq!(shown(None), usual);
        assert_eq!(shown(Some("")), usual);
        assert_eq!(shown(Some("/tmp/x")), ["/tmp/x"]);
        assert_eq!(shown(Some("@x")), ["@x"]);
    }
}
