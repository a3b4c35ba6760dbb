//! Maps: what they are, what they should be, and what is ordered about the difference.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::table::{GroupState, PathState};
use mpath_state::PrStatus;
use mpathpersist::Holder;

use super::Engine;
use super::notes::MapNotes;
use super::paths::REMOVED;
use crate::event::BooksRead;
use crate::model::{CheckState, Group, Map, Path, PathUse, Settling};
use crate::rules::{Failback, MapRules, Naming};
use crate::tasks::check::SLOW;
use crate::tasks::{
    Assembly, Effort, FoundMap, Health, Member, Recover, Removal, Task, WorkOrder, table,
};

impl Engine {
    /// A map is there, as the kernel has it now.
    pub(super) fn map_found(&mut self, found: FoundMap) {
        let Some(wwid) = found.wwid().map(str::to_owned) else {
            return;
        };
        let is_new = !self.model.maps.contains_key(&wwid);
        if is_new {
            self.note_stem(&wwid);
        }
        let rules = self.rules_of(&wwid);
        let priorities = |devices: &[DeviceNumber]| self.mean_priority(devices);
        let groups = groups(&found, priorities);
        let dead = self.dead_groups(&wwid);
        let failed = self.take_states(&wwid, &found);
        self.note_returned_groups(&wwid, &dead);
        let map = self.model_mut().maps.entry(wwid.clone());
        let map = Arc::make_mut(map.or_insert_with(|| Arc::new(Map::new(&wwid, ""))));
        map.path_faults += u32::try_from(failed.len()).unwrap_or(u32::MAX);
        map.name = found.map.name;
        map.device = Some(found.map.device);
        map.size = found.map.size;
        map.groups = groups;
        map.features = found.table.features.0;
        let handler = found.table.hw_handler;
        map.hw_handler = handler.map_or_else(Vec::new, |it| [vec![it.name], it.args].concat());
        map.suspended = found.map.suspended;
        map.read_only = found.read_only;
        map.event_nr = found.event_nr;
        map.queueing = rules.queueing;
        map.failback = rules.failback;
        for device in failed {
            self.failed_in_kernel(device);
        }
        if is_new {
            let members = self.members_by_wwid(&wwid);
            let usage = PathUse::Map(wwid.clone());
            for device in members {
                let fits = self.model.paths.get(&device);
                let fits =
                    fits.is_some_and(|path| self.rules.exclusion(&path.scsi, &path.udev).is_none());
                if fits && let Some(path) = self.path_mut(device) {
                    path.usage = usage.clone();
                }
            }
        }
        self.doubtful.insert(wwid);
    }

    /// Takes over what the kernel thinks of the paths; returns those that it has just failed.
    fn take_states(&mut self, wwid: &str, found: &FoundMap) -> Vec<DeviceNumber> {
        let mut failed = Vec::new();
        for device in self.members_by_wwid(wwid) {
            let entry = found.map.paths.iter().find(|path| path.device == device);
            let state = entry.map(|path| path.dm_state);
            let Some(known) = self.model.paths.get(&device) else {
                continue;
            };
            let was = known.dm_state;
            if state == Some(PathState::Failed) && was != state {
                failed.push(device);
            }
            let fail_count = entry.map_or(0, |path| path.fail_count);
            if was == state && known.fail_count == fail_count {
                continue;
            }
            if state != Some(PathState::Active)
                && let Some(notes) = self.paths.get_mut(&device)
            {
                notes.is_fail_sent = false;
            }
            if let Some(path) = self.path_mut(device) {
                path.dm_state = state;
                path.fail_count = fail_count;
            }
        }
        failed
    }

    /// The kernel does not use a path any more: whatever it was, it has to show it again. Until
    /// it was checked, what the last check said of it is out of date.
    fn failed_in_kernel(&mut self, device: DeviceNumber) {
        self.unsettle(device);
        if let Some(notes) = self.paths.get_mut(&device) {
            notes.is_doubtful = true;
        }
        if let Some(path) = self.model.paths.get(&device) {
            tracing::info!("{} [{device}]: failed in the kernel", path.scsi.name);
        }
        self.check_now(device);
    }

    /// Somebody has removed a map.
    pub(super) fn map_gone(&mut self, wwid: &str) {
        let notes = self.maps.of(wwid);
        notes.is_unwanted = true;
        self.forget_map(wwid);
    }

    /// The kernel does not have it any more; its paths may be all that is left of it.
    pub(super) fn forget_map(&mut self, wwid: &str) {
        for device in self.members_by_wwid(wwid) {
            if let Some(path) = self.path_mut(device) {
                path.dm_state = None;
            }
            self.unsettle(device);
        }
        self.model_mut().maps.remove(wwid);
        self.maps.touch(wwid);
    }

