//! The `--json` output of `status`, `check` and `explain`: one object on one line.
//!
//! Stable: fields are added, never renamed or removed; `docs/json.md` has them with their
//! meaning. Keys and SCSI codes are strings in hex, counts are numbers.

use mpath_state::config::KeySetting;
use mpath_state::record::MapRecord;
use mpath_state::{PrStatus, StoredKey};
use pr_policy::{
    Appraisal, Evidence, Naming, Ownership, PathAppraisal, PathState, PathVerdict, Registered,
    Severity, Stranger,
};
use scsi_pr::{Reservation, ReservationKey};
use serde::Serialize;

use super::check::{Checked, Line};
use super::repair::{self, Plan};
use super::severity_word;
use crate::cli::verdict;
use crate::code::Code;
use crate::repair::{Repaired, Step};
use crate::run::Failure;
use crate::view::{Answering, DaemonKind, HostView, PathView, Remark, View};

/// `status`
#[derive(Debug, Serialize)]
pub struct Status {
    version: u32,
    daemon: Option<Daemon>,
    findings: Vec<Found>,
    maps: Vec<MapStatus>,
    failures: Vec<Failed>,
}

/// `check`
#[derive(Debug, Serialize)]
pub struct Check {
    version: u32,
    exit_status: u8,
    status: &'static str,
    maps: usize,
    findings: Vec<CheckLine>,
}

/// `explain CODE`
#[derive(Debug, Serialize)]
pub struct Explained {
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    data: &'static str,
    next: &'static str,
}

