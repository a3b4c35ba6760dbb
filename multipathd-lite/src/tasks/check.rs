//! Checking a path: its state in sysfs, then TEST UNIT READY.
//!
//! A few processes that stay carry the commands to the kernel, one at a time each (`crew`). A
//! check whose time is up is told as late, once, and keeps its process until the kernel lets go of
//! it; another process takes its place, up to a bound. When it ends at last, that is told, too.

mod crew;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use dm_multipath::scsi::{self, AccessState, ScsiState};
use dm_multipath::sys::sg::{SgCommand, SgData, SgError, SgReply};
use dm_multipath::{DeviceNumber, Roots};
use scsi_pr::{AnswerClass, InAction, PrInCdb, ReadKeys, ReservationKey, Sense, SenseKey, Status};

use super::{CheckOrder, Question};
use crate::event::Checked;
use crate::model::CheckState;
use crew::{Crew, WorkerId};

/// The checks under way, and those that wait for a process.
#[derive(Debug)]
pub struct Checks {
    crew: Crew,
    waiting: VecDeque<Waiting>,
    running: BTreeMap<DeviceNumber, Running>,
    /// Paths of disks that have more registrations than there usually are.
    crowded: BTreeSet<DeviceNumber>,
    advanced_at: Instant,
}

#[derive(Debug)]
struct Waiting {
    order: CheckOrder,
    access: (Option<AccessState>, Option<bool>),
}

#[derive(Debug)]
struct Running {
    worker: WorkerId,
    order: CheckOrder,
    access: (Option<AccessState>, Option<bool>),
    begun: Instant,
    give_up: Instant,
    is_late: bool,
}

impl Checks {
    /// No checks yet.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            crew: Crew::new()?,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            crowded: BTreeSet::new(),
            advanced_at: Instant::now(),
        })
    }

    /// Starts the processes that stay.
    ///
    /// # Errors
    /// There is no process or descriptor left.
    pub fn prepare(&mut self) -> io::Result<()> {
        self.crew.prepare()
    }

    /// Begins a check, or lets it wait for a process; one that is under way goes on instead.
    /// What sysfs says already may be its end.
    pub fn order(&mut self, roots: &Roots, order: CheckOrder) -> Option<Checked> {
        let device = order.device;
        let is_it = |waiting: &Waiting| waiting.order.device == device;
        if self.running.contains_key(&device) || self.waiting.iter().any(is_it) {
            return None;
        }
        match scsi::read_state(roots, device) {
            Ok(state) if state == ScsiState::RUNNING => {}
            Ok(state) => return Some(down(device, &format!("path {state}"))),
            Err(error) => return Some(down(device, &error.to_string())),
        }
        // How the array likes a path is asked with its checks; a count is none of them.
        let access = match order.question {
            Question::Ready => scsi::read_access(roots, device),
            Question::Registrations(_) => (None, None),
        };
        self.waiting.push_back(Waiting { order, access });
        None
    }

    /// Gives what waits to processes that are free; what ended meanwhile, late or not at all.
    pub fn advance(&mut self, roots: &Roots, now: Instant) -> Vec<Checked> {
        self.advanced_at = now;
        let mut ended = self.late(now);
        while let Some(first) = self.waiting.pop_front() {
            match self.begin(roots, &first, now) {
                Ok(Some(())) => {}
                Ok(None) if self.crew.is_stuck(self.stuck()) => {
                    ended.push(unchecked(&first.order, "too many other paths hang"));
                }
                Ok(None) => {
                    self.waiting.push_front(first);
                    break;
                }
                Err(error) => {
                    tracing::error!("{}: cannot be checked: {error}", first.order.name);
                    ended.push(unchecked(&first.order, &error.to_string()));
                }
            }
        }
        ended
    }

    /// `None` if all processes are at work and another is none of use now.
    fn begin(&mut self, roots: &Roots, waiting: &Waiting, now: Instant) -> io::Result<Option<()>> {
        let order = &waiting.order;
        let young = self.running.values();
        let young = young.filter(|running| now < running.begun + YOUNG).count();
        let Some(worker) = self.crew.free(young)? else {
            return Ok(None);
        };
        let node = roots.dev.join(&order.name);
        let room = match self.crowded.contains(&order.device) {
            true => KEYS_LENGTH,
            false => USUAL_KEYS_LENGTH,
        };
        self.crew
            .send(worker, order.device, &node, &command(order, room))?;
        let running = Running {
            worker,
            order: order.clone(),
            access: waiting.access.clone(),
            begun: now,
            give_up: now + order.timeout,
            is_late: false,
        };
        self.running.insert(order.device, running);
        Ok(Some(()))
    }

    /// The checks that have ended since the descriptor became readable.
    pub fn end(&mut self) -> Vec<Checked> {
        let mut ended = Vec::new();
        for (device, result) in self.crew.receive() {
            let Some(Running { order, access, .. }) = self.running.remove(&device) else {
                continue;
            };
            if is_cut_short(order.question, &result) && self.crowded.insert(device) {
                self.waiting.push_front(Waiting { order, access });
                continue;
            }
            ended.push(Checked {
                access,
                ..judge(device, order.question, result)
            });
        }
        ended
    }

    /// A path is gone: nobody waits for its check any more.
    pub fn forget(&mut self, device: DeviceNumber) {
        self.waiting
            .retain(|waiting| waiting.order.device != device);
        self.crowded.remove(&device);
        if let Some(running) = self.running.remove(&device) {
            self.crew.dismiss(running.worker);
        }
    }

    /// Those whose time is up; each is named once.
    fn late(&mut self, now: Instant) -> Vec<Checked> {
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

    fn stuck(&self) -> usize {
        self.running
            .values()
            .filter(|running| running.is_late)
            .count()
    }

    /// When [`advance`](Self::advance) wants to be called, if nothing ends before.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let running = || self.running.values();
        let late = running().filter(|running| !running.is_late);
        let late = late.map(|running| running.give_up);
        if self.waiting.is_empty() {
            return late.min();
        }
        // One of the young will be old, and no longer keep others waiting.
        let old = running().map(|running| running.begun + YOUNG);
        late.chain(old.filter(|at| *at > self.advanced_at)).min()
    }
}

