//! One map on one screen: what an admin reads at a glance.

use mpath_state::PrStatus;
use mpath_state::config::KeySetting;
use pr_policy::{Appraisal, Ownership, PathAppraisal, PathVerdict, Registered, Stranger};
use scsi_pr::ReservationKey;

use super::{Detail, Terminal, severity_style, severity_word};
use crate::paint::{Span, Style, cell, shown, table, widest, wrapped};
use crate::size;
use crate::view::phrases::{self, listed};
use crate::view::{Answering, DaemonKind, HostView, PathView, Remark, View};

pub(super) fn text(view: &HostView, detail: Detail, terminal: Terminal) -> String {
    let maps = view.maps.iter().flatten();
    let mut screens: Vec<String> = maps
        .map(|map| {
            Screen {
                map,
                view,
                detail,
                terminal,
            }
            .text()
        })
        .collect();
    let host = host(view, terminal);
    if !host.is_empty() {
        screens.push(host);
    }
    if screens.is_empty() && view.maps.is_empty() {
        return "there is no multipath map on this host\n".to_owned();
    }
    screens.join("\n")
}

/// What concerns all maps.
pub(super) fn host(view: &HostView, terminal: Terminal) -> String {
    let remarks = view.remarks();
    if remarks.is_empty() {
        return String::new();
    }
    let mut text = shown(&cell(Style::Bold, "this host"), terminal.paint) + "\n";
    for found in &remarks {
        text += &remark(found, terminal);
    }
    text
}

struct Screen<'a> {
    map: &'a View,
    view: &'a HostView,
    detail: Detail,
    terminal: Terminal,
}

