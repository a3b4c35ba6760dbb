//! SCSI devices as a kernel shows them: captured from Linux 6.1 (`fixtures/*.tsv`), and written
//! by hand after the kernel's documentation for transports that need hardware.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "fixtures/tree.rs"]
mod tree;

use dm_multipath::DeviceNumber;
use dm_multipath::scsi::{
    AccessState, IsidOrigin, PortIdentity, ScsiDevice, ScsiError, ScsiState, Transport,
    designators, read_access, read_handler, read_size, read_state, scan, tur_command,
};
use tree::Tree;

const LOOP: &str = include_str!("fixtures/loop.tsv");
const ISCSI: &str = include_str!("fixtures/iscsi.tsv");
const WWID: &str = "360014058d777f385d3dfec8810000000";

/// A disk without any transport, to be completed.
const PLAIN: &str = "\
sys/dev/block/8:16\t-> ../../devices/pci0/ata1/host7/target7:0:2/7:0:2:11/block/sdb
sys/devices/pci0/ata1/host7/target7:0:2/7:0:2:11/block/sdb/device\t-> ../../../7:0:2:11
sys/devices/pci0/ata1/host7/target7:0:2/7:0:2:11/state\toffline\\n
sys/devices/pci0/ata1/host7/target7:0:2/7:0:2:11/vendor\tACME    \\n
sys/devices/pci0/ata1/host7/target7:0:2/7:0:2:11/model\tSuper Disk      \\n
sys/devices/pci0/ata1/host7/scsi_host/host7/proc_name\tahci\\n";
const PLAIN_FOLDER: &str = "sys/devices/pci0/ata1/host7/target7:0:2/7:0:2:11";

fn read(tree: &Tree, minor: u32) -> ScsiDevice {
    ScsiDevice::read(&tree.roots, DeviceNumber::new(8, minor)).unwrap()
}

#[test]
fn a_loopback_disk() {
    let tree = Tree::unfold(LOOP);
    let disk = read(&tree, 32);
    let expected = ScsiDevice {
        device: DeviceNumber::new(8, 32),
        name: "sdc".into(),
        hctl: "2:0:0:0".parse().unwrap(),
        vendor: "LIO-ORG".into(),
        model: "RAMDISK-MCP".into(),
        rev: "4.0".into(),
        wwid: Some(WWID.into()),
        state: ScsiState::RUNNING,
        access_state: Some(AccessState::OPTIMIZED),
        preferred: Some(false),
        transport: Transport::Loopback,
        initiator_port: Some(PortIdentity::Sas {
            address: 0x5a01_0000_0000_0003,
        }),
        target_port: Some(PortIdentity::Sas {
            address: 0x5f00_0000_0000_0003,
        }),
        relative_target_port: Some(3),
        target_port_group: Some(0),
    };
    assert_eq!(disk, expected);
    assert_eq!(disk.node(&tree.roots), tree.roots.dev.join("sdc"));
}

#[test]
fn paths_of_one_disk_differ_in_their_ports_only() {
    let tree = Tree::unfold(LOOP);
    let disks = [0, 16, 32, 48].map(|minor| read(&tree, minor));
    assert!(disks.iter().all(|disk| disk.wwid.as_deref() == Some(WWID)));
    for (position, disk) in disks.iter().enumerate() {
        for other in &disks[..position] {
            assert_ne!(disk.initiator_port, other.initiator_port);
            assert_ne!(disk.target_port, other.target_port);
            assert_ne!(disk.relative_target_port, other.relative_target_port);
        }
    }
}

fn iscsi_initiator(isid: Option<u64>, isid_origin: IsidOrigin) -> Option<PortIdentity> {
    let name = "iqn.2024-01.lab:node1".into();
    Some(PortIdentity::Iscsi {
        name,
        isid,
        isid_origin,
        portal_group: None,
    })
}

