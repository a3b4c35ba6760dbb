//! The distribution's multipath-tools in the guest, for comparison and interoperation: its daemon
//! makes the map, its command registers, sg_persist sees it.

use xtask::error::Result;
use xtask::guest::{DEFAULT_CONFIG, Fabric, Lab, Multipathd, run};

#[test]
fn the_distributions_daemon_and_command_work() -> Result {
    let lab = Lab::alone("distribution")?;
    let mut lun = lab.lun(Fabric::Loop, 2)?;
    let other = lun.add_nexuses(2, 1)?.remove(0);
    let daemon = Multipathd::start(&lab, DEFAULT_CONFIG)?;
    let node = format!("/dev/mapper/{}", daemon.await_map(&lun.wwid(), 2)?);
    run(
        "/usr/sbin/mpathpersist",
        ["-o", "-G", "-S", "0x123abc", "-d", &node],
    )?
    .succeeded()?;
    assert_eq!(
        other.witness().read_keys_by_port()?,
        [(1, 0x123abc), (2, 0x123abc)]
    );
    Ok(())
}

#[test]
fn a_configuration_needs_the_lab_alone() -> Result {
    let lab = Lab::shared("noconfig")?;
    assert!(lab.write_config("").is_err());
    Ok(())
}
