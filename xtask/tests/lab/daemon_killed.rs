//! Processes that are killed in the middle: whatever they left is finished by multipathd-lite,
//! and multipathd-lite itself may be killed at any moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use xtask::error::{Error, Result};
use xtask::guest::{Answer, Lab, Nexus, run, until};

use crate::daemon_paths::Node;
use crate::persist::{NEW, NONE, OURS, THEIRS};

/// The command and its child, which has the map suspended while it takes the reservation over from
/// a path that is gone, are killed in the middle.
#[test]
fn what_a_killed_command_left_is_finished_at_once() -> Result {
    let lab = Lab::alone("liteleftover")?;
    let node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    let holder = &node.lun.paths()[0];
    assert_eq!(holder.witness().reserve(OURS, 5)?, Answer::Done);
    holder.set_offline()?;
    node.await_active(2)?;
    let release = {
        let device = format!("/dev/mapper/{}", node.map);
        std::thread::spawn(move || {
            let command = [
                "mpathpersist",
                "-o",
                "-L",
                "-K",
                "a",
                "-T",
                "5",
                "-d",
                &device,
            ];
            run("strace", SLOWLY.iter().chain(&command))
        })
    };
    until("the map to be suspended", || {
        Ok(node.is_suspended()?.then_some(()))
    })?;
    run("pkill", ["-KILL", "-x", "mpathpersist"])?.succeeded()?;
    let ended = release.join();
    let ended = ended.map_err(|_| Error::unexpected("the command's thread panicked"))??;
    assert_ne!(ended.code(), 0, "it was to be killed");
    node.daemon.explain(until("the map to be resumed", || {
        Ok((!node.is_suspended()?).then_some(()))
    }))?;
    let journal = format!("/run/mpath-pr/{}.journal", node.lun.wwid());
    node.daemon
        .explain(until("the release to be finished", || {
            let is_open = std::path::Path::new(&journal).exists();
            let held = node.other.witness().read_reservation()?;
            Ok((held.is_none() && !is_open).then_some(()))
        }))?;
    assert!(
        node.daemon.log().contains("was cut off"),
        "{}",
        node.daemon.log()
    );
    holder.set_running()?;
    node.await_active(3)?;
    node.assert_keys(&[OURS; 3])
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

/// Each call of the kernel that a map's state depends on takes so much longer (0.3 s) that
/// somebody can look at the map meanwhile.
pub(crate) const SLOWLY: &[&str] = &[
    "--follow-forks",
    "--trace=ioctl",
    "--output=/dev/null",
    "--inject=ioctl:delay_exit=300000",
];

/// A hundred bad moments within a minute of the guest's time.
const ROUNDS: u64 = 100;

/// Far fewer than there are.
const FEWEST_CHANGES: u64 = 20;
