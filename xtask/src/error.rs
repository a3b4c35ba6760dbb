//! What can go wrong while building, booting or using the lab, in one narrow enum: a person
//! reads it at the end of a command, so each variant says what was tried.

use std::fmt::Display;
use std::io;

/// A failure of one of the project's tasks.
#[derive(thiserror::Error)]
pub enum Error {
    /// A file or another system resource could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command ran and did not succeed.
    #[error("`{command}` ended with {outcome}{}", indented(.output))]
    Command {
        /// The command line.
        command: String,
        /// How it ended, as `std::process::ExitStatus` prints it.
        outcome: String,
        /// The end of what it wrote, for the reader.
        output: String,
    },
    /// Something was not as it must be.
    #[error("{0}")]
    Unexpected(String),
    /// Something that was waited for did not happen.
    #[error("waited {seconds} s in vain: {what}")]
    Timeout {
        /// What was to happen.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

/// The result of everything in this crate that can fail.
pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Unexpected`] with that text.
    pub fn unexpected(text: impl Display) -> Self {
        Self::Unexpected(text.to_string())
    }
}

/// Tests return these errors and libtest prints them with `Debug`: a person reads that, too.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(self, f)
    }
}

/// Says what was tried when a system call failed.
pub trait Context<T> {
    /// Wraps an `io::Error` with the words of `what`.
    ///
    /// # Errors
    /// The wrapped one.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io {
            what: what(),
            source,
        })
    }
}

fn indented(output: &str) -> String {
    output
        .trim_end()
        .lines()
        .map(|line| format!("\n    {line}"))
        .collect()
}