impl Screen<'_> {
    fn text(&self) -> String {
        let mut text = self.head();
        for (label, value) in self.fields() {
            text += &self.field(label, &value);
        }
        if !self.map.paths.is_empty() {
            text.push('\n');
            text += &self.paths();
        }
        let others = self.others();
        if !others.is_empty() {
            text.push('\n');
            for (label, value) in others {
                text += &self.field(label, &value);
            }
        }
        text.push('\n');
        for found in &self.map.remarks {
            text += &remark(found, self.terminal);
        }
        if self.map.remarks.is_empty() {
            let line = [Span(Style::Good, "  healthy".to_owned())];
            text += &shown(&line, self.terminal.paint);
            text.push('\n');
        }
        text
    }

    fn head(&self) -> String {
        let View {
            name,
            wwid,
            sectors,
            ..
        } = self.map;
        let size = size::shown(*sectors);
        let line = [
            Span(Style::Bold, name.clone()),
            Span(Style::Plain, format!("  {wwid}  {size}")),
        ];
        shown(&line, self.terminal.paint) + "\n"
    }

    fn fields(&self) -> Vec<(&'static str, Vec<Span>)> {
        let mut fields = Vec::new();
        match &self.map.seen {
            Ok(seen) => {
                fields.push(("reservation", reservation(seen)));
                fields.extend(self.holder(seen).map(|holder| ("holder", holder)));
            }
            Err(_) if self.map.is_without_reservations() => {
                fields.push((
                    "reservation",
                    cell(Style::Faint, "not supported by the array"),
                ));
            }
            Err(_) => fields.push(("reservation", cell(Style::Bad, "unknown"))),
        }
        fields.push(("key", self.key()));
        fields.push(("record", cell(Style::Plain, self.record())));
        let traits = self.map.traits();
        let ways = [
            (
                traits.sequential_registrations,
                "takes one registration at a time: it was busy, or slow, when it was given several",
            ),
            (
                traits.per_initiator_port,
                "keeps one registration for all paths of an initiator port",
            ),
        ];
        for (_, text) in ways.iter().filter(|(is_seen, _)| *is_seen) {
            fields.push(("array", cell(Style::Plain, *text)));
        }
        fields.extend(
            self.daemon()
                .map(|text| ("daemon", cell(Style::Plain, text))),
        );
        fields
    }

    fn holder(&self, seen: &Appraisal) -> Option<Vec<Span>> {
        let reservation = seen.reservation?;
        let Some(holder) = &seen.holder else {
            return Some(cell(Style::Plain, "all who are registered"));
        };
        let through = match (holder.path, &holder.port) {
            (Some(path), _) => format!(" through {}", self.map.device(path)),
            (None, Some(port)) => format!(" through {port}"),
            (None, None) => String::new(),
        };
        let who = phrases::owner(holder.owner);
        let why = phrases::evidence(holder.evidence);
        Some(vec![
            Span(Style::Bold, who.to_owned()),
            Span(Style::Plain, format!(", {}{through}", reservation.key)),
            Span(Style::Faint, format!(" ({why})")),
        ])
    }

    fn key(&self) -> Vec<Span> {
        let source = &self.map.key;
        let origin = match &source.setting {
            KeySetting::Key(_) => source.origin.to_string(),
            KeySetting::File => format!(
                "{} (reservation_key file: {})",
                source.prkeys, source.origin
            ),
        };
        match source.key() {
            Some(key) => vec![
                Span(Style::Plain, key.to_string()),
                Span(Style::Faint, format!(" from {origin}")),
            ],
            None => cell(Style::Faint, "none configured or stored"),
        }
    }

    /// What this node remembers.
    fn record(&self) -> String {
        let record = match &self.map.record {
            Err(_) => return "cannot be read".to_owned(),
            Ok(None) => {
                return "never registered by this program since the host started".to_owned();
            }
            Ok(Some(record)) => record,
        };
        let registered = match (record.registered, record.key) {
            (PrStatus::Set, Some(key)) => format!("registered with {}", key.key),
            (PrStatus::Set, None) => "registered".to_owned(),
            (PrStatus::Unset, _) => "not registered".to_owned(),
            (PrStatus::Unknown, _) => "registration unknown".to_owned(),
        };
        match record.holds {
            PrStatus::Set => format!("{registered}, holds the reservation"),
            PrStatus::Unset | PrStatus::Unknown => registered,
        }
    }

    fn daemon(&self) -> Option<String> {
        let daemons = self.view.daemons.as_ref()?;
        let name = match daemons.answering {
            None => return Some("not running".to_owned()),
            Some(Answering::Not) => return Some("does not answer".to_owned()),
            Some(Answering::InTime { kind, .. }) => match kind {
                DaemonKind::Lite => "multipathd-lite",
                DaemonKind::Multipathd => "multipathd",
                DaemonKind::Unknown => "running",
            },
        };
        let Some(memory) = self.map.daemon else {
            return Some(format!("{name}, which does not say"));
        };
        let said = |status: Option<PrStatus>, what: &str| match status {
            Some(PrStatus::Set) => what.to_owned(),
            Some(PrStatus::Unset) => format!("not {what}"),
            Some(PrStatus::Unknown) | None => format!("{what}: unknown"),
        };
        let registered = said(memory.registered, "registered");
        let holds = said(memory.holds, "holding");
        Some(format!("{name}: {registered}, {holds}"))
    }

    fn field(&self, label: &str, value: &[Span]) -> String {
        let plain: usize = value.iter().map(|Span(_, text)| text.chars().count()).sum();
        let room = self.room();
        let label = shown(
            &[Span(Style::Faint, format!("  {label:12} "))],
            self.terminal.paint,
        );
        if plain <= room {
            return format!("{label}{}\n", shown(value, self.terminal.paint));
        }
        let text: String = value.iter().map(|Span(_, text)| text.as_str()).collect();
        let indent = format!("\n{}", " ".repeat(LABEL));
        format!("{label}{}\n", wrapped(&text, room).join(&indent))
    }

    fn room(&self) -> usize {
        let columns = self.terminal.columns.unwrap_or(usize::MAX);
        columns.saturating_sub(LABEL).max(LEAST_ROOM)
    }

    fn paths(&self) -> String {
        let mut rows = vec![COLUMNS.map(|title| cell(Style::Faint, title)).to_vec()];
        rows.extend(self.map.paths.iter().map(|path| self.row(path)));
        if let (Detail::Brief, Some(columns)) = (self.detail, self.terminal.columns) {
            fit(&mut rows, columns);
        }
        for row in &mut rows {
            if let Some(first) = row.first_mut() {
                first.insert(0, Span(Style::Plain, "  ".to_owned()));
            }
        }
        table(&rows, GAP, self.terminal.paint)
    }

    fn row(&self, path: &PathView) -> Vec<Vec<Span>> {
        let dash = || "-".to_owned();
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(dash);
        let seen = self.map.seen.as_ref().ok();
        let judged = seen.and_then(|seen| seen.paths.iter().find(|it| it.id == path.id));
        let expected = seen.and_then(|seen| seen.expected);
        let mut key = cell(
            Style::Plain,
            judged.map_or("?".to_owned(), |judged| phrases::key(judged.registered)),
        );
        if judged.is_some_and(|judged| judged.holds) {
            key.push(Span(Style::Mark, format!(" {HOLDER}")));
        }
        vec![
            cell(Style::Bold, path.device.clone()),
            cell(Style::Plain, or_dash(&path.address)),
            cell(state_style(&path.state), path.state.clone()),
            cell(Style::Plain, or_dash(&path.initiator_port)),
            cell(Style::Plain, or_dash(&path.target_port)),
            key,
            cell(
                Style::Faint,
                expected.map_or_else(dash, |key| key.to_string()),
            ),
            judged.map_or_else(|| cell(Style::Bad, "unknown"), |it| verdict(it, expected)),
        ]
    }

    /// Registrations that no path of the map is.
    fn others(&self) -> Vec<(&'static str, Vec<Span>)> {
        let Ok(seen) = &self.map.seen else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for (owner, label) in [
            (Ownership::Foreign, "other nodes"),
            (Ownership::Ours, "no path now"),
            (Ownership::Unclear, "unclear"),
        ] {
            let of_owner = seen.others.iter().filter(|other| other.owner == owner);
            let of_owner: Vec<&Stranger> = of_owner.collect();
            let mut keys: Vec<ReservationKey> = of_owner.iter().map(|other| other.key).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let with_key = of_owner.iter().filter(|other| other.key == key);
                let text = strangers(key, &with_key.copied().collect::<Vec<_>>());
                lines.push((label, cell(Style::Plain, text)));
            }
        }
        if seen.naming == pr_policy::Naming::Counted {
            for (key, count) in &seen.keys {
                let text = format!("{key}, {count} times");
                lines.push(("registered", cell(Style::Plain, text)));
            }
        }
        lines
    }
}

