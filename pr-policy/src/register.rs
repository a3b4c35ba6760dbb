//! Registering, changing the key and unregistering: one path first, then all the others.
//!
//! The first path, the *pilot*, decides whether the request is allowed at all, as one disk
//! would. After it has accepted, the others must follow: a path that carries I/O without the
//! right key breaks the map. A conflict there is the new key already, where a device keeps one
//! registration for several paths, or else a stale key that is replaced. Whoever shuts
//! this node out meanwhile takes away what the first paths have, and nothing from those that
//! follow: see [`Affirming`].

mod affirming;

use alloc::vec::Vec;

use scsi_pr::{ReservationKey, TransportId};

pub(crate) use self::affirming::{Affirming, Spread};
use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::broadcast::{Broadcast, BroadcastEnd, Orders, Width};
use crate::courier::{Courier, Persistence, Settled};
use crate::job::Job;
use crate::outcome::{Holding, Others, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterMode};
use crate::snapshot::{Path, PathId, PathState};
use crate::state::State;
use crate::transaction::{FanOut, Occasion};
use crate::undo::Undoing;
use crate::weigh::{Question, Weighing};
use crate::wire::Command;

/// Waits for a path to accept the registration.
#[derive(Debug, Clone)]
pub(crate) struct Piloting {
    attempt: Attempt,
    register: Register,
    stage: Stage,
}

/// What the paths are asked.
#[derive(Debug, Clone)]
enum Stage {
    /// To register.
    Registering,
    /// Whether they have the key already, since one that may have registered did not say so, and
    /// all others refuse: some devices keep one registration for all paths of an initiator port.
    Covered(Trail),
}

/// Waits for the other paths.
#[derive(Debug, Clone)]
pub(crate) struct FanningOut {
    broadcast: Broadcast,
    register: Register,
    accepted: Accepted,
}

/// Not the key that was to be replaced, but the new one: [`Job::insisting`].
const AFFIRMED: usize = 1;

/// Neither the key that was to be replaced, nor the new one: [`Job::insisting`].
const FORCED: usize = 2;

/// The proof that the device allowed this registration: the path that accepted it first.
#[derive(Debug, Clone)]
struct Accepted {
    pilot: PathId,
    /// Paths that may have accepted it before, without an answer.
    unheard: Vec<PathId>,
}

impl Piloting {
    /// After a look at what is registered already: each path changes its own, and one that was
    /// taken away in between would not be missed.
    pub(crate) fn start_asked(register: Register, job: &mut Job, courier: &mut Courier) -> State {
        Weighing::start(Question::Change(register), job, courier)
    }

    pub(crate) fn start(register: Register, job: &mut Job, courier: &mut Courier) -> State {
        let progress = Attempt::start_through(job, courier, register.command());
        Self::after(progress, register, Stage::Registering, job, courier)
    }

    fn start_covered(
        register: Register,
        trail: Trail,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let paths = trail.conflicts.clone();
        let progress = Attempt::start(courier, paths, register.affirming().command());
        Self::after(progress, register, Stage::Covered(trail), job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.register, self.stage, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        register: Register,
        stage: Stage,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Piloting(Self {
                    attempt,
                    register,
                    stage,
                });
            }
            Progress::Ended(end) => end,
        };
        match (end, stage) {
            (AttemptEnd::Done(pilot), _) => {
                let accepted = Accepted {
                    pilot,
                    unheard: trail.unknown.clone(),
                };
                FanningOut::start(register, accepted, &trail, job, courier)
            }
            (_, Stage::Covered(trail)) => unheard(&register, trail, job, courier),
            // One that did not answer may have registered: one disk that refuses has not.
            (AttemptEnd::Answered(path, reply), Stage::Registering)
                if reply.is_refusal() && !register.is_unregister() =>
            {
                let spread = Spread {
                    silent: trail.unknown,
                    ..Spread::unseen(register)
                };
                Undoing::start(spread, reply.into_outcome(path), job, courier)
            }
            (AttemptEnd::Answered(path, reply), Stage::Registering) => {
                State::Finished(reply.into_outcome(path))
            }
            (AttemptEnd::Exhausted, Stage::Registering)
                if trail.may_be_covered() && job.had_none_of(&register) =>
            {
                Self::start_covered(register, trail, job, courier)
            }
            (AttemptEnd::Exhausted, Stage::Registering) if !trail.unknown.is_empty() => {
                unheard(&register, trail, job, courier)
            }
            (AttemptEnd::Exhausted, Stage::Registering) => {
                let outcome = trail.into_outcome();
                match job.resumed_change(&register) {
                    Some(change) if outcome == Outcome::Conflict => {
                        Weighing::start(Question::Resume(change), job, courier)
                    }
                    _ => State::Finished(job.unless_strange(outcome)),
                }
            }
        }
    }
}

