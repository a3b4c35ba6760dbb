//! The prkeys file, `/etc/multipath/prkeys`: which reservation key belongs to which map, for
//! maps whose configuration says `reservation_key file`. It is shared with multipath-tools.
//!
//! ```text
//! # comment
//! 0x0000000000123abc 3600140535d6d33467aae9a2e30000000     a key
//! 0X0000000000123abc 360014058d777f385d3dfec8810000000     a key with APTPL
//! #x0000000000123abc 36001405b8a9f715dbb64fd5c50000000     a removed entry
//! ```
//!
//! # How it is changed, and why not by rename
//! A new file renamed over the old one is how crash-safe files are usually written. Here it
//! would lose updates: multipath-tools guards the file with an `fcntl` lock *on the file
//! itself* and edits it in place, so a process that waits for that lock would go on to edit
//! the replaced inode, which nobody reads any more. So this module edits in place as well,
//! under the same lock, and gets its atomicity from single bytes.
//!
//! multipath-tools takes the *first* line that ends in ` WWID`, removed or not, for the
//! map's entry. A change is therefore written where it cannot be that line, synced, and then
//! put in force by one byte: the first byte of the line (`#` ↔ `0`) to add or remove, the
//! blank before the WWID (`#` ↔ blank) to let another line be the first. A key change leaves
//! a retired line `#x<old key>#WWID` behind, which the next change uses again: a map never
//! has more than two lines. Whoever reads the file at any moment, or after a crash at any
//! byte, sees the old key or the new one; no other line is ever touched.

mod edit;
mod error;
mod lines;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{Operation, PrKeysError};

use crate::StoredKey;
use crate::lock::{LockKind, lock_within, record_lock_holder};

/// The prkeys file; it need not exist.
#[derive(Clone, Debug)]
pub struct PrKeysFile {
    path: PathBuf,
    lock_timeout: Duration,
}

impl PrKeysFile {
    /// Where multipath-tools has it.
    pub const DEFAULT_PATH: &str = "/etc/multipath/prkeys";

