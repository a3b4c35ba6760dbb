//! The lab: a throw-away QEMU guest with the kernel's own SCSI target (LIO), its SCSI initiator
//! stack and dm-multipath, in which the project's binaries meet the real thing. This half runs on
//! the host: it makes the guest from Debian packages, builds static binaries for it and boots it.

pub mod binaries;
pub mod cpio;
pub mod host;
pub mod image;
pub mod modules;
pub mod packages;
pub mod qemu;
pub mod root;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use binaries::Binary;
use host::Readiness;
use image::Image;
use qemu::{Boot, Console};

/// How a use of the lab ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit status of what ran in the guest.
    Ended(u8),
    /// It could not start, and why.
    Skipped(String),
}

/// Runs the guest test binary with these arguments.
///
/// # Errors
/// If the image or the binaries cannot be made, or the guest fails.
pub fn run_tests(workspace: &Path, arguments: &[String]) -> Result<Outcome> {
    let mut job = vec![binaries::TESTS.to_owned()];
    if !arguments
        .iter()
        .any(|argument| argument.starts_with("--test-threads"))
    {
        // Scenarios wait more than they work.
        job.push("--test-threads=4".to_owned());
    }
    job.extend_from_slice(arguments);
    run(workspace, &job, Console::Stream)
}

/// Boots the guest and runs a job in it.
fn run(workspace: &Path, job: &[String], console: Console) -> Result<Outcome> {
    if let Readiness::Missing(what) = host::prepare()? {
        return Ok(Outcome::Skipped(what));
    }
    let lab = target_folder(workspace).join("lab");
    let (image, binaries) = prepare(workspace, &lab)?;
    let boot = Boot::prepare(&image, &lab.join("runs"), &binaries, job, console)?;
    eprintln!("lab: booting the guest");
    let ended = boot.run()?;
    eprintln!("lab: booted in {:.1} s", ended.boot_time.as_secs_f64());
    Ok(Outcome::Ended(ended.status))
}

/// Makes image and binaries, one caller at a time.
fn prepare(workspace: &Path, lab: &Path) -> Result<(Image, Vec<Binary>)> {
    fs::create_dir_all(lab).context(|| format!("cannot make {}", lab.display()))?;
    let file = lab.join("lock");
    let what = || format!("cannot lock {}", file.display());
    let lock = File::create(&file).context(what)?;
    lock.lock().context(what)?;
    Ok((Image::ensure(lab)?, binaries::build(workspace, lab)?))
}

/// Where cargo builds.
fn target_folder(workspace: &Path) -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    chosen.map_or_else(|| workspace.join("target"), |folder| workspace.join(folder))
}
