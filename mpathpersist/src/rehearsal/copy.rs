//! The logical unit as it was read, to be asked in place of the device.
//!
//! Where the device names the ports of registrations, the copy has each where it is. Where it
//! does not, or this host does not know its own ports, only keys are known; then the copy has
//! them where they most likely are, answers without ports as well, and says so.

use mpath_state::record::MapRecord;
use pr_policy::{Answer, Appraisal, Command, Naming, Ownership, PathId, PathState, Registered};
use scsi_pr::device_server::{
    Attentions, KeptRegistration, KnownNexus, LogicalUnit, Memory, Nexus, Profile, Quirks,
};
use scsi_pr::{Reservation, ReservationKey, TransportId};

use crate::device::other;
use crate::map::OpenMap;
use crate::run::Failure;

/// A logical unit, and which of its nexuses each path of the map is.
#[derive(Debug, Clone)]
pub(super) struct DeviceCopy {
    unit: LogicalUnit,
    /// By the number of the path.
    paths: Vec<Nexus>,
    /// Nexuses of this node that are no path of the map any more.
    departed: Vec<Nexus>,
    knowledge: Knowledge,
}

/// How much of the copy was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// All of it.
    Whole,
    /// Keys, and not whose.
    Keys,
    /// Nothing.
    None,
}

impl DeviceCopy {
    /// Of what was read.
    pub(super) fn of(
        seen: &Appraisal,
        map: &OpenMap,
        record: Option<&MapRecord>,
    ) -> Result<Self, Failure> {
        let mut draft = Draft::new(seen, map, record);
        let knowledge = knowledge(seen, map);
        match knowledge {
            Knowledge::Whole => draft.place_named(seen),
            Knowledge::Keys => draft.place_keys(seen, map),
            Knowledge::None => {}
        }
        let profile = profile(knowledge, draft.is_per_port(seen), map);
        draft.drop_surplus(seen);
        let unit = LogicalUnit::restore(profile, &draft.memory);
        Ok(Self {
            unit: unit.map_err(|error| other(map.name(), &error))?,
            paths: draft.paths,
            departed: draft.departed,
            knowledge,
        })
    }

    /// One that nobody is registered with.
    pub(super) fn blank(map: &OpenMap) -> Self {
        Self {
            unit: LogicalUnit::new(Profile::strict()),
            paths: own_nexuses(map),
            departed: Vec::new(),
            knowledge: Knowledge::None,
        }
    }

    /// What the device would answer to a command through a path.
    pub(super) fn execute(&mut self, path: PathId, command: &Command) -> Option<Answer> {
        let nexus = self.paths.get(usize::try_from(path.0).ok()?)?;
        let (cdb, data) = command.encode();
        let response = self.unit.execute(nexus, &cdb, &data);
        Some(Answer::Status {
            status: response.status,
            sense: response.sense,
            data: response.data,
        })
    }

    /// The same after another node has removed this node's registrations; `None`: it has none.
    pub(super) fn without_this_node(&self) -> Option<Self> {
        let mut memory = self.unit.memory();
        let is_own = |kept: &KeptRegistration| {
            let nexus = memory.nexuses.get(kept.nexus).map(|known| &known.nexus);
            nexus.is_some_and(|nexus| self.is_own(nexus))
        };
        let (own, others): (Vec<_>, Vec<_>) =
            memory.registrations.iter().copied().partition(is_own);
        if own.is_empty() {
            return None;
        }
        for known in &mut memory.nexuses {
            known.is_active &= !self.is_own(&known.nexus);
        }
        let is_lost = own.iter().any(|kept| kept.is_holder) || others.is_empty();
        memory.registrations = others;
        memory.held = memory.held.filter(|_| !is_lost);
        memory.generation += 1;
        Some(Self {
            unit: LogicalUnit::restore(self.unit.profile(), &memory).ok()?,
            ..self.clone()
        })
    }

    /// The reservation, and whether this node holds it.
    pub(super) fn holding(&self) -> Option<(Reservation, bool)> {
        let mut own = self.paths.iter().chain(&self.departed);
        let is_ours = own.any(|nexus| self.unit.is_holder(nexus));
        Some((self.unit.reservation()?, is_ours))
    }

    pub(super) fn is_known(&self) -> bool {
        self.knowledge != Knowledge::None
    }

    pub(super) const fn unit(&self) -> &LogicalUnit {
        &self.unit
    }

