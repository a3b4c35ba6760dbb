//! Is the target what the other scenarios take it for? Registrations and the holder are per I_T
//! nexus, other nexuses are shut out, and both fabrics identify their ports.

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Lab, Nexus, Reservation, run};

const OURS: u64 = 0x123a;
const THEIRS: u64 = 0x123b;

#[test]
fn a_reservation_belongs_to_one_nexus_over_tcm_loop() -> Result {
    check_one_nexus(
        &Lab::shared("semanticsloop")?,
        Fabric::Loop,
        "SAS address: 0x5a01",
    )
}

#[test]
fn a_reservation_belongs_to_one_nexus_over_iscsi() -> Result {
    let lab = Lab::shared("semanticsiscsi")?;
    check_one_nexus(
        &lab,
        Fabric::Iscsi,
        "iSCSI world wide unique port id: iqn.2024-01.lab:node1,i",
    )
}

fn check_one_nexus(lab: &Lab, fabric: Fabric, identity: &str) -> Result {
    let mut lun = lab.lun(fabric, 2)?;
    let theirs = lun.add_nexuses(2, 2)?;
    let [holder, unregistered] = lun.paths() else {
        panic!("two paths")
    };
    let (ours, other) = (holder.witness(), theirs[0].witness());
    assert_eq!(ours.register_and_ignore(OURS)?, Answer::Done);
    assert_eq!(other.register_and_ignore(THEIRS)?, Answer::Done);
    assert_eq!(ours.reserve(OURS, 5)?, Answer::Done);

    let keys = unregistered.witness().read_keys()?;
    assert_eq!(unregistered.witness().read_all_keys()?, keys);
    assert_eq!((keys.generation, keys.keys), (2, vec![OURS, THEIRS]));
    let held = Reservation {
        key: OURS,
        reservation_type: 5,
    };
    assert_eq!(theirs[1].witness().read_reservation()?, Some(held));
    let status = other.read_full_status()?;
    assert_eq!(status.len(), 2);
    assert_eq!((status[0].relative_target_port, status[0].key), (1, OURS));
    assert_eq!(
        (status[0].holder, status[0].reservation_type),
        (true, Some(5))
    );
    assert!(
        status[0].transport_id.starts_with(identity),
        "{}",
        status[0].transport_id
    );
    assert_eq!((status[1].relative_target_port, status[1].key), (3, THEIRS));
    assert!(!status[1].holder);

    assert_eq!(other.reserve(THEIRS, 5)?, Answer::Conflict);
    assert_eq!(theirs[1].witness().reserve(THEIRS, 5)?, Answer::Conflict);
    assert_eq!(write_block(&holder.disk()?)?, 0, "the holder may write");
    assert_ne!(
        write_block(&unregistered.disk()?)?,
        0,
        "an unregistered nexus may not"
    );
    assert_eq!(ours.release(OURS, 5)?, Answer::Done);
    assert_eq!(other.read_reservation()?, None);
    assert_eq!(ours.clear(OURS)?, Answer::Done);
    assert!(other.read_keys()?.keys.is_empty());
    Ok(())
}

/// The exit status of writing to a disk past all caches.
fn write_block(disk: &str) -> Result<i32> {
    let to = format!("of=/dev/{disk}");
    Ok(run(
        "dd",
        ["if=/dev/zero", &to, "bs=4k", "count=1", "oflag=direct"],
    )?
    .code())
}

#[test]
fn the_wwid_is_what_udev_says() -> Result {
    let lab = Lab::shared("wwid")?;
    let lun = lab.lun(Fabric::Loop, 1)?;
    let node = format!("/dev/{}", lun.paths()[0].disk()?);
    let said = run("/lib/udev/scsi_id", ["-g", "-d", &node])?.succeeded()?;
    assert_eq!(said.stdout.trim(), lun.wwid());
    Ok(())
}

#[test]
fn other_nodes_have_no_disks() -> Result {
    let lab = Lab::shared("others")?;
    let mut lun = lab.lun(Fabric::Loop, 1)?;
    for nexus in lun.add_nexuses(2, 2)? {
        assert!(nexus.disk().is_err());
        assert!(nexus.witness().read_keys()?.keys.is_empty());
    }
    assert!(
        lun.add_path()?.disk().is_ok(),
        "but a path of this node made afterwards has one"
    );
    Ok(())
}

#[test]
fn preempt_and_abort_works_over_iscsi_and_is_refused_over_tcm_loop() -> Result {
    let lab = Lab::shared("abort")?;
    let mut lun = lab.lun(Fabric::Iscsi, 1)?;
    let theirs = lun.add_nexuses(2, 1)?.remove(0).witness();
    let ours = lun.paths()[0].witness();
    ours.register_and_ignore(OURS)?;
    ours.reserve(OURS, 5)?;
    theirs.register_and_ignore(THEIRS)?;
    assert_eq!(theirs.preempt_and_abort(THEIRS, OURS, 5)?, Answer::Done);
    assert_eq!(theirs.read_keys_by_port()?, [(2, THEIRS)]);
    let held = Reservation {
        key: THEIRS,
        reservation_type: 5,
    };
    assert_eq!(ours.read_reservation()?, Some(held));

    let lun = lab.lun(Fabric::Loop, 1)?;
    let refused = lun.paths()[0].witness().preempt_and_abort(OURS, THEIRS, 5);
    assert!(refused.is_err(), "it would never return");
    Ok(())
}

#[test]
fn what_a_scenario_made_is_gone_afterwards() -> Result {
    let lab = Lab::shared("cleanup")?;
    for fabric in [Fabric::Loop, Fabric::Iscsi] {
        let mut lun = lab.lun(fabric, 2)?;
        let mut nexuses = lun.add_nexuses(2, 1)?;
        nexuses.extend_from_slice(lun.paths());
        let map = lun.map()?;
        lun.paths()[0].set_offline()?;
        let wwid = lun.wwid();
        assert!(nexuses.iter().all(|nexus| leads_to(nexus, &wwid)));
        drop(lun);
        assert!(
            !nexuses.iter().any(|nexus| leads_to(nexus, &wwid)),
            "{fabric:?}"
        );
        assert_ne!(run("dmsetup", ["info", map.name()])?.code(), 0);
    }
    let left = run("find", ["/sys/kernel/config/target", "-name", "cleanup*"])?;
    assert_eq!(left.stdout, "");
    Ok(())
}

/// Whether there is a device at the nexus' address, and it is this LUN: another scenario may
/// have been given the address since.
fn leads_to(nexus: &Nexus, wwid: &str) -> bool {
    let device = format!("/sys/class/scsi_device/{}/device/wwid", nexus.address());
    let found = std::fs::read_to_string(device).unwrap_or_default();
    wwid.get(1..).is_some_and(|naa| found.contains(naa))
}
