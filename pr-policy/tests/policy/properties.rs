//! What must hold whatever the paths answer.
//!
//! The world itself checks each run: an outcome by the deadline, nothing sent after it, no two
//! commands at once on a path, a bounded number of them, no ticket twice. Here it is driven
//! through every short story exhaustively, and through long ones at random.

use std::collections::BTreeMap;
use std::time::Duration;

use pr_policy::{FanOut, Holding, Outcome, PathState, Registration, Request, VictimCommands};
use proptest::prelude::*;
use scsi_pr::{InAction, ReservationKey, ReservationType};

use crate::narrate::{
    clear, preempt, read, register, register_and_move, register_ignore, release, reserve,
};
use crate::world::{Run, World};

const ANSWERS: &[&str] = &[
    "good",
    "conflict",
    "busy",
    "transition",
    "standby",
    "reset",
    "preempted",
    "invalid",
    "wrong-type",
    "full",
    "lio-not-registered",
    "broken",
    "not-sent",
    "lost",
    "hang",
    "slow",
    "late",
];
const PROBES: &[&str] = &["usable", "doubtful", "dead", "hang"];
const READS: &[&str] = &[
    "good",
    "slow",
    "late",
    "hang",
    "busy",
    "standby",
    "preempted",
    "invalid",
    "conflict",
    "broken",
    "nonsense",
    "lost",
    "not-sent",
];
const HELD: &[(u64, u8)] = &[
    (0, 0),
    (0xa, 5),
    (0xa, 6),
    (0xa, 1),
    (0xb, 5),
    (0, 7),
    (0, 8),
];

fn requests() -> Vec<Request> {
    vec![
        read(InAction::READ_KEYS),
        read(InAction::READ_RESERVATION),
        register(0, 0xa),
        register(0xa, 0xb),
        register(0xa, 0),
        register_ignore(0xb),
        register_ignore(0),
        reserve(5),
        reserve(7),
        release(5),
        release(7),
        clear(),
        preempt(0xb, VictimCommands::Finish),
        preempt(0xa, VictimCommands::Abort),
        preempt(0, VictimCommands::Finish),
        register_and_move(false),
        register_and_move(true),
    ]
}

/// What must hold at the end of every transaction.
fn judge(request: &Request, run: &Run) {
    let holder = run.last_reservation.flatten();
    let is_ours = holder.is_some_and(|holder| {
        holder.key == ReservationKey(0xa) && !holder.reservation_type.is_all_registrants()
    });
    match (request, &run.outcome) {
        (Request::Release(_), Outcome::Done) => {
            assert!(
                run.last_reservation.is_some(),
                "never looked\n{}",
                run.trace
            );
            assert!(!is_ours, "released, yet held\n{}", run.trace);
            assert_eq!(run.effects.holding, Some(Holding::NotHeld), "{}", run.trace);
        }
        (Request::Release(_), _) => {
            assert_eq!(run.effects.holding, None, "{}", run.trace);
        }
        (Request::Register(register), Outcome::Done) if register.is_unregister() => {
            let expected = Some(Registration::Unregistered);
            assert_eq!(run.effects.registration, expected, "{}", run.trace);
        }
        (Request::Register(register), Outcome::Done) => {
            let registration = run.effects.registration.as_ref();
            let Some(Registration::Registered { key, paths }) = registration else {
                panic!("registered, but not noted\n{}", run.trace);
            };
            assert_eq!(*key, register.new_key, "{}", run.trace);
            assert!(!paths.is_empty(), "{}", run.trace);
        }
        (Request::Read(_), outcome) => {
            assert_ne!(*outcome, Outcome::Done, "{}", run.trace);
            assert_eq!(run.effects.registration, None, "{}", run.trace);
        }
        _ => {}
    }
}

