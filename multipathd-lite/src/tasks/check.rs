//! Checking a path: its state in sysfs, then TEST UNIT READY.
//!
//! The command runs in a process of its own, whose pipe the loop watches. It has ended, or its
//! time is up: both are told as [`Checked`]. A process that does not end stays, one for each
//! path; when it ends at last, the path is checked again at once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use dm_multipath::scsi::{self, AccessState, ScsiState};
use dm_multipath::sys::sg::{SgCommand, SgData, SgError, SgReply, SgWorker};
use dm_multipath::{DeviceNumber, Roots};
use scsi_pr::{AnswerClass, InAction, PrInCdb, ReadKeys, ReservationKey, Sense, SenseKey, Status};

use super::{CheckOrder, Question};
use crate::event::Checked;
use crate::model::CheckState;

/// The checks under way.
#[derive(Debug, Default)]
pub struct Checks {
    running: BTreeMap<DeviceNumber, Running>,
}

#[derive(Debug)]
struct Running {
    worker: SgWorker,
    question: Question,
    access: (Option<AccessState>, Option<bool>),
    give_up: Instant,
    is_late: bool,
}

/// How a check began.
#[derive(Debug)]
pub enum Begun {
    /// It has ended already.
    Ended(Checked),
    /// Its end is to be waited for: the descriptor of [`Checks::watched`] will hang up.
    Running,
}

impl Checks {
    /// Begins a check; one that is under way goes on instead.
    ///
    /// # Errors
    /// There is no process or descriptor left.
    pub fn begin(&mut self, roots: &Roots, order: &CheckOrder, now: Instant) -> io::Result<Begun> {
        if self.running.contains_key(&order.device) {
            return Ok(Begun::Running);
        }
        match scsi::read_state(roots, order.device) {
            Ok(state) if state == ScsiState::RUNNING => {}
            Ok(state) => return Ok(Begun::Ended(down(order.device, &format!("path {state}")))),
            Err(error) => return Ok(Begun::Ended(down(order.device, &error.to_string()))),
        }
        let worker = SgWorker::spawn(&roots.dev.join(&order.name), &command(order))?;
        let running = Running {
            worker,
            question: order.question,
            access: scsi::read_access(roots, order.device),
            give_up: now + order.timeout,
            is_late: false,
        };
        self.running.insert(order.device, running);
        Ok(Begun::Running)
    }

    /// The descriptor of a check that has just begun.
    #[must_use]
    pub fn watched(&self, device: DeviceNumber) -> Option<BorrowedFd<'_>> {
        Some(self.running.get(&device)?.worker.as_fd())
    }

    /// The descriptor of this check has hung up.
    pub fn end(&mut self, device: DeviceNumber) -> Option<Checked> {
        let running = self.running.remove(&device)?;
        Some(Checked {
            access: running.access,
            ..judge(device, running.question, running.worker.finish())
        })
    }

    /// A path is gone: nobody waits for its check any more.
    pub fn forget(&mut self, device: DeviceNumber) {
        self.running.remove(&device);
    }

    /// Those whose time is up; each is named once.
    pub fn late(&mut self, now: Instant) -> Vec<Checked> {
        let given_up = self
            .running
            .iter_mut()
            .filter(|(_, running)| !running.is_late && running.give_up <= now);
        given_up
            .map(|(device, running)| {
                running.is_late = true;
                late(*device, running.access.clone())
            })
            .collect()
    }

    /// When the next one is late.
    #[must_use]
    pub fn next_late(&self) -> Option<Instant> {
        let waiting = self.running.values().filter(|running| !running.is_late);
        waiting.map(|running| running.give_up).min()
    }
}

/// What a path is asked with.
pub(super) fn command(order: &CheckOrder) -> SgCommand {
    let timeout_ms = u32::try_from(order.timeout.as_millis()).unwrap_or(u32::MAX);
    match order.question {
        Question::Ready => scsi::tur_command(timeout_ms),
        Question::Registrations(_) => read_keys(timeout_ms),
    }
}

/// A check whose time is up, and which goes on.
pub(super) fn late(device: DeviceNumber, access: (Option<AccessState>, Option<bool>)) -> Checked {
    Checked {
        device,
        state: CheckState::Timeout,
        message: "no answer in time".to_owned(),
        attention: None,
        registrations: None,
        access,
        is_pending: true,
    }
}

pub(super) fn down(device: DeviceNumber, message: &str) -> Checked {
    Checked {
        device,
        state: CheckState::Down,
        message: message.to_owned(),
        attention: None,
        registrations: None,
        access: (None, None),
        is_pending: false,
    }
}