    pub(super) fn path(&self, path: PathId) -> Option<&Nexus> {
        self.paths.get(usize::try_from(path.0).ok()?)
    }

    pub(super) fn is_path(&self, nexus: &Nexus) -> bool {
        self.paths.contains(nexus)
    }

    pub(super) fn is_own(&self, nexus: &Nexus) -> bool {
        self.is_path(nexus) || self.departed.contains(nexus)
    }

    /// What was not read, and how it was filled in.
    pub(super) fn assumptions(&self, map: &OpenMap) -> Vec<String> {
        let mut told = Vec::new();
        if self.knowledge == Knowledge::Keys {
            told.push(format!(
                "{}: nothing tells which path has which registration: they are taken to be where \
                 this node would have put them",
                map.name()
            ));
        }
        if self.is_known() && !self.unit.profile().has(Quirks::LIO) {
            told.push("the array does as the standard (SPC-4) says".to_owned());
        }
        told.push("nothing changes between now and the command".to_owned());
        told
    }
}

/// Ports are of use only where each path in use is found by them.
fn knowledge(seen: &Appraisal, map: &OpenMap) -> Knowledge {
    let is_lost = |at: &PathId| {
        let known = seen.paths.iter().find(|path| path.id == *at);
        known.is_none_or(|path| path.registered == Registered::Unknown)
    };
    let paths = map.snapshot().paths;
    let mut used = paths.iter().filter(|path| path.state != PathState::Dead);
    let is_anonymous = |id: PathId| nexus_of(map, id).is_none();
    match seen.naming {
        Naming::Named if !used.any(|path| is_lost(&path.id) || is_anonymous(path.id)) => {
            Knowledge::Whole
        }
        _ => Knowledge::Keys,
    }
}

/// Of two arrays it is known what they do differently: of Linux' own, by its name, and of those
/// that keep one registration for each initiator port.
fn profile(knowledge: Knowledge, is_per_port: bool, map: &OpenMap) -> Profile {
    let is_lio = map.identity().vendor == LIO;
    let mut profile = match (is_lio, is_per_port) {
        (true, _) => Profile::lio(),
        (_, true) => Profile::per_initiator_port(),
        _ => Profile::strict(),
    };
    if knowledge == Knowledge::Keys {
        profile.quirks = profile.quirks | Quirks::NO_FULL_STATUS;
    }
    profile
}

fn own_nexuses(map: &OpenMap) -> Vec<Nexus> {
    let paths = map.snapshot().paths.into_iter();
    let nexus = |id: PathId| nexus_of(map, id).unwrap_or_else(|| stand_in(OWN, id.0));
    paths.map(|path| nexus(path.id)).collect()
}

fn nexus_of(map: &OpenMap, id: PathId) -> Option<Nexus> {
    let path = map
        .snapshot()
        .paths
        .into_iter()
        .find(|path| path.id == id)?;
    Some(Nexus {
        initiator_port: path.initiator_port?,
        relative_target_port: map.scsi_device(id)?.relative_target_port?,
    })
}

/// For a nexus of which nothing is known.
fn stand_in(family: u64, number: u32) -> Nexus {
    Nexus {
        initiator_port: TransportId::Sas {
            address: family + u64::from(number),
        },
        relative_target_port: 1,
    }
}

/// A copy in the making.
struct Draft {
    memory: Memory,
    paths: Vec<Nexus>,
    departed: Vec<Nexus>,
    all_tg_pt: bool,
    holder: Option<ReservationKey>,
}

impl Draft {
    fn new(seen: &Appraisal, map: &OpenMap, record: Option<&MapRecord>) -> Self {
        let reservation = seen.reservation;
        let single = reservation.filter(|held| !held.reservation_type.is_all_registrants());
        let paths = own_nexuses(map);
        let mut draft = Self {
            memory: Memory {
                generation: seen.generation,
                held: reservation.map(|held| held.reservation_type),
                ..Memory::default()
            },
            paths: paths.clone(),
            departed: Vec::new(),
            all_tg_pt: record.is_some_and(|record| record.all_tg_pt),
            holder: single.map(|held| held.key),
        };
        for nexus in paths {
            draft.nexus(nexus, true);
        }
        draft
    }

