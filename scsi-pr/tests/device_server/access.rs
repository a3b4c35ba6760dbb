//! Who may read and write while a reservation of each type stands.

use scsi_pr::device_server::LogicalUnit;

use crate::script::{BOTH, nexus, play, run, shown, unit};

/// What holder, registrant and stranger get for READ and WRITE.
fn check(reservation_type: u8, holder: &str, registrant: &str, stranger: &str) {
    for profile in BOTH {
        let mut unit = unit(*profile);
        play(
            &mut unit,
            &format!(
                "a register 0/1: good
                 b register 0/2: good
                 a reserve 1 {reservation_type}: good"
            ),
        );
        for (name, expected) in [("a", holder), ("b", registrant), ("c", stranger)] {
            let context = format!("type {reservation_type}, {name}");
            assert_eq!(access(&mut unit, name), expected, "{context}");
            for always in ["tur", "keys", "inquiry", "report-luns", "request-sense"] {
                let answer = run(&mut unit, &format!("{name} {always}"));
                assert_eq!(shown(&answer), "good", "{context}, {always}");
            }
        }
    }
}

/// "rw", "r-" or "--", as commands of both sizes and the getters agree.
fn access(unit: &mut LogicalUnit, name: &str) -> String {
    let may = [unit.may_read(&nexus(name)), unit.may_write(&nexus(name))];
    for (verb, may) in ["read", "write"].into_iter().zip(may) {
        let expected = if may { "good" } else { "conflict" };
        for size in ["", "16"] {
            let answer = run(unit, &format!("{name} {verb}{size}"));
            assert_eq!(shown(&answer), expected, "{name} {verb}{size}");
        }
    }
    let letters = ["r", "w"].into_iter().zip(may);
    letters
        .map(|(letter, may)| if may { letter } else { "-" })
        .collect()
}

#[test]
fn write_exclusive() {
    check(1, "rw", "r-", "r-");
}

#[test]
fn exclusive_access() {
    check(3, "rw", "--", "--");
}

#[test]
fn write_exclusive_registrants() {
    check(5, "rw", "rw", "r-");
    check(7, "rw", "rw", "r-");
}

#[test]
fn exclusive_access_registrants() {
    check(6, "rw", "rw", "--");
    check(8, "rw", "rw", "--");
}

#[test]
fn without_a_reservation_everyone_may() {
    for profile in BOTH {
        let mut unit = unit(*profile);
        play(&mut unit, "a register 0/1: good");
        assert_eq!(access(&mut unit, "a"), "rw");
        assert_eq!(access(&mut unit, "c"), "rw");
        assert!(unit.may_write(&nexus("c7")), "one that is not known either");
    }
}
