//! When paths are checked, and what follows from what they say.

use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::table::PathState;
use mpath_state::PrStatus;
use scsi_pr::UnitAttention;

use super::Engine;
use crate::event::Checked;
use crate::model::{CheckState, Path, Settling};
use crate::tasks::check::SLOW;
use crate::tasks::{CheckOrder, Task};

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
            self.begin_check(device);
        }
    }

    fn begin_check(&mut self, device: DeviceNumber) {
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let order = CheckOrder {
            device,
            name: path.scsi.name.clone(),
            timeout: self.rules.intervals().timeout,
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
        if let Some(path) = self.model_mut().path_mut(device) {
            path.check = checked.state;
            path.message = checked.message;
            path.schedule.interval = schedule;
            path.schedule.due = if again { now } else { now + schedule };
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
