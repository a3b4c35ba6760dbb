//! What sections say: values with the line they stand in, and the sections that hold them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::choices::{
    Failback, Features, FindMultipaths, Grouping, NoPathRetry, PathSelector, Prio,
};
use super::keyword_value::{ClientTimeout, KeywordValue, Limit, LogLevel, MapName, Read, Seconds};
use super::pattern::Pattern;
use super::{MapIdentity, Origin, Section, Setting, Severity};
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
    pub(super) value: T,
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

/// What became of a value.
pub(super) enum Taken {
    /// It counts.
    AsIs,
    /// Something else counts in its place.
    Changed(Severity, String),
    /// It does not count.
    Refused(String),
}

/// The same keywords serve all kinds of sections; which one belongs where is in `keywords.rs`.
/// A field is named by its keyword.
macro_rules! attributes {
    ($($keyword:ident: $type:ty,)*) => {
        /// What a section says.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Attributes {
            $(pub(super) $keyword: Option<Sourced<$type>>,)*
        }

        impl Attributes {
            /// Takes a keyword that means something here; anything else is refused.
            pub(super) fn set(&mut self, keyword: &str, text: &str, place: Place) -> Taken {
                match keyword {
                    $(stringify!($keyword) => take(&mut self.$keyword, text, place),)*
                    _ => Taken::Refused(format!("'{keyword}' is not understood here")),
                }
            }

            /// Keywords and values, as they stand in a file.
            pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
                let mut shown = Vec::new();
                $(if let Some(sourced) = &self.$keyword {
                    shown.push((stringify!($keyword), sourced.value.shown()));
                })*
                shown
            }
        }
    };
}

attributes! {
    alias: MapName,
    verbosity: LogLevel,
    polling_interval: Seconds,
    max_polling_interval: Seconds,
    checker_timeout: Seconds,
    find_multipaths: FindMultipaths,
    path_grouping_policy: Grouping,
    detect_pgpolicy: bool,
    path_selector: PathSelector,
    prio: Prio,
    detect_prio: bool,
    failback: Failback,
    no_path_retry: NoPathRetry,
    features: Features,
    user_friendly_names: bool,
    alias_prefix: MapName,
    reservation_key: KeySetting,
    all_tg_pt: bool,
    fast_io_fail_tmo: Limit,
    dev_loss_tmo: Limit,
    uxsock_timeout: ClientTimeout,
}

fn take<T: KeywordValue>(slot: &mut Option<Sourced<T>>, text: &str, place: Place) -> Taken {
    match T::read(text) {
        Ok(Read { value, note }) => {
            *slot = Some(Sourced { value, place });
            note.map_or(Taken::AsIs, |(severity, text)| {
                Taken::Changed(severity, text)
            })
        }
        Err(message) => Taken::Refused(message),
    }
}

/// A `multipath` section.
#[derive(Clone, Debug)]
pub(super) struct MultipathEntry {
    pub(super) wwid: String,
    pub(super) attributes: Attributes,
}

/// A `protocol` section of `overrides`.
#[derive(Clone, Debug)]
pub(super) struct ProtocolEntry {
    pub(super) protocol: String,
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
        self.vendor.is_match(&map.vendor) && self.product.is_match(&map.product)
    }

    pub(super) fn section(&self) -> Section {
        Section::Device {
            vendor: self.vendor.to_string(),
            product: self.product.to_string(),
        }
    }
}
