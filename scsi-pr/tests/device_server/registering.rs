//! REGISTER, REGISTER AND IGNORE EXISTING KEY, and unregistering.

use scsi_pr::device_server::Profile;

use crate::script::{BOTH, check, check_all};

#[test]
fn an_unregistered_nexus_registers_with_key_zero() {
    check_all(
        BOTH,
        "a register 1/1: conflict
         = 0
         a register 0/0: good
         = 0
         a register 0/1: good
         = 1 a=1",
    );
}

#[test]
fn a_registered_nexus_registers_with_its_key() {
    check_all(
        BOTH,
        "a register 0/1: good
         a register 0/2: conflict
         a register 2/2: conflict
         a register 0/0: conflict
         = 1 a=1
         a register 1/2: good
         = 2 a=2",
    );
}

#[test]
fn the_same_key_again_moves_the_generation() {
    check_all(
        BOTH,
        "a register 0/1: good
         a register 1/1: good
         a ignore 0/1: good
         = 3 a=1",
    );
}

#[test]
fn register_and_ignore_ignores_the_key() {
    check_all(
        BOTH,
        "a ignore 77/1: good
         a ignore 77/2: good
         = 2 a=2
         b ignore 0/0: good
         = 2 a=2",
    );
}

#[test]
fn key_zero_unregisters() {
    let both = "a register 0/1: good
         b register 0/1: good
         a register 1/0: good
         b ignore 9/0: good";
    check(Profile::strict(), &format!("{both}\n= 4"));
    check(Profile::lio(), &format!("{both}\n= 2"));
}

/// Scope and type are not looked at.
#[test]
fn register_ignores_the_type() {
    check_all(
        BOTH,
        "a register 0/1 ff: good\n a ignore 0/2 0: good\n = 2 a=2",
    );
}

#[test]
fn a_changed_key_keeps_its_place_and_its_reservation() {
    check_all(
        BOTH,
        "a register 0/1: good
         b register 0/2: good
         a reserve 1 6: good
         a register 1/3: good
         = 3 a=3* b=2 type 6
         c register 0/3: good
         a register 3/1: good
         = 5 a=1* b=2 c=3 type 6",
    );
}

#[test]
fn unregistering_a_registrants_only_holder_releases_and_tells_the_others() {
    for reservation_type in [5, 6] {
        let script = format!(
            "a register 0/1: good
             b register 0/2: good
             a reserve 1 {reservation_type}: good
             a register 1/0: good
             b tur: 6/2a/04
             b tur: good
             a tur: good
             c tur: good"
        );
        let end = check(Profile::strict(), &script);
        assert_eq!(end.reservation(), None);
        assert_eq!(check(Profile::lio(), &script).reservation(), None);
    }
}

#[test]
fn unregistering_an_exclusive_holder_releases_silently() {
    for reservation_type in [1, 3] {
        check_all(
            BOTH,
            &format!(
                "a register 0/1: good
                 b register 0/2: good
                 a reserve 1 {reservation_type}: good
                 a ignore 0/0: good
                 b tur: good
                 b write: good"
            ),
        );
    }
}

#[test]
fn an_all_registrants_reservation_ends_with_the_last_registrant() {
    for reservation_type in [7, 8] {
        let script = format!(
            "a register 0/1: good
             b register 0/2: good
             a reserve 1 {reservation_type}: good
             a register 1/0: good
             b tur: good"
        );
        let mut end = check(Profile::strict(), &script);
        crate::script::play(
            &mut end,
            &format!(
                "= 3 b=2* type {reservation_type}
                 b register 2/0: good
                 = 4
                 c tur: good"
            ),
        );
        let mut end = check(Profile::lio(), &script);
        crate::script::play(
            &mut end,
            &format!("= 2 b=2* type {reservation_type}\n b register 2/0: good\n = 2"),
        );
    }
}

#[test]
fn unregistering_a_non_holder_leaves_the_reservation() {
    check(
        Profile::strict(),
        "a register 0/1: good
         b register 0/2: good
         a reserve 1 5: good
         b register 2/0: good
         a tur: good
         = 3 a=1* type 5",
    );
}
