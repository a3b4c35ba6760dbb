//! `mpathpersist repair` on the real kernel, with sg_persist as the witness of what was wrong
//! before and what is right after.

use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Finished, Lab, run, until};

use crate::daemon_killed::SLOWLY;
use crate::persist::{NEW, NONE, OURS, Stage, THEIRS, held_by_us, is_suspended};
use crate::persist_status::shared;

/// A key that this node had before.
const OLD: u64 = 0xd;

fn repair(stage: &Stage, words: &[&str]) -> Result<Finished> {
    let map = [stage.map.node()];
    run("mpathpersist", ["repair"].iter().chain(words).chain(&map))
}

/// What it is going to do is shown, and not done; what it does then leaves nothing to do.
fn repaired(stage: &Stage) -> Result<String> {
    let before = (stage.state()?, stage.other.witness().read_keys()?);
    let plan = repair(stage, &["--dry-run"])?.succeeded()?.stdout;
    // Unasked it does nothing either.
    repair(stage, &[])?.ended_with(1)?;
    let now = (stage.state()?, stage.other.witness().read_keys()?);
    assert_eq!(now, before, "{plan}");
    let told = repair(stage, &["--yes"])?.succeeded()?.stdout;
    assert!(told.contains("done: "), "{told}");
    let nothing = repair(stage, &["--dry-run"])?.succeeded()?.stdout;
    assert!(nothing.contains("nothing to repair"), "{nothing}");
    // The host has a finding of its own: there is no daemon.
    let check = run("mpathpersist", ["check", stage.map.node()])?;
    let of_map = format!("{}: ", stage.map.name());
    assert!(!check.stdout.contains(&of_map), "{}", check.stdout);
    Ok(plan)
}

fn unregistered_path(name: &str, fabric: Fabric) -> Result {
    let lab = Lab::shared(name)?;
    let stage = shared(&lab, fabric, 3)?;
    let spare = (0..3).filter(|at| stage.holder().is_ok_and(|holder| holder != *at));
    let spare: Vec<usize> = spare.collect();
    let [without, other] = spare[..] else {
        return Err(Error::unexpected("one path holds"));
    };
    stage.lun.paths()[without]
        .witness()
        .register_and_ignore(NONE)?;
    stage.lun.paths()[other]
        .witness()
        .register_and_ignore(NEW)?;
    let plan = repaired(&stage)?;
    assert_eq!(plan.matches("register sd").count(), 2, "{plan}");
    let state = stage.state()?;
    assert_eq!((state.ours, state.theirs), (vec![OURS; 3], THEIRS));
    assert_eq!(state.held, held_by_us(5));
    assert!(stage.can_write()?);
    Ok(())
}

#[test]
fn repair_gives_paths_in_use_the_key() -> Result {
    unregistered_path("repairkey", Fabric::Loop)
}

#[test]
fn repair_gives_iscsi_sessions_the_key() -> Result {
    unregistered_path("repairsession", Fabric::Iscsi)
}

/// An older key is left on a nexus that the map has lost.
#[test]
fn repair_purges_a_leaked_key() -> Result {
    let lab = Lab::shared("repairleak")?;
    let stage = shared(&lab, Fabric::Loop, 3)?;
    let lost = (0..3).find(|at| stage.holder().is_ok_and(|holder| holder != *at));
    let lost = lost.ok_or_else(|| Error::unexpected("one path holds"))?;
    stage.lun.paths()[lost].witness().register_and_ignore(OLD)?;
    let mut left = stage.lun.paths().to_vec();
    left.remove(lost);
    stage.map.reload(&stage.lun, &left)?;
    let plan = repaired(&stage)?;
    assert!(plan.contains("the older key 0xd"), "{plan}");
    let state = stage.state()?;
    assert_eq!(state.ours[lost], NONE);
    assert_eq!(state.ours.iter().filter(|key| **key == OURS).count(), 2);
    assert_eq!((state.theirs, state.held), (THEIRS, held_by_us(5)));
    Ok(())
}

/// Both processes of a RELEASE die while the map is suspended: there is no daemon to notice.
#[test]
fn repair_completes_a_command_that_was_killed() -> Result {
    let lab = Lab::alone("repairkilled")?;
    let stage = shared(&lab, Fabric::Loop, 3)?;
    stage.lun.paths()[stage.holder()?].set_offline()?;
    let command = ["mpathpersist", "-o", "-L", "-K", "a", "-T", "5", "-d"];
    let command = [&command[..], &[stage.map.node()]].concat();
    std::thread::scope(|scope| {
        let release = scope.spawn(|| run("strace", SLOWLY.iter().chain(&command)));
        until("the map to be suspended", || {
            Ok(is_suspended(stage.map.name())?.then_some(()))
        })?;
        run("pkill", ["-KILL", "-x", "mpathpersist"])?.succeeded()?;
        let ended = release.join();
        let ended = ended.map_err(|_| Error::unexpected("the command's thread panicked"))??;
        assert_ne!(ended.code(), 0, "it was to be killed");
        Result::Ok(())
    })?;
    assert!(
        is_suspended(stage.map.name())?,
        "nobody is there to resume it"
    );
    let plan = repaired(&stage)?;
    assert!(plan.contains("resume the map"), "{plan}");
    assert!(plan.contains("complete 'RELEASE"), "{plan}");
    assert!(!is_suspended(stage.map.name())?);
    let state = stage.state()?;
    assert_eq!((state.held, state.theirs), (None, THEIRS));
    assert!(stage.can_write()?);
    Ok(())
}

/// Who was fenced does not let itself in again.
#[test]
fn repair_does_not_let_a_fenced_node_in() -> Result {
    let lab = Lab::shared("repairfenced")?;
    let stage = shared(&lab, Fabric::Loop, 2)?;
    stage.other.witness().preempt(THEIRS, OURS, 5)?;
    let told = repair(&stage, &["--yes"])?.ended_with(1)?.stdout;
    assert!(told.contains("this node was shut out"), "{told}");
    assert_eq!(stage.keys()?, [NONE; 2]);
    assert!(!stage.can_write()?);
    Ok(())
}
