//! What a node remembers about its map, as `mpathpersist` keeps it in its record and journal.

use alloc::collections::BTreeSet;

use scsi_pr::{ReservationKey, ReservationType};

use crate::outcome::{Effects, Holding, Registration};
use crate::request::Request;
use crate::snapshot::PathId;

/// The record of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Record {
    /// Whether there is a record: this node is or was registered.
    pub exists: bool,
    /// The key, while this node is registered.
    pub key: Option<ReservationKey>,
    /// Whether it was registered with APTPL.
    pub aptpl: bool,
    /// The type of the reservation, while this node holds one.
    pub holding: Option<ReservationType>,
    /// Paths whose nexuses were registered with that key.
    pub nexuses: BTreeSet<usize>,
}

impl Record {
    /// Enters what a request changed.
    pub(super) fn enter(&mut self, effects: &Effects, request: Option<&Request>) {
        self.exists |= effects.registration.is_some() || effects.holding.is_some();
        match &effects.registration {
            Some(Registration::Unregistered) => {
                self.key = None;
                self.nexuses.clear();
            }
            Some(Registration::Registered { key, paths }) => {
                if self.key.replace(*key) != Some(*key) {
                    self.nexuses.clear();
                }
                if let Some(request) = request {
                    self.aptpl = matches!(request, Request::Register(r) if r.aptpl);
                }
                self.nexuses
                    .extend(paths.iter().map(|PathId(path)| *path as usize));
            }
            None => {}
        }
        match effects.holding {
            Some(Holding::Held(held)) => self.holding = Some(held),
            Some(Holding::NotHeld) => self.holding = None,
            None => {}
        }
    }
}
