//! A path that came back, or is new, before it may carry I/O: is this node still a member?
//!
//! While the path was away another node may have shut this one out. To register the path again
//! would let it back in; not to register it would fail the I/O of a node that still belongs.
//! Membership is what the device says of this node's *other* nexuses, and it is asked again after
//! the path was registered: whoever shuts a node out takes all its registrations away, and finds
//! the late one missing from none of them.
//!
//! ```text
//!   Validating ── the path still has the key ───────────────────────────► reinstate
//!      │ conflict
//!   Counting ── named: one of ours has the key ─► Joining ─► Recounting ─► reinstate
//!      │  │      not named ─► Vouching ─► Joining ─► Vouching ───────────► reinstate
//!      │  └── none of ours has it                             │ shut out
//!      └──────────────────────────────► Leaving ◄─────────────┘
//!                                          └── not a member any more ────► reinstate
//!
//!   after a return that was cut off: Vouching ─► Validating
//! ```
//!
//! `docs/path_return.dot` has every step. The machine is driven like a
//! [`Transaction`](crate::Transaction), under the map's lock.

use alloc::vec::Vec;
use core::time::Duration;

use scsi_pr::ReservationKey;

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::{Census, Ownership, is_same_initiator};
use crate::job::Job;
use crate::limits::MAX_RECOUNTS;
use crate::mutation::Mutation;
use crate::outcome::{Effects, Holding, Others, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{Register, RegisterMode, census_request};
use crate::snapshot::{PathId, PathState, Snapshot};
use crate::transaction::Options;
use crate::wire::{Action, Event};

/// What this node remembers of its own registration on a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Membership {
    /// It never registered: its paths are none of our business.
    Never,
    /// It was registered, and is not any more: a path may still carry a key.
    Ended,
    /// It is registered with the snapshot's remembered key.
    Lasting,
}

/// What is known of the registration of the path itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// If the path has the key, it has had it all the time.
    Trusted,
    /// An earlier return of this path was cut off: it may have registered too late.
    Suspect,
}

/// What to do with the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is what this node is: reinstate it.
    Reinstate,
    /// It could not be settled: leave it out, and try again with this trust.
    TryAgain(Trust),
}

/// A path on its way back.
#[derive(Debug, Clone)]
pub struct PathReturn {
    courier: Courier,
    job: Job,
    path: PathId,
    /// What the path's own registration is worth, until it is given up.
    suspicion: Trust,
    /// The others that may have been registered too late, and how many are not in the map.
    suspects: Vec<PathId>,
    suspects_gone: usize,
    step: Step,
    rounds: u32,
}

#[derive(Debug, Clone)]
enum Step {
    /// Waits to hear whether the path still has the key.
    Validating(Attempt),
    /// Waits to hear whether another nexus of ours has it.
    Counting(CensusReading),
    /// Waits for another usable path to show that it has it.
    Vouching(Attempt, Joined),
    /// Waits for the path to take the key.
    Joining(Attempt, Proof),
    /// Waits to hear whether this node was shut out meanwhile.
    Recounting(CensusReading, Proof),
    /// Waits for the path to be without any key.
    Leaving(Attempt, AfterLeaving),
    Ended(Settlement),
}

/// Whether the path has been registered by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joined {
    No,
    /// By a return that was cut off.
    Perhaps,
    Yes,
}

/// Why this node is thought to be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The device named one of our nexuses, at this generation.
    Named(u32),
    /// There was a registration with our key, at this generation.
    Counted(u32),
    /// Another path has the key.
    Vouched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterLeaving {
    /// This node is no member (any more).
    Reinstate,
    /// Not now.
    TryAgain,
    /// Now that nothing doubtful is left: from the beginning.
    StartOver,
}

