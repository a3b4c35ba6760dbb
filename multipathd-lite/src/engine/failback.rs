//! Back to the best group of paths, once it works again. The kernel leaves a group by itself when
//! its paths fail, but does not return.

use std::time::Duration;

use dm_multipath::DeviceNumber;
use dm_multipath::table::{GroupState, PathState};

use super::Engine;
use crate::model::{Group, Map};
use crate::rules::Failback;
use crate::tasks::{Deed, Errand, Task};

impl Engine {
    /// Tells the kernel to use a better group than it does, if it is to be told.
    pub(super) fn fail_back(&mut self, wwid: &str) {
        let Some(map) = self.model.maps.get(wwid).cloned() else {
            return;
        };
        let better = self.better_group(&map);
        let failback = self.rules_of(wwid).failback;
        let now = self.now;
        let notes = self.maps.of(wwid);
        let (Some(number), Some(device)) = (better, map.device) else {
            notes.better_since = None;
            notes.is_switch_sent = false;
            notes.has_group_returned = false;
            return;
        };
        let since = *notes.better_since.get_or_insert(now);
        let due = match failback {
            Failback::Manual => return,
            Failback::Followover if !notes.has_group_returned => return,
            Failback::Immediate | Failback::Followover => since,
            Failback::Seconds(seconds) => since + Duration::from_secs(seconds.into()),
        };
        if due > now {
            notes.look_again_at = Some(due);
            return;
        }
        if std::mem::replace(&mut notes.is_switch_sent, true) {
            return;
        }
        tracing::info!("{}: back to group {number}", map.name);
        self.tasks.push_back(Task::Errand(Errand {
            wwid: Some(wwid.to_owned()),
            deed: Deed::Message {
                map: device,
                text: format!("switch_group {number}"),
            },
            reply_to: None,
        }));
    }

    /// The groups of a map of which the kernel uses no path.
    pub(super) fn dead_groups(&self, wwid: &str) -> Vec<Vec<DeviceNumber>> {
        let groups = self.model.maps.get(wwid).into_iter();
        let groups = groups.flat_map(|map| &map.groups);
        let has_failed = |device| self.dm_state_of(device) == Some(PathState::Failed);
        let dead = groups.filter(|group| group.paths.iter().all(|path| has_failed(*path)));
        dead.map(|group| group.paths.clone()).collect()
    }

    /// Notes whether the kernel uses a path again of one of these groups. By what was read, not by
    /// what was asked for: it may have been read before the answer came.
    pub(super) fn note_returned_groups(&mut self, wwid: &str, dead: &[Vec<DeviceNumber>]) {
        let is_active = |path: &DeviceNumber| self.dm_state_of(*path) == Some(PathState::Active);
        if dead.iter().flatten().any(is_active) {
            self.maps.of(wwid).has_group_returned = true;
        }
    }

    fn dm_state_of(&self, device: DeviceNumber) -> Option<PathState> {
        self.model.paths.get(&device)?.dm_state
    }

    /// The number of the best group that works, counted from 1, if another one is in use.
    fn better_group(&self, map: &Map) -> Option<usize> {
        let used = map
            .groups
            .iter()
            .position(|group| group.state == GroupState::Active)?;
        let working = map
            .groups
            .iter()
            .enumerate()
            .filter(|(_, group)| self.works(group));
        // The first of equals, as in the table.
        let best = working
            .max_by_key(|(at, group)| (group.priority, std::cmp::Reverse(*at)))?
            .0;
        let is_better = map.groups.get(best)?.priority > map.groups.get(used)?.priority;
        (best != used && is_better).then_some(best + 1)
    }

    fn works(&self, group: &Group) -> bool {
        let mut paths = group
            .paths
            .iter()
            .filter_map(|device| self.model.paths.get(device));
        paths.any(|path| path.dm_state == Some(PathState::Active) && path.check.is_usable())
    }
}
