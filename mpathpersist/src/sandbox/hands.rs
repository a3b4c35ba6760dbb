//! The hands in a sandbox: every command is carried out by the simulated array, at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dm_multipath::scsi;
use pr_policy::{Answer, Command, Event, PathId, PathState, Ticket, Transaction};

use scsi_pr::OutAction;

use super::san::Condition;
use super::{Node, SandboxError};
use crate::executor::{self, Hands};
use crate::kernel::{KernelPath, probed};

/// Hands that send to the paths of one map of a node.
#[derive(Debug)]
pub struct SandboxHands<'a> {
    node: &'a Node,
    paths: &'a [KernelPath],
    ready: VecDeque<Event>,
    /// Registrations whose answer has not been taken yet: the array works on them.
    registering: Vec<Ticket>,
    started: Instant,
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// There is an answer.
    Answered(Answer),
    /// There will never be one.
    Silence,
}

/// What else the array works on when a command arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    None,
    /// Another registration.
    Registration,
}

impl<'a> SandboxHands<'a> {
    /// Hands for the paths of one map; [`PathId`] counts along `paths`.
    #[must_use]
    pub fn new(node: &'a Node, paths: &'a [KernelPath]) -> Self {
        Self {
            node,
            paths,
            ready: VecDeque::new(),
            registering: Vec::new(),
            started: Instant::now(),
        }
    }

    fn path(&self, id: PathId) -> Option<&'a KernelPath> {
        self.paths.get(usize::try_from(id.0).ok()?)
    }

    fn fate(
        &self,
        id: PathId,
        company: Company,
        cdb: &[u8],
        data_out: &[u8],
    ) -> Result<Fate, SandboxError> {
        match self.path(id) {
            Some(path) => self.node.transmit_in(company, &path.name, cdb, data_out),
            None => Ok(Fate::Answered(Answer::NotSent)),
        }
    }
}

impl Hands for SandboxHands<'_> {
    type Error = SandboxError;

    fn send(&mut self, ticket: Ticket, path: PathId, command: &Command) -> Result<(), Self::Error> {
        let (cdb, data_out) = command.encode();
        let company = match is_register(command) && !self.registering.is_empty() {
            true => Company::Registration,
            false => Company::None,
        };
        if let Fate::Answered(answer) = self.fate(path, company, &cdb, &data_out)? {
            if is_register(command) {
                self.registering.push(ticket);
            }
            tracing::debug!(%path, ?cdb, ?answer, "answered");
            self.ready.push_back(Event::Answered { ticket, answer });
        }
        Ok(())
    }

    fn probe(&mut self, ticket: Ticket, path: PathId) -> Result<(), Self::Error> {
        let command = scsi::tur_command(0);
        if let Fate::Answered(answer) = self.fate(path, Company::None, &command.cdb, &[])? {
            let state = probed(&answer);
            self.ready.push_back(Event::Probed { ticket, state });
        }
        Ok(())
    }

    /// There is no I/O here that would have to wait, and so nothing to be suspended. Unlike the
    /// kernel's hands these do not outlive their process: whoever is killed here leaves what it
    /// had sent until then.
    fn run_suspended(
        &mut self,
        ticket: Ticket,
        transaction: &mut Transaction,
    ) -> Result<(), Self::Error> {
        executor::run_as_if_suspended(self, ticket, transaction)
    }

    fn wait(&mut self, until: Duration) -> Result<Option<Event>, Self::Error> {
        if self.ready.is_empty() {
            std::thread::sleep(until.saturating_sub(self.now()));
        }
        let event = self.ready.pop_front();
        if let Some(Event::Answered { ticket, .. }) = &event {
            self.registering.retain(|other| other != ticket);
        }
        Ok(event)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Node {
    /// Sends a command through a path.
    pub(super) fn transmit(
        &self,
        device: &str,
        cdb: &[u8],
        data_out: &[u8],
    ) -> Result<Fate, SandboxError> {
        self.transmit_in(Company::None, device, cdb, data_out)
    }

    fn transmit_in(
        &self,
        company: Company,
        device: &str,
        cdb: &[u8],
        data_out: &[u8],
    ) -> Result<Fate, SandboxError> {
        self.folder().change(|san| {
            let path = self.path(san, device)?;
            let (lun, nexus, condition) = (path.lun, path.nexus(), path.condition);
            let unit = san.luns.get_mut(lun).map(|lun| &mut lun.unit);
            Ok(match (condition, unit) {
                (Condition::Hanging, _) => Fate::Silence,
                (Condition::Up, Some(unit)) => {
                    if company == Company::Registration {
                        unit.begin_registration();
                    }
                    let response = unit.execute(&nexus, cdb, data_out);
                    unit.complete_registration();
                    Fate::Answered(Answer::Status {
                        status: response.status,
                        sense: response.sense,
                        data: response.data,
                    })
                }
                _ => Fate::Answered(Answer::NotSent),
            })
        })
    }

    /// What a path is good for, as far as the node knows.
    pub(super) fn path_state(path: &super::SanPath) -> PathState {
        match (path.is_known_dead(), path.in_map) {
            (true, _) => PathState::Dead,
            (false, super::InMap::Active) => PathState::Usable,
            (false, super::InMap::Failed) => PathState::Doubtful,
        }
    }
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
