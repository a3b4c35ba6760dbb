//! REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.12.7, 5.12.11.3).

use alloc::vec::Vec;

use super::nexus::NexusId;
use super::out::OutCommand;
use super::response::Denial;
use super::state::Entry;
use super::{Attention, LogicalUnit, Quirks};
use crate::{BasicParameters, OutAction, ReservationKey};

impl LogicalUnit {
    pub(super) fn register(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        if self.is_registration_in_progress() && self.profile.has(Quirks::ONE_AT_A_TIME) {
            return Err(Denial::Busy);
        }
        if !command.all_tg_pt && self.profile.has(Quirks::NEEDS_ALL_TG_PT) {
            return Err(Denial::LIST_FIELD);
        }
        let entry = self.entry_of(sender).copied();
        let key = entry.map_or(ReservationKey::NONE, |entry| entry.key);
        let must_match = command.action == OutAction::REGISTER;
        if must_match && command.reservation_key != key {
            return Err(Denial::Conflict);
        }
        match entry {
            None if command.service_action_key.is_none() => return Ok(()),
            None => self.register_new(sender, command)?,
            Some(entry) => self.register_again(sender, entry, command)?,
        }
        self.aptpl = command.aptpl;
        Ok(())
    }

    fn register_again(
        &mut self,
        sender: NexusId,
        entry: Entry,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        if command.spec_i_pt {
            return Err(Denial::LIST_FIELD);
        }
        let sticks = self.profile.has(Quirks::ALL_TG_PT_STICKS);
        if sticks && entry.all_tg_pt && !command.all_tg_pt {
            return Err(Denial::CDB_FIELD);
        }
        if command.service_action_key.is_none() {
            return self.unregister(sender, entry, command);
        }
        if self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            if let Some(own) = self.position_of(sender) {
                self.change_key(own, command.service_action_key, command.all_tg_pt);
            }
            self.count();
            return Ok(());
        }
        let mut nexuses = Vec::from([sender]);
        self.add_siblings(&mut nexuses, sender, command.all_tg_pt);
        self.set_keys(&nexuses, command)
    }

    fn register_new(&mut self, sender: NexusId, command: &OutCommand<'_>) -> Result<(), Denial> {
        let mut nexuses = Vec::from([sender]);
        self.add_siblings(&mut nexuses, sender, command.all_tg_pt);
        if command.spec_i_pt {
            let parameters = BasicParameters::decode(command.list);
            let named = parameters.map_err(|_| Denial::LIST_FIELD)?.transport_ids;
            let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
            for initiator_port in &named {
                for id in self.named(sender, initiator_port)? {
                    // Linux' looks only at those that were registered before.
                    let is_listed = !is_lio && nexuses.contains(&id);
                    if self.position_of(id).is_none() && !is_listed {
                        nexuses.push(id);
                        self.add_siblings(&mut nexuses, id, command.all_tg_pt);
                    }
                }
            }
        }
        self.set_keys(&nexuses, command)
    }

    /// Registers, or changes the key of what is registered.
    fn set_keys(&mut self, nexuses: &[NexusId], command: &OutCommand<'_>) -> Result<(), Denial> {
        self.check_room(nexuses)?;
        let looks = !self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        for (number, nexus) in nexuses.iter().enumerate() {
            let key = command.service_action_key;
            match self.position_of(*nexus).filter(|_| looks) {
                Some(position) => self.change_key(position, key, command.all_tg_pt),
                None => {
                    self.add_entry(*nexus, key, command.all_tg_pt);
                }
            }
            if number == 0 || self.profile.has(Quirks::GENERATION_COUNTS_REGISTRATIONS) {
                self.count();
            }
        }
        Ok(())
    }

    pub(super) fn change_key(&mut self, position: usize, key: ReservationKey, all_tg_pt: bool) {
        let sticks = self.profile.has(Quirks::ALL_TG_PT_STICKS);
        if let Some(entry) = self.entries.get_mut(position) {
            entry.key = key;
            if !sticks {
                entry.all_tg_pt = all_tg_pt;
            }
        }
    }

    pub(super) fn check_room(&self, nexuses: &[NexusId]) -> Result<(), Denial> {
        let most = self.profile.max_registrants.map_or(usize::MAX, usize::from);
        let mut new: Vec<NexusId> = Vec::new();
        for id in nexuses {
            let is_counted = new.iter().any(|other| self.counts_as(*other, *id));
            if !is_counted && self.position_of(*id).is_none() {
                new.push(*id);
            }
        }
        if new.is_empty() || self.entries.len().saturating_add(new.len()) <= most {
            Ok(())
        } else {
            Err(Denial::NO_RESOURCES)
        }
    }

    fn unregister(
        &mut self,
        sender: NexusId,
        entry: Entry,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        if is_lio {
            self.check_sibling_holder(entry)?;
        }
        let own = self.position_of(sender);
        let lost_key = match command.action {
            OutAction::REGISTER => command.reservation_key,
            _ => ReservationKey::NONE,
        };
        let gone = self.remove_entries(|unit, position, other| {
            let is_sibling = if is_lio {
                entry.all_tg_pt
                    && other.all_tg_pt
                    && other.key == lost_key
                    && unit.is_same_initiator(other.nexus, entry.nexus)
            } else {
                let table = unit.table();
                command.all_tg_pt && table.is_same_initiator_port(other.nexus, entry.nexus)
            };
            is_sibling || Some(position) == own
        });
        self.settle_reservation(&gone);
        if !self.profile.has(Quirks::UNREGISTER_KEEPS_GENERATION) {
            self.count();
        }
        Ok(())
    }

    /// The reservation after registrations went: a holder that went takes it along, all
    /// registrants only when the last one goes.
    fn settle_reservation(&mut self, gone: &[Entry]) {
        let Some(held) = self.held else { return };
        let holder_went = gone.iter().any(|entry| entry.is_holder);
        if held.is_all_registrants() {
            if self.entries.is_empty() {
                self.held = None;
            } else if holder_went {
                self.hold(held, 0);
            }
        } else if holder_went {
            self.held = None;
            if held.is_registrants_only() {
                self.tell_registrants_but(None, Attention::ReservationsReleased);
            }
        }
    }

    /// [`Quirks::SIBLINGS_WITHOUT_SESSION`]: an ALL_TG_PT registration stays while the same
    /// initiator holds the reservation elsewhere with the same key.
    fn check_sibling_holder(&self, entry: Entry) -> Result<(), Denial> {
        let Some(holder) = self.holder().filter(|holder| **holder != entry) else {
            return Ok(());
        };
        let is_sibling = self.is_same_initiator(holder.nexus, entry.nexus);
        if entry.all_tg_pt && is_sibling && holder.key == entry.key {
            Err(Denial::Conflict)
        } else {
            Ok(())
        }
    }
}
