//! I/O of a map without a working path: it waits as long as it is configured to, or until a client
//! says otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::table::PathState;
use mpath_state::protocol::{Reply, Verb};

use super::Engine;
use super::notes::MapNotes;
use crate::ask::ReplyTo;
use crate::model::{Map, Queueing};
use crate::tasks::{Deed, Errand, Task};

/// Whether a map that is to queue has been told not to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It queues.
    #[default]
    No,
    /// It has been without a path for too long.
    InTime,
    /// A client wants it.
    ByClient,
}

impl Engine {
    /// A map whose paths are all dead queues for as long as it is told to.
    pub(super) fn stop_queueing_in_time(&mut self, wwid: &str) {
        let Some((map, seconds)) = self.queues_for(wwid) else {
            return;
        };
        let now = self.now;
        let is_dead = !map.groups.is_empty() && !self.has_active_path(&map);
        let Some(known) = self.maps.get(wwid) else {
            return;
        };
        let (since, stopped) = (known.dead_since, known.queueing);
        let is_over = since.is_some_and(|since| now >= since + seconds);
        match (is_dead, since) {
            (false, None) if stopped != Stopped::InTime => {}
            (false, _) => {
                let notes = self.maps.of(wwid);
                notes.dead_since = None;
                if stopped == Stopped::InTime {
                    notes.queueing = Stopped::No;
                    self.send_queueing(&map, QUEUE, None);
                }
            }
            (true, None) => self.maps.of(wwid).dead_since = Some(now),
            (true, Some(_)) if is_over && stopped == Stopped::No => {
                self.maps.of(wwid).queueing = Stopped::InTime;
                let seconds = seconds.as_secs();
                tracing::warn!(
                    "{}: no path for {seconds} s, I/O fails from now on",
                    map.name
                );
                self.send_queueing(&map, FAIL, None);
            }
            (true, Some(_)) => {}
        }
    }

    /// When the queueing of a map ends, as things are.
    pub(super) fn stop_at(&self, wwid: &str) -> Option<Instant> {
        let (_, seconds) = self.queues_for(wwid)?;
        let notes = self.maps.get(wwid)?;
        let is_queueing = notes.queueing == Stopped::No;
        notes
            .dead_since
            .filter(|_| is_queueing)
            .map(|since| since + seconds)
    }

    fn queues_for(&self, wwid: &str) -> Option<(Arc<Map>, Duration)> {
        let map = self.model.maps.get(wwid)?;
        match map.queueing {
            Queueing::Seconds(seconds) => {
                Some((Arc::clone(map), Duration::from_secs(seconds.into())))
            }
            _ => None,
        }
    }

    fn has_active_path(&self, map: &Map) -> bool {
        let paths = map
            .paths()
            .filter_map(|device| self.model.paths.get(&device));
        paths
            .into_iter()
            .any(|path| path.dm_state == Some(PathState::Active))
    }

    /// A client has stopped the queueing of a map, or wants it as it is configured again.
    pub(super) fn change_queueing(&mut self, map: &Arc<Map>, verb: Verb, reply: Option<ReplyTo>) {
        let notes = self.maps.of(&*map.wwid);
        // A map without paths queues for as long as at first.
        notes.dead_since = None;
        notes.queueing = match verb {
            Verb::DisableQueueing => Stopped::ByClient,
            _ => Stopped::No,
        };
        let does_queue = verb == Verb::RestoreQueueing && map.queueing != Queueing::Off;
        tracing::info!("{}: {verb} by a client", map.name);
        self.send_queueing(map, if does_queue { QUEUE } else { FAIL }, reply);
    }

    /// What a table that is loaded now has to say of queueing.
    pub(super) fn queueing_now(&self, wwid: &str, configured: Queueing) -> Queueing {
        let is_stopped = |notes: &MapNotes| notes.queueing != Stopped::No;
        match self.maps.get(wwid).is_some_and(is_stopped) {
            true => Queueing::Off,
            false => configured,
        }
    }

    fn send_queueing(&mut self, map: &Map, text: &str, reply_to: Option<ReplyTo>) {
        let is_stopped = text == FAIL;
        if let Some(map) = self.map_mut(&map.wwid) {
            map.is_queueing_stopped = is_stopped && map.queueing != Queueing::Off;
        }
        let Some(device) = map.device else {
            return self
                .answers
                .extend(reply_to.map(|reply_to| (reply_to, Reply::Ok)));
        };
        self.tasks.push_back(Task::Errand(Errand {
            wwid: Some(map.wwid.clone()),
            deed: Deed::Message {
                map: device,
                text: text.to_owned(),
            },
            reply_to,
        }));
    }
}

/// The messages of the multipath target.
const QUEUE: &str = "queue_if_no_path";
const FAIL: &str = "fail_if_no_path";
