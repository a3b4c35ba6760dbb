//! The judgement of the daemon: events and the time in, tasks out. No I/O, no waiting.
//!
//! The methods are of four kinds. *Commands*: [`Engine::new`]. *Inputs*: [`Engine::handle`],
//! [`Engine::handle_timeout`]. *Outputs*: [`Engine::poll_task`], [`Engine::poll_timeout`],
//! [`Engine::take_answers`]. *Getters*: the rest.
//!
//! What a map needs is never remembered as a list of things to do: it is found by comparing what
//! is with what should be (`maps`), whenever something has changed and nobody is at work on it.

mod agenda;
mod asks;
mod checks;
mod failback;
mod incidents;
mod looking;
mod maps;
mod notes;
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
use mpath_state::protocol::Reply;

use agenda::{Agenda, Due};
use looking::Readings;
use notes::{MapNotes, Notes, PathNotes};

use crate::ask::ReplyTo;
use crate::event::Event;
use crate::model::{Activity, Map, Model, Path};
use crate::rules::Rules;
use crate::tasks::{Question, ReadOrder, Task};

/// The state of the daemon and what it makes of events.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    rules: Arc<Rules>,
    tasks: VecDeque<Task>,
    answers: Vec<(ReplyTo, Reply)>,
    maps: Notes<String, MapNotes>,
    paths: Notes<DeviceNumber, PathNotes>,
    agenda: Agenda,
    /// Maps to be compared with what they should be, at the end of this turn.
    doubtful: BTreeSet<String>,
    /// The paths of each logical unit.
    luns: BTreeMap<String, BTreeSet<DeviceNumber>>,
    readings: Readings,
    /// When the last check ended, of whatever path.
    check_ended_at: Option<Instant>,
    /// Maps that somebody is at work on.
    busy: usize,
    /// Paths that must not be used, as the last check said.
    dead: BTreeSet<DeviceNumber>,
    /// Hooks that were ordered and have not ended.
    hooks_waiting: usize,
    now: Instant,
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

impl Engine {
    /// Knows nothing yet; its first task is to look.
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Self {
        let mut engine = Self {
            model: Arc::new(Model::new(now)),
            rules: Arc::new(rules),
            tasks: VecDeque::new(),
            answers: Vec::new(),
            maps: Notes::new(),
            paths: Notes::new(),
            agenda: Agenda::default(),
            doubtful: BTreeSet::new(),
            luns: BTreeMap::new(),
            readings: Readings::default(),
            check_ended_at: None,
            busy: 0,
            dead: BTreeSet::new(),
            hooks_waiting: 0,
            now,
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
                for notes in self.maps.all_mut() {
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
            Event::MapsRead(read) => self.maps_listed(*read),
            Event::MapRead { device, look } => self.map_read(device, look),
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
        self.find_times();
        self.do_what_is_due();
        self.note_usable_paths();
        for wwid in std::mem::take(&mut self.doubtful) {
            self.plan(&wwid);
        }
        self.note_activity();
        self.find_times();
    }

    /// When [`Self::handle_timeout`] wants to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let has_news =
            !self.doubtful.is_empty() || self.maps.is_touched() || self.paths.is_touched();
        match has_news {
            true => Some(self.now),
            false => self.agenda.next(),
        }
    }

    /// When those are due that were touched since this was done last.
    fn find_times(&mut self) {
        for device in self.paths.take_touched() {
            self.find_check_time(device);
            self.agenda.set(Due::Look(device), self.look_at(device));
            let path = self.model.paths.get(&device);
            // Of a path that is gone, the map is touched by whoever took it out.
            if let Some(wwid) = path.and_then(|path| path.scsi.wwid.as_deref()) {
                self.maps.touch(wwid);
            }
        }
        for wwid in self.maps.take_touched() {
            self.stop_queueing_in_time(&wwid);
            self.resumes_count(&wwid);
            let times = [
                (Due::Count(wwid.clone()), self.count_at(&wwid)),
                (Due::Plan(wwid.clone()), self.plan_at(&wwid)),
                (Due::Stop(wwid.clone()), self.stop_at(&wwid)),
            ];
            for (what, at) in times {
                self.agenda.set(what, at);
            }
        }
    }

    fn find_check_time(&mut self, device: DeviceNumber) {
        self.agenda.set(Due::Check(device), self.check_at(device));
    }

    /// Whatever is done, or cannot be done any more, has its time found anew.
    fn do_what_is_due(&mut self) {
        let mut counts = Vec::new();
        for due in self.agenda.take(self.now) {
            match due {
                Due::Check(device) => self.begin_check(device, Question::Ready),
                Due::Look(device) => self.look_again(device),
                // Of the paths that are not checked now, one is asked.
                Due::Count(wwid) => counts.push(wwid),
                Due::Plan(wwid) => self.wake_rested(&wwid),
                Due::Stop(wwid) => self.stop_queueing_in_time(&wwid),
                Due::List => self.list_maps(),
            }
        }
        for wwid in counts {
            self.begin_count(&wwid);
        }
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

    /// The state, if it is to be shown now. Showing it costs a copy of all that it consists of: so
    /// it is shown some times a second at most when things happen, and every second when there
    /// are only other times of checks; but before anybody is answered.
    pub fn poll_publication(&mut self, since_last: Duration) -> Option<Arc<Model>> {
        let pause = match self.publication {
            Publication::UpToDate => return None,
            Publication::Soon => SHOWN_AFTER,
            Publication::Now if self.answers.is_empty() => SHOWN_APART,
            Publication::Now => Duration::ZERO,
        };
        if since_last < pause {
            return None;
        }
        self.publication = Publication::UpToDate;
        Some(Arc::clone(&self.model))
    }

    /// When the state wants to be shown, if it was shown then. Times of checks wait for the next
    /// occasion.
    #[must_use]
    pub fn next_publication(&self, last: Instant) -> Option<Instant> {
        (self.publication == Publication::Now).then(|| last + SHOWN_APART)
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

    /// A map that is shown, to be changed.
    fn map_mut(&mut self, wwid: &str) -> Option<&mut Map> {
        self.maps.touch(wwid);
        self.model_mut().map_mut(wwid)
    }

    /// A path that is shown, to be changed.
    fn path_mut(&mut self, device: DeviceNumber) -> Option<&mut Path> {
        self.paths.touch(&device);
        self.model_mut().path_mut(device)
    }

    fn reconfigure(&mut self) {
        for notes in self.maps.all_mut() {
            notes.is_unwanted = false;
        }
        self.tasks.push_back(Task::Read(ReadOrder::Rules));
    }

    fn note_activity(&mut self) {
        let is_busy = self.busy > 0;
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

/// How soon after each other states are shown: many events may come at once.
const SHOWN_APART: Duration = Duration::from_millis(20);

/// How old the times of checks may be that are shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// The longest time between two turns of the loop without anything to do.
pub const MAX_REST: Duration = Duration::from_secs(3600);
