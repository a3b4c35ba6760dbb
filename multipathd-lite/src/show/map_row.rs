//! The columns of maps.

use std::sync::Arc;

use dm_multipath::table::PathState;
use mpathpersist::size;

use super::columns::Row;
use super::path_row::UNKNOWN;
use crate::model::{Map, Model, Path, Queueing};
use crate::rules::Failback;

/// A map and where its paths are.
pub(super) struct MapRow<'a> {
    pub(super) model: &'a Model,
    pub(super) map: &'a Map,
}

impl<'a> MapRow<'a> {
    pub(super) fn paths(&self) -> impl Iterator<Item = &'a Arc<Path>> {
        self.model.paths_of(self.map)
    }

    /// All paths of a map are the same unit: the first one speaks for all.
    pub(super) fn vendor(&self) -> &'a str {
        self.first().map_or(NOTHING, |path| &path.scsi.vendor)
    }

    pub(super) fn product(&self) -> &'a str {
        self.first().map_or(NOTHING, |path| &path.scsi.model)
    }

    pub(super) fn revision(&self) -> &'a str {
        self.first().map_or(NOTHING, |path| &path.scsi.rev)
    }

    fn first(&self) -> Option<&'a Path> {
        self.paths().next().map(Arc::as_ref)
    }

    pub(super) fn node(&self) -> String {
        self.map.node().unwrap_or_default()
    }

    pub(super) fn queueing(&self) -> String {
        match self.map.queueing {
            _ if self.map.is_queueing_stopped => "off".to_owned(),
            Queueing::Off => "off".to_owned(),
            Queueing::On => "on".to_owned(),
            Queueing::Seconds(seconds) => format!("{seconds} sec"),
        }
    }

    pub(super) fn failback(&self) -> String {
        match self.map.failback {
            Failback::Manual => "-".to_owned(),
            Failback::Immediate => "immediate".to_owned(),
            Failback::Seconds(seconds) => seconds.to_string(),
            Failback::Followover => "followover".to_owned(),
        }
    }

    pub(super) fn state(&self) -> &'static str {
        if self.map.suspended {
            "suspend"
        } else {
            "active"
        }
    }

    pub(super) fn write_protection(&self) -> &'static str {
        if self.map.read_only { "ro" } else { "rw" }
    }

    pub(super) fn features(&self) -> String {
        counted(&self.map.features)
    }

    pub(super) fn hw_handler(&self) -> String {
        counted(&self.map.hw_handler)
    }

    /// Paths that the kernel does not use at the moment.
    fn failed(&self) -> usize {
        let is_failed = |path: &&Arc<Path>| path.dm_state == Some(PathState::Failed);
        self.paths().filter(is_failed).count()
    }
}

impl Row for MapRow<'_> {
    const KIND: &'static str = "multipath";
    const COLUMNS: &'static [(char, &'static str)] = &[
        ('n', "name"),
        ('w', "uuid"),
        ('d', "sysfs"),
        ('F', "failback"),
        ('Q', "queueing"),
        ('N', "paths"),
        ('r', "write_prot"),
        ('t', "dm-st"),
        ('S', "size"),
        ('f', "features"),
        ('x', "failures"),
        ('h', "hwhandler"),
        ('A', "action"),
        ('0', "path_faults"),
        ('1', "switch_grp"),
        ('2', "map_loads"),
        ('3', "total_q_time"),
        ('4', "q_timeouts"),
        ('s', "vend/prod/rev"),
        ('v', "vend"),
        ('p', "prod"),
        ('e', "rev"),
        ('G', "foreign"),
        ('g', "vpd page data"),
    ];

    fn cell(&self, wildcard: char) -> String {
        match wildcard {
            'n' => self.map.name.clone(),
            'w' => self.map.wwid.clone(),
            'd' => self.node(),
            'F' => self.failback(),
            'Q' => self.queueing(),
            'N' => self.paths().count().to_string(),
            'r' => self.write_protection().to_owned(),
            't' => self.state().to_owned(),
            'S' => size::shown(self.map.size),
            'f' => self.features(),
            'x' => self.failed().to_string(),
            'h' => self.hw_handler(),
            'A' => String::new(),
            '0' => self.map.path_faults.to_string(),
            '2' => self.map.table_loads.to_string(),
            '1' | '3' | '4' => "0".to_owned(),
            's' => format!("{},{}", self.vendor(), self.product()),
            'v' => self.vendor().to_owned(),
            'p' => self.product().to_owned(),
            'e' => self.revision().to_owned(),
            'G' => "--".to_owned(),
            _ => UNKNOWN.to_owned(),
        }
    }
}

/// `1 alua`: words as a table has them, with their count.
fn counted(words: &[String]) -> String {
    let mut text = words.len().to_string();
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    text
}

/// What multipathd shows for a map without paths.
const NOTHING: &str = "##";
