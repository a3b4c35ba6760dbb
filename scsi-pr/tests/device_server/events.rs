//! Unit attentions, loss of power, resets, lost nexuses; the generation's end; equality.

use std::collections::HashSet;

use scsi_pr::device_server::{Attention, Profile};

use crate::script::{BOTH, check, nexus, play, run, shown, state, unit};

#[test]
fn a_unit_attention_comes_once_and_instead_of_the_command() {
    check(
        Profile::strict(),
        "a register 0/1: good
         b register 0/2: good
         a clear 1: good
         b register 0/2: 6/2a/03
         = 3
         b register 0/2: good
         = 4 b=2",
    );
}

#[test]
fn some_commands_do_not_mind_unit_attentions() {
    for profile in BOTH {
        let mut unit = unit(*profile);
        play(
            &mut unit,
            "a register 0/1: good
             b register 0/2: good
             a clear 1: good
             b inquiry: good
             b report-luns: good",
        );
        let sense = run(&mut unit, "b request-sense").data;
        assert_eq!((sense[2], sense[12], sense[13]), (6, 0x2a, 0x03));
        let sense = run(&mut unit, "b request-sense").data;
        assert_eq!((sense[2], sense[12], sense[13]), (0, 0, 0));
        play(&mut unit, "b tur: good");
    }
}

const TWO_NEWS: &str = "a register 0/1: good
     b register 0/2: good
     a reserve 1 5: good
     a release 1 5: good
     a preempt 1>2 5: good";

#[test]
fn several_unit_attentions_come_one_after_the_other() {
    let mut unit = check(Profile::strict(), TWO_NEWS);
    let pending: Vec<Attention> = unit.attentions(&nexus("b")).iter().collect();
    let expected = [
        Attention::ReservationsReleased,
        Attention::RegistrationsPreempted,
    ];
    assert_eq!(pending, expected);
    unit.lose_nexus(&nexus("b"));
    play(
        &mut unit,
        "b keys: 6/29/07
         b tur: 6/2a/04
         b read: 6/2a/05
         b tur: good",
    );
}

/// `target_core_ua.c`: the first that was established, or one of a reset after it.
#[test]
fn linux_reports_one_and_forgets_the_others() {
    let mut unit = check(Profile::lio(), TWO_NEWS);
    play(&mut unit, "b tur: 6/2a/04\n b tur: good");
    let mut unit = check(Profile::lio(), TWO_NEWS);
    unit.lose_nexus(&nexus("b"));
    unit.reset();
    play(&mut unit, "b tur: 6/29/07\n b tur: good");
}

#[test]
fn power_loss_drops_what_aptpl_does_not_keep() {
    for profile in BOTH {
        let mut unit = check(
            *profile,
            "a register 0/1 aptpl: good
             b register 0/2: good
             a reserve 1 5: good",
        );
        assert!(!unit.is_aptpl_active(), "the last registration said no");
        unit.power_cycle();
        assert_eq!(state(&unit), "0");
        play(
            &mut unit,
            "a tur: 6/29/01\n c write: 6/29/01\n c write: good",
        );
    }
}

#[test]
fn aptpl_keeps_registrations_and_reservation() {
    for profile in BOTH {
        let mut unit = check(
            *profile,
            "a register 0/1: good
             b register 0/2 aptpl: good
             a reserve 1 5: good",
        );
        assert!(unit.is_aptpl_active());
        unit.power_cycle();
        assert_eq!(state(&unit), "0 a=1* b=2 type 5");
        play(
            &mut unit,
            "c write: 6/29/01\n c write: conflict\n b write: 6/29/01\n b write: good",
        );
        unit.power_cycle();
        assert_eq!(state(&unit), "0 a=1* b=2 type 5", "and again");
    }
}

#[test]
fn unsuccessful_registrations_do_not_change_aptpl() {
    let unit = check(
        Profile::strict(),
        "a register 0/1 aptpl: good
         b register 9/2: conflict
         b register 0/0: good",
    );
    assert!(unit.is_aptpl_active());
}

#[test]
fn a_reset_keeps_everything() {
    for profile in BOTH {
        let mut unit = check(
            *profile,
            "a register 0/1: good\n b register 0/2: good\n a reserve 1 5: good",
        );
        unit.reset();
        assert_eq!(state(&unit), "2 a=1* b=2 type 5");
        play(
            &mut unit,
            "a tur: 6/29/03\n b tur: 6/29/03\n c tur: 6/29/03\n c tur: good",
        );
    }
}

#[test]
fn a_lost_nexus_keeps_its_registration() {
    for profile in BOTH {
        let mut unit = check(*profile, "a register 0/1: good\n a reserve 1 3: good");
        unit.lose_nexus(&nexus("a"));
        assert_eq!(state(&unit), "1 a=1* type 3");
        play(&mut unit, "b tur: good\n a write: 6/29/07\n a write: good");
    }
}

#[test]
fn equal_histories_are_equal_states() {
    let mut states = HashSet::new();
    let mut unit = unit(Profile::strict());
    states.insert(unit.clone());
    play(&mut unit, "a register 0/1: good\n a reserve 1 5: good");
    assert!(states.insert(unit.clone()));
    play(
        &mut unit,
        "b write: conflict\n a tur: good\n b keys: good\n a reserve 1 5: good",
    );
    assert!(!states.insert(unit.clone()), "nothing has changed");
    let mut other = unit.clone();
    play(&mut other, "a release 1 5: good\n a reserve 1 5: good");
    assert_eq!(other, unit);
    unit.lose_nexus(&nexus("c"));
    assert!(states.insert(unit.clone()));
    assert_ne!(unit.cmp(&other), std::cmp::Ordering::Equal);
    assert_eq!(shown(&run(&mut unit, "c tur")), "6/29/07");
    assert_eq!(other, unit, "c has been told");
}

/// Who made an all-registrants reservation makes no difference in the standard.
#[test]
fn an_all_registrants_reservation_has_no_maker() {
    let registered = "a register 0/1: good\n b register 0/2: good\n";
    for (profile, is_equal) in [(Profile::strict(), true), (Profile::lio(), false)] {
        let one = check(profile, &format!("{registered} a reserve 1 7: good"));
        let other = check(profile, &format!("{registered} b reserve 2 7: good"));
        assert_eq!(one == other, is_equal);
    }
}
