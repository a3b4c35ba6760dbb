//! Settles what is off on a map, by the same rules as commands and returning paths: nothing here
//! decides whose a registration is.

use std::time::{Duration, Instant};

use mpath_state::PrStatus;
use mpath_state::config::Config;
use mpath_state::record::{MapLock, MapRecord, Nexus};
use pr_policy::{Appraisal, Limits, Look, Options, Outcome, PathId, Reluctance, Remedy, Request};

use crate::books::{Remembered, is_same};
use crate::cli::verdict;
use crate::custody::{Custody, Settled, Verdict};
use crate::device::{Device, other};
use crate::run::{Failure, Report};
use crate::view::{View, key_source, standing};

/// One step of a repair, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is to be done.
    pub what: String,
    /// What it is done to: a path, or nothing.
    pub path: Option<String>,
}

/// What became of a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was done, one sentence each.
    pub done: Vec<String>,
    /// What could not be done, one sentence each.
    pub failed: Vec<String>,
}

impl View {
    /// What [`Device::repair`] would do now, and what it would leave as it is, with the reason.
    #[must_use]
    pub fn repair_plan(&self) -> (Vec<Step>, Vec<String>) {
        let mut steps = Vec::new();
        if let Ok(Some(intent)) = &self.journal {
            if self.is_suspended {
                steps.push(Step::of("resume the map".to_owned()));
            }
            let what = format!("complete '{}', which was cut off", intent.request);
            steps.push(Step::of(what));
        }
        let Ok(seen) = &self.seen else {
            let left =
                vec!["the device cannot be read, so that nothing else can be told".to_owned()];
            return (steps, left);
        };
        let (remedies, reluctant) = seen.remedies();
        steps.extend(remedies.iter().map(|remedy| self.step(remedy, seen)));
        let left = reluctant.iter().map(|reason| told(reason, &self.name));
        (steps, left.collect())
    }

    fn step(&self, remedy: &Remedy, seen: &Appraisal) -> Step {
        match remedy {
            Remedy::Settle(path) => {
                let path = self.device(*path);
                let what = match seen.expected {
                    Some(key) => format!(
                        "register {path} with {key} if this node is still a member, else take \
                         its key away"
                    ),
                    None => format!("take the key of {path} away"),
                };
                Step {
                    what,
                    path: Some(path),
                }
            }
            Remedy::Purge(request) if is_of_own_key(request) => Step::of(
                "remove the registrations of sessions that are no more: take the reservation \
                 over (PREEMPT of this node's own key) and register all usable paths again"
                    .to_owned(),
            ),
            Remedy::Purge(Request::Preempt(preempt)) => Step::of(format!(
                "remove the registrations of the older key {}, all of them this node's \
                 (PREEMPT by {})",
                preempt.victim, preempt.key
            )),
            Remedy::Purge(request) => Step::of(request.to_string()),
        }
    }
}

impl Step {
    const fn of(what: String) -> Self {
        Self { what, path: None }
    }
}

fn told(reason: &Reluctance, map: &str) -> String {
    match reason {
        Reluctance::ShutOut => format!(
            "this node was shut out: registering again is not for a repair to decide; see \
             'mpathpersist status {map}'"
        ),
        Reluctance::NotOurs(key) => format!(
            "not every registration of {key} is named as this node's: they stay; see \
             'mpathpersist explain {map}'"
        ),
        Reluctance::NotRegistered(key) => format!(
            "the registrations of {key} can be removed only by a node that is registered itself: \
             register first"
        ),
        Reluctance::Superseded(key) => format!(
            "a session that is no more is registered with {key}: it goes when this node holds \
             the reservation, unregisters, or changes its key"
        ),
        Reluctance::NotNamed(key) => format!(
            "the device does not say which path lacks {key}: 'mpathpersist --out \
             --register-ignore --param-sark {key} {map}' registers all of them"
        ),
    }
}

