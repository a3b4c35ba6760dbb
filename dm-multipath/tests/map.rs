//! From what a user types to a map, on a device-mapper made of a table.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "fixtures/tree.rs"]
mod tree;

use std::cell::RefCell;

use dm_multipath::DeviceNumber;
use dm_multipath::map::{Map, MapPath, ResolveError, StatusSource};
use dm_multipath::sys::dm::{DmDevice, DmFlags, DmTarget, DmTargets};
use dm_multipath::sys::{DmError, DmName};
use dm_multipath::table::PathState;
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tree::Tree;

/// Devices by number; counts how often each was asked for.
struct Devices {
    devices: Vec<DmTargets>,
    asked: RefCell<Vec<String>>,
}

impl StatusSource for Devices {
    fn status(&self, device: DmName<'_>) -> Result<DmTargets, DmError> {
        self.asked.borrow_mut().push(device.to_string());
        let found = self.devices.iter().find(|dm| match device {
            DmName::Device(number) => dm.device.device == number,
            DmName::Name(name) => dm.device.name == name,
            DmName::Uuid(uuid) => dm.device.uuid == uuid,
        });
        let call = dm_multipath::sys::dm::DmCall::TableStatus;
        let device = device.to_string();
        found.cloned().ok_or(DmError::Ioctl {
            call,
            device,
            errno: Errno::ENXIO,
        })
    }
}

fn device(minor: u32, name: &str, uuid: &str, targets: &[(&str, &str)]) -> DmTargets {
    let targets: Vec<_> = targets
        .iter()
        .map(|(target_type, params)| DmTarget {
            start: 0,
            length: 16384,
            target_type: (*target_type).into(),
            params: (*params).into(),
        })
        .collect();
    let device = DmDevice {
        device: DeviceNumber::new(253, minor),
        name: name.into(),
        uuid: uuid.into(),
        open_count: 0,
        event_nr: 0,
        target_count: u32::try_from(targets.len()).unwrap(),
        flags: DmFlags::ACTIVE_PRESENT,
    };
    DmTargets { device, targets }
}

const STATUS: &str = "2 0 0 0 2 1 A 0 2 2 8:0 A 0 0 1 8:16 F 3 0 1 E 0 1 2 8:32 A 0 0 1 ";

fn devices() -> Devices {
    let mut suspended = device(5, "mpathe", "", &[("multipath", STATUS)]);
    suspended.device.flags |= DmFlags::SUSPENDED;
    let devices = vec![
        device(0, "mpatha", "mpath-36001405abc", &[("multipath", STATUS)]),
        device(
            1,
            "mpathb",
            "mpath-36001405def",
            &[("multipath", "2 0 0 0 0 0 ")],
        ),
        device(
            2,
            "mpatha-part1",
            "part1-mpath-36001405abc",
            &[("linear", "")],
        ),
        device(3, "empty", "", &[]),
        device(4, "odd", "", &[("multipath", "2 0 0 0 1 1 Z")]),
        suspended,
        device(6, "two", "", &[("multipath", STATUS), ("linear", "")]),
        device(7, "8:16", "", &[("multipath", STATUS)]),
    ];
    Devices {
        devices,
        asked: RefCell::default(),
    }
}

fn resolve(spec: &str) -> (Result<Map, ResolveError>, Vec<String>) {
    let tree = Tree::unfold("sys/dev/block/8:16/uevent\t\nsys/dev/block/253:0/uevent\t");
    let dm = devices();
    let result = Map::resolve(&tree.roots, &dm, spec);
    (result, dm.asked.into_inner())
}

#[test]
fn a_map_by_number_name_uuid_and_wwid() {
    for (spec, requests) in [
        ("253:0", 1),
        ("mpatha", 1),
        ("mpath-36001405abc", 2),
        ("36001405abc", 3),
    ] {
        let (map, asked) = resolve(spec);
        assert_eq!(map.unwrap().name, "mpatha", "{spec}");
        assert_eq!(asked.len(), requests, "{asked:?}");
    }
}

