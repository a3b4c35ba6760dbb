//! What can be asked of the daemon: [`Command`] prints as a client sends it and parses as a
//! server reads it.

use std::fmt;
use std::str::FromStr;

use super::cli_words::canonical;
use crate::words::quote;
use crate::{NotAKey, StoredKey};

/// One request. A map is named by alias, WWID or `dm-N`; a path by `sdX` or `major:minor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `show …`: from memory, allowed to everybody.
    Show(Show),
    /// `getprstatus map NAME`: is the map registered? Answer: [`PrStatus`](crate::PrStatus).
    GetPrStatus(String),
    /// `setprstatus map NAME [pathlist "8:16 8:32"]`: the map is registered now.
    SetPrStatus {
        /// The map.
        map: String,
        /// The paths that were registered; empty: all usable ones.
        paths: Vec<DeviceId>,
    },
    /// `unsetprstatus map NAME`: the map is not registered any more.
    UnsetPrStatus(String),
    /// `getprkey map NAME`. Answer: [`StoredKey`] or `none`.
    GetPrKey(String),
    /// `setprkey map NAME key 123abc[:aptpl]`: writes the prkeys file.
    SetPrKey {
        /// The map.
        map: String,
        /// Its new key.
        key: StoredKey,
    },
    /// `unsetprkey map NAME`: removes the map from the prkeys file.
    UnsetPrKey(String),
    /// `getprhold map NAME`: does this node hold the reservation?
    GetPrHold(String),
    /// `setprhold map NAME`.
    SetPrHold(String),
    /// `unsetprhold map NAME`.
    UnsetPrHold(String),
    /// `fail path P` and other verbs on one path.
    Path(Verb, String),
    /// `suspend map NAME` and other verbs on one map.
    Map(Verb, String),
    /// `disablequeueing maps`, `restorequeueing maps`: on all maps.
    Maps(Verb),
    /// `reconfigure`: read multipath.conf again.
    Reconfigure,
    /// `shutdown`: end, leaving maps and registrations as they are.
    Shutdown,
    /// `ping`: are you there?
    Ping,
    /// `help`: which commands there are; allowed to everybody.
    Help,
}

impl Command {
    /// Whether a client that is not root may send this: only what shows and gets.
    #[must_use]
    pub const fn is_for_everybody(&self) -> bool {
        matches!(
            self,
            Self::Show(_)
                | Self::GetPrStatus(_)
                | Self::GetPrKey(_)
                | Self::GetPrHold(_)
                | Self::Help
        )
    }
}

/// What can be done to one path or one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `add`
    Add,
    /// `remove`, also spelt `del`
    Remove,
    /// `fail`, paths only
    Fail,
    /// `reinstate`, paths only
    Reinstate,
    /// `suspend`, maps only
    Suspend,
    /// `resume`, maps only
    Resume,
    /// `reload`, maps only
    Reload,
    /// `disablequeueing`, maps only: I/O fails while no path works
    DisableQueueing,
    /// `restorequeueing`, maps only: as configured again
    RestoreQueueing,
}

/// What can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// `show paths`
    Paths,
    /// `show paths [raw] format FMT`
    PathsFormat {
        /// Without header line and padding.
        raw: bool,
        /// Text with wildcards such as `%d`.
        format: String,
    },
    /// `show maps`
    Maps,
    /// `show maps [raw] format FMT`
    MapsFormat {
        /// Without header line and padding.
        raw: bool,
        /// Text with wildcards such as `%n`.
        format: String,
    },
    /// `show maps status`
    MapsStatus,
    /// `show maps stats`
    MapsStats,
    /// `show maps json`
    MapsJson,
    /// `show paths json`
    PathsJson,
    /// `show path P`
    Path(String),
    /// `show topology`, also spelt `show maps topology`
    Topology,
    /// `show map NAME`, also spelt `show map NAME topology`
    Map(String),
    /// `show map NAME [raw] format FMT`
    MapFormat {
        /// The map.
        map: String,
        /// Without header line and padding.
        raw: bool,
        /// Text with wildcards such as `%n`.
        format: String,
    },
    /// `show map NAME json`
    MapJson(String),
    /// `show status`
    Status,
    /// `show daemon`
    Daemon,
    /// `show config`, also with `local` behind it
    Config,
    /// `show wildcards`
    Wildcards,
}

/// A block device by its numbers, `8:16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for DeviceId {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let number = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse().ok())?
        };
        text.split_once(':')
            .and_then(|(major, minor)| {
                Some(Self {
                    major: number(major)?,
                    minor: number(minor)?,
                })
            })
            .ok_or_else(|| CommandError::NotADevice {
                text: text.to_owned(),
            })
    }
}

