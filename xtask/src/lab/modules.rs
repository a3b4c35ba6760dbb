//! The kernel and the modules that the guest needs, taken from the kernel's package: the order in
//! which modules must be loaded is read from the `modules.dep` that depmod makes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::lab::cpio::Archive;
use crate::lab::root::Root;
use crate::process;

/// An unpacked kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Its version, as `uname -r` says it.
    pub version: String,
    folder: PathBuf,
    needs: HashMap<String, Module>,
}

#[derive(Debug, PartialEq, Eq)]
struct Module {
    /// Relative to the version's folder.
    file: String,
    /// Names, last to be loaded first.
    needs: Vec<String>,
}

impl Kernel {
    /// Reads an unpacked kernel package; `depmod` is run by `root`'s own programs.
    ///
    /// # Errors
    /// If the package does not look like one of Debian's kernels.
    pub fn read(unpacked: &Root, root: &Root) -> Result<Self> {
        let modules = unpacked.path("lib/modules");
        let version = only_entry(&modules)?;
        let mut depmod = root.program("usr/sbin/depmod");
        process::output(depmod.arg("-b").arg(unpacked.path("")).arg(&version))?;
        let folder = modules.join(&version);
        let file = folder.join("modules.dep");
        let text = fs::read_to_string(&file).context(|| format!("no {}", file.display()))?;
        Ok(Self {
            version,
            folder,
            needs: parse_dep(&text),
        })
    }

    /// Copies the modules that the guest loads, and what they need, to the guest's root.
    ///
    /// # Errors
    /// If a module does not exist or a copy fails.
    pub fn install(&self, root: &Root) -> Result {
        let target = format!("lib/modules/{}", self.version);
        for file in self.in_order(GUEST.iter().chain(BOOT))? {
            copy(
                &self.folder.join(&file),
                &root.path(&format!("{target}/{file}")),
            )?;
        }
        for file in [
            "modules.builtin",
            "modules.builtin.modinfo",
            "modules.order",
        ] {
            copy(
                &self.folder.join(file),
                &root.path(&format!("{target}/{file}")),
            )?;
        }
        let mut depmod = root.program("usr/sbin/depmod");
        process::output(depmod.arg("-b").arg(root.path("")).arg(&self.version)).map(drop)
    }

    /// Adds the modules that lead to the root file system to an initramfs, numbered in the order
    /// of loading.
    ///
    /// # Errors
    /// If a module does not exist or cannot be read.
    pub fn add_boot_modules(&self, archive: &mut Archive) -> Result {
        for (number, file) in self.in_order(BOOT.iter())?.iter().enumerate() {
            let path = self.folder.join(file);
            let bytes = fs::read(&path).context(|| format!("no {}", path.display()))?;
            archive.program(&format!("modules/{number:03}.ko"), &bytes);
        }
        Ok(())
    }

    /// Files of these modules and all that they need, each after those that it needs.
    fn in_order<'a>(&self, names: impl Iterator<Item = &'a &'a str>) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for name in names {
            self.add(&name.replace('-', "_"), &mut files)?;
        }
        Ok(files)
    }

    fn add(&self, name: &str, files: &mut Vec<String>) -> Result {
        let missing = || Error::unexpected(format!("the kernel has no module {name}"));
        let module = self.needs.get(name).ok_or_else(missing)?;
        for need in module.needs.iter().rev() {
            self.add(need, files)?;
        }
        if !files.contains(&module.file) {
            files.push(module.file.clone());
        }
        Ok(())
    }
}

/// Lines of `modules.dep`: `FILE: FILE…`.
fn parse_dep(text: &str) -> HashMap<String, Module> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(file, needs)| {
            let needs = needs.split_whitespace().map(module_name).collect();
            (
                module_name(file),
                Module {
                    file: file.to_owned(),
                    needs,
                },
            )
        })
        .collect()
}

/// `kernel/drivers/md/dm-mod.ko` is `dm_mod`.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name).replace('-', "_")
}

fn only_entry(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).context(|| format!("no {}", folder.display()))?;
    let mut names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .next()
        .ok_or_else(|| Error::unexpected(format!("{} is empty", folder.display())))
}

fn copy(from: &Path, to: &Path) -> Result {
    let what = || format!("cannot copy {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).context(what)?;
    }
    fs::copy(from, to).map(drop).context(what)
}

/// Modules that the initramfs loads to find the root file system.
const BOOT: &[&str] = &["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

/// Modules that the guest loads, see `guest/init.sh`; a scenario may load `scsi_debug` and `loop`.
const GUEST: &[&str] = &[
    "9p",
    "9pnet_virtio",
    "virtio_console",
    "virtio_rng",
    "sd_mod",
    "sg",
    "scsi_dh_alua",
    "scsi_debug",
    "loop",
    "overlay",
    "target_core_mod",
    "target_core_file",
    "tcm_loop",
    "iscsi_target_mod",
    "iscsi_tcp",
    "dm-mod",
    "dm-multipath",
    "dm-service-time",
    "dm-round-robin",
    "dm-queue-length",
];

/// What of a kernel package is certainly not needed, to unpack less.
pub const LEFT_OUT: &[&str] = &[
    "./lib/modules/*/kernel/drivers/gpu",
    "./lib/modules/*/kernel/drivers/media",
    "./lib/modules/*/kernel/drivers/net",
    "./lib/modules/*/kernel/drivers/infiniband",
    "./lib/modules/*/kernel/drivers/staging",
    "./lib/modules/*/kernel/drivers/usb",
    "./lib/modules/*/kernel/drivers/iio",
    "./lib/modules/*/kernel/sound",
    "./usr/share",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_what_they_need_and_only_once() {
        let dep = "kernel/a/dm-multipath.ko: kernel/a/dm-mod.ko kernel/b/dax.ko\n\
                   kernel/a/dm-mod.ko: kernel/b/dax.ko\nkernel/b/dax.ko:\n";
        let kernel = Kernel {
            version: "6".into(),
            folder: "/".into(),
            needs: parse_dep(dep),
        };
        let files = kernel
            .in_order(["dm-multipath", "dm-mod"].iter())
            .expect("all are there");
        assert_eq!(
            files,
            [
                "kernel/b/dax.ko",
                "kernel/a/dm-mod.ko",
                "kernel/a/dm-multipath.ko"
            ]
        );
        let error = kernel
            .in_order(["no-such"].iter())
            .expect_err("it is not there");
        assert_eq!(error.to_string(), "the kernel has no module no_such");
    }
}