#[test]
fn a_map_and_its_paths() {
    let map = resolve("mpatha").0.unwrap();
    assert_eq!(map.device, DeviceNumber::new(253, 0));
    assert_eq!(
        (map.uuid.as_str(), map.wwid()),
        ("mpath-36001405abc", Some("36001405abc"))
    );
    assert_eq!((map.size, map.suspended), (16384, false));
    let path = |minor, group, dm_state, fail_count| MapPath {
        device: DeviceNumber::new(8, minor),
        group,
        dm_state,
        fail_count,
    };
    let expected = [
        path(0, 1, PathState::Active, 0),
        path(16, 1, PathState::Failed, 3),
        path(32, 2, PathState::Active, 0),
    ];
    assert_eq!(map.paths, expected);
    let other = resolve("mpathe").0.unwrap();
    assert!(other.suspended);
    assert_eq!(other.wwid(), None);
}

#[test]
fn a_map_without_paths_is_a_map() {
    let map = resolve("mpathb").0.unwrap();
    assert_eq!((map.paths.len(), map.status.groups.len()), (0, 0));
}

#[test]
fn reading_again_goes_by_number() {
    let dm = devices();
    assert_eq!(
        Map::read(&dm, DeviceNumber::new(253, 1)).unwrap().name,
        "mpathb"
    );
    let gone = Map::read(&dm, DeviceNumber::new(253, 99));
    assert!(matches!(gone, Err(ResolveError::NotFound { .. })));
    assert_eq!(dm.asked.into_inner(), ["253:1", "253:99"]);
}

#[test]
fn what_is_no_map_is_told_apart() {
    fn check(spec: &str, expected: &str) {
        let error = resolve(spec).0.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check("nothing", "nothing: there is no such device");
    check("", ": there is no such device");
    check(
        "/dev/mapper/nothing",
        "/dev/mapper/nothing: there is no such device",
    );
    check("9:9", "9:9: there is no such device");
    check("8:16", "8:16 (8:16): not a device-mapper device");
    check(
        "/proc/version/x",
        "/proc/version/x: there is no such device",
    );
    check("/proc/version", "/proc/version: not a block device");
    check("/proc", "/proc: not a block device");
    check(
        "mpatha-part1",
        "mpatha-part1 (253:2): not a multipath map, but linear",
    );
    check(
        "empty",
        "empty (253:3): not a multipath map, but a device without a table",
    );
    check(
        "two",
        "two (253:6): not a multipath map, but multipath and more",
    );
    let status = "odd (253:4): status of the multipath target: \
                  at byte 12: \"Z\" is not a group's state (A, E or D)";
    check("odd", status);
}

#[test]
fn impossible_names_are_names_of_nothing() {
    let long = "x".repeat(1000);
    assert!(matches!(
        resolve(&long).0,
        Err(ResolveError::NotFound { .. } | ResolveError::Stat { .. })
    ));
}

/// Nodes and links below the root that stands for `/dev`.
#[test]
fn a_map_by_its_nodes() {
    let tree = Tree::unfold("dev/mapper/mpatha\t-> ../dm-0\ndev/disk/x\t-> ../mapper/mpatha");
    let node = |name: &str, number| {
        let path = tree.roots.dev.join(name);
        mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR, number)
    };
    if let Err(errno) = node("dm-0", makedev(253, 0)) {
        println!("skipped, because block nodes cannot be made here: {errno}");
        return;
    }
    node("sda", makedev(8, 0)).unwrap();
    node("sdb", makedev(8, 16)).unwrap();
    tree.add("sys/dev/block/8:16/uevent\t");
    let dm = devices();
    let resolve = |spec: &str| Map::resolve(&tree.roots, &dm, spec);
    for spec in ["/dev/dm-0", "/dev/mapper/mpatha", "/dev/disk/x", "dm-0"] {
        assert_eq!(resolve(spec).unwrap().name, "mpatha", "{spec}");
    }
    let absolute = tree.roots.dev.join("dm-0");
    assert_eq!(resolve(absolute.to_str().unwrap()).unwrap().name, "mpatha");
    assert!(matches!(
        resolve("/dev/sda"),
        Err(ResolveError::NotFound { .. })
    ));
    assert!(matches!(
        resolve("/dev/sdb"),
        Err(ResolveError::NotDeviceMapper { .. })
    ));
    tree.remove("sys/dev/block/8:16/uevent");
    std::fs::remove_dir(tree.roots.sys.join("dev/block/8:16")).unwrap();
    assert!(matches!(
        resolve("/dev/sdb"),
        Err(ResolveError::NotFound { .. })
    ));
    assert!(matches!(
        resolve("/dev/disk"),
        Err(ResolveError::NotBlockDevice { .. })
    ));
    assert!(matches!(
        resolve("/dev/null"),
        Err(ResolveError::NotFound { .. })
    ));
}