fn reservation(seen: &Appraisal) -> Vec<Span> {
    match seen.reservation {
        None => cell(Style::Faint, "none"),
        Some(held) => vec![
            Span(Style::Mark, format!("{HOLDER} ")),
            Span(
                Style::Plain,
                format!(
                    "{} (type {:x})",
                    held.reservation_type, held.reservation_type.0
                ),
            ),
        ],
    }
}

/// `0xb2 from fcp,… to 2 target ports`, one for each initiator port.
fn strangers(key: ReservationKey, found: &[&Stranger]) -> String {
    let mut ports: Vec<String> = found
        .iter()
        .map(|other| other.transport_id.to_string())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let more = ports.len().saturating_sub(MOST_PORTS);
    ports.truncate(MOST_PORTS);
    if more > 0 {
        ports.push(format!("{more} more"));
    }
    let holds = if found.iter().any(|other| other.holds) {
        format!(" {HOLDER}")
    } else {
        String::new()
    };
    let count = match found.len() {
        1 => String::new(),
        count => format!(" ({count} registrations)"),
    };
    format!("{key}{holds}{count} from {}", listed(&ports))
}

fn state_style(state: &str) -> Style {
    match state {
        "active" => Style::Good,
        "standby" => Style::Plain,
        _ => Style::Bad,
    }
}

