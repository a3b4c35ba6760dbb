//! The judgement of the daemon: events and the time in, tasks out. No I/O, no waiting.
//!
//! The methods are of four kinds. *Commands*: [`Engine::new`]. *Inputs*: [`Engine::handle`],
//! [`Engine::handle_timeout`]. *Outputs*: [`Engine::poll_task`], [`Engine::poll_timeout`],
//! [`Engine::take_answers`]. *Getters*: the rest.
//!
//! What a map needs is never remembered as a list of things to do: it is found by comparing what
//! is with what should be (`maps`), whenever something has changed and nobody is at work on it.

mod asks;
mod checks;
mod failback;
mod incidents;
mod maps;
mod paths;
mod queueing;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::PortTimeouts;
use dm_multipath::uevent::{Uevent, UeventAction};
use mpath_state::protocol::Reply;

use crate::ask::ReplyTo;
use crate::event::{BooksRead, Event, MapsRead, Scanned};
use crate::model::{Activity, Model};
use crate::rules::Rules;
use crate::tasks::{ReadOrder, Task};

/// The state of the daemon and what it makes of events.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    rules: Arc<Rules>,
    tasks: VecDeque<Task>,
    answers: Vec<(ReplyTo, Reply)>,
    maps: BTreeMap<String, MapNotes>,
    paths: BTreeMap<DeviceNumber, PathNotes>,
    /// Maps to be compared with what they should be, at the end of this turn.
    doubtful: BTreeSet<String>,
    /// The paths of each logical unit.
    luns: BTreeMap<String, BTreeSet<DeviceNumber>>,
    scan: Reading,
    map_reading: Reading,
    /// Hooks that were ordered and have not ended.
    hooks_waiting: usize,
    now: Instant,
    /// Something has happened since everything was looked at, other than checks that went on.
    has_news: bool,
    /// When something is due, as it was found then, or since.
    wake_at: Option<Instant>,
    publication: Publication,
}

/// Whether what is known has to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publication {
    /// It is shown.
    UpToDate,
    /// There are only other times of checks.
    Soon,
    /// There is something else.
    Now,
}

/// What the engine keeps of a map, beside what is shown.
#[derive(Debug, Default)]
struct MapNotes {
    /// Somebody is at work on it.
    is_busy: bool,
    /// A killed process has left something behind.
    has_leftover: bool,
    /// The reservation is to be read.
    look_for_holder: bool,
    /// Its table is to be loaded again, whatever it is.
    is_reload_wanted: bool,
    /// The work under way is to load a table that differs.
    is_assembly_ordered: bool,
    /// The work under way is to remove the map.
    is_removal_ordered: bool,
    /// It is to go.
    is_removal_wanted: bool,
    /// It was removed by somebody: it is not made again by itself.
    is_unwanted: bool,
    /// Not before then anything is done about it.
    rest_until: Option<Instant>,
    /// Since when a better group than the one in use works.
    better_since: Option<Instant>,
    /// The kernel has been told to use it.
    is_switch_sent: bool,
    /// When the registrations were counted last.
    counted_at: Option<Instant>,
    /// How many there were with this node's key.
    registrations: Option<usize>,
    /// It is looked at again then, if nothing happens before.
    look_again_at: Option<Instant>,
    /// Who waits for the end of the work.
    waiting: Vec<ReplyTo>,
    /// Since when no path works.
    dead_since: Option<Instant>,
    /// No path of it can be used.
    is_without_path: bool,
    /// Whether it has been told not to queue.
    queueing: queueing::Stopped,
    /// It is to be compared as a whole with what is configured: it was made by somebody else, or
    /// the configuration is another one.
    is_comparison_wanted: bool,
    /// Whether it has the name that is configured, as far as that is possible.
    is_name_settled: bool,
    /// A group that had no working path has one again.
    has_group_returned: bool,
}

/// What the engine keeps of a path, beside what is shown.
#[derive(Debug)]
struct PathNotes {
    /// When the check under way began.
    checking: Option<Instant>,
    /// Unit attentions in a row.
    attentions: u32,
    /// The hardware handler that the SCSI layer has attached.
    handler: Option<String>,
    /// What the array calls the node behind its port.
    node: String,
    /// How long its I/O was told to wait for its port.
    limited: Option<PortTimeouts>,
    /// It is read again then: udev had not looked at it.
    look_again_at: Option<Instant>,
    /// When it was found.
    found_at: Instant,
    /// The kernel has been told that it does not work.
    is_fail_sent: bool,
    /// The kernel has found that it does not work, after the last check.
    is_doubtful: bool,
    /// It was told that it stays out although it answers.
    is_kept_out: bool,
    /// Its check has not ended in time, and goes on.
    is_stuck: bool,
}