/// Readable when a check has ended.
impl AsFd for Checks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.crew.as_fd()
    }
}

/// What a path is asked with; `room`: for how many bytes of keys.
pub(super) fn command(order: &CheckOrder, room: u16) -> SgCommand {
    let timeout_ms = u32::try_from(order.timeout.as_millis()).unwrap_or(u32::MAX);
    match order.question {
        Question::Ready => scsi::tur_command(timeout_ms),
        Question::Registrations(_) => read_keys(timeout_ms, room),
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

/// A lack of processes or descriptors says nothing of the path.
fn unchecked(order: &CheckOrder, reason: &str) -> Checked {
    Checked {
        state: CheckState::Unchecked,
        ..down(order.device, reason)
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
        Err(SgError::WorkerDied) => {
            return Checked {
                state: CheckState::Unchecked,
                ..down(device, "the process that checked it has died")
            };
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

/// Whether there are more keys than there was room for.
fn is_cut_short(question: Question, result: &Result<SgReply, SgError>) -> bool {
    let (Question::Registrations(_), Ok(reply)) = (question, result) else {
        return false;
    };
    let is_done = reply.is_delivered() && Status(reply.status) == Status::GOOD;
    let answer = ReadKeys::decode_partial(&reply.data);
    is_done && answer.is_ok_and(|answer| !answer.is_complete())
}

fn read_keys(timeout_ms: u32, room: u16) -> SgCommand {
    let cdb = PrInCdb {
        action: InAction::READ_KEYS,
        allocation_length: room,
    };
    SgCommand {
        cdb: cdb.encode().to_vec(),
        data: SgData::In(room.into()),
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
pub(super) const KEYS_LENGTH: u16 = 8192;

/// Room for 63, as it is asked for at first: all of it is copied several times, by the kernel and
/// on the way here, however few keys there are.
const USUAL_KEYS_LENGTH: u16 = 512;

/// A check that takes longer no longer keeps others waiting for a process: arrays that are well
/// answer within a few milliseconds.
const YOUNG: Duration = Duration::from_millis(50);

/// New paths get this long to be checked before their map is made without them.
pub const SLOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sense: Option<(u8, u8, u8)>, status: u8, expected: CheckState) {
        let sense = sense.map(|(key, asc, ascq)| Sense::new(SenseKey(key), asc, ascq));
        let (found, _) = state(Status(status), sense.as_ref());
        assert_eq!(found, expected, "{sense:?} {status}");
    }

    /// Counted wrongly they would look like registrations that somebody has taken away.
    #[test]
    fn more_keys_than_usual_are_asked_for_again() {
        let key = ReservationKey(0xa);
        let is_cut_short = |keys: usize, question| {
            let answer = ReadKeys::new(7, vec![key; keys]).encode();
            let data = answer.get(..usize::from(USUAL_KEYS_LENGTH));
            let data = data.unwrap_or(&answer).to_vec();
            let counted = count(key, &data);
            let reply = SgReply {
                status: Status::GOOD.0,
                host_status: 0,
                driver_status: 0,
                sense: Vec::new(),
                data,
                duration_ms: 1,
            };
            (is_cut_short(question, &Ok(reply)), counted)
        };
        let question = Question::Registrations(key);
        assert_eq!(is_cut_short(0, question), (false, Some(0)));
        assert_eq!(is_cut_short(63, question), (false, Some(63)));
        assert_eq!(is_cut_short(64, question), (true, None));
        assert_eq!(is_cut_short(64, Question::Ready), (false, None));
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
