//! Every ioctl against a real kernel, with `dmsetup`, `sg_persist` and udev's `scsi_id` as
//! witnesses.
//!
//! Runs as root in a throw-away machine only: `MPATH_LAB_GUEST` names the disks (`sda sdb …`,
//! two at least) through which one logical unit with persistent reservations is reached. They
//! are written to. One test at a time (`--test-threads=1`); without the variable all are
//! skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dm_multipath::map::{Map, ResolveError};
use dm_multipath::scsi::{PortIdentity, ScsiDevice, ScsiState, tur_command};
use dm_multipath::sys::dm::{DmTarget, LoadMode, RemoveMode, SuspendFlags, UdevCookie};
use dm_multipath::sys::sg::{SgCommand, SgData, SgError, SgReply, SgWorker, wait};
use dm_multipath::sys::{DmControl, DmName};
use dm_multipath::table::{MultipathTable, PathState};
use dm_multipath::{DeviceNumber, Roots};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The logical unit's disks, or `None` after saying why the test is skipped.
fn disks() -> Option<Vec<String>> {
    match std::env::var("MPATH_LAB_GUEST") {
        Ok(names) => Some(names.split_whitespace().map(str::to_owned).collect()),
        Err(_) => {
            println!("skipped, because MPATH_LAB_GUEST names no disks of a throw-away machine");
            None
        }
    }
}

/// What a command prints, without the newline at the end.
fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command}: {}\n{text}\n{errors}",
        output.status
    );
    text
}

fn number(disk: &str) -> DeviceNumber {
    run(&format!("cat /sys/class/block/{disk}/dev"))
        .parse()
        .unwrap()
}

fn sectors(disk: &str) -> u64 {
    run(&format!("cat /sys/class/block/{disk}/size"))
        .parse()
        .unwrap()
}

fn multipath(length: u64, params: &str) -> DmTarget {
    let (target_type, params) = ("multipath".to_owned(), params.to_owned());
    DmTarget {
        start: 0,
        length,
        target_type,
        params,
    }
}

/// A device that is gone when the test ends, however it ends.
struct Device<'a> {
    dm: &'a DmControl,
    number: DeviceNumber,
    name: String,
}

impl<'a> Device<'a> {
    fn create(dm: &'a DmControl, name: &str, uuid: Option<&str>) -> Self {
        let created = dm.create(name, uuid).unwrap();
        assert_eq!(
            (created.name.as_str(), created.uuid.as_str()),
            (name, uuid.unwrap_or(""))
        );
        Self {
            dm,
            number: created.device,
            name: name.to_owned(),
        }
    }

    fn id(&self) -> DmName<'static> {
        DmName::Device(self.number)
    }

    /// Makes the table live. The cookie lets udev's rules make the link in `/dev/mapper`.
    fn start(&self, targets: &[DmTarget]) {
        self.dm
            .load(self.id(), targets, LoadMode::ReadWrite)
            .unwrap();
        let cookie = UdevCookie::PRIMARY_SOURCE;
        self.dm
            .resume(self.id(), SuspendFlags::empty(), cookie)
            .unwrap();
        run("udevadm settle");
    }

    /// The name by which `dmsetup` knows it, quoted for the shell.
    fn quoted(&self) -> String {
        format!("'{}'", self.name)
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        let _ = self
            .dm
            .resume(self.id(), SuspendFlags::NO_FLUSH, UdevCookie::NONE);
        let _ = self
            .dm
            .remove(self.id(), RemoveMode::Deferred, UdevCookie::NONE);
        let _ = Command::new("udevadm").arg("settle").status();
    }
}

fn send(node: &Path, cdb: &[u8], data: SgData) -> Result<SgReply, SgError> {
    let command = SgCommand {
        cdb: cdb.to_vec(),
        data,
        timeout_ms: 30_000,
    };
    let worker = SgWorker::spawn(node, &command).unwrap();
    assert_eq!(
        wait(&[&worker], Some(Duration::from_secs(60))).unwrap(),
        [0]
    );
    worker.finish()
}

