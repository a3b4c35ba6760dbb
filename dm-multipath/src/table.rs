//! The grammar of the multipath target's lines: the table it is loaded with and tells on
//! request, and its status (`multipath_ctr()` and `multipath_status()` in
//! `drivers/md/dm-mpath.c`). Both parse without any I/O; both print as the kernel prints.

mod groups;
mod status;
mod words;

use std::fmt;

pub use groups::{Features, HwHandler, MultipathTable, Selector, TableGroup, TablePath};
pub use status::{GroupState, MultipathStatus, PathState, StatusGroup, StatusPath};

/// The target type of multipath maps in device-mapper's tables.
pub const MULTIPATH_TARGET: &str = "multipath";

/// Where a line leaves the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The line ends too early.
    #[error("at byte {at}: the line ends where {expected} should be")]
    Missing {
        /// Byte offset, here the line's length.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Something else is there.
    #[error("at byte {at}: {found:?} is not {expected}")]
    Unexpected {
        /// Byte offset of the word.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// The word, or its beginning.
        found: String,
    },
    /// A count says that more follows than there is.
    #[error("at byte {at}: {count} {what} cannot be in {words} words")]
    TooMany {
        /// Byte offset of the count.
        at: usize,
        /// What is counted.
        what: &'static str,
        /// The count.
        count: usize,
        /// How many words are left.
        words: usize,
    },
    /// The line goes on behind its end.
    #[error("at byte {at}: {found:?} is too much")]
    Trailing {
        /// Byte offset of the word.
        at: usize,
        /// The word, or its beginning.
        found: String,
    },
}

/// Prints a list as the kernel does: its length and its words.
fn write_counted(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    write!(f, "{}", words.len())?;
    write_words(f, words)
}

/// Prints words, a space before each.
fn write_words(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    words.iter().try_for_each(|word| write!(f, " {word}"))
}
