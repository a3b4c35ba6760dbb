//! What is looked at as a whole, and what is looked at again when something was heard of it.
//!
//! Of a map that changes, the kernel's uevent tells which it is: it alone is read. Device-mapper's
//! own events do not tell that. They come for what has no uevent, so the list of maps that is read
//! for them can wait a little for the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::uevent::{Uevent, UeventAction};
use mpath_state::record::RecordDir;

use super::Engine;
use super::agenda::Due;
use crate::event::{BooksRead, MapLook, MapsRead, Scanned};
use crate::model::Activity;
use crate::tasks::{FoundMap, ReadOrder, Task};

/// What is being read.
#[derive(Debug, Default)]
pub(super) struct Readings {
    host: Reading,
    list: Reading,
    /// When the list of maps was read last.
    listed_at: Option<Instant>,
    maps: BTreeMap<DeviceNumber, Reading>,
    /// Of maps by the names of their lock files.
    stems: BTreeMap<String, String>,
}

/// One reading at a time, and one more if it is out of date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Idle,
    UnderWay,
    OutOfDate,
}

impl Engine {
    pub(super) fn look_at_host(&mut self) {
        if self.readings.host.begin() {
            self.enter(Activity::Configuring);
            let rules = Arc::clone(&self.rules);
            self.tasks.push_back(Task::Read(ReadOrder::Host(rules)));
        }
    }

    /// Something has happened to maps, nobody says to which.
    pub(super) fn look_at_maps(&mut self) {
        let at = self.readings.listed_at.map(|at| at + LIST_PAUSE);
        match at.filter(|at| *at > self.now) {
            Some(later) => self.agenda.set(Due::List, Some(later)),
            None => self.list_maps(),
        }
    }

    pub(super) fn list_maps(&mut self) {
        if self.readings.list.begin() {
            let known = self.model.maps.values();
            let known = known.filter_map(|map| Some((map.device?, map.event_nr)));
            let order = ReadOrder::Maps(known.collect());
            self.tasks.push_back(Task::Read(order));
        }
    }

    fn look_at_map(&mut self, device: DeviceNumber) {
        if self.readings.maps.entry(device).or_default().begin() {
            self.tasks.push_back(Task::Read(ReadOrder::Map(device)));
        }
    }

    pub(super) fn scanned(&mut self, scanned: Scanned) {
        let Scanned { paths, maps, books } = scanned;
        let is_out_of_date = self.readings.host.end();
        let found: BTreeSet<DeviceNumber> = paths.iter().map(|path| path.scsi.device).collect();
        let known: Vec<DeviceNumber> = self.model.paths.keys().copied().collect();
        for gone in known.iter().filter(|device| !found.contains(device)) {
            self.path_gone(*gone);
        }
        for path in paths {
            self.path_found(path);
        }
        self.maps_read(maps);
        for books in &books {
            self.books_read(books);
        }
        self.enter(Activity::Idle);
        if is_out_of_date {
            self.look_at_host();
        }
    }

    /// The list that was ordered has come.
    pub(super) fn maps_listed(&mut self, read: MapsRead) {
        self.readings.listed_at = Some(self.now);
        self.maps_read(read);
        if self.readings.list.end() {
            self.look_at_maps();
        }
    }

    fn maps_read(&mut self, read: MapsRead) {
        let all: BTreeSet<DeviceNumber> = read.all.into_iter().collect();
        self.maps_gone(|device| !all.contains(&device));
        for found in read.changed {
            self.map_seen(found);
        }
    }

    pub(super) fn map_read(&mut self, device: DeviceNumber, look: MapLook) {
        let reading = self.readings.maps.remove(&device);
        match look {
            MapLook::Failed => {}
            MapLook::Gone => self.maps_gone(|gone| gone == device),
            MapLook::Found(found) => {
                let known = found.wwid().and_then(|wwid| self.model.maps.get(wwid));
                if known.is_none_or(|map| map.device != Some(device)) {
                    // The number of another one, whose end was not heard.
                    self.maps_gone(|gone| gone == device);
                }
                self.map_seen(*found);
            }
        }
        if reading.is_some_and(|mut reading| reading.end()) {
            self.look_at_map(device);
        }
    }

    fn maps_gone(&mut self, is_gone: impl Fn(DeviceNumber) -> bool) {
        let known = self.model.maps.values();
        let gone: Vec<String> = known
            .filter(|map| map.device.is_some_and(&is_gone))
            .map(|map| map.wwid.clone())
            .collect();
        for wwid in gone {
            self.map_gone(&wwid);
        }
    }

    /// One that nobody here has made is compared with what is configured. Of one that is just
    /// being made, the end of that work tells everything.
    fn map_seen(&mut self, found: FoundMap) {
        let is_new = |wwid: &&str| !self.model.maps.contains_key(*wwid);
        if let Some(wwid) = found.wwid().filter(is_new).map(str::to_owned) {
            let notes = self.maps.of(&*wwid);
            if !notes.is_busy {
                notes.is_comparison_wanted = true;
                self.look_at_books(&wwid);
            }
        }
        self.map_found(found);
    }

    pub(super) fn heard(&mut self, uevent: &Uevent) {
        if uevent.subsystem != "block" || !uevent.is_disk() {
            return;
        }
        let Some(device) = uevent.device() else {
            return;
        };
        let is_scsi = uevent.devpath.contains("/target");
        if uevent.devpath.contains("/virtual/block/dm-") {
            self.look_at_map(device);
        } else if is_scsi {
            self.model_mut().counters.uevents += 1;
            match uevent.action {
                UeventAction::Remove => self.path_gone(device),
                UeventAction::Change => {
                    self.check_now(device);
                    self.tasks.push_back(Task::Read(ReadOrder::Path(device)));
                }
                _ => self.tasks.push_back(Task::Read(ReadOrder::Path(device))),
            }
        }
    }

    /// Another map is shown.
    pub(super) fn note_stem(&mut self, wwid: &str) {
        let name = RecordDir::lock_name(wwid);
        if let Some(stem) = name.as_deref().and_then(|name| name.strip_suffix(".lock")) {
            let stems = &mut self.readings.stems;
            stems.insert(stem.to_owned(), wwid.to_owned());
        }
    }

    /// The map whose lock it was may have another record now, or something was left behind.
    pub(super) fn lock_released(&mut self, stem: &str) {
        let wwid = self.readings.stems.get(stem).cloned();
        if let Some(wwid) = wwid.filter(|wwid| self.model.maps.contains_key(wwid)) {
            self.look_at_books(&wwid);
        }
    }

    pub(super) fn look_at_books(&mut self, wwid: &str) {
        let order = ReadOrder::Books {
            wwid: wwid.to_owned(),
            key: self.key_source(wwid),
        };
        self.tasks.push_back(Task::Read(order));
    }

    pub(super) fn books_read(&mut self, books: &BooksRead) {
        self.take_books(books);
        let notes = self.maps.of(&*books.wwid);
        if books.has_leftover {
            notes.has_leftover = true;
            self.doubtful.insert(books.wwid.clone());
        }
    }
}

impl Reading {
    /// Whether it has to be started now.
    fn begin(&mut self) -> bool {
        let starts = *self == Self::Idle;
        *self = if starts {
            Self::UnderWay
        } else {
            Self::OutOfDate
        };
        starts
    }

    /// Whether it has to be started again.
    fn end(&mut self) -> bool {
        let is_out_of_date = *self == Self::OutOfDate;
        *self = Self::Idle;
        is_out_of_date
    }
}

/// Between two readings of the list of all maps.
const LIST_PAUSE: Duration = Duration::from_millis(200);
