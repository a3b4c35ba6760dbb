//! After a change of key: what the old one left on nexuses out of reach goes to the new one.

use scsi_pr::ReservationKey;

use super::unclear;
use crate::courier::Courier;
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::limits::MAX_PURGES;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Outcome};
use crate::purge::{Purging, Purpose, type_in_force};
use crate::state::State;

/// What the old key of this node left behind goes to the new one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inheritance {
    pub(crate) new_key: ReservationKey,
    pub(crate) old_key: ReservationKey,
    /// How often it has been tried.
    pub(crate) purges: u32,
}

pub(super) fn inherit(
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
    let stale = census.stale(old_key, job);
    let Some(owner) = stale.filter(|_| !job.makes(Mutation::LeaveOldKey)) else {
        return State::Finished(Outcome::Done);
    };
    let held = census.single_holder(old_key);
    if job.may_act_on(owner) && purges < MAX_PURGES {
        return Purging::start(
            Purpose::Inherit {
                inheritance: inheritance.once_more(),
                held,
                in_force: type_in_force(census),
            },
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
