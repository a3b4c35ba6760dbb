//! `explain MAP`: where the key comes from, what is remembered, and what each piece of evidence
//! says of whose a registration is.

use std::fmt::Write as _;

use mpath_state::config::{KeySetting, Origin};
use pr_policy::{Appraisal, Evidence, Naming, Ownership};

use serde::Serialize;

use super::Terminal;
use super::json::MapStatus;
use crate::paint::wrapped;
use crate::view::findings::counted;
use crate::view::{Answering, HostView, View, phrases};

/// `explain MAP --json`: what `status` has of the map, and the reasons.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    #[serde(flatten)]
    status: MapStatus,
    explained: Sentences,
    evidence: Vec<Piece>,
}

/// The page, in the same words.
#[derive(Debug, Serialize)]
struct Sentences {
    key: Vec<String>,
    memory: Vec<String>,
    daemon: Vec<String>,
}

/// One piece of evidence of whose a registration is.
#[derive(Debug, Serialize)]
struct Piece {
    kind: Kind,
    /// What it speaks for; `unclear`: nothing, or it was not used.
    says: Says,
    message: String,
}

/// The grades, the strongest first, and what follows from all.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Port,
    Register,
    Count,
    Memory,
    Conclusion,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Says {
    ThisNode,
    OtherNode,
    Unclear,
}

impl Explained {
    pub(super) fn of(map: &View, view: &HostView) -> Self {
        Self {
            status: MapStatus::of(map),
            explained: Sentences {
                key: key(map),
                memory: memory(map),
                daemon: daemon(map, view),
            },
            evidence: map
                .seen
                .as_ref()
                .map_or_else(|_| Vec::new(), |seen| pieces(map, seen)),
        }
    }
}

pub(super) fn text(map: &View, view: &HostView, terminal: Terminal) -> String {
    let mut text = format!("{}  {}\n", map.name, map.wwid);
    let columns = terminal.columns.unwrap_or(usize::MAX);
    let room = columns.saturating_sub(INDENT.len()).max(LEAST_ROOM);
    for (title, sentences) in [
        ("The key", key(map)),
        ("What this node remembers", memory(map)),
        ("The daemon", daemon(map, view)),
        ("Whose is what", evidence(map)),
    ] {
        let _ = writeln!(text, "\n{title}");
        for sentence in sentences {
            let lines = wrapped(&sentence, room);
            let _ = writeln!(text, "  - {}", lines.join(&format!("\n{INDENT}")));
        }
    }
    text
}

fn key(map: &View) -> Vec<String> {
    let source = &map.key;
    let mut said = Vec::new();
    match &source.setting {
        KeySetting::Key(key) => said.push(format!(
            "{} says 'reservation_key {key}': only this key may be registered",
            source.origin
        )),
        KeySetting::File => said.push(format!(
            "{} 'reservation_key file': the key is in {}, and registering sets it",
            match &source.origin {
                Origin::Default => "nothing is configured, which means".to_owned(),
                origin => format!("{origin} says"),
            },
            source.prkeys
        )),
    }
    match &source.stored {
        Err(error) => said.push(format!("that file cannot be used: {error}")),
        Ok(Some(key)) => {
            let counts = match source.setting {
                KeySetting::File => "",
                KeySetting::Key(_) => ", which does not count here",
            };
            said.push(format!("{} has {key} for this map{counts}", source.prkeys));
        }
        Ok(None) => said.push(format!("{} has no key for this map", source.prkeys)),
    }
    said
}

fn memory(map: &View) -> Vec<String> {
    let mut said = Vec::new();
    match &map.record {
        Err(error) => said.push(format!("the record cannot be read: {error}")),
        Ok(None) => said.push("there is no record: nothing was changed since the start".to_owned()),
        Ok(Some(record)) => {
            let key = record
                .key
                .map_or(String::new(), |key| format!(" with {key}"));
            said.push(format!("registered: {}{key}", record.registered));
            said.push(format!("holds the reservation: {}", record.holds));
            let mut nexuses: Vec<String> = Vec::new();
            for nexus in &record.nexuses {
                let port = nexus.initiator_port.as_deref().unwrap_or("?");
                nexuses.push(format!("{} ({port})", nexus.hctl));
            }
            let count = counted(nexuses.len(), "nexus", "nexuses");
            said.push(match nexuses.is_empty() {
                true => "no nexus was registered".to_owned(),
                false => format!("{count} registered: {}", phrases::listed(&nexuses)),
            });
            if !record.suspects.is_empty() {
                let suspects = phrases::listed(&record.suspects);
                said.push(format!("may have registered too late: {suspects}"));
            }
        }
    }
    match &map.journal {
        Err(error) => said.push(format!("the journal cannot be read: {error}")),
        Ok(None) => said.push("no command was cut off".to_owned()),
        Ok(Some(intent)) => {
            let (request, pid) = (&intent.request, intent.pid);
            said.push(format!("the journal has '{request}' by process {pid}"));
        }
    }
    said
}

fn daemon(map: &View, view: &HostView) -> Vec<String> {
    let Some(daemons) = &view.daemons else {
        return vec!["a sandbox has none".to_owned()];
    };
    let mut said = match (daemons.answering, map.daemon) {
        (None, _) => vec!["none is running".to_owned()],
        (Some(Answering::Not), _) => vec!["it does not answer".to_owned()],
        (Some(_), None) => vec!["it does not say what it knows of the map".to_owned()],
        (Some(_), Some(memory)) => {
            let word = |status: Option<_>| {
                status.map_or("no answer".to_owned(), |it: mpath_state::PrStatus| {
                    it.to_string()
                })
            };
            let key = match memory.key {
                None => "no answer".to_owned(),
                Some(None) => "none".to_owned(),
                Some(Some(key)) => key.to_string(),
            };
            vec![format!(
                "it remembers: registered {}, holding {}, key {key}",
                word(memory.registered),
                word(memory.holds)
            )]
        }
    };
    if let Some(Answering::InTime { pid, .. }) = daemons.answering {
        said.insert(0, format!("process {pid} answers"));
    }
    said
}

