//! What becomes of an action: it arrives or not, the unit executes it or not, it is answered or
//! not.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use scsi_pr::device_server::Quirks;
use scsi_pr::{OutAction, Sense, SenseKey, Status};

use super::op::{Fault, Link};
use super::stage::World;
use crate::snapshot::{PathId, PathState};
use crate::wire::{Action, Answer, Command, Event, Success, Ticket};

impl World {
    pub(super) fn carry_out(
        &mut self,
        node: usize,
        action: &Action,
        mishap: Option<Fault>,
        waiting: &VecDeque<Action>,
    ) -> (Option<Event>, &'static str) {
        match action {
            Action::Probe { ticket, path, .. } => {
                let link = self.slot(node, *path).map(|slot| slot.link);
                let ticket = *ticket;
                match link {
                    Some(Link::Up) => {
                        let state = PathState::Usable;
                        (Some(Event::Probed { ticket, state }), "usable")
                    }
                    Some(Link::Hanging) => (None, "hangs"),
                    _ => {
                        let state = PathState::Dead;
                        (Some(Event::Probed { ticket, state }), "dead")
                    }
                }
            }
            Action::Suspend { ticket } => {
                let is_done = mishap != Some(Fault::NotSuspended);
                self.nodes[node].is_suspended = is_done;
                let (success, word) = match is_done {
                    true => (Success::Yes, "done"),
                    false => (Success::No, "refused"),
                };
                let ticket = *ticket;
                (Some(Event::Suspended { ticket, success }), word)
            }
            Action::Resume { ticket } => {
                self.nodes[node].is_suspended = false;
                (Some(Event::Resumed { ticket: *ticket }), "done")
            }
            Action::Send {
                ticket,
                path,
                command,
                ..
            } => {
                let (answer, word) = self.send(node, *path, command, mishap, waiting);
                let event = answer.map(|answer| answered(*ticket, answer));
                (event, word)
            }
        }
    }

    fn send(
        &mut self,
        node: usize,
        path: PathId,
        command: &Command,
        mishap: Option<Fault>,
        waiting: &VecDeque<Action>,
    ) -> (Option<Answer>, &'static str) {
        let link = self.slot(node, path).map_or(Link::Gone, |slot| slot.link);
        match (link, mishap) {
            (Link::Gone, _) => (Some(Answer::NotSent), "not sent"),
            (Link::Down, _) => (Some(Answer::Lost), "lost, the path is down"),
            (Link::Hanging, _) => (None, "hangs"),
            (Link::Up, Some(Fault::Lost)) => (Some(Answer::Lost), "lost"),
            (Link::Up, Some(Fault::Hangs)) => (None, "hangs"),
            (Link::Up, Some(Fault::Busy)) => (Some(status(Status::BUSY, None)), "busy"),
            (Link::Up, Some(Fault::Transition)) => {
                let sense = Sense::new(SenseKey::NOT_READY, 0x04, 0x0a);
                let answer = status(Status::CHECK_CONDITION, Some(sense));
                (Some(answer), "in transition")
            }
            (Link::Up, mishap) => {
                let answer = self.execute(node, path, command, waiting);
                let word = word_of(&answer);
                match mishap {
                    Some(Fault::Unanswered) => (Some(Answer::Lost), "executed, lost"),
                    Some(Fault::HangsExecuted) => (None, "executed, hangs"),
                    _ => (Some(answer), word),
                }
            }
        }
    }

    fn execute(
        &mut self,
        node: usize,
        path: PathId,
        command: &Command,
        waiting: &VecDeque<Action>,
    ) -> Answer {
        let nexus = self.setting.nexus(node, path.0 as usize).clone();
        let (cdb, list) = command.encode();
        let is_crowded = self.setting.profile.has(Quirks::ONE_AT_A_TIME)
            && is_register(command)
            && waiting.iter().any(is_registering);
        if is_crowded {
            self.unit.begin_registration();
        }
        let response = self.unit.execute(&nexus, &cdb, &list);
        self.unit.complete_registration();
        Answer::Status {
            status: response.status,
            sense: response.sense,
            data: response.data,
        }
    }
}

fn answered(ticket: Ticket, answer: Answer) -> Event {
    Event::Answered { ticket, answer }
}

fn status(status: Status, sense: Option<Sense>) -> Answer {
    Answer::Status {
        status,
        sense,
        data: Vec::new(),
    }
}

fn word_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Status { status, .. } => match *status {
            Status::GOOD => "good",
            Status::RESERVATION_CONFLICT => "conflict",
            Status::BUSY => "busy",
            _ => "check condition",
        },
        Answer::NotSent => "not sent",
        Answer::Lost => "lost",
    }
}

fn is_registering(action: &Action) -> bool {
    matches!(action, Action::Send { command, .. } if is_register(command))
}

fn is_register(command: &Command) -> bool {
    matches!(
        command,
        Command::Out {
            action: OutAction::REGISTER | OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
            ..
        }
    )
}
