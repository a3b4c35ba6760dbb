//! A logical unit of the kernel's target, with nexuses over which nobody else sends anything.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use dm_multipath::sys::sg::{
    Nursery, ResidentWorker, SgCommand, SgData, SgError, SgReply, SgWorker, wait,
};
use nix::poll::{PollFd, PollFlags, poll};
use scsi_pr::device_server::{LogicalUnit, Nexus, Profile};
use scsi_pr::{InAction, ReadFullStatus, ReadKeys, ReservationKey, Sense, Status, TransportId};
use xtask::error::{Error, Result};
use xtask::guest::{self, Fabric, Lab};

use super::answer::Answer;
use super::random::Random;
use super::step::Step;

/// Commands give up after half of that.
const PATIENCE_MS: u16 = 60_000;

/// A LUN of the kernel's, and the nexuses to it.
pub(super) struct Target {
    pub(super) nexuses: Vec<Link>,
    pub(super) fabric: Fabric,
    reader: RefCell<Reader>,
    /// Takes everything away when it is dropped.
    _lun: guest::Lun,
}

/// A process for commands that send no data: one for each of them is most of what they cost.
struct Reader {
    worker: ResidentWorker,
    _nursery: Nursery,
}

impl Reader {
    /// Bytes that it can read at once.
    const MOST: usize = 8192;

    fn new() -> Result<Self> {
        let nursery = Nursery::spawn().map_err(Error::unexpected)?;
        Ok(Self {
            worker: nursery.worker().map_err(Error::unexpected)?,
            _nursery: nursery,
        })
    }

    fn ask(&mut self, node: &Path, command: &SgCommand) -> Result<SgReply> {
        let sent = self.worker.send(node, command);
        sent.map_err(Error::unexpected)?;
        let mut waiting = [PollFd::new(self.worker.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, PATIENCE_MS).map_err(Error::unexpected)?;
        let answered = self.worker.receive();
        let answered = answered.unwrap_or(Err(SgError::Unanswered));
        answered.map_err(Error::unexpected)
    }
}

fn send_apart(node: &Path, command: &SgCommand) -> Result<SgReply> {
    let worker = SgWorker::spawn(node, command).map_err(Error::unexpected)?;
    let patience = Duration::from_millis(PATIENCE_MS.into());
    wait(&[&worker], Some(patience)).map_err(Error::unexpected)?;
    worker.finish().map_err(Error::unexpected)
}

/// One nexus: how to send over it, and how the target calls it.
pub(super) struct Link {
    pub(super) nexus: guest::Nexus,
    pub(super) identity: Nexus,
}

impl Target {
    /// Two nodes with two target ports each. They have no block devices, so that nobody else
    /// sends commands that take unit attentions.
    pub(super) fn new(lab: &Lab, fabric: Fabric) -> Result<Self> {
        let mut lun = lab.lun(fabric, 0)?;
        let mut nexuses = lun.add_nexuses(2, 2)?;
        nexuses.extend(lun.add_nexuses(3, 2)?);
        let unknown = |nexus: guest::Nexus| Link {
            identity: Nexus {
                initiator_port: TransportId::Unknown { bytes: Vec::new() },
                relative_target_port: nexus.relative_target_port(),
            },
            nexus,
        };
        let mut target = Self {
            nexuses: nexuses.into_iter().map(unknown).collect(),
            fabric,
            reader: RefCell::new(Reader::new()?),
            _lun: lun,
        };
        target.identify()?;
        Ok(target)
    }

    /// Registers every nexus, so that the target names them.
    fn identify(&mut self) -> Result {
        self.clear()?;
        for number in 0..self.nexuses.len() {
            self.send(&Step::register_and_ignore(number, ReservationKey(1)))?;
        }
        let answer = self.send(&Step::read(0, InAction::READ_FULL_STATUS, 4096))?;
        let status = ReadFullStatus::decode(&answer.data).map_err(Error::unexpected)?;
        for path in &mut self.nexuses {
            let port = path.identity.relative_target_port;
            let mut descriptors = status.descriptors.iter();
            let own = descriptors.find(|it| it.relative_target_port == port);
            let own = own.ok_or_else(|| Error::unexpected("a nexus is not registered"))?;
            path.identity.initiator_port = own.transport_id.clone();
        }
        Ok(())
    }

