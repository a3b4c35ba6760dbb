//! Maps made by dmsetup alone: they carry I/O over the paths that are left, and can be left
//! without any.

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Lab, Map, run, until};

#[test]
fn a_map_carries_io_over_the_paths_that_are_left() -> Result {
    let lab = Lab::shared("mapio")?;
    let lun = lab.lun(Fabric::Loop, 4)?;
    let map = lun.map()?;
    assert_eq!(map.active_paths()?, 4);
    assert_eq!(write_read(&map)?.code(), 0);

    for path in &lun.paths()[..3] {
        path.set_offline()?;
    }
    assert_eq!(write_read(&map)?.code(), 0, "one path is left");
    lun.paths()[3].set_offline()?;
    assert_ne!(write_read(&map)?.code(), 0, "none is left");
    until("the kernel to have failed all paths", || {
        let _ = write_read(&map)?;
        Ok((map.active_paths()? == 0).then_some(()))
    })?;

    lun.paths()[2].set_running()?;
    map.reinstate_path(&lun.paths()[2])?;
    assert_eq!((map.active_paths()?, write_read(&map)?.code()), (1, 0));
    Ok(())
}

#[test]
fn a_map_can_lose_and_gain_paths() -> Result {
    let lab = Lab::shared("mappaths")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let map = lun.map()?;
    map.reload(&lun, &[])?;
    assert_eq!(map.active_paths()?, 0);
    lun.paths()[1].delete()?;
    map.reload(&lun, &lun.paths()[..1])?;
    assert_eq!((map.active_paths()?, write_read(&map)?.code()), (1, 0));
    map.fail_path(&lun.paths()[0])?;
    assert_eq!(map.active_paths()?, 0);
    Ok(())
}

#[test]
fn a_map_has_the_uuid_that_names_its_wwid() -> Result {
    let lab = Lab::shared("mapuuid")?;
    let lun = lab.lun(Fabric::Loop, 1)?;
    let map = lun.map()?;
    let info = run(
        "dmsetup",
        ["info", "-c", "--noheadings", "-o", "uuid", map.name()],
    )?;
    assert_eq!(
        info.succeeded()?.stdout.trim(),
        format!("mpath-{}", lun.wwid())
    );
    Ok(())
}

/// Writes a block to the map, past all caches, and reads it back.
fn write_read(map: &Map) -> Result<Finished> {
    let script = "printf %4096s lab | dd of=$0 bs=4096 count=1 oflag=direct conv=fsync &&
                  dd if=$0 bs=4096 count=1 iflag=direct | grep -q lab";
    run("bash", ["-o", "pipefail", "-c", script, map.node()])
}
