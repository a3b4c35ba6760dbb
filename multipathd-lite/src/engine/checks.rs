//! When paths are checked, and what follows from what they say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::AccessState;
use dm_multipath::table::PathState;
use mpath_state::PrStatus;
use scsi_pr::{ReservationKey, UnitAttention};

use super::Engine;
use super::paths::priority;
use crate::event::Checked;
use crate::model::{CheckState, Map, Path, Settling};
use crate::tasks::check::SLOW;
use crate::tasks::{CheckOrder, Question, Task};

impl Engine {
    /// Begins the checks that are due, as many as there is room for.
    pub(super) fn begin_checks(&mut self) {
        let mut room = MAX_CHECKS.saturating_sub(self.young_checks());
        let is_free = |device: &DeviceNumber| {
            self.paths
                .get(device)
                .is_some_and(|notes| notes.checking.is_none())
        };
        let paths = self.model.paths.values();
        let mut due: Vec<(Instant, DeviceNumber)> = paths
            .filter(|path| path.schedule.due <= self.now && is_free(&path.scsi.device))
            .filter(|path| path.map().is_some())
            .map(|path| (path.schedule.due, path.scsi.device))
            .collect();
        due.sort_unstable();
        for (_, device) in due {
            if room == 0 {
                break;
            }
            room -= 1;
            self.begin_check(device, Question::Ready);
        }
        for (wwid, device, key) in self.counts_due() {
            self.maps.entry(wwid).or_default().counted_at = Some(self.now);
            self.begin_check(device, Question::Registrations(key));
        }
    }

    /// Maps whose registrations are to be counted, each with a path that is free to ask.
    fn counts_due(&self) -> Vec<(String, DeviceNumber, ReservationKey)> {
        let is_due = |map: &&Arc<Map>| self.count_at(map).is_some_and(|at| at <= self.now);
        let maps = self.model.maps.values().filter(is_due);
        let due = maps.filter_map(|map| {
            let is_free = |device: &DeviceNumber| {
                let path = self.model.paths.get(device);
                let notes = self.paths.get(device);
                path.is_some_and(|path| path.settling == Settling::Settled)
                    && notes.is_some_and(|notes| notes.checking.is_none())
            };
            let device = map.paths().find(is_free)?;
            Some((map.wwid.clone(), device, map.pr.key?.key))
        });
        due.collect()
    }

    /// When the registrations of a map are to be counted again.
    fn count_at(&self, map: &Map) -> Option<Instant> {
        let is_registered = map.pr.registered == PrStatus::Set && map.pr.key.is_some();
        let notes = self.maps.get(&map.wwid);
        let notes = notes.filter(|notes| is_registered && !notes.is_busy)?;
        let last = notes.counted_at.unwrap_or(self.model.started);
        Some(last + self.rules.intervals().polling)
    }

    pub(super) fn next_count(&self) -> Option<Instant> {
        let maps = self.model.maps.values();
        let at = maps.filter_map(|map| self.count_at(map)).min()?;
        // While no path is free to ask, the end of a check is waited for.
        (at > self.now || !self.counts_due().is_empty()).then_some(at)
    }

    fn begin_check(&mut self, device: DeviceNumber, question: Question) {
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let order = CheckOrder {
            device,
            name: path.scsi.name.clone(),
            timeout: self.rules.intervals().timeout,
            question,
        };
        let now = self.now;
        if let Some(notes) = self.paths.get_mut(&device) {
            notes.checking = Some(now);
        }
        self.tasks.push_back(Task::Check(order));
    }

    /// When the next check is due, or there is room for one.
    pub(super) fn next_check(&self) -> Option<Instant> {
        let is_free = |path: &&std::sync::Arc<Path>| {
            let notes = self.paths.get(&path.scsi.device);
            path.map().is_some() && notes.is_some_and(|notes| notes.checking.is_none())
        };
        let due = self
            .model
            .paths
            .values()
            .filter(is_free)
            .map(|path| path.schedule.due)
            .min()?;
        if self.young_checks() < MAX_CHECKS {
            return Some(due);
        }
        let begun = self.paths.values().filter_map(|notes| notes.checking);
        let young = begun.filter(|begun| *begun + SLOW > self.now);
        Some(due.max(young.min()? + SLOW))
    }

    fn young_checks(&self) -> usize {
        let begun = self.paths.values().filter_map(|notes| notes.checking);
        begun.filter(|begun| *begun + SLOW > self.now).count()
    }

    /// Checks a path as soon as there is room.
    pub(super) fn check_now(&mut self, device: DeviceNumber) {
        let now = self.now;
        if let Some(path) = self.model_mut().path_mut(device) {
            path.schedule.due = now;
        }
    }

