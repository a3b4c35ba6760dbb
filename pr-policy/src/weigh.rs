//! Decisions that depend on whose the registrations are that no usable path has.

mod inheriting;
mod moving;
mod proving;
mod unregistering;

use alloc::vec::Vec;

use scsi_pr::{Reservation, ReservationKey, Sense, SenseKey, Status};

pub(crate) use self::inheriting::{Inheritance, Late, take_back};
use self::inheriting::{change, inherit, resume, shut_out};
use self::moving::{cut_off, leave, moved};
pub(crate) use self::proving::{Claim, Proving};
use self::unregistering::unregister;
use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::{Census, Ownership};
use crate::job::Job;
use crate::mutation::Mutation;
use crate::outcome::{Holding, Others, Outcome, Registration, Spared};
use crate::reading::Progress;
use crate::register::Spread;
use crate::release::Releasing;
use crate::remnant::Remnants;
use crate::request::{Register, RegisterAndMove, Release, Request, Reserve};
use crate::snapshot::PathId;
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
    /// This path does not answer RESERVE: does it hold?
    ReserveUnheard(Reserve, PathId),
    /// No usable path may move the reservation, or this one does not say whether it has: does a
    /// path of ours hold that no command reaches?
    Move(RegisterAndMove, Option<PathId>),
    /// A command was cut off that may have preempted our own key: how much is left of it?
    Recall,
    /// What has to go first, before the reservation is moved and this node unregistered?
    Leave(RegisterAndMove),
    /// The command that moves the reservation was cut off: was it carried out?
    MoveCutOff(RegisterAndMove),
    /// This path did not answer RESERVE and refuses it now: had it held meanwhile?
    ReserveRepeated(Reserve, PathId),
    /// What has to go first, before this node unregisters?
    Unregister(Register, Reservations),
    /// How much is there of the key that is about to change?
    Change(Register),
    /// The command that registers was cut off: had any path taken the new key?
    Resume(Register),
    /// This node was shut out while it registered: what has it got nevertheless?
    ShutOut(Late),
    /// Something was taken away, lately or long ago, and a path that may have registered first has
    /// not said so: was it meanwhile?
    Overtaken(Spread),
    /// This node is out: what has it left on nexuses out of reach?
    Remnants(Remnants),
    /// The usable paths have the new key: what is left of the old one?
    Inherit(Inheritance),
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
            Progress::Ended(Ok(census)) => {
                job.type_in_force = census.reservation().map(|held| held.reservation_type);
                census
            }
            Progress::Ended(Err(read)) => return unread(read, question, job, courier),
        };
        match question {
            Question::Released(release) => released(&release, &census, job, courier),
            Question::Reserve(reserve) => reserved(&reserve, &census, job, courier),
            Question::ReserveUnheard(reserve, path) => {
                reserved_unheard(&reserve, path, &census, job, courier)
            }
            Question::Move(request, silent) => moved(&request, silent, &census, job, courier),
            Question::Recall => recall(&census, job, courier),
            Question::Leave(request) => leave(&request, &census, job, courier),
            Question::MoveCutOff(request) => cut_off(&request, &census, job, courier),
            Question::ReserveRepeated(reserve, path) => {
                reserved_repeated(&reserve, path, &census, job, courier)
            }
            Question::Unregister(register, reservations) => {
                unregister(register, reservations, &census, job, courier)
            }
            Question::Change(register) => change(register, Some(&census), job, courier),
            Question::Resume(register) => resume(register, &census, job, courier),
            Question::ShutOut(late) => shut_out(late, Some(&census), job, courier),
            Question::Overtaken(spread) => spread.unless_overtaken(Some(&census), job, courier),
            Question::Remnants(remnants) => remnants.weigh(&census, job, courier),
            Question::Inherit(inheritance) => inherit(inheritance, &census, job, courier),
        }
    }
}

/// Nobody can say what is there: some questions can go on without an answer.
fn unread(read: Outcome, question: Question, job: &mut Job, courier: &mut Courier) -> State {
    match question {
        Question::Change(register) => change(register, None, job, courier),
        Question::ShutOut(late) => shut_out(late, None, job, courier),
        Question::Recall => go_on(job, courier),
        Question::Overtaken(spread) => spread.unless_overtaken(None, job, courier),
        Question::Remnants(remnants) => remnants.end(courier),
        question => State::Finished(unseen(read, &question, job)),
    }
}