/// READ FULL STATUS named these sessions `…:node1,i,0x00023d000001` and `…2` in the capture.
#[test]
fn an_iscsi_disk() {
    let tree = Tree::unfold(ISCSI);
    let first = read(&tree, 0);
    assert_eq!(first.transport, Transport::Iscsi);
    assert_eq!(first.wwid.as_deref(), Some(WWID));
    let initiator = iscsi_initiator(Some(0x0002_3d00_0001), IsidOrigin::OpenIscsi);
    assert_eq!(first.initiator_port, initiator);
    let target = PortIdentity::Iscsi {
        name: "iqn.2024-01.lab:t1".into(),
        isid: None,
        isid_origin: IsidOrigin::Unknown,
        portal_group: Some(1),
    };
    assert_eq!(first.target_port, Some(target));
    let initiator = iscsi_initiator(Some(0x0002_3d00_0002), IsidOrigin::OpenIscsi);
    assert_eq!(read(&tree, 16).initiator_port, initiator);
}

#[test]
fn the_kernels_isid_counts_more_than_a_guess() {
    const SESSION: &str = "sys/devices/platform/host0/session1/iscsi_session/session1";
    let tree = Tree::unfold(ISCSI);
    tree.add(&format!("{SESSION}/isid\t400001370000\\n"));
    let initiator = iscsi_initiator(Some(0x4000_0137_0000), IsidOrigin::Kernel);
    assert_eq!(read(&tree, 0).initiator_port, initiator);
    // Not twelve digits, or all zero: as good as none.
    for isid in ["4000013700", "000000000000", "(null)", ""] {
        tree.add(&format!("{SESSION}/isid\t{isid}\\n"));
        let initiator = iscsi_initiator(Some(0x0002_3d00_0001), IsidOrigin::OpenIscsi);
        assert_eq!(read(&tree, 0).initiator_port, initiator, "{isid:?}");
    }
}

/// An adapter that logs in by itself chooses its own ISID, and may keep its name at the host.
#[test]
fn an_iscsi_adapter_is_not_guessed() {
    let tree = Tree::unfold(ISCSI);
    tree.add("sys/devices/platform/host0/scsi_host/host0/proc_name\tqla4xxx\\n");
    tree.remove("sys/devices/platform/host0/session1/iscsi_session/session1/initiatorname");
    tree.add("sys/devices/platform/host0/iscsi_host/host0/initiatorname\tiqn.2024-01.lab:hba\\n");
    let expected = PortIdentity::Iscsi {
        name: "iqn.2024-01.lab:hba".into(),
        isid: None,
        isid_origin: IsidOrigin::Unknown,
        portal_group: None,
    };
    assert_eq!(read(&tree, 0).initiator_port, Some(expected));
}

#[test]
fn a_fibre_channel_disk() {
    const TARGET: &str = "sys/devices/pci0/host3/rport-3:0-1/target3:0:1";
    let tree = Tree::unfold(&format!(
        "\
sys/dev/block/8:16\t-> ../../../{TARGET}/3:0:1:7/block/sdb
{TARGET}/3:0:1:7/block/sdb/device\t-> ../../../3:0:1:7
{TARGET}/3:0:1:7/state\ttransport-offline\\n
{TARGET}/3:0:1:7/access_state\tstandby\\n
{TARGET}/3:0:1:7/preferred_path\t1\\n
{TARGET}/fc_transport/target3:0:1/port_name\t0x500a09849dc2b4d3\\n
sys/devices/pci0/host3/rport-3:0-1/fc_remote_ports/rport-3:0-1/port_name\t0x500a09849dc2b4d3\\n
sys/devices/pci0/host3/fc_host/host3/port_name\t0x10000090fa942f3c\\n"
    ));
    let disk = read(&tree, 16);
    assert_eq!(disk.transport, Transport::FibreChannel);
    assert_eq!(disk.hctl.to_string(), "3:0:1:7");
    let port = |wwpn| Some(PortIdentity::FibreChannel { wwpn });
    assert_eq!(disk.initiator_port, port(0x1000_0090_fa94_2f3c));
    assert_eq!(disk.target_port, port(0x500a_0984_9dc2_b4d3));
    assert_eq!(disk.state, ScsiState::TRANSPORT_OFFLINE);
    assert_eq!(disk.access_state, Some(AccessState::STANDBY));
    assert_eq!(disk.preferred, Some(true));
    assert_eq!((disk.wwid, disk.relative_target_port), (None, None));

    tree.remove(&format!("{TARGET}/fc_transport/target3:0:1/port_name"));
    assert_eq!(read(&tree, 16).target_port, port(0x500a_0984_9dc2_b4d3));
    tree.add("sys/devices/pci0/host3/fc_host/host3/port_name\t0xffffffffffffffff\\n");
    assert_eq!(read(&tree, 16).initiator_port, None);
}

