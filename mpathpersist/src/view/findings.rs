//! What is wrong with a map, in sentences: what, on which path, and what to do.

use std::path::Path;

use mpath_state::PrStatus;
use mpath_state::record::Intent;
use pr_policy::{Finding, Outcome, PathId, PathState, Severity};
use scsi_pr::{Reservation, ReservationKey, SenseKey};

use super::daemons::read;
use super::phrases::listed;
use super::{Unseen, View};
use crate::cli::verdict;
use crate::code::Code;
use crate::host::Host;

/// Something that is wrong with a map, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Its stable name.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The paths that it is about.
    pub paths: Vec<String>,
    /// What it is, without the map's name.
    pub message: String,
    /// What to do; empty: nothing.
    pub next: String,
}

impl Remark {
    pub(super) fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            paths: Vec::new(),
            message: message.into(),
            next: String::new(),
        }
    }

    fn on(self, paths: Vec<String>) -> Self {
        Self { paths, ..self }
    }

    pub(super) fn next(self, next: impl Into<String>) -> Self {
        Self {
            next: next.into(),
            ..self
        }
    }
}

/// All there is, the worst first.
pub(super) fn of(view: &View, silent: &[PathId], host: &Host) -> Vec<Remark> {
    let mut remarks = Vec::new();
    remarks.extend(no_path(view));
    remarks.extend(suspended(view));
    remarks.extend(journal(view, host));
    match &view.seen {
        Ok(seen) => remarks.extend(seen.findings.iter().map(|found| remark(found, view))),
        Err(unseen) => remarks.extend(not_seen(unseen, view)),
    }
    remarks.extend(self::silent(view, silent));
    remarks.extend(unreadable(view));
    remarks.extend(daemon(view));
    remarks.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
    remarks
}

fn no_path(view: &View) -> Option<Remark> {
    let is_usable = view
        .paths
        .iter()
        .any(|path| path.use_state == PathState::Usable);
    let count = view.paths.len();
    let message = match count {
        0 => "the map has no path at all".to_owned(),
        _ => format!("none of the {count} paths is usable"),
    };
    (!is_usable).then(|| {
        Remark::new(Code::NoUsablePath, Severity::Broken, message)
            .next("mend the paths; 'multipathd show paths' shows their state")
    })
}

fn suspended(view: &View) -> Option<Remark> {
    let is_cut_off = matches!(&view.journal, Ok(Some(_)));
    let next = match is_cut_off {
        true => format!("run 'mpathpersist repair {}'", view.name),
        false => format!(
            "find out who suspended it; 'dmsetup resume {}' lets it go on",
            view.name
        ),
    };
    let message = "the map is suspended: all of its I/O waits";
    view.is_suspended
        .then(|| Remark::new(Code::MapSuspended, Severity::Broken, message).next(next))
}

fn journal(view: &View, host: &Host) -> Option<Remark> {
    let intent = view.journal.as_ref().ok()?.as_ref()?;
    let Intent { request, pid, .. } = intent;
    let comm = host.roots.proc.join(pid.to_string()).join("comm");
    if is_ours(&comm) {
        let message = format!("'{request}' is being carried out by process {pid}");
        return Some(Remark::new(Code::CommandAtWork, Severity::Info, message));
    }
    let message = format!("'{request}' by process {pid} was cut off before it was done");
    Some(
        Remark::new(Code::CommandCutOff, Severity::Attention, message)
            .next(format!("run 'mpathpersist repair {}'", view.name)),
    )
}

fn is_ours(comm: &Path) -> bool {
    read(comm).is_some_and(|name| name.starts_with("mpathpersist") || name.starts_with("multipath"))
}

/// The same sentence as a command would end with.
fn not_seen(unseen: &Unseen, view: &View) -> Option<Remark> {
    let (code, message) = match unseen {
        // That is known from the paths.
        Unseen::Outcome {
            outcome: Outcome::NoUsablePath,
            ..
        } => return None,
        Unseen::Outcome { outcome, .. } if is_unsupported(outcome) => {
            let severity = match view.key.key() {
                Some(_) => Severity::Attention,
                None => Severity::Info,
            };
            let message = "the array knows no persistent reservations through this disk";
            return Some(
                Remark::new(Code::InvalidOperation, severity, message)
                    .next("switch them on in the array, or use another way of fencing"),
            );
        }
        Unseen::Outcome { outcome, path } => verdict::of_reading(&view.name, outcome, path),
        Unseen::Failure(failure) => {
            let verdict = verdict::of_failure(failure);
            (verdict.kind, verdict.sentence)
        }
    };
    let message = message.strip_prefix(&format!("{}: ", view.name));
    let message = message.map_or_else(|| "it cannot be read".to_owned(), str::to_owned);
    Some(Remark::new(code, Severity::Attention, message))
}

