//! The hands on a real host: SCSI commands through worker processes, one for each command.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dm_multipath::scsi::{self, ScsiState};
use dm_multipath::sys::apart::{self, Apart};
use dm_multipath::sys::dm::{SuspendFlags, UdevCookie};
use dm_multipath::sys::sg::{self, SgCommand, SgData, SgError, SgReply, SgWorker};
use dm_multipath::sys::{DmControl, DmError, DmName};
use dm_multipath::{DeviceNumber, Roots};
use pr_policy::{Action, Answer, Command, Event, PathId, PathState, Success, Ticket, Transaction};
use scsi_pr::{AnswerClass, Sense, Status};

use crate::event_log::{self, EventLog};
use crate::executor::{self, Hands};

/// Hands that send to the paths of one map.
#[derive(Debug)]
pub struct KernelHands<'a> {
    roots: &'a Roots,
    map: KernelMap<'a>,
    paths: &'a [KernelPath],
    running: Vec<Running>,
    ready: VecDeque<Event>,
    started: Instant,
    deadline: Duration,
    place: Place,
}

/// In the child nothing is logged: another thread of the parent may have held the log's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Parent,
    Child,
}

/// The map as device-mapper knows it.
#[derive(Debug, Clone, Copy)]
pub struct KernelMap<'a> {
    /// The control node.
    pub dm: &'a DmControl,
    /// The map's numbers.
    pub device: DeviceNumber,
}

impl KernelMap<'_> {
    /// Without flushing what is queued and without freezing file systems: both could wait for
    /// the paths that are dead. I/O in flight is waited for, but not for long.
    fn suspend(&self) -> io::Result<()> {
        let flags = SuspendFlags::NO_FLUSH | SuspendFlags::SKIP_LOCKFS;
        let device = DmName::Device(self.device);
        let suspended =
            apart::interrupted_after(SUSPEND_PATIENCE, || self.dm.suspend(device, flags))?;
        suspended.map_err(io::Error::other)
    }

    /// Resumes the map, whatever happened before; on a map that is not suspended this does
    /// nothing.
    pub(crate) fn resume(&self) -> Result<(), DmError> {
        let mut tries = 0;
        loop {
            let device = DmName::Device(self.device);
            let (flags, cookie) = (SuspendFlags::SKIP_LOCKFS, UdevCookie::NONE);
            let resumed = self.dm.resume(device, flags, cookie);
            tries += 1;
            if resumed.is_ok() || tries == MAX_RESUMES {
                return resumed;
            }
            std::thread::sleep(RESUME_PAUSE);
        }
    }
}

/// The map is resumed also if a panic ends the critical section.
struct ResumedEvenSo<'a>(KernelMap<'a>);

impl Drop for ResumedEvenSo<'_> {
    fn drop(&mut self) {
        let _ = self.0.resume();
    }
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
    pub fn new(
        roots: &'a Roots,
        map: KernelMap<'a>,
        paths: &'a [KernelPath],
        deadline: Duration,
    ) -> Self {
        Self {
            roots,
            map,
            paths,
            running: Vec::new(),
            ready: VecDeque::new(),
            started: Instant::now(),
            deadline,
            place: Place::Parent,
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

    /// What runs in the child: from suspending to resuming, with a log of it for the parent.
    fn critical_section(&mut self, ticket: Ticket, transaction: &mut Transaction) -> Vec<u8> {
        // The parent's workers are no children of this process, and not its to wait for.
        std::mem::forget(std::mem::take(&mut self.running));
        self.ready.clear();
        self.place = Place::Child;
        let resumed = ResumedEvenSo(self.map);
        let mut log = EventLog::default();
        let success = if self.map.suspend().is_ok() {
            Success::Yes
        } else {
            Success::No
        };
        log.tell(
            transaction,
            self.now(),
            Some(Event::Suspended { ticket, success }),
        );
        while !self.carry_on(transaction, &mut log) {}
        std::mem::forget(resumed);
        log.into_bytes()
    }

    /// One round of what the transaction wants; `true` once the map is resumed.
    fn carry_on(&mut self, transaction: &mut Transaction, log: &mut EventLog) -> bool {
        while let Some(action) = transaction.poll_action() {
            match action {
                Action::Resume { ticket } => {
                    let _ = self.map.resume();
                    log.tell(transaction, self.now(), Some(Event::Resumed { ticket }));
                    return true;
                }
                Action::Send { ticket, .. } if executor::start(&action, self).is_err() => {
                    let answer = Answer::NotSent;
                    self.ready.push_back(Event::Answered { ticket, answer });
                }
                Action::Probe { ticket, .. } if executor::start(&action, self).is_err() => {
                    let state = PathState::Dead;
                    self.ready.push_back(Event::Probed { ticket, state });
                }
                _ => {}
            }
        }
        if transaction.outcome().is_some() {
            let _ = self.map.resume();
            return true;
        }
        let event = self.wait(transaction.poll_timeout()).unwrap_or_default();
        log.tell(transaction, self.now(), event);
        false
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
        if self.place == Place::Parent {
            tracing::debug!(path = path.name, cdb = ?cdb, "sending");
        }
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

    fn run_suspended(&mut self, ticket: Ticket, transaction: &mut Transaction) -> io::Result<()> {
        let patience = self.deadline.saturating_sub(self.now()) + CHILD_GRACE;
        let apart = Apart::start(|| self.critical_section(ticket, transaction))?;
        let pid = apart.id();
        let log = apart.wait(patience).map_err(|error| {
            let text = match error.kind() {
                io::ErrorKind::TimedOut => {
                    format!("process {pid}, which has the map suspended, does not end: {error}")
                }
                _ => format!(
                    "the map was not suspended: the process that was to do it could not lock its \
                     memory or leave the session: {error}"
                ),
            };
            io::Error::new(error.kind(), text)
        })?;
        if event_log::replay(&log, transaction).is_none() || log.is_empty() {
            let now = match self.map.resume() {
                Ok(()) => "it is resumed now".to_owned(),
                Err(error) => format!("it cannot be resumed ({error}): try 'dmsetup resume'"),
            };
            return Err(io::Error::other(format!(
                "process {pid} died while it had the map suspended; {now}"
            )));
        }
        Ok(())
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
            let answer = answer(result);
            if self.place == Place::Parent {
                tracing::debug!(?answer, "answered");
            }
            self.ready.push_back(errand.event(ticket, answer));
        }
        Ok(self.ready.pop_front())
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Errand {
    fn event(self, ticket: Ticket, answer: Answer) -> Event {
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
pub(crate) fn probed(answer: &Answer) -> PathState {
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

/// How long I/O in flight is waited for when the map is suspended. A path that takes longer is
/// one that hangs.
const SUSPEND_PATIENCE: Duration = Duration::from_secs(3);

/// The child ends by the deadline, but for resuming and reporting.
const CHILD_GRACE: Duration = Duration::from_secs(10);

/// Resuming fails only for want of kernel memory; giving up would stop the map's I/O for good.
const MAX_RESUMES: u32 = 50;

/// Pause between two tries to resume.
const RESUME_PAUSE: Duration = Duration::from_millis(100);
