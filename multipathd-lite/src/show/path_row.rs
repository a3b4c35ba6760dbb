//! The columns of paths.

use std::time::Instant;

use dm_multipath::scsi::{PortIdentity, ScsiDevice};
use dm_multipath::table::PathState;
use mpathpersist::size;

use super::columns::Row;
use crate::model::{Model, Path};
use crate::rules::protocol;

/// A path and where its map is.
pub(super) struct PathRow<'a> {
    pub(super) model: &'a Model,
    pub(super) path: &'a Path,
    pub(super) now: Instant,
}

impl PathRow<'_> {
    fn map_name(&self) -> &str {
        let map = self.path.map().and_then(|wwid| self.model.maps.get(wwid));
        match (map, self.path.map()) {
            (Some(map), _) => &map.name,
            (None, Some(_)) => "[unknown]",
            (None, None) => "[orphan]",
        }
    }

    /// Seconds until the next check, of the seconds between two.
    fn next_check(&self) -> String {
        if self.path.map().is_none() {
            return "orphan".to_owned();
        }
        let schedule = &self.path.schedule;
        let left = schedule.due.saturating_duration_since(self.now);
        let interval_s = schedule.interval.as_millis().div_ceil(1000).max(1);
        let left_s = left.as_millis().div_ceil(1000).min(interval_s);
        let marks = usize::try_from(BAR_LEN * left_s / interval_s).unwrap_or_default();
        let bar: String = (0..BAR_LEN as usize)
            .map(|at| if at < marks { 'X' } else { '.' })
            .collect();
        format!("{bar} {left_s}/{interval_s}")
    }
}

impl Row for PathRow<'_> {
    const KIND: &'static str = "path";
    const COLUMNS: &'static [(char, &'static str)] = &[
        ('w', "uuid"),
        ('i', "hcil"),
        ('d', "dev"),
        ('D', "dev_t"),
        ('t', "dm_st"),
        ('o', "dev_st"),
        ('T', "chk_st"),
        ('s', "vend/prod/rev"),
        ('c', "checker"),
        ('C', "next_check"),
        ('p', "pri"),
        ('S', "size"),
        ('z', "serial"),
        ('M', "marginal_st"),
        ('m', "multipath"),
        ('N', "host WWNN"),
        ('n', "target WWNN"),
        ('R', "host WWPN"),
        ('r', "target WWPN"),
        ('a', "host adapter"),
        ('G', "foreign"),
        ('g', "vpd page data"),
        ('0', "failures"),
        ('P', "protocol"),
        ('I', "init_st"),
        ('L', "LUN hex"),
        ('A', "TPG"),
    ];

    fn cell(&self, wildcard: char) -> String {
        let scsi = &self.path.scsi;
        match wildcard {
            'w' => scsi.wwid.clone().unwrap_or_default(),
            'i' => scsi.hctl.to_string(),
            'd' => scsi.name.clone(),
            'D' => scsi.device.to_string(),
            't' => dm_state(self.path).to_owned(),
            'o' => scsi.state.to_string(),
            'T' => self.path.check.to_string(),
            's' => format!("{},{}", scsi.vendor, scsi.model),
            'c' => CHECKER.to_owned(),
            'C' => self.next_check(),
            'p' => self.path.priority.to_string(),
            'S' => size::shown(self.path.size),
            'z' => String::new(),
            'M' => NOT_MARGINAL.to_owned(),
            'm' => self.map_name().to_owned(),
            'n' => node_name(scsi.target_port.as_ref()),
            'R' => port_name(scsi.initiator_port.as_ref()),
            'r' => port_name(scsi.target_port.as_ref()),
            'G' => "--".to_owned(),
            '0' => self.path.fail_count.to_string(),
            'P' => protocol(&scsi.transport).to_owned(),
            'I' => "ok".to_owned(),
            'L' => lun_hex(scsi),
            'A' => group(scsi),
            _ => UNKNOWN.to_owned(),
        }
    }
}

/// What the kernel's map says of the path.
pub(super) const fn dm_state(path: &Path) -> &'static str {
    match path.dm_state {
        Some(PathState::Active) => "active",
        Some(PathState::Failed) => "failed",
        None => "undef",
    }
}

/// The name of an iSCSI node.
pub(super) fn node_name(port: Option<&PortIdentity>) -> String {
    match port {
        Some(PortIdentity::Iscsi { name, .. }) => name.clone(),
        _ => UNKNOWN.to_owned(),
    }
}

/// The name of a port on Fibre Channel.
pub(super) fn port_name(port: Option<&PortIdentity>) -> String {
    match port {
        Some(PortIdentity::FibreChannel { wwpn }) => format!("0x{wwpn:016x}"),
        _ => UNKNOWN.to_owned(),
    }
}

pub(super) fn lun_hex(scsi: &ScsiDevice) -> String {
    format!("0x{:016x}", scsi.hctl.lun)
}

fn group(scsi: &ScsiDevice) -> String {
    let group = scsi.target_port_group;
    group.map_or_else(|| "-".to_owned(), |group| group.to_string())
}

/// The only checker there is.
pub(super) const CHECKER: &str = "tur";

/// No path is ever taken for marginal.
pub(super) const NOT_MARGINAL: &str = "normal";

/// multipathd's word for what it does not know.
pub(super) const UNKNOWN: &str = "[undef]";

/// Letters of the bar before the seconds until the next check.
const BAR_LEN: u128 = 10;
