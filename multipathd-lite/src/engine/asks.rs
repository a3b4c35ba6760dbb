//! What clients want.

use std::collections::BTreeSet;
use std::sync::Arc;

use dm_multipath::DeviceNumber;
use dm_multipath::table::PathState;
use mpath_state::protocol::{Command, DeviceId, Reply, Verb};
use mpath_state::{PrStatus, StoredKey};
use mpathpersist::Holder;

use super::Engine;
use super::paths::{NEW, REMOVED};
use crate::ask::{Ask, ReplyTo};
use crate::model::{Activity, Map, PathUse, Settling};
use crate::rules::Naming;
use crate::tasks::{Deed, Errand, Fact, ReadOrder, Task};

impl Engine {
    /// Every question is answered: now, or when its errand or work has ended.
    pub(super) fn asked(&mut self, ask: Ask) {
        let Ask { command, reply } = ask;
        let refusal = match command {
            Command::Shutdown => {
                self.enter(Activity::ShuttingDown);
                None
            }
            Command::Reconfigure => {
                self.reconfigure();
                None
            }
            Command::Ping => None,
            Command::SetPrStatus { map, paths } => self.registered(&map, &paths),
            Command::UnsetPrStatus(map) => self.unregistered(&map),
            Command::SetPrHold(map) => self.holds(&map, PrStatus::Set),
            Command::UnsetPrHold(map) => self.holds(&map, PrStatus::Unset),
            Command::SetPrKey { map, key } => return self.store_key(&map, Some(key), reply),
            Command::UnsetPrKey(map) => return self.store_key(&map, None, reply),
            Command::Path(verb, path) => return self.asked_of_path(verb, &path, reply),
            Command::Map(verb, map) => return self.asked_of_map(verb, &map, reply),
            Command::Maps(verb) => {
                let maps: Vec<Arc<Map>> = self.model.maps.values().cloned().collect();
                for map in maps {
                    self.change_queueing(&map, verb, None);
                }
                None
            }
            // Answered from the snapshot.
            _ => Some("not a change".to_owned()),
        };
        let answer = refusal.map_or(Reply::Ok, |detail| Reply::Fail { detail });
        self.answers.push((reply, answer));
    }

    /// This node is registered now. Paths that are not named were not reached: whatever they
    /// carry is out of date, and they must not be used before that is settled.
    fn registered(&mut self, map: &str, paths: &[DeviceId]) -> Option<String> {
        let Some(map) = self.model.map(map).map(Arc::clone) else {
            return Some(no_map(map));
        };
        let key = map.pr.configured;
        if let Some(map) = self.map_mut(&map.wwid) {
            map.pr.registered = PrStatus::Set;
            map.pr.key = key.or(map.pr.key);
        }
        self.remember(&map, Fact::Registered(key));
        let number = |id: &DeviceId| DeviceNumber::new(id.major, id.minor);
        let named: BTreeSet<DeviceNumber> = paths.iter().map(number).collect();
        for device in self.members_by_wwid(&map.wwid) {
            let Some(path) = self.model.paths.get(&device) else {
                continue;
            };
            let is_reached = if named.is_empty() {
                path.check.is_usable()
            } else {
                named.contains(&device)
            };
            if is_reached {
                if let Some(path) = self.path_mut(device) {
                    path.settling = Settling::Settled;
                }
            } else {
                self.distrust(&map, device);
            }
        }
        None
    }

    /// Keeps a path from I/O until it is settled, unless it is the last one.
    fn distrust(&mut self, map: &Map, device: DeviceNumber) {
        self.unsettle(device);
        self.check_now(device);
        let state =
            |device: DeviceNumber| self.model.paths.get(&device).and_then(|path| path.dm_state);
        let is_active = |device: DeviceNumber| state(device) == Some(PathState::Active);
        let has_other = map.paths().any(|other| other != device && is_active(other));
        if is_active(device) && has_other {
            self.fail_in_kernel(device);
        }
    }

