//! RESERVE, RELEASE, CLEAR and REGISTER AND MOVE.

use scsi_pr::device_server::Profile;

use crate::script::{BOTH, check, check_all};

const TWO: &str = "a register 0/1: good\n b register 0/2: good\n";

#[test]
fn only_a_registrant_with_its_key_is_served() {
    check(
        Profile::strict(),
        "b register 0/2: good
         a reserve 0 5: conflict
         a reserve 2 5: conflict
         a release 2 5: conflict
         a clear 2: conflict
         a preempt 2>2 5: conflict
         a abort 2>2 5: conflict
         a move 2/2 c: conflict
         b reserve 1 5: conflict
         b release 1 5: conflict
         b clear 1: conflict
         b preempt 1>2 5: conflict
         b move 1/2 c: conflict
         = 1 b=2",
    );
}

#[test]
fn every_type_can_be_reserved() {
    for reservation_type in [1, 3, 5, 6, 7, 8] {
        let other = if reservation_type < 7 { "" } else { "*" };
        check_all(
            BOTH,
            &format!(
                "{TWO} a reserve 1 {reservation_type}: good
                 a tur: good
                 b tur: good
                 = 2 a=1* b=2{other} type {reservation_type}"
            ),
        );
    }
}

#[test]
fn other_types_and_scopes_cannot() {
    for byte in [0x0, 0x2, 0x4, 0x9, 0xa, 0xf] {
        check_all(
            BOTH,
            &format!("{TWO} a reserve 1 {byte:x}: 5/24/00\n = 2 a=1 b=2"),
        );
        check_all(
            BOTH,
            &format!("{TWO} a preempt 1>2 {byte:x}: 5/24/00\n = 2 a=1 b=2"),
        );
    }
    check(Profile::strict(), &format!("{TWO} a reserve 1 15: 5/24/00"));
    check(
        Profile::strict(),
        &format!("{TWO} a preempt 1>2 25: 5/24/00\n = 2 a=1 b=2"),
    );
}

#[test]
fn reserving_again_changes_nothing() {
    check_all(
        BOTH,
        &format!(
            "{TWO} a reserve 1 5: good
             a reserve 1 5: good
             a reserve 1 6: conflict
             b reserve 2 5: conflict
             b reserve 2 6: conflict
             = 2 a=1* b=2 type 5"
        ),
    );
}

#[test]
fn of_all_registrants_everyone_reserves_again() {
    check_all(
        BOTH,
        &format!(
            "{TWO} a reserve 1 7: good
             b reserve 2 7: good
             b reserve 2 8: conflict
             c reserve 0 7: conflict
             = 2 a=1* b=2* type 7"
        ),
    );
}

#[test]
fn releasing_tells_the_other_registrants_of_shared_types_only() {
    for (reservation_type, news) in [
        (1, "good"),
        (3, "good"),
        (5, "6/2a/04"),
        (6, "6/2a/04"),
        (7, "6/2a/04"),
        (8, "6/2a/04"),
    ] {
        check_all(
            BOTH,
            &format!(
                "{TWO} a reserve 1 {reservation_type}: good
                 a release 1 {reservation_type}: good
                 b tur: {news}
                 b tur: good
                 a tur: good
                 c tur: good
                 = 2 a=1 b=2"
            ),
        );
    }
}

#[test]
fn any_holder_releases_for_all_registrants() {
    check_all(
        BOTH,
        &format!("{TWO} a reserve 1 8: good\n b release 2 8: good\n a tur: 6/2a/04\n = 2 a=1 b=2"),
    );
}

#[test]
fn releasing_nothing_or_anothers_is_good_and_changes_nothing() {
    check_all(
        BOTH,
        &format!(
            "{TWO} a release 1 5: good
             a release 1 f: good
             b reserve 2 6: good
             a release 1 6: good
             a release 1 5: good
             = 2 a=1 b=2* type 6"
        ),
    );
}

#[test]
fn releasing_another_type_or_scope_is_refused() {
    check(
        Profile::strict(),
        &format!(
            "{TWO} a reserve 1 5: good
             a release 1 6: 5/26/04
             a release 1 0: 5/26/04
             a release 1 15: 5/26/04
             = 2 a=1* b=2 type 5"
        ),
    );
}

#[test]
fn clear_drops_everything_and_tells_the_others() {
    check_all(
        BOTH,
        &format!(
            "{TWO} a reserve 1 5: good
             b clear 2: good
             = 3
             a tur: 6/2a/03
             a tur: good
             b tur: good
             c tur: good"
        ),
    );
}

#[test]
fn the_holder_moves_registration_and_reservation() {
    check_all(
        BOTH,
        "a register 0/1: good
         a reserve 1 5: good
         a move 1/3 c: good
         = 2 a=1 c=3* type 5
         c move 3/1 b unreg: good
         = 3 a=1 b=1* type 5
         b move 1/7 a: good
         = 4 a=7* b=1 type 5",
    );
}

#[test]
fn moving_needs_a_holder_of_its_own_and_another_port() {
    check_all(
        BOTH,
        &format!(
            "{TWO} a move 1/3 c: 5/24/00
             a reserve 1 5: good
             b move 2/3 c: conflict
             a move 2/3 c: conflict
             a move 1/0 c: 5/26/00
             a move 1/3 a: 5/26/00
             a move 1/3 a2: 5/26/00
             a move 1/3 c9: 5/26/00
             = 2 a=1* b=2 type 5"
        ),
    );
    check_all(
        BOTH,
        &format!("{TWO} a reserve 1 7: good\n a move 1/3 c: conflict"),
    );
}
