//! Carries the planned steps out on the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::lines::Step;

/// Writes and syncs in order. If the file cannot grow (the disk is full), it is cut back to
/// `len`, what it had before: nothing was changed then, since a new line comes first.
pub(crate) fn apply(file: &File, len: u64, steps: &[Step]) -> io::Result<()> {
    for step in steps {
        let done = match step {
            Step::Write { offset, bytes } => file.write_all_at(bytes, *offset),
            Step::Sync => file.sync_data(),
        };
        if done.is_err() {
            undo_growth(file, len, step);
            return done;
        }
    }
    Ok(())
}

/// Best effort: what stands at the end without its commit byte is without effect anyway.
fn undo_growth(file: &File, len: u64, failed: &Step) {
    if matches!(failed, Step::Write { offset, .. } if *offset >= len) {
        drop(file.set_len(len));
    }
}
