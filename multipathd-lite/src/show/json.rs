//! Maps and paths as JSON: the keys that multipathd gives, and what is known of persistent
//! reservations behind them (`reservations`, `registration`).

use std::sync::Arc;

use dm_multipath::scsi::PortIdentity;
use serde::Serialize;

use super::map_row::MapRow;
use super::path_row::{CHECKER, NOT_MARGINAL, UNKNOWN, dm_state, lun_hex, node_name, port_name};
use super::topology::{group_state, selector};
use crate::model::{Group, Map, Model, Path, PathUse, Settling};

/// `show maps json`
pub(super) fn maps(model: &Model) -> String {
    let maps = model.maps.values();
    let maps = maps.map(|map| JsonMap::new(model, map)).collect();
    shown(&Document {
        major_version: MAJOR_VERSION,
        minor_version: MINOR_VERSION,
        content: Content::Maps(maps),
    })
}

/// `show map NAME json`
pub(super) fn map(model: &Model, map: &Arc<Map>) -> String {
    shown(&Document {
        major_version: MAJOR_VERSION,
        minor_version: MINOR_VERSION,
        content: Content::Map(Box::new(JsonMap::new(model, map))),
    })
}

/// `show paths json`
pub(super) fn paths(model: &Model) -> String {
    let paths = model.paths.values();
    shown(&Document {
        major_version: MAJOR_VERSION,
        minor_version: MINOR_VERSION,
        content: Content::Paths(paths.map(|path| JsonPath::new(path)).collect()),
    })
}

fn shown(document: &Document) -> String {
    // Texts and numbers alone: there is nothing that could not be written.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    text + "\n"
}

#[derive(Serialize)]
struct Document {
    major_version: u32,
    minor_version: u32,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Maps(Vec<JsonMap>),
    Map(Box<JsonMap>),
    Paths(Vec<JsonPath>),
}

#[derive(Serialize)]
struct JsonMap {
    name: String,
    uuid: String,
    sysfs: String,
    failback: String,
    queueing: String,
    paths: usize,
    write_prot: &'static str,
    dm_st: &'static str,
    features: String,
    hwhandler: String,
    action: &'static str,
    path_faults: u32,
    vend: String,
    prod: String,
    rev: String,
    switch_grp: u32,
    map_loads: u32,
    total_q_time: u32,
    q_timeouts: u32,
    path_groups: Vec<JsonGroup>,
    reservations: JsonReservations,
}

#[derive(Serialize)]
struct JsonGroup {
    selector: String,
    pri: i32,
    dm_st: &'static str,
    marginal_st: &'static str,
    group: usize,
    paths: Vec<JsonPath>,
}

#[derive(Serialize)]
struct JsonPath {
    dev: String,
    dev_t: String,
    dm_st: &'static str,
    dev_st: String,
    chk_st: String,
    checker: &'static str,
    pri: i32,
    host_wwnn: &'static str,
    target_wwnn: String,
    host_wwpn: String,
    target_wwpn: String,
    host_adapter: &'static str,
    lun_hex: String,
    marginal_st: &'static str,
    hcil: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_because: Option<String>,
    initiator_port: Option<String>,
    target_port: Option<String>,
    registration: &'static str,
}

/// What this node has on the map.
#[derive(Serialize)]
struct JsonReservations {
    registered: String,
    holds: String,
    configured_key: Option<String>,
    key: Option<String>,
    reservation_type: Option<u8>,
    preemptions: u32,
}

impl JsonMap {
    fn new(model: &Model, map: &Map) -> Self {
        let row = MapRow { model, map };
        let groups = map.groups.iter().enumerate();
        Self {
            name: map.name.clone(),
            uuid: map.wwid.clone(),
            sysfs: row.node(),
            failback: row.failback(),
            queueing: row.queueing(),
            paths: row.paths().count(),
            write_prot: row.write_protection(),
            dm_st: row.state(),
            features: row.features(),
            hwhandler: row.hw_handler(),
            action: "",
            path_faults: map.path_faults,
            vend: row.vendor().to_owned(),
            prod: row.product().to_owned(),
            rev: row.revision().to_owned(),
            switch_grp: 0,
            map_loads: map.table_loads,
            total_q_time: 0,
            q_timeouts: 0,
            path_groups: groups
                .map(|(at, group)| JsonGroup::new(model, at, group))
                .collect(),
            reservations: JsonReservations {
                registered: map.pr.registered.to_string(),
                holds: map.pr.holds.to_string(),
                configured_key: map.pr.configured.map(|key| key.to_string()),
                key: map.pr.key.map(|key| key.to_string()),
                reservation_type: map.pr.reservation_type,
                preemptions: map.pr.preemptions,
            },
        }
    }
}

impl JsonGroup {
    fn new(model: &Model, index: usize, group: &Group) -> Self {
        let paths = group
            .paths
            .iter()
            .filter_map(|device| model.paths.get(device));
        Self {
            selector: selector(group),
            pri: group.priority,
            dm_st: group_state(group.state),
            marginal_st: NOT_MARGINAL,
            group: index + 1,
            paths: paths.map(|path| JsonPath::new(path)).collect(),
        }
    }
}

impl JsonPath {
    fn new(path: &Path) -> Self {
        let scsi = &path.scsi;
        Self {
            dev: scsi.name.clone(),
            dev_t: scsi.device.to_string(),
            dm_st: dm_state(path),
            dev_st: scsi.state.to_string(),
            chk_st: path.check.to_string(),
            checker: CHECKER,
            pri: path.priority,
            host_wwnn: UNKNOWN,
            target_wwnn: node_name(scsi.target_port.as_ref()),
            host_wwpn: port_name(scsi.initiator_port.as_ref()),
            target_wwpn: port_name(scsi.target_port.as_ref()),
            host_adapter: UNKNOWN,
            lun_hex: lun_hex(scsi),
            marginal_st: NOT_MARGINAL,
            hcil: scsi.hctl.to_string(),
            uuid: scsi.wwid.clone(),
            unused_because: match &path.usage {
                PathUse::None(reason) => Some(reason.clone()),
                PathUse::Map(_) => None,
            },
            initiator_port: scsi.initiator_port.as_ref().map(identity),
            target_port: scsi.target_port.as_ref().map(identity),
            registration: registration(path.settling),
        }
    }
}

/// What a port is called, whatever its transport.
fn identity(port: &PortIdentity) -> String {
    match port {
        PortIdentity::FibreChannel { wwpn: name } | PortIdentity::Sas { address: name } => {
            format!("0x{name:016x}")
        }
        PortIdentity::Iscsi { name, .. } => name.clone(),
    }
}

const fn registration(settling: Settling) -> &'static str {
    match settling {
        Settling::Pending => "pending",
        Settling::UnderWay => "under way",
        Settling::Unsettled => "unsettled",
        Settling::Settled => "settled",
    }
}

/// multipathd's numbers of the form.
const MAJOR_VERSION: u32 = 0;
const MINOR_VERSION: u32 = 1;
