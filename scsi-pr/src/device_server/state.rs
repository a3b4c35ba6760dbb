//! The logical unit: what it remembers, what can be asked about it, and what can happen to it
//! other than commands.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use super::access::MediumAccess;
use super::nexus::{NexusId, NexusTable};
use super::{Attention, Attentions, Nexus, Profile, Quirks};
use crate::{Reservation, ReservationKey, ReservationType, Scope};

/// A logical unit, seen from its initiators.
///
/// *Getters* ask without changing anything; *commands* come by [`execute`](Self::execute);
/// *events* are what happens to the unit: [`power_cycle`](Self::power_cycle),
/// [`reset`](Self::reset), [`lose_nexus`](Self::lose_nexus).
///
/// Two units are equal if they behave alike from now on *and* got to know their nexuses in the
/// same order: a checker should [`connect`](Self::connect) all of them first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalUnit {
    pub(super) profile: Profile,
    pub(super) generation: u32,
    /// In the order in which they were made.
    pub(super) entries: Vec<Entry>,
    /// The type of the reservation; its scope is the logical unit.
    pub(super) held: Option<ReservationType>,
    /// Registrations and reservation survive a loss of power.
    pub(super) aptpl: bool,
    is_registering: bool,
    /// By the number of the nexus.
    links: Vec<Link>,
    table: Arc<NexusTable>,
}

/// A registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration<'a> {
    /// Whose it is.
    pub nexus: &'a Nexus,
    /// Its key, never zero.
    pub key: ReservationKey,
    /// It was made with ALL_TG_PT.
    pub all_tg_pt: bool,
}

/// A registration, inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub(super) nexus: NexusId,
    pub(super) key: ReservationKey,
    pub(super) all_tg_pt: bool,
    /// The holder of the reservation. None is marked if all registrants are, but with
    /// [`Quirks::ALL_REGISTRANTS_HAVE_A_FIRST`] one is.
    pub(super) is_holder: bool,
}

/// What is remembered about a nexus besides its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Link {
    attentions: Attentions,
    /// With [`Quirks::SIBLINGS_WITHOUT_SESSION`]: it has a registrant's access.
    is_active: bool,
}

/// The table of nexuses is left out: states that differ in it alone are few.
impl Hash for LogicalUnit {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.generation.hash(hasher);
        self.entries.hash(hasher);
        self.held.hash(hasher);
        (self.aptpl, self.is_registering).hash(hasher);
        self.links.hash(hasher);
    }
}

/// Making one.
impl LogicalUnit {
    /// A unit that nobody is registered with and that knows no nexus yet.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            generation: 0,
            entries: Vec::new(),
            held: None,
            aptpl: false,
            is_registering: false,
            links: Vec::new(),
            table: Arc::default(),
        }
    }

    /// Makes a nexus known, and its target port. A command over an unknown nexus does so too.
    ///
    /// Known nexuses get the unit attentions of [`power_cycle`](Self::power_cycle) and
    /// [`reset`](Self::reset); known target ports are those that ALL_TG_PT registers at.
    pub fn connect(&mut self, nexus: &Nexus) {
        self.connect_id(nexus);
    }

    /// Adds a target port without any nexus, by its relative target port identifier.
    pub fn add_target_port(&mut self, relative_target_port: u16) {
        Arc::make_mut(&mut self.table).add_target_port(relative_target_port);
    }
}

/// Getters.
impl LogicalUnit {
    /// Its ways.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// PRGENERATION: moves by one with every successful REGISTER, CLEAR and PREEMPT, and wraps.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// All registrations, in the order in which they were made.
    pub fn registrations(&self) -> impl Iterator<Item = Registration<'_>> {
        self.entries.iter().filter_map(|entry| {
            Some(Registration {
                nexus: self.table.get(entry.nexus)?,
                key: entry.key,
                all_tg_pt: entry.all_tg_pt,
            })
        })
    }

    /// The key that a nexus is registered with.
    #[must_use]
    pub fn registered_key(&self, nexus: &Nexus) -> Option<ReservationKey> {
        self.key_of(self.table.find(nexus)?)
    }

    /// The reservation as READ RESERVATION shows it: key zero if all registrants hold it.
    #[must_use]
    pub fn reservation(&self) -> Option<Reservation> {
        let reservation_type = self.held?;
        let holder = self
            .holder()
            .filter(|_| !reservation_type.is_all_registrants());
        Some(Reservation {
            key: holder.map_or(ReservationKey::NONE, |holder| holder.key),
            scope: Scope::LOGICAL_UNIT,
            reservation_type,
        })
    }

    /// Whether a nexus holds the reservation, alone or with all registrants.
    #[must_use]
    pub fn is_holder(&self, nexus: &Nexus) -> bool {
        self.table.find(nexus).is_some_and(|id| self.holds(id))
    }

    /// Whether READ over this nexus meets no RESERVATION CONFLICT.
    #[must_use]
    pub fn may_read(&self, nexus: &Nexus) -> bool {
        self.admits(self.table.find(nexus), MediumAccess::Read)
    }

    /// Whether WRITE over this nexus meets no RESERVATION CONFLICT.
    #[must_use]
    pub fn may_write(&self, nexus: &Nexus) -> bool {
        self.admits(self.table.find(nexus), MediumAccess::Write)
    }

    /// The unit attentions that a nexus is still to get.
    #[must_use]
    pub fn attentions(&self, nexus: &Nexus) -> Attentions {
        let id = self.table.find(nexus);
        id.map_or(Attentions::NONE, |id| self.attentions_of(id))
    }

    /// Whether registrations and reservation would survive a loss of power (PTPL_A).
    #[must_use]
    pub const fn is_aptpl_active(&self) -> bool {
        self.aptpl
    }

    /// Whether [`begin_registration`](Self::begin_registration) was not completed yet.
    #[must_use]
    pub const fn is_registration_in_progress(&self) -> bool {
        self.is_registering
    }
}