/// As a client sends it; names that need it are quoted.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Show(show) => write!(f, "show {show}"),
            Self::GetPrStatus(map) => write!(f, "getprstatus map {}", quote(map)),
            Self::SetPrStatus { map, paths } => {
                write!(f, "setprstatus map {}{}", quote(map), PathList(paths))
            }
            Self::UnsetPrStatus(map) => write!(f, "unsetprstatus map {}", quote(map)),
            Self::GetPrKey(map) => write!(f, "getprkey map {}", quote(map)),
            Self::SetPrKey { map, key } => write!(f, "setprkey map {} key {key}", quote(map)),
            Self::UnsetPrKey(map) => write!(f, "unsetprkey map {}", quote(map)),
            Self::GetPrHold(map) => write!(f, "getprhold map {}", quote(map)),
            Self::SetPrHold(map) => write!(f, "setprhold map {}", quote(map)),
            Self::UnsetPrHold(map) => write!(f, "unsetprhold map {}", quote(map)),
            Self::Path(verb, path) => write!(f, "{verb} path {}", quote(path)),
            Self::Map(verb, map) => write!(f, "{verb} map {}", quote(map)),
            Self::Maps(verb) => write!(f, "{verb} maps"),
            Self::Reconfigure => f.write_str("reconfigure"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Ping => f.write_str("ping"),
            Self::Help => f.write_str("help"),
        }
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = |raw: &bool| if *raw { " raw" } else { "" };
        match self {
            Self::Paths => f.write_str("paths"),
            Self::PathsFormat { raw: bare, format } => {
                write!(f, "paths{} format {}", raw(bare), quote(format))
            }
            Self::Maps => f.write_str("maps"),
            Self::MapsFormat { raw: bare, format } => {
                write!(f, "maps{} format {}", raw(bare), quote(format))
            }
            Self::MapFormat {
                map,
                raw: bare,
                format,
            } => {
                write!(
                    f,
                    "map {}{} format {}",
                    quote(map),
                    raw(bare),
                    quote(format)
                )
            }
            Self::MapsStatus => f.write_str("maps status"),
            Self::MapsStats => f.write_str("maps stats"),
            Self::MapsJson => f.write_str("maps json"),
            Self::PathsJson => f.write_str("paths json"),
            Self::Path(path) => write!(f, "path {}", quote(path)),
            Self::Wildcards => f.write_str("wildcards"),
            Self::Topology => f.write_str("topology"),
            Self::Map(map) => write!(f, "map {} topology", quote(map)),
            Self::MapJson(map) => write!(f, "map {} json", quote(map)),
            Self::Status => f.write_str("status"),
            Self::Daemon => f.write_str("daemon"),
            Self::Config => f.write_str("config"),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Fail => "fail",
            Self::Reinstate => "reinstate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reload => "reload",
            Self::DisableQueueing => "disablequeueing",
            Self::RestoreQueueing => "restorequeueing",
        })
    }
}

/// As a server reads it: `list` = `show`, `multipath` = `map`, `multipaths` = `maps`,
/// `del` = `remove`, `fmt` = `format`; any keyword may be abbreviated as long as it is the only
/// one that begins so.
impl FromStr for Command {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let words = canonical(text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let unknown = || CommandError::Unknown {
            text: text.trim().to_owned(),
        };
        let (verb, rest) = words.split_first().ok_or_else(unknown)?;
        match (*verb, rest) {
            ("show", rest) => parse_show(rest).map(Self::Show).ok_or_else(unknown),
            ("reconfigure", [] | ["all"]) => Ok(Self::Reconfigure),
            ("shutdown", []) => Ok(Self::Shutdown),
            ("ping", []) => Ok(Self::Ping),
            ("help", []) => Ok(Self::Help),
            ("disablequeueing", ["maps"]) => Ok(Self::Maps(Verb::DisableQueueing)),
            ("restorequeueing", ["maps"]) => Ok(Self::Maps(Verb::RestoreQueueing)),
            (verb, ["path", path]) => parse_path_verb(verb, path).ok_or_else(unknown),
            (verb, ["map", map, rest @ ..]) => {
                parse_map_verb(verb, map, rest).unwrap_or_else(|| Err(unknown()))
            }
            _ => Err(unknown()),
        }
    }
}