    /// Compares a map with what it should be; orders the difference, if nobody is at work on it.
    pub(super) fn plan(&mut self, wwid: &str) {
        let now = self.now;
        let notes = self.maps.of(wwid);
        let is_resting = notes.rest_until.is_some_and(|until| until > now);
        if notes.is_busy || notes.unwritten > 0 || is_resting {
            return;
        }
        if let Some(until) = self.first_checks_end(wwid) {
            self.maps.of(wwid).look_again_at = Some(until);
            return;
        }
        let Some(order) = self.order(wwid) else {
            self.fail_back(wwid);
            return;
        };
        let is_different = self.is_different(&order);
        let has_paths = !self.members(wwid).is_empty();
        for device in &order.settle {
            if let Some(path) = self.path_mut(*device) {
                path.settling = Settling::UnderWay;
            }
        }
        let notes = self.maps.of(wwid);
        notes.is_busy = true;
        notes.is_ours |= has_paths;
        self.busy += 1;
        // A mere comparison may well end without a new table.
        notes.is_assembly_ordered = order.assemble.is_some() && is_different;
        notes.is_removal_ordered = order.remove.is_some();
        notes.is_recovery_ordered = order.recover != Recover::Nothing;
        notes.is_name_settled |= order.rename.is_some();
        notes.is_comparison_wanted &= order.assemble.is_none();
        notes.look_again_at = None;
        notes.look_for_holder = false;
        notes.is_reload_wanted = false;
        self.tasks.push_back(Task::Work(Box::new(order)));
    }

    /// New paths get a moment to be checked, so that a map is not made path by path; where many
    /// are new, as long as one check after the other ends: their turn will come. A map that is
    /// looked after already waits less: what comes back to it may be all that it has.
    fn first_checks_end(&self, wwid: &str) -> Option<Instant> {
        let members = self.members(wwid);
        let new = members
            .iter()
            .filter(|path| path.check == CheckState::Unchecked);
        let found = new.filter_map(|path| self.paths.get(&path.scsi.device));
        let is_ours = self.maps.get(wwid).is_some_and(|notes| notes.is_ours);
        let is_there = is_ours && self.model.maps.contains_key(wwid);
        let patience = if is_there { BRIEF } else { SLOW };
        let turn = self.check_ended_at.filter(|_| !is_there);
        let turn = turn.map(|at| at + SLOW);
        let end = found
            .map(|notes| {
                let own = notes.found_at + patience;
                let turn = turn.map(|turn| turn.min(notes.found_at + LONG));
                turn.map_or(own, |turn| turn.max(own))
            })
            .max()?;
        (end > self.now).then_some(end)
    }

    /// What there is to be done about a map; `None` if it is as it should be.
    fn order(&self, wwid: &str) -> Option<WorkOrder> {
        let notes = self.maps.get(wwid)?;
        let members = self.members(wwid);
        let map = self.model.maps.get(wwid);
        if map.is_none() && (notes.is_unwanted || !members.iter().any(|path| works(path))) {
            return None;
        }
        let mut rules = self.rules_of(wwid);
        rules.queueing = self.queueing_now(wwid, rules.queueing);
        let works = |path: &&&Arc<Path>| {
            let notes = self.paths.get(&path.scsi.device);
            works(path) && notes.is_none_or(|notes| !notes.is_doubtful)
        };
        let settle = members.iter().filter(works);
        let settle = settle.filter(|path| is_to_be_settled(path));
        let is_failed = |path: &&&Arc<Path>| path.dm_state == Some(PathState::Failed);
        let reinstate = members.iter().filter(works).filter(is_failed);
        let orphan = map.filter(|_| members.is_empty());
        let no_paths = orphan.and_then(|map| self.removal(map));
        let asked = notes.is_removal_wanted.then_some(Removal::Asked);
        let mut order = WorkOrder {
            wwid: wwid.to_owned(),
            name: map.map_or_else(|| wwid.to_owned(), |map| map.name.clone()),
            device: map.and_then(|map| map.device),
            key: self.key_source(wwid),
            recover: match map.and_then(|map| map.device) {
                Some(_) if notes.has_leftover => notes.recover(),
                _ => Recover::Nothing,
            },
            settle: settle.map(|path| path.scsi.device).collect(),
            look_for_holder: notes.look_for_holder,
            assemble: self.assembly(wwid, map, &members, rules.clone()),
            rename: self.rename(map.filter(|_| !members.is_empty()), notes, &rules),
            reinstate: reinstate.map(|path| path.scsi.device).collect(),
            remove: asked.or(no_paths),
        };
        if self.rules.has_fixed_maps() {
            order.assemble = None;
            order.rename = None;
            order.remove = asked;
        }
        is_any_work(&order).then_some(order)
    }

