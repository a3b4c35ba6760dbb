//! Why a sandbox cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a sandbox cannot be used.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// There is none.
    #[error("{}: there is no sandbox here: make one with 'mpathpersist sandbox init {}'",
        .dir.display(), .dir.display())]
    Missing {
        /// The folder that was named.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("{}: there is something here already: name a folder that is empty or not there yet",
        .dir.display())]
    Exists {
        /// The folder that was named.
        dir: PathBuf,
    },
    /// A sandbox has no node or several, and none was named.
    #[error("{}: name the node to be, as in {}/{}: it has {}",
        .dir.display(), .dir.display(), .nodes.first().map_or("NODE", |node| node.as_str()),
        listed(.nodes))]
    WhichNode {
        /// The sandbox.
        dir: PathBuf,
        /// Its nodes.
        nodes: Vec<String>,
    },
    /// A name that nothing in the sandbox has.
    #[error("{}: there is no {kind} '{name}' in this sandbox, which has {}",
        .dir.display(), listed(.known))]
    Unknown {
        /// The sandbox.
        dir: PathBuf,
        /// What was looked for.
        kind: &'static str,
        /// By this name.
        name: String,
        /// What has a name.
        known: Vec<String>,
    },
    /// A sandbox of this shape cannot be.
    #[error("a sandbox cannot have {what}: {expected}")]
    Plan {
        /// What was wanted.
        what: String,
        /// What can be had.
        expected: String,
    },
    /// A path came back and could not be looked after.
    #[error(
        "{device}: cannot settle its registration ({reason}): run 'mpathpersist sandbox up' \
        again"
    )]
    Return {
        /// The path.
        device: String,
        /// What went wrong.
        reason: String,
    },
    /// A file cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file with the state is none.
    #[error("{}: not the state of a sandbox ({reason}): put the file back as it was, or remove \
        its folder and make a new sandbox", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody keeps the sandbox to himself.
    #[error("{}: locked by another process for {seconds} s: find it with 'fuser {}'",
        .path.display(), .path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