/// `repair`
#[derive(Debug, Serialize)]
pub struct Repair {
    version: u32,
    map: String,
    exit_status: u8,
    steps: Vec<RepairStep>,
    left: Vec<String>,
    done: Option<Vec<String>>,
    failed: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct RepairStep {
    what: String,
    path: Option<String>,
}

/// One map.
#[derive(Debug, Serialize)]
pub struct MapStatus {
    map: String,
    wwid: String,
    size_bytes: u64,
    suspended: bool,
    severity: Option<&'static str>,
    generation: Option<u32>,
    ports_named: Option<bool>,
    reservation: Option<Held>,
    holder: Option<Holder>,
    key: KeyFrom,
    record: Option<Remembered>,
    daemon: Option<DaemonSays>,
    paths: Vec<PathStatus>,
    others: Vec<Other>,
    keys: Vec<KeyCount>,
    findings: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Held {
    key: String,
    #[serde(rename = "type")]
    reservation_type: u8,
    type_name: String,
}

#[derive(Debug, Serialize)]
struct Holder {
    owner: &'static str,
    evidence: &'static str,
    path: Option<String>,
    initiator_port: Option<String>,
}

#[derive(Debug, Serialize)]
struct KeyFrom {
    key: Option<String>,
    aptpl: bool,
    setting: String,
    origin: String,
    prkeys: String,
}

#[derive(Debug, Serialize)]
struct Remembered {
    registered: PrStatus,
    holds: PrStatus,
    key: Option<String>,
    reservation_type: Option<u8>,
    nexuses: usize,
    sequential_registrations: bool,
    per_initiator_port: bool,
}

#[derive(Debug, Serialize)]
struct DaemonSays {
    registered: Option<PrStatus>,
    holds: Option<PrStatus>,
    key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Daemon {
    answers: bool,
    pid: Option<u32>,
    kind: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct PathStatus {
    device: String,
    number: String,
    address: Option<String>,
    state: String,
    usable: bool,
    initiator_port: Option<String>,
    target_port: Option<String>,
    relative_target_port: Option<u16>,
    registered_key: Option<String>,
    registered: &'static str,
    expected_key: Option<String>,
    holder: bool,
    verdict: &'static str,
}

#[derive(Debug, Serialize)]
struct Other {
    owner: &'static str,
    key: String,
    holder: bool,
    initiator_port: String,
    relative_target_port: Option<u16>,
}

#[derive(Debug, Serialize)]
struct KeyCount {
    key: String,
    count: usize,
}

#[derive(Debug, Serialize)]
struct Found {
    code: &'static str,
    severity: &'static str,
    paths: Vec<String>,
    message: String,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct CheckLine {
    map: Option<String>,
    severity: &'static str,
    code: &'static str,
    paths: Vec<String>,
    message: String,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Failed {
    kind: &'static str,
    message: String,
    exit_status: u8,
}

/// An object as one line, with its line feed.
pub fn line(object: &impl Serialize) -> String {
    // Nothing in here can fail to be written: no maps, no foreign Serialize.
    serde_json::to_string(object).unwrap_or_default() + "\n"
}

impl Status {
    pub(super) fn of(view: &HostView) -> Self {
        let failed = view.maps.iter().filter_map(|map| map.as_ref().err());
        Self {
            version: VERSION,
            daemon: view.daemons.as_ref().map(|daemons| Daemon {
                answers: matches!(daemons.answering, Some(Answering::InTime { .. })),
                pid: match daemons.answering {
                    Some(Answering::InTime { pid, .. }) => Some(pid),
                    _ => None,
                },
                kind: match daemons.answering {
                    Some(Answering::InTime { kind, .. }) => kind_word(kind),
                    _ => None,
                },
            }),
            findings: view.remarks().iter().map(Found::of).collect(),
            maps: view.maps.iter().flatten().map(MapStatus::of).collect(),
            failures: failed.map(Failed::of).collect(),
        }
    }
}

impl Check {
    pub(super) fn of(checked: &Checked) -> Self {
        Self {
            version: VERSION,
            exit_status: checked.status().0,
            status: checked.word(),
            maps: checked.maps,
            findings: checked.lines.iter().map(CheckLine::of).collect(),
        }
    }
}

impl Explained {
    pub(super) fn of(code: Code) -> Self {
        let text = code.explanation();
        Self {
            code: code.slug(),
            title: text.title,
            cause: text.cause,
            data: text.data,
            next: text.next,
        }
    }
}

impl Repair {
    pub(super) fn of(plan: &Plan, repaired: Option<&Repaired>) -> Self {
        let step = |step: &Step| RepairStep {
            what: step.what.clone(),
            path: step.path.clone(),
        };
        let status = match repaired {
            None => plan.status(),
            Some(repaired) => repair::status(plan, repaired),
        };
        Self {
            version: VERSION,
            map: plan.map.clone(),
            exit_status: status.0,
            steps: plan.steps.iter().map(step).collect(),
            left: plan.left.clone(),
            done: repaired.map(|repaired| repaired.done.clone()),
            failed: repaired.map(|repaired| repaired.failed.clone()),
        }
    }
}

impl MapStatus {
    pub(super) fn of(map: &View) -> Self {
        let seen = map.seen.as_ref().ok();
        let others = seen.map(|seen| seen.others.as_slice()).unwrap_or_default();
        let keys = seen.map(|seen| seen.keys.as_slice()).unwrap_or_default();
        Self {
            map: map.name.clone(),
            wwid: map.wwid.clone(),
            size_bytes: map.sectors.saturating_mul(SECTOR),
            suspended: map.is_suspended,
            severity: map.severity().map(severity_or_healthy),
            generation: seen.map(|seen| seen.generation),
            ports_named: seen.map(|seen| seen.naming == Naming::Named),
            reservation: seen.and_then(|seen| seen.reservation).map(Held::of),
            holder: seen.and_then(|seen| Holder::of(map, seen)),
            key: KeyFrom::of(map),
            record: map
                .record
                .as_ref()
                .ok()
                .and_then(Option::as_ref)
                .map(Remembered::of),
            daemon: map.daemon.map(|memory| DaemonSays {
                registered: memory.registered,
                holds: memory.holds,
                key: memory
                    .key
                    .flatten()
                    .map(|key: StoredKey| key.key.to_string()),
            }),
            paths: map
                .paths
                .iter()
                .map(|path| PathStatus::of(path, seen))
                .collect(),
            others: others.iter().map(Other::of).collect(),
            keys: keys.iter().map(KeyCount::of).collect(),
            findings: map.remarks.iter().map(Found::of).collect(),
        }
    }
}

impl Held {
    fn of(held: Reservation) -> Self {
        Self {
            key: held.key.to_string(),
            reservation_type: held.reservation_type.0,
            type_name: held.reservation_type.to_string(),
        }
    }
}

impl Holder {
    fn of(map: &View, seen: &Appraisal) -> Option<Self> {
        let holder = seen.holder.as_ref()?;
        Some(Self {
            owner: owner(holder.owner),
            evidence: match holder.evidence {
                Evidence::Port => "port",
                Evidence::Key => "key",
                Evidence::Memory => "memory",
                Evidence::None => "none",
            },
            path: holder.path.map(|path| map.device(path)),
            initiator_port: holder.port.as_ref().map(ToString::to_string),
        })
    }
}

impl KeyFrom {
    fn of(map: &View) -> Self {
        let source = &map.key;
        let key = source.key();
        Self {
            key: key.map(|key| key.key.to_string()),
            aptpl: key.is_some_and(|key| key.aptpl),
            setting: match &source.setting {
                KeySetting::File => "file".to_owned(),
                KeySetting::Key(key) => key.to_string(),
            },
            origin: source.origin.to_string(),
            prkeys: source.prkeys.clone(),
        }
    }
}

impl Remembered {
    fn of(record: &MapRecord) -> Self {
        Self {
            registered: record.registered,
            holds: record.holds,
            key: record.key.map(|key| key.key.to_string()),
            reservation_type: record.reservation_type,
            nexuses: record.nexuses.len(),
            sequential_registrations: record.traits.sequential_registrations,
            per_initiator_port: record.traits.per_initiator_port,
        }
    }
}

impl PathStatus {
    fn of(path: &PathView, seen: Option<&Appraisal>) -> Self {
        let judged = seen.and_then(|seen| seen.paths.iter().find(|it| it.id == path.id));
        let expected = seen.and_then(|seen| seen.expected);
        let registered = judged.map_or(Registered::Unknown, |it| it.registered);
        Self {
            device: path.device.clone(),
            number: path.number.clone(),
            address: path.address.clone(),
            state: path.state.clone(),
            usable: path.use_state == PathState::Usable,
            initiator_port: path.initiator_port.clone(),
            target_port: path.target_port.clone(),
            relative_target_port: path.relative_target_port,
            registered_key: match registered {
                Registered::Key(key) => Some(key.to_string()),
                Registered::Nothing | Registered::Unknown => None,
            },
            registered: match registered {
                Registered::Key(_) => "yes",
                Registered::Nothing => "no",
                Registered::Unknown => "unknown",
            },
            expected_key: expected.map(|key| key.to_string()),
            holder: judged.is_some_and(|it| it.holds),
            verdict: judged.map_or("unclear", verdict_word),
        }
    }
}

impl Other {
    fn of(other: &Stranger) -> Self {
        Self {
            owner: owner(other.owner),
            key: other.key.to_string(),
            holder: other.holds,
            initiator_port: other.transport_id.to_string(),
            relative_target_port: other.relative_target_port,
        }
    }
}

impl KeyCount {
    fn of((key, count): &(ReservationKey, usize)) -> Self {
        let (key, count) = (key.to_string(), *count);
        Self { key, count }
    }
}

impl Found {
    fn of(remark: &Remark) -> Self {
        Self {
            code: remark.code.slug(),
            severity: severity_word(remark.severity),
            paths: remark.paths.clone(),
            message: remark.message.clone(),
            next: Some(remark.next.clone()).filter(|next| !next.is_empty()),
        }
    }
}

impl CheckLine {
    fn of(line: &Line) -> Self {
        Self {
            map: line.map.clone(),
            severity: line.word(),
            code: line.code.slug(),
            paths: line.paths.clone(),
            message: line.message.clone(),
            next: Some(line.next.clone()).filter(|next| !next.is_empty()),
        }
    }
}

impl Failed {
    fn of(failure: &Failure) -> Self {
        let verdict = verdict::of_failure(failure);
        Self {
            kind: verdict.kind.slug(),
            message: verdict.sentence,
            exit_status: verdict.exit.0,
        }
    }
}

const fn owner(owner: Ownership) -> &'static str {
    match owner {
        Ownership::Ours => "this-node",
        Ownership::Foreign => "other-node",
        Ownership::Unclear => "unclear",
    }
}

const fn verdict_word(judged: &PathAppraisal) -> &'static str {
    match judged.verdict {
        PathVerdict::Right => "right",
        PathVerdict::Missing => "missing",
        PathVerdict::Other => "other",
        PathVerdict::Unexpected => "unexpected",
        PathVerdict::Away => "away",
        PathVerdict::Unclear => "unclear",
    }
}

const fn severity_or_healthy(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "healthy",
        other => severity_word(other),
    }
}

const fn kind_word(kind: DaemonKind) -> Option<&'static str> {
    match kind {
        DaemonKind::Lite => Some("multipathd-lite"),
        DaemonKind::Multipathd => Some("multipathd"),
        DaemonKind::Unknown => None,
    }
}

const VERSION: u32 = 1;
const SECTOR: u64 = 512;
