//! What the daemon knows of this node's registrations.

use std::time::SystemTime;

use mpath_state::{PrStatus, StoredKey};
use mpathpersist::Holder;

/// This node's registration on a map, as the record and the prkeys file say it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PrState {
    /// The key that the configuration or the prkeys file gives the map (`getprkey`).
    pub configured: Option<StoredKey>,
    /// The key that this node is registered with.
    pub key: Option<StoredKey>,
    /// Is it registered (`getprstatus`)?
    pub registered: PrStatus,
    /// Does it hold the reservation (`getprhold`)?
    pub holds: PrStatus,
    /// Who holds it, as it was read or changed last.
    pub holder: Holder,
    /// Registrations with this node's key, as they were counted last.
    pub registrations: Option<usize>,
    /// The type of the reservation, while it holds it.
    pub reservation_type: Option<u8>,
    /// How often this node was found to be shut out.
    pub preemptions: u32,
    /// When that was last.
    pub preempted_at: Option<SystemTime>,
}

/// Whether a path's registration has been brought in line with what this node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Settling {
    /// It still has to be looked at: it must not carry I/O.
    #[default]
    Pending,
    /// Somebody is at it.
    UnderWay,
    /// It could not be settled; it is tried again.
    Unsettled,
    /// It is as this node is.
    Settled,
}