/// Events.
impl LogicalUnit {
    /// A registration takes its time: from now on until it is completed, a target that takes
    /// [one at a time](Quirks::ONE_AT_A_TIME) answers others with BUSY. The registration itself
    /// is executed after [`complete_registration`](Self::complete_registration).
    pub const fn begin_registration(&mut self) {
        self.is_registering = true;
    }

    /// The registration that had begun is about to be executed, or never will be.
    pub const fn complete_registration(&mut self) {
        self.is_registering = false;
    }

    /// Power goes and comes back: without APTPL registrations and reservation are lost, the
    /// generation starts at zero (SPC-4 6.15.2), and every nexus is told.
    pub fn power_cycle(&mut self) {
        self.generation = 0;
        self.is_registering = false;
        if !self.aptpl {
            self.entries.clear();
            self.held = None;
            self.links.fill(Link::default());
        }
        for link in &mut self.links {
            link.attentions = Attentions::NONE;
        }
        self.tell_connected(Attention::PowerOn);
    }

    /// A logical unit reset: registrations and reservation stay, every nexus is told.
    pub fn reset(&mut self) {
        self.tell_connected(Attention::Reset);
    }

    /// The nexus is lost, as when a link goes, and told so when it is back; what it registered
    /// stays.
    pub fn lose_nexus(&mut self, nexus: &Nexus) {
        let id = self.connect_id(nexus);
        self.add_attention(self.link_of(id), Attention::NexusLost);
    }
}

/// Nexuses and registrants.
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

    fn link_of(&self, id: NexusId) -> NexusId {
        if self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION) {
            self.table.node(id)
        } else {
            id
        }
    }
}

/// Unit attentions.
impl LogicalUnit {
    /// Tells every registrant but the one at a position, if any.
    pub(super) fn tell_registrants_but(&mut self, own: Option<usize>, attention: Attention) {
        let is_other = |(position, entry)| (Some(position) != own).then_some(entry);
        let others = self.entries.iter().copied().enumerate();
        let others: Vec<Entry> = others.filter_map(is_other).collect();
        self.tell(&others, attention);
    }

    /// Tells these registrants, or those that were.
    pub(super) fn tell(&mut self, registrants: &[Entry], attention: Attention) {
        for registrant in registrants {
            for id in self.table.ids() {
                if self.counts_as(registrant.nexus, id) {
                    self.add_attention(self.link_of(id), attention);
                }
            }
        }
    }

    fn tell_connected(&mut self, attention: Attention) {
        let connected: Vec<NexusId> = self.table.connected().collect();
        for id in connected {
            self.add_attention(self.link_of(id), attention);
        }
    }

    fn add_attention(&mut self, id: NexusId, attention: Attention) {
        let is_alone = self.profile.has(Quirks::ONE_ATTENTION);
        let Some(link) = self.links.get_mut(id.index()) else {
            return;
        };
        match link.attentions.iter().next() {
            Some(first) if is_alone && !attention.displaces(first) => return,
            Some(_) if is_alone => link.attentions = Attentions::NONE,
            _ => {}
        }
        link.attentions.insert(attention);
    }

    fn attentions_of(&self, id: NexusId) -> Attentions {
        let link = self.links.get(self.link_of(id).index());
        link.map_or(Attentions::NONE, |link| link.attentions)
    }

    pub(super) fn take_attention(&mut self, id: NexusId) -> Option<Attention> {
        let id = self.link_of(id);
        self.links.get_mut(id.index())?.attentions.pop()
    }
}
