//! A script of commands with the answers that are expected, and the state after them.
//!
//! ```text
//! a register 0/1: good            initiator port a (target port 1, as b is at 2, c at 3)
//! a2 register 0/1: good           initiator port a, target port 2
//! b reserve 2 5: conflict         key 2, type 5
//! b preempt 2>1 5: good           key 2, victim 1, type 5
//! c tur: 6/2a/05                  a unit attention
//! = 4 b=2* type 5                 generation, registrations in order, holders, type
//! ```

use scsi_pr::device_server::{LogicalUnit, Nexus, Profile, Response};
use scsi_pr::{
    BasicParameters, OutAction, PrOutCdb, RegisterAndMoveParameters, ReservationKey,
    ReservationType, Scope, Status, TransportId,
};

/// Plays a script against a new unit that knows a, b and c; panics at the first line that is
/// not as expected. Returns the unit for more.
pub(crate) fn check(profile: Profile, script: &str) -> LogicalUnit {
    let mut unit = unit(profile);
    play(&mut unit, script);
    unit
}

/// The same script for several profiles.
pub(crate) fn check_all(profiles: &[Profile], script: &str) {
    for profile in profiles {
        check(*profile, script);
    }
}

/// Standard and Linux' target.
pub(crate) const BOTH: &[Profile] = &[Profile::strict(), Profile::lio()];

pub(crate) fn unit(profile: Profile) -> LogicalUnit {
    let mut unit = LogicalUnit::new(profile);
    for name in ["a", "b", "c"] {
        unit.connect(&nexus(name));
    }
    unit
}

pub(crate) fn play(unit: &mut LogicalUnit, script: &str) {
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if let Some(expected) = line.strip_prefix('=') {
            assert_eq!(state(unit), expected.trim(), "at the end of\n{script}");
            continue;
        }
        let (command, expected) = line.rsplit_once(": ").expect("a line has an answer");
        let answer = run(unit, command);
        assert_eq!(shown(&answer), expected.trim(), "{line} in\n{script}");
    }
}

/// One command.
pub(crate) fn run(unit: &mut LogicalUnit, command: &str) -> Response {
    let words: Vec<&str> = command.split_whitespace().collect();
    let sender = nexus(words[0]);
    let (cdb, list) = encode(&words[1..]);
    let answer = unit.execute(&sender, &cdb, &list);
    check_memory(unit, command);
    answer
}

/// Whatever a script leads to can be written down and taken up again.
fn check_memory(unit: &LogicalUnit, command: &str) {
    if !unit.is_registration_in_progress() {
        let again = LogicalUnit::restore(unit.profile(), &unit.memory());
        assert_eq!(again.as_ref(), Ok(unit), "after {command}");
    }
}

/// "a" is initiator port a at target port 1, "b" at 2; "b1" is b at 1.
pub(crate) fn nexus(name: &str) -> Nexus {
    let letter = u64::from(name.as_bytes()[0]);
    let own = name.as_bytes()[0] - b'a' + 1;
    Nexus {
        initiator_port: TransportId::Sas {
            address: 0x5a00_0000_0000_0000 | letter,
        },
        relative_target_port: name[1..].parse().unwrap_or(u16::from(own)),
    }
}

fn name(nexus: &Nexus) -> String {
    let TransportId::Sas { address } = nexus.initiator_port else {
        return nexus.initiator_port.to_string();
    };
    let letter = char::from(u8::try_from(address & 0xff).unwrap());
    let plain = self::nexus(&letter.to_string());
    if &plain == nexus {
        letter.to_string()
    } else {
        format!("{letter}{}", nexus.relative_target_port)
    }
}