    /// A check has ended, or its time is up.
    pub(super) fn checked(&mut self, checked: Checked) {
        let device = checked.device;
        let Some(notes) = self.paths.get_mut(&device) else {
            return;
        };
        if !checked.is_pending {
            notes.checking = None;
        }
        notes.is_doubtful = false;
        let again = checked.attention.is_some() && notes.attentions < MAX_ATTENTIONS;
        notes.attentions = if again { notes.attentions + 1 } else { 0 };
        let counters = &mut self.model_mut().counters;
        counters.checks += 1;
        counters.checks_late += u64::from(checked.is_pending);
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let before = path.check;
        let (state, message) = (checked.state, &checked.message);
        tracing::trace!("{}: checked: {state} {message}", path.scsi.name);
        let schedule = self.schedule(path, before, checked.state);
        let wwid = path.map().map(str::to_owned);
        if before != checked.state {
            tracing::info!("{}: {} {}", path.scsi.name, checked.state, checked.message);
        }
        let now = self.now;
        self.liked(device, &checked.access);
        if let Some(path) = self.model_mut().path_mut(device) {
            path.check = checked.state;
            path.message = checked.message;
            // A count between two checks is none of them.
            if checked.registrations.is_none() {
                path.schedule.interval = schedule;
                path.schedule.due = now + schedule;
            }
            if again {
                path.schedule.due = now;
            }
        }
        if let (Some(found), Some(wwid)) = (checked.registrations, &wwid) {
            self.counted(wwid, device, found);
        }
        if let Some(attention) = checked.attention {
            self.noticed(device, attention);
        }
        if checked.state.is_dead() {
            self.path_is_dead(device, before);
        }
        if let Some(wwid) = wwid {
            self.doubtful.insert(wwid);
        }
    }

    /// The array may like the path better or worse than before.
    fn liked(&mut self, device: DeviceNumber, access: &(Option<AccessState>, Option<bool>)) {
        let (state, preferred) = access;
        let known = self.model.paths.get(&device);
        let is_same = |path: &Arc<Path>| {
            path.scsi.access_state == *state && path.scsi.preferred == *preferred
        };
        if state.is_none() || known.is_none_or(is_same) {
            return;
        }
        if let Some(path) = self.model_mut().path_mut(device) {
            path.scsi.access_state.clone_from(state);
            path.scsi.preferred = *preferred;
            path.priority = priority(&path.scsi);
        }
    }

    /// The time to the next check: short while the path is dead and its map registered, growing
    /// while it is healthy.
    fn schedule(&self, path: &Path, before: CheckState, state: CheckState) -> Duration {
        let intervals = self.rules.intervals();
        let map = path.map().and_then(|wwid| self.model.maps.get(wwid));
        let is_registered = map.is_some_and(|map| map.pr.registered == PrStatus::Set);
        if !state.is_usable() && (is_registered || state == CheckState::Transition) {
            return self.dead_interval().min(intervals.polling);
        }
        if !state.is_usable() || !before.is_usable() || path.schedule.interval.is_zero() {
            return intervals.polling;
        }
        let longer = path.schedule.interval * 2;
        longer.clamp(
            intervals.polling,
            intervals.max_polling.max(intervals.polling),
        )
    }

    /// As long as there are few, they are looked at more often than promised.
    fn dead_interval(&self) -> Duration {
        let dead = self
            .model
            .paths
            .values()
            .filter(|path| path.check.is_dead());
        if dead.count() > FEW_DEAD {
            REGISTERED_INTERVAL
        } else {
            REGISTERED_INTERVAL / 4
        }
    }

    fn path_is_dead(&mut self, device: DeviceNumber, before: CheckState) {
        self.unsettle(device);
        if before.is_usable() {
            self.model_mut().counters.paths_failed += 1;
        }
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let is_sent = self
            .paths
            .get(&device)
            .is_some_and(|notes| notes.is_fail_sent);
        if path.dm_state == Some(PathState::Active) && !is_sent {
            self.fail_in_kernel(device);
        }
    }

    /// Fewer registrations than before: somebody has taken some away.
    fn counted(&mut self, wwid: &str, device: DeviceNumber, found: usize) {
        let notes = self.maps.entry(wwid.to_owned()).or_default();
        let before = notes.registrations.replace(found);
        if found > 0 && before.is_none_or(|before| found >= before) {
            return;
        }
        let name = self
            .model
            .maps
            .get(wwid)
            .map_or(wwid, |map| map.name.as_str());
        let before = before.map_or_else(|| "some".to_owned(), |before| before.to_string());
        tracing::info!("{name}: {found} registrations with this node's key, {before} before");
        notes.look_for_holder = true;
        self.unsettle(device);
    }

    /// What a path was told may concern this node's registration: it is asked again at once.
    fn noticed(&mut self, device: DeviceNumber, attention: UnitAttention) {
        if attention == UnitAttention::Other {
            return;
        }
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let Some(wwid) = path.map().map(str::to_owned) else {
            return;
        };
        tracing::info!("{}: told of {attention:?}", path.scsi.name);
        if path.settling == Settling::Settled {
            self.unsettle(device);
        }
        self.maps.entry(wwid).or_default().look_for_holder = true;
    }
}

/// The longest that a path of a registered map may be back without anybody having noticed.
const REGISTERED_INTERVAL: Duration = Duration::from_secs(1);

/// So many dead paths cost next to nothing when each is checked four times a second.
const FEW_DEAD: usize = 16;

/// Checks under way that are younger than a second. Processes are cheap, but not free.
const MAX_CHECKS: usize = 64;

/// Unit attentions that are followed by another check at once: a device queues a handful.
const MAX_ATTENTIONS: u32 = 5;
