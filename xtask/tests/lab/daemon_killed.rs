//! Processes that are killed in the middle: whatever they left is finished by multipathd-lite,
//! and multipathd-lite itself may be killed at any moment.

use xtask::error::{Context, Result};
use xtask::guest::{Lab, run, until};

use crate::daemon_paths::Node;
use crate::persist::{NONE, OURS, THEIRS};

#[test]
fn what_a_killed_command_left_is_finished_at_once() -> Result {
    let lab = Lab::alone("liteleftover")?;
    let node = Node::new(&lab, 2)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    // As `mpathpersist -o -L` leaves it, killed with its child while the map is suspended.
    let base = format!("/run/mpath-pr/{}", node.lun.wwid());
    let journal = format!("{base}.journal");
    let arguments = r#"{"action":"release","key":10,"reservation_type":5}"#;
    let entry = format!(
        r#"{{"version":1,"operation":"RELEASE","request":"RELEASE","pid":1,
            "arguments":{arguments}}}"#
    );
    // First of all: the daemon, which looks after every command, may find the entry at once.
    run("dmsetup", ["suspend", "--noflush", "--nolockfs", &node.map])?.succeeded()?;
    assert!(node.is_suspended()?);
    std::fs::write(&journal, entry).context(|| journal.clone())?;
    // The kernel closes what a killed process had open.
    let lock = std::fs::OpenOptions::new()
        .append(true)
        .open(format!("{base}.lock"));
    drop(lock.context(|| format!("{base}.lock"))?);
    node.daemon.explain(until("the map to be resumed", || {
        Ok((!node.is_suspended()?).then_some(()))
    }))?;
    node.daemon
        .explain(until("the release to be finished", || {
            let is_open = std::path::Path::new(&journal).exists();
            let held = node.other.witness().read_reservation()?;
            Ok((held.is_none() && !is_open).then_some(()))
        }))?;
    node.assert_keys(&[OURS; 2])
}

#[test]
fn the_daemon_may_be_killed_at_any_moment() -> Result {
    let lab = Lab::alone("litekilled")?;
    let mut node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let mut key = OURS;
    for round in 0..ROUNDS {
        let path = node.lun.paths()[usize::try_from(round % 2).unwrap_or(0)].clone();
        path.set_offline()?;
        if round % 3 == 0 {
            key = 0xc00 + round;
            node.persist(&format!("-I -S {key:x}"))?;
        }
        path.set_running()?;
        // A moment that is another one in each round, within what a return takes.
        let pause = format!("0.{:03}", round * 7919 % 900);
        run("sleep", [pause])?.succeeded()?;
        node.daemon.kill_and_restart()?;
    }
    node.await_active(3)?;
    node.daemon
        .explain(until("every path to have the key", || {
            Ok((node.keys()? == [key; 3]).then_some(()))
        }))?;
    assert!(!node.is_suspended()?);
    let held = node.other.witness().read_reservation()?;
    assert_eq!(held.map(|held| held.key), Some(key));
    for path in node.lun.paths() {
        assert!(node.writes_through(path)?);
    }
    Ok(())
}

#[test]
fn a_daemon_that_is_killed_while_a_node_is_shut_out_lets_no_path_in() -> Result {
    let lab = Lab::alone("litekilledout")?;
    let mut node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let path = node.lun.paths()[1].clone();
    path.set_offline()?;
    node.await_active(2)?;
    node.daemon.kill()?;
    let other = node.other.witness();
    other.register_and_ignore(THEIRS)?;
    other.preempt(THEIRS, OURS, 5)?;
    path.set_running()?;
    for _ in 0..3 {
        node.daemon.kill_and_restart()?;
        run("sleep", ["0.4"])?.succeeded()?;
    }
    node.await_active(3)?;
    node.assert_keys(&[NONE; 3])?;
    for path in node.lun.paths() {
        assert!(!node.writes_through(path)?);
    }
    Ok(())
}

/// An hour of a bad day, within a minute or two of the guest's time.
const ROUNDS: u64 = 40;
