//! The guest's parts: Debian packages by name, resolved and downloaded with this machine's own
//! apt sources. Nothing is installed and nothing needs root: apt is told that the system is empty
//! and keeps everything it writes below the lab's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::process;

/// What the guest has. To give it more, add the name: what it depends on comes along.
pub const PACKAGES: &[&str] = &[
    // A system that a person can work in.
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "hostname",
    "iproute2",
    "less",
    "mawk",
    "mount",
    "procps",
    "sed",
    "strace",
    "util-linux",
    "xz-utils",
    // Disks, maps and sessions.
    "dmsetup",
    "kmod",
    "lsscsi",
    "open-iscsi",
    "udev",
    // The independent witness, and the implementation to compare with.
    "multipath-tools",
    "sg3-utils",
    // The service manager that starts ours.
    "systemd",
    // Ours are installed beside it, and their manual is read. dpkg wants to find ldconfig.
    "dpkg",
    "libc-bin",
    "man-db",
    // What the fence agent of EXTRACTED needs of what its package depends on.
    "python3",
    "python3-pexpect",
    "python3-pycurl",
];

/// Packages that come without what they depend on: fence-agents has an agent for every cloud, and
/// depends on the libraries of each.
const EXTRACTED: &[&str] = &["fence-agents"];

/// What the dependencies bring along that only an installation would need, and sg3-utils-udev:
/// its rules ask each disk four times for what udev's own scsi_id has asked already, which takes
/// most of the time until a disk is there.
const LEFT_OUT: &[&str] = &[
    "adduser",
    "cpio",
    "debconf",
    "init-system-helpers",
    "initramfs-tools",
    "initramfs-tools-core",
    "klibc-utils",
    "libdb5.3",
    "libfile-find-rule-perl",
    "libgdbm-compat4",
    "libklibc",
    "libnumber-compare-perl",
    "libperl5.36",
    "libtext-glob-perl",
    "linux-base",
    "logsave",
    "lsb-base",
    "media-types",
    "passwd",
    "perl",
    "perl-base",
    "perl-modules-5.36",
    "sg3-utils-udev",
    "usrmerge",
];

/// The name of the kernel's package; the newest kernel is what it depends on.
pub const KERNEL: &str = "linux-image-amd64";

/// Downloaded packages.
#[derive(Debug)]
pub struct Packages {
    /// The archives of the guest's programs and libraries.
    pub programs: Vec<PathBuf>,
    /// The kernel's archive.
    pub kernel: PathBuf,
}

impl Packages {
    /// `name_version_architecture`, a line each: what exactly the guest consists of.
    #[must_use]
    pub fn manifest(&self) -> String {
        let files = self.programs.iter().chain([&self.kernel]);
        let names = files.filter_map(|file| file.file_stem());
        names
            .map(|name| name.to_string_lossy().into_owned() + "\n")
            .collect()
    }
}

/// Downloads everything to `folder`; what is there already stays.
///
/// # Errors
/// If a package is not known, or not to be had, even after the package lists were read anew.
pub fn download(folder: &Path) -> Result<Packages> {
    let first = Apt::new(folder, Lists::System)?.download();
    first.or_else(|error| {
        eprintln!("lab: reading the package lists anew, those of this machine do not do");
        let own = Apt::new(folder, Lists::Own)?;
        own.update()?;
        own.download()
            .map_err(|second| Error::unexpected(format!("{error}\n{second}")))
    })
}

/// Downloads one package that the guest does not have; what is there already stays.
///
/// # Errors
/// As [`download`].
pub fn fetch(folder: &Path, name: &str) -> Result<PathBuf> {
    let first = Apt::new(folder, Lists::System)?.fetch_one(name);
    first.or_else(|_| {
        let own = Apt::new(folder, Lists::Own)?;
        own.fetch_one(name).or_else(|_| {
            own.update()?;
            own.fetch_one(name)
        })
    })
}

/// Which package lists apt reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// Those of this machine, which may be missing or old.
    System,
    /// The lab's own, which an ordinary user may refresh.
    Own,
}

/// apt, seeing an empty system and writing only below the lab's folder.
struct Apt {
    archives: PathBuf,
    /// A folder with no archives in it.
    elsewhere: PathBuf,
    options: Vec<std::ffi::OsString>,
}

/// One archive as apt resolved it.
struct Archive {
    name: String,
    file: String,
}