/// The same, again while the device has news (UNIT ATTENTION).
fn send_settled(node: &Path, cdb: &[u8], data: &SgData) -> SgReply {
    for _ in 0..5 {
        let reply = send(node, cdb, data.clone()).unwrap();
        if reply.status != 0x02 || reply.sense[2] & 0xf != 0x06 {
            return reply;
        }
    }
    panic!("unit attention for ever");
}

fn node(disk: &str) -> std::path::PathBuf {
    Path::new("/dev").join(disk)
}

#[test]
fn version() {
    let Some(_) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let expected = run("dmsetup version | sed -n 's/^Driver version: *//p'");
    assert_eq!(dm.version().unwrap().to_string(), expected);
}

#[test]
fn tables_and_status_are_those_of_dmsetup() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let (first, second, size) = (number(&disks[0]), number(&disks[1]), sectors(&disks[0]));
    let tables = [
        format!("0 0 1 1 round-robin 0 2 1 {first} 1 {second} 1"),
        format!("0 0 2 1 service-time 0 1 2 {first} 1 1 service-time 0 1 2 {second} 1 1"),
        format!(
            "2 queue_if_no_path retain_attached_hw_handler 1 alua 1 1 queue-length 0 1 1 {first} 1"
        ),
        "0 0 0 0".to_owned(),
    ];
    for (position, params) in tables.iter().enumerate() {
        let device = Device::create(&dm, &format!("dmmp{position}"), None);
        device.start(&[multipath(size, params)]);
        let name = device.quoted();
        let table = dm.table(device.id()).unwrap();
        let line = format!("0 {size} multipath {}", table.targets[0].params);
        assert_eq!(line, run(&format!("dmsetup table {name}")));
        let parsed: MultipathTable = table.targets[0].params.parse().unwrap();
        assert_eq!(parsed.to_string(), *params);
        let status = dm.status(device.id()).unwrap();
        let line = format!("0 {size} multipath {}", status.targets[0].params);
        assert_eq!(line, run(&format!("dmsetup status {name}")));
        let map = Map::read(&dm, device.number).unwrap();
        assert_eq!(map.paths.len(), parsed.paths().count());
    }
}

#[test]
fn a_device_is_found_by_each_of_its_names() {
    // As libdevmapper writes a blank.
    const NAME: &str = r"dmmp\x20one";
    let Some(disks) = disks() else { return };
    let (dm, roots) = (DmControl::open().unwrap(), Roots::default());
    let device = Device::create(&dm, NAME, Some("mpath-3600dmmp"));
    device.start(&[multipath(sectors(&disks[0]), "0 0 0 0")]);
    for name in [
        device.id(),
        DmName::Name(NAME),
        DmName::Uuid("mpath-3600dmmp"),
    ] {
        let info = dm.info(name).unwrap();
        let minor = info.device.minor;
        let expected = format!("{NAME}:mpath-3600dmmp:{}:{minor}", info.device.major);
        let columns = "name,uuid,major,minor";
        assert_eq!(
            run(&format!(
                "dmsetup --manglename none info -c --noheadings -o {columns} -j 253 -m {minor}"
            )),
            expected
        );
        assert_eq!((info.open_count, info.target_count), (0, 1));
    }
    let minor = device.number.minor;
    run("ln -sf '/dev/mapper/dmmp\\x20one' /tmp/dmmp-link");
    for spec in [
        &format!("253:{minor}"),
        &format!("/dev/dm-{minor}"),
        &format!("dm-{minor}"),
        r"/dev/mapper/dmmp\x20one",
        "/tmp/dmmp-link",
        NAME,
        "mpath-3600dmmp",
        "3600dmmp",
    ] {
        let map = Map::resolve(&roots, &dm, spec).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((map.name.as_str(), map.wwid()), (NAME, Some("3600dmmp")));
        assert!(map.paths.is_empty());
    }
}

