//! Maps that multipathd-lite makes, renames, reloads and removes; their names are in `/dev/mapper`,
//! whether udev puts them there or nobody else does.

use std::fs::File;
use std::path::Path;

use xtask::error::{Context, Result};
use xtask::guest::{DEFAULT_CONFIG, Fabric, Lab, WithoutUdev, run, until};

use crate::daemon_paths::Node;

#[test]
fn maps_are_renamed_reloaded_and_removed() -> Result {
    let lab = Lab::alone("litenames")?;
    story(&lab)
}

#[test]
fn the_same_without_udev() -> Result {
    let lab = Lab::alone("liteudev")?;
    let _without = WithoutUdev::begin(&lab)?;
    story(&lab)
}

/// Such maps were removed as soon as nobody had them open.
#[test]
fn maps_of_other_disks_than_its_own_stay() -> Result {
    let lab = Lab::alone("liteothers")?;
    let mut excluded = lab.lun(Fabric::Loop, 1)?;
    let map = excluded.map()?;
    // As if by somebody who knows disks that multipathd-lite does not.
    let nobodys = excluded.map_as("mpath-nobodys")?;
    let own = lab.lun(Fabric::Loop, 1)?;
    let wwid = excluded.wwid();
    let config = format!("{DEFAULT_CONFIG}blacklist {{\nwwid {wwid}\n}}\n");
    let node = Node::on(&lab, own, &config)?;
    node.daemon.reconfigure(&lab, &config)?;
    await_idle(&node)?;
    assert_eq!(map.active_paths()?, 1);
    nobodys.status().map(drop)
}

fn await_idle(node: &Node) -> Result {
    node.daemon.explain(until("the daemon to be idle", || {
        let state = node.daemon.ask("show daemon")?.stdout;
        Ok(state.contains("idle").then_some(()))
    }))
}

fn story(lab: &Lab) -> Result {
    let lun = lab.lun(Fabric::Loop, 2)?;
    let mut node = Node::on(lab, lun, DEFAULT_CONFIG)?;
    rename(lab, &mut node)?;
    reload(lab, &node)?;
    remove(&node)?;
    lose_all_paths(&node)
}

/// Whoever has the map open does not notice.
fn rename(lab: &Lab, node: &mut Node) -> Result {
    let wwid = node.lun.wwid();
    let friendly = node.map.clone();
    assert!(friendly.starts_with("mpath"), "{friendly}");
    let _open = File::open(format!("/dev/mapper/{friendly}")).context(|| friendly.clone())?;
    let alias = format!("multipaths {{\n multipath {{\n wwid {wwid}\n alias data\n }}\n}}\n");
    let bare = DEFAULT_CONFIG.replace("user_friendly_names yes", "user_friendly_names no");
    let names = [
        (format!("{DEFAULT_CONFIG}{alias}"), "data"),
        (bare, wwid.as_str()),
        (DEFAULT_CONFIG.to_owned(), friendly.as_str()),
    ];
    for (config, name) in names {
        let before = std::mem::replace(&mut node.map, name.to_owned());
        node.daemon.reconfigure(lab, &config)?;
        await_link(node, name, true)?;
        await_link(node, &before, false)?;
        assert_eq!(node.active()?, 2);
    }
    Ok(())
}

/// The table changes with the configuration, and is loaded again for whoever asks for it.
fn reload(lab: &Lab, node: &Node) -> Result {
    let policy = "path_grouping_policy multibus";
    let changed = format!("{policy}\n path_selector \"round-robin 0\"");
    let config = DEFAULT_CONFIG.replace(policy, &changed);
    node.daemon.reconfigure(lab, &config)?;
    node.await_table(" round-robin 0 2 1 ")?;
    let config = config.replace("no_path_retry fail", "no_path_retry queue");
    node.daemon.reconfigure(lab, &config)?;
    node.await_table(" multipath 1 queue_if_no_path ")?;
    // The table is there before the work that has loaded it is reported.
    await_idle(node)?;
    let loads = || -> Result<u32> {
        let counted = node.daemon.ask("show maps raw format %2")?.succeeded()?;
        Ok(counted.stdout.trim().parse().unwrap_or_default())
    };
    let before = loads()?;
    assert_eq!(
        node.daemon.ask(&format!("reload map {}", node.map))?.stdout,
        "ok\n"
    );
    assert_eq!(loads()?, before + 1);
    assert_eq!(node.active()?, 2);
    Ok(())
}

/// Not while it is in use, and then it goes on queueing; what was removed stays away until it is
/// asked for.
fn remove(node: &Node) -> Result {
    let device = format!("/dev/mapper/{}", node.map);
    let open = File::open(&device).context(|| device.clone())?;
    let removal = format!("remove map {}", node.map);
    assert_eq!(node.daemon.ask(&removal)?.stdout, "fail\n");
    node.await_table(" multipath 1 queue_if_no_path ")?;
    drop(open);
    // udev may just be looking at it.
    node.daemon.explain(until("the map to be removed", || {
        let answer = node.daemon.ask(&removal)?.stdout;
        Ok((answer == "ok\n").then_some(()))
    }))?;
    await_link(node, &node.map, false)?;
    assert_ne!(run("dmsetup", ["info", &node.map])?.code(), 0);
    assert_eq!(
        node.daemon.ask(&format!("add map {}", node.map))?.stdout,
        "ok\n"
    );
    await_link(node, &node.map, true)
}

/// A map that nobody uses goes with its last path, and comes back by the name that it had.
fn lose_all_paths(node: &Node) -> Result {
    // It queues: if udev were just reading it, that would keep it for ever.
    let _ = run("udevadm", ["settle"])?;
    until("nobody to have the map open", || {
        let count = ["info", "-c", "--noheadings", "-o", "open", &node.map];
        Ok((run("dmsetup", count)?.stdout.trim() == "0").then_some(()))
    })?;
    for path in node.lun.paths() {
        path.delete()?;
    }
    await_link(node, &node.map, false)?;
    for path in node.lun.paths() {
        path.rescan()?;
    }
    await_link(node, &node.map, true)?;
    node.await_active(2)
}

/// Waits until the map's name leads to its node, or is no more.
fn await_link(node: &Node, name: &str, is_there: bool) -> Result {
    let link = Path::new("/dev/mapper").join(name);
    let what = format!(
        "{} to {}",
        link.display(),
        if is_there { "appear" } else { "go" }
    );
    node.daemon.explain(until(&what, || {
        let device = std::fs::canonicalize(&link).unwrap_or_default();
        let leads =
            device.starts_with("/dev/dm-") || device.to_string_lossy().starts_with("/dev/dm-");
        Ok((leads == is_there && link.symlink_metadata().is_ok() == is_there).then_some(()))
    }))
}
