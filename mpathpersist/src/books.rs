//! What is remembered around a change: the stored key, the journal, the record, and what the
//! daemon is told.
//!
//! Order is everything here. The key is stored before the first command is sent, so that a path
//! which returns meanwhile gets the right one; the journal says what is under way, so that
//! whoever locks the map after a crash can tell; the record and the daemon learn the result.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mpath_state::prkeys::{PrKeysError, PrKeysFile};
use mpath_state::protocol::{Command, DeviceId, Reply};
use mpath_state::record::{ArrayTraits, Intent, MapLock, MapRecord, Nexus};
use mpath_state::{PrStatus, StoredKey};
use pr_policy::{
    Before, Effects, Holding, KeyPlan, Others, PathId, Registration, Request, Snapshot,
};

use crate::daemon::Daemon;
use crate::leftover;
use crate::map::OpenMap;

/// The books of one map while it is locked.
#[derive(Debug)]
pub(crate) struct Books<'a> {
    map: &'a OpenMap,
    lock: &'a MapLock,
    prkeys: PrKeysFile,
    daemon: Option<Daemon>,
    stored: Option<StoredKey>,
    changed: Changed,
    intent: Option<Intent>,
    /// For the person at the terminal.
    pub(crate) notes: Vec<String>,
}

/// Whether the stored key was touched for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    No,
    Yes,
}

impl<'a> Books<'a> {
    pub(crate) fn open(
        map: &'a OpenMap,
        lock: &'a MapLock,
        prkeys: PrKeysFile,
        daemon: Option<Daemon>,
        stored: Option<StoredKey>,
    ) -> Self {
        Self {
            map,
            lock,
            prkeys,
            daemon,
            stored,
            changed: Changed::No,
            intent: None,
            notes: Vec::new(),
        }
    }

    /// The key that this node has registered and not lost since. A key that is merely configured
    /// or stored is none: a registration that is taken back must not end in it.
    pub(crate) fn remembered(&mut self) -> Remembered {
        let read = self.lock.read();
        let record = self.note_error(read).flatten();
        Remembered::of_registered(record)
    }