    /// Why a map without paths is to go. One whose disk is excluded, or is none of those that are
    /// known here, is somebody's business, but not this daemon's.
    fn removal(&self, map: &Map) -> Option<Removal> {
        let is_there = |device: &DeviceNumber| {
            let path = self.model.paths.get(device);
            path.is_some_and(|path| path.usage != PathUse::None(REMOVED.to_owned()))
        };
        let mut disks = self.luns.get(&map.wwid).into_iter().flatten();
        if disks.any(is_there) || map.paths().any(|device| is_there(&device)) {
            return None;
        }
        let notes = self.maps.get(&map.wwid);
        match notes.is_some_and(|notes| notes.is_ours) {
            true => Some(Removal::NoPaths),
            false => self.rules.has_made(&map.wwid).then_some(Removal::Leftover),
        }
    }

    /// The table that a map should have, if it has another.
    fn assembly(
        &self,
        wwid: &str,
        map: Option<&Arc<Map>>,
        members: &[&Arc<Path>],
        rules: MapRules,
    ) -> Option<Assembly> {
        // One that comes back under a reservation for exclusive access has none yet.
        let size = members
            .iter()
            .map(|path| path.size)
            .find(|size| *size > 0)?;
        let handler = members
            .iter()
            .filter_map(|path| self.paths.get(&path.scsi.device));
        let handler = handler.map(|notes| notes.handler.clone()).next().flatten();
        let notes = self.maps.get(wwid);
        let is_wanted = notes.is_some_and(|notes| notes.is_reload_wanted);
        let is_doubtful = notes.is_some_and(|notes| notes.is_comparison_wanted);
        let assembly = Assembly {
            size,
            used: map.map_or_else(BTreeSet::new, |map| used(map, rules.failback)),
            rules,
            handler,
            effort: if is_wanted {
                Effort::Always
            } else {
                Effort::IfDifferent
            },
            paths: members.iter().map(|path| self.member(path)).collect(),
        };
        let Some(map) = map else {
            return Some(assembly);
        };
        (is_wanted || is_doubtful || differs(map, &assembly)).then_some(assembly)
    }

    fn is_different(&self, order: &WorkOrder) -> bool {
        let map = self.model.maps.get(&order.wwid);
        let assembly = order.assemble.as_ref();
        assembly.is_some_and(|assembly| map.is_none_or(|map| differs(map, assembly)))
    }

    fn member(&self, path: &Path) -> Member {
        let notes = self.paths.get(&path.scsi.device);
        // What is about to change stays where it is.
        let is_kept =
            path.check == CheckState::Transition && path.dm_state == Some(PathState::Active);
        let health = match works(path) || is_kept {
            true => Health::Works,
            false => Health::Failed,
        };
        Member {
            device: path.scsi.device,
            priority: path.priority,
            port_group: path.scsi.target_port_group,
            node: notes.map_or_else(String::new, |notes| notes.node.clone()),
            health,
            is_settled: path.settling == Settling::Settled,
        }
    }

    fn rename(&self, map: Option<&Arc<Map>>, notes: &MapNotes, rules: &MapRules) -> Option<Naming> {
        let map = map.filter(|_| !notes.is_name_settled)?;
        let is_wanted = match &rules.naming {
            Naming::Fixed(name) => {
                map.name != *name && !self.model.maps.values().any(|other| other.name == *name)
            }
            Naming::NextFree { .. } => true,
        };
        is_wanted.then(|| rules.naming.clone())
    }

    /// What the configuration says of a map.
    pub(super) fn rules_of(&self, wwid: &str) -> MapRules {
        let source = self.key_source(wwid);
        let (vendor, product) = &source.vendor_product;
        let members = self.members(wwid);
        let is_ranked = members.iter().any(|path| self.rules.is_ranked(&path.scsi));
        self.rules.map(wwid, (vendor, product), is_ranked)
    }

    fn mean_priority(&self, devices: &[DeviceNumber]) -> i32 {
        let known = devices
            .iter()
            .filter_map(|device| self.model.paths.get(device));
        let priorities: Vec<i32> = known.map(|path| path.priority).collect();
        let count = i32::try_from(priorities.len()).unwrap_or(i32::MAX);
        if count == 0 {
            0
        } else {
            priorities.iter().sum::<i32>() / count
        }
    }

