//! What a person should know of: the hooks of the configuration are run for it.

use std::time::SystemTime;

use dm_multipath::DeviceNumber;
use dm_multipath::table::PathState;
use mpath_state::StoredKey;
use mpath_state::config::HookEvent;

use super::Engine;
use crate::model::Map;
use crate::tasks::{HookOrder, HookOutcome, Incident, Task};

impl Engine {
    /// This node was shut out of a map, as was seen by settling this path.
    pub(super) fn announce_preemption(&mut self, wwid: &str, device: DeviceNumber, steps: &str) {
        let evidence = format!("its key is gone from the device ({steps})");
        self.announce(HookEvent::Preempted, wwid, Some(device), &evidence);
    }

    /// A path stays out although it answers; said once, until it is settled or dies.
    pub(super) fn announce_kept_out(&mut self, wwid: &str, device: DeviceNumber, steps: &str) {
        let Some(notes) = self.paths.get_mut(&device) else {
            return;
        };
        if !std::mem::replace(&mut notes.is_kept_out, true) {
            let evidence = format!("its registration could not be settled ({steps})");
            self.announce(HookEvent::KeptOut, wwid, Some(device), &evidence);
        }
    }

    /// What a killed command left behind on a map was completed or ended.
    pub(super) fn announce_recovery(&mut self, wwid: &str) {
        self.model_mut().counters.journals_recovered += 1;
        let evidence = "a command was cut off before it was done";
        self.announce(HookEvent::Recovered, wwid, None, evidence);
    }

    /// Maps that have just lost their last usable path, or have one again.
    pub(super) fn note_usable_paths(&mut self) {
        for wwid in self.doubtful.clone() {
            let Some(map) = self.model.maps.get(&wwid).cloned() else {
                continue;
            };
            let is_dead = !self.has_usable_path(&map);
            let Some(notes) = self.maps.get_mut(&*wwid) else {
                continue;
            };
            let was_dead = std::mem::replace(&mut notes.is_without_path, is_dead);
            if is_dead && !was_dead {
                tracing::warn!("{}: no usable path any more", map.name);
                let evidence = "all its paths have failed";
                self.announce(HookEvent::NoPath, &wwid, None, evidence);
            } else if was_dead && !is_dead {
                tracing::info!("{}: has a usable path again", map.name);
            }
        }
    }

    fn has_usable_path(&self, map: &Map) -> bool {
        let mut paths = self.model.paths_of(map);
        paths.any(|path| path.dm_state == Some(PathState::Active) && !path.check.is_dead())
    }

    fn announce(
        &mut self,
        event: HookEvent,
        wwid: &str,
        path: Option<DeviceNumber>,
        evidence: &str,
    ) {
        let map = self.model.maps.get(wwid);
        let path = path.and_then(|device| self.model.paths.get(&device));
        let incident = Incident {
            event,
            map: map.map_or_else(|| wwid.to_owned(), |map| map.name.clone()),
            wwid: wwid.to_owned(),
            path: path.map(|path| path.scsi.name.clone()),
            key: self.key_of(wwid).map(|key| key.key),
            evidence: evidence.to_owned(),
            time: SystemTime::now(),
        };
        let hooks = self.rules.settings().hooks.iter();
        let wanted = hooks.filter(|hook| hook.events.contains(&event));
        let orders: Vec<HookOrder> = wanted
            .map(|hook| HookOrder {
                hook: hook.clone(),
                incident: incident.clone(),
            })
            .collect();
        for order in orders {
            if self.hooks_waiting >= MAX_HOOKS_WAITING {
                self.model_mut().counters.hooks_dropped += 1;
                let (map, program) = (&order.incident.map, order.hook.command.first());
                let program = program.map_or("", String::as_str);
                tracing::warn!("{map}: {program} is not run for {event}: too many are waiting");
                continue;
            }
            self.hooks_waiting += 1;
            self.tasks.push_back(Task::Hook(Box::new(order)));
        }
    }

    /// The key that this node is registered with, or was: a record that says it is not any more
    /// may have been read already.
    pub(super) fn key_of(&self, wwid: &str) -> Option<StoredKey> {
        let pr = &self.model.maps.get(wwid)?.pr;
        pr.key.or(pr.configured)
    }

    pub(super) fn hook_done(&mut self, outcome: HookOutcome) {
        self.hooks_waiting = self.hooks_waiting.saturating_sub(1);
        let counters = &mut self.model_mut().counters;
        counters.hooks_run += 1;
        counters.hooks_failed += u64::from(outcome == HookOutcome::Failed);
    }
}

/// A host that loses an array loses all its maps at once; what is more than that is told by its
/// log and its metrics.
const MAX_HOOKS_WAITING: usize = 1024;
