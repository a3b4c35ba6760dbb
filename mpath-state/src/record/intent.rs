//! The journal's entry: a change that is under way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StoredKey;

/// What was asked and how far it is, written before the first step that changes anything.
///
/// What the operations and steps are called is the business of whoever writes them; fields
/// may be added as in [`MapRecord`](super::MapRecord).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Format; see [`Intent::VERSION`].
    pub version: u32,
    /// What was asked, for the program: `register`, `preempt`, …
    pub operation: String,
    /// What was asked, for people: the command line.
    #[serde(default)]
    pub request: String,
    /// The step that is about to be done.
    #[serde(default)]
    pub step: String,
    /// The process at work.
    #[serde(default)]
    pub pid: u32,
    /// When it began, in seconds since 1970.
    #[serde(default)]
    pub started_s: u64,
    /// This node's key before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_key: Option<StoredKey>,
    /// This node's key after the change; none: unregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_key: Option<StoredKey>,
    /// The prkeys file is to say this again if the change fails: it was set before the first
    /// command was sent. The outer `None` means that the file was not touched.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "restored")]
    pub restore_file_key: Option<Option<StoredKey>>,
    /// Type of the reservation that is at stake (SPC-4 6.13.3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_type: Option<u8>,
    /// The map may be suspended: resume it before anything else.
    #[serde(default)]
    pub may_be_suspended: bool,
    /// Fields of later programs.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Intent {
    /// The format that is written.
    pub const VERSION: u32 = 1;

    /// `operation` is about to begin, by this process.
    #[must_use]
    pub fn new(operation: impl Into<String>) -> Self {
        Self {
            version: Self::VERSION,
            operation: operation.into(),
            request: String::new(),
            step: String::new(),
            pid: std::process::id(),
            started_s: 0,
            old_key: None,
            new_key: None,
            restore_file_key: None,
            reservation_type: None,
            may_be_suspended: false,
            extra: BTreeMap::new(),
        }
    }
}

/// `null` is "no key", absence is "not touched".
mod restored {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::StoredKey;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<StoredKey>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .as_ref()
            .and_then(Option::as_ref)
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<StoredKey>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}
