//! `cargo xtask dist`: what people install. A .deb for each program, and a tarball with static
//! binaries, with manual pages, completions and units; the same bytes from the same commit.

mod build;
mod deb;
mod needs;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::process;
pub use deb::Compression;
use deb::Package;
use stage::Stage;

/// The programs, built.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `mpathpersist`.
    pub mpathpersist: PathBuf,
    /// `multipathd-lite`.
    pub multipathd_lite: PathBuf,
}

/// Makes everything in `target/dist`, and says what.
///
/// # Errors
/// If a program cannot be built, or a tool is missing.
pub fn run(workspace: &Path) -> Result {
    let folder = workspace.join("target/dist");
    let release = Release::of(workspace)?;
    let dynamic = build::programs(workspace, build::Linkage::Dynamic)?;
    let mut made = packages(workspace, &folder, &dynamic, Compression::Best)?;
    let fixed = build::programs(workspace, build::Linkage::Static)?;
    made.push(tarball(workspace, &folder, &fixed, &release)?);
    write_checksums(&folder, &made)?;
    for path in made {
        println!("{}", path.display());
    }
    Ok(())
}

/// Makes the packages of these programs in a folder.
///
/// # Errors
/// If one cannot be made.
pub fn packages(
    workspace: &Path,
    folder: &Path,
    programs: &Programs,
    compression: Compression,
) -> Result<Vec<PathBuf>> {
    let release = Release::of(workspace)?;
    let make = |package: Package| {
        let stage = Stage::new(&folder.join("stage").join(package.name), release.time)?;
        package.make(workspace, &stage, programs, &release)?;
        stage.into_deb(folder, compression)
    };
    let made = [Package::MPATH_PR, Package::MULTIPATHD_LITE].map(make);
    made.into_iter().collect()
}

/// What goes into every package of this state of the sources.
#[derive(Debug, Clone)]
pub struct Release {
    version: String,
    /// The time of the last change, in seconds since 1970: files get it, whenever they are made.
    time: u64,
}

impl Release {
    fn of(workspace: &Path) -> Result<Self> {
        let set = std::env::var("SOURCE_DATE_EPOCH").ok();
        let time = match set.and_then(|text| text.parse().ok()) {
            Some(time) => time,
            None => last_commit(workspace),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { version, time })
    }
}

/// The time of the last commit; without git, some time that is always the same.
fn last_commit(workspace: &Path) -> u64 {
    let mut git = process::tool("git");
    git.args(["log", "-1", "--format=%ct"])
        .current_dir(workspace);
    let told = process::output(&mut git).ok();
    told.and_then(|text| text.trim().parse().ok())
        .unwrap_or(SOME_TIME)
}

/// 2026-01-01.
const SOME_TIME: u64 = 1_767_225_600;

/// Static binaries and all texts, to be unpacked anywhere.
fn tarball(
    workspace: &Path,
    folder: &Path,
    programs: &Programs,
    release: &Release,
) -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    let name = format!("mpath-pr-{}-{arch}-linux", release.version);
    let stage = Stage::new(&folder.join("stage").join(&name), release.time)?;
    stage.program("sbin/mpathpersist", &programs.mpathpersist)?;
    stage.program("sbin/multipathd-lite", &programs.multipathd_lite)?;
    crate::man::write(&stage.folder("man")?)?;
    crate::completions::write(&stage.folder("completions")?)?;
    for unit in deb::UNITS {
        let from = workspace.join("multipathd-lite/systemd").join(unit);
        stage.copy(&from, &format!("systemd/{unit}"))?;
    }
    stage.copy(&workspace.join(deb::SETTINGS), "etc/mpath-pr.conf")?;
    for text in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        stage.copy(&workspace.join(text), text)?;
    }
    stage.into_tarball(folder)
}

/// As `sha256sum --check` reads it.
fn write_checksums(folder: &Path, made: &[PathBuf]) -> Result {
    let names = made.iter().filter_map(|path| path.file_name());
    let mut sha256sum = process::tool("sha256sum");
    let sums = process::output(sha256sum.args(names).current_dir(folder))?;
    let file = folder.join("SHA256SUMS");
    fs::write(&file, sums).context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whatever the programs are, the packages around them are the same bytes whenever and wherever
    /// they are made.
    #[test]
    fn the_same_bytes_twice() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let tools = ["dpkg", "dpkg-deb", "tar", "gzip", "find"];
        if tools
            .iter()
            .any(|tool| process::find_program(tool).is_none())
        {
            eprintln!("skipped, because packages are made by Debian's tools");
            return;
        }
        let program = process::find_program("true").unwrap();
        let programs = Programs {
            mpathpersist: program.clone(),
            multipathd_lite: program,
        };
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path();
            let release = Release::of(workspace).unwrap();
            let mut made = packages(workspace, into, &programs, Compression::None).unwrap();
            made.push(tarball(workspace, into, &programs, &release).unwrap());
            let bytes = |path: PathBuf| {
                let name = path.file_name().unwrap().to_owned();
                (name, fs::read(path).unwrap())
            };
            made.into_iter().map(bytes).collect::<BTreeMap<_, _>>()
        };
        let (first, second) = (make(), make());
        assert_eq!(first.len(), 3);
        for (name, bytes) in &first {
            assert!(
                second.get(name) == Some(bytes),
                "{} differs",
                name.display()
            );
        }
    }
}