impl PathReturn {
    /// Begins with `path`, whatever its state in the snapshot; the map's lock must be held from
    /// before the snapshot was taken until the settlement has been carried out.
    #[must_use]
    pub fn new(
        path: PathId,
        membership: Membership,
        trust: Trust,
        snapshot: Snapshot,
        options: Options,
    ) -> Self {
        let key = snapshot.remembered_key;
        let mut suspects = snapshot.suspects.clone();
        suspects.retain(|suspect| *suspect != path);
        let suspects_gone = snapshot.suspects_gone;
        let mut job = Job::new(census_request(), snapshot, options);
        job.note_state(path, PathState::Doubtful);
        // It is known to be alive, which the other doubtful ones are not: it is read through
        // before them.
        job.paths.sort_by_key(|other| other.id != path);
        let mut machine = Self {
            courier: Courier::new(options.limits),
            job,
            path,
            suspicion: trust,
            suspects,
            suspects_gone,
            step: Step::Ended(Settlement::Reinstate),
            rounds: 0,
        };
        machine.step = match (membership, key, trust) {
            (Membership::Never, _, _) => Step::Ended(Settlement::Reinstate),
            (Membership::Ended, _, _) | (_, None, _) => machine.leave(AfterLeaving::Reinstate),
            // Not by giving its key up first where others can tell: some devices keep one
            // registration for all paths of an initiator port. If they still have the key, and it
            // has after that, then it is not too late.
            (Membership::Lasting, Some(key), Trust::Suspect) if !machine.others().is_empty() => {
                machine.ask_others(key, Joined::Perhaps)
            }
            (Membership::Lasting, Some(_), Trust::Suspect) => {
                machine.leave(AfterLeaving::StartOver)
            }
            (Membership::Lasting, Some(key), _)
                if machine.job.makes(Mutation::RegisterBeforeCheck) =>
            {
                let progress = machine.impose(key);
                machine.validated(progress)
            }
            (Membership::Lasting, Some(key), Trust::Trusted) => machine.validate(key),
        };
        machine
    }

    /// What to do next; every action is answered by an event, unless the settlement comes first.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.courier.poll_action()
    }

    /// When [`Self::handle_timeout`] wants to be called, if no event comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.courier.poll_timeout()
    }

    /// Takes in what happened.
    pub fn handle_event(&mut self, now: Duration, event: Event) {
        self.courier.advance_to(now);
        if let Some(settled) = self.courier.handle_event(event) {
            self.advance(settled);
        }
        self.handle_timeout(now);
    }

    /// Takes in that time has passed. Once the deadline is reached there is a settlement.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.courier.advance_to(now);
        loop {
            let settled = self.courier.handle_time();
            let is_quiet = settled.is_empty();
            for settled in settled {
                self.advance(settled);
            }
            if self.courier.take_alarm() {
                self.advance_alarm();
            } else if is_quiet {
                break;
            }
        }
        self.job.note_news(self.courier.take_news());
    }

    /// What to do with the path, once that is known.
    #[must_use]
    pub fn settlement(&self) -> Option<Settlement> {
        match self.step {
            Step::Ended(settlement) => Some(settlement),
            _ => None,
        }
    }

    /// What has been learned of this node's registration.
    #[must_use]
    pub fn effects(&self) -> &Effects {
        &self.job.effects
    }

    /// How far the path's own registration could be trusted if this were cut off now. The
    /// journal has to say so before the next action is carried out.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self.step {
            Step::Ended(Settlement::TryAgain(trust)) => trust,
            // Also once it is reinstated, until whoever carries this out has entered it among the
            // nexuses that are registered.
            _ => self.suspicion,
        }
    }

    /// What the machine waits for, in one word.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match self.step {
            Step::Validating(_) => "Validating",
            Step::Counting(_) => "Counting",
            Step::Vouching(..) => "Vouching",
            Step::Joining(..) => "Joining",
            Step::Recounting(..) => "Recounting",
            Step::Leaving(..) => "Leaving",
            Step::Ended(_) => "Ended",
        }
    }
}

