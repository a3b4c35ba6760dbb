//! Decisions that depend on whose the registrations are that no usable path has.

mod proving;

use scsi_pr::{Reservation, ReservationKey};

pub(crate) use self::proving::Proving;
use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::limits::MAX_PURGES;
use crate::outcome::{Holding, Outcome};
use crate::purge::{Purging, Purpose};
use crate::reading::Progress;
use crate::register::Piloting;
use crate::release::Releasing;
use crate::request::{Register, RegisterMode, Release, Reserve};
use crate::state::State;
use crate::takeover::{Goal, Takeover};
use crate::transaction::Doubt;

/// Waits for a census.
#[derive(Debug, Clone)]
pub(crate) struct Weighing {
    reading: CensusReading,
    question: Question,
}

/// What the census is to decide.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Every usable path has released, and the reservation stands: is it ours?
    Released(Release),
    /// Every usable path met a conflict: do we hold already?
    Reserve(Reserve),
    /// What has to go first, before this node unregisters?
    Unregister(Register, Reservations),
    /// The usable paths have the new key: what is left of the old one?
    Inherit(Inheritance),
}

/// What the old key of this node left behind goes to the new one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inheritance {
    pub(crate) new_key: ReservationKey,
    pub(crate) old_key: ReservationKey,
    /// How often it has been tried.
    pub(crate) purges: u32,
}

/// Whether our own reservation has been dealt with already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reservations {
    Standing,
    ReleasedWhereReachable,
}

