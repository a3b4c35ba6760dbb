//! PREEMPT and PREEMPT AND ABORT (SPC-4 5.12.11.4, 5.12.11.5). There are no commands in
//! progress here to be aborted, so that the two do the same.

use super::nexus::NexusId;
use super::out::OutCommand;
use super::response::Denial;
use super::state::Held;
use super::{Attention, LogicalUnit, Quirks};
use crate::ReservationKey;

impl LogicalUnit {
    pub(super) fn preempt(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_scope_and_type(command)?;
        self.check_key(sender, command)?;
        Self::check_scope(command)?;
        let victim = command.service_action_key;
        let is_all_registrants = self
            .held
            .is_some_and(|held| held.reservation_type.is_all_registrants());
        if victim.is_none() && !is_all_registrants {
            return Err(Denial::LIST_FIELD);
        }
        match self.held.filter(|held| self.identifies(victim, *held)) {
            Some(held) => self.preempt_reservation(sender, command, held),
            None => {
                let spares = is_all_registrants && self.profile.has(Quirks::PREEMPT_SPARES_SENDER);
                self.remove_registrations(sender, victim, spares)?;
            }
        }
        self.count();
        Ok(())
    }

    /// Whether the victim's key identifies the holder of the reservation.
    fn identifies(&self, victim: ReservationKey, held: Held) -> bool {
        if held.reservation_type.is_all_registrants() {
            let first = held.holder.and_then(|holder| self.key_of(holder));
            return victim.is_none() || first == Some(victim);
        }
        self.holder_key(held) == victim
    }

    /// The sender becomes the holder; all registrations with the key go but its own.
    fn preempt_reservation(&mut self, sender: NexusId, command: &OutCommand<'_>, held: Held) {
        let victim = command.service_action_key;
        let gone = self.remove_entries(|unit, entry| {
            let is_victim = victim.is_none() || entry.key == victim;
            is_victim && !unit.is_same_registrant(entry.nexus, sender)
        });
        self.hold(command.reservation_type, sender);
        self.tell_all_but(sender, &gone, Attention::RegistrationsPreempted);
        if held.reservation_type != command.reservation_type {
            self.tell_registrants_but(sender, Attention::ReservationsReleased);
        }
    }

    /// All registrations with the key go, and a reservation only with its last registrant.
    fn remove_registrations(
        &mut self,
        sender: NexusId,
        victim: ReservationKey,
        spares_sender: bool,
    ) -> Result<(), Denial> {
        if !self.entries.iter().any(|entry| entry.key == victim) {
            return Err(Denial::Conflict);
        }
        let gone = self.remove_entries(|unit, entry| {
            let is_spared = spares_sender && unit.is_same_registrant(entry.nexus, sender);
            entry.key == victim && !is_spared
        });
        self.tell_all_but(sender, &gone, Attention::RegistrationsPreempted);
        if self.entries.is_empty() {
            self.held = None;
        }
        Ok(())
    }
}