/// Transitions.
impl PathReturn {
    fn advance(&mut self, settled: Settled) {
        let step = core::mem::replace(&mut self.step, Step::Ended(NOT_NOW));
        self.step = match step {
            Step::Validating(attempt) => {
                let progress = attempt.handle(settled, &mut self.courier);
                self.validated(progress)
            }
            Step::Counting(reading) => {
                let progress = reading.handle(settled, &self.job, &mut self.courier);
                self.counted(progress)
            }
            Step::Vouching(attempt, joined) => {
                let progress = attempt.handle(settled, &mut self.courier);
                self.vouched(progress, joined)
            }
            Step::Joining(attempt, proof) => {
                let progress = attempt.handle(settled, &mut self.courier);
                self.joined(progress, proof)
            }
            Step::Recounting(reading, proof) => {
                let progress = reading.handle(settled, &self.job, &mut self.courier);
                self.recounted(progress, proof)
            }
            Step::Leaving(attempt, then) => {
                let progress = attempt.handle(settled, &mut self.courier);
                self.left(progress, then)
            }
            Step::Ended(settlement) => Step::Ended(settlement),
        };
        self.rest();
    }

    fn advance_alarm(&mut self) {
        let step = core::mem::replace(&mut self.step, Step::Ended(NOT_NOW));
        self.step = match step {
            Step::Counting(reading) => {
                let progress = reading.handle_alarm(&self.job, &mut self.courier);
                self.counted(progress)
            }
            Step::Recounting(reading, proof) => {
                let progress = reading.handle_alarm(&self.job, &mut self.courier);
                self.recounted(progress, proof)
            }
            other => other,
        };
        self.rest();
    }

    fn rest(&mut self) {
        if matches!(self.step, Step::Ended(_)) {
            self.courier.drop_all();
        }
    }

    fn validate(&mut self, key: ReservationKey) -> Step {
        let progress = self.ask(Vec::from([self.path]), key, key);
        self.validated(progress)
    }

    fn validated(&mut self, progress: Progress<Attempt, (AttemptEnd, Trail)>) -> Step {
        match progress {
            Progress::Waiting(attempt) => Step::Validating(attempt),
            Progress::Ended((AttemptEnd::Done(_), _)) => self.reinstate(),
            Progress::Ended((AttemptEnd::Exhausted, trail)) if !trail.conflicts.is_empty() => {
                self.suspicion = Trust::Trusted;
                self.count()
            }
            Progress::Ended(_) => self.not_now(),
        }
    }

    fn count(&mut self) -> Step {
        let progress = CensusReading::start(&self.job, &mut self.courier);
        self.counted(progress)
    }

    fn counted(&mut self, progress: Progress<CensusReading, Result<Census, Outcome>>) -> Step {
        let census = match progress {
            Progress::Waiting(reading) => return Step::Counting(reading),
            Progress::Ended(Ok(census)) => census,
            Progress::Ended(Err(_)) => return self.not_now(),
        };
        let Some(key) = self.key() else {
            return self.leave(AfterLeaving::Reinstate);
        };
        let members = census.members(key, &self.job);
        let generation = census.generation();
        let late = self.late(&census, key);
        match members {
            Some(0) => self.expelled(),
            None if self.others().is_empty() && census.count(key) == 0 => self.expelled(),
            // What the others say is not what a nexus says that was registered too late.
            _ if late > 0 && !self.others().is_empty() => self.ask_others(key, Joined::No),
            _ if late > 0 && members.unwrap_or_else(|| census.count(key)) <= late => self.not_now(),
            // The path alone will have several registrations, one for each target port.
            Some(_) if self.job.all_tg_pt() && !self.others().is_empty() => {
                self.ask_others(key, Joined::No)
            }
            Some(_) if self.job.all_tg_pt() => self.join(key, Proof::Counted(generation)),
            Some(_) => self.join(key, Proof::Named(generation)),
            None if self.others().is_empty() => self.join(key, Proof::Counted(generation)),
            None => self.ask_others(key, Joined::No),
        }
    }

