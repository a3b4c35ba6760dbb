//! RESERVE, RELEASE and CLEAR (SPC-4 5.12.9, 5.12.11.2, 5.12.11.6).

use super::nexus::NexusId;
use super::out::OutCommand;
use super::response::Denial;
use super::{Attention, LogicalUnit, Quirks};
use crate::Scope;

impl LogicalUnit {
    pub(super) fn reserve(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_scope_and_type(command)?;
        self.check_registered(sender)?;
        self.check_key(sender, command)?;
        Self::check_scope(command)?;
        match self.held {
            None => self.hold(command.reservation_type, sender),
            Some(held) => {
                let is_same = held.reservation_type == command.reservation_type;
                if !is_same || !self.holds(sender) {
                    return Err(Denial::Conflict);
                }
            }
        }
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_registered(sender)?;
        let is_holder = self.holds(sender);
        if is_holder || !self.profile.has(Quirks::RELEASE_BY_NON_HOLDER_IGNORES_KEY) {
            self.check_key(sender, command)?;
        }
        let Some(held) = self.held.filter(|_| is_holder) else {
            return Ok(());
        };
        let is_same = held.reservation_type == command.reservation_type;
        if !is_same || command.scope != Scope::LOGICAL_UNIT {
            let is_conflict = self.profile.has(Quirks::WRONG_RELEASE_IS_CONFLICT);
            return Err(if is_conflict {
                Denial::Conflict
            } else {
                Denial::INVALID_RELEASE
            });
        }
        self.held = None;
        let held = held.reservation_type;
        if held.is_registrants_only() || held.is_all_registrants() {
            self.tell_registrants_but(sender, Attention::ReservationsReleased);
        }
        Ok(())
    }

    pub(super) fn clear(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_registered(sender)?;
        self.check_key(sender, command)?;
        self.held = None;
        let gone = self.remove_entries(|_, _| true);
        self.tell_all_but(sender, &gone, Attention::ReservationsPreempted);
        if self.profile.has(Quirks::CLEAR_ENDS_APTPL) {
            self.aptpl = false;
        }
        self.count();
        Ok(())
    }
}
