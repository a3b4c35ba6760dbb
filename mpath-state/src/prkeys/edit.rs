//! Carries the planned steps out on the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::lines::Step;

/// What is edited: a file, or in tests a disk that fills up or loses its power.
pub(crate) trait Store {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

impl Store for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Writes and syncs in order. If the file cannot grow (the disk is full), it is cut back to
/// `len`, what it had before: nothing was changed then, since a new line comes first.
pub(crate) fn apply(store: &mut dyn Store, len: u64, steps: &[Step]) -> io::Result<()> {
    for step in steps {
        let done = match step {
            Step::Write { offset, bytes } => store.write_at(*offset, bytes),
            Step::Sync => store.sync(),
        };
        if done.is_err() {
            if matches!(step, Step::Write { offset, .. } if *offset >= len) {
                // Best effort: a line without its commit byte is without effect anyway.
                drop(store.truncate(len));
            }
            return done;
        }
    }
    Ok(())
}