    /// This node is not registered any more; a path that was not reached may still be.
    fn unregistered(&mut self, map: &str) -> Option<String> {
        let Some(map) = self.model.map(map).map(Arc::clone) else {
            return Some(no_map(map));
        };
        if let Some(map) = self.map_mut(&map.wwid) {
            map.pr.registered = PrStatus::Unset;
            map.pr.holds = PrStatus::Unset;
            map.pr.key = None;
        }
        self.remember(&map, Fact::NotRegistered);
        for device in self.members_by_wwid(&map.wwid) {
            self.unsettle(device);
            self.check_now(device);
        }
        self.doubtful.insert(map.wwid.clone());
        None
    }

    fn holds(&mut self, map: &str, holds: PrStatus) -> Option<String> {
        let Some(map) = self.model.map(map).map(Arc::clone) else {
            return Some(no_map(map));
        };
        if let Some(map) = self.map_mut(&map.wwid) {
            map.pr.holds = holds;
            map.pr.holder = match holds {
                PrStatus::Set => Holder::Us,
                _ => Holder::Nobody,
            };
        }
        let fact = if holds == PrStatus::Set {
            Fact::Holds
        } else {
            Fact::HoldsNot
        };
        self.remember(&map, fact);
        None
    }

    fn remember(&mut self, map: &Map, fact: Fact) {
        let name = map.name.clone();
        self.maps.of(&*map.wwid).unwritten += 1;
        self.errand(&map.wwid, Deed::Remember { name, fact }, None);
    }

    fn store_key(&mut self, map: &str, key: Option<StoredKey>, reply: ReplyTo) {
        match self.model.map(map).map(|map| map.wwid.clone()) {
            Some(wwid) => self.errand(&wwid, Deed::StoreKey(key), Some(reply)),
            None => self.refuse(reply, no_map(map)),
        }
    }

    fn asked_of_path(&mut self, verb: Verb, name: &str, reply: ReplyTo) {
        let known = self.model.path(name).map(Arc::clone);
        let Some(path) = known else {
            return match (verb, name.parse()) {
                (Verb::Add, Ok(device)) => self.add_path(device, reply),
                _ => self.refuse(reply, format!("{name}: no such path")),
            };
        };
        let device = path.scsi.device;
        let map = path
            .map()
            .and_then(|wwid| self.model.maps.get(wwid))
            .map(Arc::clone);
        match (verb, map.as_ref().and_then(|map| map.device)) {
            (Verb::Add, _) => self.add_path(device, reply),
            (Verb::Remove, _) => self.remove_path(device, reply),
            (Verb::Fail, Some(number)) => {
                let wwid = path.map().unwrap_or_default().to_owned();
                let text = format!("fail_path {device}");
                self.errand(&wwid, Deed::Message { map: number, text }, Some(reply));
            }
            (Verb::Reinstate, Some(_)) if path.check.is_usable() => {
                let wwid = path.map().unwrap_or_default().to_owned();
                self.unsettle(device);
                self.wait_for_work(&wwid, reply);
            }
            (Verb::Reinstate, Some(_)) => {
                self.refuse(reply, format!("{name} is {}", path.check));
            }
            _ => self.refuse(reply, format!("{name}: not in a map")),
        }
    }

    fn add_path(&mut self, device: DeviceNumber, reply: ReplyTo) {
        if let Some(path) = self.path_mut(device)
            && path.usage == PathUse::None(REMOVED.to_owned())
        {
            path.usage = PathUse::None(NEW.to_owned());
            path.settling = Settling::Pending;
        }
        self.tasks.push_back(Task::Read(ReadOrder::Path(device)));
        self.answers.push((reply, Reply::Ok));
    }

    fn remove_path(&mut self, device: DeviceNumber, reply: ReplyTo) {
        let wwid = self
            .model
            .paths
            .get(&device)
            .and_then(|path| path.map().map(str::to_owned));
        if let Some(path) = self.path_mut(device) {
            path.usage = PathUse::None(REMOVED.to_owned());
        }
        self.doubtful.extend(wwid);
        self.answers.push((reply, Reply::Ok));
    }

