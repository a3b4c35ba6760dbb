//! Release builds, whose bytes do not depend on the folder that they are made in.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Programs;
use crate::error::{Error, Result};
use crate::process;

/// How the programs find the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linkage {
    /// At run time: for a distribution's packages.
    Dynamic,
    /// It is in them: for any Linux.
    Static,
}

/// Builds both programs.
///
/// # Errors
/// If cargo fails; it has then said why.
pub(super) fn programs(workspace: &Path, linkage: Linkage) -> Result<Programs> {
    let (name, flag) = match linkage {
        Linkage::Dynamic => ("dynamic", "-C target-feature=-crt-static"),
        Linkage::Static => ("static", "-C target-feature=+crt-static"),
    };
    eprintln!("dist: building, {name}");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = workspace.join("target/dist/build").join(name);
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || std::env::home_dir().unwrap_or_default().join(".cargo"),
        Into::into,
    );
    let flags = format!(
        "{flag} --remap-path-prefix={}=. --remap-path-prefix={}=cargo",
        workspace.display(),
        home.display()
    );
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--release", "--locked", "--quiet", "--bins"])
        .args(["--package=mpathpersist", "--package=multipathd-lite"])
        .args(["--config", "profile.release.strip=true"])
        .arg(format!("--target={target}"))
        .arg(process::option("--target-dir=", &folder))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags)
        .current_dir(workspace)
        .stdin(Stdio::null());
    process::run(&mut cargo)?;
    let bin = folder.join(target).join("release");
    let programs = Programs {
        mpathpersist: bin.join("mpathpersist"),
        multipathd_lite: bin.join("multipathd-lite"),
    };
    for program in [&programs.mpathpersist, &programs.multipathd_lite] {
        if !program.is_file() {
            return Err(Error::unexpected(format!("no {}", program.display())));
        }
    }
    Ok(programs)
}
