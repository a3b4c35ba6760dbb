//! Maps as trees, the output of `multipath -ll`.

use std::fmt::Write;

use dm_multipath::table::GroupState;
use mpathpersist::size;

use super::map_row::MapRow;
use super::path_row::dm_state;
use crate::model::{Group, Path};

/// A map, its groups, their paths.
pub(super) fn of(row: &MapRow<'_>) -> String {
    let mut text = heading(row);
    let widths = widths(row);
    let groups = &row.map.groups;
    for (index, group) in groups.iter().enumerate() {
        let is_last = index + 1 == groups.len();
        // Writing to a string cannot fail.
        let _ = write_group(&mut text, row, group, is_last, &widths);
    }
    text
}

fn heading(row: &MapRow<'_>) -> String {
    let map = row.map;
    let wwid = match map.name == map.wwid {
        true => String::new(),
        false => format!(" ({})", map.wwid),
    };
    format!(
        "{}{wwid} {} {},{}\nsize={} features='{}' hwhandler='{}' wp={}\n",
        map.name,
        row.node(),
        row.vendor(),
        row.product(),
        size::shown(map.size),
        row.features(),
        row.hw_handler(),
        row.write_protection(),
    )
}

fn write_group(
    text: &mut String,
    row: &MapRow<'_>,
    group: &Group,
    is_last: bool,
    widths: &[usize],
) -> std::fmt::Result {
    let (branch, trunk) = if is_last { ('`', ' ') } else { ('|', '|') };
    let state = group_state(group.state);
    let selector = selector(group);
    writeln!(
        text,
        "{branch}-+- policy='{selector}' prio={} status={state}",
        group.priority
    )?;
    let paths: Vec<_> = group
        .paths
        .iter()
        .filter_map(|device| row.model.paths.get(device))
        .collect();
    for (index, path) in paths.iter().enumerate() {
        let twig = if index + 1 == paths.len() { '`' } else { '|' };
        write!(text, "{trunk} {twig}-")?;
        for (word, width) in words(path).iter().zip(widths) {
            write!(text, " {word:width$}")?;
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    Ok(())
}

/// Columns are in line over all groups.
fn widths(row: &MapRow<'_>) -> Vec<usize> {
    let mut widths = vec![0; 6];
    for path in row.paths() {
        for (width, word) in widths.iter_mut().zip(words(path)) {
            *width = (*width).max(word.len());
        }
    }
    widths
}

fn words(path: &Path) -> [String; 6] {
    [
        path.scsi.hctl.to_string(),
        path.scsi.name.clone(),
        path.scsi.device.to_string(),
        dm_state(path).to_owned(),
        path.check.to_string(),
        path.scsi.state.to_string(),
    ]
}

/// `service-time 0`
pub(super) fn selector(group: &Group) -> String {
    let args = &group.selector.args;
    let mut text = format!("{} {}", group.selector.name, args.len());
    for arg in args {
        text.push(' ');
        text.push_str(arg);
    }
    text
}

pub(super) const fn group_state(state: GroupState) -> &'static str {
    match state {
        GroupState::Active => "active",
        GroupState::Enabled => "enabled",
        GroupState::Disabled => "disabled",
    }
}
