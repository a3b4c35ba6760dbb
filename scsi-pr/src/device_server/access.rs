//! Who may do what while a reservation stands (SPC-4 5.12.3).

use super::nexus::NexusId;
use super::{LogicalUnit, Quirks};
use crate::{OutAction, ReservationType};

/// What a command does to the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediumAccess {
    Read,
    Write,
}

impl LogicalUnit {
    /// Whether the reservation lets a command through. `None` is a nexus not known yet.
    pub(super) fn admits(&self, id: Option<NexusId>, access: MediumAccess) -> bool {
        let Some(held) = self.held else { return true };
        if id.is_some_and(|id| self.has_holders_access(id)) {
            return true;
        }
        let is_write_exclusive = is_write_exclusive(held);
        let is_read_of_all = is_write_exclusive && access == MediumAccess::Read;
        is_read_of_all
            || admits_registrants(held) && id.is_some_and(|id| self.has_registrants_access(id))
    }

    /// Where the reservation is looked at before the parameter list is
    /// ([`Quirks::CONFLICT_BEFORE_PARAMETERS`]): whether a PERSISTENT RESERVE OUT gets past it.
    pub(super) fn lets_past(&self, id: NexusId, action: OutAction, data_out: &[u8]) -> bool {
        let Some(held) = self.held else { return true };
        if !self.profile.has(Quirks::CONFLICT_BEFORE_PARAMETERS) || self.has_holders_access(id) {
            return true;
        }
        let is_registrant = self.has_registrants_access(id);
        match action {
            OutAction::REGISTER | OutAction::REGISTER_AND_IGNORE_EXISTING_KEY => return true,
            OutAction::CLEAR
            | OutAction::PREEMPT
            | OutAction::PREEMPT_AND_ABORT
            | OutAction::RELEASE
                if is_registrant =>
            {
                return true;
            }
            OutAction::CLEAR
            | OutAction::PREEMPT
            | OutAction::PREEMPT_AND_ABORT
            | OutAction::RELEASE
            | OutAction::RESERVE
            | OutAction::REGISTER_AND_MOVE => {}
            _ => return false,
        }
        if is_write_exclusive(held) && !is_registrant {
            // Taken for a command that does not write.
            return data_out.is_empty();
        }
        admits_registrants(held) && is_registrant
    }

    fn has_registrants_access(&self, id: NexusId) -> bool {
        if !self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            return self.entry_of(id).is_some();
        }
        // Another session of the holder's, at the holder's target port, counts for nothing.
        let is_beside_holder = self
            .holder()
            .is_some_and(|holder| self.table().is_same_node(holder.nexus, id));
        self.is_active(id) && !is_beside_holder
    }

    fn has_holders_access(&self, id: NexusId) -> bool {
        let passes = self.profile.has(Quirks::SESSIONS_BY_EIGHT_DIGITS);
        self.holder().is_some_and(|holder| {
            self.counts_as(holder.nexus, id)
                || passes && self.table().is_similar_session(holder.nexus, id)
        })
    }
}

fn is_write_exclusive(reservation_type: ReservationType) -> bool {
    matches!(
        reservation_type,
        ReservationType::WRITE_EXCLUSIVE
            | ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY
            | ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS
    )
}

const fn admits_registrants(reservation_type: ReservationType) -> bool {
    reservation_type.is_registrants_only() || reservation_type.is_all_registrants()
}
