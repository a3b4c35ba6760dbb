//! Decisions that depend on whose the registrations are that no usable path has.

use scsi_pr::{Reservation, ReservationKey};

use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
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
    Inherit {
        new_key: ReservationKey,
        old_key: ReservationKey,
    },
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
            Progress::Ended(Err(outcome)) => return State::Finished(unseen(outcome, &question)),
        };
        match question {
            Question::Released(release) => released(&release, &census, job, courier),
            Question::Reserve(reserve) => reserved(&reserve, &census, job),
            Question::Unregister(register, reservations) => {
                unregister(register, reservations, &census, job, courier)
            }
            Question::Inherit { new_key, old_key } => {
                inherit(new_key, old_key, &census, job, courier)
            }
        }
    }
}

/// Something was changed already, and nobody can say what that left.
fn unseen(read: Outcome, question: &Question) -> Outcome {
    match (read, question) {
        (Outcome::Unreachable { path }, Question::Released(_) | Question::Inherit { .. }) => {
            Outcome::Unknown { path }
        }
        (Outcome::Unreachable { .. }, Question::Reserve(_)) => Outcome::Conflict,
        (read, _) => read,
    }
}

fn released(release: &Release, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    let held = census.single_holder(release.key);
    let Some(held) = held.filter(|held| held.reservation_type == release.reservation_type) else {
        job.effects.holding = Some(Holding::NotHeld);
        return State::Finished(Outcome::Done);
    };
    match job.judge_holder(census, &held) {
        Ownership::Ours => {
            let goal = Goal::Released(held.reservation_type);
            Takeover::of_dead_path(held.key, goal).start(job, courier)
        }
        // One disk that is registered and does not hold may release in vain.
        Ownership::Foreign => {
            job.effects.holding = Some(Holding::NotHeld);
            State::Finished(Outcome::Done)
        }
        Ownership::Unclear => State::Finished(unclear(&held)),
    }
}

/// One disk that holds may reserve again with the same type.
fn reserved(reserve: &Reserve, census: &Census, job: &mut Job) -> State {
    let held = census.single_holder(reserve.key);
    let same = held.filter(|held| held.reservation_type == reserve.reservation_type);
    let is_ours = same.is_some_and(|held| job.judge_holder(census, &held) == Ownership::Ours);
    if !is_ours {
        return State::Finished(Outcome::Conflict);
    }
    job.effects.holding = Some(Holding::Held(reserve.reservation_type));
    State::Finished(Outcome::Done)
}

fn unregister(
    register: Register,
    reservations: Reservations,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let single = census
        .reservation()
        .filter(|reservation| !reservation.reservation_type.is_all_registrants());
    let may_be_ours = single.filter(|reservation| may_hold(reservation.key, &register, job));
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
        (Some(held), Reservations::ReleasedWhereReachable) => {
            match job.judge_holder(census, &held) {
                Ownership::Ours => {
                    let goal = Goal::Unregistered(held.reservation_type);
                    return Takeover::of_dead_path(held.key, goal).start(job, courier);
                }
                Ownership::Unclear => return State::Finished(unclear(&held)),
                Ownership::Foreign => {}
            }
        }
        (None, _) => {}
    }
    let left = job.own_key().filter(|key| {
        census
            .left_behind(*key, job)
            .is_some_and(|owner| job.may_act_on(owner))
    });
    match left {
        Some(key) => Purging::start(Purpose::Unregister { register, key }, job, courier),
        None if job.usable().is_empty() => State::Finished(Outcome::NoUsablePath),
        None => Piloting::start(register, job, courier),
    }
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
    new_key: ReservationKey,
    old_key: ReservationKey,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let Some(owner) = census.stale(old_key, job) else {
        return State::Finished(Outcome::Done);
    };
    let held = census.single_holder(old_key);
    if job.may_act_on(owner) {
        let purpose = Purpose::Inherit {
            new_key,
            old_key,
            held,
        };
        return Purging::start(purpose, job, courier);
    }
    match held {
        Some(held) if job.judge_holder(census, &held) != Ownership::Foreign => {
            State::Finished(unclear(&held))
        }
        _ => State::Finished(Outcome::Done),
    }
}

fn unclear(held: &Reservation) -> Outcome {
    Outcome::HolderUnreachable {
        key: held.key,
        reservation_type: held.reservation_type,
    }
}

impl Job {
    /// Whose the holder is; in doubt, what the caller chose.
    fn judge_holder(&self, census: &Census, held: &Reservation) -> Ownership {
        match census.holder(held.key, self) {
            owner if self.may_act_on(owner) => Ownership::Ours,
            owner => owner,
        }
    }

    fn may_act_on(&self, owner: Ownership) -> bool {
        owner == Ownership::Ours || self.doubt == Doubt::Override
    }
}
