//! Everything that can happen to the daemon: one closed set.

use dm_multipath::DeviceNumber;

use crate::ask::Ask;

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// A client wants a change.
    Asked(Ask),
    /// A check of a path ended, or did not end in time.
    Checked(Checked),
    /// The configuration is to be read again, and everything to be looked at.
    Reconfigure,
    /// The daemon is to end.
    Shutdown,
}

/// The end of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The path.
    pub device: DeviceNumber,
}
