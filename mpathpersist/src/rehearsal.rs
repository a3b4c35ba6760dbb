//! A dry run: the request is carried out by the real policy, on a copy of what stands on the
//! device.
//!
//! What is registered is read; the logical unit of `scsi-pr` is made from that; and the
//! transaction that would run on the map runs on this copy. So the plan is not a second opinion
//! about what the command does: it is what it does, as long as nothing changes until then. What
//! if something does is played through as well, path by path.
//!
//! The map's lock is held while it is read. Nothing else is touched: no journal, no record, no key.

mod copy;
mod hands;
mod picture;
pub(crate) mod sounding;
mod words;

use mpath_state::config::Config;
use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::{MapLock, MapRecord};
use pr_policy::{
    Effects, KeyPlan, Limits, Look, Options, Outcome, PathId, Request, Snapshot, Transaction,
};

use self::copy::DeviceCopy;
use self::hands::{Act, Loss, RehearsalHands};
pub use self::picture::{OwnPath, Picture};
use self::sounding::Sounding;
use crate::books::Remembered;
use crate::device::{Device, is_in_force, other};
use crate::executor;
use crate::run::{Failure, Report, RunOptions};
use crate::view::{key_source, standing};

/// How a request would go.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// How it would end.
    pub report: Report,
    /// What stands now; `None`: the device could not be read.
    pub before: Option<Picture>,
    /// What would be done, in this order.
    pub steps: Vec<RehearsedStep>,
    /// What would stand then.
    pub after: Option<Picture>,
    /// How it would go if something happened meanwhile.
    pub branches: Vec<Branch>,
    /// What had to be assumed, one sentence each.
    pub assumptions: Vec<String>,
}

/// One thing that would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedStep {
    /// What, in the words of the standard.
    pub what: String,
    /// Through which paths.
    pub paths: Vec<String>,
    /// What is expected to come back, if anything does.
    pub answer: Option<String>,
    /// Whether it changes anything.
    pub changes: bool,
}

/// What might happen meanwhile, and how the request would end then.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// What happens.
    pub condition: Condition,
    /// Every end that it may come to that is not the one expected; none: it ends the same.
    pub ends: Vec<Report>,
}

/// What might happen while a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// One of these paths stops answering, at any step.
    PathLost(Vec<String>),
    /// Another node removes this node's registrations before.
    ShutOut,
}

