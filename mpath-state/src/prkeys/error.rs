//! What can go wrong with the prkeys file, told with the file's name and what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The prkeys file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PrKeysError {
    /// The directory of the file is missing and could not be made.
    #[error("cannot create the directory {}: {source}; make it and try again", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A call on the file failed.
    #[error("cannot {operation} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody held the lock all the time.
    #[error(
        "{} has been locked{} for more than {} s; see who has it open (fuser -v {}) and try again",
        path.display(), by(*holder), waited.as_secs_f32(), path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process that holds it, where the kernel tells.
        holder: Option<u32>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Each time the lock was got, another file stood at the path.
    #[error("{} is being replaced again and again; see what writes it", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The line for this map is not as multipath-tools and this program write it.
    #[error(
        "{}:{line}: the entry of {wwid} is not '0x' or '0X', 16 hexadecimal digits, a blank \
         and the WWID; correct or delete the line",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The map.
        wwid: String,
    },
    /// No entry can be kept under such a WWID.
    #[error("{wwid:?} cannot stand in the prkeys file: it is not a WWID")]
    Wwid {
        /// The WWID.
        wwid: String,
    },
    /// Key 0 means "not registered" and cannot be stored.
    #[error("reservation key 0 cannot be stored for {wwid}; remove its entry instead")]
    ZeroKey {
        /// The map.
        wwid: String,
    },
}

/// What was tried on the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening it.
    Open,
    /// Locking it.
    Lock,
    /// Reading it.
    Read,
    /// Writing it.
    Write,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was changed, make room and try again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable, or give the key in multipath.conf: reservation_key 0x…"
        }
        io::ErrorKind::PermissionDenied => "; only root may use it",
        _ => "",
    }
}

fn by(holder: Option<u32>) -> String {
    holder
        .map(|pid| format!(" by process {pid}"))
        .unwrap_or_default()
}
