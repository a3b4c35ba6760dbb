//! Words for states, lists, keys and owners, the same wherever they are shown.

use dm_multipath::scsi::AccessState;
use dm_multipath::table::PathState as MapPathState;
use pr_policy::{Evidence, Ownership, PathId, Registered};

use crate::map::OpenMap;

/// A path in one word: what the kernel has against it, or how the array wants it to be used.
pub(crate) fn path_state(map: &OpenMap, id: PathId) -> String {
    let Some(device) = map.scsi_device(id) else {
        return "gone".to_owned();
    };
    if device.state != dm_multipath::scsi::ScsiState::RUNNING {
        return device.state.to_string();
    }
    match (map.dm_state(id), &device.access_state) {
        (Some(MapPathState::Failed), _) => "failed".to_owned(),
        (_, Some(access)) if *access == AccessState::STANDBY => "standby".to_owned(),
        _ => "active".to_owned(),
    }
}

/// `sda`, `sda and sdb`, `sda, sdb and sdc`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The key of a path, as a column has it.
pub(crate) fn key(registered: Registered) -> String {
    match registered {
        Registered::Key(key) => key.to_string(),
        Registered::Nothing => "-".to_owned(),
        Registered::Unknown => "?".to_owned(),
    }
}

/// Whose something is.
pub(crate) const fn owner(owner: Ownership) -> &'static str {
    match owner {
        Ownership::Ours => "this node",
        Ownership::Foreign => "another node",
        Ownership::Unclear => "cannot tell whose",
    }
}

/// By what that is known.
pub(crate) const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Port => "the device names its port",
        Evidence::Key => "its key is not this node's",
        Evidence::Memory => "this node remembers it",
        Evidence::None => "nothing tells",
    }
}
