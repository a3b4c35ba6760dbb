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
    pub(super) held: Option<Held>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub(super) nexus: NexusId,
    pub(super) key: ReservationKey,
    pub(super) all_tg_pt: bool,
}

/// The reservation; its scope is the logical unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Held {
    pub(super) reservation_type: ReservationType,
    /// `None`: every registrant. With [`Quirks::ALL_REGISTRANTS_HAVE_A_FIRST`] always one.
    pub(super) holder: Option<NexusId>,
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
        let held = self.held?;
        Some(Reservation {
            key: self.holder_key(held),
            scope: Scope::LOGICAL_UNIT,
            reservation_type: held.reservation_type,
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

    /// The registration that counts as this nexus'.
    pub(super) fn entry_of(&self, id: NexusId) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| self.is_same_registrant(entry.nexus, id))
    }

    pub(super) fn key_of(&self, id: NexusId) -> Option<ReservationKey> {
        self.entry_of(id).map(|entry| entry.key)
    }

    pub(super) fn is_same_registrant(&self, one: NexusId, other: NexusId) -> bool {
        one == other
            || self.profile.has(Quirks::PER_INITIATOR_PORT)
                && self.table.is_same_initiator_port(one, other)
    }

    /// The key by which the holder is known: zero for all registrants.
    pub(super) fn holder_key(&self, held: Held) -> ReservationKey {
        if held.reservation_type.is_all_registrants() {
            return ReservationKey::NONE;
        }
        let key = held.holder.and_then(|holder| self.key_of(holder));
        key.unwrap_or(ReservationKey::NONE)
    }

    pub(super) fn holds(&self, id: NexusId) -> bool {
        let Some(held) = self.held else { return false };
        if held.reservation_type.is_all_registrants() {
            return self.entry_of(id).is_some();
        }
        held.holder
            .is_some_and(|holder| self.is_same_registrant(holder, id))
    }

    pub(super) fn hold(&mut self, reservation_type: ReservationType, holder: NexusId) {
        let everyone = reservation_type.is_all_registrants()
            && !self.profile.has(Quirks::ALL_REGISTRANTS_HAVE_A_FIRST);
        self.held = Some(Held {
            reservation_type,
            holder: (!everyone).then_some(holder),
        });
    }

    pub(super) fn count(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Adds a registration at the end of the list.
    pub(super) fn add_entry(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.set_active(entry.nexus, true);
    }

    /// Removes registrations and returns whose they were.
    pub(super) fn remove_entries(&mut self, goes: impl Fn(&Self, &Entry) -> bool) -> Vec<NexusId> {
        let (gone, kept) = self.entries.iter().partition(|entry| goes(self, entry));
        self.entries = kept;
        let gone: Vec<Entry> = gone;
        for entry in &gone {
            self.set_active(entry.nexus, false);
        }
        gone.iter().map(|entry| entry.nexus).collect()
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
    /// Tells every registrant but one.
    pub(super) fn tell_registrants_but(&mut self, sender: NexusId, attention: Attention) {
        let others: Vec<NexusId> = self.entries.iter().map(|entry| entry.nexus).collect();
        self.tell_all_but(sender, &others, attention);
    }

    /// Tells these registrants (or those that were), one excepted.
    pub(super) fn tell_all_but(
        &mut self,
        sender: NexusId,
        registrants: &[NexusId],
        attention: Attention,
    ) {
        for registrant in registrants {
            if self.is_same_registrant(*registrant, sender) {
                continue;
            }
            for id in self.table.ids() {
                if self.is_same_registrant(*registrant, id) {
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
