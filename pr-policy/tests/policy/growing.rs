//! Responses with more registrations than the first allocation has room for, from targets that
//! count what they cut off and from those that do not.

use std::time::Duration;

use pr_policy::{Action, Answer, Command, Event, Options, Outcome, PathState, Read, Request};
use pr_policy::{Transaction, VictimCommands};
use scsi_pr::{
    Capabilities, FullStatusDescriptor, InAction, IscsiTransportId, ReadFullStatus, ReadKeys,
    ReservationKey, ReservationType, Scope, TransportId,
};

use crate::narrate;
use crate::world::good;

/// How a target fills a buffer that is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// As the standard wants it: ADDITIONAL LENGTH counts everything.
    Counted,
    /// It counts what is there: whole descriptors only.
    Silent,
}

/// A device whose response grows between two readings.
struct Device {
    action: InAction,
    cut: Cut,
    counts: Vec<usize>,
    allocations: Vec<u16>,
}

impl Device {
    fn new(action: InAction, cut: Cut, counts: &[usize]) -> Self {
        Self {
            action,
            cut,
            counts: counts.to_vec(),
            allocations: Vec::new(),
        }
    }

    /// Reads it through one path; what came, and what was asked for.
    fn read(mut self, cap: Option<u16>) -> (Vec<u8>, Vec<u16>) {
        let request = Request::Read(Read {
            action: self.action,
            allocation_length: cap,
        });
        let options = Options::for_request(&request);
        let snapshot = narrate::map(&[PathState::Usable]);
        let mut transaction = Transaction::new(request, snapshot, options);
        while let Some(action) = transaction.poll_action() {
            let Action::Send {
                ticket,
                command: Command::In(cdb),
                ..
            } = action
            else {
                panic!("a read sends reads");
            };
            let answer = self.answer(cdb.allocation_length);
            transaction.handle_event(Duration::ZERO, Event::Answered { ticket, answer });
        }
        match transaction.outcome() {
            Some(Outcome::Read(data)) => (data.clone(), self.allocations),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, room: u16) -> Answer {
        self.allocations.push(room);
        let count = if self.counts.len() > 1 {
            self.counts.remove(0)
        } else {
            self.counts[0]
        };
        let room = usize::from(room);
        let mut data = self.response(count);
        if self.cut == Cut::Silent && data.len() > room {
            let fits = (0..count).rev().map(|count| self.response(count));
            data = fits.into_iter().find(|data| data.len() <= room).unwrap();
        }
        data.truncate(room);
        good(data)
    }

    fn response(&self, count: usize) -> Vec<u8> {
        let key = |at: usize| ReservationKey(at as u64);
        if self.action == InAction::READ_KEYS {
            return ReadKeys::new(1, (0..count).map(key).collect()).encode();
        }
        let descriptor = |at: usize| FullStatusDescriptor {
            key: key(at),
            all_tg_pt: false,
            holder: false,
            scope: Scope::LOGICAL_UNIT,
            reservation_type: ReservationType(0),
            relative_target_port: 1,
            transport_id: initiator(at),
        };
        ReadFullStatus::new(1, (0..count).map(descriptor).collect()).encode()
    }

    fn count_in(&self, data: &[u8]) -> usize {
        match self.action {
            InAction::READ_KEYS => ReadKeys::decode(data).unwrap().keys.len(),
            _ => ReadFullStatus::decode(data).unwrap().descriptors.len(),
        }
    }
}

/// Names of every length: descriptors are not all of one size.
fn initiator(at: usize) -> TransportId {
    if at.is_multiple_of(3) {
        return TransportId::Sas { address: at as u64 };
    }
    let name = format!("iqn.2026-01.example:{}", "n".repeat(at % 9));
    TransportId::Iscsi(IscsiTransportId::Port {
        name,
        isid: at as u64,
    })
}

/// Each row: registrations, and the allocation lengths it took to read them all.
#[test]
fn every_registration_is_read() {
    use Cut::{Counted, Silent};
    let (keys, full) = (InAction::READ_KEYS, InAction::READ_FULL_STATUS);
    let rows: [(InAction, Cut, usize, &[u16]); 16] = [
        (keys, Counted, 0, &[8192]),
        (keys, Counted, 31, &[8192]),
        (keys, Counted, 32, &[8192]),
        (keys, Counted, 1022, &[8192]),
        // Exactly full: nobody can tell whether something was cut off.
        (keys, Counted, 1023, &[8192, 65535]),
        (keys, Counted, 1024, &[8192, 8208]),
        (keys, Counted, 1100, &[8192, 8816]),
        (keys, Silent, 31, &[8192]),
        (keys, Silent, 1022, &[8192]),
        (keys, Silent, 1024, &[8192, 65535]),
        (keys, Silent, 1100, &[8192, 65535]),
        (full, Counted, 31, &[8160]),
        (full, Counted, 32, &[8160]),
        (full, Silent, 31, &[8160]),
        (full, Silent, 32, &[8160]),
        (full, Silent, 700, &[8160, 65504]),
    ];
    for (action, cut, count, expected) in rows {
        let device = Device::new(action, cut, &[count]);
        let (data, allocations) = device.read(None);
        let device = Device::new(action, cut, &[count]);
        assert_eq!(device.count_in(&data), count, "{action} {cut:?}");
        assert_eq!(allocations, expected, "{action} {cut:?} {count}");
    }
}

/// Clusters with more registrations than a full status response may be asked for: what there
/// is room for comes, and the count says that it is not all.
#[test]
fn more_than_can_be_asked_for_comes_cut() {
    let device = Device::new(InAction::READ_FULL_STATUS, Cut::Counted, &[1100]);
    let (data, allocations) = device.read(None);
    assert_eq!(allocations, [8160, 65504]);
    assert_eq!(data.len(), 65504);
    let response = ReadFullStatus::decode_partial(&data).unwrap();
    assert!(!response.is_complete());
}

/// Nodes that register one after the other while we read do not keep us reading for ever.
#[test]
fn a_response_that_keeps_growing_is_read_in_the_end() {
    let counts = [1100, 1200, 1300, 1400, 1500, 1600];
    let (data, allocations) = Device::new(InAction::READ_KEYS, Cut::Counted, &counts).read(None);
    assert_eq!(allocations, [8192, 8816, 9616, 10416, 65535]);
    assert_eq!(ReadKeys::decode(&data).unwrap().keys.len(), 1500);
}

#[test]
fn a_cap_is_kept() {
    for cap in [0, 8, 16, 8192] {
        let device = Device::new(InAction::READ_KEYS, Cut::Counted, &[1100]);
        let (data, allocations) = device.read(Some(cap));
        assert_eq!(allocations, [cap]);
        assert_eq!(data.len(), usize::from(cap));
    }
}

/// Bytes 4 to 7 of REPORT CAPABILITIES are the type mask and no length: it used to be asked for
/// twice, the second time with all the room there is.
#[test]
fn capabilities_are_asked_for_once() {
    let request = narrate::read(InAction::REPORT_CAPABILITIES);
    let options = Options::for_request(&request);
    let snapshot = narrate::map(&[PathState::Usable]);
    let mut transaction = Transaction::new(request, snapshot, options);
    let Some(Action::Send { ticket, .. }) = transaction.poll_action() else {
        panic!("nothing sent");
    };
    let bytes = [0, 8, 0x1d, 0x80, 0xea, 0x01, 0, 0];
    assert!(Capabilities::decode(&bytes).is_ok());
    let answer = good(bytes.to_vec());
    transaction.handle_event(Duration::ZERO, Event::Answered { ticket, answer });
    assert_eq!(transaction.outcome(), Some(&Outcome::Read(bytes.to_vec())));
}

/// What the transaction's commands are on the wire: opcode, service action, type, lengths.
#[test]
fn commands_on_the_wire() {
    let rows = [
        (
            narrate::register(1, 2),
            [0x5f, 0x00, 0x00, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::register_ignore(2),
            [0x5f, 0x06, 0x00, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::reserve(5),
            [0x5f, 0x01, 0x05, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::release(7),
            [0x5f, 0x02, 0x07, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::clear(),
            [0x5f, 0x03, 0x00, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::preempt(0xb, VictimCommands::Finish),
            [0x5f, 0x04, 0x05, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::preempt(0xb, VictimCommands::Abort),
            [0x5f, 0x05, 0x05, 0, 0, 0, 0, 0, 24, 0],
            24,
        ),
        (
            narrate::register_and_move(true),
            [0x5f, 0x07, 0x00, 0, 0, 0, 0, 0, 48, 0],
            48,
        ),
    ];
    for (request, cdb, length) in rows {
        let (bytes, list) = request.out_command().unwrap().encode();
        assert_eq!(bytes, cdb, "{request:?}");
        assert_eq!(list.len(), length, "{request:?}");
    }
}