impl View {
    /// Whether the array knows no persistent reservations, which is an answer too.
    #[must_use]
    pub fn is_without_reservations(&self) -> bool {
        matches!(&self.seen, Err(Unseen::Outcome { outcome, .. }) if is_unsupported(outcome))
    }
}

fn is_unsupported(outcome: &Outcome) -> bool {
    let Outcome::Answered { sense, .. } = outcome else {
        return false;
    };
    sense.is_some_and(|sense| {
        (sense.key, sense.asc, sense.ascq) == (SenseKey::ILLEGAL_REQUEST, 0x20, 0x00)
    })
}

fn silent(view: &View, silent: &[PathId]) -> Option<Remark> {
    let paths = names(view, silent);
    (!paths.is_empty() && view.seen.is_ok()).then(|| {
        let message = format!("{} did not answer within a second", listed(&paths));
        Remark::new(Code::SilentPath, Severity::Attention, message)
            .on(paths)
            .next("look at the link; 'multipathd fail path PATH' takes a path out of use")
    })
}

fn unreadable(view: &View) -> Vec<Remark> {
    let record = view.record.as_ref().err();
    let journal = view.journal.as_ref().err();
    let stored = view.key.stored.as_ref().err();
    let all = [record, journal, stored].into_iter().flatten();
    all.map(|error| {
        Remark::new(Code::RecordUnreadable, Severity::Attention, error)
            .next("the next command that changes the map puts a damaged file aside")
    })
    .collect()
}

/// A daemon that knows less than the device gives a returning path no key, or a wrong one.
fn daemon(view: &View) -> Option<Remark> {
    let (memory, Ok(seen)) = (view.daemon?, &view.seen) else {
        return None;
    };
    let is_registered = seen.expected.is_some_and(|key| seen.count(key) > 0);
    let disagrees = match memory.registered? {
        PrStatus::Set => !is_registered,
        PrStatus::Unset => is_registered,
        PrStatus::Unknown => false,
    };
    let (thinks, verb) = match is_registered {
        true => ("is not", "setprstatus"),
        false => ("is", "unsetprstatus"),
    };
    disagrees.then(|| {
        let message = format!("the daemon thinks that this node {thinks} registered");
        Remark::new(Code::DaemonDisagrees, Severity::Attention, message).next(format!(
            "restart it, or tell it: 'multipathd {verb} map {}'",
            view.name
        ))
    })
}

fn remark(finding: &Finding, view: &View) -> Remark {
    let (code, paths, message) = told(finding, view);
    Remark {
        code,
        severity: finding.severity(),
        paths,
        message,
        next: advice(finding, &view.name),
    }
}

fn told(finding: &Finding, view: &View) -> (Code, Vec<String>, String) {
    let none = Vec::new;
    match finding {
        Finding::PathsWithoutKey {
            paths,
            key,
            reservation,
        } => {
            let paths = names(view, paths);
            let effect = match reservation {
                Some(_) => ": I/O through it meets the reservation",
                None => "",
            };
            let message = format!("{} lacks the key {key}{effect}", listed(&paths));
            (Code::PathWithoutKey, paths, message)
        }
        Finding::PathsWithOtherKey { paths, key } => {
            let (names, found) = with_keys(view, paths);
            let message = format!("{found}, not {key}: fencing by that key misses it");
            (Code::PathWithOtherKey, names, message)
        }
        Finding::PathsWithKey { paths } => {
            let (names, found) = with_keys(view, paths);
            let message = format!("{found}, although this node is not registered");
            (Code::PathWithKey, names, message)
        }
        Finding::TooFewRegistrations { key, count, usable } => {
            let message = format!("{key} is registered {count} times, for {usable} usable paths");
            (Code::TooFewRegistrations, none(), message)
        }
        Finding::LeakedKey {
            key,
            count,
            is_current,
        } => {
            let which = if *is_current { "" } else { " the older key" };
            let message = format!(
                "{} of this node, which {} no path of the map, still {}{which} {key}",
                counted(*count, "nexus", "nexuses"),
                if *count == 1 { "is" } else { "are" },
                if *count == 1 { "has" } else { "have" },
            );
            (Code::LeakedKey, none(), message)
        }
        other => {
            let (code, message) = told_of_node(other, view);
            (code, none(), message)
        }
    }
}

