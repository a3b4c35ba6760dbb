//! Processes that are killed in the middle: whatever they left is finished by multipathd-lite,
//! and multipathd-lite itself may be killed at any moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use xtask::error::{Context, Error, Result};
use xtask::guest::{Lab, Nexus, run, until};

use crate::daemon_paths::Node;
use crate::persist::{NEW, NONE, OURS, THEIRS};

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

/// Paths flap, keys change, and the daemon is killed a hundred times: each time at another moment
/// of what they make it do.
#[test]
fn the_daemon_may_be_killed_at_any_moment() -> Result {
    let lab = Lab::alone("litekilled")?;
    let mut node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let is_over = AtomicBool::new(false);
    let (map, paths) = (node.map.clone(), node.lun.paths().to_vec());
    let changes = std::thread::scope(|scope| {
        let flaps = scope.spawn(|| flap(&paths[..2], &is_over));
        let changes = scope.spawn(|| change_keys(&map, &is_over));
        let killed = (0..ROUNDS).try_for_each(|round| {
            // Within what a return takes.
            pause(round * 7919 % 400)?;
            node.daemon.kill_and_restart()
        });
        is_over.store(true, Ordering::Relaxed);
        killed.and(ended(flaps))?;
        ended(changes)
    })?;
    eprintln!("{ROUNDS} kills, meanwhile {changes} changes of the key");
    assert!(changes >= FEWEST_CHANGES, "{changes}");
    node.await_active(3)?;
    node.persist(&format!("-I -S {NEW:x}"))?;
    node.await_active(3)?;
    node.daemon
        .explain(until("every path to have the key", || {
            Ok((node.keys()? == [NEW; 3]).then_some(()))
        }))?;
    assert!(!node.is_suspended()?);
    let held = node.other.witness().read_reservation()?;
    assert_eq!(held.map(|held| held.key), Some(NEW));
    for path in node.lun.paths() {
        assert!(node.writes_through(path)?);
    }
    Ok(())
}

/// One path after the other goes and returns.
fn flap(paths: &[Nexus], is_over: &AtomicBool) -> Result {
    let mut round = 0;
    for path in paths.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        round += 1;
        path.set_offline()?;
        pause(round * 6007 % 300)?;
        path.set_running()?;
        pause(round * 4001 % 300)?;
    }
    Ok(())
}

/// How often the key could be changed. A path that goes in the middle may leave a change undone,
/// or in doubt: the next one does not mind.
fn change_keys(map: &str, is_over: &AtomicBool) -> Result<u64> {
    let mut changes = 0;
    while !is_over.load(Ordering::Relaxed) {
        let words = format!("-o -I -S {:x} -d /dev/mapper/{map}", 0xc00 + changes);
        changes += u64::from(run("mpathpersist", words.split(' '))?.code() == 0);
    }
    Ok(changes)
}

fn pause(ms: u64) -> Result {
    let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
    run("sleep", [seconds])?.succeeded().map(drop)
}

fn ended<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    let panicked = |_| Error::unexpected("a thread of the scenario has panicked");
    thread.join().map_err(panicked)?
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

/// A hundred bad moments within a minute of the guest's time.
const ROUNDS: u64 = 100;

/// Far fewer than there are.
const FEWEST_CHANGES: u64 = 20;
