//! Prometheus' promtool, which judges metrics: that of this machine, or the one in Debian's
//! package, which is downloaded once and not installed.

use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::lab::packages;
use crate::process;

/// The program.
///
/// # Errors
/// There is none, and the package is not to be had.
pub fn find_or_fetch(workspace: &Path) -> Result<PathBuf> {
    if let Some(installed) = process::find_program("promtool") {
        return Ok(installed);
    }
    let folder = workspace.join("target/lab");
    let archive = packages::fetch(&folder, "prometheus")?;
    let unpacked = folder.join("promtool");
    let program = unpacked.join("usr/bin/promtool");
    if !program.exists() {
        std::fs::create_dir_all(&unpacked)
            .context(|| format!("cannot make {}", unpacked.display()))?;
        let mut dpkg = process::tool("dpkg-deb");
        dpkg.arg("--extract").arg(&archive).arg(&unpacked);
        process::run(&mut dpkg)?;
    }
    Ok(program)
}
