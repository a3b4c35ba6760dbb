//! Debian's fence_mpath and its watchdog's check, unchanged, on two nodes that share two disks:
//! the agent finds our `mpathpersist` where it looks for one, and sg_persist says what came of it.

use xtask::error::{Error, Result};
use xtask::guest::{
    Cluster, DEFAULT_CONFIG, Lab, Lite, Member, Nexus, Persist, Registration, run, until,
};

const A: u64 = 0xa1;
const B: u64 = 0xb2;

#[test]
fn two_nodes_fence_each_other() -> Result {
    let lab = Lab::shared("fencecluster")?;
    let cluster = Cluster::new(&lab, Persist::Ours, 2, 2)?;
    let [a, b] = &cluster.members;
    let metadata = a.fence("metadata", "")?.succeeded()?.stdout;
    assert!(metadata.contains("name=\"fence_mpath\""), "{metadata}");
    let listed = a.fence("list", "")?.succeeded()?.stdout;
    assert!(listed.contains("List option is not working"), "{listed}");
    says(a, "status", a, "Status: OFF", 2)?;
    for member in [a, b] {
        says(member, "on", member, "Success: Powered ON", 0)?;
    }
    everything_is_well(&cluster)?;

    // The path that holds the reservation dies, on each disk: everything goes on as before.
    for disk in 0..DISKS {
        holder(&cluster, disk)?.set_offline()?;
    }
    says(a, "status", a, "Status: ON", 0)?;
    says(a, "on", a, "Success: Powered ON", 0)?;
    a.fence("monitor", a.key)?.succeeded()?;
    is_in(a)?;
    is_in(b)?;
    says(a, "off", b, "Success: Powered OFF", 0)?;
    is_out(&cluster, b, a)?;
    says(a, "status", b, "Status: OFF", 2)?;
    is_in(a)?;
    b.check()?.ended_with(2)?;
    for path in a.paths.iter().flatten() {
        path.set_running()?;
    }

    // It comes back, and fences the other, half of whose paths are away.
    says(b, "on", b, "Success: Powered ON", 0)?;
    for paths in &a.paths {
        paths[0].set_offline()?;
    }
    says(b, "off", a, "Success: Powered OFF", 0)?;
    is_out(&cluster, a, b)?;
    is_in(b)?;
    a.check()?.ended_with(2)?;
    for paths in &a.paths {
        paths[0].set_running()?;
    }
    is_out(&cluster, a, b)?;
    says(a, "on", a, "Success: Powered ON", 0)?;
    everything_is_well(&cluster)
}

/// The victim has multipathd-lite, to which half of its paths come back after the fencing.
#[test]
fn paths_of_a_fenced_node_return_without_a_key() -> Result {
    let lab = Lab::alone("fencedreturn")?;
    let mut cluster = Cluster::for_daemon(&lab, DISKS, 2)?;
    let others = cluster.members[1].disks()?.join("|");
    let config = format!("{DEFAULT_CONFIG}blacklist {{\n\tdevnode \"^({others})$\"\n}}\n");
    let daemon = Lite::start(&lab, &config)?;
    for lun in &cluster.luns {
        let name = daemon.await_map(&lun.wwid(), 2)?;
        cluster.members[0]
            .devices
            .push(format!("/dev/mapper/{name}"));
    }
    let [a, b] = &cluster.members;
    for member in [a, b] {
        says(member, "on", member, "Success: Powered ON", 0)?;
    }
    for paths in &a.paths {
        paths[0].set_offline()?;
    }
    for lun in &cluster.luns {
        daemon.await_map(&lun.wwid(), 1)?;
    }
    says(b, "off", a, "Success: Powered OFF", 0)?;
    for paths in &a.paths {
        paths[0].set_running()?;
    }
    for lun in &cluster.luns {
        daemon.await_map(&lun.wwid(), 2)?;
    }
    daemon.explain(is_out(&cluster, a, b))?;
    is_in(b)?;
    a.check()?.ended_with(2)?;
    // And in again, by all paths.
    says(a, "on", a, "Success: Powered ON", 0)?;
    daemon.explain(everything_is_well(&cluster))
}

