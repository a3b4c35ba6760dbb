//! The folder of a sandbox: who reads or changes it, and how that survives anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mpath_state::lock::{LockKind, lock_within};
use serde::Deserialize;

use super::SandboxError;
use super::san::San;

/// The folder of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Makes a sandbox.
    ///
    /// # Errors
    /// There is something in the folder already, or it cannot be written.
    pub fn create(dir: &Path, san: &San) -> Result<Self, SandboxError> {
        let folder = Self {
            dir: dir.to_owned(),
        };
        fs::create_dir_all(dir).map_err(|source| io_error("make", dir, source))?;
        let mut entries = fs::read_dir(dir).map_err(|source| io_error("read", dir, source))?;
        if entries.next().is_some() {
            let dir = dir.to_owned();
            return Err(SandboxError::Exists { dir });
        }
        for node in &san.nodes {
            let node_dir = dir.join(&node.name);
            fs::create_dir(&node_dir).map_err(|source| io_error("make", &node_dir, source))?;
            let config = node_dir.join("multipath.conf");
            fs::write(&config, CONFIG).map_err(|source| io_error("write", &config, source))?;
        }
        folder.write(san)?;
        Ok(folder)
    }

    /// A sandbox that is there.
    ///
    /// # Errors
    /// It is not.
    pub fn open(dir: &Path) -> Result<Self, SandboxError> {
        let dir = dir.to_owned();
        if dir.join(STATE).is_file() {
            Ok(Self { dir })
        } else {
            Err(SandboxError::Missing { dir })
        }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state at one moment.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn read(&self) -> Result<San, SandboxError> {
        let path = self.dir.join(STATE);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_STATE).read_to_end(&mut text));
        match read {
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                let dir = self.dir.clone();
                Err(SandboxError::Missing { dir })
            }
            Err(source) => Err(io_error("read", &path, source)),
            Ok(_) => parse(&text).map_err(|reason| SandboxError::Corrupt { path, reason }),
        }
    }

    /// Reads the state, changes it, and writes it, while nobody else does. An error changes
    /// nothing.
    ///
    /// # Errors
    /// Those of `change`, and what can be the matter with the files.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut San) -> Result<T, SandboxError>,
    ) -> Result<T, SandboxError> {
        let _lock = self.lock()?;
        let before = self.read()?;
        let mut san = before.clone();
        let result = change(&mut san)?;
        if san != before {
            self.write(&san)?;
        }
        Ok(result)
    }

    /// For as long as the file is open.
    fn lock(&self) -> Result<File, SandboxError> {
        let path = self.dir.join("lock");
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let locked = options
            .open(&path)
            .and_then(|file| lock_within(file, LockKind::Flock, LOCK_PATIENCE));
        match locked {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(SandboxError::Locked {
                path,
                seconds: LOCK_PATIENCE.as_secs(),
            }),
            Err(source) => Err(io_error("lock", &path, source)),
        }
    }

    /// Writes beside, syncs, renames: whoever reads finds the old state or the new one.
    fn write(&self, san: &San) -> Result<(), SandboxError> {
        let path = self.dir.join(STATE);
        let beside = self.dir.join("san.json.new");
        let mut text = serde_json::to_vec_pretty(san)
            .map_err(|error| io_error("encode", &path, io::Error::other(error)))?;
        text.push(b'\n');
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|source| io_error("write", &beside, source))?;
        fs::rename(&beside, &path).map_err(|source| io_error("replace", &path, source))?;
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| io_error("sync", &self.dir, source))
    }
}

fn parse(text: &[u8]) -> Result<San, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    // The version first: another format may well look corrupt to this program.
    let found: Version = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if found.version != San::VERSION {
        let (found, known) = (found.version, San::VERSION);
        return Err(format!(
            "it has version {found}, this program knows {known}"
        ));
    }
    let san: San = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match san.contradiction() {
        Some(reason) => Err(reason),
        None => Ok(san),
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> SandboxError {
    SandboxError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The file with everything that is simulated.
pub(super) const STATE: &str = "san.json";

/// The line that cluster agents look for.
const CONFIG: &str = "defaults {\n\treservation_key file\n}\n";

/// Commands hold the lock for milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Over what the largest sandbox takes; a longer file is cut, and so refused.
const MAX_STATE: u64 = 64 << 20;
