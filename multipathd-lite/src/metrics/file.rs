//! The process that writes the file. The folder may lie on a disk that does not answer, and a
//! process with a thread that waits for such a disk cannot be ended: so it is not the daemon's.
//!
//! ```text
//!   daemon                       multipathd-lite --write-metrics FILE
//!   ------                       -------------------------------------
//!   length, text ──── stdin ──▶  write FILE.new, rename it to FILE
//!   ◀─────────────── stdout ──   a line: empty, or what went wrong
//! ```
//!
//! It ends when nobody writes to it any more.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The life of that process.
///
/// # Errors
/// Its ends of the pipes are broken: the daemon is gone.
pub fn serve(file: &Path, texts: &mut impl Read, results: &mut impl Write) -> io::Result<()> {
    let mut length = [0; 8];
    loop {
        match texts.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut text = Vec::new();
        let length = u64::from_le_bytes(length);
        texts.take(length).read_to_end(&mut text)?;
        if text.len() as u64 != length {
            return Ok(());
        }
        let result = match replace(file, &text) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        writeln!(results, "{}", result.replace('\n', " "))?;
        results.flush()?;
    }
}

/// Whoever reads finds the old text or the new one. Nothing is synced: after a crash it is out
/// of date anyway.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let beside = beside(file);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(text));
    written
        .and_then(|()| fs::rename(&beside, file))
        .inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
}

/// A name that the collector does not read: it wants `.prom` at the end.
fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let length = (text.len() as u64).to_le_bytes();
        [length.as_slice(), text.as_bytes()].concat()
    }

    #[test]
    fn each_text_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.prom");
        let mut results = Vec::new();
        let texts = [message("a long one\n"), message("b\n"), vec![9]].concat();
        serve(&file, &mut texts.as_slice(), &mut results).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "b\n");
        assert_eq!(results, b"\n\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_said_and_the_next_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let mut results = Vec::new();
        let texts = [message("a"), message("b")].concat();
        let file = dir.path().join("none/m.prom");
        serve(&file, &mut texts.as_slice(), &mut results).unwrap();
        let results = String::from_utf8(results).unwrap();
        assert_eq!(results.matches("No such file or directory").count(), 2);
    }
}