/// No path has accepted, and one that may have did not say so. If all others have lost the old key,
/// somebody has taken it from them: what the silent one has got nevertheless must not stay.
fn unheard(register: &Register, trail: Trail, job: &mut Job, courier: &mut Courier) -> State {
    let old = job
        .before_change
        .as_ref()
        .map_or(0, |before| before.old.count);
    let is_robbed = register.mode == RegisterMode::Compare
        && !register.is_unregister()
        && job.occasion == Occasion::Asked
        && !trail.conflicts.is_empty()
        && old > trail.unknown.len() + job.nexuses_out_of_reach();
    let outcome = trail.into_outcome();
    if !is_robbed {
        return State::Finished(outcome);
    }
    let spread = Spread::unseen(register.clone());
    State::shut_out(&spread, outcome, job, courier)
}

impl BroadcastEnd {
    /// Paths that the map did not use need not follow: they are settled before they carry I/O.
    fn disregard_strangers(&mut self, job: &Job) {
        let is_late = |path: PathId| job.occasion == Occasion::Asked && job.is_steady(path);
        self.conflicts.retain(|path| is_late(*path));
        self.answered.retain(|(path, _)| job.is_steady(*path));
        self.behind.retain(|(path, _)| job.is_steady(*path));
    }
}

impl FanningOut {
    fn start(
        register: Register,
        accepted: Accepted,
        trail: &Trail,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let suspects: Vec<PathId> = trail.unreachable().collect();
        let following = job.following(&register, accepted.pilot);
        let orders = Orders {
            last: job.holding.clone(),
            command: following.following_command(),
            insist: job.insisting(&following),
            // Where they are sent something else they have not answered that.
            stale: match following == register {
                true => trail.conflicts.clone(),
                false => Vec::new(),
            },
            width: job.width(),
            persistence: if register.is_unregister() {
                Persistence::Deadline
            } else {
                Persistence::Reversible
            },
        };
        let lanes = job.lanes(&register, Some(accepted.pilot), &suspects);
        let progress = Broadcast::start(courier, lanes, suspects, orders);
        Self::after(progress, register, accepted, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.broadcast.handle(settled, courier);
        Self::after(progress, self.register, self.accepted, job, courier)
    }

    fn after(
        progress: Progress<Broadcast, BroadcastEnd>,
        register: Register,
        accepted: Accepted,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let end = match progress {
            Progress::Waiting(broadcast) => {
                return State::FanningOut(Self {
                    broadcast,
                    register,
                    accepted,
                });
            }
            Progress::Ended(end) => end,
        };
        let mut end = end;
        let bare = end.conflicts.clone();
        end.disregard_strangers(job);
        let mut changed = Vec::from([accepted.pilot]);
        changed.extend(&end.done);
        let is_left = |path: &PathId| job.is_steady(*path);
        if register.is_unregister() && !changed.iter().any(is_left) {
            // None of the paths that the map uses: they have not unregistered.
            let path = job.steady.first().copied().unwrap_or(accepted.pilot);
            return State::Finished(Outcome::Unknown { path });
        }
        note_effects(&register, &changed, &end, job);
        job.effects.unheard = end.unheard().collect();
        let untold = accepted
            .unheard
            .iter()
            .filter(|path| !changed.contains(path));
        job.effects.unheard.extend(untold);
        job.effects.unheard.sort_unstable();
        job.effects.unheard.dedup();
        let failure = end.shortfall();
        let unheard = accepted.unheard.len() + end.unheard().count();
        if failure.is_none() && register.is_unregister() {
            job.note_absent(&end);
        } else if failure.is_none() {
            for (path, _) in &end.absent {
                job.note_state(*path, PathState::Dead);
            }
        }
        job.effects.keeps_one_per_port |= job.is_shared(&register, &accepted, &end);
        job.moved = register.moves_pilot() + end.moved();
        let spread = Spread {
            pilot: accepted.pilot,
            moved: job.moved,
            changed,
            forced: end.at(FORCED).collect(),
            bare,
            twice: job.is_registered_twice(&register, &accepted, &end),
            doubled: job.is_doubled(&register, &accepted, &end),
            unsure: job.telling(&register, &accepted).is_some()
                && end
                    .unseen_at(0)
                    .any(|path| job.share_port(path, accepted.pilot)),
            unheard,
            silent: end.may_have_followed().collect(),
            register,
        };
        Affirming::start(spread, failure, job, courier)
    }
}

impl Register {
    /// How many registrations the first path has changed: none, where it had the key already.
    fn moves_pilot(&self) -> usize {
        usize::from(self.key != self.new_key)
    }