const DISKS: usize = 2;

/// The agent on `on`, asked about `whom`, prints this line and ends with this status.
fn says(on: &Member, action: &str, whom: &Member, line: &str, code: i32) -> Result {
    let finished = on.fence(action, whom.key)?.ended_with(code)?;
    let text = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.stdout.trim(), line, "{}\n{text}", finished.command);
    Ok(())
}

/// The node's watchdog is content.
fn is_in(member: &Member) -> Result {
    let checked = member.check()?.ended_with(0)?;
    assert_eq!(checked.stderr, "");
    Ok(())
}

/// Both nodes are registered by every path, one holds, both write and both watchdogs are content.
fn everything_is_well(cluster: &Cluster) -> Result {
    let [a, b] = &cluster.members;
    is_in(a)?;
    is_in(b)?;
    for disk in 0..DISKS {
        assert_eq!(keys(a, b, disk)?, [A, A]);
        assert_eq!(keys(b, a, disk)?, [B, B]);
        let held = b.paths[disk][0].witness().read_reservation()?;
        assert_eq!(held.map(|it| it.reservation_type), Some(5));
        for path in a.paths[disk].iter().chain(&b.paths[disk]) {
            assert!(writes(path)?, "{}", path.address());
        }
    }
    Ok(())
}

/// On no disk is the node registered by any path, and by those that work it cannot write; the
/// other one holds the reservation.
fn is_out(cluster: &Cluster, victim: &Member, winner: &Member) -> Result {
    for disk in 0..cluster.luns.len() {
        assert_eq!(keys(victim, winner, disk)?, [0, 0]);
        let status = status(winner, disk)?;
        let holder = status.iter().find(|it| it.holder);
        let key = u64::from_str_radix(winner.key, 16).ok();
        assert_eq!(holder.map(|it| it.key), key, "{status:?}");
        for path in &victim.paths[disk] {
            if path.state()? == "running" {
                assert!(!writes(path)?, "{} lets it write", path.address());
            }
        }
    }
    Ok(())
}

/// The keys of a node's paths to a disk, as the other one sees them.
fn keys(of: &Member, by: &Member, disk: usize) -> Result<Vec<u64>> {
    let status = status(by, disk)?;
    let key = |path: &Nexus| {
        let port = path.relative_target_port();
        let found = status.iter().find(|it| it.relative_target_port == port);
        found.map_or(0, |it| it.key)
    };
    Ok(of.paths[disk].iter().map(key).collect())
}

fn status(by: &Member, disk: usize) -> Result<Vec<Registration>> {
    until("a path that works", || {
        let running = by.paths[disk]
            .iter()
            .find(|path| path.state().is_ok_and(|state| state == "running"));
        running
            .map(|path| path.witness().read_full_status())
            .transpose()
    })
}

/// The path that holds the reservation.
fn holder(cluster: &Cluster, disk: usize) -> Result<Nexus> {
    let [a, b] = &cluster.members;
    let status = status(b, disk)?;
    let port = status
        .iter()
        .find(|it| it.holder)
        .map(|it| it.relative_target_port);
    let mut paths = a.paths[disk].iter().chain(&b.paths[disk]);
    let found = paths.find(|path| Some(path.relative_target_port()) == port);
    found
        .cloned()
        .ok_or_else(|| Error::unexpected("nobody holds the reservation"))
}

/// Whether the target takes a write from this path, by a command of its own.
fn writes(path: &Nexus) -> Result<bool> {
    // Takes the unit attentions, so that a failure is the reservation's.
    path.witness().read_keys()?;
    let node = format!("of=/dev/{}", path.disk()?);
    let args = ["if=/dev/zero", &node, "bs=512", "count=1", "oflag=direct"];
    Ok(run("dd", args)?.code() == 0)
}
