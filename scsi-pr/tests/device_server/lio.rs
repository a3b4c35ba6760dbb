//! Where Linux' target differs from the standard; beside each row stands what the standard says.

use scsi_pr::device_server::Profile;

use crate::script::check;

/// A script with what Linux answers and what the standard answers: `LINUX | STANDARD`.
fn differ(script: &str) {
    for (profile, column) in [(Profile::lio(), 0), (Profile::strict(), 1)] {
        let line = |line: &str| {
            let mut columns = line.split('|').map(str::trim);
            let whole = columns.next().unwrap().to_owned();
            let Some(other) = columns.next().filter(|_| column == 1) else {
                return whole;
            };
            match whole.rsplit_once(": ") {
                Some((command, _)) => format!("{command}: {other}"),
                None => other.to_owned(),
            }
        };
        let script: Vec<String> = script.lines().map(line).collect();
        check(profile, &script.join("\n"));
    }
}

#[test]
fn an_unregistered_nexus_is_a_communication_failure_unless_a_reservation_stands() {
    differ(
        "a reserve 0 5: 2/08/00 | conflict
         a release 0 5: 2/08/00 | conflict
         a clear 0: 2/08/00 | conflict
         a move 0/1 b: 2/08/00 | conflict
         a preempt 0>1 5: conflict
         b register 0/2: good
         b reserve 2 6: good
         a reserve 0 5: conflict
         a release 0 5: conflict
         a clear 0: conflict
         a move 0/1 b: conflict
         a preempt 0>1 5: conflict",
    );
}

#[test]
fn release_by_a_non_holder_does_not_compare_the_key() {
    differ(
        "a register 0/1: good
         b register 0/2: good
         b release 9 5: good | conflict
         a reserve 1 5: good
         b release 9 5: good | conflict
         a release 9 5: conflict",
    );
}

#[test]
fn a_wrong_release_is_a_conflict() {
    differ(
        "a register 0/1: good
         a reserve 1 5: good
         a release 1 6: conflict | 5/26/04
         a release 1 15: conflict | 5/26/04",
    );
}

#[test]
fn removing_registrations_under_all_registrants_spares_the_sender() {
    differ(
        "a register 0/1: good
         b register 0/2: good
         c register 0/2: good
         a reserve 1 7: good
         b preempt 2>2 5: good
         = 4 a=1* b=2* type 7 | = 4 a=1* type 7",
    );
}

#[test]
fn the_maker_of_an_all_registrants_reservation_can_be_preempted() {
    differ(
        "a register 0/1: good
         b register 0/2: good
         c register 0/3: good
         a reserve 1 7: good
         b preempt 2>1 5: good
         = 4 b=2* c=3 type 5 | = 4 b=2* c=3* type 7",
    );
}

#[test]
fn after_the_maker_the_first_registrant_is_the_holder() {
    differ(
        "a register 0/1: good
         b register 0/2: good
         c register 0/3: good
         a reserve 1 7: good
         a ignore 0/0: good
         c preempt 3>2 5: good
         = 4 c=3* type 5 | = 5 c=3* type 7",
    );
}

#[test]
fn all_tg_pt_sticks() {
    differ(
        "a register 0/1 all: good
         = 1 a=1! | = 1 a=1! a2=1! a3=1!
         a register 1/2: 5/24/00 | good
         a ignore 0/0: 5/24/00 | good
         a ignore 0/3 all: good
         a ignore 0/0 all: good",
    );
}

#[test]
fn a_wrong_scope_is_a_wrong_parameter() {
    differ(
        "a register 0/1: good
         a reserve 1 15: 5/26/00 | 5/24/00
         a reserve 9 15: conflict | 5/24/00
         a preempt 1>1 15: 5/26/00 | 5/24/00",
    );
}

#[test]
fn a_conflict_comes_before_a_wrong_field() {
    differ(
        "a register 0/1: good
         b register 0/2: good
         a reserve 1 3: good
         b reserve 2 f: conflict | 5/24/00
         c preempt 0>1 f: conflict | 5/24/00
         b preempt 2>1 f: 5/24/00",
    );
}

#[test]
fn unregistering_keeps_the_generation() {
    differ("a register 0/1: good\n a register 1/0: good\n = 1 | = 2");
}

#[test]
fn clear_ends_aptpl() {
    for (profile, survives) in [(Profile::lio(), false), (Profile::strict(), true)] {
        let unit = check(profile, "a register 0/1 aptpl: good\n a clear 1: good");
        assert_eq!(unit.is_aptpl_active(), survives);
    }
}

#[test]
fn spec_i_pt_registers_where_the_initiator_is_connected() {
    differ(
        "a register 0/1 +b: good
         = 2 a=1 b=1 | = 1 a=1 b1=1",
    );
}
