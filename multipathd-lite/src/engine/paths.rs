//! Paths come, change and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::{AccessState, ScsiDevice, Transport};

use super::Engine;
use super::notes::PathNotes;
use crate::model::{Path, PathUse, Settling};
use crate::tasks::{Deed, Errand, FoundPath, KeySource, ReadOrder, Task};

impl Engine {
    /// A path is there, new or as before.
    pub(super) fn path_found(&mut self, found: FoundPath) {
        let FoundPath {
            mut scsi,
            size,
            handler,
            node,
            udev,
        } = found;
        let device = scsi.device;
        let now = self.now;
        let is_other = |known: &Path| known.scsi.wwid != scsi.wwid || known.scsi.hctl != scsi.hctl;
        // A number that was given out again, without its removal having been heard.
        if self
            .model
            .paths
            .get(&device)
            .is_some_and(|known| is_other(known))
        {
            self.path_gone(device);
        }
        let known = self.model.paths.get(&device);
        if let Some(known) = known.filter(|_| scsi.access_state == Some(AccessState::TRANSITIONING))
        {
            scsi.access_state.clone_from(&known.scsi.access_state);
        }
        let notes = self.paths.of_or(&device, || PathNotes::new(now));
        notes.handler = handler;
        notes.node = node;
        notes.look_again_at = self.rules.is_waiting_for(&udev).then(|| now + UDEV_PAUSE);
        if let Some(wwid) = &scsi.wwid {
            let lun = self.luns.entry(wwid.clone()).or_default();
            lun.insert(device);
        }
        let dm_state = self.dm_state(device, scsi.wwid.as_deref());
        let priority = self.priority(&scsi);
        let model = self.model_mut();
        let is_new = !model.paths.contains_key(&device);
        let path = model
            .paths
            .entry(device)
            .or_insert_with(|| Arc::new(Path::new(scsi.clone(), size, now)));
        let path = Arc::make_mut(path);
        path.priority = priority;
        path.scsi = Arc::new(scsi);
        path.udev = Arc::new(udev);
        path.size = size;
        if is_new {
            path.dm_state = dm_state;
            let (name, hctl) = (&path.scsi.name, path.scsi.hctl);
            tracing::debug!("{name} [{device}]: found at {hctl}");
        }
        self.assign(device);
        self.limit(device);
    }

    /// When a path is looked at again that udev had not looked at.
    pub(super) fn look_at(&self, device: DeviceNumber) -> Option<Instant> {
        self.paths.get(&device)?.look_again_at
    }

    pub(super) fn look_again(&mut self, device: DeviceNumber) {
        if let Some(notes) = self.paths.get_mut(&device) {
            notes.look_again_at = None;
            self.tasks.push_back(Task::Read(ReadOrder::Path(device)));
        }
    }

    /// A path of a map is to wait for its port no longer than configured.
    fn limit(&mut self, device: DeviceNumber) {
        let path = self.model.paths.get(&device);
        let has_limits = |path: &Path| {
            let transport = &path.scsi.transport;
            !matches!(transport, Transport::Loopback | Transport::Other(_))
        };
        let has_port = |path: &&Arc<Path>| {
            path.map().is_some() && has_limits(path) && !self.rules.has_fixed_maps()
        };
        let Some(path) = path.filter(has_port).cloned() else {
            return;
        };
        let timeouts = self.rules.timeouts(&path.scsi);
        let notes = self.paths.get_mut(&device);
        if notes.is_some_and(|notes| notes.limited.replace(timeouts) != Some(timeouts)) {
            self.tasks.push_back(Task::Errand(Errand {
                wwid: path.map().map(str::to_owned),
                deed: Deed::Limit {
                    path: device,
                    timeouts,
                },
                reply_to: None,
            }));
        }
    }

    /// A path is not there any more.
    pub(super) fn path_gone(&mut self, device: DeviceNumber) {
        let notes = self.paths.remove(&device);
        if notes.is_some_and(|notes| notes.is_stuck) {
            let counters = &mut self.model_mut().counters;
            counters.checks_stuck = counters.checks_stuck.saturating_sub(1);
        }
        let Some(path) = self.model_mut().paths.remove(&device) else {
            return;
        };
        tracing::info!("{} [{device}]: gone", path.scsi.name);
        self.tasks.push_back(Task::Forget(device));
        self.dead.remove(&device);
        if let Some(wwid) = &path.scsi.wwid {
            self.leave_lun(wwid, device);
            self.assign_all(wwid);
            self.maps.touch(&**wwid);
            self.doubtful.insert(wwid.clone());
        }
    }

    /// Decides what a path is used for; with it, all others of its logical unit.
    fn assign(&mut self, device: DeviceNumber) {
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        if let Some(wwid) = path.scsi.wwid.clone() {
            if let Some(notes) = self.maps.get_mut(&*wwid) {
                notes.is_unwanted &= path.usage != PathUse::None(NEW.to_owned());
            }
            self.assign_all(&wwid);
        } else {
            self.set_usage(device, PathUse::None("no WWID".to_owned()));
        }
    }