    /// Asks for the new key in place of itself: it succeeds only where that is, and changes nothing
    /// but the generation. With the same APTPL and ALL_TG_PT: the device takes those of the last
    /// registration.
    fn affirming(&self) -> Self {
        Self {
            mode: RegisterMode::Compare,
            key: self.new_key,
            transport_ids: Vec::new(),
            ..self.clone()
        }
    }
}

fn note_effects(register: &Register, changed: &[PathId], end: &BroadcastEnd, job: &mut Job) {
    if !register.is_unregister() {
        job.effects.registration = Some(job.registered(register, changed));
    } else if end.shortfall().is_none() {
        job.effects.registration = Some(Registration::Unregistered);
        job.effects.holding = Some(Holding::NotHeld);
    }
}

impl Job {
    /// The change of key that was cut off, where no path has the new one: those that had are dead.
    fn resumed_change(&self, resumed: &Register) -> Option<Register> {
        let is_resumed = self.occasion == Occasion::Recovery
            && !resumed.is_unregister()
            && resumed.key == resumed.new_key;
        let old_key = self.remembered_key.filter(|old| *old != resumed.new_key);
        old_key.filter(|_| is_resumed).map(|key| Register {
            key,
            ..resumed.clone()
        })
    }

    /// Lets the paths of this port, which holds the reservation, change their key last.
    pub(crate) fn change_last_from(&mut self, port: &TransportId, register: &Register) {
        let is_of_port = |path: &Path| path.initiator_port.as_ref() == Some(port);
        if register.is_unregister() || self.paths.iter().all(is_of_port) {
            return;
        }
        self.paths.sort_by_key(is_of_port);
        let own = self.paths.iter().filter(|path| is_of_port(path));
        self.holding = own.map(|path| path.id).collect();
    }

    /// Whether none of this node's nexuses had the new key before, which is no end of one: one that
    /// has it now has got it since.
    fn had_none_of(&self, register: &Register) -> bool {
        let standing = self.before_change.as_ref();
        !register.is_unregister() && standing.is_some_and(|before| before.new.count == 0)
    }

    /// What the paths after the first are sent. Where the device named one registration of the
    /// first one's port before, or none, those of that port say whether they share one: that takes
    /// a REGISTER that does not ignore what is there.
    fn following(&self, register: &Register, pilot: PathId) -> Register {
        if let Some(change) = self.resumed_change(register) {
            return change;
        }
        let is_told = register.mode == RegisterMode::Compare || register.is_unregister();
        match self.lone_key(pilot).filter(|_| !is_told) {
            Some(key) => Register {
                mode: RegisterMode::Compare,
                key,
                ..register.clone()
            },
            None => register.clone(),
        }
    }

