//! `mpathpersist` on maps with one path and with many, over both fabrics: which path is registered
//! with which key, who holds, who may write. sg_persist by another node's nexus is the judge.

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Lab};

use crate::persist::{Held, NEW, NONE, OURS, Stage, State, THEIRS, held_by_us, transport_id};

#[test]
fn maps_with_1_2_and_4_paths_are_registered_whole() -> Result {
    let lab = Lab::shared("paths")?;
    for paths in [1, 2, 4] {
        check_registrations(&Stage::new(&lab, Fabric::Loop, paths)?)?;
    }
    Ok(())
}

#[test]
fn a_map_with_16_paths_is_registered_whole() -> Result {
    let lab = Lab::shared("sixteen")?;
    check_registrations(&Stage::new(&lab, Fabric::Loop, 16)?)
}

#[test]
fn a_map_over_iscsi_is_registered_whole() -> Result {
    let lab = Lab::shared("pathsiscsi")?;
    check_registrations(&Stage::new(&lab, Fabric::Iscsi, 4)?)
}

fn check_registrations(stage: &Stage) -> Result {
    let count = stage.lun.paths().len();
    let all = |key: u64| vec![key; count];
    let after = |words: &str| {
        stage.done(words)?;
        stage.keys()
    };
    assert_eq!(after("-G -S a")?, all(OURS));
    assert_eq!(after("-G -K a -S a")?, all(OURS));
    assert_eq!(after("-G -K a -S c")?, all(NEW));
    assert_eq!(after("-I -S a")?, all(OURS));
    check_io(stage)?;
    assert_eq!(after("-G -K a -S 0")?, all(NONE));
    assert_eq!(after("-I --sequential -S a")?, all(OURS));
    assert_eq!(after("-I -S 0")?, all(NONE));
    stage.done("-G -S a")?;
    // As lvmpersist unregisters.
    assert_eq!(after("--register --param-rk=a")?, all(NONE));
    stage.done("-G -S a")?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-R -K a -T 5")?;
    assert_eq!(after("-C -K a")?, all(NONE));
    assert_eq!(stage.state()?.theirs, NONE);
    Ok(())
}

/// Registered, with and without a reservation: who may write?
fn check_io(stage: &Stage) -> Result {
    assert!(stage.can_write()? && stage.can_other_write()?);
    stage.done("-R -K a -T 5")?;
    assert_eq!(stage.state()?.held, held_by_us(5));
    assert!(stage.can_write()?, "the registered node");
    assert!(!stage.can_other_write()?, "the other");
    assert_eq!(stage.other.witness().reserve(THEIRS, 5)?, Answer::Conflict);
    stage.done("-L -K a -T 5")?;
    assert_eq!(stage.state()?.held, None);
    assert!(stage.can_other_write()?, "nobody is shut out any more");
    Ok(())
}

#[test]
fn every_type_lets_the_registered_node_write() -> Result {
    let lab = Lab::shared("types")?;
    let one = Stage::new(&lab, Fabric::Loop, 1)?;
    let many = Stage::new(&lab, Fabric::Loop, 2)?;
    // Types 1 and 3 let one nexus write: several paths cannot share that.
    for (stage, types) in [(&one, &[1, 3, 5, 6, 7, 8][..]), (&many, &[5, 6, 7, 8])] {
        stage.done("-G -S a")?;
        for held in types {
            stage.done(&format!("-R -K a -T {held}"))?;
            assert_eq!(stage.state()?.held, held_by_us(*held));
            assert!(stage.can_write()?, "type {held}");
            assert!(!stage.can_other_write()?, "type {held}");
            let read = stage.run("-i -r")?.succeeded()?.stdout;
            let key = if *held >= 7 { "0x0" } else { "0xa" };
            assert!(read.contains(&format!("Key = {key}\n")), "{read}");
            stage.done(&format!("-L -K a -T {held}"))?;
        }
        assert_eq!(stage.state()?.held, None);
    }
    Ok(())
}

#[test]
fn a_node_that_was_preempted_is_shut_out() -> Result {
    let lab = Lab::shared("shutout")?;
    for fabric in [Fabric::Loop, Fabric::Iscsi] {
        let stage = Stage::new(&lab, fabric, 2)?;
        let them = stage.other.witness();
        stage.done("-G -S a")?;
        stage.done("-R -K a -T 5")?;
        them.register_and_ignore(THEIRS)?;
        assert!(stage.can_write()?);
        assert_eq!(them.preempt(THEIRS, OURS, 5)?, Answer::Done);
        let preempted = State {
            ours: vec![NONE; 2],
            theirs: THEIRS,
            held: Some(Held {
                by_us: false,
                by_them: true,
                reservation_type: 5,
            }),
        };
        assert_eq!(stage.state()?, preempted);
        assert!(!stage.can_write()? && stage.can_other_write()?);
        for words in [
            "-R -K a -T 5",
            "-L -K a -T 5",
            "-P -K a -S b -T 5",
            "-C -K a",
        ] {
            let refused = stage.refused(words, CONFLICT)?;
            assert!(refused.stdout.contains("Reservation Conflict"), "{words}");
        }
        assert_eq!(stage.state()?, preempted);
        // And it can come back if it asks for it.
        stage.done("-G -S a")?;
        stage.done("-P -K a -S b -T 5")?;
        let state = stage.state()?;
        assert_eq!((state.held, state.theirs), (held_by_us(5), NONE));
        assert!(stage.can_write()? && !stage.can_other_write()?);
    }
    Ok(())
}

