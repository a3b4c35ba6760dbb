//! How the value of a keyword is read and shown; and the plain ones: numbers, yes and no,
//! names, keys.

use super::{KeySetting, MIN_UXSOCK_TIMEOUT_MS, Severity};
use crate::NotAKey;

/// A type of values.
pub(super) trait KeywordValue: Sized {
    /// Reads the text behind the keyword; the error says what is wrong with it.
    fn read(text: &str) -> Result<Read<Self>, String>;

    /// As it stands in a configuration file, without quotes.
    fn shown(&self) -> String;
}

/// A value that was read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) value: T,
    /// It is not what the text says, and this is why.
    pub(super) note: Option<(Severity, String)>,
}

impl<T: KeywordValue> Read<T> {
    pub(super) fn as_is(value: T) -> Result<Self, String> {
        Ok(Self { value, note: None })
    }

    /// `value` counts in place of what the text says, which multipath-tools offers.
    pub(super) fn instead(value: T, text: &str) -> Result<Self, String> {
        let note = format!("'{text}' is not offered here, '{}' counts", value.shown());
        Ok(Self {
            value,
            note: Some((Severity::Notice, note)),
        })
    }
}

/// The name of a map, or the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MapName(pub(super) String);

/// A time in whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u32);

/// How long something that a path waits for may take (`fast_io_fail_tmo`, `dev_loss_tmo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many seconds.
    Seconds(u32),
    /// For ever: `off` of the one, `infinity` of the other.
    None,
}

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientTimeout {
    pub(super) ms: u32,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogLevel(pub(super) u8);

impl KeywordValue for bool {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "yes" | "1" => Read::as_is(true),
            "no" | "0" => Read::as_is(false),
            _ => Err(format!("'{text}' is neither yes nor no")),
        }
    }

    fn shown(&self) -> String {
        let text = if *self { "yes" } else { "no" };
        text.to_owned()
    }
}

impl KeywordValue for KeySetting {
    fn read(text: &str) -> Result<Read<Self>, String> {
        let parsed = text.parse();
        let value = parsed.map_err(|error: NotAKey| format!("{error}; or 'file'"))?;
        Read::as_is(value)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl KeywordValue for MapName {
    /// Device-mapper takes no empty name, no slash, and 127 bytes.
    fn read(text: &str) -> Result<Read<Self>, String> {
        if text.is_empty() || text.contains('/') || text.len() > MAX_NAME_LEN {
            return Err(format!("'{text}' cannot be the name of a map"));
        }
        Read::as_is(Self(text.to_owned()))
    }

    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl KeywordValue for Seconds {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text.parse() {
            Ok(seconds @ 1..) => Read::as_is(Self(seconds)),
            _ => Err(format!("'{text}' is not a number of seconds")),
        }
    }

    fn shown(&self) -> String {
        self.0.to_string()
    }
}

impl KeywordValue for Limit {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "off" | "infinity" => Read::as_is(Self::None),
            _ => match text.parse() {
                Ok(seconds) => Read::as_is(Self::Seconds(seconds)),
                Err(_) => Err(format!("'{text}' is not a number of seconds")),
            },
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::None => "infinity".to_owned(),
        }
    }
}

impl KeywordValue for ClientTimeout {
    fn read(text: &str) -> Result<Read<Self>, String> {
        let parsed = text.parse::<u32>();
        let ms = parsed.map_err(|_| format!("'{text}' is not a number of milliseconds"))?;
        let least = MIN_UXSOCK_TIMEOUT_MS;
        let note = format!("uxsock_timeout {text} is too short, {least} counts");
        Ok(Read {
            value: Self { ms: ms.max(least) },
            note: (ms < least).then_some((Severity::Warning, note)),
        })
    }

    fn shown(&self) -> String {
        self.ms.to_string()
    }
}

impl KeywordValue for LogLevel {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text.parse() {
            Ok(level @ 0..=MAX_VERBOSITY) => Read::as_is(Self(level)),
            _ => Err(format!("'{text}' is not a level from 0 to {MAX_VERBOSITY}")),
        }
    }

    fn shown(&self) -> String {
        self.0.to_string()
    }
}

/// `DM_NAME_LEN` of the kernel's ABI is 128 with the NUL.
const MAX_NAME_LEN: usize = 127;

/// multipath-tools has levels up to 4 and takes higher ones.
const MAX_VERBOSITY: u8 = 6;
