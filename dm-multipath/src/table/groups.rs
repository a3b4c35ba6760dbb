//! The table: features, hardware handler, groups of paths with their selectors.
//!
//! ```text
//! FEATURES HANDLER GROUPS NEXT { SELECTOR PATHS ARGUMENTS { DEVICE ARGUMENT... }... }...
//!
//! 1 queue_if_no_path  1 alua  2 1  service-time 0 2 2  8:0 1 1  8:16 1 1
//!                                  service-time 0 1 2  8:32 1 1
//! ```
//! FEATURES, HANDLER and the selector's own arguments are each a count and so many words.

use std::fmt;
use std::str::FromStr;

use super::words::Words;
use super::{ParseError, write_counted, write_words};
use crate::DeviceNumber;

/// The table of a multipath target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipathTable {
    /// How the map behaves.
    pub features: Features,
    /// The module that switches the array between its controllers.
    pub hw_handler: Option<HwHandler>,
    /// The group to use next, counted from 1; 0 if there is none.
    pub next_group: u32,
    /// The groups, best first.
    pub groups: Vec<TableGroup>,
}

/// The features of a map as words, those unknown here too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features(pub Vec<String>);

/// A hardware handler with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HwHandler {
    /// Its name, such as `alua`.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A path selector with its own arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Its name, such as `service-time`.
    pub name: String,
    /// Its arguments; those for each path are with the path.
    pub args: Vec<String>,
}

/// A group of paths that are used together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableGroup {
    /// What chooses among the paths.
    pub selector: Selector,
    /// The paths.
    pub paths: Vec<TablePath>,
}

/// A path in a table. All paths of a group have the same number of arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePath {
    /// The path's device.
    pub device: DeviceNumber,
    /// The selector's arguments for it.
    pub args: Vec<String>,
}

impl Features {
    /// Whether I/O waits while there is no path, rather than fail.
    pub fn queue_if_no_path(&self) -> bool {
        self.has("queue_if_no_path")
    }

    /// Whether a handler that the SCSI layer has attached is kept.
    pub fn retain_attached_hw_handler(&self) -> bool {
        self.has("retain_attached_hw_handler")
    }

    /// How often the hardware handler is tried again.
    pub fn pg_init_retries(&self) -> Option<u32> {
        self.value("pg_init_retries")?.parse().ok()
    }

    /// How long to wait between these tries, in milliseconds.
    pub fn pg_init_delay_msecs(&self) -> Option<u32> {
        self.value("pg_init_delay_msecs")?.parse().ok()
    }

    /// `bio`, `rq` or `mq`.
    pub fn queue_mode(&self) -> Option<&str> {
        self.value("queue_mode")
    }

    fn has(&self, feature: &str) -> bool {
        self.0.iter().any(|word| word == feature)
    }

    fn value(&self, feature: &str) -> Option<&str> {
        let position = self.0.iter().position(|word| word == feature)?;
        self.0.get(position + 1).map(String::as_str)
    }
}

impl MultipathTable {
    /// All paths, group by group.
    pub fn paths(&self) -> impl Iterator<Item = &TablePath> {
        self.groups.iter().flat_map(|group| &group.paths)
    }
}

impl FromStr for MultipathTable {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        let mut words = Words::new(line);
        let features = Features(words.counted("features")?);
        let mut handler = words.counted("hardware handler words")?.into_iter();
        let hw_handler = handler.next().map(|name| HwHandler {
            name,
            args: handler.collect(),
        });
        let count = words.count("groups")?;
        let next_group = words.value("the number of the next group")?;
        let groups = (0..count)
            .map(|_| group(&mut words))
            .collect::<Result<_, _>>()?;
        words.end()?;
        Ok(Self {
            features,
            hw_handler,
            next_group,
            groups,
        })
    }
}

fn group(words: &mut Words<'_>) -> Result<TableGroup, ParseError> {
    let name = words.word("a path selector")?;
    let selector = Selector {
        name,
        args: words.counted("selector arguments")?,
    };
    let count = words.count("paths")?;
    let args = words.value("the number of arguments per path")?;
    let path = |_| {
        let device = words.value("a path's device number")?;
        Ok(TablePath {
            device,
            args: words.words(args, "a path's selector argument")?,
        })
    };
    let paths = (0..count).map(path).collect::<Result<_, _>>()?;
    Ok(TableGroup { selector, paths })
}

impl fmt::Display for MultipathTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_counted(f, &self.features.0)?;
        match &self.hw_handler {
            None => write!(f, " 0")?,
            Some(handler) => {
                write!(f, " {} {}", 1 + handler.args.len(), handler.name)?;
                write_words(f, &handler.args)?;
            }
        }
        write!(f, " {} {}", self.groups.len(), self.next_group)?;
        self.groups
            .iter()
            .try_for_each(|group| write!(f, " {group}"))
    }
}

impl fmt::Display for TableGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.selector.name)?;
        write_counted(f, &self.selector.args)?;
        let args = self.paths.first().map_or(0, |path| path.args.len());
        write!(f, " {} {args}", self.paths.len())?;
        for path in &self.paths {
            write!(f, " {}", path.device)?;
            write_words(f, &path.args)?;
        }
        Ok(())
    }
}
