//! Many maps, one line each.

use pr_policy::{Ownership, Severity};
use scsi_pr::ReservationType;

use super::{Terminal, screen, severity_style, usable};
use crate::paint::{Paint, Span, Style, cell, shown, table};
use crate::view::{HostView, View};

pub(super) fn text(view: &HostView, terminal: Terminal) -> String {
    let maps: Vec<&View> = view.maps.iter().flatten().collect();
    let mut rows = vec![header()];
    rows.extend(maps.iter().map(|map| row(map, terminal.columns)));
    let mut text = table(&rows, GAP, terminal.paint);
    text += &summary(&maps, terminal.paint);
    text += &screen::host(view, terminal);
    text
}

fn header() -> Vec<Vec<Span>> {
    ["map", "reservation", "holder", "key", "paths", "state"]
        .map(|title| cell(Style::Faint, title))
        .into()
}

fn row(map: &View, columns: Option<usize>) -> Vec<Vec<Span>> {
    let (held, holder) = reservation(map);
    let all = map.paths.len();
    let usable = usable(map);
    let style = if usable < all {
        Style::Mark
    } else {
        Style::Plain
    };
    let key = match &map.seen {
        Ok(seen) => seen.expected.map(|key| key.to_string()),
        Err(_) => None,
    };
    vec![
        cell(Style::Bold, map.name.clone()),
        cell(Style::Plain, held),
        cell(Style::Plain, holder),
        cell(Style::Plain, key.unwrap_or_else(|| "-".to_owned())),
        cell(style, format!("{usable}/{all}")),
        state(map, columns),
    ]
}

/// The worst by name; how many more there are.
fn state(map: &View, columns: Option<usize>) -> Vec<Span> {
    let important: Vec<_> = map
        .remarks
        .iter()
        .filter(|remark| remark.severity > Severity::Info)
        .collect();
    let Some(first) = important.first() else {
        return cell(Style::Good, "healthy");
    };
    let style = severity_style(first.severity);
    let names = important.iter().map(|remark| remark.code.slug());
    let names: Vec<&str> = names.collect();
    let text = match columns {
        Some(_) if names.len() > 1 => format!("{} +{}", first.code, names.len() - 1),
        _ => names.join(", "),
    };
    cell(style, text)
}

fn reservation(map: &View) -> (String, String) {
    let none = || "-".to_owned();
    let Ok(seen) = &map.seen else {
        let held = if map.is_without_reservations() {
            "no support"
        } else {
            "?"
        };
        return (held.to_owned(), none());
    };
    let Some(reservation) = seen.reservation else {
        return (none(), none());
    };
    let held = short(reservation.reservation_type);
    let holder = match &seen.holder {
        None => "all registrants".to_owned(),
        Some(holder) => match (holder.owner, holder.path) {
            (Ownership::Ours, Some(path)) => format!("this node ({})", map.device(path)),
            (Ownership::Ours, None) => "this node".to_owned(),
            (Ownership::Foreign, _) => format!("other ({})", reservation.key),
            (Ownership::Unclear, _) => format!("? ({})", reservation.key),
        },
    };
    (held, holder)
}

/// As clusters abbreviate them.
fn short(held: ReservationType) -> String {
    match held {
        ReservationType::WRITE_EXCLUSIVE => "WE".to_owned(),
        ReservationType::EXCLUSIVE_ACCESS => "EA".to_owned(),
        ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY => "WERO".to_owned(),
        ReservationType::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY => "EARO".to_owned(),
        ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS => "WEAR".to_owned(),
        ReservationType::EXCLUSIVE_ACCESS_ALL_REGISTRANTS => "EAAR".to_owned(),
        other => other.to_string(),
    }
}

fn summary(maps: &[&View], paint: Paint) -> String {
    let needy = maps
        .iter()
        .filter(|map| map.severity() != Some(Severity::Info));
    let count = needy.count();
    let what = match count {
        0 => "nothing wrong".to_owned(),
        1 => "1 needs attention: name it to see more".to_owned(),
        _ => format!("{count} need attention: name one to see more"),
    };
    let text = format!("{} maps, {what}", maps.len());
    shown(&cell(Style::Faint, text), paint) + "\n"
}

const GAP: usize = 2;