/// How it ends if nobody can say what is there.
fn unseen(read: Outcome, question: &Question, job: &Job) -> Outcome {
    match (read, question) {
        // That is what every path said; one that cannot be asked may be the holder.
        (Outcome::Unreachable { path }, Question::Reserve(_) | Question::Move(_, None))
            if job.nexuses_out_of_reach() > 0 =>
        {
            Outcome::Unknown { path }
        }
        (_, Question::Reserve(_) | Question::Move(_, None)) => Outcome::Conflict,
        (
            _,
            Question::ReserveUnheard(_, path)
            | Question::ReserveRepeated(_, path)
            | Question::Move(_, Some(path)),
        ) => Outcome::Unknown { path: *path },
        (_, Question::Inherit(inheritance)) if inheritance.is_done() => Outcome::Done,
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

/// What this node remembers must not be more than there is: a count of registrations is held
/// against it. Where ports are named they decide, and what is remembered beyond does no harm.
fn recall(census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    job.recall_holding(census);
    let key = job
        .remembered_key
        .filter(|_| matches!(census, Census::Counted { .. }));
    let left = key.map(|key| (key, census.count(key)));
    let is_less = |(_, left): &(_, usize)| *left < job.remembered_nexuses;
    if let Some((key, left)) = left.filter(is_less).filter(|(_, left)| *left > 0) {
        job.forget_nexuses(left);
        job.effects.registration = Some(Registration::Registered {
            key,
            paths: Vec::new(),
            others: Others::AtMost(left),
        });
    }
    go_on(job, courier)
}

/// RELEASE is repeated, a preemption is not.
fn go_on(job: &mut Job, courier: &mut Courier) -> State {
    match job.request.clone() {
        Request::Release(release) => Releasing::start(release, job, courier),
        _ => State::Finished(Outcome::Done),
    }
}

fn released(release: &Release, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    let Some(held) = census.single_holder(release.key) else {
        job.effects.holding = Some(Holding::NotHeld);
        if census.reservation().is_none() {
            return State::Finished(Outcome::Done);
        }
        let claim = Claim::Released(release.clone());
        return Proving::start(claim, job.usable(), job, courier);
    };
    match job.judge_victim(census, &held) {
        _ if job.makes(Mutation::ForgetDeadHolder) => State::Finished(Outcome::Done),
        // One disk that is registered and does not hold may release in vain.
        Ownership::Foreign => {
            job.effects.holding = Some(Holding::NotHeld);
            State::Finished(Outcome::Done)
        }
        _ if held.reservation_type != release.reservation_type => {
            State::Finished(invalid_release(job))
        }
        Ownership::Ours => {
            let goal = Goal::Released(held.reservation_type);
            Takeover::of_dead_path(held.key, goal, census.generation()).start(job, courier)
        }
        Ownership::Unclear => State::Finished(unclear(&held)),
    }
}

/// What the holder would have answered (SPC-4 5.12.11.1.2): it holds another type.
fn invalid_release(job: &Job) -> Outcome {
    match job.readable().first() {
        Some(path) => Outcome::Answered {
            path: *path,
            status: Status::CHECK_CONDITION,
            sense: Some(Sense::new(SenseKey::ILLEGAL_REQUEST, 0x26, 0x04)),
        },
        None => Outcome::NoUsablePath,
    }
}

/// One disk that holds may reserve again with the same type. Nothing is forced here: there is
/// nothing to be done.
fn reserved(reserve: &Reserve, census: &Census, job: &mut Job, courier: &mut Courier) -> State {
    if census.reservation().is_none() {
        return State::Finished(job.unless_strange(Outcome::Conflict));
    }
    let held = census.single_holder(reserve.key);
    let same = held.filter(|held| held.reservation_type == reserve.reservation_type);
    let Some(held) = same else {
        return State::Finished(Outcome::Conflict);
    };
    match census.holder(reserve.key, job) {
        Ownership::Ours => {}
        Ownership::Foreign => return State::Finished(Outcome::Conflict),
        Ownership::Unclear => return State::Finished(unclear(&held)),
    }
    match census.is_member(reserve.key, job) {
        Some(true) => State::reserved_already(reserve, job),
        Some(false) => State::Finished(Outcome::Conflict),
        None => {
            let claim = Claim::Reserved(reserve.clone());
            Proving::start(claim, job.usable(), job, courier)
        }
    }
}

/// Who is not registered any more may have held meanwhile, and been preempted.
fn reserved_repeated(
    reserve: &Reserve,
    path: PathId,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    if census.is_member(reserve.key, job) == Some(false) {
        return State::Finished(Outcome::Unknown { path });
    }
    reserved(reserve, census, job, courier)
}

/// A path that may hold does not say so, and a reservation with our key may be another node's.
fn reserved_unheard(
    reserve: &Reserve,
    path: PathId,
    census: &Census,
    job: &mut Job,
    courier: &mut Courier,
) -> State {
    let held = census.single_holder(reserve.key);
    let same = held.filter(|held| held.reservation_type == reserve.reservation_type);
    if same.is_none() || !census.may_hold(reserve.key, job) {
        return State::Finished(Outcome::Unknown { path });
    }
    match census.is_member(reserve.key, job) {
        Some(true) => State::reserved_already(reserve, job),
        Some(false) => State::Finished(Outcome::Unknown { path }),
        // Or all that is counted is another node's.
        None => {
            let claim = Claim::Reserved(reserve.clone());
            Proving::start(claim, job.usable(), job, courier)
        }
    }
}

impl State {
    fn reserved_already(reserve: &Reserve, job: &mut Job) -> Self {
        job.effects.holding = Some(Holding::Held(reserve.reservation_type));
        Self::Finished(Outcome::Done)
    }
}

fn unclear(held: &Reservation) -> Outcome {
    Outcome::HolderUnreachable {
        key: held.key,
        reservation_type: held.reservation_type,
    }
}

impl Census {
    /// Whether a reservation that is held with this key may be this node's, for all that is known.
    fn may_hold(&self, key: ReservationKey, job: &Job) -> bool {
        match self {
            Self::Named(_) => self.holder(key, job) == Ownership::Ours,
            Self::Counted { .. } => self.may_be_all_ours(key, job),
        }
    }
}

impl Job {
    /// So many are left at most, and rather those of the map's own paths.
    fn forget_nexuses(&mut self, left: usize) {
        let own = self.remembered_nexuses.saturating_sub(self.remembered_gone);
        self.remembered_gone = self.remembered_gone.min(left.saturating_sub(own));
        self.remembered_nexuses = left;
    }

    /// A preemption that was cut off may have made this node the holder: what it asked for is
    /// there.
    fn recall_holding(&mut self, census: &Census) {
        let Request::Preempt(preempt) = &self.request else {
            return;
        };
        let held = census.single_holder(preempt.key).filter(|held| {
            self.remembered_key == Some(held.key)
                && held.reservation_type == preempt.reservation_type
                && census.may_hold(held.key, self)
        });
        if let Some(held) = held {
            self.effects.holding = Some(Holding::Held(held.reservation_type));
        }
    }

    /// Whose the holder is, for one who wants to preempt it; in doubt, what the caller chose.
    pub(crate) fn judge_victim(&self, census: &Census, held: &Reservation) -> Ownership {
        match census.preemptible_holder(held.key, self) {
            _ if self.makes(Mutation::CountKeys) => Ownership::Ours,
            owner if self.may_act_on(owner) => Ownership::Ours,
            owner => owner,
        }
    }

    /// What is not ended since it cannot be told whose it is.
    fn note_spared(&mut self, key: ReservationKey, owner: Ownership, count: usize) {
        let is_unclear = owner == Ownership::Unclear && count > 0 && !self.may_act_on(owner);
        self.effects.spared = is_unclear.then_some(Spared { key, count });
    }

    fn may_act_on(&self, owner: Ownership) -> bool {
        owner == Ownership::Ours || self.doubt == Doubt::Override
    }
}