impl Device<'_> {
    /// Plays a request through, without changing anything: see [`Rehearsal`].
    ///
    /// # Errors
    /// The request would be refused before anything is sent, or what stands on the device cannot
    /// be read.
    pub fn rehearse(
        &mut self,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Rehearsal, Failure> {
        let options = self.options(request, options);
        let lock = self.lock(options.limits.deadline / 2)?;
        self.refresh()?;
        let config = Config::load(&self.host.config).config;
        let prkeys = PrKeysFile::new(&self.host.prkeys);
        let (plan, _) = self.plan_key(request, &config, &prkeys)?;
        let request = self.with_configuration(request, &config);
        let soundings = self.carrier.sound(&self.map)?;
        let (record, damage) = match lock.read() {
            Ok(record) => (record, None),
            Err(error) => (None, Some(format!("{}: {error}", self.name()))),
        };
        let copy = self.copy(&config, record.as_ref(), &soundings)?;
        let scene = Scene {
            snapshot: Remembered::of_registered(record).onto(&self.map),
            request,
            options,
            soundings,
            copy,
        };
        let cut_off = self.cut_off(&lock, &scene.request);
        drop(lock);
        let mut rehearsal = self.told(&scene, plan);
        rehearsal.assumptions.extend(damage);
        rehearsal.assumptions.extend(cut_off);
        Ok(rehearsal)
    }

    fn copy(
        &self,
        config: &Config,
        record: Option<&MapRecord>,
        soundings: &[Sounding],
    ) -> Result<DeviceCopy, Failure> {
        let key = key_source(self.host, config, &self.map);
        let standing = standing(&self.map, record, &key);
        let remembered = Remembered::of_registered(record.cloned());
        let limits = Limits::IN;
        let mut look = Look::new(remembered.onto(&self.map), limits);
        self.carrier.look(&self.map, &mut look, limits.deadline)?;
        match look.appraise(&standing) {
            Ok(seen) => DeviceCopy::of(&seen, &self.map, record),
            // Nothing of it will be asked.
            Err(_) if !soundings.iter().any(Sounding::is_answer) => {
                Ok(DeviceCopy::blank(&self.map))
            }
            Err(outcome) => Err(unread(&self.report(outcome))),
        }
    }

    fn told(&self, scene: &Scene, plan: KeyPlan) -> Rehearsal {
        let played = scene.play(&scene.copy, None);
        let mut report = self.report(played.outcome.clone());
        if report.outcome == Outcome::Done {
            report
                .notes
                .extend(self.warn_of_single_nexus(&scene.request));
        }
        let mut steps = self.steps_of(&played.acts);
        if let Some(step) = self.key_step(plan) {
            steps.insert(0, step);
            if !is_in_force(plan, &report, &played.effects) {
                let what = "put the stored key back to what it was".to_owned();
                steps.push(RehearsedStep::of(what));
            }
        }
        Rehearsal {
            before: Picture::of(&scene.copy, &self.map),
            after: Picture::of(&played.copy, &self.map),
            branches: self.branches(scene, &played),
            assumptions: scene.copy.assumptions(&self.map),
            steps,
            report,
        }
    }

    fn steps_of(&self, acts: &[Act]) -> Vec<RehearsedStep> {
        let mut steps: Vec<RehearsedStep> = Vec::new();
        for act in acts.iter().filter(|act| !act.is_asked_again()) {
            let mut step = words::step(act);
            step.paths
                .extend(act.path().map(|path| self.path_name(path)));
            let is_same = |last: &&mut RehearsedStep| {
                (&last.what, &last.answer) == (&step.what, &step.answer) && act.path().is_some()
            };
            match steps.last_mut().filter(is_same) {
                Some(last) => last.paths.append(&mut step.paths),
                None => steps.push(step),
            }
        }
        steps
    }

    fn path_name(&self, path: PathId) -> String {
        let known = self.map.path(path);
        known.map_or_else(|| path.to_string(), |path| path.name.clone())
    }

    fn key_step(&self, plan: KeyPlan) -> Option<RehearsedStep> {
        let file = self.host.prkeys.display();
        Some(RehearsedStep::of(match plan {
            KeyPlan::Keep => return None,
            KeyPlan::Store { key } => format!("store {key} as the map's key in {file}"),
            KeyPlan::Forget => format!("remove the map's key from {file}"),
        }))
    }

    fn branches(&self, scene: &Scene, expected: &Played) -> Vec<Branch> {
        let mut branches: Vec<Branch> = Vec::new();
        for path in expected.paths_used() {
            let ends = self.ends_without(path, scene, expected);
            let name = self.path_name(path);
            let alike = branches.iter_mut().find(|branch| branch.ends == ends);
            match alike.map(|branch| &mut branch.condition) {
                Some(Condition::PathLost(paths)) => paths.push(name),
                _ => branches.push(Branch {
                    condition: Condition::PathLost(vec![name]),
                    ends,
                }),
            }
        }
        branches.extend(self.shut_out(scene, expected));
        branches
    }

    /// Every other end that it may come to if this path stops answering.
    fn ends_without(&self, path: PathId, scene: &Scene, expected: &Played) -> Vec<Report> {
        let mut ends: Vec<Report> = Vec::new();
        for loss in expected.losses(path) {
            let played = scene.play(&scene.copy, Some(loss));
            let is_same = expected.is_same_end(&played);
            // Which path it was is said already.
            let report = Report {
                path: None,
                ..self.report(nameless(played.outcome))
            };
            if !is_same && !ends.contains(&report) {
                ends.push(report);
            }
        }
        ends
    }

    fn shut_out(&self, scene: &Scene, expected: &Played) -> Option<Branch> {
        let shut_out = scene.copy.without_this_node()?;
        let played = scene.play(&shut_out, None);
        let is_same = played.outcome == expected.outcome;
        let report = self.report(played.outcome);
        Some(Branch {
            condition: Condition::ShutOut,
            ends: Vec::from_iter((!is_same).then_some(report)),
        })
    }

    /// The real command completes it first.
    fn cut_off(&self, lock: &MapLock, request: &Request) -> Option<String> {
        let leftover = self.leftover(lock)?;
        let note = leftover.note(self.name());
        (!leftover.is_superseded_by(request)).then(|| {
            format!(
                "{note}: the command completes that first, and what is told here is for the map \
                 as it is now; 'mpathpersist repair {}' completes it by itself",
                self.name()
            )
        })
    }
}