    fn assign_all(&mut self, wwid: &str) {
        let devices: Vec<DeviceNumber> = self.members_by_wwid(wwid);
        let mut fit = Vec::new();
        for device in devices {
            let Some(path) = self.model.paths.get(&device) else {
                continue;
            };
            if path.usage == PathUse::None(REMOVED.to_owned()) {
                continue;
            }
            match self.rules.exclusion(&path.scsi, &path.udev) {
                Some(reason) => self.set_usage(device, PathUse::None(reason)),
                None => fit.push(device),
            }
        }
        let exists = self
            .model
            .maps
            .get(wwid)
            .is_some_and(|map| map.device.is_some());
        let usage = if exists || self.rules.makes_map(wwid, fit.len()) {
            PathUse::Map(wwid.to_owned())
        } else {
            PathUse::None("the only path of its disk".to_owned())
        };
        for device in fit {
            self.set_usage(device, usage.clone());
        }
        self.doubtful.insert(wwid.to_owned());
    }

    fn set_usage(&mut self, device: DeviceNumber, usage: PathUse) {
        let known = self.model.paths.get(&device);
        if known.is_some_and(|path| path.usage != usage)
            && let Some(path) = self.path_mut(device)
        {
            path.usage = usage;
        }
    }

    fn leave_lun(&mut self, wwid: &str, device: DeviceNumber) {
        if let Some(lun) = self.luns.get_mut(wwid) {
            lun.remove(&device);
            if lun.is_empty() {
                self.luns.remove(wwid);
            }
        }
    }

    /// Other rules, other priorities: of all paths at once, so that no group is made of some that
    /// are up to date and some that are not.
    pub(super) fn rank_paths(&mut self) {
        let ranked: Vec<(DeviceNumber, i32)> = self
            .model
            .paths
            .values()
            .map(|path| (path.scsi.device, self.priority(&path.scsi)))
            .collect();
        for (device, priority) in ranked {
            let known = self.model.paths.get(&device);
            if known.is_some_and(|path| path.priority != priority)
                && let Some(path) = self.path_mut(device)
            {
                path.priority = priority;
            }
        }
    }

    /// More is better.
    pub(super) fn priority(&self, scsi: &ScsiDevice) -> i32 {
        match self.rules.is_ranked(scsi) {
            true => rank(scsi),
            false => EQUAL,
        }
    }

    /// All paths of a logical unit.
    pub(super) fn members_by_wwid(&self, wwid: &str) -> Vec<DeviceNumber> {
        let lun = self.luns.get(wwid);
        lun.into_iter().flatten().copied().collect()
    }

    /// The paths that a map is to be made of.
    pub(super) fn members(&self, wwid: &str) -> Vec<&Arc<Path>> {
        let lun = self.luns.get(wwid).into_iter().flatten();
        let paths = lun.filter_map(|device| self.model.paths.get(device));
        paths.filter(|path| path.map() == Some(wwid)).collect()
    }

    pub(super) fn key_source(&self, wwid: &str) -> KeySource {
        let first = self.members(wwid).first().map(|path| &path.scsi);
        let text = |field: fn(&ScsiDevice) -> &String| {
            first.map_or_else(String::new, |it| field(it).clone())
        };
        KeySource {
            rules: Arc::clone(&self.rules),
            vendor_product: (text(|scsi| &scsi.vendor), text(|scsi| &scsi.model)),
        }
    }

    /// From now on the path must show again what it is, before it carries I/O.
    pub(super) fn unsettle(&mut self, device: DeviceNumber) {
        let known = self.model.paths.get(&device);
        if known.is_some_and(|path| path.settling != Settling::Pending)
            && let Some(path) = self.path_mut(device)
        {
            path.settling = Settling::Pending;
        }
    }

    /// Tells the kernel that a path of its map does not work, or must not be used now.
    pub(super) fn fail_in_kernel(&mut self, device: DeviceNumber) {
        let Some(path) = self.model.paths.get(&device) else {
            return;
        };
        let map = path.map().and_then(|wwid| self.model.maps.get(wwid));
        let Some((map, wwid)) = map.and_then(|map| Some((map.device?, map.wwid.clone()))) else {
            return;
        };
        if let Some(notes) = self.paths.get_mut(&device) {
            notes.is_fail_sent = true;
        }
        self.tasks.push_back(Task::Errand(Errand {
            wwid: Some(wwid),
            deed: Deed::Message {
                map,
                text: format!("fail_path {device}"),
            },
            reply_to: None,
        }));
    }
}

/// The order of ALUA's states as multipath-tools has it, so that maps are grouped alike; the
/// array's preference counts for paths that are not optimized.
fn rank(scsi: &ScsiDevice) -> i32 {
    let Some(state) = &scsi.access_state else {
        return EQUAL;
    };
    let (base, preference) = match state {
        state if *state == AccessState::OPTIMIZED => (50, 0),
        state if *state == AccessState::NON_OPTIMIZED => (10, 80),
        state if *state == AccessState::LBA_DEPENDENT => (5, 80),
        state if *state == AccessState::STANDBY => (1, 80),
        _ => (0, 0),
    };
    base + if scsi.preferred == Some(true) {
        preference
    } else {
        0
    }
}

/// How often it is seen whether udev has looked at a new path, where rules ask for its properties:
/// it tells nobody who is not of its own.
const UDEV_PAUSE: Duration = Duration::from_millis(200);

/// The priority of paths of which the array does not say anything.
const EQUAL: i32 = 1;

/// Why a path is in no map that a client has removed; only a client can add it again.
pub(super) const REMOVED: &str = "removed by a client";

/// What a path that was not looked at is used for.
pub(super) const NEW: &str = crate::model::NOT_LOOKED_AT;
