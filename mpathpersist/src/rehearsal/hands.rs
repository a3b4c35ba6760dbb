//! Hands that touch nothing: commands go to the copy, and what was done is written down.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use pr_policy::{Answer, Command, Event, PathId, PathState, Ticket, Transaction};
use scsi_pr::AnswerClass;

use super::copy::DeviceCopy;
use super::sounding::{Sounding, class};
use crate::executor::{self, Hands};
use crate::kernel::probed;

/// Something that a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// It sent a command; no answer: the path keeps silent.
    Send {
        path: PathId,
        command: Command,
        answer: Option<Answer>,
    },
    /// It looked whether a path is there.
    Probe {
        path: PathId,
        state: PathState,
    },
    Suspend,
    Resume,
}

/// A path that stops answering: its sending of this number, counted from 0, is the first that
/// has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) path: PathId,
    pub(super) sending: usize,
    /// Whether the device carries that one out all the same.
    pub(super) is_executed: bool,
}

/// Hands on a copy. Time passes only where there is nothing to do but to wait.
#[derive(Debug)]
pub(super) struct RehearsalHands {
    copy: DeviceCopy,
    soundings: Vec<Sounding>,
    loss: Option<Loss>,
    sent_to_lost: usize,
    acts: Vec<Act>,
    ready: VecDeque<Event>,
    now: Duration,
}

impl Act {
    pub(super) const fn path(&self) -> Option<PathId> {
        match self {
            Self::Send { path, .. } | Self::Probe { path, .. } => Some(*path),
            Self::Suspend | Self::Resume => None,
        }
    }

    pub(super) fn is_sent_to(&self, to: PathId) -> bool {
        matches!(self, Self::Send { path, .. } if *path == to)
    }

    pub(super) const fn path_of_change(&self) -> Option<PathId> {
        match self {
            Self::Send {
                path,
                command: Command::Out { .. },
                ..
            } => Some(*path),
            _ => None,
        }
    }

    /// A unit attention is no answer: the same is sent again at once.
    pub(super) fn is_asked_again(&self) -> bool {
        let Self::Send { answer, .. } = self else {
            return false;
        };
        let class = answer.as_ref().and_then(class);
        matches!(class, Some(AnswerClass::UnitAttention(_)))
    }
}

impl RehearsalHands {
    pub(super) fn new(copy: DeviceCopy, soundings: &[Sounding], loss: Option<Loss>) -> Self {
        Self {
            copy,
            soundings: soundings.to_vec(),
            loss,
            sent_to_lost: 0,
            acts: Vec::new(),
            ready: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// What stands in the end, and what was done.
    pub(super) fn into_parts(self) -> (DeviceCopy, Vec<Act>) {
        (self.copy, self.acts)
    }

    fn answer(&mut self, path: PathId, command: &Command) -> Option<Answer> {
        let Some(loss) = self.loss.filter(|loss| loss.path == path) else {
            return self.ordinary_answer(path, command);
        };
        let sending = self.sent_to_lost;
        self.sent_to_lost += 1;
        if sending < loss.sending {
            return self.ordinary_answer(path, command);
        }
        if sending == loss.sending && loss.is_executed {
            self.ordinary_answer(path, command);
        }
        Some(match sending == loss.sending {
            true => Answer::Lost,
            false => Answer::NotSent,
        })
    }

    fn ordinary_answer(&mut self, path: PathId, command: &Command) -> Option<Answer> {
        let at = usize::try_from(path.0).ok()?;
        match self.soundings.get_mut(at)? {
            Sounding::Silence => None,
            Sounding::Always(answer) => Some(answer.clone()),
            Sounding::Device { news } => {
                let waiting = news.pop_front();
                waiting.or_else(|| self.copy.execute(path, command))
            }
        }
    }

    fn state(&self, path: PathId) -> Option<PathState> {
        let is_lost = |loss: Loss| loss.path == path && self.sent_to_lost > loss.sending;
        if self.loss.is_some_and(is_lost) {
            return Some(PathState::Dead);
        }
        match self.soundings.get(usize::try_from(path.0).ok()?)? {
            Sounding::Silence => None,
            Sounding::Device { .. } => Some(PathState::Usable),
            Sounding::Always(answer) => Some(match class(answer) {
                // What is no reading command it may answer.
                Some(AnswerClass::Refused(_)) => PathState::Usable,
                _ => probed(answer),
            }),
        }
    }
}

impl Hands for RehearsalHands {
    type Error = Infallible;

    fn send(&mut self, ticket: Ticket, path: PathId, command: &Command) -> Result<(), Infallible> {
        let answer = self.answer(path, command);
        self.acts.push(Act::Send {
            path,
            command: command.clone(),
            answer: answer.clone(),
        });
        let event = answer.map(|answer| Event::Answered { ticket, answer });
        self.ready.extend(event);
        Ok(())
    }

    fn probe(&mut self, ticket: Ticket, path: PathId) -> Result<(), Infallible> {
        let state = self.state(path);
        self.acts.push(Act::Probe {
            path,
            state: state.unwrap_or(PathState::Dead),
        });
        let event = state.map(|state| Event::Probed { ticket, state });
        self.ready.extend(event);
        Ok(())
    }

    fn run_suspended(
        &mut self,
        ticket: Ticket,
        transaction: &mut Transaction,
    ) -> Result<(), Infallible> {
        self.acts.push(Act::Suspend);
        executor::run_as_if_suspended(self, ticket, transaction)?;
        self.acts.push(Act::Resume);
        Ok(())
    }

    fn wait(&mut self, until: Duration) -> Result<Option<Event>, Infallible> {
        let event = self.ready.pop_front();
        if event.is_none() {
            self.now = self.now.max(until);
        }
        Ok(event)
    }

    fn now(&self) -> Duration {
        self.now
    }
}