/// NPIV: the virtual port's host is nearer than the adapter's.
#[test]
fn a_virtual_fibre_channel_port() {
    const HOST: &str = "sys/devices/pci0/host3/vport-3:0-0/host9";
    const DEVICE: &str = "rport-9:0-0/target9:0:0/9:0:0:0";
    let tree = Tree::unfold(&format!(
        "\
sys/dev/block/8:16\t-> ../../../{HOST}/{DEVICE}/block/sdb
{HOST}/{DEVICE}/block/sdb/device\t-> ../../../9:0:0:0
{HOST}/{DEVICE}/state\trunning\\n
{HOST}/fc_host/host9/port_name\t0x2101001b32a9d08e\\n
sys/devices/pci0/host3/fc_host/host3/port_name\t0x10000090fa942f3c\\n"
    ));
    let wwpn = 0x2101_001b_32a9_d08e;
    assert_eq!(
        read(&tree, 16).initiator_port,
        Some(PortIdentity::FibreChannel { wwpn })
    );
}

const SAS_PORT: &str = "sys/devices/pci0/host4/port-4:0";
const SAS_END: &str = "expander-4:0/port-4:0:2/end_device-4:0:2";

fn sas_tree() -> Tree {
    Tree::unfold(&format!(
        "\
sys/dev/block/8:16\t-> ../../../{SAS_PORT}/{SAS_END}/target4:0:2/4:0:2:0/block/sdb
{SAS_PORT}/{SAS_END}/target4:0:2/4:0:2:0/block/sdb/device\t-> ../../../4:0:2:0
{SAS_PORT}/{SAS_END}/target4:0:2/4:0:2:0/state\trunning\\n
{SAS_PORT}/{SAS_END}/sas_device/end_device-4:0:2/sas_address\t0x5000c500a1b2c3d5\\n
{SAS_PORT}/expander-4:0/sas_device/expander-4:0/sas_address\t0x500056b31234abff\\n
{SAS_PORT}/sas_port/port-4:0/num_phys\t1\\n
{SAS_PORT}/phy-4:0\t-> ../phy-4:0
sys/devices/pci0/host4/phy-4:0/sas_phy/phy-4:0/sas_address\t0x500605b00123ab40\\n
sys/devices/pci0/host4/scsi_host/host4/host_sas_address\t0x500605b00123ab41\\n"
    ))
}

#[test]
fn a_sas_disk_behind_an_expander() {
    let tree = sas_tree();
    let disk = read(&tree, 16);
    assert_eq!(disk.transport, Transport::Sas);
    let port = |address| Some(PortIdentity::Sas { address });
    assert_eq!(disk.initiator_port, port(0x5006_05b0_0123_ab40));
    assert_eq!(disk.target_port, port(0x5000_c500_a1b2_c3d5));
    tree.remove(&format!("{SAS_PORT}/phy-4:0"));
    assert_eq!(read(&tree, 16).initiator_port, port(0x5006_05b0_0123_ab41));
}

#[test]
fn a_disk_on_another_transport() {
    let tree = Tree::unfold(PLAIN);
    let disk = read(&tree, 16);
    assert_eq!(disk.transport, Transport::Other("ahci".into()));
    assert_eq!((disk.initiator_port, disk.target_port), (None, None));
    assert_eq!(
        (disk.vendor.as_str(), disk.model.as_str()),
        ("ACME", "Super Disk")
    );
    assert_eq!((disk.rev.as_str(), disk.preferred), ("", None));
    assert_eq!((disk.state, disk.access_state), (ScsiState::OFFLINE, None));
    assert_eq!(disk.wwid, None);
}

/// What `scsi_id` prints as `ID_SERIAL` for a disk with these files.
fn check_wwid(files: &[(&str, &str)], expected: Option<&str>) {
    let tree = Tree::unfold(PLAIN);
    for (name, value) in files {
        tree.add(&format!("{PLAIN_FOLDER}/{name}\t{value}"));
    }
    assert_eq!(read(&tree, 16).wwid.as_deref(), expected, "{files:?}");
}

/// Page 0x83 with these descriptors, each in hex.
fn page(descriptors: &[&str]) -> String {
    let body = descriptors.concat();
    format!("hex:0083{:04x}{body}", body.len() / 2)
}