    fn ask_others(&mut self, key: ReservationKey, joined: Joined) -> Step {
        let progress = self.ask(self.others(), key, key);
        self.vouched(progress, joined)
    }

    fn vouched(
        &mut self,
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        joined: Joined,
    ) -> Step {
        match (progress, joined, self.key()) {
            (Progress::Waiting(attempt), _, _) => Step::Vouching(attempt, joined),
            (Progress::Ended((AttemptEnd::Done(_), _)), Joined::No, Some(key)) => {
                self.join(key, Proof::Vouched)
            }
            (Progress::Ended((AttemptEnd::Done(_), _)), Joined::Perhaps, Some(key)) => {
                self.validate(key)
            }
            (Progress::Ended((AttemptEnd::Done(_), _)), Joined::Yes, _) => self.reinstate(),
            (Progress::Ended((AttemptEnd::Exhausted, trail)), _, _)
                if !trail.conflicts.is_empty() && trail.unreachable().next().is_none() =>
            {
                self.expelled()
            }
            (_, Joined::No | Joined::Perhaps, _) => self.not_now(),
            (_, Joined::Yes, _) => self.try_again(),
        }
    }

    fn join(&mut self, key: ReservationKey, proof: Proof) -> Step {
        self.rounds += 1;
        self.suspicion = Trust::Suspect;
        let progress = self.impose(key);
        self.joined(progress, proof)
    }

    fn joined(&mut self, progress: Progress<Attempt, (AttemptEnd, Trail)>, proof: Proof) -> Step {
        match (progress, proof, self.key()) {
            (Progress::Waiting(attempt), _, _) => Step::Joining(attempt, proof),
            (Progress::Ended((AttemptEnd::Done(_), _)), Proof::Vouched, Some(key)) => {
                self.ask_others(key, Joined::Yes)
            }
            (Progress::Ended((AttemptEnd::Done(_), _)), _, _) => {
                let progress = CensusReading::start(&self.job, &mut self.courier);
                self.recounted(progress, proof)
            }
            _ => self.try_again(),
        }
    }

    fn recounted(
        &mut self,
        progress: Progress<CensusReading, Result<Census, Outcome>>,
        proof: Proof,
    ) -> Step {
        let census = match progress {
            Progress::Waiting(reading) => return Step::Recounting(reading, proof),
            Progress::Ended(Ok(census)) => census,
            Progress::Ended(Err(_)) => return self.try_again(),
        };
        let Some(key) = self.key() else {
            return self.try_again();
        };
        // Somebody has changed a registration meanwhile: whose, is not known.
        let is_disturbed = matches!(proof, Proof::Counted(seen)
            if census.generation() != seen.wrapping_add(1));
        if is_disturbed && self.rounds < MAX_RECOUNTS {
            return self.leave(AfterLeaving::StartOver);
        }
        // The path's own, which has just been registered, and those that prove nothing.
        let least = 1 + self.late(&census, key);
        let is_member = match proof {
            Proof::Named(_) => census
                .members(key, &self.job)
                .is_some_and(|count| count > least),
            Proof::Counted(seen) => {
                census.count(key) > least && census.generation() == seen.wrapping_add(1)
            }
            Proof::Vouched => false,
        };
        if is_member {
            self.reinstate()
        } else {
            self.expelled()
        }
    }

    /// This node is not a member any more.
    fn expelled(&mut self) -> Step {
        self.job.effects.registration = Some(Registration::Unregistered);
        self.job.effects.holding = Some(Holding::NotHeld);
        self.leave(AfterLeaving::Reinstate)
    }

    /// It may have registered too late. Some devices keep one registration for all paths of an
    /// initiator port: to end it there would take it from the others as well.
    fn try_again(&mut self) -> Step {
        let paths = self.job.paths.iter();
        let own = paths.clone().find(|path| path.id == self.path);
        let port = own.and_then(|path| path.initiator_port.as_ref());
        let mut others = paths.filter(|path| path.id != self.path);
        let is_shared = port.is_some()
            && others.any(|path| {
                path.state == PathState::Usable && path.initiator_port.as_ref() == port
            });
        if is_shared {
            return Step::Ended(Settlement::TryAgain(Trust::Suspect));
        }
        self.leave(AfterLeaving::TryAgain)
    }