    /// Nobody is registered, nothing is pending; and a simulated unit in the same state.
    pub(super) fn reset(&self) -> Result<LogicalUnit> {
        self.clear()?;
        let mut unit = LogicalUnit::new(Profile::lio());
        for path in &self.nexuses {
            unit.connect(&path.identity);
        }
        let keys = self.keys()?;
        if !keys.keys.is_empty() {
            return Err(Error::unexpected("registrations are left"));
        }
        // Brings the generation up: that of a new target cannot be had again.
        let clear = Step::clear(0, ReservationKey(1));
        while unit.generation() != keys.generation {
            let register = Step::register_and_ignore(0, ReservationKey(1));
            let first = &self.nexuses[0].identity;
            if unit.registered_key(first).is_some() && unit.generation() + 1 == keys.generation {
                unit.execute(first, &clear.cdb, &clear.data_out);
            } else {
                unit.execute(first, &register.cdb, &register.data_out);
            }
        }
        if unit.registrations().next().is_some() {
            return Err(Error::unexpected("a simulated registration is left"));
        }
        Ok(unit)
    }

    /// Removes all registrations, whoever has them and under whatever key.
    fn clear(&self) -> Result {
        for number in 0..self.nexuses.len() {
            self.send(&Step::register_and_ignore(number, ReservationKey(1)))?;
            for key in self.keys()?.keys {
                self.send(&Step::clear(number, key))?;
            }
        }
        self.send(&Step::register_and_ignore(0, ReservationKey(1)))?;
        self.send(&Step::clear(0, ReservationKey(1)))?;
        for number in 0..self.nexuses.len() {
            self.send(&Step::test_unit_ready(number))?;
        }
        Ok(())
    }

    fn keys(&self) -> Result<ReadKeys> {
        let answer = self.send(&Step::read(0, InAction::READ_KEYS, 4096))?;
        ReadKeys::decode(&answer.data).map_err(Error::unexpected)
    }

    /// One of the nexuses that are as wanted.
    pub(super) fn pick(
        &self,
        random: &mut Random,
        is_wanted: impl Fn(&Nexus) -> bool,
    ) -> Option<usize> {
        let is_wanted = |number: &usize| is_wanted(&self.nexuses[*number].identity);
        let wanted: Vec<usize> = (0..self.nexuses.len()).filter(is_wanted).collect();
        (!wanted.is_empty()).then(|| wanted[random.below(wanted.len())])
    }

    /// The answer after unit attentions.
    fn send(&self, step: &Step) -> Result<Answer> {
        loop {
            let answer = self.answer(step)?;
            if answer.sense.is_none_or(|(key, ..)| key != 6) {
                return Ok(answer);
            }
        }
    }

    pub(super) fn answer(&self, step: &Step) -> Result<Answer> {
        let nexus = &self.nexuses[step.nexus].nexus;
        if step.cuts_link {
            nexus.link_down()?;
            nexus.link_up()?;
            return Ok(Answer::good(Vec::new()));
        }
        let data = match (step.data_in, step.data_out.as_slice()) {
            (0, []) => SgData::None,
            (0, bytes) => SgData::Out(bytes.to_vec()),
            (length, _) => SgData::In(length),
        };
        let command = SgCommand {
            cdb: step.cdb.clone(),
            data,
            timeout_ms: 30_000,
        };
        let lost = |what: &dyn fmt::Display| Error::unexpected(format!("{step}: {what}"));
        let node = nexus.sg()?;
        let node = Path::new(&node);
        let reply = match step.data_out.is_empty() && step.data_in <= Reader::MOST {
            true => self.reader.borrow_mut().ask(node, &command),
            false => send_apart(node, &command),
        };
        let reply = reply.map_err(|error| lost(&error))?;
        if reply.host_status != 0 {
            return Err(lost(&format!("host status {:#x}", reply.host_status)));
        }
        let sense = Sense::decode_partial(&reply.sense).ok();
        Ok(Answer {
            status: Status(reply.status),
            sense: sense.map(|sense| (sense.key.0, sense.asc, sense.ascq)),
            data: step.padded(if step.is_compared {
                reply.data
            } else {
                Vec::new()
            }),
        })
    }
}
