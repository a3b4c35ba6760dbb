//! Commands that one path carries out for the whole map: RESERVE, CLEAR, PREEMPT, REGISTER AND
//! MOVE.

use alloc::vec::Vec;

use crate::attempt::{Attempt, AttemptEnd, Trail};
use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::learn::Learning;
use crate::outcome::{Holding, Others, Outcome, Registration};
use crate::reading::Progress;
use crate::request::{RegisterAndMove, Request};
use crate::restore::{Aftermath, Restoring};
use crate::snapshot::PathId;
use crate::state::State;
use crate::verify::Verifying;
use crate::weigh::{Question, Weighing};

/// Waits for a path to accept the command.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    attempt: Attempt,
    aftermath: Aftermath,
    round: Round,
}

/// How often the command is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    /// RESERVE again, through the paths that did not answer: a nexus that holds may repeat it,
    /// and no other. The first of them is named.
    Again(PathId),
}

impl Asking {
    pub(crate) fn start(aftermath: Aftermath, job: &mut Job, courier: &mut Courier) -> State {
        let Some(command) = job.request.out_command() else {
            return State::Finished(Outcome::NoUsablePath);
        };
        let progress = Attempt::start_through(job, courier, command);
        Self::after(progress, aftermath, Round::First, job, courier)
    }

    pub(crate) fn handle(self, settled: Settled, job: &mut Job, courier: &mut Courier) -> State {
        let progress = self.attempt.handle(settled, courier);
        Self::after(progress, self.aftermath, self.round, job, courier)
    }

    fn after(
        progress: Progress<Attempt, (AttemptEnd, Trail)>,
        aftermath: Aftermath,
        round: Round,
        job: &mut Job,
        courier: &mut Courier,
    ) -> State {
        let (end, trail) = match progress {
            Progress::Waiting(attempt) => {
                return State::Asking(Self {
                    attempt,
                    aftermath,
                    round,
                });
            }
            Progress::Ended(end) => end,
        };
        let silent: Vec<PathId> = trail.unreachable().collect();
        job.demote(&silent);
        match end {
            AttemptEnd::Done(path) => State::accepted(Some(path), aftermath, job, courier),
            AttemptEnd::Answered(path, reply) => State::Finished(reply.into_outcome(path)),
            AttemptEnd::Exhausted => match (job.request.clone(), trail.unknown.first(), round) {
                (Request::Reserve(_), Some(_), Round::First) => {
                    Self::again(trail.unknown, job, courier)
                }
                (Request::Reserve(reserve), Some(silent), Round::Again(_)) => {
                    let question = Question::ReserveUnheard(reserve, *silent);
                    Weighing::start(question, job, courier)
                }
                // It was not even sent again: all is as it was after the first time.
                (Request::Reserve(reserve), None, Round::Again(silent))
                    if trail.conflicts.is_empty() =>
                {
                    let question = Question::ReserveUnheard(reserve, silent);
                    Weighing::start(question, job, courier)
                }
                (Request::RegisterAndMove(moved), Some(silent), _) => {
                    let question = Question::Move(moved, Some(*silent));
                    Weighing::start(question, job, courier)
                }
                (Request::Reserve(reserve), None, Round::Again(silent)) => {
                    let question = Question::ReserveRepeated(reserve, silent);
                    Weighing::start(question, job, courier)
                }
                (_, Some(silent), _) => Verifying::start(*silent, trail, aftermath, job, courier),
                (_, None, _) => exhausted(trail, job, courier),
            },
        }
    }

    fn again(silent: Vec<PathId>, job: &mut Job, courier: &mut Courier) -> State {
        let (Some(command), Some(first)) = (job.request.out_command(), silent.first().copied())
        else {
            return State::Finished(Outcome::NoUsablePath);
        };
        let progress = Attempt::start(courier, silent, command);
        let round = Round::Again(first);
        Self::after(progress, Aftermath::Spared, round, job, courier)
    }
}

/// No path accepted. A RESERVE or a move that only met conflicts may be one that a dead path of
/// ours answers for.
fn exhausted(trail: Trail, job: &mut Job, courier: &mut Courier) -> State {
    match (job.request.clone(), trail.into_outcome()) {
        (Request::Reserve(reserve), Outcome::Conflict) => {
            Weighing::start(Question::Reserve(reserve), job, courier)
        }
        (Request::RegisterAndMove(moved), Outcome::Conflict) => {
            Weighing::start(Question::Move(moved, None), job, courier)
        }
        (_, outcome) => State::Finished(job.unless_strange(outcome)),
    }
}

impl Job {
    /// A path that reserves or preempts is registered with the request's key, whatever the record
    /// says: a REGISTER without an answer had been executed.
    fn note_membership(&mut self, done_by: Option<PathId>) {
        let key = match &self.request {
            Request::Reserve(reserve) => reserve.key,
            Request::Preempt(preempt) if preempt.victim != preempt.key => preempt.key,
            _ => return,
        };
        let Some(path) = done_by.filter(|_| self.remembered_key.is_none()) else {
            return;
        };
        self.effects.registration = Some(Registration::Registered {
            key,
            paths: Vec::from([path]),
            others: Others::AsBefore,
        });
    }
}

impl State {
    /// The device has carried out the command; `done_by` is the path that said so, if one did.
    pub(crate) fn accepted(
        done_by: Option<PathId>,
        aftermath: Aftermath,
        job: &mut Job,
        courier: &mut Courier,
    ) -> Self {
        job.note_membership(done_by);
        match job.request.clone() {
            Request::Preempt(preempt) => {
                return Learning::start(preempt, aftermath, job, courier);
            }
            Request::Reserve(reserve) => {
                job.effects.holding = Some(Holding::Held(reserve.reservation_type));
            }
            Request::Clear(_) => {
                job.effects.registration = Some(Registration::Unregistered);
                job.effects.holding = Some(Holding::NotHeld);
            }
            Request::RegisterAndMove(moved) => {
                return Self::moved_away(&moved, done_by, job, courier);
            }
            Request::Read(_) | Request::Register(_) | Request::Release(_) => {}
        }
        Self::Finished(Outcome::Done)
    }

    /// The reservation now belongs to another nexus, which may be one of this node's own. With
    /// UNREG one disk would not be registered any more: the sender's other paths go as well.
    pub(crate) fn moved_away(
        moved: &RegisterAndMove,
        done_by: Option<PathId>,
        job: &mut Job,
        courier: &mut Courier,
    ) -> Self {
        if !moved.names_path_of(job) {
            job.effects.holding = Some(Holding::NotHeld);
        }
        if moved.unregister {
            return Restoring::start_leaving(moved, done_by, job, courier);
        }
        Self::Finished(Outcome::Done)
    }
}
