//! PREEMPT and PREEMPT AND ABORT: two acts under one name.

use scsi_pr::device_server::Profile;

use crate::script::{BOTH, check, check_all};

const THREE: &str = "a register 0/1: good\n b register 0/2: good\n c register 0/2: good\n";

#[test]
fn preempting_the_holder_takes_the_reservation() {
    for verb in ["preempt", "abort"] {
        check_all(
            BOTH,
            &format!(
                "{THREE} b reserve 2 5: good
                 a {verb} 1>2 5: good
                 = 4 a=1* type 5
                 b tur: 6/2a/05
                 c tur: 6/2a/05
                 a tur: good"
            ),
        );
    }
}

#[test]
fn a_new_type_is_news_to_those_who_stay() {
    check_all(
        BOTH,
        "a register 0/1: good
         b register 0/2: good
         c register 0/3: good
         b reserve 2 5: good
         a preempt 1>2 6: good
         = 4 a=1* c=3 type 6
         b tur: 6/2a/05
         c tur: 6/2a/04
         a tur: good",
    );
}

#[test]
fn the_holder_preempting_itself_keeps_its_registration() {
    check_all(
        BOTH,
        "a register 0/1: good
         b register 0/1: good
         c register 0/3: good
         a reserve 1 5: good
         a preempt 1>1 6: good
         = 4 a=1* c=3 type 6
         b tur: 6/2a/05
         c tur: 6/2a/04",
    );
}

#[test]
fn a_sharer_of_the_holders_key_preempts_and_stays() {
    check_all(
        BOTH,
        &format!(
            "{THREE} b reserve 2 3: good
             c preempt 2>2 3: good
             = 4 a=1 c=2* type 3
             b tur: 6/2a/05
             a tur: good"
        ),
    );
}

#[test]
fn removing_registrations_leaves_the_reservation() {
    check_all(
        BOTH,
        &format!(
            "{THREE} a reserve 1 5: good
             a preempt 1>2 6: good
             = 4 a=1* type 5
             b tur: 6/2a/05
             c tur: 6/2a/05"
        ),
    );
}

#[test]
fn removing_registrations_removes_the_senders_own_too() {
    check_all(
        BOTH,
        &format!(
            "{THREE} c preempt 2>2 1: good
             = 4 a=1
             b tur: 6/2a/05
             c tur: good
             a tur: good"
        ),
    );
    check_all(
        BOTH,
        &format!(
            "{THREE} a reserve 1 5: good
             b preempt 2>2 5: good
             = 4 a=1* type 5
             c tur: 6/2a/05
             b tur: good"
        ),
    );
}

#[test]
fn a_key_that_nobody_has_is_a_conflict() {
    check_all(
        BOTH,
        &format!(
            "{THREE} a preempt 1>9 5: conflict
             a reserve 1 5: good
             a preempt 1>9 5: conflict
             a release 1 5: good
             b tur: 6/2a/04
             b reserve 2 7: good
             a preempt 1>9 5: conflict
             = 3 a=1* b=2* c=2* type 7"
        ),
    );
}

#[test]
fn key_zero_is_invalid_unless_all_registrants_hold() {
    check_all(
        BOTH,
        &format!(
            "{THREE} a preempt 1>0 5: 5/26/00
             a reserve 1 5: good
             a preempt 1>0 5: 5/26/00
             b preempt 2>0 5: 5/26/00
             = 3 a=1* b=2 c=2 type 5"
        ),
    );
}

#[test]
fn key_zero_takes_an_all_registrants_reservation() {
    for to in [5, 7] {
        check_all(
            BOTH,
            &format!(
                "{THREE} a reserve 1 7: good
                 b preempt 2>0 {to}: good
                 = 4 b=2* type {to}
                 a tur: 6/2a/05
                 c tur: 6/2a/05
                 b tur: good"
            ),
        );
    }
}

#[test]
fn another_key_removes_registrations_from_all_registrants() {
    check(
        Profile::strict(),
        &format!("{THREE} a reserve 1 7: good\n a preempt 1>2 5: good\n = 4 a=1* type 7"),
    );
    // The sender's own too.
    check(
        Profile::strict(),
        &format!(
            "{THREE} a reserve 1 7: good
             b preempt 2>2 5: good
             = 4 a=1* type 7
             c tur: 6/2a/05
             b tur: good"
        ),
    );
    // The one that made it is not special.
    check(
        Profile::strict(),
        &format!("{THREE} a reserve 1 7: good\n b preempt 2>1 5: good\n = 4 b=2* c=2* type 7"),
    );
    // With the last registrant the reservation goes.
    check(
        Profile::strict(),
        "a register 0/1: good
         b register 0/1: good
         a reserve 1 8: good
         b preempt 1>1 8: good
         = 3
         a tur: 6/2a/05
         b tur: good",
    );
}
