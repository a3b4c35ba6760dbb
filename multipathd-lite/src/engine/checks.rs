//! When paths are checked, and what follows from what they say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::{AccessState, ScsiDevice};
use dm_multipath::table::PathState;
use mpath_state::PrStatus;
use scsi_pr::UnitAttention;

use super::Engine;
use super::notes::MapNotes;
use crate::event::Checked;
use crate::model::{CheckState, Map, Path, Schedule, Settling};
use crate::tasks::{CheckOrder, Question, Task};

impl Engine {
    /// When a path is to be checked; not while it is.
    pub(super) fn check_at(&self, device: DeviceNumber) -> Option<Instant> {
        let path = self.model.paths.get(&device)?;
        let is_checkable = path.map().is_some() && self.is_free(device);
        is_checkable.then_some(path.schedule.due)
    }

    fn is_free(&self, device: DeviceNumber) -> bool {
        let notes = self.paths.get(&device);
        notes.is_some_and(|notes| notes.checking.is_none())
    }

    /// When the registrations of a map are to be counted again. If no path was free to ask then,
    /// the end of a check is waited for.
    pub(super) fn count_at(&self, wwid: &str) -> Option<Instant> {
        let map = self.model.maps.get(wwid)?;
        let is_registered = map.pr.registered == PrStatus::Set && map.pr.key.is_some();
        let notes = self.maps.get(wwid);
        let is_possible = |notes: &&MapNotes| !notes.is_busy && !notes.is_count_waiting;
        let notes = notes.filter(|notes| is_registered && is_possible(notes))?;
        let last = notes.counted_at.unwrap_or(self.model.started);
        let latest = last + self.rules.intervals().polling;
        // At a whole second, as the healthy are checked: this process is awake then.
        let seconds = latest
            .saturating_duration_since(self.model.started)
            .as_secs();
        Some(self.model.started + Duration::from_secs(seconds))
    }

    fn path_to_ask(&self, map: &Map) -> Option<DeviceNumber> {
        map.paths().find(|device| {
            let path = self.model.paths.get(device);
            path.is_some_and(|path| path.settling == Settling::Settled) && self.is_free(*device)
        })
    }

    pub(super) fn begin_count(&mut self, wwid: &str) {
        let now = self.now;
        let map = self.model.maps.get(wwid);
        let asked = map.and_then(|map| Some((self.path_to_ask(map)?, map.pr.key?.key)));
        let notes = self.maps.of(wwid);
        notes.is_count_waiting = asked.is_none();
        if let Some((device, key)) = asked {
            notes.counted_at = Some(now);
            self.begin_check(device, Question::Registrations(key));
        }
    }

    /// Whether a count that waits for a path is due now, since there is one.
    pub(super) fn resumes_count(&mut self, wwid: &str) -> bool {
        let notes = self.maps.get(wwid);
        let is_waiting = notes.is_some_and(|notes| notes.is_count_waiting);
        let map = self.model.maps.get(wwid).filter(|_| is_waiting);
        if map.is_none_or(|map| self.path_to_ask(map).is_none()) {
            return false;
        }
        let notes = self.maps.get_quietly(wwid);
        notes.is_some_and(|notes| std::mem::take(&mut notes.is_count_waiting))
    }

    pub(super) fn begin_check(&mut self, device: DeviceNumber, question: Question) {
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
        if let Some(notes) = self.paths.get_quietly(&device) {
            notes.checking = Some(now);
        }
        self.find_check_time(device);
        self.tasks.push_back(Task::Check(order));
    }

    /// Checks a path as soon as possible.
    pub(super) fn check_now(&mut self, device: DeviceNumber) {
        let now = self.now;
        if let Some(path) = self.path_mut(device) {
            path.schedule.due = now;
        }
    }

    /// A check has ended, or its time is up.
    pub(super) fn checked(&mut self, mut checked: Checked) {
        let device = checked.device;
        if !checked.is_pending {
            self.check_ended_at = Some(self.now);
        }
        let Some(path) = self.model.paths.get(&device).map(Arc::clone) else {
            return;
        };
        if checked.state == CheckState::Unchecked {
            checked.state = as_far_as_is_known(&path);
        }
        if self.is_routine(&path, &checked) {
            return self.went_on(&path, &checked);
        }
        let Some(notes) = self.paths.get_mut(&device) else {
            return;
        };
        if !checked.is_pending {
            notes.checking = None;
        }
        notes.is_doubtful = false;
        let again = checked.attention.is_some() && notes.attentions < MAX_ATTENTIONS;
        notes.attentions = if again { notes.attentions + 1 } else { 0 };
        let was_stuck = std::mem::replace(&mut notes.is_stuck, checked.is_pending);
        let counters = &mut self.model_mut().counters;
        counters.checks += 1;
        counters.checks_stuck += u64::from(checked.is_pending);
        counters.checks_stuck = counters.checks_stuck.saturating_sub(u64::from(was_stuck));
        counters.checks_late += u64::from(checked.is_pending);
        match checked.state.is_dead() {
            true => self.dead.insert(device),
            false => self.dead.remove(&device),
        };
        let before = path.check;
        let (state, message) = (checked.state, &checked.message);
        tracing::trace!("{}: checked: {state} {message}", path.scsi.name);
        let interval = self.interval(&path, checked.state);
        if before != checked.state {
            tracing::info!("{}: {} {}", path.scsi.name, checked.state, checked.message);
        }
        let now = self.now;
        let due = if again {
            now
        } else {
            self.due(device, interval)
        };
        self.liked(device, &checked.access);
        if let Some(path) = self.path_mut(device) {
            path.check = checked.state;
            path.checked_at = Some(now);
            path.message = checked.message;
            // A count between two checks is none of them.
            if checked.registrations.is_none() || again {
                path.schedule = Schedule { interval, due };
            }
        }
        let wwid = path.map();
        if let (Some(found), Some(wwid)) = (checked.registrations, wwid) {
            self.counted(wwid, device, found);
        }
        if let Some(attention) = checked.attention {
            self.noticed(device, attention);
        }
        if checked.state.is_dead() {
            self.path_is_dead(device, before);
        }
        self.doubtful.extend(wwid.map(str::to_owned));
    }

