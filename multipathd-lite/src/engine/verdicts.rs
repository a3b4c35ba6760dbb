//! What came of work on a map.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dm_multipath::DeviceNumber;
use dm_multipath::table::PathState;
use mpath_state::PrStatus;
use mpath_state::protocol::Reply;
use mpathpersist::{Settled, Verdict};

use super::Engine;
use crate::model::Settling;
use crate::tasks::WorkReport;

impl Engine {
    /// Work on a map has ended.
    pub(super) fn work_done(&mut self, report: WorkReport) {
        let wwid = report.wwid.clone();
        self.end_work(&report);
        if report.is_recovered {
            // What was cut off may have taken registrations away that it was to bring back.
            for device in self.members_by_wwid(&wwid) {
                self.unsettle(device);
            }
        }
        if let Some(name) = &report.named {
            Arc::make_mut(&mut self.rules).named(&wwid, name);
        }
        for (device, settled) in &report.settled {
            self.settled(&wwid, *device, settled);
        }
        self.release_unreached(&wwid, &report);
        let name = report.found.as_ref().map(|found| found.map.name.clone());
        for device in &report.reinstated {
            self.model_mut().counters.paths_reinstated += 1;
            let path = self
                .model
                .paths
                .get(device)
                .map(|path| path.scsi.name.clone());
            let (path, name) = (path.unwrap_or_default(), name.as_deref().unwrap_or(&wwid));
            tracing::info!("{name}: {path} [{device}] reinstated");
        }
        match report.found {
            Some(found) => self.map_found(found),
            None if self.model.maps.contains_key(&wwid) => self.forget_map(&wwid),
            None => {}
        }
        if report.is_loaded
            && let Some(map) = self.map_mut(&wwid)
        {
            map.table_loads += 1;
        }
        if let Some(books) = &report.books {
            self.take_books(books);
        }
        if let Some((map, holder)) = self.map_mut(&wwid).zip(report.holder) {
            map.pr.holder = holder;
        }
        if report.has_completed {
            self.announce_recovery(&wwid);
        }
        self.fail_again(&wwid);
        self.doubtful.insert(wwid);
    }

    /// Closes the order.
    fn end_work(&mut self, report: &WorkReport) {
        let notes = self.maps.of(&*report.wwid);
        self.busy -= usize::from(std::mem::take(&mut notes.is_busy));
        notes.registrations = None;
        let was_recovery = std::mem::take(&mut notes.is_recovery_ordered);
        if report.is_recovered {
            notes.has_leftover = false;
            notes.vain_recoveries = 0;
        } else if was_recovery {
            notes.vain_recoveries += 1;
        }
        let was_removal = std::mem::take(&mut notes.is_removal_wanted);
        notes.is_unwanted |= was_removal && report.is_removed;
        let waiting = std::mem::take(&mut notes.waiting);
        let is_failed = !report.problems.is_empty() || (was_removal && !report.is_removed);
        let reply = || match is_failed {
            true => Reply::Fail {
                detail: report.problems.join("; "),
            },
            false => Reply::Ok,
        };
        self.answers
            .extend(waiting.into_iter().map(|reply_to| (reply_to, reply())));
        // What could not be done now is not to be ordered again and again.
        let is_in_vain = std::mem::take(&mut notes.is_assembly_ordered) && !report.is_loaded;
        let is_kept = std::mem::take(&mut notes.is_removal_ordered) && !report.is_removed;
        if is_kept {
            self.rest(&report.wwid, RETRY);
        } else if is_in_vain || !report.problems.is_empty() {
            let pause = self.retry_pause(&report.wwid);
            self.rest(&report.wwid, pause);
        }
    }

    fn settled(&mut self, wwid: &str, device: DeviceNumber, settled: &Settled) {
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let map = self.model.maps.get(wwid);
        let name = map.map_or_else(|| wwid.to_owned(), |map| map.name.clone());
        let key = self.key_of(wwid);
        let key = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
        let what = format!("{name}: {} [{device}]", path.scsi.name);
        let steps = settled.steps.join(", ");
        match settled.verdict {
            Verdict::Unconcerned => tracing::debug!("{what}: never registered"),
            Verdict::Kept => tracing::info!("{what}: has its key {key}"),
            Verdict::Registered => tracing::info!("{what}: registered with {key} ({steps})"),
            Verdict::Unregistered => tracing::info!("{what}: carries no key of ours ({steps})"),
            Verdict::Expelled => tracing::warn!(
                "{what}: this node was shut out, its key {key} is gone ({steps}); it is not \
                 registered any more"
            ),
            Verdict::Unsettled => tracing::warn!(
                "{what}: its registration could not be settled ({steps}): it stays out and is \
                 tried again"
            ),
        }
        match settled.verdict {
            Verdict::Expelled => self.announce_preemption(wwid, device, &steps),
            Verdict::Unsettled => self.announce_kept_out(wwid, device, &steps),
            _ => {
                if let Some(notes) = self.paths.get_mut(&device) {
                    notes.is_kept_out = false;
                }
            }
        }
        self.note_verdict(wwid, device, settled.verdict);
    }

