//! Having the kernel read again what a disk says of itself, its size above all.
//!
//! A disk that appears, or is set running, under a reservation for exclusive access refuses to tell
//! its size to a nexus that is not registered, and the kernel takes it for a disk of no size: all
//! I/O is *beyond the end of the device*, also once the nexus is registered. The kernel asks the
//! disk while the attribute is written, so this is the work of a child as well.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use super::child;
use super::command::{SgCommand, SgData};
use super::reply::SgError;
use super::worker::{SgWorker, wait};

/// Why a disk was not read again.
#[derive(Debug, thiserror::Error)]
pub enum RescanError {
    /// There is no such attribute: the disk is gone.
    #[error("cannot open it: {}", .0.desc())]
    Open(Errno),
    /// The kernel does not want to.
    #[error("the kernel refuses: {}", .0.desc())]
    Refused(Errno),
    /// The disk did not answer in time; the kernel goes on asking.
    #[error("the disk did not answer in time")]
    Unanswered,
    /// There is no process to be had.
    #[error("no worker process: {0}")]
    NoWorker(#[from] io::Error),
}

/// Has the kernel read a disk again, by its attribute `rescan` in sysfs, and waits at most
/// `patience` for that.
///
/// # Errors
/// It could not be asked, or did not end in time.
pub fn rescan(attribute: &Path, patience: Duration) -> Result<(), RescanError> {
    // What it needs of a command is the room for the result.
    let nothing = SgCommand {
        cdb: vec![0; 6],
        data: SgData::None,
        timeout_ms: 0,
    };
    let worker = SgWorker::spawn_child(attribute, &nothing, child::trigger)?;
    wait(&[&worker], Some(patience))?;
    match worker.finish() {
        Ok(_) => Ok(()),
        Err(SgError::Open(errno)) => Err(RescanError::Open(errno)),
        Err(SgError::Ioctl(errno)) => Err(RescanError::Refused(errno)),
        Err(SgError::Unanswered | SgError::WorkerDied) => Err(RescanError::Unanswered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn the_attribute_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let attribute = folder.path().join("rescan");
        std::fs::write(&attribute, "").unwrap();
        rescan(&attribute, PATIENCE).unwrap();
        assert_eq!(std::fs::read_to_string(&attribute).unwrap(), "1");
    }

    #[test]
    fn a_disk_that_is_gone_is_said_to_be() {
        let error = rescan(Path::new("/nowhere/rescan"), PATIENCE).unwrap_err();
        assert!(matches!(error, RescanError::Open(Errno::ENOENT)), "{error}");
    }

    #[test]
    fn what_the_kernel_refuses_is_told() {
        let error = rescan(Path::new("/dev/full"), PATIENCE).unwrap_err();
        assert!(
            matches!(error, RescanError::Refused(Errno::ENOSPC)),
            "{error}"
        );
    }
}