    /// Whether a check says of a path in use what is known of it: nothing follows from that but
    /// the time of the next one.
    fn is_routine(&self, path: &Path, checked: &Checked) -> bool {
        let notes = path.map().and_then(|wwid| self.maps.get(wwid));
        let registrations = notes.and_then(|notes| notes.registrations);
        let is_as_before = path.check == checked.state
            && path.message == checked.message
            && (checked.registrations.is_none() || checked.registrations == registrations)
            && is_liked_as_before(path, &checked.access);
        is_as_before
            && checked.state.is_usable()
            && checked.attention.is_none()
            && !checked.is_pending
            && path.settling == Settling::Settled
            && path.dm_state == Some(PathState::Active)
    }

    /// Most checks end here, some hundreds a second on a large host.
    fn went_on(&mut self, path: &Path, checked: &Checked) {
        let device = path.scsi.device;
        tracing::trace!("{}: checked: {}", path.scsi.name, checked.state);
        let interval = self.interval(path, checked.state);
        let due = self.due(device, interval);
        let Some(notes) = self.paths.get_quietly(&device) else {
            return;
        };
        notes.checking = None;
        notes.attentions = 0;
        let now = self.now;
        let model = self.model_mut_quietly();
        model.counters.checks += 1;
        if let Some(path) = model.path_mut(device) {
            path.checked_at = Some(now);
            if checked.registrations.is_none() {
                path.schedule = Schedule { interval, due };
            }
        }
        self.find_check_time(device);
        if let Some(wwid) = path.map()
            && self.resumes_count(wwid)
        {
            self.maps.touch(wwid);
        }
    }

    /// The healthy are checked at whole seconds, spread evenly over their interval, the dead all
    /// at once: the fewer times this process wakes up, the better.
    fn due(&self, device: DeviceNumber, interval: Duration) -> Instant {
        let started = self.model.started;
        let (step_ms, slot_ms) = match interval.as_millis() {
            0 => return self.now,
            short @ 1..1000 => (short, 0),
            long => {
                let number = u128::from(device.major) * 16 + u128::from(device.minor / 16);
                (long, number * 1000 % long / 1000 * 1000)
            }
        };
        let latest = (self.now.saturating_duration_since(started) + interval).as_millis();
        let on_time = latest.saturating_sub(slot_ms) / step_ms * step_ms + slot_ms;
        let due = if on_time > latest { latest } else { on_time };
        let due = started + Duration::from_millis(u64::try_from(due).unwrap_or(u64::MAX));
        due.max(self.now)
    }

    /// The array may like the path better or worse than before.
    fn liked(&mut self, device: DeviceNumber, access: &(Option<AccessState>, Option<bool>)) {
        let (state, preferred) = access;
        let known = self.model.paths.get(&device);
        let Some(known) = known.filter(|path| !is_liked_as_before(path, access)) else {
            return;
        };
        let mut scsi = ScsiDevice::clone(&known.scsi);
        scsi.access_state.clone_from(state);
        scsi.preferred = preferred.or(scsi.preferred);
        let priority = self.priority(&scsi);
        if let Some(path) = self.path_mut(device) {
            path.scsi = Arc::new(scsi);
            path.priority = priority;
        }
    }

    /// The time to the next check: short while the path is dead and its map registered, growing
    /// while it is healthy.
    fn interval(&self, path: &Path, state: CheckState) -> Duration {
        let before = path.check;
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
        if self.dead.len() > FEW_DEAD {
            REGISTERED_INTERVAL
        } else {
            REGISTERED_INTERVAL / 4
        }
    }

    fn path_is_dead(&mut self, device: DeviceNumber, before: CheckState) {
        self.unsettle(device);
        if let Some(notes) = self.paths.get_mut(&device) {
            notes.is_kept_out = false;
        }
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
        if let Some(map) = self.map_mut(wwid) {
            map.pr.registrations = Some(found);
        }
        let notes = self.maps.of(wwid);
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
        self.maps.of(&*wwid).look_for_holder = true;
    }
}

/// What was not read is as before; so is what the array does not know yet, being about to change:
/// the paths of a group do not all say so at the same moment, and it is no reason to group them
/// differently.
fn is_liked_as_before(
    path: &Path,
    (state, preferred): &(Option<AccessState>, Option<bool>),
) -> bool {
    state
        .as_ref()
        .is_none_or(|state| *state == AccessState::TRANSITIONING)
        || (path.scsi.access_state == *state
            && (preferred.is_none() || path.scsi.preferred == *preferred))
}

/// What is left to go by where a path cannot be asked: what was known, and what the kernel says.
fn as_far_as_is_known(path: &Path) -> CheckState {
    match path.dm_state {
        Some(PathState::Failed) => CheckState::Down,
        _ => path.check,
    }
}

/// The longest that a path of a registered map may be back without anybody having noticed.
const REGISTERED_INTERVAL: Duration = Duration::from_secs(1);

/// So many dead paths cost next to nothing when each is checked four times a second.
const FEW_DEAD: usize = 16;

/// Unit attentions that are followed by another check at once: a device queues a handful.
const MAX_ATTENTIONS: u32 = 5;