/// The request cannot be understood; a server answers `fail`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command, or not with these arguments.
    #[error("no such command: '{text}'")]
    Unknown {
        /// The request.
        text: String,
    },
    /// A quoted argument has no end.
    #[error("closing quote missing")]
    MissingQuote,
    /// The argument of `setprkey` is no key.
    #[error(transparent)]
    Key(#[from] NotAKey),
    /// An entry of `pathlist` is not `major:minor`.
    #[error("'{text}' is not a device number such as 8:16")]
    NotADevice {
        /// The entry.
        text: String,
    },
}

/// ` pathlist "8:16 8:32"`, or nothing for no paths.
struct PathList<'a>(&'a [DeviceId]);

impl fmt::Display for PathList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(());
        };
        write!(f, " pathlist \"{first}")?;
        rest.iter().try_for_each(|device| write!(f, " {device}"))?;
        f.write_str("\"")
    }
}

fn parse_show(words: &[&str]) -> Option<Show> {
    Some(match words {
        ["paths"] => Show::Paths,
        ["paths", "json"] => Show::PathsJson,
        ["paths", rest @ ..] => {
            let (raw, format) = parse_format(rest)?;
            Show::PathsFormat { raw, format }
        }
        ["path", path] => Show::Path((*path).to_owned()),
        ["maps"] => Show::Maps,
        ["maps", "json"] => Show::MapsJson,
        ["maps", "status"] => Show::MapsStatus,
        ["maps", "stats"] => Show::MapsStats,
        ["topology"] | ["maps", "topology"] => Show::Topology,
        ["maps", rest @ ..] => {
            let (raw, format) = parse_format(rest)?;
            Show::MapsFormat { raw, format }
        }
        ["map", map] | ["map", map, "topology"] => Show::Map((*map).to_owned()),
        ["map", map, "json"] => Show::MapJson((*map).to_owned()),
        ["map", map, rest @ ..] => {
            let (raw, format) = parse_format(rest)?;
            let map = (*map).to_owned();
            Show::MapFormat { map, raw, format }
        }
        ["status"] => Show::Status,
        ["daemon"] => Show::Daemon,
        ["config"] | ["config", "local"] => Show::Config,
        ["wildcards"] => Show::Wildcards,
        _ => return None,
    })
}

fn parse_format(words: &[&str]) -> Option<(bool, String)> {
    match words {
        ["raw", "format", format] => Some((true, (*format).to_owned())),
        ["format", format] => Some((false, (*format).to_owned())),
        _ => None,
    }
}

fn parse_path_verb(verb: &str, path: &str) -> Option<Command> {
    let verb = match verb {
        "add" => Verb::Add,
        "remove" => Verb::Remove,
        "fail" => Verb::Fail,
        "reinstate" => Verb::Reinstate,
        _ => return None,
    };
    Some(Command::Path(verb, path.to_owned()))
}

/// `None`: there is no such verb with such arguments.
fn parse_map_verb(verb: &str, map: &str, rest: &[&str]) -> Option<Result<Command, CommandError>> {
    let map = map.to_owned();
    let command = match (verb, rest) {
        ("setprkey", ["key", key]) => {
            let key = key.parse().map_err(CommandError::Key);
            return Some(key.map(|key| Command::SetPrKey { map, key }));
        }
        ("setprstatus", ["pathlist", list]) => {
            let paths: Result<_, _> = list.split_whitespace().map(str::parse).collect();
            return Some(paths.map(|paths| Command::SetPrStatus { map, paths }));
        }
        (_, [_, ..]) => return None,
        ("getprstatus", []) => Command::GetPrStatus(map),
        ("setprstatus", []) => Command::SetPrStatus {
            map,
            paths: Vec::new(),
        },
        ("unsetprstatus", []) => Command::UnsetPrStatus(map),
        ("getprkey", []) => Command::GetPrKey(map),
        ("unsetprkey", []) => Command::UnsetPrKey(map),
        ("getprhold", []) => Command::GetPrHold(map),
        ("setprhold", []) => Command::SetPrHold(map),
        ("unsetprhold", []) => Command::UnsetPrHold(map),
        ("add", []) => Command::Map(Verb::Add, map),
        ("remove", []) => Command::Map(Verb::Remove, map),
        ("suspend", []) => Command::Map(Verb::Suspend, map),
        ("resume", []) => Command::Map(Verb::Resume, map),
        ("reload", []) => Command::Map(Verb::Reload, map),
        ("disablequeueing", []) => Command::Map(Verb::DisableQueueing, map),
        ("restorequeueing", []) => Command::Map(Verb::RestoreQueueing, map),
        _ => return None,
    };
    Some(Ok(command))
}

#[cfg(test)]
mod tests;