#[test]
fn preempting_its_own_key_is_felt_by_no_path_that_may_stay() -> Result {
    let lab = Lab::shared("ownkey")?;
    let stage = Stage::new(&lab, Fabric::Loop, 4)?;
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 5")?;
    stage.done("-P -K a -S a -T 6")?;
    let state = stage.state()?;
    assert_eq!((state.ours, state.held), (vec![OURS; 4], held_by_us(6)));
    assert!(stage.can_write()?);
    stage.done("-L -K a -T 6")?;
    stage.done("-P -K a -S a -T 5")?;
    assert_eq!(stage.keys()?, [NONE; 4], "one disk would be unregistered");
    stage.refused("-R -K a -T 5", CONFLICT).map(drop)
}

#[test]
fn aptpl_is_activated_and_seen() -> Result {
    let lab = Lab::shared("aptpl")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let is_active = || {
        let said = stage.other.witness().run(&["-i", "-c"])?.succeeded()?;
        Ok(said.stdout.contains("(PTPL_A): 1"))
    };
    stage.done("-G -S a")?;
    assert!(!is_active()?);
    stage.done("-G -Z -K a -S a")?;
    assert!(is_active()?);
    let read = stage.run("-i -c")?.succeeded()?.stdout;
    assert!(
        read.contains("Persist Through Power Loss Active(PTPL_A): 1"),
        "{read}"
    );
    assert_eq!(stage.keys()?, [OURS; 2]);
    stage.done("-I -S a")?;
    assert!(!is_active()?, "each registration says it anew");
    Ok(())
}

#[test]
fn all_target_ports_are_registered_and_unregistered() -> Result {
    let lab = Lab::shared("alltgpt")?;
    for fabric in [Fabric::Loop, Fabric::Iscsi] {
        let stage = Stage::new(&lab, fabric, 3)?;
        stage.done("-G -Y -S a")?;
        let status = stage.other.witness().read_full_status()?;
        assert_eq!(status.len(), 3, "{fabric:?}: {status:?}");
        assert!(
            status
                .iter()
                .all(|it| it.all_target_ports && it.key == OURS)
        );
        stage.done("-R -K a -T 5")?;
        assert!(
            stage.can_write()? && !stage.can_other_write()?,
            "{fabric:?}"
        );
        stage.done("-L -K a -T 5")?;
        stage.done("-G -Y -K a -S c")?;
        let keys = stage.other.witness().read_keys()?.keys;
        assert_eq!(keys, [NEW; 3], "{fabric:?}");
        // The target lets an ALL_TG_PT registration change by another such command only.
        let single = stage.lun.paths()[0].witness().register(NEW, NONE)?;
        assert_eq!(single, Answer::IllegalRequest);
        stage.done("-G -Y -K c -S 0")?;
        let keys = stage.other.witness().read_keys()?.keys;
        assert_eq!(keys, [NONE; 0], "{fabric:?}");
        // Unregistering means the node, all ports included, and gets there without the option too.
        stage.done("-G -Y -S a")?;
        stage.done("-G -K a -S 0")?;
        let keys = stage.other.witness().read_keys()?.keys;
        assert_eq!(keys, [NONE; 0], "{fabric:?}");
    }
    Ok(())
}

/// Over tcm_loop only: over iSCSI this target refuses every list of ports, also sg_persist's, and
/// then its LUN can never be removed.
#[test]
fn other_initiator_ports_are_registered_with_ours() -> Result {
    let lab = Lab::shared("specipt")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let port = transport_id(&stage.other)?;
    stage.done(&format!("-G -S a -X {port}"))?;
    let keys = stage.other.witness().read_keys_by_port()?;
    assert_eq!(keys, [(1, OURS), (2, OURS), (3, OURS)]);
    Ok(())
}

#[test]
fn a_reservation_is_moved_to_another_node() -> Result {
    let lab = Lab::shared("move")?;
    for (fabric, unregister) in [
        (Fabric::Loop, ""),
        (Fabric::Loop, "--param-unreg"),
        (Fabric::Iscsi, ""),
    ] {
        let stage = Stage::new(&lab, fabric, 2)?;
        let (port, number) = (
            transport_id(&stage.other)?,
            stage.other.relative_target_port(),
        );
        let to = format!("--relative-target-port={number} -X {port}");
        let moving = format!("--register-move -K a -S b {unregister} {to}");
        stage.done("-G -S a")?;
        stage.done("-R -K a -T 5")?;
        stage.done(&moving)?;
        let left = if unregister.is_empty() { OURS } else { NONE };
        let moved = State {
            ours: vec![left; 2],
            theirs: THEIRS,
            held: Some(Held {
                by_us: false,
                by_them: true,
                reservation_type: 5,
            }),
        };
        assert_eq!(stage.state()?, moved, "{fabric:?} {unregister}");
        assert!(stage.can_other_write()?);
        assert_ne!(
            stage.run(&format!("-o {moving}"))?.code(),
            0,
            "not ours to move"
        );
        assert_eq!(stage.state()?, moved);
    }
    Ok(())
}

const CONFLICT: i32 = 11;