/// What the answer says of the path.
fn judge(device: DeviceNumber, question: Question, result: Result<SgReply, SgError>) -> Checked {
    let reply = match result {
        Ok(reply) if reply.is_delivered() => reply,
        Ok(reply) => {
            let host = reply.host_status;
            return down(device, &format!("not delivered (host status {host:#04x})"));
        }
        Err(error) => return down(device, &error.to_string()),
    };
    let sense = Sense::decode_partial(&reply.sense).ok();
    let answer = (Status(reply.status), sense.as_ref());
    judge_answer(device, question, answer, &reply.data)
}

pub(super) fn judge_answer(
    device: DeviceNumber,
    question: Question,
    (status, sense): (Status, Option<&Sense>),
    data: &[u8],
) -> Checked {
    let class = scsi_pr::classify(status, sense);
    let attention = match class {
        AnswerClass::UnitAttention(attention) => Some(attention),
        _ => None,
    };
    let (state, message) = match (question, class) {
        // It may be an array without reservations: that says nothing of the path.
        (Question::Registrations(_), AnswerClass::Refused(_)) => (CheckState::Up, String::new()),
        _ => state(status, sense),
    };
    let registrations = match (question, class) {
        (Question::Registrations(key), AnswerClass::Done) => count(key, data),
        _ => None,
    };
    Checked {
        device,
        state,
        message,
        attention,
        registrations,
        access: (None, None),
        is_pending: false,
    }
}

/// `None` if not all keys fit into the answer.
fn count(key: ReservationKey, data: &[u8]) -> Option<usize> {
    let answer = ReadKeys::decode(data).ok()?;
    Some(answer.keys.iter().filter(|found| **found == key).count())
}

fn read_keys(timeout_ms: u32) -> SgCommand {
    let cdb = PrInCdb {
        action: InAction::READ_KEYS,
        allocation_length: KEYS_LENGTH,
    };
    SgCommand {
        cdb: cdb.encode().to_vec(),
        data: SgData::In(KEYS_LENGTH.into()),
        timeout_ms,
    }
}

fn state(status: Status, sense: Option<&Sense>) -> (CheckState, String) {
    let not_ready = sense.filter(|sense| sense.key == SenseKey::NOT_READY);
    match (not_ready.map(|sense| (sense.asc, sense.ascq)), sense) {
        (Some((0x04, 0x0a)), _) => (CheckState::Transition, "changing over".to_owned()),
        (Some((0x04, 0x0b)), _) => (CheckState::Ghost, "standby".to_owned()),
        _ => match scsi_pr::classify(status, sense) {
            AnswerClass::Done | AnswerClass::Conflict | AnswerClass::UnitAttention(_) => {
                (CheckState::Up, String::new())
            }
            AnswerClass::Busy => (CheckState::Up, "busy".to_owned()),
            _ => (CheckState::Down, sense.map_or_else(String::new, described)),
        },
    }
}

fn described(sense: &Sense) -> String {
    let (key, asc, ascq) = (sense.key.0, sense.asc, sense.ascq);
    format!("sense {key:x}/{asc:02x}/{ascq:02x}")
}

/// Room for a thousand keys.
const KEYS_LENGTH: u16 = 8192;

/// A check that takes longer no longer keeps others waiting for a place.
pub const SLOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sense: Option<(u8, u8, u8)>, status: u8, expected: CheckState) {
        let sense = sense.map(|(key, asc, ascq)| Sense::new(SenseKey(key), asc, ascq));
        let (found, _) = state(Status(status), sense.as_ref());
        assert_eq!(found, expected, "{sense:?} {status}");
    }

    #[test]
    fn answers_are_judged() {
        check(None, 0x00, CheckState::Up);
        check(None, 0x18, CheckState::Up);
        check(None, 0x08, CheckState::Up);
        check(Some((6, 0x2a, 0x05)), 0x02, CheckState::Up);
        check(Some((6, 0x29, 0x07)), 0x02, CheckState::Up);
        check(Some((2, 0x04, 0x0b)), 0x02, CheckState::Ghost);
        check(Some((2, 0x04, 0x0a)), 0x02, CheckState::Transition);
        check(Some((2, 0x04, 0x0c)), 0x02, CheckState::Down);
        check(Some((2, 0x3a, 0x00)), 0x02, CheckState::Down);
        check(Some((5, 0x25, 0x00)), 0x02, CheckState::Down);
        check(None, 0x02, CheckState::Down);
    }
}