#[test]
fn what_is_no_map() {
    let Some(disks) = disks() else { return };
    let (dm, roots) = (DmControl::open().unwrap(), Roots::default());
    let resolve = |spec: &str| Map::resolve(&roots, &dm, spec).unwrap_err();
    let disk = format!("/dev/{}", disks[0]);
    assert!(matches!(
        resolve(&disk),
        ResolveError::NotDeviceMapper { .. }
    ));
    assert!(matches!(
        resolve(&disks[0]),
        ResolveError::NotDeviceMapper { .. }
    ));
    assert!(matches!(resolve("8:255"), ResolveError::NotFound { .. }));
    assert!(matches!(resolve("253:999"), ResolveError::NotFound { .. }));
    assert!(matches!(
        resolve("/dev/null"),
        ResolveError::NotBlockDevice { .. }
    ));
    assert!(matches!(
        resolve("/dev/nothing"),
        ResolveError::NotFound { .. }
    ));
    assert!(matches!(resolve("nothing"), ResolveError::NotFound { .. }));
    let device = Device::create(&dm, "dmmp-linear", None);
    let no_table = resolve("dmmp-linear");
    assert!(
        matches!(no_table, ResolveError::NotMultipath { target: None, .. }),
        "{no_table}"
    );
    let (target_type, params) = ("linear".to_owned(), format!("{} 0", number(&disks[0])));
    device.start(&[DmTarget {
        start: 0,
        length: 64,
        target_type,
        params,
    }]);
    let linear = resolve("dmmp-linear");
    let ResolveError::NotMultipath {
        target: Some(target),
        ..
    } = linear
    else {
        panic!("{linear}")
    };
    assert_eq!(target, "linear");
}

#[test]
fn suspend_and_resume() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-suspend", None);
    let params = format!("0 0 1 1 service-time 0 1 2 {} 1 1", number(&disks[0]));
    device.start(&[multipath(sectors(&disks[0]), &params)]);
    let state = || run("dmsetup info -c --noheadings -o suspended dmmp-suspend");
    let is_suspended = || Map::read(&dm, device.number).unwrap().suspended;
    assert_eq!((state().as_str(), is_suspended()), ("Active", false));
    for flags in [
        SuspendFlags::NO_FLUSH | SuspendFlags::SKIP_LOCKFS,
        SuspendFlags::empty(),
    ] {
        dm.suspend(device.id(), flags).unwrap();
        assert_eq!((state().as_str(), is_suspended()), ("Suspended", true));
        dm.suspend(device.id(), flags).unwrap();
        dm.resume(
            device.id(),
            SuspendFlags::empty(),
            UdevCookie::PRIMARY_SOURCE,
        )
        .unwrap();
        assert_eq!((state().as_str(), is_suspended()), ("Active", false));
    }
    run("udevadm settle");
}

/// Without "no flush" the suspend would wait for the write, which waits for a path.
#[test]
fn a_queueing_map_is_suspended_and_given_a_path() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-queue", None);
    let size = sectors(&disks[0]);
    dm.load(
        device.id(),
        &[multipath(size, "1 queue_if_no_path 0 0 0")],
        LoadMode::ReadWrite,
    )
    .unwrap();
    dm.resume(device.id(), SuspendFlags::empty(), UdevCookie::NONE)
        .unwrap();
    let dm_node = format!("/dev/dm-{}", device.number.minor);
    run(&format!(
        "for i in $(seq 200); do [ -b {dm_node} ] && exit; sleep 0.05; done; exit 1"
    ));
    let script = format!("exec dd if=/dev/zero of={dm_node} bs=4096 count=1 oflag=direct");
    let mut writer = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let waits = format!(
        "until grep -q '^State:.D' /proc/{}/status; do sleep 0.05; done",
        writer.id()
    );
    run(&waits);
    dm.suspend(
        device.id(),
        SuspendFlags::NO_FLUSH | SuspendFlags::SKIP_LOCKFS,
    )
    .unwrap();
    assert!(writer.try_wait().unwrap().is_none());
    let params = format!("0 0 1 1 service-time 0 1 2 {} 1 1", number(&disks[0]));
    dm.load(
        device.id(),
        &[multipath(size, &params)],
        LoadMode::ReadWrite,
    )
    .unwrap();
    dm.resume(device.id(), SuspendFlags::NO_FLUSH, UdevCookie::NONE)
        .unwrap();
    assert!(writer.wait().unwrap().success());
    run("udevadm settle");
}

