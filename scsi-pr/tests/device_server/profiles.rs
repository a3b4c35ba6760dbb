//! What other arrays do.

use scsi_pr::device_server::{Profile, Quirks};

use crate::script::{check, nexus, play, unit};

#[test]
fn per_initiator_port_a_key_is_seen_through_all_target_ports() {
    let unit = check(
        Profile::per_initiator_port(),
        "a register 0/1: good
         a2 register 0/5: conflict
         a2 register 1/2: good
         a3 ignore 0/3: good
         b register 0/7: good
         = 4 a=3 b=7
         a2 reserve 3 3: good
         a3 reserve 3 3: good
         a1 write: good
         a2 write: good
         b write: conflict
         = 4 a=3* b=7 type 3
         a3 release 3 3: good
         a3 register 3/0: good
         = 5 b=7",
    );
    assert_eq!(unit.registered_key(&nexus("a2")), None);
}

#[test]
fn per_initiator_port_news_come_through_all_target_ports() {
    check(
        Profile::per_initiator_port(),
        "a2 tur: good
         a register 0/1: good
         b register 0/2: good
         b preempt 2>1 5: good
         a tur: 6/2a/05
         a2 tur: 6/2a/05
         b tur: good
         b1 tur: good",
    );
}

#[test]
fn per_initiator_port_all_tg_pt_makes_one_registration() {
    let mut unit = unit(Profile {
        max_registrants: Some(1),
        ..Profile::per_initiator_port()
    });
    play(
        &mut unit,
        "a register 0/1 all: good\n = 1 a=1!\n a3 register 1/2 all: good\n = 2 a=2!",
    );
}

#[test]
fn no_full_status_is_an_invalid_field() {
    for (profile, expected) in [
        (Profile::no_full_status(), "5/24/00"),
        (Profile::strict(), "good"),
    ] {
        let mut unit = unit(profile);
        let answer = unit.execute(&nexus("a"), &[0x5e, 3, 0, 0, 0, 0, 0, 0, 64, 0], &[]);
        assert_eq!(crate::script::shown(&answer), expected);
    }
}

#[test]
fn one_at_a_time_is_busy_while_a_registration_is_in_progress() {
    let mut unit = unit(Profile::one_at_a_time());
    unit.begin_registration();
    assert!(unit.is_registration_in_progress());
    play(
        &mut unit,
        "b register 0/2: busy
         b ignore 0/2: busy
         b tur: good
         = 0",
    );
    unit.complete_registration();
    play(
        &mut unit,
        "a register 0/1: good\n b register 0/2: good\n = 2 a=1 b=2",
    );
}

#[test]
fn others_take_registrations_at_any_time() {
    let mut unit = unit(Profile::strict());
    unit.begin_registration();
    play(&mut unit, "a register 0/1: good\n = 1 a=1");
}

#[test]
fn needs_all_tg_pt_refuses_registrations_without_it() {
    check(
        Profile::needs_all_tg_pt(),
        "a register 0/1: 5/26/00
         a ignore 0/1: 5/26/00
         a ignore 0/1 all: good
         a ignore 0/0: 5/26/00
         = 1 a=1! a2=1! a3=1!
         a ignore 0/0 all: good
         = 2",
    );
}

#[test]
fn no_pr_knows_neither_command() {
    check(
        Profile::no_pr(),
        "a register 0/1: 5/20/00\n a keys: 5/20/00\n a tur: good\n a write: good",
    );
}

#[test]
fn max_registrants_refuses_one_more_and_changes_nothing() {
    check(
        Profile::max_registrants(2),
        "a register 0/1: good
         b register 0/2: good
         c register 0/3: 5/55/04
         c ignore 0/3: 5/55/04
         a register 1/4: good
         = 3 a=4 b=2
         b register 2/0: good
         c register 0/3: good
         = 5 a=4 c=3",
    );
    check(
        Profile::max_registrants(2),
        "a register 0/1 all: 5/55/04\n = 0",
    );
    check(
        Profile::max_registrants(2),
        "a register 0/1: good
         b register 0/2: good
         a reserve 1 5: good
         a move 1/3 c: 5/55/04
         = 2 a=1* b=2 type 5
         a move 1/3 b: good",
    );
}

#[test]
fn quirks_combine() {
    let both = Profile {
        quirks: Quirks::NO_FULL_STATUS | Quirks::NEEDS_ALL_TG_PT,
        ..Profile::strict()
    };
    assert!(both.has(Quirks::NO_FULL_STATUS) && both.has(Quirks::NEEDS_ALL_TG_PT));
    assert!(!both.has(Quirks::NO_PR));
    let rest = both.quirks.without(Quirks::NO_FULL_STATUS);
    assert_eq!(rest, Quirks::NEEDS_ALL_TG_PT);
}
