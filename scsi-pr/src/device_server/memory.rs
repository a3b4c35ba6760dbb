//! What a logical unit remembers, as plain values: for whoever keeps one in a file, between
//! processes. In which format is theirs to choose.
//!
//! ```
//! use scsi_pr::device_server::{LogicalUnit, Profile};
//! let unit = LogicalUnit::new(Profile::strict());
//! let again = LogicalUnit::restore(unit.profile(), &unit.memory())?;
//! assert_eq!(again, unit);
//! # Ok::<(), scsi_pr::device_server::MemoryError>(())
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::nexus::{NexusId, NexusTable};
use super::state::{Entry, Link};
use super::{Attentions, LogicalUnit, Nexus, Profile};
use crate::{ReservationKey, ReservationType};

/// All that a [`LogicalUnit`] remembers, its profile and a registration in progress apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// PRGENERATION.
    pub generation: u32,
    /// Whether registrations and reservation survive a loss of power.
    pub is_aptpl_active: bool,
    /// The type of the reservation, if there is one.
    pub held: Option<ReservationType>,
    /// Every target port, by its relative target port identifier.
    pub target_ports: Vec<u16>,
    /// Every nexus it has heard of, in the order in which it has.
    pub nexuses: Vec<KnownNexus>,
    /// All registrations, in the order in which they were made.
    pub registrations: Vec<KeptRegistration>,
}

/// A nexus that the unit has heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNexus {
    /// Which.
    pub nexus: Nexus,
    /// Commands can come over it; others were only named in a parameter list.
    pub is_connected: bool,
    /// What it is still to be told.
    pub attentions: Attentions,
    /// With [the quirk](super::Quirks::SIBLINGS_WITHOUT_SESSION): it has a registrant's access.
    pub is_active: bool,
}

/// A registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRegistration {
    /// Whose it is: the position in [`Memory::nexuses`].
    pub nexus: usize,
    /// Its key, never zero.
    pub key: ReservationKey,
    /// It was made with ALL_TG_PT.
    pub all_tg_pt: bool,
    /// It is marked as the holder of the reservation. With a type for all registrants none is,
    /// unless [the quirk](super::Quirks::ALL_REGISTRANTS_HAVE_A_FIRST) wants a first one.
    pub is_holder: bool,
}

/// Values that no logical unit can have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// More nexuses than a unit can know.
    #[error("{count} nexuses, over {most}", most = NexusTable::MAX)]
    TooManyNexuses {
        /// How many.
        count: usize,
    },
    /// A nexus is there twice.
    #[error("nexus {position} is there twice")]
    NexusTwice {
        /// The second position, counted from 0.
        position: usize,
    },
    /// A registration of no nexus, or without a key.
    #[error("registration {position} has no nexus or no key")]
    Registration {
        /// Its position, counted from 0.
        position: usize,
    },
    /// A reservation that nobody holds, or a holder without a reservation.
    #[error("reservation and holder do not go together")]
    Holder,
}

impl LogicalUnit {
    /// What it remembers. A registration in progress is not part of it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let known = |id: NexusId| {
            let link = self.links.get(id.index()).copied().unwrap_or_default();
            Some(KnownNexus {
                nexus: self.table.get(id)?.clone(),
                is_connected: self.table.is_connected(id),
                attentions: link.attentions,
                is_active: link.is_active,
            })
        };
        let kept = |entry: &Entry| KeptRegistration {
            nexus: entry.nexus.index(),
            key: entry.key,
            all_tg_pt: entry.all_tg_pt,
            is_holder: entry.is_holder,
        };
        Memory {
            generation: self.generation,
            is_aptpl_active: self.aptpl,
            held: self.held,
            target_ports: self.table.target_ports().to_vec(),
            nexuses: self.table.ids().filter_map(known).collect(),
            registrations: self.entries.iter().map(kept).collect(),
        }
    }

    /// A unit of these ways that remembers this.
    ///
    /// # Errors
    /// The values contradict each other.
    pub fn restore(profile: Profile, memory: &Memory) -> Result<Self, MemoryError> {
        let mut unit = Self::new(profile);
        unit.generation = memory.generation;
        unit.aptpl = memory.is_aptpl_active;
        unit.table = Arc::new(table(memory)?);
        let link = |known: &KnownNexus| Link {
            attentions: known.attentions,
            is_active: known.is_active,
        };
        unit.links = memory.nexuses.iter().map(link).collect();
        let entries = memory.registrations.iter().enumerate();
        unit.entries = entries
            .map(|(position, kept)| {
                let entry = entry(kept, memory);
                entry.ok_or(MemoryError::Registration { position })
            })
            .collect::<Result<_, _>>()?;
        unit.held = memory.held;
        let holders = unit.entries.iter().filter(|entry| entry.is_holder).count();
        let is_held = match unit.held {
            None => holders == 0,
            Some(held) if held.is_all_registrants() => holders < 2 && !unit.entries.is_empty(),
            Some(_) => holders == 1,
        };
        is_held.then_some(unit).ok_or(MemoryError::Holder)
    }
}

fn table(memory: &Memory) -> Result<NexusTable, MemoryError> {
    let count = memory.nexuses.len();
    if count > NexusTable::MAX {
        return Err(MemoryError::TooManyNexuses { count });
    }
    let mut table = NexusTable::default();
    for port in &memory.target_ports {
        table.add_target_port(*port);
    }
    for (position, known) in memory.nexuses.iter().enumerate() {
        let id = table.add(known.nexus.clone());
        if id.index() != position {
            return Err(MemoryError::NexusTwice { position });
        }
        if known.is_connected {
            table.set_connected(id);
        }
    }
    Ok(table)
}

fn entry(kept: &KeptRegistration, memory: &Memory) -> Option<Entry> {
    let is_possible = kept.nexus < memory.nexuses.len() && !kept.key.is_none();
    Some(Entry {
        nexus: NexusId(u16::try_from(kept.nexus).ok()?),
        key: kept.key,
        all_tg_pt: kept.all_tg_pt,
        is_holder: kept.is_holder,
    })
    .filter(|_| is_possible)
}
