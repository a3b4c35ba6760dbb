//! One command or probe on its way through one path.

use core::time::Duration;

use scsi_pr::{AnswerClass, OutAction, Sense, Status};

use crate::courier::Reply;
use crate::snapshot::PathId;
use crate::wire::{Action, Command, Ticket};

/// What is to be done through a path, and how far it is.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) ticket: Ticket,
    pub(crate) path: PathId,
    pub(crate) errand: Errand,
    pub(crate) phase: Phase,
    /// How long one sending may stay without an answer.
    pub(crate) patience: Duration,
    /// When the sending under way counts as lost.
    pub(crate) give_up: Duration,
    /// When it was sent.
    pub(crate) sent_at: Duration,
    /// Nothing is sent again from then on.
    pub(crate) stop: Duration,
    /// Whether the sending under way, a registration, was ever beside another one.
    pub(crate) company: Company,
    /// Unit attentions answered so far.
    pub(crate) attentions: u32,
    /// The next pause before a busy path is asked again.
    pub(crate) back_off: Duration,
}

/// Whether a registration was under way together with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    Alone,
    Beside,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    Command(Command),
    Probe,
    Suspend,
    Resume,
}

/// How far a task is.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// On its way; an answer with its ticket is awaited.
    Sent,
    /// There was no time left when it should have been sent.
    TooLate,
    /// The path was busy and is left alone for a while.
    Resting { until: Duration, last: Reply },
}

impl Task {
    pub(crate) fn action(&self) -> Action {
        let (ticket, path, give_up) = (self.ticket, self.path, self.give_up);
        match &self.errand {
            Errand::Suspend => Action::Suspend { ticket },
            Errand::Resume => Action::Resume { ticket },
            Errand::Probe => Action::Probe {
                ticket,
                path,
                give_up,
            },
            Errand::Command(command) => Action::Send {
                ticket,
                path,
                command: command.clone(),
                give_up,
            },
        }
    }

    pub(crate) fn wakes_at(&self) -> Duration {
        match self.phase {
            Phase::Sent | Phase::TooLate => self.give_up,
            Phase::Resting { until, .. } => until,
        }
    }

    pub(crate) fn is_out(&self) -> bool {
        matches!(self.errand, Errand::Command(Command::Out { .. }))
    }

    /// Whether this sends a registration that is under way, or about to be.
    pub(crate) fn is_registering(&self) -> bool {
        let is_register = matches!(
            self.errand,
            Errand::Command(Command::Out {
                action: OutAction::REGISTER | OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
                ..
            })
        );
        is_register && matches!(self.phase, Phase::Sent)
    }

    pub(crate) fn is_out_under_way(&self) -> bool {
        matches!(self.phase, Phase::Sent) && self.is_out()
    }
}

impl Errand {
    pub(crate) fn classify(&self, status: Status, sense: Option<&Sense>) -> AnswerClass {
        match self {
            Self::Command(Command::Out { action, .. }) => {
                scsi_pr::classify_for(*action, status, sense)
            }
            _ => scsi_pr::classify(status, sense),
        }
    }
}
