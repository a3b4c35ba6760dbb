//! PREEMPT and PREEMPT AND ABORT (SPC-4 5.12.11.4, 5.12.11.5). There are no commands in
//! progress here to be aborted, so that the two do the same.

use super::nexus::NexusId;
use super::out::OutCommand;
use super::response::Denial;
use super::state::Entry;
use super::{Attention, LogicalUnit, Quirks};
use crate::{ReservationKey, ReservationType};

impl LogicalUnit {
    pub(super) fn preempt(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_scope_and_type(command)?;
        let own = self.check_key(sender, command)?;
        Self::check_scope(command)?;
        let victim = command.service_action_key;
        let is_all_registrants = self.held.is_some_and(ReservationType::is_all_registrants);
        if victim.is_none() && !is_all_registrants {
            return Err(Denial::LIST_FIELD);
        }
        if self.identifies_holder(victim) {
            self.preempt_reservation(own, command);
        } else {
            let spares = is_all_registrants && self.profile.has(Quirks::PREEMPT_SPARES_SENDER);
            self.remove_registrations(own, victim, spares)?;
        }
        self.count();
        Ok(())
    }

    /// Whether the victim's key identifies the holder of the reservation. Key zero does where
    /// all registrants hold it, and gets here only then.
    fn identifies_holder(&self, victim: ReservationKey) -> bool {
        victim.is_none() || self.holder().is_some_and(|holder| holder.key == victim)
    }

    /// The sender becomes the holder; all registrations with the key go but its own.
    fn preempt_reservation(&mut self, own: usize, command: &OutCommand<'_>) {
        let victim = command.service_action_key;
        let held = self.held;
        self.hold(command.reservation_type, own);
        let own_nexus = self.entries.get(own).map(|entry| entry.nexus);
        let gone = self.remove_entries(|_, position, entry| {
            position != own && (victim.is_none() || entry.key == victim)
        });
        self.tell(&gone, Attention::RegistrationsPreempted);
        if held != Some(command.reservation_type) {
            let marked = self.entries.iter().position(|entry| entry.is_holder);
            let own = marked.or_else(|| self.position_of(own_nexus?));
            self.tell_registrants_but(own, Attention::ReservationsReleased);
        }
    }

    /// All registrations with the key go, and a reservation only with its last registrant.
    fn remove_registrations(
        &mut self,
        own: usize,
        victim: ReservationKey,
        spares_sender: bool,
    ) -> Result<(), Denial> {
        if !self.entries.iter().any(|entry| entry.key == victim) {
            return Err(Denial::Conflict);
        }
        let is_victim = |entry: &Entry| entry.key == victim;
        let own_goes = !spares_sender && self.entries.get(own).is_some_and(is_victim);
        let gone = self.remove_entries(|_, position, entry| position != own && is_victim(entry));
        if own_goes {
            // It is the only one left with that key.
            self.remove_entries(|_, _, entry| is_victim(entry));
        }
        self.tell(&gone, Attention::RegistrationsPreempted);
        if self.entries.is_empty() {
            self.held = None;
        }
        Ok(())
    }
}