/// What each grade of evidence says, or why it was not used.
fn evidence(map: &View) -> Vec<String> {
    let Ok(seen) = &map.seen else {
        return vec!["nothing could be read from the device".to_owned()];
    };
    let pieces = pieces(map, seen).into_iter();
    pieces.map(|piece| piece.message).collect()
}

fn pieces(map: &View, seen: &Appraisal) -> Vec<Piece> {
    let register = "a REGISTER of a key over itself, which succeeds only where the key is: not \
                    used here, since it would count as a change on the device; commands use it";
    let register = (Says::Unclear, register.to_owned());
    let all = [
        (Kind::Port, ports(map, seen)),
        (Kind::Register, register),
        (Kind::Count, count(map, seen)),
        (Kind::Memory, remembered(map, seen)),
        (Kind::Conclusion, holder(map, seen)),
    ];
    let piece = |(kind, (says, message))| Piece {
        kind,
        says,
        message,
    };
    all.map(piece).into()
}

/// Speaks of the holder, where a single nexus holds the reservation.
fn ports(map: &View, seen: &Appraisal) -> (Says, String) {
    let by_port = seen.holder.as_ref();
    let by_port = by_port.filter(|holder| holder.evidence == Evidence::Port);
    let says = by_port.map_or(Says::Unclear, |holder| Says::of(holder.owner));
    (says, ports_told(map, seen))
}

fn ports_told(map: &View, seen: &Appraisal) -> String {
    let unknown = map
        .paths
        .iter()
        .filter(|path| path.initiator_port.is_none());
    let unknown = unknown.count();
    match seen.naming {
        Naming::Counted => "the device names no ports (READ FULL STATUS is not supported): a \
                            registration cannot be told by its port"
            .to_owned(),
        Naming::Named if unknown > 0 => format!(
            "the device names the port of each registration, but this host does not know its own \
             on {}: no other port can be called another node's",
            counted(unknown, "path", "paths")
        ),
        Naming::Named => {
            let of = |owner| seen.others.iter().filter(|it| it.owner == owner).count();
            let paths = seen.paths.iter();
            let on_paths = paths
                .filter(|it| matches!(it.registered, pr_policy::Registered::Key(_)))
                .count();
            format!(
                "the device names the port of each registration: {} on paths of this map, {} on \
                 other nexuses of this node, {} of other nodes",
                on_paths,
                of(Ownership::Ours),
                of(Ownership::Foreign)
            )
        }
    }
}

fn count(map: &View, seen: &Appraisal) -> (Says, String) {
    let Some(key) = seen.expected else {
        let unused = "the number of registrations: not used, this node is not registered";
        return (Says::Unclear, unused.to_owned());
    };
    let remembered = match &map.record {
        Ok(Some(record)) => record.nexuses.len(),
        _ => 0,
    };
    let most = map.paths.len().max(remembered);
    let found = seen.count(key);
    // That there are not too many proves nothing.
    let (says, meaning) = if found > most {
        (Says::OtherNode, "somebody else uses this key, too")
    } else {
        (Says::Unclear, "no more than this node can have made")
    };
    let told = format!(
        "{key} is registered {}, and this node has had {}: {meaning}",
        counted(found, "time", "times"),
        counted(most, "nexus", "nexuses")
    );
    (says, told)
}

fn remembered(map: &View, seen: &Appraisal) -> (Says, String) {
    let Ok(Some(record)) = &map.record else {
        let nothing = "what this node remembers: nothing".to_owned();
        return (Says::Unclear, nothing);
    };
    match (seen.expected, record.key) {
        (Some(key), Some(stored)) if stored.key == key => {
            let told = format!("this node remembers to have registered {key}");
            (Says::ThisNode, told)
        }
        _ => {
            let nothing = "what this node remembers speaks for nothing".to_owned();
            (Says::Unclear, nothing)
        }
    }
}

fn holder(map: &View, seen: &Appraisal) -> (Says, String) {
    let Some(reservation) = seen.reservation else {
        return (Says::Unclear, "so: there is no reservation".to_owned());
    };
    let Some(holder) = &seen.holder else {
        let shared = "so: the reservation is held by all who are registered";
        return (Says::Unclear, shared.to_owned());
    };
    let through = holder
        .path
        .map(|path| format!(" through {}", map.device(path)));
    let told = format!(
        "so: the reservation of {} is held by {}{} ({})",
        reservation.key,
        match holder.owner {
            Ownership::Unclear => "somebody of whom nothing tells",
            owner => phrases::owner(owner),
        },
        through.unwrap_or_default(),
        phrases::evidence(holder.evidence)
    );
    (Says::of(holder.owner), told)
}

impl Says {
    const fn of(owner: Ownership) -> Self {
        match owner {
            Ownership::Ours => Self::ThisNode,
            Ownership::Foreign => Self::OtherNode,
            Ownership::Unclear => Self::Unclear,
        }
    }
}

const INDENT: &str = "    ";
const LEAST_ROOM: usize = 24;
