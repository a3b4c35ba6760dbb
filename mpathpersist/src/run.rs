//! What stands between the command line and the one who carries a request out.
//!
//! Here so that the whole command line, texts and exit statuses included, runs in tests against
//! a [`Runner`] that touches nothing.
use crate::rehearsal::Rehearsal;
pub use pr_policy::{Doubt, FanOut};
use pr_policy::{Outcome, Request};
use scsi_pr::ReservationKey;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Carries one request out on one map.
pub trait Runner {
    /// Runs `request` on the map that `device` names (a node's path, as the user wrote it).
    ///
    /// A refusal by the device is an [`Outcome`], not a [`Failure`]: a `Failure` means that the
    /// request never got as far as an answer.
    fn run(
        &mut self,
        device: &str,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Report, Failure>;

    /// Plays `request` through on a copy of what stands on the device, and changes nothing.
    ///
    /// A runner without a policy of its own has nothing to plan, and refuses.
    fn rehearse(
        &mut self,
        device: &str,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Rehearsal, Failure> {
        let _ = (request, options);
        Err(Failure::Other {
            device: device.to_owned(),
            reason: "one path has no plan: a dry run is for a map".to_owned(),
        })
    }
}

/// How a request is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Time for the whole command; `None`: the default of the executor.
    pub timeout: Option<Duration>,
    /// One path at a time, or all at once.
    pub fan_out: FanOut,
    /// What to do when it cannot be shown whose registration or reservation is in the way.
    pub doubt: Doubt,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            timeout: None,
            fan_out: FanOut::Parallel,
            doubt: Doubt::Refuse,
        }
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The map's name, as in `/dev/mapper/NAME`.
    pub map: String,
    /// What the device, seen as one disk, answered.
    pub outcome: Outcome,
    /// The path that the outcome speaks of, if it speaks of one: its name, and what else helps
    /// to find it, for example "sdb (8:16)".
    pub path: Option<String>,
    /// Sentences for the person at the terminal, without a final line feed; they go to stderr.
    pub notes: Vec<String>,
}

/// Why a request did not get as far as an answer of the device.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// There is no such file, or it cannot be opened (exit status 12).
    #[error("{device}: cannot be opened ({reason}): {}", Suggestion(nearest.as_deref()))]
    NotFound {
        /// The name that was given.
        device: String,
        /// What the system says, for example "No such file or directory".
        reason: String,
        /// The map whose name is most like the one given, if there is one.
        nearest: Option<String>,
    },
    /// The file is no block device (exit status 12).
    #[error("{device}: not a block device: name a map, as in /dev/mapper/NAME")]
    NotBlockDevice {
        /// The name that was given.
        device: String,
    },
    /// A block device, but not a map of target type multipath (exit status 13).
    #[error("{device}: not a multipath map ({reason}): use sg_persist for a single disk")]
    NotMultipath {
        /// The name that was given.
        device: String,
        /// What it is instead, for example "a SCSI disk".
        reason: String,
    },
    /// The map has no path that could carry a command (exit status 13).
    #[error("{map}: no usable path ({reason}): mend one; 'mpathpersist status {map}' shows each")]
    NoPath {
        /// The map's name.
        map: String,
        /// What is the matter with the paths, for example "4 paths, all failed".
        reason: String,
    },
    /// The key given is not the one configured for the map (exit status 1).
    #[error("{map}: configured reservation key doesn't match: {configured}")]
    KeyMismatch {
        /// The map's name.
        map: String,
        /// The key that is configured.
        configured: ReservationKey,
        /// Where: a line of a file.
        origin: String,
    },
    /// The map has no key, and this action needs one (exit status 1).
    #[error("{map}: no configured reservation key")]
    NoKey {
        /// The map's name.
        map: String,
    },
    /// The process that was to carry a command could not be started (exit status 14).
    #[error("{map}: cannot start a worker: {reason}")]
    Worker {
        /// The map's name.
        map: String,
        /// What the system says.
        reason: String,
    },
    /// Anything else: device-mapper, lock, record, configuration (exit status 15).
    #[error("{device}: {reason}")]
    Other {
        /// The name that was given, or the map's.
        device: String,
        /// One sentence: what was tried, what went wrong, what to do next.
        reason: String,
    },
}

/// What the name may have been meant to be.
struct Suggestion<'a>(Option<&'a str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(map) => write!(f, "is '{map}' meant? 'mpathpersist status' lists the maps"),
            None => f.write_str("name a map, as in /dev/mapper/NAME"),
        }
    }
}

impl Failure {
    /// What to do, where the message is one that scripts know and that stays as it is.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::KeyMismatch {
                map,
                configured,
                origin,
            } => Some(format!(
                "{map}: that key comes from {origin}: use {configured}, or change it there; see \
                 'mpathpersist explain {map}'"
            )),
            Self::NoKey { map } => Some(format!(
                "{map}: register first, which stores the key: 'mpathpersist --out --register \
                 --param-sark KEY {map}'; or set 'reservation_key' in multipath.conf"
            )),
            _ => None,
        }
    }

    /// The name of the map, if it was found.
    pub fn map(&self) -> Option<&str> {
        match self {
            Self::NoPath { map, .. }
            | Self::KeyMismatch { map, .. }
            | Self::NoKey { map }
            | Self::Worker { map, .. } => Some(map),
            Self::NotFound { .. }
            | Self::NotBlockDevice { .. }
            | Self::NotMultipath { .. }
            | Self::Other { .. } => None,
        }
    }
}