    /// The only key that this path's initiator port was registered with before, or none; where
    /// there were several registrations, or the device does not name them, nothing can be told.
    fn lone_key(&self, path: PathId) -> Option<ReservationKey> {
        let standing = self.before_change.as_ref()?;
        let port = self
            .initiator_port(path)
            .filter(|_| standing.new.is_named)?;
        let mut keys = standing.registered.iter().filter(|(own, _)| own == port);
        match (keys.next(), keys.next()) {
            (None, _) => Some(ReservationKey::NONE),
            (Some((_, key)), None) => Some(*key),
            _ => None,
        }
    }

    /// Whether the paths of one initiator port say both that they share a registration and that
    /// they made one: then it had gone in between.
    fn is_registered_twice(
        &self,
        register: &Register,
        accepted: &Accepted,
        end: &BroadcastEnd,
    ) -> bool {
        let Some(following) = self.telling(register, accepted) else {
            return false;
        };
        // What an answer to it says is so even if an earlier one was lost: executed, that would
        // have been refused. But who was not heard may share what it has made itself.
        let is_beside = |path: PathId| self.share_port(path, accepted.pilot);
        let made = |rung: usize| end.at(rung).any(is_beside);
        let shares = |rung: usize| end.heard_at(&[rung]).any(is_beside);
        let is_made_twice = match following.key == following.new_key {
            true => made(1) && shares(0),
            false => (made(0) || made(FORCED)) && shares(1),
        };
        // With nothing to replace, the first command would have been enough.
        is_made_twice || following.key.is_none() && made(FORCED)
    }

    /// Whether paths of the first one's port have the new key without having registered, which they
    /// were not allowed to.
    fn is_shared(&self, register: &Register, accepted: &Accepted, end: &BroadcastEnd) -> bool {
        let tells = !register.all_tg_pt
            && self
                .telling(register, accepted)
                .is_some_and(|following| following.key != following.new_key);
        let is_beside = |path: PathId| self.share_port(path, accepted.pilot);
        tells && end.heard_at(&[AFFIRMED]).any(is_beside)
    }

    /// Whether the paths of the first one's port have each made a registration: there are several
    /// now, unless they share one and it had gone in between.
    fn is_doubled(&self, register: &Register, accepted: &Accepted, end: &BroadcastEnd) -> bool {
        let made = |following: Register| {
            let rung = usize::from(following.key == following.new_key);
            let mut made = end.at(rung);
            made.any(|path| self.share_port(path, accepted.pilot))
        };
        self.telling(register, accepted).is_some_and(made)
    }

    /// What the paths after the first were sent, if it tells whether they share a registration.
    fn telling(&self, register: &Register, accepted: &Accepted) -> Option<Register> {
        let following = self.following(register, accepted.pilot);
        let is_lone = self.lone_key(accepted.pilot) == Some(following.key);
        let tells =
            following.mode == RegisterMode::Compare && accepted.unheard.is_empty() && is_lone;
        tells.then_some(following)
    }

    /// What paths after the first are sent where they refuse to follow. One that has the new key
    /// already is right: some devices keep one registration for all paths of an initiator port.
    /// After a crash the rest is settled before the path carries I/O.
    fn insisting(&self, register: &Register) -> Vec<Command> {
        let affirming = register.affirming();
        let is_affirmed = register.is_unregister()
            || register.mode == RegisterMode::Ignore
            || affirming == *register;
        let mut commands = Vec::new();
        if !is_affirmed {
            commands.push(affirming.command());
        }
        if self.occasion == Occasion::Asked || register.is_unregister() {
            commands.push(register.insisting_command());
        }
        commands
    }

    /// How many registrations the device is given at once.
    pub(crate) fn width(&self) -> Width {
        match self.fan_out {
            FanOut::Parallel => Width::All,
            FanOut::Sequential => Width::One,
        }
    }

    /// What is registered once these paths have accepted.
    pub(crate) fn registered(&self, register: &Register, accepted: &[PathId]) -> Registration {
        let covered = accepted
            .iter()
            .flat_map(|path| self.covered_by(register, *path));
        let mut paths: Vec<PathId> = covered.chain(accepted.iter().copied()).collect();
        paths.sort_unstable();
        paths.dedup();
        Registration::Registered {
            key: register.new_key,
            paths,
            others: Others::AsBefore,
        }
    }
}
