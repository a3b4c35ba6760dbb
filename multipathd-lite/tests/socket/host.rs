//! A host with two maps: one of two groups with one path down, one that has lost its paths and is
//! suspended; and a disk that is in none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::{Hctl, IsidOrigin, PortIdentity, ScsiDevice, ScsiState, Transport};
use dm_multipath::table::{GroupState, PathState, Selector};
use mpath_state::PrStatus;
use multipathd_lite::model::{
    Activity, CheckState, Group, Map, Model, Path, PathUse, Queueing, Schedule, Settling,
};

pub(crate) const WWID: &str = "3600140535d6d33467aae9a2e30000000";
pub(crate) const OTHER_WWID: &str = "36001405b8a9f715dbb64fd5c50000000";

use multipathd_lite::rules::Failback;

/// The host, as it is at `now`.
pub(crate) fn model(now: Instant) -> Model {
    let mut model = Model::new(now);
    model.activity = Activity::Idle;
    model.config = Arc::from("defaults {\n\treservation_key \"file\"\n}\n");
    model.counters.checks = 42;
    model.counters.preemptions_seen = 1;
    for path in [up(now), standby(now), down(now), unused(now)] {
        model.paths.insert(path.scsi.device, Arc::new(path));
    }
    for map in [map(), empty_map()] {
        model.maps.insert(map.wwid.clone(), Arc::new(map));
    }
    model
}

/// A host of 1024 maps with 16 paths each.
pub(crate) fn large_model(now: Instant) -> Model {
    let mut model = Model::new(now);
    for unit in 0..1024 {
        let wwid = format!("36001405{unit:025}");
        let mut of_unit = map();
        of_unit.wwid.clone_from(&wwid);
        of_unit.name = format!("mpath{unit}");
        let group = &mut of_unit.groups[0];
        group.paths = (0..16).map(|path| device(unit * 16 + path)).collect();
        of_unit.groups.truncate(1);
        for device in of_unit.groups[0].paths.clone() {
            let mut path = path(device.minor, "sdxyz", &wwid, now);
            path.dm_state = Some(PathState::Active);
            model.paths.insert(device, Arc::new(path));
        }
        model.maps.insert(wwid, Arc::new(of_unit));
    }
    model
}

fn map() -> Map {
    let group = |state, priority, paths: &[u32]| Group {
        state,
        selector: selector(),
        priority,
        paths: paths.iter().map(|minor| device(*minor)).collect(),
    };
    let mut map = Map::new(WWID, "mpatha");
    map.device = Some(DeviceNumber {
        major: 254,
        minor: 0,
    });
    map.size = 131_072;
    map.groups = vec![
        group(GroupState::Active, 50, &[0, 16]),
        group(GroupState::Enabled, 10, &[160]),
    ];
    map.hw_handler = vec!["alua".to_owned()];
    map.queueing = Queueing::Seconds(60);
    map.failback = Failback::Seconds(30);
    map.path_faults = 3;
    map.table_loads = 2;
    map.pr.configured = "0x123abc:aptpl".parse().ok();
    map.pr.key = map.pr.configured;
    map.pr.registered = PrStatus::Set;
    map.pr.holds = PrStatus::Unset;
    map.pr.reservation_type = Some(5);
    map
}

fn empty_map() -> Map {
    let mut map = Map::new(OTHER_WWID, "my disk");
    map.device = Some(DeviceNumber {
        major: 254,
        minor: 11,
    });
    map.size = 2_097_152;
    map.features = vec!["queue_if_no_path".to_owned()];
    map.queueing = Queueing::On;
    map.suspended = true;
    map.read_only = true;
    map
}

fn up(now: Instant) -> Path {
    let mut path = path(0, "sda", WWID, now);
    path.check = CheckState::Up;
    path.dm_state = Some(PathState::Active);
    path.priority = 50;
    path.schedule = Schedule {
        interval: Duration::from_secs(20),
        due: now + Duration::from_millis(12_300),
    };
    path.settling = Settling::Settled;
    path
}

fn standby(now: Instant) -> Path {
    let mut path = up(now);
    let mut scsi = scsi(16, "sdb", WWID);
    scsi.hctl.host = 12;
    scsi.transport = Transport::Iscsi;
    scsi.initiator_port = None;
    scsi.target_port = Some(PortIdentity::Iscsi {
        name: "iqn.2026-01.example:array".to_owned(),
        isid: None,
        isid_origin: IsidOrigin::Unknown,
        portal_group: Some(1),
    });
    path.scsi = Arc::new(scsi);
    path.check = CheckState::Ghost;
    path
}

fn down(now: Instant) -> Path {
    let mut path = path(160, "sdaa", WWID, now);
    Arc::make_mut(&mut path.scsi).state = ScsiState::OFFLINE;
    path.check = CheckState::Down;
    path.dm_state = Some(PathState::Failed);
    path.fail_count = 2;
    path.priority = 10;
    path.schedule.interval = Duration::from_secs(1);
    path
}

fn unused(now: Instant) -> Path {
    let mut path = path(48, "sdd", "3500a", now);
    path.usage = PathUse::None("blacklisted by devnode \"^sdd$\" (/etc/multipath.conf:2)".into());
    Arc::make_mut(&mut path.scsi).model = "local disk".to_owned();
    path
}

fn path(minor: u32, name: &str, wwid: &str, now: Instant) -> Path {
    let mut path = Path::new(scsi(minor, name, wwid), 131_072, now);
    path.usage = PathUse::Map(wwid.to_owned());
    path
}

fn scsi(minor: u32, name: &str, wwid: &str) -> ScsiDevice {
    ScsiDevice {
        device: device(minor),
        name: name.to_owned(),
        hctl: Hctl {
            host: 2,
            channel: 0,
            target: 0,
            lun: 1,
        },
        vendor: "LIO-ORG".to_owned(),
        model: "data".to_owned(),
        rev: "4.0".to_owned(),
        wwid: Some(wwid.to_owned()),
        state: ScsiState::RUNNING,
        access_state: None,
        preferred: None,
        transport: Transport::Sas,
        initiator_port: Some(PortIdentity::Sas {
            address: 0x5a01_0000_0000_0001,
        }),
        target_port: Some(PortIdentity::Sas {
            address: 0x5a0f_0000_0000_0001,
        }),
        relative_target_port: Some(1),
        target_port_group: Some(0),
    }
}

fn selector() -> Selector {
    Selector {
        name: "service-time".to_owned(),
        args: Vec::new(),
    }
}

const fn device(minor: u32) -> DeviceNumber {
    DeviceNumber { major: 8, minor }
}