    /// Nothing has been changed.
    fn not_now(&self) -> Step {
        Step::Ended(Settlement::TryAgain(self.suspicion))
    }

    fn leave(&mut self, then: AfterLeaving) -> Step {
        let progress = self.impose(ReservationKey::NONE);
        self.left(progress, then)
    }

    fn left(
        &mut self,
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        then: AfterLeaving,
    ) -> Step {
        match (progress, then, self.key()) {
            (Progress::Waiting(attempt), _, _) => Step::Leaving(attempt, then),
            (Progress::Ended((AttemptEnd::Done(_), _)), AfterLeaving::StartOver, Some(key)) => {
                self.suspicion = Trust::Trusted;
                self.validate(key)
            }
            (Progress::Ended((AttemptEnd::Done(_), _)), AfterLeaving::TryAgain, _) => {
                Step::Ended(NOT_NOW)
            }
            (Progress::Ended((AttemptEnd::Done(_), _)), _, _) => Step::Ended(Settlement::Reinstate),
            _ => Step::Ended(Settlement::TryAgain(Trust::Suspect)),
        }
    }

    fn reinstate(&mut self) -> Step {
        self.job.effects.registration = self.key().map(|key| Registration::Registered {
            key,
            paths: Vec::from([self.path]),
            others: Others::AsBefore,
        });
        Step::Ended(Settlement::Reinstate)
    }
}

/// What is known.
impl PathReturn {
    /// How many registrations with this key may have been made too late.
    fn late(&self, census: &Census, key: ReservationKey) -> usize {
        let ports = census.ports(key);
        let may_have = |suspect: &&PathId| match self.job.initiator_port(**suspect) {
            Some(own) if !ports.is_empty() => ports.iter().any(|port| is_same_initiator(own, port)),
            _ => census.count(key) > 0,
        };
        self.suspects_gone + self.suspects.iter().filter(may_have).count()
    }
}

/// Commands.
impl PathReturn {
    fn key(&self) -> Option<ReservationKey> {
        self.job.remembered_key
    }

    fn others(&self) -> Vec<PathId> {
        let mut paths = self.job.usable();
        paths.retain(|path| *path != self.path);
        paths
    }

    /// Changes `key` to `new_key`, on the first of these paths that has `key`.
    fn ask(
        &mut self,
        paths: Vec<PathId>,
        key: ReservationKey,
        new_key: ReservationKey,
    ) -> Progress<Attempt, (AttemptEnd, Trail)> {
        let register = Register {
            mode: RegisterMode::Compare,
            key,
            ..self.job.imposing(new_key)
        };
        Attempt::start(&mut self.courier, paths, register.command())
    }

    /// Registers the path with `key`, whatever it has.
    fn impose(&mut self, key: ReservationKey) -> Progress<Attempt, (AttemptEnd, Trail)> {
        let command = self.job.imposing(key).command();
        Attempt::start(&mut self.courier, Vec::from([self.path]), command)
    }
}

impl Census {
    /// How many nexuses of this node have `key`; `None` where the device or the host cannot tell.
    fn members(&self, key: ReservationKey, job: &Job) -> Option<usize> {
        let Self::Named(status) = self else {
            return None;
        };
        let found = status.descriptors.iter().filter(|found| found.key == key);
        let mut owners = found.map(|found| job.owner_of(&found.transport_id));
        owners.try_fold(0, |count, owner| match owner {
            Ownership::Ours => Some(count + 1),
            Ownership::Foreign => Some(count),
            Ownership::Unclear => None,
        })
    }
}

const NOT_NOW: Settlement = Settlement::TryAgain(Trust::Trusted);
