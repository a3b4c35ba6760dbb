//! What can go wrong with a map's lock, record and journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The map could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else is at work on it.
    #[error(
        "{wwid}: {} has been working on this map for more than {} s; wait for it or end it",
        Who(holder.as_ref()), waited.as_secs_f32()
    )]
    Held {
        /// The map.
        wwid: String,
        /// Who has it, as far as can be told.
        holder: Option<Holder>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A call on the lock file or its directory failed.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No file can be named after it.
    #[error("{wwid:?} is not the WWID of a map")]
    Wwid {
        /// The WWID.
        wwid: String,
    },
}

/// The process that holds a map's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id. When that process is gone, a child that it started still has the lock.
    pub pid: u32,
    /// Its name, while it lives.
    pub command: Option<String>,
}

impl Holder {
    /// What the holder wrote into the lock file; `None` in the moment before it did.
    pub(crate) fn read(lock_file: &Path) -> Option<Self> {
        let pid = std::fs::read_to_string(lock_file)
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        Some(Self {
            pid,
            command: command.map(|name| name.trim_end().to_owned()),
        })
    }
}

/// `process 12 (mpathpersist)`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "process {} ({command})", self.pid),
            None => write!(f, "a child of process {}, which has ended,", self.pid),
        }
    }
}

struct Who<'a>(Option<&'a Holder>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => holder.fmt(f),
            None => f.write_str("another process"),
        }
    }
}

/// The record or the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A call on the file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What stands in the file is not what this program writes.
    #[error(
        "{} cannot be understood: {reason}; what is registered on this map is not known \
         until it is read from the device{}",
        path.display(), Moved(moved_to.as_deref())
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where it is now, if it was moved.
        moved_to: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// A later program wrote it. It stays where it is.
    #[error(
        "{} has version {found}, and this program knows {newest} at most: use the program \
         that wrote it", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        newest: u32,
    },
    /// A record was to be written under another map's lock.
    #[error("the record of {wwid} cannot be written while {locked} is locked")]
    OtherMap {
        /// The record's map.
        wwid: String,
        /// The locked map.
        locked: String,
    },
    /// No file can be named after it.
    #[error("{wwid:?} is not the WWID of a map")]
    Wwid {
        /// The WWID.
        wwid: String,
    },
}

struct Moved<'a>(Option<&'a Path>);

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| {
            write!(f, "; the file is kept as {}", path.display())
        })
    }
}
