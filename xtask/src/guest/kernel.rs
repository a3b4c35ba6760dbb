//! The kernel's file systems (sysfs, configfs) as calls: each says which file it was about.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::error::{Context, Result};

/// Writes an attribute, with the line's end that some insist on (a SCSI device's `state`).
pub(super) fn write(path: &Path, value: &str) -> Result {
    fs::write(path, format!("{value}\n"))
        .context(|| format!("cannot write '{value}' to {}", path.display()))
}

/// Reads an attribute, without the line's end.
pub(super) fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// Makes a folder and those above it: in configfs, objects.
pub(super) fn make(path: &Path) -> Result {
    fs::create_dir_all(path).context(|| format!("cannot make {}", path.display()))
}

/// Makes a symbolic link: in configfs, a relation.
pub(super) fn link(target: &Path, path: &Path) -> Result {
    symlink(target, path).context(|| format!("cannot link {}", path.display()))
}

/// Removes a folder that may be missing.
pub(super) fn remove(path: &Path) {
    let _ = fs::remove_dir(path);
}

/// Removes a link that may be missing.
pub(super) fn unlink(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The names in a folder, sorted; none if it is missing.
pub(super) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
