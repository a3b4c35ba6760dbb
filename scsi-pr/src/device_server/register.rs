//! REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.12.7, 5.12.11.3).

use alloc::vec::Vec;

use super::nexus::{NexusId, is_same_initiator, without_session};
use super::out::OutCommand;
use super::response::Denial;
use super::state::Entry;
use super::{Attention, LogicalUnit, Nexus, Quirks};
use crate::{BasicParameters, IscsiTransportId, OutAction, ReservationKey, TransportId};

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
        let mut nexuses = Vec::from([sender]);
        if !self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            self.add_siblings(&mut nexuses, sender, command.all_tg_pt);
        }
        self.set_keys(&nexuses, command)
    }

    fn register_new(&mut self, sender: NexusId, command: &OutCommand<'_>) -> Result<(), Denial> {
        let mut nexuses = Vec::from([sender]);
        self.add_siblings(&mut nexuses, sender, command.all_tg_pt);
        if command.spec_i_pt {
            let parameters = BasicParameters::decode(command.list);
            let named = parameters.map_err(|_| Denial::LIST_FIELD)?.transport_ids;
            for initiator_port in &named {
                for id in self.named(sender, initiator_port)? {
                    let is_new = self.entry_of(id).is_none() || self.table().is_sessionless(id);
                    if is_new && !nexuses.contains(&id) {
                        nexuses.push(id);
                        self.add_siblings(&mut nexuses, id, command.all_tg_pt);
                    }
                }
            }
        }
        self.set_keys(&nexuses, command)
    }

    /// The nexuses that a TransportID stands for: its initiator port at the target port that
    /// the command came through; for an iSCSI initiator without a session, each of its ports.
    fn named(
        &mut self,
        sender: NexusId,
        initiator_port: &TransportId,
    ) -> Result<Vec<NexusId>, Denial> {
        if matches!(initiator_port, TransportId::Unknown { .. }) {
            return Err(Denial::LIST_FIELD);
        }
        let is_elsewhere = self.profile.has(Quirks::SPEC_I_PT_AT_FIRST_PORT);
        let target_port = if is_elsewhere {
            let first = self.first_target_port_of(initiator_port);
            first.ok_or(Denial::LIST_FIELD)?
        } else {
            self.target_port_of(sender)
        };
        if !is_elsewhere && is_device(initiator_port) {
            return self.sessions(initiator_port, target_port);
        }
        Ok(Vec::from([self.intern(&Nexus {
            initiator_port: initiator_port.clone(),
            relative_target_port: target_port,
        })]))
    }

    /// All sessions of an iSCSI initiator, at one target port.
    fn sessions(
        &mut self,
        initiator: &TransportId,
        relative_target_port: u16,
    ) -> Result<Vec<NexusId>, Denial> {
        let table = self.table();
        let mut ports: Vec<TransportId> = Vec::new();
        for nexus in table.connected().filter_map(|id| table.get(id)) {
            let port = &nexus.initiator_port;
            if is_same_initiator(port, initiator) && !ports.contains(port) {
                ports.push(port.clone());
            }
        }
        if ports.is_empty() {
            return Err(Denial::LIST_FIELD);
        }
        let nexus = |initiator_port| Nexus {
            initiator_port,
            relative_target_port,
        };
        let nexuses = ports.into_iter().map(nexus);
        Ok(nexuses.map(|nexus| self.intern(&nexus)).collect())
    }

    /// Adds the nexuses of an initiator port at the other target ports, for ALL_TG_PT.
    fn add_siblings(&mut self, nexuses: &mut Vec<NexusId>, of: NexusId, all_tg_pt: bool) {
        let Some(nexus) = self.table().get(of).filter(|_| all_tg_pt).cloned() else {
            return;
        };
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        for target_port in Vec::from(self.table().target_ports()) {
            if target_port == nexus.relative_target_port {
                continue;
            }
            let port = &nexus.initiator_port;
            if is_lio && !self.is_connected_at(port, target_port) {
                continue;
            }
            let initiator_port = if is_lio {
                without_session(port)
            } else {
                port.clone()
            };
            let sibling = self.intern(&Nexus {
                initiator_port,
                relative_target_port: target_port,
            });
            nexuses.push(sibling);
        }
    }

    /// Registers, or changes the key of what is registered.
    fn set_keys(&mut self, nexuses: &[NexusId], command: &OutCommand<'_>) -> Result<(), Denial> {
        let mut new: Vec<NexusId> = Vec::new();
        for id in nexuses {
            let is_counted = |other: &NexusId| self.is_same_registrant(*other, *id);
            if self.entry_of(*id).is_none() && !new.iter().any(is_counted) {
                new.push(*id);
            }
        }
        let new = new.len();
        let most = self.profile.max_registrants.map_or(usize::MAX, usize::from);
        if new > 0 && self.entries.len().saturating_add(new) > most {
            return Err(Denial::NO_RESOURCES);
        }
        for (position, nexus) in nexuses.iter().enumerate() {
            self.set_key(*nexus, command.service_action_key, command.all_tg_pt);
            if position == 0 || self.profile.has(Quirks::GENERATION_COUNTS_REGISTRATIONS) {
                self.count();
            }
        }
        Ok(())
    }

    pub(super) fn set_key(&mut self, nexus: NexusId, key: ReservationKey, all_tg_pt: bool) {
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        let is_its = |entry: &Entry| self.is_same_registrant(entry.nexus, nexus);
        let position = self.entries.iter().position(is_its);
        // Those without a session are never found again.
        let position = position.filter(|_| !self.table().is_sessionless(nexus));
        match position.and_then(|position| self.entries.get_mut(position)) {
            Some(entry) => {
                entry.key = key;
                entry.all_tg_pt = if is_lio { entry.all_tg_pt } else { all_tg_pt };
            }
            None => self.add_entry(Entry {
                nexus,
                key,
                all_tg_pt,
            }),
        }
    }

    fn unregister(
        &mut self,
        sender: NexusId,
        entry: Entry,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        if self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            self.check_sibling_holder(entry)?;
        }
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        let lost_key = match command.action {
            OutAction::REGISTER => command.reservation_key,
            _ => ReservationKey::NONE,
        };
        self.remove_entries(|unit, other| {
            let is_sibling = if is_lio {
                entry.all_tg_pt
                    && other.all_tg_pt
                    && other.key == lost_key
                    && unit.is_same_initiator(other.nexus, sender)
            } else {
                let table = unit.table();
                command.all_tg_pt && table.is_same_initiator_port(other.nexus, sender)
            };
            is_sibling || unit.is_same_registrant(other.nexus, sender)
        });
        self.settle_reservation(sender);
        if !self.profile.has(Quirks::UNREGISTER_KEEPS_GENERATION) {
            self.count();
        }
        Ok(())
    }

    /// The reservation after registrations went: a holder that went takes it along, all
    /// registrants only when the last one goes.
    fn settle_reservation(&mut self, sender: NexusId) {
        let Some(held) = self.held else { return };
        let is_registered = |holder| self.entry_of(holder).is_some();
        if held.holder.is_some_and(is_registered) {
            return;
        }
        let first = self.entries.first().map(|entry| entry.nexus);
        match first {
            Some(first) if held.reservation_type.is_all_registrants() => {
                self.hold(held.reservation_type, first);
            }
            _ => self.held = None,
        }
        if held.reservation_type.is_registrants_only() {
            self.tell_registrants_but(sender, Attention::ReservationsReleased);
        }
    }

    /// [`Quirks::SIBLINGS_WITHOUT_SESSION`]: an ALL_TG_PT registration stays while the same
    /// initiator holds the reservation elsewhere with the same key.
    fn check_sibling_holder(&self, entry: Entry) -> Result<(), Denial> {
        let holder = self.held.and_then(|held| held.holder);
        let Some(holder) = holder.filter(|holder| *holder != entry.nexus) else {
            return Ok(());
        };
        let is_sibling = self.is_same_initiator(holder, entry.nexus);
        if entry.all_tg_pt && is_sibling && self.key_of(holder) == Some(entry.key) {
            Err(Denial::Conflict)
        } else {
            Ok(())
        }
    }

    fn is_same_initiator(&self, one: NexusId, other: NexusId) -> bool {
        let port = |id| self.table().get(id).map(|nexus| &nexus.initiator_port);
        match (port(one), port(other)) {
            (Some(one), Some(other)) => is_same_initiator(one, other),
            _ => false,
        }
    }

    fn target_port_of(&self, id: NexusId) -> u16 {
        let nexus = self.table().get(id);
        nexus.map_or(0, |nexus| nexus.relative_target_port)
    }

    pub(super) fn is_connected_at(&self, port: &TransportId, target_port: u16) -> bool {
        let table = self.table();
        table
            .connected()
            .filter_map(|id| table.get(id))
            .any(|nexus| {
                nexus.relative_target_port == target_port
                    && is_same_initiator(&nexus.initiator_port, port)
            })
    }

    fn first_target_port_of(&self, port: &TransportId) -> Option<u16> {
        let mut ports = self.table().target_ports().iter().copied();
        ports.find(|target_port| self.is_connected_at(port, *target_port))
    }
}

pub(super) fn is_device(port: &TransportId) -> bool {
    matches!(port, TransportId::Iscsi(IscsiTransportId::Device { .. }))
}