    /// Announces the request. A journal that cannot be written must not keep a fencing command
    /// from its work.
    /// What it recovers from has said what there was `before`.
    pub(crate) fn announce(&mut self, request: &Request, plan: KeyPlan, before: Option<Before>) {
        let mut intent = Intent::new(request.to_string());
        intent.request = format!("{request} {}", self.map.name());
        intent.started_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| t.as_secs());
        intent.old_key = self.stored;
        if let Request::Register(register) = request {
            let (key, aptpl) = (register.new_key, register.aptpl);
            intent.new_key = Some(StoredKey { key, aptpl }).filter(|stored| !stored.key.is_none());
        }
        leftover::enter(&mut intent, request);
        if plan != KeyPlan::Keep {
            intent.restore_file_key = Some(self.stored);
        }
        if let Some(before) = before {
            leftover::enter_before(&mut intent, before);
        }
        let written = self.lock.journal().write(&intent);
        self.intent = Some(intent).filter(|_| before.is_none());
        self.note_error(written);
    }

    /// Adds to the announcement what there was before this node began to register.
    pub(crate) fn announce_before(&mut self, before: Before) {
        if let Some(mut intent) = self.intent.take() {
            leftover::enter_before(&mut intent, before);
            let written = self.lock.journal().write(&intent);
            self.note_error(written);
        }
    }

    /// Changes the stored key as planned, before anything is sent.
    pub(crate) fn apply(&mut self, plan: KeyPlan, request: &Request) -> Result<(), PrKeysError> {
        let wanted = match plan {
            KeyPlan::Keep => return Ok(()),
            KeyPlan::Forget => None,
            KeyPlan::Store { key } => Some(StoredKey {
                key,
                aptpl: asks_for_aptpl(request),
            }),
        };
        if wanted == self.stored {
            return Ok(());
        }
        self.changed = Changed::Yes;
        self.store(wanted)
    }

    /// Puts the stored key back to what it was.
    pub(crate) fn undo(&mut self) {
        if self.changed == Changed::Yes {
            let stored = self.store(self.stored);
            self.note_error(stored);
        }
    }

    /// Ends a request of which nothing was sent: it is not one that was cut off.
    pub(crate) fn abandon(&mut self) {
        self.undo();
        let cleared = self.lock.journal().clear();
        self.note_error(cleared);
    }

    /// Stores through the daemon, which then knows the key as well; and by hand, if there is no
    /// daemon or it keeps its keys elsewhere.
    fn store(&mut self, key: Option<StoredKey>) -> Result<(), PrKeysError> {
        let map = self.map.name().to_owned();
        self.tell(match key {
            Some(key) => Command::SetPrKey { map, key },
            None => Command::UnsetPrKey(map),
        });
        let wwid = self.map.wwid();
        match (self.prkeys.lookup(wwid)?, key) {
            (found, wanted) if found == wanted => Ok(()),
            (_, Some(wanted)) => self.prkeys.set(wwid, wanted),
            (_, None) => self.prkeys.remove(wwid),
        }
    }

    /// Enters what a request changed, tells the daemon, and closes the journal.
    pub(crate) fn close(&mut self, effects: &Effects, request: &Request) {
        self.record(effects, request);
        self.tell_effects(effects);
        let cleared = self.lock.journal().clear();
        self.note_error(cleared);
    }

    fn record(&mut self, effects: &Effects, request: &Request) {
        let is_own = effects.registration.is_some() || effects.holding.is_some();
        if !is_own && !effects.takes_one_at_a_time && !effects.keeps_one_per_port {
            return;
        }
        let name = self.map.name();
        let read = self.lock.read();
        let known = self.note_error(read).flatten();
        let mut record = known.unwrap_or_else(|| MapRecord::new(self.map.wwid(), name));
        name.clone_into(&mut record.name);
        if let Some(registration) = &effects.registration {
            self.enter_registration(&mut record, registration, request);
            if matches!(registration, Registration::Registered { .. }) {
                self.remember_nexuses(&mut record, &effects.unheard);
                // What a path has by an earlier return is as good as what is registered now.
                if matches!(request, Request::Register(_)) {
                    record.suspects.clear();
                }
            }
        }
        if let Some(holding) = effects.holding {
            enter_holding(&mut record, holding);
        }
        enter_traits(&mut record, effects);
        let written = self.lock.write(&record);
        self.note_error(written);
    }

    fn enter_registration(
        &self,
        record: &mut MapRecord,
        registration: &Registration,
        request: &Request,
    ) {
        match registration {
            Registration::Unregistered => {
                if let Request::Register(register) = request {
                    record.aptpl = register.aptpl;
                }
                forget_registration(record);
            }
            Registration::Registered { key, paths, others } => {
                record.registered = PrStatus::Set;
                let is_another = record.key.is_some_and(|stored| stored.key != *key);
                if is_another || *others == Others::Removed {
                    record.nexuses.clear();
                }
                // What else has registered has done it as before.
                let known = record.key.is_some_and(|stored| stored.aptpl);
                let (aptpl, all_tg_pt) = match request {
                    Request::Register(register) => (register.aptpl, register.all_tg_pt),
                    _ => (known, record.all_tg_pt),
                };
                record.key = Some(StoredKey { key: *key, aptpl });
                record.aptpl = aptpl;
                record.all_tg_pt = all_tg_pt;
                self.remember_nexuses(record, paths);
                if let Others::AtMost(most) = others {
                    self.forget_nexuses(record, *most);
                }
            }
        }
    }

    fn remember_nexuses(&self, record: &mut MapRecord, paths: &[PathId]) {
        for nexus in paths.iter().filter_map(|path| self.map.nexus(*path)) {
            remember(&mut record.nexuses, nexus);
        }
    }

    /// Keeps so many at most, and rather those of the map's own paths.
    fn forget_nexuses(&self, record: &mut MapRecord, most: usize) {
        let own = self.map.nexuses();
        let is_gone = |nexus: &Nexus| !own.iter().any(|known| is_same(known, nexus));
        record.nexuses.sort_by_key(is_gone);
        record.nexuses.truncate(most);
    }

    fn tell_effects(&mut self, effects: &Effects) {
        let map = self.map.name().to_owned();
        match &effects.registration {
            Some(Registration::Registered { paths, .. }) => self.tell_registered(paths),
            Some(Registration::Unregistered) => self.tell(Command::UnsetPrStatus(map.clone())),
            None => {}
        }
        match effects.holding {
            Some(Holding::Held(_)) => self.tell(Command::SetPrHold(map)),
            Some(Holding::NotHeld) => self.tell(Command::UnsetPrHold(map)),
            None => {}
        }
    }

    fn tell_registered(&mut self, paths: &[PathId]) {
        let map = self.map.name().to_owned();
        let device_id = |path: &PathId| {
            let device = self.map.path(*path)?.device;
            Some(DeviceId {
                major: device.major,
                minor: device.minor,
            })
        };
        let paths: Vec<DeviceId> = paths.iter().filter_map(device_id).collect();
        let answer = self.ask(&Command::SetPrStatus {
            map: map.clone(),
            paths,
        });
        // multipath-tools before 0.13 knows no path list.
        if answer.is_some_and(|reply| reply != Reply::Ok) {
            self.tell(Command::SetPrStatus {
                map,
                paths: Vec::new(),
            });
        }
    }

    fn tell(&mut self, command: Command) {
        if let Some(reply) = self.ask(&command).filter(|reply| *reply != Reply::Ok) {
            tracing::info!(%command, reply = %reply.to_string().trim_end(), "multipathd refused");
        }
    }

    /// What is still to be told may take so long.
    pub(crate) fn hurry(&mut self, left: Duration) {
        if let Some(daemon) = &mut self.daemon {
            daemon.hurry(left);
        }
    }

    /// Asks the daemon; one that fails once is not asked again.
    fn ask(&mut self, command: &Command) -> Option<Reply> {
        match self.daemon.as_mut()?.ask(command) {
            Ok(reply) => Some(reply),
            Err(error) => {
                self.daemon = None;
                self.notes.push(format!(
                    "{}: {error}; it was not told of this change, restart it to make it look",
                    self.map.name()
                ));
                None
            }
        }
    }

    fn note_error<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.notes.push(format!("{}: {error}", self.map.name())))
            .ok()
    }
}

