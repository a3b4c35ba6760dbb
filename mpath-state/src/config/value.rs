//! Values of the keywords that mean something here, and the sections that hold them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use regex_lite::Regex;

use super::{MIN_UXSOCK_TIMEOUT_MS, MapIdentity, Origin, Section, Setting};
use crate::{NotAKey, StoredKey};

/// What `reservation_key` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetting {
    /// `file`: the prkeys file has it, and registering sets it.
    File,
    /// The key itself.
    Key(StoredKey),
}

/// `file`, or `0x123abc[:aptpl]`.
impl fmt::Display for KeySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

impl FromStr for KeySetting {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        match text {
            "file" => Ok(Self::File),
            _ => text.parse().map(Self::Key),
        }
    }
}

/// A value and the line it stands in.
#[derive(Clone, Debug)]
pub(super) struct Sourced<T> {
    value: T,
    place: Place,
}

/// A line of a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

impl<T: Clone> Sourced<T> {
    pub(super) fn setting(&self, section: Section) -> Setting<T> {
        let Place { file, line } = &self.place;
        let origin = Origin::File {
            file: file.to_path_buf(),
            line: *line,
            section,
        };
        Setting {
            value: self.value.clone(),
            origin,
        }
    }
}

/// What a section says; the same keywords serve all kinds of sections.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub(super) reservation_key: Option<Sourced<KeySetting>>,
    pub(super) all_tg_pt: Option<Sourced<bool>>,
    pub(super) user_friendly_names: Option<Sourced<bool>>,
    pub(super) alias: Option<Sourced<Option<String>>>,
    pub(super) uxsock_timeout_ms: Option<Sourced<u32>>,
}

/// What became of a value.
pub(super) enum Taken {
    /// It counts.
    AsIs,
    /// Something else counts in its place.
    Changed(String),
    /// It does not count.
    Refused(String),
}

impl Attributes {
    /// Takes a keyword that means something here; anything else is refused.
    pub(super) fn set(&mut self, keyword: &str, text: &str, place: Place) -> Taken {
        match keyword {
            "reservation_key" => take(&mut self.reservation_key, parse_key(text), place),
            "all_tg_pt" => take(&mut self.all_tg_pt, parse_yes_no(text), place),
            "user_friendly_names" => take(&mut self.user_friendly_names, parse_yes_no(text), place),
            "alias" => take(&mut self.alias, parse_alias(text), place),
            "uxsock_timeout" => self.set_timeout(text, place),
            _ => Taken::Refused(format!("'{keyword}' is not understood here")),
        }
    }

    fn set_timeout(&mut self, text: &str, place: Place) -> Taken {
        let parsed = text
            .parse::<u32>()
            .map_err(|_| format!("'{text}' is not a number of milliseconds"));
        let raised = matches!(parsed, Ok(value) if value < MIN_UXSOCK_TIMEOUT_MS);
        let parsed = parsed.map(|value| value.max(MIN_UXSOCK_TIMEOUT_MS));
        match take(&mut self.uxsock_timeout_ms, parsed, place) {
            Taken::AsIs if raised => Taken::Changed(format!(
                "uxsock_timeout {text} is too short, {MIN_UXSOCK_TIMEOUT_MS} counts"
            )),
            taken => taken,
        }
    }
}

fn take<T>(slot: &mut Option<Sourced<T>>, parsed: Result<T, String>, place: Place) -> Taken {
    match parsed {
        Ok(value) => {
            *slot = Some(Sourced { value, place });
            Taken::AsIs
        }
        Err(message) => Taken::Refused(message),
    }
}

fn parse_key(text: &str) -> Result<KeySetting, String> {
    text.parse()
        .map_err(|error: NotAKey| format!("{error}; or 'file'"))
}

fn parse_yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "1" => Ok(true),
        "no" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither yes nor no")),
    }
}

/// Device-mapper takes no empty name and no slash.
fn parse_alias(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() || text.contains('/') {
        return Err(format!("'{text}' cannot be the name of a map"));
    }
    Ok(Some(text.to_owned()))
}

/// A `multipath` section.
#[derive(Clone, Debug)]
pub(super) struct MultipathEntry {
    pub(super) wwid: String,
    pub(super) attributes: Attributes,
}

/// A `device` section.
#[derive(Clone, Debug)]
pub(super) struct DeviceEntry {
    pub(super) vendor: Pattern,
    pub(super) product: Pattern,
    pub(super) attributes: Attributes,
}

impl DeviceEntry {
    pub(super) fn is_match(&self, map: &MapIdentity) -> bool {
        self.vendor.0.is_match(&map.vendor) && self.product.0.is_match(&map.product)
    }

    pub(super) fn section(&self) -> Section {
        let text = |pattern: &Pattern| pattern.0.as_str().to_owned();
        Section::Device {
            vendor: text(&self.vendor),
            product: text(&self.product),
        }
    }
}

/// An extended regular expression that may match anywhere in the text, as multipath-tools
/// has it.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text);
        regex
            .map(Self)
            .map_err(|error| format!("'{text}' is not a regular expression: {error}"))
    }
}
