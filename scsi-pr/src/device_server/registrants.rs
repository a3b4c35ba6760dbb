//! Who is registered, and who of them holds: the list of registrations and its upkeep.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::nexus::{NexusId, NexusTable};
use super::state::{Entry, Link};
use super::{LogicalUnit, Nexus, Quirks};
use crate::{ReservationKey, ReservationType};

impl LogicalUnit {
    pub(super) fn table(&self) -> &NexusTable {
        &self.table
    }

    pub(super) fn connect_id(&mut self, nexus: &Nexus) -> NexusId {
        let id = self.intern(nexus);
        if !self.table.is_connected(id) {
            Arc::make_mut(&mut self.table).set_connected(id);
        }
        id
    }

    pub(super) fn intern(&mut self, nexus: &Nexus) -> NexusId {
        if let Some(id) = self.table.find(nexus) {
            return id;
        }
        let id = Arc::make_mut(&mut self.table).add(nexus.clone());
        self.links.resize(self.table.len(), Link::default());
        id
    }

    /// Where the registration is that counts as this nexus'.
    pub(super) fn position_of(&self, id: NexusId) -> Option<usize> {
        let counts = |entry: &Entry| self.counts_as(entry.nexus, id);
        self.entries.iter().position(counts)
    }

    pub(super) fn entry_of(&self, id: NexusId) -> Option<&Entry> {
        self.entries.get(self.position_of(id)?)
    }

    pub(super) fn key_of(&self, id: NexusId) -> Option<ReservationKey> {
        self.entry_of(id).map(|entry| entry.key)
    }

    /// Whether a registration of one nexus is the other's.
    pub(super) fn counts_as(&self, registered: NexusId, id: NexusId) -> bool {
        let table = &self.table;
        registered == id
            || self.profile.has(Quirks::PER_INITIATOR_PORT)
                && table.is_same_initiator_port(registered, id)
            || self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION)
                && table.is_sessionless(registered)
                && table.is_same_node(registered, id)
    }

    /// The registration that is marked as the holder's.
    pub(super) fn holder(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_holder)
    }

    pub(super) fn holds(&self, id: NexusId) -> bool {
        self.entry_of(id)
            .is_some_and(|entry| self.is_held_by(entry))
    }

    pub(super) fn is_held_by(&self, entry: &Entry) -> bool {
        self.held
            .is_some_and(|held| entry.is_holder || held.is_all_registrants())
    }

    /// Makes the registration at `position` the holder's.
    pub(super) fn hold(&mut self, reservation_type: ReservationType, position: usize) {
        self.release_reservation();
        self.held = Some(reservation_type);
        let has_first = self.profile.has(Quirks::ALL_REGISTRANTS_HAVE_A_FIRST);
        if let Some(entry) = self.entries.get_mut(position) {
            entry.is_holder = has_first || !reservation_type.is_all_registrants();
        }
    }

    pub(super) fn release_reservation(&mut self) {
        self.held = None;
        for entry in &mut self.entries {
            entry.is_holder = false;
        }
    }

    pub(super) const fn count(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Adds a registration at the end of the list, and returns where.
    pub(super) fn add_entry(
        &mut self,
        nexus: NexusId,
        key: ReservationKey,
        all_tg_pt: bool,
    ) -> usize {
        self.entries.push(Entry {
            nexus,
            key,
            all_tg_pt,
            is_holder: false,
        });
        self.set_active(nexus, true);
        self.entries.len().saturating_sub(1)
    }

    /// Removes registrations and returns them.
    pub(super) fn remove_entries(
        &mut self,
        goes: impl Fn(&Self, usize, &Entry) -> bool,
    ) -> Vec<Entry> {
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for (position, entry) in self.entries.iter().enumerate() {
            let list = if goes(self, position, entry) {
                &mut gone
            } else {
                &mut kept
            };
            list.push(*entry);
        }
        self.entries = kept;
        for entry in &gone {
            self.set_active(entry.nexus, false);
        }
        gone
    }

    fn set_active(&mut self, id: NexusId, is_active: bool) {
        let id = self.link_of(id);
        if let Some(link) = self.links.get_mut(id.index()) {
            link.is_active = is_active && self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        }
    }

    pub(super) fn is_active(&self, id: NexusId) -> bool {
        let link = self.links.get(self.link_of(id).index());
        link.is_some_and(|link| link.is_active)
    }

    pub(super) fn link_of(&self, id: NexusId) -> NexusId {
        if self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            self.table.node(id)
        } else {
            id
        }
    }
}
