//! What happens in a transaction, in words short enough for a snapshot.

use pr_policy::{
    Action, Command, Effects, Holding, Others, Outcome, Parameters, Path, PathId, PathState,
};
use pr_policy::{
    Clear, Preempt, Read, Register, RegisterAndMove, RegisterMode, Release, Reserve, VictimCommands,
};
use pr_policy::{Registration, Request, Snapshot};
use scsi_pr::{InAction, OutAction, ReservationKey, ReservationType, TransportId};

pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Send { path, command, .. } => format!("{} ◄ {}", path.0, self::command(command)),
        Action::Probe { path, .. } => format!("{} ◄ probe", path.0),
        Action::Suspend { .. } => "map ◄ suspend".to_owned(),
        Action::Resume { .. } => "map ◄ resume".to_owned(),
    }
}

pub(crate) fn command(command: &Command) -> String {
    let (action, reservation_type, parameters) = match command {
        Command::In(cdb) if matches!(cdb.allocation_length, 8192 | 8160) => {
            return cdb.action.to_string();
        }
        Command::In(cdb) => return format!("{} ({} bytes)", cdb.action, cdb.allocation_length),
        Command::Out {
            action,
            reservation_type,
            parameters,
        } => (*action, *reservation_type, parameters),
    };
    let (key, new_key) = match parameters {
        Parameters::Basic(list) => (list.reservation_key, list.service_action_reservation_key),
        Parameters::RegisterAndMove(list) => {
            (list.reservation_key, list.service_action_reservation_key)
        }
    };
    let mut text = match action {
        OutAction::REGISTER => format!("REGISTER {key} to {new_key}"),
        OutAction::REGISTER_AND_IGNORE_EXISTING_KEY => format!("REGISTER AND IGNORE to {new_key}"),
        OutAction::CLEAR => format!("CLEAR by {key}"),
        OutAction::REGISTER_AND_MOVE => format!("REGISTER AND MOVE {key} to {new_key}"),
        OutAction::PREEMPT | OutAction::PREEMPT_AND_ABORT => {
            format!("{action} {new_key} by {key}, type {}", reservation_type.0)
        }
        _ => format!("{action} by {key}, type {}", reservation_type.0),
    };
    if let Parameters::Basic(list) = parameters {
        let flags = [
            (list.aptpl, " APTPL"),
            (list.all_tg_pt, " ALL_TG_PT"),
            (!list.transport_ids.is_empty(), " SPEC_I_PT"),
        ];
        text.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name));
    }
    text
}

pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Read(data) => format!("read {} bytes", data.len()),
        Outcome::Done => "done".to_owned(),
        Outcome::Conflict => "conflict".to_owned(),
        Outcome::Answered {
            path,
            status,
            sense,
        } => {
            let sense = sense.map(|sense| format!(", {sense}")).unwrap_or_default();
            format!("answered by {}: {status}{sense}", path.0)
        }
        Outcome::NoUsablePath => "no usable path".to_owned(),
        Outcome::Unreachable { path } => format!("unreachable, last {}", path.0),
        Outcome::Unknown { path } => format!("unknown, no answer of {}", path.0),
        Outcome::Incomplete { path } => format!("incomplete, {} left behind", path.0),
        Outcome::HolderUnreachable {
            key,
            reservation_type,
        } => format!("still held by {key}, type {}", reservation_type.0),
        Outcome::NotSuspended => "not suspended".to_owned(),
        Outcome::Malformed { path } => format!("malformed answer of {}", path.0),
    }
}

pub(crate) fn effects(effects: &Effects) -> String {
    let mut text = String::new();
    match &effects.registration {
        Some(Registration::Registered { key, paths, others }) => {
            let paths: Vec<String> = paths.iter().map(|path| path.0.to_string()).collect();
            text += &format!("; registered {key} on {}", paths.join(" "));
            match others {
                Others::AsBefore => {}
                Others::Removed => text += " alone",
                Others::AtMost(most) => text += &format!("at most {most}"),
            }
        }
        Some(Registration::Unregistered) => text += "; unregistered",
        None => {}
    }
    if let Some(Registration::Registered { paths, .. }) = &effects.registration {
        let unheard = effects.unheard.iter().filter(|path| !paths.contains(path));
        let unheard: Vec<String> = unheard.map(|path| path.0.to_string()).collect();
        if !unheard.is_empty() {
            text += &format!(", perhaps on {}", unheard.join(" "));
        }
    }
    match effects.holding {
        Some(Holding::Held(held)) => text += &format!("; holds type {}", held.0),
        Some(Holding::NotHeld) => text += "; holds nothing",
        None => {}
    }
    if effects.keeps_one_per_port {
        text += "; the array keeps one registration for each port";
    }
    if effects.takes_one_at_a_time {
        text += "; the array takes one registration at a time";
    }
    for news in &effects.news {
        text += &format!("; news: {news:?}");
    }
    text
}

pub(crate) fn key(key: u64) -> ReservationKey {
    ReservationKey(key)
}

pub(crate) fn port(address: u64) -> TransportId {
    TransportId::Sas { address }
}

pub(crate) fn read(action: InAction) -> Request {
    Request::Read(Read {
        action,
        allocation_length: None,
    })
}

pub(crate) fn register_with(old: u64, new: u64) -> Register {
    Register {
        mode: RegisterMode::Compare,
        key: key(old),
        new_key: key(new),
        aptpl: false,
        all_tg_pt: false,
        transport_ids: Vec::new(),
    }
}

pub(crate) fn register(old: u64, new: u64) -> Request {
    Request::Register(register_with(old, new))
}

pub(crate) fn register_ignore(new: u64) -> Request {
    Request::Register(Register {
        mode: RegisterMode::Ignore,
        ..register_with(0, new)
    })
}

pub(crate) fn reserve(reservation_type: u8) -> Request {
    Request::Reserve(Reserve {
        key: key(0xa),
        reservation_type: ReservationType(reservation_type),
    })
}

pub(crate) fn release(reservation_type: u8) -> Request {
    Request::Release(Release {
        key: key(0xa),
        reservation_type: ReservationType(reservation_type),
    })
}

pub(crate) fn clear() -> Request {
    Request::Clear(Clear { key: key(0xa) })
}

pub(crate) fn preempt(victim: u64, commands: VictimCommands) -> Request {
    Request::Preempt(Preempt {
        key: key(0xa),
        victim: key(victim),
        reservation_type: ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
        commands,
    })
}

pub(crate) fn register_and_move(unregister: bool) -> Request {
    Request::RegisterAndMove(RegisterAndMove {
        key: key(0xa),
        new_key: key(0xb),
        aptpl: false,
        unregister,
        relative_target_port: 1,
        transport_id: port(0xbb),
    })
}

/// A map of usable paths 1, 2, … that remembers key 0xa, each with a port of its own.
pub(crate) fn map(states: &[PathState]) -> Snapshot {
    let path = |(id, state): (u32, &PathState)| Path {
        id: PathId(id),
        state: *state,
        initiator_port: Some(port(u64::from(id))),
    };
    Snapshot {
        paths: (1..).zip(states).map(path).collect(),
        remembered_key: Some(key(0xa)),
        remembered_nexuses: states.len(),
        ..Snapshot::default()
    }
}