impl Device<'_> {
    /// Settles what is off: completes what was cut off, brings each usable path's registration
    /// in line with what this node is, removes what it has left behind.
    ///
    /// # Errors
    /// Somebody works on the map and does not end within `patience`. What cannot be settled is
    /// in the report.
    pub fn repair(&mut self, patience: Duration) -> Result<Repaired, Failure> {
        let lock = self.lock(patience)?;
        self.refresh()?;
        let mut repaired = Repaired::default();
        if let Some(leftover) = self.leftover(&lock) {
            let note = leftover.note(self.name());
            match self.finish(&leftover, &lock, Limits::OUT.deadline) {
                Ok(report) if report.outcome == Outcome::Done => {
                    repaired.done.push(format!("{note}: completed"));
                }
                result => {
                    let failed = format!("{note}: {}", sentence(&result));
                    repaired.failed.push(failed);
                    // What is half done tells of no path what it should have.
                    if result.is_ok_and(|report| report.outcome.is_open()) {
                        return Ok(repaired);
                    }
                }
            }
            self.refresh()?;
        }
        let (remedies, _) = self.remedies(&lock)?;
        drop(lock);
        // Each is judged anew under a lock of its own.
        for remedy in remedies {
            match self.apply(&remedy, patience) {
                Ok(sentence) => repaired.done.push(sentence),
                Err(sentence) => repaired.failed.push(sentence),
            }
        }
        Ok(repaired)
    }

    /// Removes what sessions have left behind that were set up again under another name (iSCSI:
    /// another ISID), if that can be done without this node's key being gone for a moment. What
    /// was done, or why not, in a sentence; `None`: there is no such thing.
    ///
    /// # Errors
    /// Somebody works on the map and does not end within `patience`.
    pub fn end_superseded(&mut self, patience: Duration) -> Result<Option<String>, Failure> {
        let lock = self.lock(patience)?;
        self.refresh()?;
        if !self.has_lost_nexuses(&lock)? {
            return Ok(None);
        }
        let (remedies, reluctant) = self.remedies(&lock)?;
        drop(lock);
        let own = remedies.into_iter().find_map(|remedy| match remedy {
            Remedy::Purge(request) if is_of_own_key(&request) => Some(request),
            _ => None,
        });
        let is_it = |reason: &&Reluctance| matches!(reason, Reluctance::Superseded(_));
        Ok(match own {
            Some(request) => {
                let (Ok(sentence) | Err(sentence)) = self.purge(&request, patience);
                Some(sentence)
            }
            None => {
                let left = reluctant.iter().find(is_it);
                left.map(|reason| told(reason, self.name()))
            }
        })
    }

    /// Whether nexuses are remembered that no path of the map is: without any, the device need
    /// not be asked.
    fn has_lost_nexuses(&self, lock: &MapLock) -> Result<bool, Failure> {
        let Some(record) = self.recorded(lock)? else {
            return Ok(false);
        };
        let own = self.map.nexuses();
        let is_lost = |nexus: &Nexus| !own.iter().any(|known| is_same(known, nexus));
        Ok(record.nexuses.iter().any(is_lost))
    }

    fn remedies(&self, lock: &MapLock) -> Result<(Vec<Remedy>, Vec<Reluctance>), Failure> {
        let record = self.recorded(lock)?;
        let config = Config::load(&self.host.config).config;
        let key = key_source(self.host, &config, &self.map);
        let standing = standing(&self.map, record.as_ref(), &key);
        let snapshot = match record.filter(|record| record.registered == PrStatus::Set) {
            Some(record) => Remembered::of(record).onto(&self.map),
            None => self.map.snapshot(),
        };
        let mut look = Look::new(snapshot, Limits::IN.within(LOOK_PATIENCE));
        self.carrier.look(&self.map, &mut look, LOOK_PATIENCE)?;
        // What cannot be read is told by whoever showed the plan.
        let seen = look.appraise(&standing);
        Ok(seen.map_or_else(|_| (Vec::new(), Vec::new()), |seen| seen.remedies()))
    }

    fn apply(&mut self, remedy: &Remedy, patience: Duration) -> Result<String, String> {
        match remedy {
            Remedy::Settle(path) => {
                let label = self.map.path(*path).map(|path| path.name.clone());
                let label = format!("{}: {}", self.name(), label.unwrap_or_default());
                let settled = self.settle(*path, patience);
                match settled.map_err(|failure| sentence(&Err(failure)))?.verdict {
                    Verdict::Kept | Verdict::Registered => {
                        Ok(format!("{label} is registered with this node's key"))
                    }
                    Verdict::Unsettled => Err(format!(
                        "{label} could not be settled: nobody could tell whether this node is \
                         still a member; try again"
                    )),
                    Verdict::Expelled | Verdict::Unregistered | Verdict::Unconcerned => {
                        Ok(format!("{label} has no key of this node any more"))
                    }
                }
            }
            Remedy::Purge(request) => self.purge(request, patience),
        }
    }

    /// Only if that is what a look under the lock says, too.
    fn purge(&mut self, request: &Request, patience: Duration) -> Result<String, String> {
        let failed = |failure| sentence(&Err(failure));
        let lock = self.lock(patience).map_err(failed)?;
        self.refresh().map_err(failed)?;
        let is_wanted = |remedy: &Remedy| matches!(remedy, Remedy::Purge(it) if it == request);
        let (remedies, _) = self.remedies(&lock).map_err(failed)?;
        if !remedies.iter().any(is_wanted) {
            return Ok(format!("{}: {request} is not needed any more", self.name()));
        }
        let options = Options::for_request(request);
        match self.change_locked(request, options, Instant::now(), &lock, None) {
            Ok(report) if report.outcome == Outcome::Done => {
                Ok(format!("{}: {request}: done", self.name()))
            }
            result => Err(sentence(&result)),
        }
    }

    /// As a path that comes back; that it is in use does not change what it has to have.
    fn settle(&self, path: PathId, patience: Duration) -> Result<Settled, Failure> {
        let Some(device) = self.map.path(path).map(|path| path.device) else {
            let reason = "the path is gone".to_owned();
            let device = self.name().to_owned();
            return Err(Failure::Other { device, reason });
        };
        let config = Config::load(&self.host.config).config;
        let key = key_source(self.host, &config, &self.map).key();
        let named = (self.map.wwid(), self.map.name());
        let custody = Custody::take(self.host, named, Some(self.map.device()), patience)?;
        custody.with_key(key).settle(device, Limits::OUT.deadline)
    }

    fn recorded(&self, lock: &MapLock) -> Result<Option<MapRecord>, Failure> {
        lock.read().map_err(|error| other(self.name(), &error))
    }
}

fn is_of_own_key(request: &Request) -> bool {
    matches!(request, Request::Preempt(preempt) if preempt.key == preempt.victim)
}

/// What a command would end with.
pub(crate) fn sentence(result: &Result<Report, Failure>) -> String {
    let (code, sentence) = match result {
        Ok(report) => verdict::of_reading(&report.map, &report.outcome, &report.path),
        Err(failure) => {
            let verdict = verdict::of_failure(failure);
            (verdict.kind, verdict.sentence)
        }
    };
    format!("{sentence} [{code}]")
}

/// For reading what stands.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