impl RehearsedStep {
    const fn of(what: String) -> Self {
        Self {
            what,
            paths: Vec::new(),
            answer: None,
            changes: true,
        }
    }
}

/// All that a request depends on.
struct Scene {
    request: Request,
    snapshot: Snapshot,
    options: Options,
    soundings: Vec<Sounding>,
    copy: DeviceCopy,
}

/// A request that was played through.
struct Played {
    outcome: Outcome,
    effects: Effects,
    acts: Vec<Act>,
    copy: DeviceCopy,
}

impl Scene {
    fn play(&self, copy: &DeviceCopy, loss: Option<Loss>) -> Played {
        let (request, snapshot) = (self.request.clone(), self.snapshot.clone());
        let mut transaction = Transaction::new(request, snapshot, self.options);
        let mut hands = RehearsalHands::new(copy.clone(), &self.soundings, loss);
        let Ok(outcome) = executor::carry_out(&mut transaction, &mut hands, |_| ());
        let (copy, acts) = hands.into_parts();
        Played {
            outcome,
            effects: transaction.effects().clone(),
            acts,
            copy,
        }
    }
}

impl Played {
    fn paths_used(&self) -> Vec<PathId> {
        let mut paths: Vec<PathId> = self.acts.iter().filter_map(Act::path_of_change).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// At each sending, once with the command carried out and once without.
    fn losses(&self, path: PathId) -> impl Iterator<Item = Loss> + use<> {
        let sent = self.acts.iter().filter(|act| act.is_sent_to(path)).count();
        (0..sent.min(MOST_LOSSES)).flat_map(move |sending| {
            [true, false].map(|is_executed| Loss {
                path,
                sending,
                is_executed,
            })
        })
    }

    /// Whether a person would say so: the same outcome, the same reservation in the same hands.
    fn is_same_end(&self, other: &Self) -> bool {
        let is_same_outcome = nameless(self.outcome.clone()) == nameless(other.outcome.clone());
        is_same_outcome && self.copy.holding() == other.copy.holding()
    }
}

/// The outcome as if it were of the first path.
fn nameless(outcome: Outcome) -> Outcome {
    let path = PathId(0);
    match outcome {
        Outcome::Answered { status, sense, .. } => Outcome::Answered {
            path,
            status,
            sense,
        },
        Outcome::Unreachable { .. } => Outcome::Unreachable { path },
        Outcome::Unknown { .. } => Outcome::Unknown { path },
        Outcome::Incomplete { .. } => Outcome::Incomplete { path },
        Outcome::Malformed { .. } => Outcome::Malformed { path },
        other => other,
    }
}

fn unread(report: &Report) -> Failure {
    let (code, sentence) =
        crate::cli::verdict::of_reading(&report.map, &report.outcome, &report.path);
    let prefix = format!("{}: ", report.map);
    let reason = sentence.strip_prefix(&prefix).unwrap_or(&sentence);
    other(
        &report.map,
        &std::io::Error::other(format!("nothing can be planned: {reason} [{code}]")),
    )
}

/// No policy sends more to one path.
const MOST_LOSSES: usize = 32;
