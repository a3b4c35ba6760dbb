//! Before this node unregisters: what has to go first, and how.

use scsi_pr::{Reservation, ReservationKey};

use super::{Reservations, unclear};
use crate::courier::Courier;
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::purge::{Purging, Purpose};
use crate::register::Piloting;
use crate::release::Releasing;
use crate::request::{Register, RegisterMode, Release};
use crate::state::State;
use crate::takeover::{Goal, Takeover};

pub(super) fn unregister(
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
        let owner = census.left_behind(*key, job);
        let is_ours = owner.is_some_and(|owner| job.may_act_on(owner));
        if let Some(owner) = owner.filter(|_| job.nexuses_out_of_reach() > 0) {
            let others = census.count(*key).saturating_sub(job.usable().len());
            job.note_spared(*key, owner, others);
        }
        is_ours || census.is_all_ours(*key, job)
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

impl Job {
    /// As [`Self::judge_victim`], also where no key of ours is known: then only ports can tell,
    /// and what they do not tell is none of our business.
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
}
