//! Files that are replaced as a whole: read, replace, remove, set aside. And their names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{LockError, RecordError};

/// The part of a file name that stands for `wwid`: bytes other than letters, digits, `-`,
/// `_` and inner dots are written `%XX`, so that no WWID leaves the directory and no two
/// WWIDs share a file.
pub(crate) fn stem(wwid: &str) -> Result<String, LockError> {
    let mut stem = String::new();
    for (index, byte) in wwid.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if plain || (byte == b'.' && index > 0) {
            stem.push(char::from(byte));
        } else {
            stem.push_str(&format!("%{byte:02X}"));
        }
    }
    let usable = !stem.is_empty() && stem.len() <= MAX_STEM_LEN;
    usable.then_some(stem).ok_or_else(|| LockError::Wwid {
        wwid: wwid.to_owned(),
    })
}

/// `None`: there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_LEN).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io_error("read", path, source)),
    }
}

/// Writes beside, syncs, renames: the path shows the old content or the new at any moment.
/// A file left beside by a crash is overwritten; the map's lock keeps others from it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let beside = with_suffix(path, ".new");
    write_synced(&beside, bytes).map_err(|source| io_error("write", &beside, source))?;
    fs::rename(&beside, path).map_err(|source| io_error("replace", path, source))?;
    sync_directory(path)
}

pub(crate) fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error("remove", path, source)),
        Ok(()) => sync_directory(path),
    }
}

/// Keeps one file of that kind, the latest: a bound, and enough to see what went wrong.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, RecordError> {
    let aside = with_suffix(path, ".corrupt");
    fs::rename(path, &aside).map_err(|source| io_error("move aside", path, source))?;
    Ok(aside)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .clone();
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> Result<(), RecordError> {
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| io_error("sync", dir, source))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> RecordError {
    RecordError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// File names end at 255 bytes; the longest suffix is `.journal.corrupt`.
const MAX_STEM_LEN: usize = 255 - 16;
/// A record of 1024 nexuses takes about 200 KiB; what is longer is cut and so refused.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wwid: &str, expected: Option<&str>) {
        assert_eq!(stem(wwid).ok().as_deref(), expected, "{wwid:?}");
    }

    #[test]
    fn no_wwid_leaves_the_directory() {
        check(
            "3600140535d6d33467aae9a2e30000000",
            Some("3600140535d6d33467aae9a2e30000000"),
        );
        check("../../etc/passwd", Some("%2E.%2F..%2Fetc%2Fpasswd"));
        check("..", Some("%2E."));
        check(".", Some("%2E"));
        check("eui.0025385b61500b4c", Some("eui.0025385b61500b4c"));
        check("a b%/\n\0", Some("a%20b%25%2F%0A%00"));
        check("", None);
        check(&"a".repeat(MAX_STEM_LEN), Some(&"a".repeat(MAX_STEM_LEN)));
        check(&"a".repeat(MAX_STEM_LEN + 1), None);
    }
}