    fn asked_of_map(&mut self, verb: Verb, name: &str, reply: ReplyTo) {
        let Some(map) = self.model.map(name).map(Arc::clone) else {
            return self.asked_of_unknown_map(verb, name, reply);
        };
        let wwid = map.wwid.clone();
        match (verb, map.device) {
            (Verb::Suspend, Some(device)) => self.errand(&wwid, Deed::Suspend(device), Some(reply)),
            (Verb::Resume, Some(device)) => self.errand(&wwid, Deed::Resume(device), Some(reply)),
            (Verb::Remove, _) => {
                self.maps.of(&*wwid).is_removal_wanted = true;
                self.wait_for_work(&wwid, reply);
            }
            (Verb::Reload, _) => {
                self.maps.of(&*wwid).is_reload_wanted = true;
                self.wait_for_work(&wwid, reply);
            }
            (Verb::Add, _) => self.answers.push((reply, Reply::Ok)),
            (Verb::DisableQueueing | Verb::RestoreQueueing, _) => {
                self.change_queueing(&map, verb, Some(reply));
            }
            _ => self.refuse(reply, format!("{name}: not possible")),
        }
    }

    /// It may be one that was removed, or that nobody has made.
    fn asked_of_unknown_map(&mut self, verb: Verb, name: &str, reply: ReplyTo) {
        let wwids = self.maps.keys().find(|wwid| {
            wwid.as_str() == name || self.rules_of(wwid).naming == Naming::Fixed(name.to_owned())
        });
        match (verb, wwids.cloned()) {
            (Verb::Add, Some(wwid)) => {
                self.maps.of(&*wwid).is_unwanted = false;
                self.wait_for_work(&wwid, reply);
            }
            _ => self.refuse(reply, no_map(name)),
        }
    }

    /// The answer comes when the map has been worked on; at once, if there is nothing to do.
    fn wait_for_work(&mut self, wwid: &str, reply: ReplyTo) {
        let notes = self.maps.of(wwid);
        notes.rest_until = None;
        if notes.unwritten > 0 {
            notes.waiting.push(reply);
            return;
        }
        if notes.is_busy {
            // What is under way may have begun too early to count.
            notes.waiting.push(reply);
            self.doubtful.insert(wwid.to_owned());
            return;
        }
        self.plan(wwid);
        match self.maps.get_mut(wwid).filter(|notes| notes.is_busy) {
            Some(notes) => notes.waiting.push(reply),
            None => self.answers.push((reply, Reply::Ok)),
        }
    }

    fn refuse(&mut self, reply: ReplyTo, detail: String) {
        self.answers.push((reply, Reply::Fail { detail }));
    }

    fn errand(&mut self, wwid: &str, deed: Deed, reply_to: Option<ReplyTo>) {
        let wwid = Some(wwid.to_owned());
        self.tasks.push_back(Task::Errand(Errand {
            wwid,
            deed,
            reply_to,
        }));
    }

    /// An errand has ended; what it changed is known before its client is told.
    pub(super) fn errand_done(
        &mut self,
        wwid: Option<&str>,
        deed: &Deed,
        reply: Reply,
        reply_to: Option<ReplyTo>,
    ) {
        let map = wwid.filter(|_| reply == Reply::Ok);
        if let Some(map) = map.and_then(|wwid| self.map_mut(wwid)) {
            match deed {
                Deed::StoreKey(key) => map.pr.configured = *key,
                Deed::Suspend(_) => map.suspended = true,
                Deed::Resume(_) => map.suspended = false,
                Deed::Message { .. } | Deed::Remember { .. } | Deed::Limit { .. } => {}
            }
        }
        if let Deed::Remember { .. } = deed {
            self.written(wwid.unwrap_or_default());
        }
        if let Deed::Message { .. } = deed {
            for device in wwid
                .map(|wwid| self.members_by_wwid(wwid))
                .unwrap_or_default()
            {
                if let Some(notes) = self.paths.get_mut(&device) {
                    notes.is_fail_sent &= reply == Reply::Ok;
                }
            }
        }
        self.answers
            .extend(reply_to.map(|reply_to| (reply_to, reply)));
    }

    /// What a client has told is written down: now the map can be worked on by it.
    fn written(&mut self, wwid: &str) {
        let notes = self.maps.of(wwid);
        notes.unwritten = notes.unwritten.saturating_sub(1);
        if notes.unwritten > 0 {
            return;
        }
        self.doubtful.insert(wwid.to_owned());
        if !notes.is_busy {
            for reply in std::mem::take(&mut notes.waiting) {
                self.wait_for_work(wwid, reply);
            }
        }
    }
}

fn no_map(name: &str) -> String {
    format!("{name}: no such map")
}
