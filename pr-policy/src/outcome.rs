//! How a request ended, and what changed on the way.

use alloc::vec::Vec;

use scsi_pr::{ReservationKey, ReservationType, Sense, Status, TransportId, UnitAttention};

use crate::snapshot::PathId;

/// The end of a [`Transaction`](crate::Transaction).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A read succeeded: the response as the device sent it.
    Read(Vec<u8>),
    /// A PERSISTENT RESERVE OUT succeeded, on every path that it has to cover.
    Done,
    /// RESERVATION CONFLICT, as one disk would have answered.
    Conflict,
    /// The device answered with a status that is neither success nor conflict.
    Answered {
        /// The path that answered.
        path: PathId,
        /// The SCSI status.
        status: Status,
        /// The sense data, if the status came with any.
        sense: Option<Sense>,
    },
    /// No path is usable: nothing was sent.
    NoUsablePath,
    /// Every usable path was tried and none answered; nothing is known to have changed.
    Unreachable {
        /// The path tried last.
        path: PathId,
    },
    /// A command was sent through this path and its answer never came: it may or may not have
    /// been executed, and no other path could tell.
    Unknown {
        /// The path whose answer is missing.
        path: PathId,
    },
    /// This path carries I/O and could not be brought in step with the others. A registration
    /// has been put back on those, as far as the old key is known; the effects tell what is left.
    Incomplete {
        /// The path left behind.
        path: PathId,
    },
    /// The map could not be suspended, so nothing was changed that would have failed its I/O.
    NotSuspended,
    /// The reservation is still held under our key by a nexus that no usable path is, and it
    /// cannot be told whether that nexus is one of this node's.
    HolderUnreachable {
        /// The key that holds.
        key: ReservationKey,
        /// The type held.
        reservation_type: ReservationType,
    },
    /// A path answered a read with bytes that are no such response.
    Malformed {
        /// The path that answered.
        path: PathId,
    },
}

impl Outcome {
    /// Whether what was asked for may still be carried out later: a request that recovers from
    /// one that was cut off, and ends so, is to be repeated before anything else is done to the
    /// map. What the paths have by now is neither what was there before nor what was asked for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::NoUsablePath
                | Self::Unreachable { .. }
                | Self::Unknown { .. }
                | Self::Incomplete { .. }
                | Self::NotSuspended
        )
    }
}

/// What a request changed, for the map's record and for the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The registration of this node, if the request changed it.
    pub registration: Option<Registration>,
    /// The reservation of this node, if the request changed or established it.
    pub holding: Option<Holding>,
    /// Paths that may be registered with the same key, although none of them said so. It is not
    /// counted on that they are, but an end of the registration has to end theirs.
    pub unheard: Vec<PathId>,
    /// Reservations or registrations were taken away, said unit attentions on the way. Mostly by
    /// other nodes; but what one path of this node does is news to its other paths too, so this
    /// is a reason to look, not a proof.
    pub news: Vec<UnitAttention>,
    /// The array cannot take two registrations at once: it was busy where it was given two, and
    /// never where it was given one, or took seconds there, and an instant here. To be
    /// [remembered](crate::Snapshot::takes_one_at_a_time).
    pub takes_one_at_a_time: bool,
    /// The array keeps one registration for all paths of an initiator port: they refused to make
    /// one each, and had the key nevertheless.
    pub keeps_one_per_port: bool,
    /// The port of another node that had the key before this one registered with it.
    pub shared_with: Option<TransportId>,
    /// What was left registered with this node's old key, since nobody can tell whose it is.
    pub spared: Option<Spared>,
}

/// Registrations that may be this node's, on paths out of reach, or another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spared {
    /// Their key.
    pub key: ReservationKey,
    /// How many there are.
    pub count: usize,
}

/// This node's registration after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// These paths are registered with this key.
    Registered {
        /// The key.
        key: ReservationKey,
        /// The paths known to carry it.
        paths: Vec<PathId>,
        /// What is known of all others.
        others: Others,
    },
    /// No path of this node is registered.
    Unregistered,
}

/// What has become of this node's registrations on nexuses that a change does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are what they were.
    AsBefore,
    /// There are none any more: this node preempted its own key, on dead paths as well.
    Removed,
    /// With the named ones there are so many at most: this node may have preempted its own key
    /// when it was cut off. Of nexuses that are gone from the map there are the fewest.
    AtMost(usize),
}

/// This node's part in the reservation after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// This node holds a reservation of this type.
    Held(ReservationType),
    /// This node holds none.
    NotHeld,
}