fn verdict(judged: &PathAppraisal, expected: Option<ReservationKey>) -> Vec<Span> {
    let (style, text) = match (judged.verdict, judged.registered) {
        (PathVerdict::Right, _) if expected.is_none() => (Style::Faint, "not registered"),
        (PathVerdict::Right, _) => (Style::Good, "ok"),
        (PathVerdict::Missing, _) => (Style::Bad, "no key"),
        (PathVerdict::Other, _) => (Style::Bad, "wrong key"),
        (PathVerdict::Unexpected, _) => (Style::Bad, "should have none"),
        (PathVerdict::Away, Registered::Key(_)) => (Style::Faint, "keeps its key"),
        (PathVerdict::Away, _) => (Style::Faint, "not in use"),
        (PathVerdict::Unclear, _) => (Style::Mark, "cannot tell"),
    };
    cell(style, text)
}

/// What is wrong in one paragraph, and what to do in the next.
pub(super) fn remark(found: &Remark, terminal: Terminal) -> String {
    let columns = terminal.columns.unwrap_or(usize::MAX);
    let room = columns.saturating_sub(LABEL).max(LEAST_ROOM);
    let word = severity_word(found.severity);
    let style = severity_style(found.severity);
    let mut text = shown(&[Span(style, format!("  {word:12} "))], terminal.paint);
    let indent = " ".repeat(LABEL);
    let message = format!("{} [{}]", found.message, found.code);
    text += &wrapped(&message, room).join(&format!("\n{indent}"));
    text.push('\n');
    if !found.next.is_empty() {
        for line in wrapped(&format!("→ {}", found.next), room) {
            text += &format!("{indent}{line}\n");
        }
    }
    text
}

/// Ports are shortened first; then what can be seen elsewhere is left out.
fn fit(rows: &mut Vec<Vec<Vec<Span>>>, columns: usize) {
    let mut fitting = rows.clone();
    // From the right, so that those on the left keep their numbers.
    for dropped in [
        [].as_slice(),
        &[EXPECTED],
        &[EXPECTED, TARGET, INITIATOR],
        &[EXPECTED, TARGET, INITIATOR, ADDRESS],
    ] {
        fitting.clone_from(rows);
        for row in &mut fitting {
            dropped.iter().for_each(|column| drop(row.remove(*column)));
        }
        let over = taken(&fitting).saturating_sub(columns);
        let ports = widest(rows, INITIATOR).max(widest(rows, TARGET));
        let room = ports.saturating_sub(over.div_ceil(2));
        if over > 0 && room >= LEAST_PORT && !dropped.contains(&TARGET) {
            shorten(&mut fitting, room);
        }
        if taken(&fitting) <= columns {
            break;
        }
    }
    *rows = fitting;
}

/// Columns of the terminal.
fn taken(rows: &[Vec<Vec<Span>>]) -> usize {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: usize = (0..count).map(|column| widest(rows, column)).sum();
    widths + GAP * count.saturating_sub(1) + 2
}

fn shorten(rows: &mut [Vec<Vec<Span>>], room: usize) {
    for row in rows.iter_mut().skip(1) {
        for column in [INITIATOR, TARGET] {
            for Span(_, text) in row.get_mut(column).into_iter().flatten() {
                *text = shortened(text, room);
            }
        }
    }
}

/// The end tells ports apart.
fn shortened(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count + 1 - room).collect();
    format!("…{end}")
}

const COLUMNS: [&str; 8] = [
    "path",
    "address",
    "state",
    "initiator port",
    "target port",
    "key",
    "expected",
    "verdict",
];
const ADDRESS: usize = 1;
const INITIATOR: usize = 3;
const TARGET: usize = 4;
const EXPECTED: usize = 6;
const HOLDER: &str = "●";
const GAP: usize = 2;
/// Two blanks, a label of 12, a blank.
const LABEL: usize = 15;
/// Narrower, words would be torn apart.
const LEAST_ROOM: usize = 24;
/// The last 11 characters tell ports of one fabric apart.
const LEAST_PORT: usize = 12;
const MOST_PORTS: usize = 4;
