//! The link `/dev/mapper/NAME`. udev makes it where it runs; elsewhere whoever makes the map has
//! to, since the kernel makes `/dev/dm-N` only.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::{DeviceNumber, Roots};

/// Whether a udev daemon listens, which then looks after all links.
#[must_use]
pub fn is_udev_running() -> bool {
    fs::exists(UDEV_SOCKET).unwrap_or(false)
}

/// Makes `/dev/mapper/NAME` lead to the map's node, whatever it was before.
///
/// # Errors
/// The folder cannot be written to.
pub fn link(roots: &Roots, name: &str, device: DeviceNumber) -> io::Result<()> {
    let path = path(roots, name)?;
    let target = PathBuf::from("..").join(format!("dm-{}", device.minor));
    if fs::read_link(&path).is_ok_and(|present| present == target) {
        return Ok(());
    }
    // Beside it first: whoever opens the name finds the old link or the new one.
    let beside = path.with_file_name(format!(".{name}.new"));
    remove(&beside)?;
    symlink(target, &beside)?;
    fs::rename(&beside, &path)
}

/// Removes `/dev/mapper/NAME`, if it is there.
///
/// # Errors
/// The folder cannot be written to.
pub fn unlink(roots: &Roots, name: &str) -> io::Result<()> {
    remove(&path(roots, name)?)
}

fn path(roots: &Roots, name: &str) -> io::Result<PathBuf> {
    if name.is_empty() || name.contains('/') || matches!(name, "." | ".." | "control") {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(roots.dev.join("mapper").join(name))
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

const UDEV_SOCKET: &str = "/run/udev/control";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_comes_changes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mapper")).unwrap();
        let roots = Roots {
            dev: dir.path().to_owned(),
            ..Roots::default()
        };
        let leads_to = || fs::read_link(dir.path().join("mapper/mpatha"));
        for minor in [3, 3, 7] {
            link(&roots, "mpatha", DeviceNumber::new(253, minor)).unwrap();
            let expected = PathBuf::from(format!("../dm-{minor}"));
            assert_eq!(leads_to().unwrap(), expected);
        }
        unlink(&roots, "mpatha").unwrap();
        unlink(&roots, "mpatha").unwrap();
        assert!(leads_to().is_err());
        assert_eq!(fs::read_dir(dir.path().join("mapper")).unwrap().count(), 0);
        for name in ["", "..", "a/b", "control"] {
            unlink(&roots, name).unwrap_err();
        }
    }
}
