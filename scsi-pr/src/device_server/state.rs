//! The logical unit: what it remembers, what can be asked about it, and what can happen to it
//! other than commands.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use super::access::MediumAccess;
use super::nexus::{NexusId, NexusTable};
use super::{Attention, Attentions, Nexus, Profile};
use crate::{Reservation, ReservationKey, ReservationType, Scope};

/// A logical unit, seen from its initiators.
///
/// *Getters* ask without changing anything; *commands* come by [`execute`](Self::execute);
/// *events* are what happens to the unit: [`power_cycle`](Self::power_cycle),
/// [`reset`](Self::reset), [`lose_nexus`](Self::lose_nexus).
///
/// Two units are equal if they behave alike from now on *and* got to know their nexuses in the
/// same order: a checker should [`connect`](Self::connect) all of them first.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub(super) links: Vec<Link>,
    pub(super) table: Arc<NexusTable>,
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
    /// [the quirk](super::Quirks::ALL_REGISTRANTS_HAVE_A_FIRST) one is.
    pub(super) is_holder: bool,
}

/// What is remembered about a nexus besides its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Link {
    pub(super) attentions: Attentions,
    /// With [the quirk](super::Quirks::SIBLINGS_WITHOUT_SESSION): it has a registrant's access.
    pub(super) is_active: bool,
}

impl LogicalUnit {
    /// All but the table of nexuses, which is large and in which states seldom differ.
    fn small_parts(&self) -> impl Ord + Hash {
        let flags = (self.aptpl, self.is_registering);
        let Self {
            profile,
            generation,
            held,
            entries,
            links,
            ..
        } = self;
        (
            *profile,
            *generation,
            *held,
            flags,
            entries.as_slice(),
            links.as_slice(),
        )
    }
}

impl Hash for LogicalUnit {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.small_parts().hash(hasher);
    }
}

/// Some total order.
impl Ord for LogicalUnit {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.small_parts().cmp(&other.small_parts());
        parts.then_with(|| {
            if Arc::ptr_eq(&self.table, &other.table) {
                Ordering::Equal
            } else {
                self.table.cmp(&other.table)
            }
        })
    }
}

impl PartialOrd for LogicalUnit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
    /// [one at a time](super::Quirks::ONE_AT_A_TIME) answers others with BUSY. The registration
    /// itself is executed after [`complete_registration`](Self::complete_registration).
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
