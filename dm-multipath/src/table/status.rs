//! The status: which group is in use, which paths work, how often each has failed.
//!
//! ```text
//! FEATURES HANDLER GROUPS NEXT { STATE SELECTOR PATHS ARGUMENTS
//!                                { DEVICE STATE FAILURES ARGUMENT... }... }...
//!
//! 2 0 1 0 2 1  A 0 2 2  8:0 A 0 0 1  8:16 F 1 0 1  E 0 1 2  8:32 A 0 0 1
//! ```
//! FEATURES, HANDLER and SELECTOR are each a count and so many words.

use std::fmt;
use std::str::FromStr;

use super::words::Words;
use super::{ParseError, write_counted, write_words};
use crate::DeviceNumber;

/// The status of a multipath target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipathStatus {
    /// Words about the whole map; see [`queues_io`](Self::queues_io) and
    /// [`pg_init_count`](Self::pg_init_count).
    pub features: Vec<String>,
    /// What the hardware handler says; today's kernels say nothing.
    pub hw_handler: Vec<String>,
    /// The group in use or to be used next, counted from 1; 0 if there is none.
    pub next_group: u32,
    /// The groups, in the order of the table.
    pub groups: Vec<StatusGroup>,
}

/// The state of a group of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// `A`: in use.
    Active,
    /// `E`: may be used.
    Enabled,
    /// `D`: bypassed.
    Disabled,
}

/// What device-mapper thinks of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathState {
    /// `A`: may be used.
    Active,
    /// `F`: failed, not used until it is reinstated.
    Failed,
}

/// The status of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusGroup {
    /// Its state.
    pub state: GroupState,
    /// What its selector says about itself.
    pub selector: Vec<String>,
    /// Its paths.
    pub paths: Vec<StatusPath>,
}

/// The status of a path. All paths of a group have the same number of arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPath {
    /// The path's device.
    pub device: DeviceNumber,
    /// Whether it is used.
    pub state: PathState,
    /// How often it has failed since the table was loaded.
    pub fail_count: u32,
    /// What the selector says about it.
    pub args: Vec<String>,
}

impl MultipathStatus {
    /// All paths, group by group.
    pub fn paths(&self) -> impl Iterator<Item = &StatusPath> {
        self.groups.iter().flat_map(|group| &group.paths)
    }

    /// Whether I/O waits in the map because no group has been initialised yet.
    pub fn queues_io(&self) -> bool {
        self.features.first().is_some_and(|word| word != "0")
    }

    /// How many initialisations of groups by the hardware handler are under way or done.
    pub fn pg_init_count(&self) -> Option<u32> {
        self.features.get(1)?.parse().ok()
    }
}

impl GroupState {
    const ALL: [(&'static str, Self); 3] = [
        ("A", Self::Active),
        ("E", Self::Enabled),
        ("D", Self::Disabled),
    ];
}

impl PathState {
    const ALL: [(&'static str, Self); 2] = [("A", Self::Active), ("F", Self::Failed)];
}

impl FromStr for MultipathStatus {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        let mut words = Words::new(line);
        let features = words.counted("features")?;
        let hw_handler = words.counted("hardware handler words")?;
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

fn group(words: &mut Words<'_>) -> Result<StatusGroup, ParseError> {
    let state = words.choice("a group's state (A, E or D)", |word| {
        find(&GroupState::ALL, word)
    })?;
    let selector = words.counted("selector words")?;
    let count = words.count("paths")?;
    let args = words.value("the number of arguments per path")?;
    let paths = (0..count)
        .map(|_| path(words, args))
        .collect::<Result<_, _>>()?;
    Ok(StatusGroup {
        state,
        selector,
        paths,
    })
}

fn path(words: &mut Words<'_>, args: usize) -> Result<StatusPath, ParseError> {
    Ok(StatusPath {
        device: words.value("a path's device number")?,
        state: words.choice("a path's state (A or F)", |word| {
            find(&PathState::ALL, word)
        })?,
        fail_count: words.value("a path's fail count")?,
        args: words.words(args, "what the selector says about a path")?,
    })
}

fn find<T: Copy>(all: &[(&str, T)], word: &str) -> Option<T> {
    all.iter()
        .find(|(name, _)| *name == word)
        .map(|(_, state)| *state)
}

impl fmt::Display for MultipathStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_counted(f, &self.features)?;
        f.write_str(" ")?;
        write_counted(f, &self.hw_handler)?;
        write!(f, " {} {}", self.groups.len(), self.next_group)?;
        self.groups
            .iter()
            .try_for_each(|group| write!(f, " {group}"))
    }
}

impl fmt::Display for StatusGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.state)?;
        write_counted(f, &self.selector)?;
        let args = self.paths.first().map_or(0, |path| path.args.len());
        write!(f, " {} {args}", self.paths.len())?;
        for path in &self.paths {
            write!(f, " {} {} {}", path.device, path.state, path.fail_count)?;
            write_words(f, &path.args)?;
        }
        Ok(())
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "A",
            Self::Enabled => "E",
            Self::Disabled => "D",
        })
    }
}

impl fmt::Display for PathState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "A",
            Self::Failed => "F",
        })
    }
}