/// What this node has registered, if it has, and what it knows of the array in any case.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    registered: Option<MapRecord>,
    traits: ArrayTraits,
}

impl Remembered {
    /// What a record says, whatever it thinks of this node's registration.
    pub(crate) fn of(record: MapRecord) -> Self {
        Self {
            traits: record.traits.clone(),
            registered: Some(record),
        }
    }

    /// What a record says, if by it this node is registered.
    pub(crate) fn of_registered(record: Option<MapRecord>) -> Self {
        let traits = record.as_ref().map(|record| record.traits.clone());
        Self {
            traits: traits.unwrap_or_default(),
            registered: record.filter(|record| record.registered == PrStatus::Set),
        }
    }

    /// The map as it is, with what is remembered of it.
    pub(crate) fn onto(self, map: &OpenMap) -> Snapshot {
        let snapshot = Snapshot {
            takes_one_at_a_time: self.traits.sequential_registrations,
            ..map.snapshot()
        };
        let Some(record) = self.registered else {
            return snapshot;
        };
        let ports = record
            .nexuses
            .iter()
            .filter_map(|nexus| nexus.initiator_port.as_ref());
        let is_suspect = |path: &PathId| {
            let nexus = map.nexus(*path);
            nexus.is_some_and(|nexus| record.suspects.contains(&name_of(&nexus)))
        };
        let paths = snapshot.paths.iter().map(|path| path.id);
        let suspects: Vec<PathId> = paths.filter(is_suspect).collect();
        Snapshot {
            remembered_key: record.key.map(|stored| stored.key),
            remembered_all_tg_pt: record.all_tg_pt,
            remembered_aptpl: record.key.map_or(record.aptpl, |stored| stored.aptpl),
            remembered_holding: record.holds == PrStatus::Set,
            remembered_nexuses: record.nexuses.len(),
            remembered_gone: gone_nexuses(&record, map),
            suspects_gone: record.suspects.len().saturating_sub(suspects.len()),
            suspects,
            own_ports: ports.filter_map(|port| port.parse().ok()).collect(),
            ..snapshot
        }
    }
}

