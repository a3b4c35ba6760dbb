//! What a node remembers about its map, as `mpathpersist` keeps it in its record and journal.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use scsi_pr::{ReservationKey, ReservationType};

use crate::outcome::{Effects, Holding, Others, Registration};
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
    pub(super) fn enter(
        &mut self,
        effects: &Effects,
        request: Option<&Request>,
        is_in_map: impl Fn(&usize) -> bool,
    ) {
        self.exists |= effects.registration.is_some() || effects.holding.is_some();
        match &effects.registration {
            Some(Registration::Unregistered) => {
                if let Some(Request::Register(register)) = request {
                    self.aptpl = register.aptpl;
                }
                self.key = None;
                self.nexuses.clear();
            }
            Some(Registration::Registered { key, paths, others }) => {
                if self.key.replace(*key) != Some(*key) || *others == Others::Removed {
                    self.nexuses.clear();
                }
                if let Some(Request::Register(register)) = request {
                    self.aptpl = register.aptpl;
                }
                let heard_or_not = paths.iter().chain(&effects.unheard);
                self.nexuses
                    .extend(heard_or_not.map(|PathId(path)| *path as usize));
                if let Others::AtMost(most) = others {
                    let (mut kept, gone): (Vec<_>, Vec<_>) =
                        self.nexuses.iter().copied().partition(is_in_map);
                    kept.extend(gone);
                    self.nexuses = kept.into_iter().take(*most).collect();
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(paths: impl IntoIterator<Item = u32>, others: Others) -> Effects {
        Effects {
            registration: Some(Registration::Registered {
                key: ReservationKey(0xa),
                paths: paths.into_iter().map(PathId).collect(),
                others,
            }),
            ..Effects::default()
        }
    }

    /// What a takeover has purged must not be missed later.
    #[test]
    fn nexuses_are_added_unless_the_others_are_gone() {
        let mut record = Record::default();
        let mut enter = |effects: Effects| {
            record.enter(&effects, None, |path| *path != 0);
            record.nexuses.iter().copied().collect::<Vec<_>>()
        };
        assert_eq!(enter(registered([0, 1], Others::AsBefore)), [0, 1]);
        assert_eq!(enter(registered([2], Others::AsBefore)), [0, 1, 2]);
        assert_eq!(enter(registered([0, 2], Others::Removed)), [0, 2]);
        assert_eq!(enter(registered([], Others::AtMost(2))), [0, 2]);
        // The first path is gone from the map.
        assert_eq!(enter(registered([], Others::AtMost(1))), [2]);
    }
}
