//! REGISTER AND MOVE while the path that holds is out of reach: one disk would carry it out. A
//! living path takes the reservation over first, and moves it on.

use super::unclear;
use crate::ask::Asking;
use crate::courier::Courier;
use crate::evidence::{Census, Ownership, is_same_initiator};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::request::{RegisterAndMove, Request};
use crate::restore::Aftermath;
use crate::snapshot::{Before, PathId};
use crate::state::State;
use crate::takeover::Takeover;

/// No usable path may move the reservation, or one did not say whether it has: does a path of
/// ours hold that no command reaches?
pub(super) fn moved(
    moved: &RegisterAndMove,
    silent: Option<PathId>,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let refused = job.unless_strange(Outcome::Conflict);
    let unheard = silent.map_or(refused, |path| Outcome::Unknown { path });
    let Some(held) = census.single_holder(moved.key) else {
        return State::Finished(unheard);
    };
    // Within one node there is nothing to be moved, says one disk. And where keys alone tell, what
    // is held with the key may be what the silent path has moved.
    let may_be_moved =
        silent.is_some() && moved.new_key == moved.key && matches!(census, Census::Counted { .. });
    if may_be_moved || moved.names_path_of(job) {
        return State::Finished(unheard);
    }
    match job.judge_victim(census, &held) {
        Ownership::Ours => {
            let takeover = Takeover::to_move(moved, &held, census.generation());
            let takeover = takeover.after_silence_of(silent);
            takeover.start(job, courier)
        }
        Ownership::Foreign => State::Finished(unheard),
        Ownership::Unclear => State::Finished(unclear(&held)),
    }
}

/// The sender is to be unregistered with the move. Its other registrations go before, at once,
/// while a path is left that may preempt them: those out of reach, and those of paths that die in
/// this moment.
pub(super) fn leave(
    moved: &RegisterAndMove,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let is_named = matches!(census, Census::Named(_));
    let may_hold = !is_named || census.holder(moved.key, job) == Ownership::Ours;
    if may_hold && !job.request.is_move_in(census) {
        job.before_move = Some(Before {
            registrations: census.count(moved.key),
            generation: census.generation(),
            key: job.remembered_key,
        });
    }
    let takeover = census.single_holder(moved.key).and_then(|held| {
        let is_left = census.left_behind(moved.key, job).is_some()
            || census.is_all_ours(moved.key, job) && census.count(moved.key) > 1;
        let is_ours = job.judge_victim(census, &held) == Ownership::Ours;
        let may_go = is_left && is_ours && !moved.names_path_of(job);
        may_go.then(|| Takeover::to_move(moved, &held, census.generation()))
    });
    match takeover {
        Some(takeover) => takeover.start(job, courier),
        None => Asking::start(Aftermath::Spared, job, courier),
    }
}

/// What was asked for may have been carried out, if this node held; it is not repeated. A sender
/// that is to be unregistered looked before whether the reservation was there already, and did
/// nothing before it had; where ports are named also whether it is its own: it may have been moved
/// here, and not be remembered.
pub(super) fn cut_off(
    moved: &RegisterAndMove,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let has_looked = moved.unregister && job.before_crash.is_some();
    let is_named = matches!(census, Census::Named(_));
    let was_ours = match has_looked && is_named {
        true => true,
        false => job.remembered_holding && (has_looked || !moved.unregister),
    };
    if was_ours && job.request.is_move_in(census) {
        State::moved_away(moved, None, job, courier)
    } else {
        State::Finished(Outcome::Conflict)
    }
}

impl Request {
    /// Whether the reservation is where this was to move it. Where ports are not named, and the
    /// key is the same before and after, nobody can tell.
    pub(crate) fn is_move_in(&self, census: &Census) -> bool {
        let Self::RegisterAndMove(moved) = self else {
            return false;
        };
        let held = census.reservation();
        if held.is_none_or(|held| held.reservation_type.is_all_registrants()) {
            return false;
        }
        match census {
            Census::Named(status) => status.descriptors.iter().any(|found| {
                found.holder
                    && found.key == moved.new_key
                    && is_same_initiator(&found.transport_id, &moved.transport_id)
                    && found.relative_target_port == moved.relative_target_port
            }),
            Census::Counted { .. } => {
                moved.new_key != moved.key && census.single_holder(moved.new_key).is_some()
            }
        }
    }
}
