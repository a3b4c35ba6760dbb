//! Unit attention conditions: news that a nexus gets instead of its next command's result.

use alloc::vec::Vec;

use super::nexus::NexusId;
use super::state::Entry;
use super::{LogicalUnit, Quirks};
use crate::{Sense, SenseKey};

/// A unit attention condition (SAM-5 5.14, SPC-4 annex F); a smaller one is reported first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attention {
    /// 29/01: power on occurred.
    PowerOn,
    /// 29/03: the logical unit was reset.
    Reset,
    /// 29/07: the I_T nexus was lost.
    NexusLost,
    /// 2A/03: a CLEAR by another nexus.
    ReservationsPreempted,
    /// 2A/04: the reservation that gave access is gone, or of another type.
    ReservationsReleased,
    /// 2A/05: this nexus lost its registration to another's PREEMPT.
    RegistrationsPreempted,
}

impl Attention {
    /// All, in the order in which they are reported.
    pub const ALL: [Self; 6] = [
        Self::PowerOn,
        Self::Reset,
        Self::NexusLost,
        Self::ReservationsPreempted,
        Self::ReservationsReleased,
        Self::RegistrationsPreempted,
    ];

    /// The sense data that reports it.
    #[must_use]
    pub const fn sense(self) -> Sense {
        let (asc, ascq) = match self {
            Self::PowerOn => (0x29, 0x01),
            Self::Reset => (0x29, 0x03),
            Self::NexusLost => (0x29, 0x07),
            Self::ReservationsPreempted => (0x2a, 0x03),
            Self::ReservationsReleased => (0x2a, 0x04),
            Self::RegistrationsPreempted => (0x2a, 0x05),
        };
        Sense::new(SenseKey::UNIT_ATTENTION, asc, ascq)
    }

    /// Whether it takes the place of another, where only one is kept
    /// ([`Quirks::ONE_ATTENTION`](super::Quirks::ONE_ATTENTION)).
    pub(super) const fn displaces(self, first: Self) -> bool {
        let (new, old) = (self.sense(), first.sense());
        new.asc == 0x29 && (old.asc != 0x29 || new.ascq > old.ascq)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attentions(u8);

impl Attentions {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is pending.
    #[must_use]
    pub const fn contains(self, attention: Attention) -> bool {
        self.0 & attention.bit() != 0
    }

    /// Those that are pending, in the order in which they are reported.
    pub fn iter(self) -> impl Iterator<Item = Attention> {
        Attention::ALL
            .into_iter()
            .filter(move |attention| self.contains(*attention))
    }

    pub(super) const fn insert(&mut self, attention: Attention) {
        self.0 |= attention.bit();
    }

    /// Takes the one that is reported first.
    pub(super) fn pop(&mut self) -> Option<Attention> {
        let first = self.iter().next()?;
        self.0 &= !first.bit();
        Some(first)
    }
}

impl FromIterator<Attention> for Attentions {
    fn from_iter<I: IntoIterator<Item = Attention>>(attentions: I) -> Self {
        let mut set = Self::NONE;
        for attention in attentions {
            set.insert(attention);
        }
        set
    }
}

/// Who is told what.
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

    pub(super) fn tell_connected(&mut self, attention: Attention) {
        let connected: Vec<NexusId> = self.table.connected().collect();
        for id in connected {
            self.add_attention(self.link_of(id), attention);
        }
    }

    pub(super) fn add_attention(&mut self, id: NexusId, attention: Attention) {
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

    pub(super) fn attentions_of(&self, id: NexusId) -> Attentions {
        let link = self.links.get(self.link_of(id).index());
        link.map_or(Attentions::NONE, |link| link.attentions)
    }

    pub(super) fn take_attention(&mut self, id: NexusId) -> Option<Attention> {
        let id = self.link_of(id);
        self.links.get_mut(id.index())?.attentions.pop()
    }
}