    fn note_verdict(&mut self, wwid: &str, device: DeviceNumber, verdict: Verdict) {
        let settling = if verdict.is_settled() {
            Settling::Settled
        } else {
            let pause = self.retry_pause(wwid);
            self.rest(wwid, pause);
            Settling::Unsettled
        };
        if let Some(path) = self.path_mut(device)
            // What has happened to it meanwhile counts more.
            && path.settling == Settling::UnderWay
        {
            path.settling = settling;
        }
        if verdict == Verdict::Unsettled {
            self.keep_out(wwid, device);
        }
        match verdict {
            Verdict::Registered => self.model_mut().counters.registrations_repaired += 1,
            Verdict::Expelled => self.shut_out(wwid),
            _ => {}
        }
    }

    /// A path that may not be used, but is: out with it, as long as there is another.
    fn keep_out(&mut self, wwid: &str, device: DeviceNumber) {
        let Some(map) = self.model.maps.get(wwid) else {
            return;
        };
        let state = |device: DeviceNumber| {
            let path = self.model.paths.get(&device);
            path.map(|path| (path.dm_state, path.settling))
        };
        let is_good = |other: DeviceNumber| {
            state(other) == Some((Some(PathState::Active), Settling::Settled))
        };
        let is_used = state(device).is_some_and(|(state, _)| state == Some(PathState::Active));
        if is_used && map.paths().any(|other| other != device && is_good(other)) {
            self.fail_in_kernel(device);
        }
    }

    /// What was found through one path is true for all: none may carry a key any more.
    fn shut_out(&mut self, wwid: &str) {
        let model = self.model_mut();
        model.counters.preemptions_seen += 1;
        if let Some(map) = model.map_mut(wwid) {
            map.pr.preemptions += 1;
            map.pr.preempted_at = Some(SystemTime::now());
            map.pr.registered = PrStatus::Unset;
            map.pr.holds = PrStatus::Unset;
        }
        for device in self.members_by_wwid(wwid) {
            let path = self.model.paths.get(&device);
            if path.is_some_and(|path| path.settling == Settling::Settled) {
                self.unsettle(device);
            }
        }
    }

    /// Paths that the work did not come to.
    fn release_unreached(&mut self, wwid: &str, report: &WorkReport) {
        for device in self.members_by_wwid(wwid) {
            let path = self.model.paths.get(&device);
            let is_under_way = path.is_some_and(|path| path.settling == Settling::UnderWay);
            let is_reached = report.settled.iter().any(|(reached, _)| *reached == device);
            if is_under_way && !is_reached {
                self.unsettle(device);
            }
        }
    }

    /// A table that was loaded takes every path for working, and a path may have died since it
    /// was reinstated.
    fn fail_again(&mut self, wwid: &str) {
        for device in self.members_by_wwid(wwid) {
            let Some(path) = self.model.paths.get(&device) else {
                continue;
            };
            if path.check.is_dead() && path.dm_state == Some(PathState::Active) {
                self.fail_in_kernel(device);
            }
        }
    }

    pub(super) fn rest(&mut self, wwid: &str, pause: Duration) {
        let until = self.now + pause;
        self.maps.of(wwid).rest_until = Some(until);
    }

    fn retry_pause(&self, wwid: &str) -> Duration {
        let map = self.model.maps.get(wwid);
        match map.map(|map| map.pr.registered) {
            Some(PrStatus::Set) => RETRY_REGISTERED,
            _ => RETRY,
        }
    }
}

/// Pause before something is tried again that failed.
const RETRY: Duration = Duration::from_secs(5);

/// The same, where paths wait for their keys.
const RETRY_REGISTERED: Duration = Duration::from_secs(1);
