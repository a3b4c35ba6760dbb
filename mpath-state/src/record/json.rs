//! The format of record and journal: JSON with a version that is looked at first.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Intent, MapRecord, RecordError, files};

/// A value with a format version.
pub(super) trait Versioned {
    /// The newest version that this program understands.
    const NEWEST: u32;

    fn version(&self) -> u32;
}

impl Versioned for MapRecord {
    const NEWEST: u32 = Self::VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for Intent {
    const NEWEST: u32 = Self::VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

pub(super) fn read_record(path: &Path, wwid: &str) -> Result<Option<MapRecord>, RecordError> {
    let Some(bytes) = files::read(path)? else {
        return Ok(None);
    };
    let record: MapRecord = parse(path, &bytes)?;
    if record.wwid != wwid {
        let reason = format!("it is the record of {}", record.wwid);
        return Err(RecordError::Corrupt {
            path: path.to_owned(),
            moved_to: None,
            reason,
        });
    }
    Ok(Some(record))
}

pub(super) fn read_intent(path: &Path) -> Result<Option<Intent>, RecordError> {
    files::read(path)?
        .map(|bytes| parse(path, &bytes))
        .transpose()
}

fn parse<T: DeserializeOwned + Versioned>(path: &Path, bytes: &[u8]) -> Result<T, RecordError> {
    let corrupt = |error: serde_json::Error| RecordError::Corrupt {
        path: path.to_owned(),
        moved_to: None,
        reason: error.to_string(),
    };
    // The version first: a later format may well look corrupt to this program.
    let Version { version } = serde_json::from_slice(bytes).map_err(corrupt)?;
    if version > T::NEWEST {
        let path = path.to_owned();
        return Err(RecordError::Version {
            path,
            found: version,
            newest: T::NEWEST,
        });
    }
    serde_json::from_slice(bytes).map_err(corrupt)
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

/// Moves what could not be understood out of the way and says where to.
pub(super) fn set_corrupt_aside<T>(result: Result<T, RecordError>) -> Result<T, RecordError> {
    match result {
        Err(RecordError::Corrupt { path, reason, .. }) => {
            let moved_to = files::set_aside(&path)?;
            Err(RecordError::Corrupt {
                path,
                moved_to: Some(moved_to),
                reason,
            })
        }
        other => other,
    }
}

pub(super) fn write<T: Serialize + Versioned>(path: &Path, value: &T) -> Result<(), RecordError> {
    debug_assert!(
        value.version() <= T::NEWEST,
        "a version that cannot be read back"
    );
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| RecordError::Io {
        action: "encode",
        path: path.to_owned(),
        source: io::Error::other(error),
    })?;
    bytes.push(b'\n');
    files::replace(path, &bytes)
}