#[test]
fn messages_and_events() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-events", None);
    let (first, second) = (number(&disks[0]), number(&disks[1]));
    let params = format!("0 0 1 1 service-time 0 2 2 {first} 1 1 {second} 1 1");
    device.start(&[multipath(sectors(&disks[0]), &params)]);
    let is_ready = |timeout: u16| {
        let mut fds = [PollFd::new(dm.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(timeout)).unwrap() == 1
    };
    dm.arm_poll().unwrap();
    assert!(!is_ready(0));
    let before = dm.info(device.id()).unwrap().event_nr;
    let answer = dm
        .message(device.id(), 0, &format!("fail_path {second}"))
        .unwrap();
    assert_eq!(answer, None);
    assert!(is_ready(10_000));
    assert!(dm.info(device.id()).unwrap().event_nr > before);
    dm.arm_poll().unwrap();
    assert!(!is_ready(0));
    let states = || {
        let map = Map::read(&dm, device.number).unwrap();
        map.paths
            .iter()
            .map(|path| (path.dm_state, path.fail_count))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), [(PathState::Active, 0), (PathState::Failed, 1)]);
    dm.message(device.id(), 0, &format!("reinstate_path {second}"))
        .unwrap();
    assert_eq!(states(), [(PathState::Active, 0), (PathState::Active, 1)]);
    let error = dm.message(device.id(), 0, "no_such_message").unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
}

/// The multipath target answers no message, but device-mapper's statistics do.
#[test]
fn a_message_that_is_answered() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-stats", None);
    let params = format!("0 0 1 1 service-time 0 1 2 {} 1 1", number(&disks[0]));
    device.start(&[multipath(sectors(&disks[0]), &params)]);
    let answer = dm.message(device.id(), 0, "@stats_list").unwrap();
    assert_eq!(answer.as_deref(), Some(""));
    let region = dm.message(device.id(), 0, "@stats_create - /1").unwrap();
    assert_eq!(region.as_deref(), Some("0"));
    let answer = dm.message(device.id(), 0, "@stats_list").unwrap();
    assert!(answer.unwrap().starts_with("0: 0+"));
}

#[test]
fn renamed_and_removed() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let mut device = Device::create(&dm, "dmmp-old", None);
    device.start(&[multipath(sectors(&disks[0]), "0 0 0 0")]);
    assert_eq!(
        dm.create("dmmp-old", None).unwrap_err().errno(),
        Some(Errno::EBUSY)
    );
    dm.rename("dmmp-old", "dmmp-new", UdevCookie::NONE).unwrap();
    device.name = "dmmp-new".to_owned();
    run("udevadm settle");
    assert!(
        dm.info(DmName::Name("dmmp-old"))
            .unwrap_err()
            .is_no_such_device()
    );
    assert_eq!(
        dm.info(DmName::Name("dmmp-new")).unwrap().device,
        device.number
    );
    assert_eq!(
        run("dmsetup info -c --noheadings -o name dmmp-new"),
        "dmmp-new"
    );

    let open = std::fs::File::open(format!("/dev/dm-{}", device.number.minor)).unwrap();
    assert_eq!(dm.info(device.id()).unwrap().open_count, 1);
    let busy = dm
        .remove(device.id(), RemoveMode::Now, UdevCookie::NONE)
        .unwrap_err();
    assert_eq!(busy.errno(), Some(Errno::EBUSY));
    dm.remove(device.id(), RemoveMode::Deferred, UdevCookie::NONE)
        .unwrap();
    drop(open);
    run("udevadm settle; \
         for i in $(seq 200); do dmsetup info dmmp-new || exit 0; sleep 0.05; done; exit 1");
    assert!(dm.info(device.id()).unwrap_err().is_no_such_device());
    let gone = Device::create(&dm, "dmmp-gone", None);
    dm.remove(gone.id(), RemoveMode::Now, UdevCookie::NONE)
        .unwrap();
    assert!(
        dm.status(DmName::Name("dmmp-gone"))
            .unwrap_err()
            .is_no_such_device()
    );
}