const NAA6: &str = "0103001060014058d777f385d3dfec8810000000";
const NAA5: &str = "010300085000c500a1b2c3d4";
const NAA2: &str = "0103000820000020375a1b2c";
const NAA5_TEXT: &str = "0203001035303030633530306131623263336435";
const PORT_NAA5: &str = "619300085000c500a1b2c3d5";
const EUI: &str = "010200080025385b71b0a9c1";
const EUI_LONG: &str = "010200100025385b71b0a9c10025385b71b0a9c1";
const T10: &str = "0201001841434d452020202020204469736b202020534e2031202020";
const VENDOR: &str = "0200000473337234";

#[test]
fn wwids_as_the_kernel_has_them() {
    check_wwid(
        &[("wwid", "naa.5000C500A1B2C3D4\\n")],
        Some("35000c500a1b2c3d4"),
    );
    check_wwid(
        &[("wwid", "eui.0025385b71b0a9c1\\n")],
        Some("20025385b71b0a9c1"),
    );
    check_wwid(&[("wwid", "t10.ACME    Disk  1 \\n")], Some("1ACME_Disk_1"));
    check_wwid(&[("wwid", "iqn.2024-01.lab:lun\\n")], None);
    check_wwid(&[("wwid", "\\n")], None);
    // The kernel prefers a long EUI-64 to a short NAA; scsi_id does not.
    let kernel = ("wwid", "eui.0025385b71b0a9c10025385b71b0a9c1\\n");
    let both = page(&[EUI_LONG, NAA5]);
    check_wwid(&[kernel, ("vpd_pg83", &both)], Some("35000c500a1b2c3d4"));
}

#[test]
fn wwids_from_page_83() {
    fn check(descriptors: &[&str], expected: Option<&str>) {
        check_wwid(&[("vpd_pg83", &page(descriptors))], expected);
    }
    check(&[T10, EUI, NAA5, NAA6], Some(WWID));
    check(&[NAA2, EUI, NAA5], Some("35000c500a1b2c3d4"));
    check(&[EUI, NAA2], Some("320000020375a1b2c"));
    check(&[NAA5_TEXT, NAA5], Some("35000c500a1b2c3d4"));
    check(&[NAA5_TEXT, NAA2], Some("35000c500a1b2c3d5"));
    check(&[T10, EUI], Some("20025385b71b0a9c1"));
    check(&[EUI_LONG], Some("20025385b71b0a9c10025385b71b0a9c1"));
    check(&[VENDOR, T10], Some("1ACME_Disk_SN_1"));
    check(&[VENDOR], Some("0ACME_Super_Disk_s3r4"));
    // Ports have names too; the disk has none.
    check(&[PORT_NAA5], None);
    // Cut pages: what is whole counts.
    check(&[EUI, &NAA6[..12]], Some("20025385b71b0a9c1"));
    check(&[&T10[..10]], None);
}

#[test]
fn wwids_without_page_83() {
    let serial = "hex:00800008202053314e3220204142";
    check_wwid(&[("vpd_pg80", serial)], Some("SACME_Super_Disk_S1N2"));
    check_wwid(&[("vpd_pg80", "hex:0080000420202020")], None);
    check_wwid(&[("vpd_pg80", "hex:0080")], None);
}

#[test]
fn cut_and_changed_pages_do_not_panic() {
    let line = LOOP.lines().find(|line| line.contains("vpd_pg83")).unwrap();
    let digits = line.split_once("hex:").unwrap().1;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let page: Vec<_> = (0..digits.len()).step_by(2).map(byte).collect();
    let whole: Vec<_> = designators(&page).collect();
    assert_eq!(whole.len(), 7);
    for cut in 0..page.len() {
        let some: Vec<_> = designators(&page[..cut]).collect();
        assert!(some.len() < 7 && whole.starts_with(&some), "cut at {cut}");
    }
    for position in 0..page.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = page.clone();
            changed[position] = value;
            let lengths: usize = designators(&changed).map(|d| 4 + d.value.len()).sum();
            assert!(lengths <= page.len() - 4);
        }
    }
}

