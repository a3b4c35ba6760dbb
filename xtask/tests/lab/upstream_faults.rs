//! Three faults of multipath-tools 0.14.3, and that they are none here. What it does:
//!
//! - A path that is away while the key is changed or removed keeps the old key, unless it was the
//!   one that holds the reservation. Whoever counts registrations finds a node that has left.
//! - Such a key keeps a reservation for all registrants (types 7 and 8) standing when the node has
//!   unregistered and nobody else is registered: all are shut out, and nobody holds.
//! - A RELEASE while its daemon does not run and the path that holds is dead says that it
//!   succeeded, and the reservation stands.
//!
//! What is left is read from all registrations that sg_persist lists, whichever port they are of.

use xtask::error::Result;
use xtask::guest::{Fabric, Lab, run};

use crate::dead_holder::{Loss, path_goes, path_returns, tidy_up};
use crate::persist::{NEW, NONE, OURS, Stage, THEIRS};

/// What is asked while a path is away, and this node's key afterwards.
const CHANGES: [(&str, u64); 4] = [
    ("-G -K a -S c", NEW),
    ("-I -S c", NEW),
    ("-G -K a -S 0", NONE),
    ("-I -S 0", NONE),
];

#[test]
fn a_key_that_is_changed_or_removed_is_not_left_on_a_path_that_is_offline() -> Result {
    check_changes("upstreamoffline", Loss::Offline)
}

#[test]
fn a_key_that_is_changed_or_removed_is_not_left_on_a_path_that_was_deleted() -> Result {
    check_changes("upstreamdeleted", Loss::Deleted)
}

/// Without a reservation, with one that another path holds, and with one that all paths hold.
fn check_changes(name: &str, loss: Loss) -> Result {
    let lab = Lab::shared(name)?;
    let stage = Stage::new(&lab, Fabric::Loop, 3)?;
    for kind in [None, Some(5), Some(7)] {
        for (words, key) in CHANGES {
            check_change(&stage, loss, kind, (words, key))?;
        }
    }
    Ok(())
}

fn check_change(stage: &Stage, loss: Loss, kind: Option<u8>, change: (&str, u64)) -> Result {
    let (words, key) = change;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-I -S a")?;
    let mut away = 1;
    if let Some(kind) = kind {
        stage.done(&format!("-R -K a -T {kind}"))?;
        away = (stage.holder()? + 1) % stage.lun.paths().len();
    }
    let path = &stage.lun.paths()[away];
    path_goes(stage, path, loss)?;
    stage.done(words)?;
    let what = format!("{loss:?}, {words}, type {kind:?}");
    assert_eq!(listed(stage)?, registered(stage, away, key), "{what}");
    tidy_up(stage)?;
    path_returns(stage, path, loss)
}

#[test]
fn unregistering_with_a_dead_path_ends_a_reservation_for_all_registrants() -> Result {
    let lab = Lab::shared("upstreamall")?;
    let stage = Stage::new(&lab, Fabric::Loop, 3)?;
    let path = &stage.lun.paths()[1];
    for loss in [Loss::Offline, Loss::Deleted] {
        for kind in [7, 8] {
            for words in ["-G -K a -S 0", "-I -S 0"] {
                stage.done("-I -S a")?;
                stage.done(&format!("-R -K a -T {kind}"))?;
                assert!(!stage.can_other_write()?, "type {kind} shuts them out");
                path_goes(&stage, path, loss)?;
                stage.done(words)?;
                let what = format!("{loss:?}, {words}, type {kind}");
                let held = stage.other.witness().read_reservation()?;
                assert_eq!((held, listed(&stage)?), (None, Vec::new()), "{what}");
                assert!(stage.can_other_write()?, "{what}");
                path_returns(&stage, path, loss)?;
                assert_eq!(listed(&stage)?, [], "{what}, once the path is back");
            }
        }
    }
    Ok(())
}

/// Saying that it is released while it stands would be worst of all; saying that it cannot be
/// would leave the disk locked.
#[test]
fn a_release_without_the_daemon_and_the_holder_is_done() -> Result {
    let lab = Lab::shared("upstreamrelease")?;
    run("pgrep", ["-x", "multipathd|multipathd-lite"])?.ended_with(NONE_RUNS)?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    for loss in [Loss::Offline, Loss::Deleted] {
        for kind in [1, 3, 5, 6] {
            stage.other.witness().register_and_ignore(THEIRS)?;
            stage.done("-I -S a")?;
            stage.done(&format!("-R -K a -T {kind}"))?;
            let holder = stage.holder()?;
            let path = &stage.lun.paths()[holder];
            path_goes(&stage, path, loss)?;
            stage.done(&format!("-L -K a -T {kind}"))?;
            let what = format!("{loss:?}, type {kind}");
            assert_eq!(
                stage.other.witness().read_reservation()?,
                None,
                "{what}: released"
            );
            let at_nobodys_cost = registered(&stage, holder, OURS);
            assert_eq!(listed(&stage)?, at_nobodys_cost, "{what}");
            path_returns(&stage, path, loss)?;
            assert_eq!(stage.other.witness().read_reservation()?, None, "{what}");
            tidy_up(&stage)?;
        }
    }
    Ok(())
}

/// The port and key of every registration that there is, by its port.
fn listed(stage: &Stage) -> Result<Vec<(u16, u64)>> {
    stage.other.witness().read_keys_by_port()
}

/// What should be listed: this key on the paths that are left, and the other node's.
fn registered(stage: &Stage, away: usize, key: u64) -> Vec<(u16, u64)> {
    let paths = stage.lun.paths().iter().enumerate();
    let left = paths.filter(|(at, _)| *at != away && key != NONE);
    let ours = left.map(|(_, path)| (path.relative_target_port(), key));
    ours.chain([(stage.other.relative_target_port(), THEIRS)])
        .collect()
}

/// What pgrep ends with if there is no such process.
const NONE_RUNS: i32 = 1;