/// Something that is read as a whole: one reading at a time, and one more if it is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Idle,
    UnderWay,
    OutOfDate,
}

impl Engine {
    /// Knows nothing yet; its first task is to look.
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Self {
        let mut engine = Self {
            model: Arc::new(Model::new(now)),
            rules: Arc::new(rules),
            tasks: VecDeque::new(),
            answers: Vec::new(),
            maps: BTreeMap::new(),
            paths: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            luns: BTreeMap::new(),
            scan: Reading::Idle,
            map_reading: Reading::Idle,
            hooks_waiting: 0,
            now,
            has_news: true,
            wake_at: None,
            publication: Publication::Now,
        };
        engine.tasks.push_back(Task::ArmDm);
        engine.show_rules();
        engine.look_at_host();
        engine
    }

    fn show_rules(&mut self) {
        let text = self.rules.config().to_string();
        self.model_mut().config = Arc::from(text);
    }

    /// The state as it stands.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Where metrics are to be written.
    #[must_use]
    pub fn metrics_file(&self) -> Option<PathBuf> {
        self.rules.settings().metrics_file.clone()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        self.now = now;
        // Of checks, there is more to say.
        self.has_news |= !matches!(event, Event::Checked(_));
        match event {
            Event::Asked(ask) => self.asked(ask),
            Event::Uevent(uevent) => self.heard(&uevent),
            Event::UeventsLost => {
                self.model_mut().counters.uevents_lost += 1;
                tracing::warn!("uevents were lost: looking at the whole host");
                self.look_at_host();
            }
            Event::DmChanged => {
                self.tasks.push_back(Task::ArmDm);
                self.look_at_maps();
            }
            Event::LockReleased { stem } => self.lock_released(&stem),
            Event::RulesRead(rules) => {
                self.rules = Arc::new(*rules);
                for notes in self.maps.values_mut() {
                    notes.is_comparison_wanted = true;
                    notes.is_name_settled = false;
                }
                self.rank_paths();
                self.show_rules();
                self.look_at_host();
            }
            Event::Scanned(scanned) => self.scanned(*scanned),
            Event::PathRead { device, found } => match found {
                Some(found) => self.path_found(*found),
                None => self.path_gone(device),
            },
            Event::MapsRead(read) => {
                self.maps_read(*read);
                if self.map_reading.end() {
                    self.look_at_maps();
                }
            }
            Event::BooksRead(books) => self.books_read(&books),
            Event::Checked(checked) => self.checked(checked),
            Event::WorkDone(report) => self.work_done(*report),
            Event::ErrandDone {
                wwid,
                deed,
                reply,
                reply_to,
            } => self.errand_done(wwid.as_deref(), &deed, reply, reply_to),
            Event::HookDone(outcome) => self.hook_done(outcome),
            Event::Reconfigure => self.reconfigure(),
            Event::Shutdown => self.enter(Activity::ShuttingDown),
        }
    }

