//! What stands on a device, in as many words as a person needs.

use pr_policy::{Path, PathState};
use scsi_pr::ReservationKey;
use scsi_pr::device_server::{Nexus, Registration};

use super::copy::DeviceCopy;
use crate::map::OpenMap;

/// Reservation and registrations at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// PRGENERATION.
    pub generation: u32,
    /// The reservation, and who holds it; `None`: nobody.
    pub reservation: Option<String>,
    /// Each path of the map.
    pub paths: Vec<OwnPath>,
    /// Keys of this node on nexuses that are no path any more, and how many have each.
    pub left_behind: Vec<(ReservationKey, usize)>,
    /// Keys of all others, and how many registrations have each.
    pub others: Vec<(ReservationKey, usize)>,
}

/// A path of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPath {
    /// Its device.
    pub device: String,
    /// Its key.
    pub key: Option<ReservationKey>,
    /// Whether the map can use it.
    pub use_state: PathState,
}

impl Picture {
    /// `None`: nothing was read.
    pub(super) fn of(copy: &DeviceCopy, map: &OpenMap) -> Option<Self> {
        copy.is_known().then(|| Self::of_known(copy, map))
    }

    fn of_known(copy: &DeviceCopy, map: &OpenMap) -> Self {
        let paths = map.snapshot().paths.into_iter();
        let own = |nexus: &Nexus| copy.is_own(nexus) && !copy.is_path(nexus);
        Self {
            generation: copy.unit().generation(),
            reservation: reservation(copy, map),
            paths: paths
                .filter_map(|path| own_path(&path, copy, map))
                .collect(),
            left_behind: counted(copy, own),
            others: counted(copy, |nexus| !copy.is_own(nexus)),
        }
    }

    /// Where this node's keys are: `0xa1 on sda (away), sdb`.
    pub(crate) fn own_keys(&self) -> String {
        let mut keys: Vec<Option<ReservationKey>> =
            self.paths.iter().map(|path| path.key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys == [None] {
            return "not registered".to_owned();
        }
        // Paths without a key come last.
        keys.reverse();
        let on = |key: &Option<ReservationKey>| {
            let with = self.paths.iter().filter(|path| path.key == *key);
            let names: Vec<String> = with.map(OwnPath::label).collect();
            let key = key.map_or_else(|| "no key".to_owned(), |key| key.to_string());
            format!("{key} on {}", names.join(", "))
        };
        keys.iter().map(on).collect::<Vec<_>>().join("; ")
    }
}

impl OwnPath {
    fn label(&self) -> String {
        match self.use_state {
            PathState::Usable => self.device.clone(),
            PathState::Doubtful | PathState::Dead => format!("{} (away)", self.device),
        }
    }
}

fn own_path(path: &Path, copy: &DeviceCopy, map: &OpenMap) -> Option<OwnPath> {
    Some(OwnPath {
        device: map.path(path.id)?.name.clone(),
        key: copy.unit().registered_key(copy.path(path.id)?),
        use_state: path.state,
    })
}

fn reservation(copy: &DeviceCopy, map: &OpenMap) -> Option<String> {
    let held = copy.unit().reservation()?;
    let kind = held.reservation_type;
    if kind.is_all_registrants() {
        return Some(format!("{kind}, held by all registrants"));
    }
    let holds = |nexus: &Nexus| copy.unit().is_holder(nexus);
    let paths = map.snapshot().paths.into_iter().map(|path| path.id);
    let mut held_by = paths.filter(|id| copy.path(*id).is_some_and(holds));
    let path = held_by.next().and_then(|id| map.path(id));
    let mut registrations = copy.unit().registrations();
    let is_departed = |it: Registration<'_>| holds(it.nexus) && copy.is_own(it.nexus);
    let through = match path {
        Some(path) => format!("this node ({}) through {}", held.key, path.name),
        None if registrations.any(is_departed) => {
            format!("this node ({}) through a path that is gone", held.key)
        }
        None => format!("another node ({})", held.key),
    };
    Some(format!("{kind}, held by {through}"))
}

fn counted(copy: &DeviceCopy, is_meant: impl Fn(&Nexus) -> bool) -> Vec<(ReservationKey, usize)> {
    let mut counted: Vec<(ReservationKey, usize)> = Vec::new();
    for registration in copy.unit().registrations() {
        if !is_meant(registration.nexus) {
            continue;
        }
        match counted.iter_mut().find(|(key, _)| *key == registration.key) {
            Some((_, count)) => *count += 1,
            None => counted.push((registration.key, 1)),
        }
    }
    counted.sort_unstable();
    counted
}