/// Two paths, each with two answers and a finding of every kind that differs: all pairs.
#[test]
fn every_short_story() {
    let mut scripts = Vec::new();
    for first in [
        "good", "conflict", "busy", "reset", "invalid", "broken", "not-sent", "lost",
    ] {
        for then in ["good", "conflict", "hang"] {
            for probe in ["usable", "dead"] {
                scripts.push(format!("{first} {then} | {probe}"));
            }
        }
    }
    scripts.extend([
        "hang | hang".to_owned(),
        "hang good".to_owned(),
        "doubtful: good".to_owned(),
    ]);
    let mut outcomes = BTreeMap::new();
    for request in requests()
        .into_iter()
        .filter(|request| request.in_action().is_none())
    {
        for one in &scripts {
            for other in &scripts {
                let run = World::new(&request, &[one, other])
                    .reservations(&[(0xa, 5), (0, 0)])
                    .run(request.clone());
                judge(&request, &run);
                *outcomes.entry(kind(&run.outcome)).or_insert(0) += 1;
            }
        }
    }
    // A story that ends in none of these would mean that the search does not reach far.
    for outcome in [
        "done",
        "conflict",
        "answered",
        "unreachable",
        "unknown",
        "incomplete",
    ] {
        assert!(
            outcomes.get(outcome).is_some_and(|count| *count > 100),
            "{outcomes:?}"
        );
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Read(_) => "read",
        Outcome::Done => "done",
        Outcome::Conflict => "conflict",
        Outcome::Answered { .. } => "answered",
        Outcome::NoUsablePath => "no usable path",
        Outcome::Unreachable { .. } => "unreachable",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Incomplete { .. } => "incomplete",
        Outcome::HolderUnreachable { .. } => "held",
        Outcome::NotSuspended => "not suspended",
        Outcome::Malformed { .. } => "malformed",
    }
}

fn words(from: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(from), 1..=most).prop_map(|words| words.join(" "))
}

fn script() -> impl Strategy<Value = String> {
    let state = prop::sample::select(&["", "", "", "doubtful:", "dead:"]);
    (state, words(ANSWERS, 5), words(PROBES, 3), words(READS, 3))
        .prop_map(|(state, out, probe, read)| format!("{state}{out} | {probe} | {read}"))
}

fn world() -> impl Strategy<Value = (Request, World)> {
    let deadline = prop::sample::select(&[0, 1, 50, 1_000, 6_000, 18_000, 60_000]);
    let held = prop::collection::vec(prop::sample::select(HELD), 1..4);
    let keys = prop::collection::vec(prop::sample::select(&[0xa, 0xb, 0xc]), 0..4);
    let scripts = prop::collection::vec(script(), 0..5);
    let fan_out = prop::sample::select(&[FanOut::Parallel, FanOut::Sequential]);
    let request = prop::sample::select(requests());
    (request, scripts, held, keys, deadline, fan_out).prop_map(
        |(request, scripts, held, keys, deadline, fan_out)| {
            let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
            let mut world = World::new(&request, &scripts)
                .reservations(&held)
                .keys(&keys);
            let deadline = Duration::from_millis(deadline);
            world.options.limits = world.options.limits.within(deadline);
            world.options.fan_out = fan_out;
            (request, world)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_transaction_ends_in_time_and_in_order((request, world) in world()) {
        let deadline = world.options.limits.deadline;
        let run = world.run(request.clone());
        prop_assert!(run.ended <= deadline, "{}", run.trace);
        judge(&request, &run);
    }

    /// Answers that come twice, or after they were given up, change nothing that is done.
    #[test]
    fn a_ticket_is_good_for_one_answer((request, world) in world()) {
        let mut echoing = world.clone();
        echoing.echoes = true;
        let (run, echoed) = (world.run(request.clone()), echoing.run(request));
        prop_assert_eq!(&run.actions, &echoed.actions, "{}\n{}", run.trace, echoed.trace);
        prop_assert_eq!(run.outcome, echoed.outcome);
        prop_assert_eq!(run.effects.registration, echoed.effects.registration);
        prop_assert_eq!(run.effects.holding, echoed.effects.holding);
    }

    /// Before the first path has accepted, nothing but what was asked for is sent.
    #[test]
    fn a_refused_registration_is_never_forced((_, world) in world()) {
        let request = register(0, 0xa);
        let has_usable = world.snapshot.paths.iter().any(|path| path.state != PathState::Dead);
        let run = world.run(request);
        let is_forced = run.trace.contains("REGISTER AND IGNORE");
        prop_assert!(!is_forced || run.trace.contains("FanningOut"), "{}", run.trace);
        prop_assert!(has_usable || run.actions.is_empty(), "{}", run.trace);
    }
}

/// Types are open values: one that is not named yet is held by its key, as any other.
#[test]
fn a_reservation_type_nobody_knows_is_judged_by_its_key() {
    let request = Request::Release(pr_policy::Release {
        key: ReservationKey(0xa),
        reservation_type: ReservationType(0x9),
    });
    let run = World::new(&request, &["good"])
        .reservations(&[(0xa, 9)])
        .run(request.clone());
    judge(&request, &run);
    assert_eq!(kind(&run.outcome), "held");
}