    fn place_named(&mut self, seen: &Appraisal) {
        for path in &seen.paths {
            let nexus = usize::try_from(path.id.0).ok();
            let nexus = nexus.and_then(|at| self.paths.get(at)).cloned();
            if let (Registered::Key(key), Some(nexus)) = (path.registered, nexus) {
                let is_holder = path.holds && self.holder.is_some();
                self.register(nexus, key, self.all_tg_pt, is_holder);
            }
        }
        for stranger in &seen.others {
            let port = stranger.relative_target_port;
            let nexus = match port {
                Some(port) => Nexus {
                    initiator_port: stranger.transport_id.clone(),
                    relative_target_port: port,
                },
                None => self.free(&stranger.transport_id),
            };
            if stranger.owner == Ownership::Ours {
                self.departed.push(nexus.clone());
            }
            let is_holder = stranger.holds && self.holder.is_some();
            self.register(nexus, stranger.key, port.is_none(), is_holder);
        }
    }

    /// This node's key is on the paths in use first, then on the others; what is left over, and
    /// every other key, is other nodes'.
    fn place_keys(&mut self, seen: &Appraisal, map: &OpenMap) {
        let mut paths = map.snapshot().paths;
        paths.sort_by_key(|path| path.state);
        let mut own = paths.iter().map(|path| path.id);
        let mut number = 0;
        for (key, count) in &seen.keys {
            for _ in 0..*count {
                let is_expected = seen.expected == Some(*key);
                let path = own.by_ref().take(usize::from(is_expected)).next();
                let path = path.and_then(|id| self.paths.get(usize::try_from(id.0).ok()?));
                let nexus = path.cloned().unwrap_or_else(|| {
                    number += 1;
                    stand_in(FOREIGN, number)
                });
                let is_holder = self.holder == Some(*key);
                self.register(nexus, *key, self.all_tg_pt && is_expected, is_holder);
                if is_holder {
                    self.holder = None;
                }
            }
        }
    }

    fn register(&mut self, nexus: Nexus, key: ReservationKey, all_tg_pt: bool, is_holder: bool) {
        let nexus = self.nexus(nexus, false);
        // Linux' target remembers that beside the registration.
        if let Some(known) = self.memory.nexuses.get_mut(nexus) {
            known.is_active = true;
        }
        self.memory.registrations.push(KeptRegistration {
            nexus,
            key,
            all_tg_pt,
            is_holder,
        });
    }

    fn nexus(&mut self, nexus: Nexus, is_connected: bool) -> usize {
        let nexuses = &mut self.memory.nexuses;
        let known = nexuses.iter().position(|known| known.nexus == nexus);
        known.unwrap_or_else(|| {
            nexuses.push(KnownNexus {
                nexus,
                is_connected,
                attentions: Attentions::NONE,
                is_active: false,
            });
            nexuses.len() - 1
        })
    }

    /// A nexus of this port that has no registration yet.
    fn free(&self, port: &TransportId) -> Nexus {
        let at = |relative_target_port| Nexus {
            initiator_port: port.clone(),
            relative_target_port,
        };
        let is_known = |nexus: &Nexus| {
            self.memory
                .nexuses
                .iter()
                .any(|known| known.nexus == *nexus)
        };
        let mut all = (1..=u16::MAX).map(at);
        all.find(|nexus| !is_known(nexus)).unwrap_or_else(|| at(1))
    }

    /// Whether one registration is that of several paths.
    fn is_per_port(&self, seen: &Appraisal) -> bool {
        let all: usize = seen.keys.iter().map(|(_, count)| count).sum();
        self.memory.registrations.len() > all && !self.all_tg_pt
    }

    /// Keeps one for each initiator port and key, where the device has only so many.
    fn drop_surplus(&mut self, seen: &Appraisal) {
        if !self.is_per_port(seen) {
            return;
        }
        let nexuses = &self.memory.nexuses;
        let port = |kept: &KeptRegistration| {
            let nexus = nexuses.get(kept.nexus).map(|known| &known.nexus);
            nexus.map(|nexus| nexus.initiator_port.encode())
        };
        let mut kept: Vec<KeptRegistration> = Vec::new();
        for one in &self.memory.registrations {
            match kept.iter_mut().find(|other| port(other) == port(one)) {
                Some(other) => other.is_holder |= one.is_holder,
                None => kept.push(*one),
            }
        }
        self.memory.registrations = kept;
    }
}

/// What Linux' target calls itself in its INQUIRY data.
const LIO: &str = "LIO-ORG";

/// Addresses of nobody: the top digit is no format of a NAA identifier.
const OWN: u64 = 0xf000_0000_0000_0000;
const FOREIGN: u64 = 0xf100_0000_0000_0000;