/// How many nexuses are not in the map any more that are registered, or may be since their return
/// was cut off.
fn gone_nexuses(record: &MapRecord, map: &OpenMap) -> usize {
    let own = map.nexuses();
    let is_gone = |nexus: &&Nexus| !own.iter().any(|known| is_same(known, nexus));
    let known: Vec<String> = record.nexuses.iter().chain(&own).map(name_of).collect();
    let suspects = record.suspects.iter();
    record.nexuses.iter().filter(is_gone).count()
        + suspects.filter(|name| !known.contains(name)).count()
}

/// An array does not unlearn its ways: where nothing was seen of them this time, they are as
/// before.
fn enter_traits(record: &mut MapRecord, effects: &Effects) {
    record.traits.sequential_registrations |= effects.takes_one_at_a_time;
    record.traits.per_initiator_port |= effects.keeps_one_per_port;
}

fn forget_registration(record: &mut MapRecord) {
    record.registered = PrStatus::Unset;
    record.key = None;
    record.nexuses.clear();
}

pub(crate) fn enter_holding(record: &mut MapRecord, holding: Holding) {
    match holding {
        Holding::Held(reservation_type) => {
            record.holds = PrStatus::Set;
            record.reservation_type = Some(reservation_type.0);
        }
        Holding::NotHeld => {
            record.holds = PrStatus::Unset;
            record.reservation_type = None;
        }
    }
}

/// A nexus that is registered again takes the place of what was known of it.
pub(crate) fn remember(nexuses: &mut Vec<Nexus>, nexus: Nexus) {
    match nexuses.iter_mut().find(|known| is_same(known, &nexus)) {
        Some(known) => *known = nexus,
        None => nexuses.push(nexus),
    }
}

pub(crate) fn is_same(one: &Nexus, other: &Nexus) -> bool {
    match (&one.initiator_port, &other.initiator_port) {
        (Some(a), Some(b)) => a == b && one.target_port == other.target_port,
        _ => one.hctl == other.hctl,
    }
}

/// A nexus by its ports, where they are known: the address changes when a host is found again.
pub(crate) fn name_of(nexus: &Nexus) -> String {
    match (&nexus.initiator_port, &nexus.target_port) {
        (Some(initiator), Some(target)) => format!("{initiator} {target}"),
        _ => nexus.hctl.clone(),
    }
}

fn asks_for_aptpl(request: &Request) -> bool {
    matches!(request, Request::Register(register) if register.aptpl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nexus(initiator: &str, target: &str) -> Nexus {
        Nexus {
            initiator_port: Some(initiator.to_owned()),
            target_port: Some(target.to_owned()),
            ..Nexus::default()
        }
    }

    /// Also by a node that is not registered any more: its next command is a registration.
    #[test]
    fn an_array_that_takes_one_at_a_time_is_remembered() {
        let map = OpenMap::unmade("wwid", "mpatha");
        let mut record = MapRecord::new("wwid", "mpatha");
        let is_known = |record: &MapRecord| {
            let remembered = Remembered::of_registered(Some(record.clone()));
            remembered.onto(&map).takes_one_at_a_time
        };
        assert!(!is_known(&record));
        let mut effects = Effects::default();
        enter_traits(&mut record, &effects);
        assert!(!is_known(&record));
        effects.takes_one_at_a_time = true;
        enter_traits(&mut record, &effects);
        assert!(is_known(&record));
        // Given one at a time, it is never busy.
        enter_traits(&mut record, &Effects::default());
        for registered in [PrStatus::Set, PrStatus::Unset] {
            record.registered = registered;
            assert!(is_known(&record), "{registered:?}");
        }
    }

    /// Each may have a registration that only a PREEMPT reaches.
    #[test]
    fn nexuses_that_are_gone_are_counted_once() {
        let map = OpenMap::unmade("wwid", "mpatha");
        let gone = |nexuses: &[Nexus], suspects: &[&str]| {
            let mut record = MapRecord::new("wwid", "mpatha");
            record.nexuses = nexuses.to_vec();
            record.suspects = suspects.iter().map(|name| (*name).to_owned()).collect();
            gone_nexuses(&record, &map)
        };
        let own = [nexus("a", "x"), nexus("a", "y")];
        assert_eq!(gone(&[], &[]), 0);
        assert_eq!(gone(&own, &[]), 2);
        assert_eq!(gone(&own, &["a y"]), 2);
        assert_eq!(gone(&own, &["a y", "a z"]), 3);
    }
}