    /// The file at `path`, waiting [`DEFAULT_LOCK_TIMEOUT`] for other users of it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
        }
    }

    /// The same file, waiting at most `timeout` for other users of it.
    #[must_use]
    pub fn with_lock_timeout(self, timeout: Duration) -> Self {
        Self {
            lock_timeout: timeout,
            ..self
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key stored for `wwid`. A missing file or directory stores nothing.
    ///
    /// # Errors
    /// The file cannot be read or locked, or its line for `wwid` is not as it must be.
    pub fn lookup(&self, wwid: &str) -> Result<Option<StoredKey>, PrKeysError> {
        check_wwid(wwid)?;
        let opened = OpenOptions::new().read(true).open(&self.path);
        if matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let file = opened.map_err(|source| self.io_error(Operation::Open, source))?;
        let mut file = self.lock(file, LockKind::RecordRead)?;
        lines::lookup(&self.read_all(&mut file)?, wwid).map_err(|at| self.malformed(at, wwid))
    }

    /// Stores `key` for `wwid`, in place of what was stored before. The file, and the
    /// directory it is in, are made when missing.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup), or the file cannot be written. In every case, also after
    /// a crash, either the former key or the new one is stored, and every other one as before.
    pub fn set(&self, wwid: &str, key: StoredKey) -> Result<(), PrKeysError> {
        if key.key.is_none() {
            return Err(PrKeysError::ZeroKey {
                wwid: wwid.to_owned(),
            });
        }
        self.change(wwid, Some(key))
    }

    /// Removes the key of `wwid`; nothing stored is fine.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn remove(&self, wwid: &str) -> Result<(), PrKeysError> {
        check_wwid(wwid)?;
        match self.path.try_exists() {
            Ok(false) => Ok(()),
            _ => self.change(wwid, None),
        }
    }

    fn change(&self, wwid: &str, key: Option<StoredKey>) -> Result<(), PrKeysError> {
        check_wwid(wwid)?;
        let mut file = self.open_locked_for_writing()?;
        let content = self.read_all(&mut file)?;
        let steps = lines::plan(&content, wwid, key).map_err(|at| self.malformed(at, wwid))?;
        edit::apply(&mut file, content.len() as u64, &steps)
            .map_err(|source| self.io_error(Operation::Write, source))
    }

    /// Opens and locks the file that the path names *now*: an editor may have put another
    /// one there while this process waited.
    fn open_locked_for_writing(&self) -> Result<File, PrKeysError> {
        for _ in 0..MAX_REOPENS {
            let file = self.open_for_writing()?;
            let file = self.lock(file, LockKind::RecordWrite)?;
            if self.is_current(&file) {
                return Ok(file);
            }
        }
        Err(PrKeysError::Replaced {
            path: self.path.clone(),
        })
    }

    fn open_for_writing(&self) -> Result<File, PrKeysError> {
        if let Some(dir) = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            match DirBuilder::new().mode(0o700).create(dir) {
                Err(source) if !dir.is_dir() => {
                    return Err(PrKeysError::Directory {
                        path: dir.to_owned(),
                        source,
                    });
                }
                _ => {}
            }
        }
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .clone();
        options
            .open(&self.path)
            .map_err(|source| self.io_error(Operation::Open, source))
    }

    fn is_current(&self, file: &File) -> bool {
        let identity =
            |meta: io::Result<std::fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
        identity(file.metadata()) == identity(std::fs::metadata(&self.path))
    }

    fn lock(&self, file: File, kind: LockKind) -> Result<File, PrKeysError> {
        let probe = file.try_clone();
        let locked = lock_within(file, kind, self.lock_timeout)
            .map_err(|source| self.io_error(Operation::Lock, source))?;
        locked.ok_or_else(|| PrKeysError::Locked {
            path: self.path.clone(),
            holder: probe.ok().and_then(|probe| record_lock_holder(&probe)),
            waited: self.lock_timeout,
        })
    }

    fn read_all(&self, file: &mut File) -> Result<Vec<u8>, PrKeysError> {
        let mut content = Vec::new();
        file.take(MAX_FILE_LEN + 1)
            .read_to_end(&mut content)
            .map_err(|source| self.io_error(Operation::Read, source))?;
        if content.len() as u64 > MAX_FILE_LEN {
            let source = io::Error::from(io::ErrorKind::FileTooLarge);
            return Err(self.io_error(Operation::Read, source));
        }
        Ok(content)
    }

    fn io_error(&self, operation: Operation, source: io::Error) -> PrKeysError {
        PrKeysError::Io {
            operation,
            path: self.path.clone(),
            source,
        }
    }

    fn malformed(&self, at: lines::Malformed, wwid: &str) -> PrKeysError {
        PrKeysError::Malformed {
            path: self.path.clone(),
            line: at.line,
            wwid: wwid.to_owned(),
        }
    }
}

/// multipath-tools holds the lock for the moment of one edit; one that holds it for longer
/// than this hangs.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// multipath-tools' own limit for a WWID (128 bytes with the NUL).
const MAX_WWID_LEN: usize = 127;
/// More than 100 000 entries; whatever is longer is not a prkeys file.
const MAX_FILE_LEN: u64 = 16 * 1024 * 1024;
/// Nobody replaces the file that often; a bound against going round for ever.
const MAX_REOPENS: u32 = 5;

/// A line feed would make two lines of an entry; blanks around it would not be found again.
fn check_wwid(wwid: &str) -> Result<(), PrKeysError> {
    let usable = !wwid.is_empty()
        && wwid.len() <= MAX_WWID_LEN
        && wwid.trim() == wwid
        && !wwid.bytes().any(|byte| byte.is_ascii_control());
    usable.then_some(()).ok_or_else(|| PrKeysError::Wwid {
        wwid: wwid.to_owned(),
    })
}
