//! The guest's image: kernel, initramfs and root file system, made once and kept below the target
//! folder under a name that changes with the recipe.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Context, Error, Result};
use crate::lab::bzimage;
use crate::lab::cpio::Archive;
use crate::lab::dpkg;
use crate::lab::modules::{self, Kernel};
use crate::lab::packages::{self, Packages};
use crate::lab::root::{self, Root};
use crate::process;

/// A finished image.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// The image of the present recipe, made now if it is not there yet.
    ///
    /// # Errors
    /// If a package is not to be had or a file cannot be written.
    pub fn ensure(lab: &Path) -> Result<Self> {
        let image = Self {
            folder: lab.join(format!("image-{:016x}", recipe())),
        };
        if image.manifest().exists() {
            return Ok(image);
        }
        let start = Instant::now();
        eprintln!("lab: making the guest's image from Debian packages (once)");
        let packages = packages::download(lab)?;
        image.make(&packages)?;
        image.remove_others(lab);
        eprintln!(
            "lab: the image is ready after {} s",
            start.elapsed().as_secs()
        );
        Ok(image)
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// The initramfs.
    #[must_use]
    pub fn initramfs(&self) -> PathBuf {
        self.folder.join("initramfs")
    }

    /// The root file system, ext4.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.ext4")
    }

    /// The list of packages in it with their versions; written last.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("packages.txt")
    }

    /// Images of earlier recipes; a guest that still runs from one keeps its open files.
    fn remove_others(&self, lab: &Path) {
        let entries = fs::read_dir(lab).into_iter().flatten().flatten();
        for path in entries
            .map(|entry| entry.path())
            .filter(|path| *path != self.folder)
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("image-") {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    fn make(&self, packages: &Packages) -> Result {
        let _ = fs::remove_dir_all(&self.folder);
        let work = self.folder.join("work");
        let root = Root::create(&work.join("root"))?;
        for package in &packages.programs {
            root.unpack(package, root::LEFT_OUT)?;
        }
        root.configure()?;
        dpkg::record(&root, &packages.programs)?;
        dpkg::keep(&root, &packages.programs, "multipath-tools")?;
        root.compile_python()?;
        root.write("usr/sbin/lab-init", INIT)?;
        let unpacked = Root::create(&work.join("kernel"))?;
        unpacked.unpack(&packages.kernel, modules::LEFT_OUT)?;
        let kernel = Kernel::read(&unpacked, &root)?;
        kernel.install(&root)?;
        self.write_kernel(&unpacked, &kernel, &root)?;
        self.write_initramfs(&root, &kernel)?;
        root.write_ext4(&self.root())?;
        fs::remove_dir_all(&work).context(|| format!("cannot remove {}", work.display()))?;
        let manifest = self.manifest();
        fs::write(&manifest, packages.manifest())
            .context(|| format!("cannot write {}", manifest.display()))
    }

    /// The kernel as an ELF file, which QEMU enters directly: unpacking itself would take the
    /// emulated processor as long as all the rest of booting.
    fn write_kernel(&self, unpacked: &Root, kernel: &Kernel, root: &Root) -> Result {
        let from = unpacked.path(&format!("boot/vmlinuz-{}", kernel.version));
        let image = fs::read(&from).context(|| format!("no {}", from.display()))?;
        let payload = bzimage::payload(&image)
            .ok_or_else(|| Error::unexpected(format!("{} is no bzImage", from.display())))?;
        let packed = self.folder.join("work/vmlinux.xz");
        fs::write(&packed, payload).context(|| format!("cannot write {}", packed.display()))?;
        let kernel = self.kernel();
        let cannot = || format!("cannot write {}", kernel.display());
        let mut xz = root.program("usr/bin/xz");
        xz.args(["--decompress", "--stdout", "--single-stream"])
            .arg(&packed);
        process::run(xz.stdout(File::create(&kernel).context(cannot)?))
    }

    fn write_initramfs(&self, root: &Root, kernel: &Kernel) -> Result {
        let busybox = root.path("bin/busybox");
        let program = fs::read(&busybox).context(|| format!("no {}", busybox.display()))?;
        let mut archive = Archive::default();
        for folder in ["bin", "dev", "modules", "root"] {
            archive.folder(folder);
        }
        archive.program("bin/busybox", &program);
        archive.symlink("bin/sh", "busybox");
        archive.program("init", BOOT.as_bytes());
        kernel.add_boot_modules(&mut archive)?;
        let path = self.initramfs();
        fs::write(&path, archive.finish()).context(|| format!("cannot write {}", path.display()))
    }
}

const BOOT: &str = include_str!("../../guest/boot.sh");
const INIT: &str = include_str!("../../guest/init.sh");

/// A number that changes when the recipe does: FNV-1a over its text, and over the source that
/// carries it out.
fn recipe() -> u64 {
    let sources = [
        BOOT,
        INIT,
        include_str!("dpkg.rs"),
        include_str!("packages.rs"),
        include_str!("modules.rs"),
        include_str!("root.rs"),
        include_str!("image.rs"),
        crate::guest::DEFAULT_CONFIG,
    ];
    sources
        .iter()
        .flat_map(|text| text.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
