//! The processes that carry checks to the kernel. A few stay from the start to the end; more come
//! while some of them hang, and go when they are not needed any more.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use dm_multipath::DeviceNumber;
use dm_multipath::sys::sg::{Nursery, ResidentWorker, SgCommand, SgError, SgReply};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkerId(u64);

/// All of them.
#[derive(Debug)]
pub(super) struct Crew {
    nursery: Option<Nursery>,
    epoll: Epoll,
    workers: BTreeMap<WorkerId, Member>,
    idle: Vec<WorkerId>,
    hired: u64,
}

#[derive(Debug)]
struct Member {
    process: ResidentWorker,
    /// The path that it checks.
    device: Option<DeviceNumber>,
}

impl Crew {
    /// Nobody yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            nursery: None,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            workers: BTreeMap::new(),
            idle: Vec::new(),
            hired: 0,
        })
    }

    /// Those that stay.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        while self.workers.len() < STAYING {
            let worker = self.hire()?;
            self.idle.push(worker);
        }
        Ok(())
    }

    /// One that has nothing to do, if need be a new one. `None` while as many are at work as are
    /// of use, of which `young` have begun just now.
    pub(super) fn free(&mut self, young: usize) -> io::Result<Option<WorkerId>> {
        if let Some(idle) = self.idle.pop() {
            return Ok(Some(idle));
        }
        if young >= STAYING || self.workers.len() >= MAX_WORKERS {
            return Ok(None);
        }
        self.hire().map(Some)
    }

    /// Whether there will be none for long: all that there may be hang.
    pub(super) fn is_stuck(&self, hanging: usize) -> bool {
        hanging >= MAX_WORKERS
    }

    /// Gives one that is free a command.
    pub(super) fn send(
        &mut self,
        worker: WorkerId,
        device: DeviceNumber,
        node: &Path,
        command: &SgCommand,
    ) -> io::Result<()> {
        let member = self.workers.get_mut(&worker);
        let sent = member.map_or(Err(Errno::ESRCH.into()), |member| {
            member.device = Some(device);
            member.process.send(node, command)
        });
        // One that was killed while it was idle: the next check gets another.
        sent.inspect_err(|_| self.dismiss(worker))
    }

    /// The answers that have come, and the ends of those that were killed.
    pub(super) fn receive(&mut self) -> Vec<(DeviceNumber, Result<SgReply, SgError>)> {
        let mut ready = [EpollEvent::empty(); MAX_READY];
        let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO);
        let mut answers = Vec::new();
        for event in ready.iter().take(count.unwrap_or(0)) {
            let worker = WorkerId(event.data());
            let Some(member) = self.workers.get_mut(&worker) else {
                continue;
            };
            let answer = member.process.receive();
            let device = match &answer {
                Some(_) => member.device.take(),
                None => member.device,
            };
            let Some(answer) = answer else {
                if device.is_none() {
                    // It was idle, and has been killed.
                    self.dismiss(worker);
                }
                continue;
            };
            match answer {
                Err(SgError::WorkerDied) => self.dismiss(worker),
                _ => self.release(worker),
            }
            answers.extend(device.map(|device| (device, answer)));
        }
        answers
    }

    /// Ends one, whatever it does.
    pub(super) fn dismiss(&mut self, worker: WorkerId) {
        self.idle.retain(|idle| *idle != worker);
        if let Some(member) = self.workers.remove(&worker) {
            let _ = self.epoll.delete(&member.process);
        }
    }

    fn hire(&mut self) -> io::Result<WorkerId> {
        let process = self.bear()?;
        self.hired += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.hired);
        self.epoll.add(&process, event)?;
        let worker = WorkerId(self.hired);
        let device = None;
        self.workers.insert(worker, Member { process, device });
        Ok(worker)
    }

    /// A nursery that was killed is replaced, once at a time.
    fn bear(&mut self) -> io::Result<ResidentWorker> {
        if let Some(Ok(worker)) = self.nursery.as_ref().map(Nursery::worker) {
            return Ok(worker);
        }
        self.nursery.insert(Nursery::spawn()?).worker()
    }

    /// The youngest go first.
    fn release(&mut self, worker: WorkerId) {
        self.idle.push(worker);
        self.idle.sort_unstable_by(|a, b| b.cmp(a));
        if self.idle.len() > STAYING {
            let youngest = self.idle.remove(0);
            self.dismiss(youngest);
        }
    }
}

impl AsFd for Crew {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// Enough for a thousand paths that answer: each command takes less than a millisecond, and these
/// are sent in the course of seconds.
const STAYING: usize = 4;

/// Processes at most. Each that hangs costs the kernel some hundred KiB; paths for which there is
/// none are judged by what sysfs and device-mapper say.
const MAX_WORKERS: usize = 256;

/// Answers taken at once; the others come next.
const MAX_READY: usize = 64;
