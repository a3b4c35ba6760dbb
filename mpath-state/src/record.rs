//! What this node did on a map and must not forget while the map lives: one record per map
//! with its lock and its journal, below `/run/mpath-pr`.
//!
//! ```text
//! /run/mpath-pr/WWID.lock          locked with flock for as long as somebody works on the map
//! /run/mpath-pr/WWID.json          the record: replaced as a whole, never half written
//! /run/mpath-pr/WWID.journal       there only while a change is under way, or was cut off
//! /run/mpath-pr/WWID.json.corrupt  a record that could not be read, for a person to look at
//! ```
//!
//! The lock file is never removed: locks follow the inode. The lock goes with the open file,
//! so a child process that inherits it keeps the map locked when its parent is killed.

mod error;
mod files;
mod intent;
mod json;
mod map_record;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{Holder, LockError, RecordError};
pub use intent::Intent;
pub use map_record::{ArrayTraits, MapRecord, Nexus};

use crate::lock::{LockKind, lock_within};

/// The directory of all records.
#[derive(Clone, Debug)]
pub struct RecordDir {
    path: PathBuf,
}

impl RecordDir {
    /// Where both programs look: a file system that is empty after a reboot, as this node's
    /// registrations are then of no use.
    pub const DEFAULT_PATH: &str = "/run/mpath-pr";

    /// Records below `path`, which is made with the first lock.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Locks the map for this process alone, waiting at most `timeout` for whoever works on
    /// it. `wwid` is the map's UUID without `mpath-`.
    ///
    /// # Errors
    /// Somebody else held the lock all the time, or the lock file cannot be made.
    pub fn lock(&self, wwid: &str, timeout: Duration) -> Result<MapLock, LockError> {
        let stem = files::stem(wwid)?;
        let path = self.path.join(format!("{stem}.lock"));
        let file = self.open_lock(&path)?;
        let locked =
            lock_within(file, LockKind::Flock, timeout).map_err(|source| LockError::Io {
                path: path.clone(),
                source,
            })?;
        let file = locked.ok_or_else(|| LockError::Held {
            wwid: wwid.to_owned(),
            holder: Holder::read(&path),
            waited: timeout,
        })?;
        note_holder(&file).map_err(|source| LockError::Io { path, source })?;
        Ok(MapLock {
            dir: self.path.clone(),
            stem,
            wwid: wwid.to_owned(),
            file,
        })
    }

    /// The record as it stands, without a lock and without touching anything: for showing.
    /// It may be about to change.
    ///
    /// # Errors
    /// The record cannot be read or understood.
    pub fn peek(&self, wwid: &str) -> Result<Option<MapRecord>, RecordError> {
        let stem = files::stem(wwid).map_err(|_| RecordError::Wwid {
            wwid: wwid.to_owned(),
        })?;
        let path = self.path.join(format!("{stem}.json"));
        json::read_record(&path, wwid)
    }

    /// What is under way on a map, or was cut off, without a lock and without touching anything:
    /// for showing. Whether its process is still at work has to be found out otherwise.
    ///
    /// # Errors
    /// The journal cannot be read or understood.
    pub fn peek_journal(&self, wwid: &str) -> Result<Option<Intent>, RecordError> {
        let path = Self::journal_path(&self.path, wwid);
        let path = path.ok_or_else(|| RecordError::Wwid {
            wwid: wwid.to_owned(),
        })?;
        json::read_intent(&path)
    }

    /// Where the journal of a map is, while something is under way or was cut off; `None` if no
    /// map has such a WWID.
    #[must_use]
    pub fn journal_path(dir: &Path, wwid: &str) -> Option<PathBuf> {
        let stem = files::stem(wwid).ok()?;
        Some(dir.join(format!("{stem}.journal")))
    }

    /// The name of a map's lock file below the directory.
    #[must_use]
    pub fn lock_name(wwid: &str) -> Option<String> {
        Some(format!("{}.lock", files::stem(wwid).ok()?))
    }

    fn open_lock(&self, path: &Path) -> Result<File, LockError> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(source) if !self.path.is_dir() => {
                return Err(LockError::Io {
                    path: self.path.clone(),
                    source,
                });
            }
            _ => {}
        }
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .clone();
        options.open(path).map_err(|source| LockError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

/// The map is ours until this is dropped.
#[derive(Debug)]
pub struct MapLock {
    dir: PathBuf,
    stem: String,
    wwid: String,
    file: File,
}

impl MapLock {
    /// The map's WWID.
    #[must_use]
    pub fn wwid(&self) -> &str {
        &self.wwid
    }

    /// The record; `None` when this node never did anything on the map.
    ///
    /// # Errors
    /// The record cannot be read; one that cannot be understood is moved aside, so that the
    /// next call gives `None`. What it knew is then unknown, not unset.
    pub fn read(&self) -> Result<Option<MapRecord>, RecordError> {
        json::set_corrupt_aside(json::read_record(&self.record_path(), &self.wwid))
    }

    /// Replaces the record: whoever reads it, also after a crash, sees the old or the new.
    ///
    /// # Errors
    /// The record is of another map, or cannot be written; the old one stands then.
    pub fn write(&self, record: &MapRecord) -> Result<(), RecordError> {
        if record.wwid != self.wwid {
            let (wwid, locked) = (record.wwid.clone(), self.wwid.clone());
            return Err(RecordError::OtherMap { wwid, locked });
        }
        json::write(&self.record_path(), record)
    }

    /// What is under way on the map.
    #[must_use]
    pub const fn journal(&self) -> Journal<'_> {
        Journal { lock: self }
    }

    fn record_path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.stem))
    }
}

/// The locked file, for a child process that has to keep the lock over `exec` or after
/// closing everything else.
impl AsFd for MapLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A change that was announced and is not finished. It can be seen only by whoever holds
/// the lock, so what is found in it was left behind by a process that died.
#[derive(Debug)]
pub struct Journal<'a> {
    lock: &'a MapLock,
}

impl Journal<'_> {
    /// What a process that died meant to do; `None`: nothing is open.
    ///
    /// # Errors
    /// As [`MapLock::read`].
    pub fn read(&self) -> Result<Option<Intent>, RecordError> {
        json::set_corrupt_aside(json::read_intent(&self.path()))
    }

    /// Announces a change, or a further step of it, in place of what was announced before.
    ///
    /// # Errors
    /// It cannot be written; what was announced before stands then.
    pub fn write(&self, intent: &Intent) -> Result<(), RecordError> {
        json::write(&self.path(), intent)
    }

    /// The change is finished, or undone.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn clear(&self) -> Result<(), RecordError> {
        files::remove(&self.path())
    }

    fn path(&self) -> PathBuf {
        self.lock.dir.join(format!("{}.journal", self.lock.stem))
    }
}

/// For whoever waits in vain: who it is waiting for.
fn note_holder(file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
}
