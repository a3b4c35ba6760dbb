//! Two nodes with one key, as while a guest moves from one host to the other: over iSCSI and over
//! SAS the target names the initiator port of each registration, and so whose it is. What is
//! another node's stays; what cannot be told from it is not touched, unless by force.

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Lab};

use crate::persist::{Held, NEW, NONE, OURS, Stage, State, held_by_us};

/// What is asked here while another node holds with the same key, and the key afterwards.
const ACTS: [(&str, u64); 5] = [
    ("-L -K a -T 5", OURS),
    ("-G -K a -S c", NEW),
    ("-I -S c", NEW),
    ("-G -K a -S 0", NONE),
    ("-I -S 0", NONE),
];

#[test]
fn another_nodes_reservation_with_our_key_stays_over_iscsi() -> Result {
    check_foreign(&Lab::shared("twiniscsi")?, Fabric::Iscsi)
}

#[test]
fn another_nodes_reservation_with_our_key_stays_over_sas() -> Result {
    check_foreign(&Lab::shared("twinsas")?, Fabric::Loop)
}

/// With all paths alive, and with one that is dead.
fn check_foreign(lab: &Lab, fabric: Fabric) -> Result {
    let stage = Stage::new(lab, fabric, 3)?;
    let them = stage.other.witness();
    let dead = &stage.lun.paths()[1];
    for (act, key) in ACTS {
        for is_dead in [false, true] {
            them.register_and_ignore(OURS)?;
            assert_eq!(them.reserve(OURS, 5)?, Answer::Done);
            stage.done("-I -S a")?;
            if is_dead {
                dead.set_offline()?;
            }
            stage.done(act)?;
            let state = stage.state()?;
            let what = format!("{fabric:?}, {act}, one path dead: {is_dead}: {state:?}");
            assert_eq!((state.theirs, state.held), (OURS, held_by_them()), "{what}");
            assert_eq!([state.ours[0], state.ours[2]], [key; 2], "{what}");
            assert!(is_dead || state.ours[1] == key, "{what}");
            assert!(stage.can_other_write()?, "{what}");
            if is_dead {
                dead.set_running()?;
                stage.map.reinstate_path(dead)?;
            }
            them.clear(OURS)?;
            stage.run("-o -I -S 0")?;
        }
    }
    Ok(())
}

/// Our dead path holds, and another node has the same key: PREEMPT could not spare that.
#[test]
fn what_cannot_be_preempted_alone_is_refused_unless_by_force() -> Result {
    let lab = Lab::shared("twinforce")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 2)?;
    let them = stage.other.witness();
    them.register_and_ignore(OURS)?;
    stage.done("-I -S a")?;
    stage.done("-R -K a -T 5")?;
    let holder = stage.holder()?;
    let path = &stage.lun.paths()[holder];
    path.set_offline()?;
    let before = stage.state()?;
    assert_eq!(before.held, held_by_us(5));
    for act in ["-L -K a -T 5", "-G -K a -S 0"] {
        let refused = stage.refused(act, OTHER)?;
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(stage.state()?, before, "{act}");
    }
    stage.done("-L -K a -T 5 --force")?;
    let state = stage.state()?;
    assert_eq!((state.theirs, state.held), (NONE, None), "{state:?}");
    assert_eq!(state.ours[1 - holder], OURS, "{state:?}");
    assert_eq!(state.ours[holder], NONE, "{state:?}");
    path.set_running()?;
    stage.map.reinstate_path(path)?;
    stage.done("-I -S 0")?;
    Ok(())
}

/// QEMU 11 moves a guest: the destination registers the key that the source has, and preempts it
/// with itself. Both have the key on the list then, but only one of them is registered.
#[test]
fn the_source_of_a_migration_does_not_take_the_reservation_back() -> Result {
    let lab = Lab::shared("migration")?;
    for fabric in [Fabric::Loop, Fabric::Iscsi] {
        let stage = Stage::new(&lab, fabric, 2)?;
        let destination = stage.other.witness();
        stage.done("-G -S a")?;
        stage.done("-R -K a -T 5")?;
        destination.register_and_ignore(OURS)?;
        assert_eq!(destination.preempt(OURS, OURS, 5)?, Answer::Done);
        let moved = State {
            ours: vec![NONE; 2],
            theirs: OURS,
            held: held_by_them(),
        };
        assert_eq!(stage.state()?, moved, "{fabric:?}");
        // One disk is not registered any more either.
        for act in [
            "-L -K a -T 5",
            "-R -K a -T 5",
            "-P -K a -S a -T 5",
            "-G -K a -S c",
            "-C -K a",
        ] {
            stage.refused(act, CONFLICT)?;
            assert_eq!(stage.state()?, moved, "{fabric:?}, {act}");
        }
        stage.done("-I -S 0")?;
        assert_eq!(stage.state()?, moved, "{fabric:?}");
        assert!(!stage.can_write()?);
        assert!(stage.can_other_write()?);
        destination.clear(OURS)?;
    }
    Ok(())
}

fn held_by_them() -> Option<Held> {
    Some(Held {
        by_us: false,
        by_them: true,
        reservation_type: 5,
    })
}

const CONFLICT: i32 = 11;

const OTHER: i32 = 15;
