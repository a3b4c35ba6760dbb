//! The guest's root file system: packages unpacked into a folder, without dpkg, chroot or root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::{guest, process};

/// A folder that becomes the guest's root file system.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
}

impl Root {
    /// An empty root at `folder`, with the links of a merged /usr, which the packages expect.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn create(folder: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(folder);
        let root = Self {
            folder: folder.to_owned(),
        };
        for name in ["bin", "sbin", "lib", "lib64"] {
            root.make_folder(&format!("usr/{name}"))?;
            root.link(name, &format!("usr/{name}"))?;
        }
        for name in FOLDERS {
            root.make_folder(name)?;
        }
        // Relative, as all that packages are unpacked through.
        root.link("var/run", "../run")?;
        Ok(root)
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside.trim_start_matches('/'))
    }

    /// Unpacks one package, without what only a reader of its documentation wants.
    ///
    /// # Errors
    /// If the archive is damaged or the disk full.
    pub fn unpack(&self, archive: &Path, left_out: &[&str]) -> Result {
        let mut dpkg = process::tool("dpkg-deb");
        dpkg.arg("--fsys-tarfile")
            .arg(archive)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut unpacking = dpkg.spawn().context(|| "cannot run dpkg-deb".to_owned())?;
        let mut tar = process::tool("tar");
        tar.args([
            "--extract",
            "--keep-directory-symlink",
            "--no-same-owner",
            "--file=-",
        ]);
        tar.arg("--directory").arg(&self.folder);
        tar.args(
            left_out
                .iter()
                .map(|pattern| format!("--exclude={pattern}")),
        );
        if let Some(stream) = unpacking.stdout.take() {
            tar.stdin(stream);
        }
        process::output_of_pipe(&mut tar)?;
        let status = unpacking
            .wait()
            .context(|| "cannot wait for dpkg-deb".to_owned())?;
        if status.success() {
            return Ok(());
        }
        Err(Error::unexpected(format!(
            "{}: dpkg-deb ended with {status}",
            archive.display()
        )))
    }

    /// Writes the files that an installation would have made.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn configure(&self) -> Result {
        for (name, contents) in FILES {
            self.write(name, contents)?;
        }
        // What update-alternatives would have chosen.
        self.link("usr/bin/awk", "mawk")?;
        self.link("usr/bin/which", "which.debianutils")?;
        self.link("etc/mtab", "/proc/self/mounts")?;
        if !self.path("usr/bin/sh").exists() {
            self.link("usr/bin/sh", "dash")?;
        }
        Ok(())
    }

    /// Writes a file, and the folder that it is in.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write(&self, name: &str, contents: &str) -> Result {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.make_folder(folder)?;
        }
        let path = self.path(name);
        fs::write(&path, contents).context(|| format!("cannot write {}", path.display()))?;
        let mode = if contents.starts_with("#!") {
            0o755
        } else {
            0o644
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .context(|| format!("cannot make {} executable", path.display()))
    }

    /// One of the guest's own programs, to be run here, by the guest's own dynamic loader and
    /// libraries: the host needs no package of its own for it.
    #[must_use]
    pub fn program(&self, inside: &str) -> Command {
        let mut command = Command::new(self.path("lib64/ld-linux-x86-64.so.2"));
        let libraries = self.path("usr/lib/x86_64-linux-gnu");
        // depmod is a link to kmod, which goes by the name that it is called by.
        command
            .arg("--argv0")
            .arg(inside)
            .arg("--library-path")
            .arg(libraries)
            .arg(self.resolved(inside));
        command
    }

    /// The file that a path of the guest leads to: an absolute link starts at this root, not at
    /// that of the machine, which may have no such file, or another one.
    fn resolved(&self, inside: &str) -> PathBuf {
        let mut path = self.path(inside);
        for _ in 0..MOST_LINKS {
            let Ok(target) = fs::read_link(&path) else {
                break;
            };
            path = match target.strip_prefix("/") {
                Ok(inside) => self.folder.join(inside),
                Err(_) => path.with_file_name(target),
            };
        }
        path
    }

    /// Compiles the Python modules, as their packages do when they are installed: the guest's
    /// emulated processor would take seconds for it.
    ///
    /// # Errors
    /// If a module cannot be compiled.
    pub fn compile_python(&self) -> Result {
        let mut python = self.program("usr/bin/python3");
        python
            .env("PYTHONHOME", self.path("usr"))
            .args(["-S", "-m", "compileall", "-q", "-j0"])
            .args(["--invalidation-mode=unchecked-hash", "-s"])
            .arg(self.path(""))
            .args(["-p", "/"])
            .args(PYTHON.map(|folder| self.path(folder)));
        process::output(&mut python).map(drop)
    }

    /// Makes an ext4 image of it. Its files may belong to whoever runs this: in the guest
    /// everything runs as root.
    ///
    /// # Errors
    /// If `mkfs.ext4` fails.
    pub fn write_ext4(&self, image: &Path) -> Result {
        let _ = fs::remove_file(image);
        let mut mkfs = process::tool("mkfs.ext4");
        mkfs.args([
            "-q",
            "-F",
            "-O",
            "^has_journal",
            "-E",
            "lazy_itable_init=0",
            "-m",
            "0",
        ]);
        process::output(mkfs.arg("-d").arg(&self.folder).arg(image).arg(IMAGE_SIZE)).map(drop)
    }

    fn make_folder(&self, name: &str) -> Result {
        let path = self.path(name);
        fs::create_dir_all(&path).context(|| format!("cannot make {}", path.display()))
    }

    fn link(&self, name: &str, target: &str) -> Result {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        symlink(target, &path).context(|| format!("cannot link {}", path.display()))
    }
}

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// A sparse file: what is not used is not stored.
const IMAGE_SIZE: &str = "768M";

