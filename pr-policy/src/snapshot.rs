//! What is known of a map when a request starts: its paths and what this node remembers.

use alloc::vec::Vec;
use core::fmt;

use scsi_pr::{ReservationKey, TransportId};

/// Names one path of a map for the length of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {}", self.0)
    }
}

/// What a path is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathState {
    /// In the map, and up or standby: it carries I/O or may at any moment.
    Usable,
    /// In the map and failed there, although the device looks alive: it is asked before use.
    Doubtful,
    /// Down, blocked, or gone.
    Dead,
}

/// What there was before this node began to register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Before {
    /// How many registrations of its keys, the old one and the new one.
    pub registrations: usize,
    /// PRGENERATION then.
    pub generation: u32,
    /// The key that it remembered to have registered. Whoever recovers may remember the new one by
    /// then, and be cut off or unable to end it.
    pub key: Option<ReservationKey>,
}

/// One path of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Its name in this transaction.
    pub id: PathId,
    /// What it is good for.
    pub state: PathState,
    /// The initiator port it starts from, where this host can tell.
    pub initiator_port: Option<TransportId>,
}

/// The map as it stood when its lock had been taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The map's paths, in the map's order.
    pub paths: Vec<Path>,
    /// The key this node remembers to have registered, if any.
    pub remembered_key: Option<ReservationKey>,
    /// Whether that key was registered with APTPL.
    pub remembered_aptpl: bool,
    /// Whether this node registers with ALL_TG_PT, as it is configured or has done before.
    pub remembered_all_tg_pt: bool,
    /// Whether this node remembers to hold the reservation.
    pub remembered_holding: bool,
    /// How many nexuses this node remembers to have registered.
    pub remembered_nexuses: usize,
    /// How many nexuses that are not in the map any more this node may have registered: those of
    /// the remembered, and of paths whose return was cut off.
    pub remembered_gone: usize,
    /// Paths that may have been registered too late, since their return was cut off: they do not
    /// show that this node is a member.
    pub suspects: Vec<PathId>,
    /// How many more there are that are not in the map any more.
    pub suspects_gone: usize,
    /// Whether the array was found to take one registration at a time: then it is given no more,
    /// whatever [`FanOut`](crate::FanOut) is chosen.
    pub takes_one_at_a_time: bool,
    /// What there was before the request began that was cut off, if this one recovers from it: what
    /// [`Transaction::before`](crate::Transaction::before) said then.
    pub before: Option<Before>,
    /// Initiator ports of this host beyond those of the paths: of adapters whose paths are gone.
    pub own_ports: Vec<TransportId>,
}
