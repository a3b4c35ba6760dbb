//! udev, which makes the links in `/dev/mapper`: there are hosts without it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

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

/// How much udev looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// What any host has.
    All,
    /// No more than what makes links: nobody asks whether a disk belongs to a map. That takes an
    /// eighth of the guest's time, and concerns daemons only.
    Links,
}

/// Sees to it that udev has these rules.
///
/// # Errors
/// If they cannot be written, or udev does not answer.
pub(super) fn set_rules(rules: Rules) -> Result {
    let mut present = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    if *present == rules {
        return Ok(());
    }
    let what = || format!("cannot change {MASKS}");
    fs::create_dir_all(MASKS).context(what)?;
    match rules {
        Rules::All => {
            for name in MASKED {
                fs::remove_file(format!("{MASKS}/{name}")).context(what)?;
            }
        }
        Rules::Links => {
            for name in MASKED {
                symlink("/dev/null", format!("{MASKS}/{name}")).context(what)?;
            }
        }
    }
    run("udevadm", ["control", "--reload"])?.succeeded()?;
    *present = rules;
    Ok(())
}

/// The rules that udev has; with those of its packages the guest starts.
static RULES: Mutex<Rules> = Mutex::new(Rules::All);

/// Where rules take the place of those of packages.
const MASKS: &str = "/run/udev/rules.d";

/// Whether a disk belongs to a map, and partitions.
const MASKED: [&str; 3] = [
    "60-kpartx.rules",
    "60-multipath.rules",
    "68-del-part-nodes.rules",
];

const UDEV: &str = "/lib/systemd/systemd-udevd";

/// What programs look for to know whether there is a udev.
const SOCKET: &str = "/run/udev/control";
