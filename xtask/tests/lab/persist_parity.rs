//! The promise: a map answers as one disk would. The same commands go to a map by mpathpersist and
//! to a disk of one path by sg_persist; after each, the answers and what the target says of the
//! two disks must be the same.

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Lab, Lun, Nexus};

use crate::persist::{NONE, Stage, State};

#[test]
fn a_reservation_of_one_holder_is_answered_as_by_one_disk() -> Result {
    let lab = Lab::shared("parityone")?;
    check(&lab, Fabric::Loop, &[(1, 5), (3, 1), (6, 3)], RESERVING)?;
    check(&lab, Fabric::Loop, &[(5, 6)], PREEMPTING)?;
    check(&lab, Fabric::Loop, &[(5, 6)], PREEMPTING_OWN_KEY)
}

#[test]
fn a_reservation_of_all_registrants_is_answered_as_by_one_disk() -> Result {
    let lab = Lab::shared("parityall")?;
    check(&lab, Fabric::Loop, &[(8, 7)], RESERVING)?;
    check(&lab, Fabric::Loop, &[(7, 5)], PREEMPTING)?;
    check(&lab, Fabric::Loop, &[(7, 5)], PREEMPTING_ALL)
}

#[test]
fn registrations_are_answered_as_by_one_disk() -> Result {
    check(
        &Lab::shared("parityreg")?,
        Fabric::Loop,
        &[(5, 6)],
        REGISTERING,
    )
}

#[test]
fn a_map_over_iscsi_answers_as_one_disk() -> Result {
    let lab = Lab::shared("parityiscsi")?;
    check(&lab, Fabric::Iscsi, &[(5, 6)], ABORTING)
}

/// Registering in all ways. `we` and `they` are the nodes, TYPE stands for the reservation type.
const REGISTERING: &[&str] = &[
    "we   -G -S a",
    "we   -G -K a -S a",
    "we   -G -S a",
    "we   -G -K c -S a",
    "we   -G -K a -S c",
    "we   -I -S c",
    "we   -I -S a",
    "they -I -S b",
    "we   -G -K a",
    "we   -G -S a",
    "we   -G -K a -S 0",
    "we   -I -S a",
    "we   -I -S 0",
    "we   -I -S 0",
    "we   -G -S a",
    "we   -P -K a -S d -T TYPE",
    "we   -C -K a",
    "they -R -K b -T TYPE",
];

/// Reserving and releasing, rightly and wrongly.
const RESERVING: &[&str] = &[
    "we   -G -S a",
    "they -I -S b",
    "we   -L -K a -T TYPE",
    "we   -R -K a -T TYPE",
    "we   -R -K a -T TYPE",
    "we   -R -K a -T OTHER",
    "they -R -K b -T OTHER",
    "we   -L -K a -T OTHER",
    "we   -G -K a -S c",
    "we   -L -K c -T TYPE",
    "they -R -K b -T TYPE",
    "we   -L -K c -T TYPE",
    "we   -R -K c -T TYPE",
    "they -C -K b",
];

/// Preempting in both directions.
const PREEMPTING: &[&str] = &[
    "we   -G -S a",
    "they -I -S b",
    "they -R -K b -T TYPE",
    "we   -P -K a -S b -T TYPE",
    "they -I -S b",
    "we   -P -K a -S b -T TYPE",
    "they -I -S b",
    "they -P -K b -S a -T TYPE",
    "we   -R -K a -T TYPE",
    "we   -I -S a",
    "we   -P -K a -S b -T TYPE",
    "we   -I -S 0",
    "we   -G -S a",
    "they -I -S b",
    "we   -P -K a -S b -T TYPE",
    "we   -R -K a -T TYPE",
    "we   -C -K a",
];

/// While it holds and while it does not.
const PREEMPTING_OWN_KEY: &[&str] = &[
    "we   -G -S a",
    "they -I -S b",
    "we   -R -K a -T TYPE",
    "we   -P -K a -S a -T OTHER",
    "we   -L -K a -T OTHER",
    "we   -P -K a -S a -T TYPE",
    "they -C -K b",
];