#[test]
fn what_is_no_scsi_disk_is_told_apart() {
    let tree = Tree::unfold(PLAIN);
    let device = |minor| ScsiDevice::read(&tree.roots, DeviceNumber::new(8, minor));
    assert!(matches!(device(17), Err(ScsiError::NotFound { .. })));
    // A partition, something that has just gone, an NVMe namespace.
    tree.add(&format!(
        "sys/dev/block/8:17\t-> ../../../{PLAIN_FOLDER}/block/sdb/sdb1"
    ));
    tree.add(&format!("{PLAIN_FOLDER}/block/sdb/sdb1/partition\t1\\n"));
    assert!(matches!(device(17), Err(ScsiError::NotScsi { .. })));
    tree.add("sys/dev/block/8:18\t-> ../../devices/gone/9:0:0:0/block/sdq");
    assert!(matches!(device(18), Err(ScsiError::Read { .. })));
    tree.add("sys/dev/block/8:19\t-> ../../devices/nvme/nvme0/nvme0n1");
    tree.add("sys/devices/nvme/nvme0/nvme0n1/device\t-> ../../nvme0");
    assert!(matches!(device(19), Err(ScsiError::NotScsi { .. })));
    // Removed between looking up its folder and reading it.
    tree.remove(&format!("{PLAIN_FOLDER}/state"));
    assert!(matches!(device(16), Err(ScsiError::Read { .. })));
}

#[test]
fn the_state_alone() {
    let tree = Tree::unfold(PLAIN);
    let state = |minor| read_state(&tree.roots, DeviceNumber::new(8, minor));
    assert_eq!(state(16).unwrap(), ScsiState::OFFLINE);
    tree.add(&format!("{PLAIN_FOLDER}/state\tsomething new\\n"));
    assert_eq!(state(16).unwrap().to_string(), "something new");
    assert!(matches!(state(17), Err(ScsiError::NotFound { .. })));
}

#[test]
fn test_unit_ready() {
    let command = tur_command(5000);
    assert_eq!(
        (command.cdb.as_slice(), command.timeout_ms),
        (&[0; 6][..], 5000)
    );
}

#[test]
fn addresses() {
    use dm_multipath::scsi::Hctl;
    for text in ["0:0:0:0", "4294967295:0:255:18446744073709551615"] {
        assert_eq!(text.parse::<Hctl>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "0:0:0",
        "0:0:0:0:0",
        "a:0:0:0",
        "0:0:0:-1",
        "0::0:0",
        "4294967296:0:0:0",
    ] {
        text.parse::<Hctl>().unwrap_err();
    }
}

#[test]
fn all_disks_are_found_and_no_partition() {
    let tree = Tree::unfold(LOOP);
    tree.add("sys/dev/block/8:1\t-> ../../devices/x/host0/target0:0:0/0:0:0:0/block/sda/sda1");
    tree.add("sys/dev/block/7:0\t-> ../../devices/virtual/block/loop0");
    tree.add("sys/dev/block/253:0\t-> ../../devices/virtual/block/dm-0");
    let found: Vec<String> = scan(&tree.roots)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, ["8:0", "8:16", "8:32", "8:48"]);
}

#[test]
fn what_changes_is_read_alone() {
    let tree = Tree::unfold(PLAIN);
    let device = DeviceNumber::new(8, 16);
    assert!(read_size(&tree.roots, device).is_err());
    assert_eq!(read_handler(&tree.roots, device), None);
    assert_eq!(read_access(&tree.roots, device), (None, None));
    tree.add(&format!("{PLAIN_FOLDER}/block/sdb/size\t16384\\n"));
    tree.add(&format!("{PLAIN_FOLDER}/dh_state\talua\\n"));
    tree.add(&format!("{PLAIN_FOLDER}/access_state\tstandby\\n"));
    tree.add(&format!("{PLAIN_FOLDER}/preferred_path\t1\\n"));
    assert_eq!(read_size(&tree.roots, device).unwrap(), 16384);
    assert_eq!(read_handler(&tree.roots, device).as_deref(), Some("alua"));
    let access = read_access(&tree.roots, device);
    assert_eq!(access, (Some(AccessState::STANDBY), Some(true)));
    tree.add(&format!("{PLAIN_FOLDER}/access_state\tactive/optimized\\n"));
    let access = read_access(&tree.roots, device);
    assert_eq!(access, (Some(AccessState::OPTIMIZED), None));
    tree.add(&format!("{PLAIN_FOLDER}/dh_state\tdetached\\n"));
    assert_eq!(read_handler(&tree.roots, device), None);
}
