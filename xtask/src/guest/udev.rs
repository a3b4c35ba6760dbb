//! udev, which makes the links in `/dev/mapper`: there are hosts without it.

use std::process::Command;

use super::{Lab, run, until};
use crate::error::{Context, Error, Result};

/// While it lives, no udev runs.
#[derive(Debug)]
pub struct WithoutUdev;

impl WithoutUdev {
    /// Ends udev, for a scenario that has the guest [alone](Lab::alone).
    ///
    /// # Errors
    /// If others are at work, or it does not end.
    pub fn begin(lab: &Lab) -> Result<Self> {
        if !lab.is_alone() {
            return Err(Error::unexpected("udev concerns all: claim the lab alone"));
        }
        run("udevadm", ["control", "--exit"])?.succeeded()?;
        let without = Self;
        until("udev to end", || {
            let found = run("pgrep", ["-f", UDEV])?;
            Ok((found.code() != 0).then_some(()))
        })?;
        // It leaves its socket behind, by which libdevmapper and others take it for running.
        let _ = std::fs::remove_file(SOCKET);
        Ok(without)
    }
}

impl Drop for WithoutUdev {
    fn drop(&mut self) {
        let udev = Command::new(UDEV)
            .arg("--daemon")
            .status()
            .context(|| format!("cannot run {UDEV}"));
        if let Err(error) = udev {
            eprintln!("lab: {error}");
        }
    }
}

const UDEV: &str = "/lib/systemd/systemd-udevd";

/// What programs look for to know whether there is a udev.
const SOCKET: &str = "/run/udev/control";