    /// Takes in that time has passed, and makes up its mind.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if !self.has_news && self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        self.wake_rested();
        self.look_at_waiting();
        self.stop_queueing_in_time();
        self.note_usable_paths();
        for wwid in std::mem::take(&mut self.doubtful) {
            self.plan(&wwid);
        }
        self.begin_checks();
        self.note_activity();
        self.has_news = false;
        self.wake_at = self.find_next();
    }

    /// When [`Self::handle_timeout`] wants to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.has_news {
            true => Some(self.now),
            false => self.wake_at,
        }
    }

    fn find_next(&self) -> Option<Instant> {
        let times = |notes: &MapNotes| [notes.rest_until, notes.look_again_at];
        let rested = self.maps.values().flat_map(times).flatten();
        let due = self.next_check().into_iter().chain(self.next_count());
        let rested = rested.chain(self.next_look());
        rested.chain(due).chain(self.next_stop()).min()
    }

    /// What to do next.
    pub fn poll_task(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    /// The answers that are due, once the state is published.
    pub fn take_answers(&mut self) -> Vec<(ReplyTo, Reply)> {
        std::mem::take(&mut self.answers)
    }

    /// Whether the daemon is to end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.model.activity == Activity::ShuttingDown
    }

    /// The state, if it is to be shown now: at once when something has happened, every second
    /// when there are only other times of checks.
    pub fn poll_publication(&mut self, since_last: Duration) -> Option<Arc<Model>> {
        match self.publication {
            Publication::UpToDate => return None,
            Publication::Soon if since_last < SHOWN_AFTER => return None,
            Publication::Soon | Publication::Now => {}
        }
        self.publication = Publication::UpToDate;
        Some(Arc::clone(&self.model))
    }

    /// Whoever has been told to end is not busy again.
    fn enter(&mut self, activity: Activity) {
        if !self.has_ended() {
            self.model_mut().activity = activity;
        }
    }

    fn model_mut(&mut self) -> &mut Model {
        self.publication = Publication::Now;
        Arc::make_mut(&mut self.model)
    }

    /// For what need not be seen at once: each time the state is shown costs a copy of it.
    fn model_mut_quietly(&mut self) -> &mut Model {
        if self.publication == Publication::UpToDate {
            self.publication = Publication::Soon;
        }
        Arc::make_mut(&mut self.model)
    }

    fn wake_no_later_than(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake_at| wake_at.min(at)));
    }

    fn reconfigure(&mut self) {
        for notes in self.maps.values_mut() {
            notes.is_unwanted = false;
        }
        self.tasks.push_back(Task::Read(ReadOrder::Rules));
    }

    fn look_at_host(&mut self) {
        if self.scan.begin() {
            self.enter(Activity::Configuring);
            let rules = Arc::clone(&self.rules);
            self.tasks.push_back(Task::Read(ReadOrder::Host(rules)));
        }
    }

    fn look_at_maps(&mut self) {
        if self.map_reading.begin() {
            let known = self.model.maps.values();
            let known = known.filter_map(|map| Some((map.device?, map.event_nr)));
            self.tasks
                .push_back(Task::Read(ReadOrder::Maps(known.collect())));
        }
    }

    fn scanned(&mut self, scanned: Scanned) {
        let Scanned { paths, maps, books } = scanned;
        let is_out_of_date = self.scan.end();
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

    fn maps_read(&mut self, read: MapsRead) {
        let all: BTreeSet<DeviceNumber> = read.all.into_iter().collect();
        let is_gone = |device: DeviceNumber| !all.contains(&device);
        let known = self.model.maps.values();
        let gone: Vec<String> = known
            .filter(|map| map.device.is_some_and(is_gone))
            .map(|map| map.wwid.clone())
            .collect();
        for wwid in gone {
            self.map_gone(&wwid);
        }
        for found in read.changed {
            if let Some(wwid) = found
                .wwid()
                .filter(|wwid| !self.model.maps.contains_key(*wwid))
            {
                let notes = self.maps.entry(wwid.to_owned()).or_default();
                notes.is_comparison_wanted = true;
            }
            self.map_found(found);
        }
    }

    fn heard(&mut self, uevent: &Uevent) {
        if uevent.subsystem != "block" || !uevent.is_disk() {
            return;
        }
        let Some(device) = uevent.device() else {
            return;
        };
        let is_scsi = uevent.devpath.contains("/target");
        if uevent.devpath.contains("/virtual/block/dm-") {
            self.look_at_maps();
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

    /// The map whose lock it was may have another record now, or something was left behind.
    fn lock_released(&mut self, stem: &str) {
        let name = format!("{stem}.lock");
        let is_it = |wwid: &&String| {
            mpath_state::record::RecordDir::lock_name(wwid).as_deref() == Some(&name)
        };
        let found = self.model.maps.keys().find(is_it).cloned();
        if let Some(wwid) = found {
            self.look_at_books(&wwid);
        }
    }

    fn look_at_books(&mut self, wwid: &str) {
        let order = ReadOrder::Books {
            wwid: wwid.to_owned(),
            key: self.key_source(wwid),
        };
        self.tasks.push_back(Task::Read(order));
    }

    fn books_read(&mut self, books: &BooksRead) {
        self.take_books(books);
        let notes = self.maps.entry(books.wwid.clone()).or_default();
        if books.has_leftover {
            notes.has_leftover = true;
            self.doubtful.insert(books.wwid.clone());
        }
    }

    fn note_activity(&mut self) {
        let is_busy = self.maps.values().any(|notes| notes.is_busy);
        let activity = match self.model.activity {
            Activity::Running | Activity::Idle if is_busy => Activity::Running,
            Activity::Running | Activity::Idle => Activity::Idle,
            other => other,
        };
        if activity != self.model.activity {
            self.enter(activity);
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

impl PathNotes {
    fn new(now: Instant) -> Self {
        Self {
            checking: None,
            attentions: 0,
            handler: None,
            node: String::new(),
            limited: None,
            look_again_at: None,
            found_at: now,
            is_fail_sent: false,
            is_doubtful: false,
            is_kept_out: false,
            is_stuck: false,
        }
    }
}

/// How old the times of checks may be that are shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// The longest time between two turns of the loop without anything to do.
pub const MAX_REST: Duration = Duration::from_secs(3600);