#[test]
fn a_wrong_table_is_refused() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-wrong", None);
    let size = sectors(&disks[0]);
    let wrong = [multipath(size, "0 0 1 1 nonsense 0 0 0")];
    let error = dm
        .load(device.id(), &wrong, LoadMode::ReadWrite)
        .unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
    let loaded = dm
        .load(
            device.id(),
            &[multipath(size, "0 0 0 0")],
            LoadMode::ReadOnly,
        )
        .unwrap();
    let inactive = dm_multipath::sys::dm::DmFlags::INACTIVE_PRESENT;
    assert!(loaded.flags.contains(inactive));
    dm.clear(device.id()).unwrap();
    assert!(!dm.info(device.id()).unwrap().flags.contains(inactive));
}

/// More than the first buffer holds.
#[test]
fn large_answers() {
    let Some(disks) = disks() else { return };
    let dm = DmControl::open().unwrap();
    let device = Device::create(&dm, "dmmp-large", None);
    let disk = number(&disks[0]);
    let targets: Vec<_> = (0..1000)
        .map(|start| DmTarget {
            start,
            length: 1,
            target_type: "linear".to_owned(),
            params: format!("{disk} {}", 1000 - start),
        })
        .collect();
    device.start(&targets);
    assert_eq!(dm.table(device.id()).unwrap().targets, targets);

    let names: Vec<_> = (0..100)
        .map(|number| format!("dmmp-{number:0>122}"))
        .collect();
    let uuid = |name: &str| format!("{name}+");
    let many: Vec<_> = names
        .iter()
        .map(|name| Device::create(&dm, name, Some(&uuid(name))))
        .collect();
    let list = dm.list().unwrap();
    for device in &many {
        let listed = list
            .iter()
            .find(|listed| listed.device == device.number)
            .unwrap();
        assert_eq!(listed.name, device.name);
        assert!(listed.event_nr.is_some());
        // Since interface version 4.46.
        assert_eq!(listed.uuid, Some(uuid(&device.name)));
    }
    let count: usize = run("dmsetup ls | wc -l").trim().parse().unwrap();
    assert_eq!(list.len(), count);
}

#[test]
fn scsi_devices_are_those_of_udev_and_the_target() {
    let Some(disks) = disks() else { return };
    let roots = Roots::default();
    for disk in &disks {
        let device = ScsiDevice::read(&roots, number(disk)).unwrap();
        assert_eq!(&device.name, disk);
        let serial = run(&format!("/lib/udev/scsi_id -g -u /dev/{disk}"));
        assert_eq!(device.wwid.as_ref(), Some(&serial));
        let address = run(&format!("basename $(readlink -f /sys/block/{disk}/device)"));
        assert_eq!(device.hctl.to_string(), address);
        assert_eq!(device.state, ScsiState::RUNNING);
        check_ports(disk, &device);
    }
}

/// Registers the path with a key of its own; READ FULL STATUS must then name these ports.
fn check_ports(disk: &str, device: &ScsiDevice) {
    let key = u64::from(device.device.minor) + 0xabc0_0000;
    register(disk, key);
    let full = run(&format!(
        "sg_persist -n -i -s /dev/{disk} || sg_persist -n -i -s /dev/{disk}"
    ));
    let ours = full
        .split("Key=")
        .find(|part| part.starts_with(&format!("{key:#x}\n")));
    let ours = ours.unwrap_or_else(|| panic!("no key {key:#x} in {full}"));
    let port = format!(
        "Relative port address: {:#x}\n",
        device.relative_target_port.unwrap()
    );
    assert!(ours.contains(&port), "{port} in {ours}");
    let initiator = match device.initiator_port.as_ref().unwrap() {
        PortIdentity::Sas { address } => format!("SAS address: {address:#x}"),
        PortIdentity::FibreChannel { wwpn } => format!("{wwpn:x}"),
        PortIdentity::Iscsi { name, isid, .. } => format!("{name},i,0x{:012x}", isid.unwrap()),
    };
    assert!(ours.contains(&initiator), "{initiator} in {ours}");
    register(disk, 0);
}

/// PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY.
fn register(disk: &str, key: u64) {
    let mut list = vec![0; 24];
    list[8..16].copy_from_slice(&key.to_be_bytes());
    let cdb = [0x5f, 0x06, 0, 0, 0, 0, 0, 0, 24, 0];
    let reply = send_settled(&node(disk), &cdb, &SgData::Out(list));
    assert_eq!((reply.status, reply.is_delivered()), (0, true), "{reply:?}");
}

#[test]
fn test_unit_ready() {
    let Some(disks) = disks() else { return };
    let command = tur_command(30_000);
    let reply = send_settled(&node(&disks[0]), &command.cdb, &command.data);
    assert_eq!(
        (reply.status, reply.sense.len(), reply.data.len()),
        (0, 0, 0)
    );
    assert!(reply.is_delivered());
}

#[test]
fn data_in_is_as_long_as_the_device_says() {
    let Some(disks) = disks() else { return };
    let expected = std::fs::read(format!("/sys/block/{}/device/vpd_pg83", disks[0])).unwrap();
    for room in [expected.len() as u16, 255, 4096, 65_535] {
        let [high, low] = room.to_be_bytes();
        let cdb = [0x12, 0x01, 0x83, high, low, 0];
        let reply = send_settled(&node(&disks[0]), &cdb, &SgData::In(room.into()));
        assert_eq!(
            (reply.status, reply.data),
            (0, expected.clone()),
            "room for {room}"
        );
    }
    let reply = send_settled(
        &node(&disks[0]),
        &[0x12, 0x01, 0x83, 0, 8, 0],
        &SgData::In(8),
    );
    assert_eq!(reply.data, expected[..8]);
}

#[test]
fn data_out_arrives() {
    let Some(disks) = disks() else { return };
    register(&disks[0], 0x0012_3abc);
    let keys = run(&format!(
        "sg_persist -n -i -k /dev/{0} || sg_persist -n -i -k /dev/{0}",
        disks[0]
    ));
    assert!(keys.lines().any(|line| line.trim() == "0x123abc"), "{keys}");
    register(&disks[0], 0);
}

#[test]
fn refusals_carry_sense() {
    let Some(disks) = disks() else { return };
    let reply = send_settled(&node(&disks[0]), &[0xc0, 0, 0, 0, 0, 0], &SgData::None);
    assert_eq!(reply.status, 0x02);
    assert!(reply.is_delivered());
    // Fixed format, ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
    assert_eq!((reply.sense[0] & 0x7f, reply.sense[2] & 0xf), (0x70, 0x05));
    assert_eq!((reply.sense[12], reply.sense[13]), (0x20, 0x00));
}

#[test]
fn a_path_that_is_offline() {
    let Some(disks) = disks() else { return };
    let disk = disks.last().unwrap();
    let state = format!("/sys/block/{disk}/device/state");
    std::fs::write(&state, "offline\n").unwrap();
    let device = ScsiDevice::read(&Roots::default(), number(disk)).unwrap();
    let reply = send(&node(disk), &[0; 6], SgData::None);
    std::fs::write(&state, "running\n").unwrap();
    assert_eq!(device.state, ScsiState::OFFLINE);
    assert_eq!(reply, Err(SgError::Open(Errno::ENXIO)));
    assert_eq!(send_settled(&node(disk), &[0; 6], &SgData::None).status, 0);
}

/// All disks at once; each answer belongs to its own worker.
#[test]
fn workers_run_in_parallel() {
    let Some(disks) = disks() else { return };
    let command = SgCommand {
        cdb: vec![0x12, 0, 0, 0, 36, 0],
        data: SgData::In(36),
        timeout_ms: 30_000,
    };
    let spawn = |disk: &String| SgWorker::spawn(&node(disk), &command).unwrap();
    let mut workers: Vec<_> = disks.iter().map(spawn).collect();
    while !workers.is_empty() {
        let refs: Vec<_> = workers.iter().collect();
        let ready = wait(&refs, Some(Duration::from_secs(60))).unwrap();
        assert!(!ready.is_empty());
        for index in ready.into_iter().rev() {
            let reply = workers.swap_remove(index).finish().unwrap();
            assert_eq!((reply.status, reply.data.len()), (0, 36));
        }
    }
}