/// Those that are about no path.
fn told_of_node(finding: &Finding, view: &View) -> (Code, String) {
    match finding {
        Finding::NotConfigured { key } => (
            Code::KeyNotConfigured,
            format!("registered with {key}, which is neither configured nor stored"),
        ),
        Finding::KeyChanged {
            registered,
            configured,
        } => (
            Code::KeyChanged,
            format!("registered with {registered}, but {configured} is configured"),
        ),
        Finding::SharedKey { key, port } => (
            Code::SharedKey,
            format!("another node ({port}) has the same key {key}"),
        ),
        Finding::Preempted { key, reservation } => {
            let held = match reservation {
                Some(held) => format!(", and a reservation stands ({})", held.reservation_type),
                None => String::new(),
            };
            let message = format!("this node was shut out: {key} is not registered any more{held}");
            (Code::Preempted, message)
        }
        Finding::ShutOut { reservation } => (
            Code::ShutOut,
            format!("this node is not registered, and {}", stands(reservation)),
        ),
        Finding::HolderOnDeadPath { path } => {
            let path = view.device(*path);
            let message = format!("{path}, which is not usable, holds the reservation");
            (Code::HolderOnDeadPath, message)
        }
        Finding::HolderOnLostPath => (
            Code::HolderOnLostPath,
            "a nexus of this node that is no path of the map holds the reservation".to_owned(),
        ),
        Finding::HolderUnclear { key } => (
            Code::HolderUnclear,
            format!("{key} holds the reservation, and it cannot be told whose that is"),
        ),
        Finding::HolderNotRegistered { key } => (
            Code::HolderNotRegistered,
            format!("{key} holds the reservation, and nobody is registered with it"),
        ),
        Finding::SinglePathType { reservation_type } => (
            Code::SinglePathType,
            format!("'{reservation_type}' admits one path: I/O through the others fails"),
        ),
        Finding::RemembersHolding => (
            Code::RemembersHolding,
            "this node remembers to hold the reservation, and does not".to_owned(),
        ),
        Finding::ForgotHolding => (
            Code::ForgotHolding,
            "this node holds the reservation, and does not remember it".to_owned(),
        ),
        _ => (
            Code::PortsNotNamed,
            "the array does not name ports: which path has which key cannot be told".to_owned(),
        ),
    }
}

fn advice(finding: &Finding, map: &str) -> String {
    let repair = || format!("run 'mpathpersist repair {map}'");
    let register = |key: &ReservationKey| {
        format!("run 'mpathpersist --out --register-ignore --param-sark {key} {map}'")
    };
    match finding {
        Finding::PathsWithoutKey { .. }
        | Finding::PathsWithOtherKey { .. }
        | Finding::PathsWithKey { .. }
        | Finding::LeakedKey {
            is_current: false, ..
        } => repair(),
        Finding::TooFewRegistrations { key, .. } | Finding::NotConfigured { key } => register(key),
        Finding::KeyChanged { configured, .. } => register(configured),
        Finding::Preempted { key, .. } => {
            format!("find out why; when it may come back, {}", register(key))
        }
        Finding::SharedKey { .. } => format!(
            "give each node a key of its own: change 'reservation_key' if multipath.conf has it, \
             then run 'mpathpersist --out --register-ignore --param-sark KEY {map}'"
        ),
        Finding::HolderUnclear { .. } => {
            format!("see 'mpathpersist explain {map}' for the evidence")
        }
        Finding::HolderNotRegistered { .. } => "look again; see 'mpathpersist explain \
             holder-not-registered' if it stays so"
            .to_owned(),
        Finding::SinglePathType { .. } => "release, and reserve with type 5 to 8".to_owned(),
        Finding::RemembersHolding => "reserve again if this node is to hold it".to_owned(),
        Finding::LeakedKey { .. }
        | Finding::ShutOut { .. }
        | Finding::HolderOnDeadPath { .. }
        | Finding::HolderOnLostPath
        | Finding::ForgotHolding
        | Finding::PortsNotNamed => String::new(),
    }
}

fn stands(reservation: &Reservation) -> String {
    let held = reservation.reservation_type;
    if held.is_all_registrants() {
        format!("all who are hold a reservation ({held})")
    } else {
        format!("{} holds a reservation ({held})", reservation.key)
    }
}

fn names(view: &View, paths: &[PathId]) -> Vec<String> {
    paths.iter().map(|path| view.device(*path)).collect()
}

/// `sda has 0xa and sdb has 0xb`.
fn with_keys(view: &View, paths: &[(PathId, ReservationKey)]) -> (Vec<String>, String) {
    let names: Vec<String> = paths.iter().map(|(path, _)| view.device(*path)).collect();
    let found = names.iter().zip(paths);
    let found: Vec<String> = found
        .map(|(name, (_, key))| format!("{name} has {key}"))
        .collect();
    (names, listed(&found))
}

pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("one {one}"),
        _ => format!("{count} {many}"),
    }
}