fn encode(words: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let (verb, rest) = words.split_first().expect("a verb");
    let action = match *verb {
        "tur" => return (vec![0; 6], vec![]),
        "read" => return (vec![0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], vec![]),
        "write" => return (vec![0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], vec![0; 512]),
        "read16" => return (medium16(0x88), vec![]),
        "write16" => return (medium16(0x8a), vec![0; 512]),
        "inquiry" => return (vec![0x12, 0, 0, 0, 36, 0], vec![]),
        "request-sense" => return (vec![0x03, 0, 0, 0, 18, 0], vec![]),
        "report-luns" => {
            return (vec![0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], vec![]);
        }
        "keys" => return (vec![0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0], vec![]),
        "register" => OutAction::REGISTER,
        "ignore" => OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
        "reserve" => OutAction::RESERVE,
        "release" => OutAction::RELEASE,
        "clear" => OutAction::CLEAR,
        "preempt" => OutAction::PREEMPT,
        "abort" => OutAction::PREEMPT_AND_ABORT,
        "move" => OutAction::REGISTER_AND_MOVE,
        other => panic!("no such verb: {other}"),
    };
    encode_out(action, rest)
}

fn medium16(code: u8) -> Vec<u8> {
    let mut cdb = vec![code];
    cdb.resize(16, 0);
    cdb[13] = 1;
    cdb
}

/// Keys as `RK`, `RK/SARK` or `RK>SARK`; then a type in hex (a scope before it as first digit),
/// flags, and for `move` the name of the other nexus.
fn encode_out(action: OutAction, words: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let (keys, words) = words.split_first().expect("keys");
    let mut keys = keys.split(['/', '>']);
    let mut key = || {
        keys.next()
            .map_or(ReservationKey::NONE, |key| key.parse().unwrap())
    };
    let (reservation_key, service_action_reservation_key) = (key(), key());
    let byte = words
        .first()
        .and_then(|word| u8::from_str_radix(word, 16).ok())
        .filter(|_| action != OutAction::REGISTER_AND_MOVE)
        .unwrap_or(0);
    let list = if action == OutAction::REGISTER_AND_MOVE {
        let to = nexus(words[0]);
        RegisterAndMoveParameters {
            reservation_key,
            service_action_reservation_key,
            unreg: words.contains(&"unreg"),
            aptpl: words.contains(&"aptpl"),
            relative_target_port: to.relative_target_port,
            transport_id: to.initiator_port,
        }
        .encode()
    } else {
        let named = words.iter().filter_map(|word| word.strip_prefix('+'));
        BasicParameters {
            reservation_key,
            service_action_reservation_key,
            aptpl: words.contains(&"aptpl"),
            all_tg_pt: words.contains(&"all"),
            transport_ids: named.map(|name| nexus(name).initiator_port).collect(),
        }
        .encode()
    };
    let cdb = PrOutCdb {
        action,
        scope: Scope(byte >> 4),
        reservation_type: ReservationType(byte & 0xf),
        parameter_list_length: u32::try_from(list.len()).unwrap(),
    };
    (cdb.encode().to_vec(), list)
}

/// "good", "conflict", "busy", or sense as key/asc/ascq in hex.
pub(crate) fn shown(response: &Response) -> String {
    match (response.status, response.sense) {
        (Status::GOOD, None) => "good".to_owned(),
        (Status::RESERVATION_CONFLICT, None) => "conflict".to_owned(),
        (Status::BUSY, None) => "busy".to_owned(),
        (Status::CHECK_CONDITION, Some(sense)) => {
            format!("{:x}/{:02x}/{:02x}", sense.key.0, sense.asc, sense.ascq)
        }
        (status, sense) => format!("{status} {sense:?}"),
    }
}

/// The whole state in a line.
pub(crate) fn state(unit: &LogicalUnit) -> String {
    let mut text = unit.generation().to_string();
    for registration in unit.registrations() {
        let holder = if unit.is_holder(registration.nexus) {
            "*"
        } else {
            ""
        };
        let all = if registration.all_tg_pt { "!" } else { "" };
        let name = name(registration.nexus);
        text += &format!(" {name}={:x}{all}{holder}", registration.key.0);
    }
    if let Some(reservation) = unit.reservation() {
        text += &format!(" type {:x}", reservation.reservation_type.0);
    }
    text
}