impl Apt {
    fn new(folder: &Path, lists: Lists) -> Result<Self> {
        let archives = folder.join("debs");
        let cache = folder.join("apt/cache");
        let state = folder.join("apt/state");
        for new in [
            &archives,
            &cache.join("archives/partial"),
            &state.join("lists/partial"),
        ] {
            fs::create_dir_all(new).context(|| format!("cannot make {}", new.display()))?;
        }
        let empty = folder.join("apt/status");
        fs::write(&empty, "").context(|| format!("cannot write {}", empty.display()))?;
        let mut options = vec![
            process::option("Dir::State::status=", &empty),
            process::option("Dir::Cache=", &cache),
            "Debug::NoLocking=1".into(),
            "APT::Sandbox::User=".into(),
            "APT::Install-Recommends=0".into(),
            "APT::Architecture=amd64".into(),
            "APT::Update::Post-Invoke::=true".into(),
            "Acquire::Retries=2".into(),
            "Acquire::http::Timeout=30".into(),
            "Acquire::https::Timeout=30".into(),
        ];
        if lists == Lists::Own {
            options.push(process::option("Dir::State=", &state));
        }
        Ok(Self {
            archives,
            elsewhere: state,
            options,
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = process::tool(program);
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        command.env("LC_ALL", "C");
        command
    }

    fn update(&self) -> Result {
        // One source of many may be out of order; what matters is whether the names resolve.
        process::output(self.command("apt-get").arg("update"))
            .map(drop)
            .or_else(|error| {
                eprintln!("lab: {error}");
                Ok(())
            })
    }

    fn download(&self) -> Result<Packages> {
        let mut archives = self.resolve()?;
        for name in EXTRACTED {
            archives.push(self.resolve_one(name)?);
        }
        archives.push(self.resolve_kernel()?);
        self.fetch(&archives)?;
        let mut programs: Vec<PathBuf> = archives
            .iter()
            .map(|archive| self.archives.join(&archive.file))
            .collect();
        let kernel = programs
            .pop()
            .ok_or_else(|| Error::unexpected("apt resolved nothing"))?;
        Ok(Packages { programs, kernel })
    }

    /// The closure of [`PACKAGES`], without [`LEFT_OUT`].
    fn resolve(&self) -> Result<Vec<Archive>> {
        let mut command = self.command("apt-get");
        command
            .args(["install", "--yes", "--print-uris"])
            .args(PACKAGES);
        let mut archives = parse_uris(&process::output(&mut command)?);
        archives.retain(|archive| !LEFT_OUT.contains(&archive.name.as_str()));
        Ok(archives)
    }

    fn resolve_kernel(&self) -> Result<Archive> {
        let depends = process::output(self.command("apt-cache").args(["depends", KERNEL]))?;
        let name = parse_depends(&depends)
            .ok_or_else(|| Error::unexpected(format!("{KERNEL} depends on no kernel")))?;
        self.resolve_one(&name)
    }

    fn resolve_one(&self, name: &str) -> Result<Archive> {
        // In a folder without that archive: apt says nothing about what is there already.
        let mut command = self.command("apt-get");
        command
            .args(["download", "--print-uris", name])
            .current_dir(&self.elsewhere);
        let uris = process::output(&mut command)?;
        let archive = parse_uris(&uris).pop();
        archive.ok_or_else(|| Error::unexpected(format!("apt knows no archive of {name}")))
    }

    fn fetch_one(&self, name: &str) -> Result<PathBuf> {
        let archive = self.resolve_one(name)?;
        self.fetch(std::slice::from_ref(&archive))?;
        Ok(self.archives.join(archive.file))
    }

    /// Downloads what is not there yet, each in the version that was resolved.
    fn fetch(&self, archives: &[Archive]) -> Result {
        let missing: Vec<String> = archives
            .iter()
            .filter(|archive| !self.archives.join(&archive.file).exists())
            .filter_map(Archive::wanted)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("lab: downloading {} packages", missing.len());
        let mut command = self.command("apt-get");
        command
            .arg("download")
            .args(missing)
            .current_dir(&self.archives);
        process::output(&mut command).map(drop)
    }
}

impl Archive {
    /// `name=version`, the way apt wants to hear it; the version of a file name is
    /// percent-encoded.
    fn wanted(&self) -> Option<String> {
        let version = self.file.split('_').nth(1)?;
        Some(format!(
            "{}={}",
            self.name,
            version.replace("%3a", ":").replace("%7e", "~")
        ))
    }
}

/// Lines of `apt-get --print-uris`: `'URI' FILE SIZE HASH`.
fn parse_uris(text: &str) -> Vec<Archive> {
    let lines = text.lines().filter(|line| line.starts_with('\''));
    lines
        .filter_map(|line| {
            let file = line.split_whitespace().nth(1)?.to_owned();
            let name = file.split('_').next()?.to_owned();
            Some(Archive { name, file })
        })
        .collect()
}

/// The package on which the kernel's meta package depends.
fn parse_depends(text: &str) -> Option<String> {
    let mut names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    names
        .find(|name| name.starts_with("linux-image-"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_read_from_apts_answer() {
        let text = "Reading package lists...\nNeed to get 3 B of archives.\n\
            'http://mirror/pool/z/zlib1g_1.2.13.dfsg-1_amd64.deb' \
            zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 MD5Sum:7d65\n";
        let archives = parse_uris(text);
        assert_eq!(archives.len(), 1);
        assert_eq!(archives[0].file, "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb");
        assert_eq!(
            archives[0].wanted().as_deref(),
            Some("zlib1g=1:1.2.13.dfsg-1")
        );
    }

    #[test]
    fn the_kernel_is_what_the_meta_package_depends_on() {
        let text = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(
            parse_depends(text).as_deref(),
            Some("linux-image-6.1.0-56-amd64")
        );
        assert_eq!(parse_depends("linux-image-amd64\n  Depends: libc6\n"), None);
    }

    #[test]
    fn the_manifest_names_every_package_with_its_version() {
        let packages = Packages {
            programs: vec!["/d/a_1_all.deb".into()],
            kernel: "/d/k_2_amd64.deb".into(),
        };
        assert_eq!(packages.manifest(), "a_1_all\nk_2_amd64\n");
    }
}