    /// What is remembered of a map is what is shown.
    pub(super) fn take_books(&mut self, books: &BooksRead) {
        if let Some(notes) = self.maps.get_mut(&books.wwid) {
            notes.registrations = None;
        }
        let Some(map) = self.map_mut(&books.wwid) else {
            return;
        };
        map.pr.configured = books.configured;
        let held = map.pr.holds;
        if let Some(record) = &books.record {
            map.pr.key = record.key;
            map.pr.registered = record.registered;
            map.pr.holds = record.holds;
            map.pr.reservation_type = record.reservation_type;
        }
        // What was given up by this node itself is nobody's.
        map.pr.holder = match (held, map.pr.holds) {
            (_, PrStatus::Set) => Holder::Us,
            (PrStatus::Set, PrStatus::Unset) => Holder::Nobody,
            _ => map.pr.holder,
        };
        if map.pr.registered == PrStatus::Unknown && map.pr.configured.is_none() {
            map.pr.registered = PrStatus::Unset;
            map.pr.holds = PrStatus::Unset;
        }
    }

    /// When a map is looked at again that was left alone for a while.
    pub(super) fn plan_at(&self, wwid: &str) -> Option<Instant> {
        let notes = self.maps.get(wwid)?;
        [notes.rest_until, notes.look_again_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn wake_rested(&mut self, wwid: &str) {
        let now = self.now;
        let Some(notes) = self.maps.get_mut(wwid) else {
            return;
        };
        for time in [&mut notes.rest_until, &mut notes.look_again_at] {
            if time.is_some_and(|until| until <= now) {
                *time = None;
                self.doubtful.insert(wwid.to_owned());
            }
        }
    }

    /// What the kernel thinks of a path, by what is known of its map.
    pub(super) fn dm_state(&self, device: DeviceNumber, wwid: Option<&str>) -> Option<PathState> {
        let map = self.model.maps.get(wwid?)?;
        // Its state is not kept with the map; the next look at it will tell.
        let is_in = map.paths().any(|path| path == device);
        is_in.then_some(PathState::Active)
    }
}

fn groups(found: &FoundMap, priority: impl Fn(&[DeviceNumber]) -> i32) -> Vec<Group> {
    let tables = found.table.groups.iter();
    let groups = tables.zip(&found.map.status.groups).map(|(table, status)| {
        let paths: Vec<DeviceNumber> = table.paths.iter().map(|path| path.device).collect();
        Group {
            state: status.state,
            selector: table.selector.clone(),
            priority: priority(&paths),
            paths,
        }
    });
    groups.collect()
}

fn works(path: &Path) -> bool {
    path.check.is_usable()
}

/// A path that came back to its map waits no longer than this for another that did at that moment:
/// a check that ends takes some milliseconds.
const BRIEF: Duration = Duration::from_millis(300);

/// A path that hangs keeps its map from being made no longer than this, whatever others do.
const LONG: Duration = Duration::from_secs(10);

fn is_to_be_settled(path: &Path) -> bool {
    matches!(path.settling, Settling::Pending | Settling::Unsettled)
}

/// A path that works is missing, one is in the table that is not there any more, or they are
/// grouped differently. Paths that do not work stay as they are until then.
fn differs(map: &Map, assembly: &Assembly) -> bool {
    if map.size != assembly.size {
        return true;
    }
    let present: BTreeSet<DeviceNumber> = map.paths().collect();
    let known: BTreeSet<DeviceNumber> = assembly.paths.iter().map(|member| member.device).collect();
    let is_missing =
        |member: &&Member| member.health == Health::Works && !present.contains(&member.device);
    if assembly.paths.iter().any(|member| is_missing(&member)) {
        return true;
    }
    if present.iter().any(|device| !known.contains(device)) {
        // The last one that works is not given up for one that is gone.
        return assembly
            .paths
            .iter()
            .any(|member| member.health == Health::Works);
    }
    let wanted = table::table(assembly, |member| present.contains(&member.device));
    let groups: Vec<BTreeSet<DeviceNumber>> = map
        .groups
        .iter()
        .map(|group| group.paths.iter().copied().collect())
        .collect();
    let wanted_groups: Vec<BTreeSet<DeviceNumber>> = wanted
        .groups
        .iter()
        .map(|group| group.paths.iter().map(|path| path.device).collect())
        .collect();
    groups != wanted_groups
}

/// What stays in use when a table is loaded: the kernel would go to the best group. A map that goes
/// back by itself at once is to do just that.
fn used(map: &Map, failback: Failback) -> BTreeSet<DeviceNumber> {
    let active = |group: &&Group| group.state == GroupState::Active;
    match map.groups.iter().find(active) {
        Some(group) if failback != Failback::Immediate => group.paths.iter().copied().collect(),
        _ => BTreeSet::new(),
    }
}

fn is_any_work(order: &WorkOrder) -> bool {
    order.recover != Recover::Nothing
        || order.look_for_holder
        || order.remove.is_some()
        || order.assemble.is_some()
        || order.rename.is_some()
        || !order.settle.is_empty()
        || !order.reinstate.is_empty()
}