/// What this guest needs of no package: documentation, and udev's rules for devices that it does
/// not have, which every event of a disk would have to pass.
pub const LEFT_OUT: &[&str] = &[
    "./usr/share/doc",
    "./usr/share/doc-base",
    "./usr/share/man",
    "./usr/share/info",
    "./usr/share/locale",
    "./usr/share/lintian",
    "./usr/share/bash-completion",
    "./usr/share/zoneinfo",
    "./usr/share/initramfs-tools",
    "./usr/lib/x86_64-linux-gnu/gconv",
    "./usr/lib/x86_64-linux-gnu/perl*",
    "./usr/lib/python3.11/config-*",
    "./usr/lib/python3.11/pydoc*",
    "./usr/share/cluster/relaxng",
    "./lib/udev/hwdb.d",
    "./usr/lib/udev/hwdb.d",
    "./etc/init.d",
    "./lib/udev/rules.d/60-[ad-jlnoq-z]*",
    "./lib/udev/rules.d/60-cdrom_id.rules",
    "./lib/udev/rules.d/60-persistent-[aiv]*",
    "./lib/udev/rules.d/7*",
    "./lib/udev/rules.d/8*",
];

/// Where its Python modules are.
const PYTHON: [&str; 3] = ["usr/lib/python3.11", "usr/lib/python3", "usr/share/fence"];

const FOLDERS: &[&str] = &[
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root",
    "mnt/lab",
    "etc",
    "usr/local/bin",
    "var/tmp",
    "etc/multipath",
    "etc/iscsi",
    "var/lib",
    // LIO keeps reservations that survive a loss of power here (APTPL).
    "var/target/pr",
];

const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n",
    ),
    // Groups that udev's rules name.
    (
        "etc/group",
        "root:x:0:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\ndialout:x:20:\ncdrom:x:24:\naudio:x:29:\n\
         video:x:44:\nsgx:x:101:\ninput:x:102:\nkvm:x:103:\nrender:x:104:\ntape:x:26:\n\
         kmem:x:15:\nnogroup:x:65534:\n",
    ),
    ("etc/hostname", "lab\n"),
    ("etc/hosts", "127.0.0.1 localhost lab\n"),
    ("etc/fstab", ""),
    ("etc/multipath.conf", guest::DEFAULT_CONFIG),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
    (
        "etc/iscsi/initiatorname.iscsi",
        "InitiatorName=iqn.2024-01.lab:node1\n",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_guest_does_not_lead_out_of_it() -> Result {
        let folder = tempfile::tempdir().context(|| "no temporary folder".to_owned())?;
        let root = Root::create(&folder.path().join("root"))?;
        root.write("usr/bin/kmod", "")?;
        root.link("usr/bin/tool", "kmod")?;
        root.link("usr/sbin/depmod", "/bin/tool")?;
        let kmod = |path: &str| root.path(path).canonicalize();
        let resolved = root.resolved("usr/sbin/depmod").canonicalize();
        assert_eq!(resolved.ok(), kmod("usr/bin/kmod").ok());
        assert_eq!(root.resolved("usr/bin/kmod"), root.path("usr/bin/kmod"));
        Ok(())
    }
}
