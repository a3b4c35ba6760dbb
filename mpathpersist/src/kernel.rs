//! The hands on a real host: SCSI commands through worker processes, one for each command.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dm_multipath::scsi::{self, ScsiState};
use dm_multipath::sys::sg::{self, SgCommand, SgData, SgError, SgReply, SgWorker};
use dm_multipath::{DeviceNumber, Roots};
use pr_policy::{Answer, Command, Event, PathId, PathState, Ticket};
use scsi_pr::{AnswerClass, Sense, Status};

use crate::executor::Hands;

/// Hands that send to the paths of one map.
#[derive(Debug)]
pub struct KernelHands<'a> {
    roots: &'a Roots,
    paths: &'a [KernelPath],
    running: Vec<Running>,
    ready: VecDeque<Event>,
    started: Instant,
    deadline: Duration,
}

/// A path as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPath {
    /// Its numbers, as in the map's table.
    pub device: DeviceNumber,
    /// Its name, `sdb`; the numbers if the device is gone.
    pub name: String,
    /// Its node below `/dev`.
    pub node: PathBuf,
}

#[derive(Debug)]
struct Running {
    ticket: Ticket,
    errand: Errand,
    worker: SgWorker,
}

#[derive(Debug, Clone, Copy)]
enum Errand {
    Command,
    Probe,
}

impl<'a> KernelHands<'a> {
    /// Hands for the paths of one map; [`PathId`] counts along `paths`. The kernel is told to
    /// give a command up after `deadline`, so that nothing goes on for much longer.
    #[must_use]
    pub fn new(roots: &'a Roots, paths: &'a [KernelPath], deadline: Duration) -> Self {
        Self {
            roots,
            paths,
            running: Vec::new(),
            ready: VecDeque::new(),
            started: Instant::now(),
            deadline,
        }
    }

    fn path(&self, id: PathId) -> Option<&'a KernelPath> {
        self.paths.get(usize::try_from(id.0).ok()?)
    }

    fn spawn(
        &mut self,
        ticket: Ticket,
        errand: Errand,
        node: &Path,
        command: &SgCommand,
    ) -> io::Result<()> {
        let worker = SgWorker::spawn(node, command)?;
        self.running.push(Running {
            ticket,
            errand,
            worker,
        });
        Ok(())
    }

    fn timeout_ms(&self) -> u32 {
        u32::try_from(self.deadline.as_millis()).unwrap_or(u32::MAX)
    }
}

impl Hands for KernelHands<'_> {
    type Error = io::Error;

    fn send(&mut self, ticket: Ticket, path: PathId, command: &Command) -> io::Result<()> {
        let Some(path) = self.path(path) else {
            self.ready.push_back(Event::Answered {
                ticket,
                answer: Answer::NotSent,
            });
            return Ok(());
        };
        let (cdb, data) = command.encode();
        let data = match command {
            Command::In(_) => SgData::In(command.allocation_length()),
            Command::Out { .. } => SgData::Out(data),
        };
        tracing::debug!(path = path.name, cdb = ?cdb, "sending");
        let command = SgCommand {
            cdb: cdb.to_vec(),
            data,
            timeout_ms: self.timeout_ms(),
        };
        self.spawn(ticket, Errand::Command, &path.node, &command)
    }

    fn probe(&mut self, ticket: Ticket, path: PathId) -> io::Result<()> {
        let running = self.path(path).filter(|path| {
            scsi::read_state(self.roots, path.device).is_ok_and(|state| state == ScsiState::RUNNING)
        });
        let Some(path) = running else {
            self.ready.push_back(Event::Probed {
                ticket,
                state: PathState::Dead,
            });
            return Ok(());
        };
        let command = scsi::tur_command(self.timeout_ms());
        self.spawn(ticket, Errand::Probe, &path.node, &command)
    }

    fn wait(&mut self, until: Duration) -> io::Result<Option<Event>> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        let left = until.saturating_sub(self.now());
        if self.running.is_empty() {
            std::thread::sleep(left);
            return Ok(None);
        }
        let workers: Vec<&SgWorker> = self.running.iter().map(|running| &running.worker).collect();
        let mut ended = sg::wait(&workers, Some(left))?;
        ended.sort_unstable();
        for at in ended.into_iter().rev() {
            let Running {
                ticket,
                errand,
                worker,
            } = self.running.swap_remove(at);
            let result = worker.finish();
            self.ready.push_back(errand.event(ticket, result));
        }
        Ok(self.ready.pop_front())
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Errand {
    fn event(self, ticket: Ticket, result: Result<SgReply, SgError>) -> Event {
        let answer = answer(result);
        tracing::debug!(?answer, "answered");
        match self {
            Self::Command => Event::Answered { ticket, answer },
            Self::Probe => Event::Probed {
                ticket,
                state: probed(&answer),
            },
        }
    }
}

fn answer(result: Result<SgReply, SgError>) -> Answer {
    match result {
        Ok(reply) if !reply.is_delivered() => Answer::Lost,
        Ok(reply) => Answer::Status {
            status: Status(reply.status),
            sense: Sense::decode_partial(&reply.sense).ok(),
            data: reply.data,
        },
        Err(SgError::Open(_) | SgError::Ioctl(_)) => Answer::NotSent,
        Err(_) => Answer::Lost,
    }
}

/// A path is alive when it answers TEST UNIT READY with anything but *I am not there*. Standby
/// paths (04/0B) may be used by the map at any moment.
fn probed(answer: &Answer) -> PathState {
    let Answer::Status { status, sense, .. } = answer else {
        return PathState::Dead;
    };
    let is_standby = sense.as_ref().is_some_and(|sense| {
        (sense.key, sense.asc, sense.ascq) == (scsi_pr::SenseKey::NOT_READY, 0x04, 0x0b)
    });
    match scsi_pr::classify(*status, sense.as_ref()) {
        _ if is_standby => PathState::Usable,
        AnswerClass::Done
        | AnswerClass::Conflict
        | AnswerClass::UnitAttention(_)
        | AnswerClass::Busy => PathState::Usable,
        AnswerClass::Unreachable | AnswerClass::Refused(_) | AnswerClass::Failed => PathState::Dead,
    }
}