/// Key 0 stands for all registrants that hold.
const PREEMPTING_ALL: &[&str] = &[
    "we   -G -S a",
    "they -I -S b",
    "they -R -K b -T TYPE",
    "we   -P -K a -S 0 -T TYPE",
    "we   -C -K a",
];

/// What tcm_loop cannot do.
const ABORTING: &[&str] = &[
    "we   -G -S a",
    "they -I -S b",
    "they -R -K b -T TYPE",
    "we   -A -K a -S b -T TYPE",
    "they -I -S b",
    "we   -A -K a -S b -T OTHER",
    "we   -A -K a -S a -T TYPE",
    "they -I -S b",
    "they -A -K b -S a -T TYPE",
    "we   -R -K a -T TYPE",
    "they -C -K b",
];

/// One disk, and the other node's nexus to it.
struct Disk {
    lun: Lun,
    other: Nexus,
}

/// Goes through the steps for each TYPE and OTHER.
fn check(lab: &Lab, fabric: Fabric, types: &[(u8, u8)], steps: &[&str]) -> Result {
    let map = Stage::new(lab, fabric, 2)?;
    let mut lun = lab.lun(fabric, 1)?;
    let other = lun.add_nexuses(2, 1)?.remove(0);
    let disk = Disk { lun, other };
    for (held, other) in types {
        for (number, step) in steps.iter().enumerate() {
            let line = step.replace("TYPE", &held.to_string());
            let line = line.replace("OTHER", &other.to_string());
            check_step(&format!("step {number}: {line}"), &line, &map, &disk)?;
        }
    }
    Ok(())
}

fn check_step(what: &str, line: &str, map: &Stage, disk: &Disk) -> Result {
    let (who, words) = line.split_once(' ').unwrap_or_default();
    let args: Vec<&str> = words.split_whitespace().collect();
    let args = [&["-o"], args.as_slice()].concat();
    if who == "they" {
        let one = map.other.witness().run(&args)?;
        let two = disk.other.witness().run(&args)?;
        assert_eq!(
            one.code(),
            two.code(),
            "{what}: {}{}",
            one.stderr,
            two.stderr
        );
    } else {
        let mapped = map.run(&format!("-o {words}"))?;
        let single = disk.lun.paths()[0].witness().run(&args)?;
        check_answer(what, &mapped, &single);
    }
    let (one, two) = (map.state()?, State::read(disk.lun.paths(), &disk.other)?);
    assert_eq!(as_one_disk(what, &one), two, "{what}");
    Ok(())
}

fn check_answer(what: &str, mapped: &Finished, single: &Finished) {
    let said = format!("{}{}{}", mapped.stdout, mapped.stderr, single.stderr);
    let expected = match single.code() {
        // LIO's word for an unregistered nexus while nobody holds a reservation.
        SG_CONFLICT | SG_NOT_READY => CONFLICT,
        other => other,
    };
    assert_eq!(mapped.code(), expected, "{what}\n{said}");
    assert_eq!(
        mapped.stdout.is_empty(),
        mapped.code() == 0,
        "{what}\n{said}"
    );
}

/// The map's paths as one: they must all have the same key.
fn as_one_disk(what: &str, state: &State) -> State {
    let key = state.ours.first().copied().unwrap_or(NONE);
    assert!(
        state.ours.iter().all(|other| *other == key),
        "{what}: the paths differ: {state:x?}"
    );
    State {
        ours: vec![key],
        ..state.clone()
    }
}

/// RESERVATION CONFLICT in the exit status of sg_persist, see sg3_utils(8).
const SG_CONFLICT: i32 = 24;

/// NOT READY.
const SG_NOT_READY: i32 = 2;

/// RESERVATION CONFLICT in that of mpathpersist.
const CONFLICT: i32 = 11;
