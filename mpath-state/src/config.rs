//! `multipath.conf` and its drop-ins, as far as persistent reservations need them, with the
//! origin of every value.
//!
//! Reading never fails as a whole: whatever is wrong becomes a [`Problem`] with file and
//! line, and the rest counts. A value comes from the first of these that has it: the
//! `multipath` section of the WWID, `overrides`, the `device` sections that match vendor and
//! product (the last one first), those that are built in for widespread arrays, `defaults`, what
//! is built in. For timeouts of a path a `protocol` section of `overrides` comes first. Within a
//! section, and between sections of the same kind, the last line counts; drop-ins come after the
//! main file, in the order of their names.
//!
//! | sections | keywords |
//! |---|---|
//! | defaults | `find_multipaths`, `polling_interval`, `max_polling_interval`, `checker_timeout` |
//! | defaults | `uxsock_timeout`, `verbosity` |
//! | defaults, overrides, multipath | `reservation_key` |
//! | defaults, device, overrides | `all_tg_pt`, `alias_prefix`, `detect_prio`, `detect_pgpolicy` |
//! | these and protocol | `fast_io_fail_tmo`, `dev_loss_tmo` |
//! | these and multipath | `user_friendly_names`, `path_grouping_policy`, `path_selector` |
//! | these and multipath | `prio`, `failback`, `no_path_retry`, `features` |
//! | multipath | `alias` |
//! | blacklist, blacklist_exceptions | `devnode`, `wwid`, `property`, `protocol`, `device` |
//! | device | `product_blacklist` |

mod blacklist;
mod choices;
mod file;
mod hardware;
mod keyword_value;
mod keywords;
mod lookup;
mod manual;
mod origin;
mod pattern;
mod problem;
mod settings;
mod shown;
#[cfg(test)]
mod tests;
mod value;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use blacklist::{Exclusion, PathIdentity};
pub use choices::{Failback, Features, FindMultipaths, Grouping, NoPathRetry, PathSelector, Prio};
pub use keyword_value::Limit;
pub use manual::Keyword;
pub use origin::{Origin, Section, Setting};
pub use problem::{Problem, Severity};
pub use settings::{Hook, HookEvent, Settings};
pub use value::KeySetting;

use blacklist::Blacklists;
use file::Reader;
use value::{Attributes, DeviceEntry, MultipathEntry, ProtocolEntry};

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The main file.
    pub main: PathBuf,
    /// The directory of drop-ins; its files that end in `.conf` are read, sorted by name.
    pub dir: PathBuf,
}

impl Default for ConfigFiles {
    fn default() -> Self {
        Self {
            main: PathBuf::from("/etc/multipath.conf"),
            dir: PathBuf::from("/etc/multipath/conf.d"),
        }
    }
}

/// A configuration and what was wrong with its text.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// In the order of files and lines.
    pub problems: Vec<Problem>,
}

/// What identifies a map to the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapIdentity {
    /// The map's WWID.
    pub wwid: String,
    /// The SCSI vendor of its paths, without trailing blanks; empty if it has none.
    pub vendor: String,
    /// The SCSI product of its paths, without trailing blanks; empty if it has none.
    pub product: String,
}

/// The values of all files together.
#[derive(Clone, Debug, Default)]
pub struct Config {
    defaults: Attributes,
    lists: Blacklists,
    overrides: Attributes,
    protocols: Vec<ProtocolEntry>,
    devices: Vec<DeviceEntry>,
    hardware: Vec<DeviceEntry>,
    multipaths: Vec<MultipathEntry>,
}

impl Config {
    /// Reads the main file and the drop-ins. What is missing is fine; what cannot be read is
    /// a problem of severity [`Severity::Error`].
    #[must_use]
    pub fn load(files: &ConfigFiles) -> Loaded {
        let mut reader = Reader::default();
        match read(&files.main) {
            Ok(Some(text)) => reader.read(&files.main, &text),
            Ok(None) => {}
            Err(error) => reader.refuse(&files.main, &error),
        }
        match drop_ins(&files.dir) {
            Ok(paths) => paths.iter().for_each(|path| match read(path) {
                Ok(text) => reader.read(path, &text.unwrap_or_default()),
                Err(error) => reader.refuse(path, &error),
            }),
            Err(error) => reader.refuse(&files.dir, &error),
        }
        let mut loaded = reader.finish();
        loaded.config.hardware = hardware::devices();
        loaded
    }
}

/// multipath-tools' default for `uxsock_timeout`, and the least it accepts.
pub const MIN_UXSOCK_TIMEOUT_MS: u32 = 4_000;

/// A thousand maps with every keyword take about 1 MiB.
const MAX_FILE_LEN: u64 = 16 * 1024 * 1024;

/// `None`: there is no such file.
fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The `.conf` files of `dir`, sorted; none if there is no such directory.
fn drop_ins(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "conf")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