impl Weighing {
    pub(crate) fn start(question: Question, job: &mut Job, courier: &mut Courier) -> State {
        let progress = CensusReading::start(job, courier);
        Self::after(progress, question, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle(settled, job, courier);
        Self::after(progress, self.question, job, courier)
    }

    pub(crate) fn handle_alarm(self, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.reading.handle_alarm(job, courier);
        Self::after(progress, self.question, job, courier)
    }

    fn after(
        progress: Progress<CensusReading, Result<Census, Outcome>>,
        question: Question,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let census = match progress {
            Progress::Waiting(reading) => return State::Weighing(Self { reading, question }),
            Progress::Ended(Ok(census)) => census,
            Progress::Ended(Err(outcome)) => {
                return State::Finished(unseen(outcome, &question, job));
            }
        };
        match question {
            Question::Released(release) => released(&release, &census, job, courier),
            Question::Reserve(reserve) => reserved(&reserve, &census, job, courier),
            Question::Unregister(register, reservations) => {
                unregister(register, reservations, &census, job, courier)
            }
            Question::Inherit(inheritance) => inherit(inheritance, &census, job, courier),
        }
    }
}

/// Nobody can say what is there.
fn unseen(read: Outcome, question: &Question, job: &Job) -> Outcome {
    match (read, question) {
        // That is what every path said; one that cannot be asked may be the holder.
        (Outcome::Unreachable { path }, Question::Reserve(_)) if job.nexuses_out_of_reach() > 0 => {
            Outcome::Unknown { path }
        }
        (_, Question::Reserve(_)) => Outcome::Conflict,
        // Every path has the new key, and there are no others.
        (_, Question::Inherit(_)) if job.nexuses_out_of_reach() == 0 => Outcome::Done,
        // Something was changed already.
        (
            Outcome::Unreachable { path },
            Question::Released(_)
            | Question::Inherit(_)
            | Question::Unregister(_, Reservations::ReleasedWhereReachable),
        ) => Outcome::Unknown { path },
        (read, _) => read,
    }
}

fn released(release: &Release, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    let Some(held) = census.single_holder(release.key) else {
        job.effects.holding = Some(Holding::NotHeld);
        return State::Finished(Outcome::Done);
    };
    match job.judge_victim(census, &held) {
        // One disk that is registered and does not hold may release in vain.
        Ownership::Foreign => {
            job.effects.holding = Some(Holding::NotHeld);
            State::Finished(Outcome::Done)
        }
        _ if held.reservation_type != release.reservation_type => {
            State::Finished(Outcome::Conflict)
        }
        Ownership::Ours => {
            let goal = Goal::Released(held.reservation_type);
            Takeover::of_dead_path(held.key, goal, census.generation()).start(job, courier)
        }
        Ownership::Unclear => State::Finished(unclear(&held)),
    }
}

/// One disk that holds may reserve again with the same type. Nothing is forced here: there is
/// nothing to be done.
fn reserved(reserve: &Reserve, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    let held = census.single_holder(reserve.key);
    let same = held.filter(|held| held.reservation_type == reserve.reservation_type);
    if same.is_none() || census.holder(reserve.key, job) != Ownership::Ours {
        return State::Finished(Outcome::Conflict);
    }
    match census.is_member(reserve.key, job) {
        Some(true) => State::reserved_already(reserve, job),
        Some(false) => State::Finished(Outcome::Conflict),
        None => Proving::start(reserve.clone(), job, courier),
    }
}

impl State {
    fn reserved_already(reserve: &Reserve, job: &mut Job) -> Self {
        job.effects.holding = Some(Holding::Held(reserve.reservation_type));
        Self::Finished(Outcome::Done)
    }
}

fn unregister(
    register: Register,
    reservations: Reservations,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let may_be_ours = census
        .reservation()
        .and_then(|held| releasable(held, &register, census, job));
    match (may_be_ours, reservations) {
        (
            Some(Reservation {
                key,
                reservation_type,
                ..
            }),
            Reservations::Standing,
        ) => {
            let release = Release {
                key,
                reservation_type,
            };
            return Releasing::start_before_unregistering(register, release, job, courier);
        }
        (Some(held), Reservations::ReleasedWhereReachable)
            if !held.reservation_type.is_all_registrants() =>
        {
            match job.judge_holder_of_any_key(census, &held) {
                Ownership::Ours => {
                    let goal = Goal::Unregistered(held.reservation_type);
                    let takeover = Takeover::of_dead_path(held.key, goal, census.generation());
                    return takeover.start(job, courier);
                }
                Ownership::Unclear => return State::Finished(unclear(&held)),
                Ownership::Foreign => {}
            }
        }
        _ => {}
    }
    let left = job.own_key().filter(|key| {
        let is_left = census.left_behind(*key, job);
        is_left.is_some_and(|owner| job.may_act_on(owner)) || census.is_all_ours(*key, job)
    });
    match left {
        Some(key) => Purging::start(Purpose::Unregister { register, key }, job, courier),
        None if job.usable().is_empty() => State::Finished(Outcome::NoUsablePath),
        None => Piloting::start(register, job, courier),
    }
}

/// What has to be released, and with which key, before a path of this node may be without a
/// registration. A reservation of all registrants ends with the last of them: if they are all
/// this node's it would fail the I/O of the paths that go first.
fn releasable(
    held: Reservation,
    register: &Register,
    census: &Census,
    job: &Job,
) -> Option<Reservation> {
    if !held.reservation_type.is_all_registrants() {
        return Some(held).filter(|held| may_hold(held.key, register, job));
    }
    let key = job.own_key()?;
    let is_alone = census.is_the_only_key(key) && census.may_be_all_ours(key, job);
    is_alone.then_some(Reservation { key, ..held })
}

/// A RELEASE works only on the nexus that holds, with the holder's key: sent in vain it does
/// nothing. So where no key of ours is known, and the device will unregister whatever is there,
/// any holder's key is tried.
fn may_hold(holder: ReservationKey, register: &Register, job: &Job) -> bool {
    match (job.own_key(), register.mode) {
        (Some(own), _) => own == holder,
        (None, RegisterMode::Ignore) => true,
        (None, RegisterMode::Compare) => false,
    }
}

fn inherit(
    inheritance: Inheritance,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let Inheritance {
        new_key,
        old_key,
        purges,
    } = inheritance;
    if purges > 0
        && let Some(held) = census.single_holder(new_key)
    {
        job.effects.holding = Some(Holding::Held(held.reservation_type));
    }
    let Some(owner) = census.stale(old_key, job) else {
        return State::Finished(Outcome::Done);
    };
    let held = census.single_holder(old_key);
    if job.may_act_on(owner) && purges < MAX_PURGES {
        return Purging::start(
            Purpose::Inherit(inheritance.once_more(), held),
            job,
            courier,
        );
    }
    match held {
        Some(held) if job.judge_victim(census, &held) != Ownership::Foreign => {
            State::Finished(unclear(&held))
        }
        _ => State::Finished(Outcome::Done),
    }
}

impl Inheritance {
    pub(crate) fn new(new_key: ReservationKey, old_key: ReservationKey) -> Self {
        Self {
            new_key,
            old_key,
            purges: 0,
        }
    }

    fn once_more(self) -> Self {
        Self {
            purges: self.purges + 1,
            ..self
        }
    }
}

fn unclear(held: &Reservation) -> Outcome {
    Outcome::HolderUnreachable {
        key: held.key,
        reservation_type: held.reservation_type,
    }
}

impl Job {
    /// Whose the holder is, for one who wants to preempt it; in doubt, what the caller chose.
    pub(crate) fn judge_victim(&self, census: &Census, held: &Reservation) -> Ownership {
        match census.preemptible_holder(held.key, self) {
            owner if self.may_act_on(owner) => Ownership::Ours,
            owner => owner,
        }
    }

    /// The same, also where no key of ours is known: then only ports can tell, and what they do
    /// not tell is none of our business.
    fn judge_holder_of_any_key(&self, census: &Census, held: &Reservation) -> Ownership {
        if self.own_key().is_some() {
            return self.judge_victim(census, held);
        }
        match (
            census.is_member(held.key, self),
            census.preemptible_holder(held.key, self),
        ) {
            (Some(true), owner) => owner,
            _ => Ownership::Foreign,
        }
    }

    fn may_act_on(&self, owner: Ownership) -> bool {
        owner == Ownership::Ours || self.doubt == Doubt::Override
    }
}
