//! A folder in which the files of a package lie as they will on the system, with one time and
//! modes that do not depend on who makes it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::Compression;
use crate::error::{Context, Result};
use crate::process;

/// A folder with a package's files.
#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    time: u64,
}

impl Stage {
    /// An empty one.
    pub(super) fn new(folder: &Path, time: u64) -> Result<Self> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.to_owned();
        Ok(Self { folder, time })
    }

    /// A folder in it, made if it is not there.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir_all(&path).context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file, executable if it is a script.
    pub(super) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result {
        let path = self.place(name)?;
        let contents = contents.as_ref();
        fs::write(&path, contents).context(|| format!("cannot write {}", path.display()))?;
        set_mode(
            &path,
            if contents.starts_with(b"#!") {
                0o755
            } else {
                0o644
            },
        )
    }

    /// Copies a file.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result {
        let contents = fs::read(from).context(|| format!("cannot read {}", from.display()))?;
        self.write(name, contents)
    }

    /// Copies a program.
    pub(super) fn program(&self, name: &str, from: &Path) -> Result {
        let path = self.place(name)?;
        fs::copy(from, &path).context(|| format!("cannot copy {}", from.display()))?;
        set_mode(&path, 0o755)
    }

    /// Writes a file compressed, without the time in its head.
    pub(super) fn write_gzip(&self, name: &str, contents: impl AsRef<[u8]>) -> Result {
        self.write(name, contents)?;
        let mut gzip = process::tool("gzip");
        gzip.args(["-9", "--no-name", "--force"]);
        process::output(gzip.arg(self.folder.join(name))).map(drop)
    }

    /// Makes a .deb of it beside it: its name is in its control file.
    pub(super) fn into_deb(self, into: &Path, compression: Compression) -> Result<PathBuf> {
        self.settle_times()?;
        let mut dpkg = process::tool("dpkg-deb");
        dpkg.args(["--root-owner-group", compression.option(), "--build"]);
        dpkg.arg(&self.folder).arg(into);
        dpkg.env("SOURCE_DATE_EPOCH", self.time.to_string());
        let said = process::output(&mut dpkg)?;
        // "dpkg-deb: building package 'NAME' in 'FILE'."
        let file = said.trim().trim_end_matches("'.").rsplit('\'').next();
        Ok(file.map(PathBuf::from).unwrap_or_default())
    }

    /// Makes a .tar.gz of it beside it, with a folder of its name in it.
    pub(super) fn into_tarball(self, into: &Path) -> Result<PathBuf> {
        self.settle_times()?;
        let name = self
            .folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let archive = into.join(format!("{name}.tar"));
        let mut tar = process::tool("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
        tar.args([
            "--format=gnu",
            &format!("--mtime=@{}", self.time),
            "--create",
        ]);
        tar.arg(process::option("--file=", &archive));
        tar.arg(process::option(
            "--directory=",
            self.folder.parent().unwrap_or(into),
        ));
        process::output(tar.arg(&*name))?;
        let mut gzip = process::tool("gzip");
        process::output(gzip.args(["-9", "--no-name", "--force"]).arg(&archive))?;
        Ok(into.join(format!("{name}.tar.gz")))
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
        Ok(path)
    }

    /// Every file and folder gets the release's time, and folders a mode that no umask changes.
    fn settle_times(&self) -> Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.time);
        let mut find = Command::new("find");
        find.arg(&self.folder).args(["-depth", "-print0"]);
        let listed = process::output(find.stdin(Stdio::null()))?;
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let path = Path::new(name);
            if path.is_dir() {
                set_mode(path, 0o755)?;
            }
            let set = File::open(path).and_then(|file| file.set_modified(time));
            set.context(|| format!("cannot set the time of {name}"))?;
        }
        Ok(())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .context(|| format!("cannot set the mode of {}", path.display()))
}
