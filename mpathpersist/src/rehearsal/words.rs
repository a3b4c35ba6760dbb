//! Commands and answers in the words of the standard.

use pr_policy::{Answer, Command, Parameters, PathState};
use scsi_pr::{
    InAction, OutAction, ReadFullStatus, ReadKeys, ReadReservation, Reservation, ReservationType,
    Status,
};

use super::RehearsedStep;
use super::hands::Act;

/// An act, its path apart.
pub(super) fn step(act: &Act) -> RehearsedStep {
    let (what, answer, changes) = match act {
        Act::Send {
            command, answer, ..
        } => {
            let changes = matches!(command, Command::Out { .. });
            let answer = answer.as_ref().map(|answer| answered(command, answer));
            let silent = || "no answer".to_owned();
            (sent(command), Some(answer.unwrap_or_else(silent)), changes)
        }
        Act::Probe { state, .. } => {
            let answer = match state {
                PathState::Usable => "it does",
                PathState::Doubtful | PathState::Dead => "it does not",
            };
            let what = "look whether it answers".to_owned();
            (what, Some(answer.to_owned()), false)
        }
        Act::Suspend => ("suspend the map: its I/O waits".to_owned(), None, true),
        Act::Resume => ("resume the map".to_owned(), None, true),
    };
    RehearsedStep {
        what,
        paths: Vec::new(),
        answer,
        changes,
    }
}

fn sent(command: &Command) -> String {
    let (action, kind, parameters) = match command {
        Command::In(cdb) => return cdb.action.to_string(),
        Command::Out {
            action,
            reservation_type,
            parameters,
        } => (*action, reservation_type.0, parameters),
    };
    let (key, new_key) = match parameters {
        Parameters::Basic(list) => (list.reservation_key, list.service_action_reservation_key),
        Parameters::RegisterAndMove(list) => {
            (list.reservation_key, list.service_action_reservation_key)
        }
    };
    let mut text = match action {
        OutAction::REGISTER => format!("{action}: key {key} becomes {new_key}"),
        OutAction::REGISTER_AND_IGNORE_EXISTING_KEY => format!("{action}: key {new_key}"),
        OutAction::CLEAR => format!("{action} by {key}"),
        OutAction::REGISTER_AND_MOVE => format!("{action}: from {key} to {new_key}"),
        OutAction::PREEMPT | OutAction::PREEMPT_AND_ABORT => {
            format!("{action} of {new_key} by {key}, type {kind}")
        }
        _ => format!("{action} by {key}, type {kind}"),
    };
    if let Parameters::Basic(list) = parameters {
        let flags = [
            (list.aptpl, ", APTPL"),
            (list.all_tg_pt, ", ALL_TG_PT"),
            (!list.transport_ids.is_empty(), ", SPEC_I_PT"),
        ];
        text.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name));
    }
    text
}

fn answered(command: &Command, answer: &Answer) -> String {
    match answer {
        Answer::NotSent => "cannot be sent".to_owned(),
        Answer::Lost => "no answer".to_owned(),
        Answer::Status {
            status: Status::GOOD,
            data,
            ..
        } => match command {
            Command::In(cdb) => read(cdb.action, data),
            Command::Out { .. } => Status::GOOD.to_string(),
        },
        Answer::Status { status, sense, .. } => match sense {
            Some(sense) => sense.to_string(),
            None => status.to_string(),
        },
    }
}

/// What of a response matters to a person.
fn read(action: InAction, data: &[u8]) -> String {
    let told = match action {
        InAction::READ_KEYS => ReadKeys::decode_partial(data)
            .ok()
            .map(|read| registrations(read.keys.len())),
        InAction::READ_RESERVATION => ReadReservation::decode(data)
            .ok()
            .map(|read| held(read.reservation)),
        InAction::READ_FULL_STATUS => ReadFullStatus::decode_partial(data).ok().map(|read| {
            let holder = read.descriptors.iter().find(|found| found.holder);
            let reservation = holder.map(|found| Reservation {
                key: found.key,
                scope: found.scope,
                reservation_type: found.reservation_type,
            });
            let count = registrations(read.descriptors.len());
            format!("{count}, {}", held(reservation))
        }),
        _ => None,
    };
    told.unwrap_or_else(|| format!("{} bytes", data.len()))
}

fn registrations(count: usize) -> String {
    match count {
        1 => "1 registration".to_owned(),
        _ => format!("{count} registrations"),
    }
}

fn held(reservation: Option<Reservation>) -> String {
    let all = ReservationType::is_all_registrants;
    match reservation {
        None => "no reservation".to_owned(),
        Some(held) if all(held.reservation_type) => {
            format!(
                "reserved by all registrants, type {}",
                held.reservation_type.0
            )
        }
        Some(held) => format!("reserved by {}, type {}", held.key, held.reservation_type.0),
    }
}
