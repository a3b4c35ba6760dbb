//! Adds a line to a file that multipath-tools appends to as well, so that whoever reads the file
//! at any moment, or after a crash at any byte, sees the whole line or a comment.
//!
//! The line is first written with `#` for its first byte and synced; then that one byte puts it
//! in force. The file's own `fcntl` lock, which multipath-tools takes too, is held meanwhile, and
//! the file is never replaced: who waits for the lock would go on with the replaced one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::lock::{LockKind, lock_within};

/// What is to become of the file, given its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing: it is as it has to be.
    Keep,
    /// This line (without line feed) is added.
    Add(String),
    /// The line that begins at this byte becomes a comment.
    Retire(u64),
}

/// Locks the file, which is made when missing, and does what `decide` makes of its text; gives
/// back what `decide` found out.
pub(crate) fn edit<T>(
    path: &Path,
    header: &str,
    decide: impl FnOnce(&str) -> io::Result<(Edit, T)>,
) -> io::Result<T> {
    let mut file = open_locked(path)?;
    let mut text = read(&mut file)?;
    if text.is_empty() {
        file.write_all_at(header.as_bytes(), 0)?;
        text.push_str(header);
    }
    let text_len = file.metadata()?.len();
    let (edit, found) = decide(&text)?;
    match edit {
        Edit::Keep => {}
        Edit::Add(line) => add(&file, text_len, text.ends_with('\n'), &line)?,
        Edit::Retire(at) => {
            file.write_all_at(b"#", at)?;
            file.sync_data()?;
        }
    }
    Ok(found)
}

/// A cut-off line at the end, which has no line feed, gets one first.
fn add(file: &File, at: u64, is_line_complete: bool, line: &str) -> io::Result<()> {
    let Some(first) = line.as_bytes().first() else {
        return Ok(());
    };
    let behind = line.get(1..).unwrap_or_default();
    let feed = if is_line_complete { "" } else { "\n" };
    file.write_all_at(format!("{feed}#{behind}\n").as_bytes(), at)?;
    file.sync_data()?;
    file.write_all_at(&[*first], at + feed.len() as u64)?;
    file.sync_data()
}

/// Opens and locks the file that the path names *now*: an editor may have put another one there
/// meanwhile.
fn open_locked(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if !dir.is_dir() => return Err(error),
            _ => {}
        }
    }
    for _ in 0..MAX_REOPENS {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.open(path)?;
        let Some(file) = lock_within(file, LockKind::RecordWrite, LOCK_TIMEOUT)? else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let (locked, named) = (file.metadata()?, std::fs::metadata(path)?);
        if (locked.dev(), locked.ino()) == (named.dev(), named.ino()) {
            return Ok(file);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// multipath-tools holds the lock for the moment of one edit.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// More than 100 000 entries; whatever is longer is another file.
const MAX_FILE_LEN: u64 = 16 * 1024 * 1024;
/// Nobody replaces the file that often.
const MAX_REOPENS: u32 = 5;
