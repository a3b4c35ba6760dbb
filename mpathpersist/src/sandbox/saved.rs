//! The array's memory as it stands in the file: in words, so that a person can read along.

use scsi_pr::device_server::{
    Attention, KeptRegistration, KnownNexus, LogicalUnit, Memory, Nexus, Profile,
};
use scsi_pr::{ReservationKey, ReservationType};
use serde::{Deserialize, Serialize};

/// The kinds of arrays that a sandbox can have, by name.
pub const PROFILES: [(&str, Profile); 7] = [
    ("strict", Profile::strict()),
    ("lio", Profile::lio()),
    ("per-initiator-port", Profile::per_initiator_port()),
    ("no-full-status", Profile::no_full_status()),
    ("one-at-a-time", Profile::one_at_a_time()),
    ("needs-all-tg-pt", Profile::needs_all_tg_pt()),
    ("no-pr", Profile::no_pr()),
];

/// The name of a kind of array.
#[must_use]
pub fn profile_name(profile: Profile) -> &'static str {
    let named = PROFILES.iter().find(|(_, known)| *known == profile);
    named.map_or("unnamed", |(name, _)| name)
}

/// A logical unit in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedUnit {
    profile: String,
    generation: u32,
    aptpl: bool,
    reservation_type: Option<u8>,
    target_ports: Vec<u16>,
    nexuses: Vec<SavedNexus>,
    registrations: Vec<SavedRegistration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedNexus {
    initiator_port: String,
    target_port: u16,
    connected: bool,
    active: bool,
    /// Additional sense codes, such as `2a/05`.
    attentions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRegistration {
    nexus: usize,
    key: String,
    all_tg_pt: bool,
    holder: bool,
}

impl From<LogicalUnit> for SavedUnit {
    fn from(unit: LogicalUnit) -> Self {
        let memory = unit.memory();
        let registration = |kept: &KeptRegistration| SavedRegistration {
            nexus: kept.nexus,
            key: kept.key.to_string(),
            all_tg_pt: kept.all_tg_pt,
            holder: kept.is_holder,
        };
        Self {
            profile: profile_name(unit.profile()).to_owned(),
            generation: memory.generation,
            aptpl: memory.is_aptpl_active,
            reservation_type: memory.held.map(|held| held.0),
            registrations: memory.registrations.iter().map(registration).collect(),
            nexuses: memory.nexuses.iter().map(SavedNexus::from).collect(),
            target_ports: memory.target_ports,
        }
    }
}

impl TryFrom<SavedUnit> for LogicalUnit {
    type Error = String;

    fn try_from(saved: SavedUnit) -> Result<Self, String> {
        let profile = PROFILES.iter().find(|(name, _)| *name == saved.profile);
        let (_, profile) =
            profile.ok_or_else(|| format!("there is no profile '{}'", saved.profile))?;
        let nexuses = saved.nexuses.iter().map(SavedNexus::known);
        let registrations = saved.registrations.iter().map(SavedRegistration::kept);
        let memory = Memory {
            generation: saved.generation,
            is_aptpl_active: saved.aptpl,
            held: saved.reservation_type.map(ReservationType),
            nexuses: nexuses.collect::<Result<_, _>>()?,
            registrations: registrations.collect::<Result<_, _>>()?,
            target_ports: saved.target_ports,
        };
        Self::restore(*profile, &memory).map_err(|error| error.to_string())
    }
}

impl From<&KnownNexus> for SavedNexus {
    fn from(known: &KnownNexus) -> Self {
        Self {
            initiator_port: known.nexus.initiator_port.to_string(),
            target_port: known.nexus.relative_target_port,
            connected: known.is_connected,
            active: known.is_active,
            attentions: known.attentions.iter().map(code).collect(),
        }
    }
}

impl SavedNexus {
    fn known(&self) -> Result<KnownNexus, String> {
        let port = &self.initiator_port;
        let attention = |text: &String| {
            let known = Attention::ALL
                .into_iter()
                .find(|known| code(*known) == *text);
            known.ok_or_else(|| format!("there is no unit attention '{text}'"))
        };
        Ok(KnownNexus {
            nexus: Nexus {
                initiator_port: port.parse().map_err(|error| format!("'{port}': {error}"))?,
                relative_target_port: self.target_port,
            },
            is_connected: self.connected,
            is_active: self.active,
            attentions: self
                .attentions
                .iter()
                .map(attention)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl SavedRegistration {
    fn kept(&self) -> Result<KeptRegistration, String> {
        let key: ReservationKey = self
            .key
            .parse()
            .map_err(|error| format!("key '{}': {error}", self.key))?;
        Ok(KeptRegistration {
            nexus: self.nexus,
            key,
            all_tg_pt: self.all_tg_pt,
            is_holder: self.holder,
        })
    }
}

fn code(attention: Attention) -> String {
    let sense = attention.sense();
    format!("{:02x}/{:02x}", sense.asc, sense.ascq)
}
