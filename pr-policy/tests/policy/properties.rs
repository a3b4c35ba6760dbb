//! What must hold whatever the paths answer.
//!
//! The world itself checks each run: an outcome by the deadline, nothing sent after it, no two
//! commands at once on a path, a bounded number of them, no ticket twice; a map that is suspended
//! is resumed, once, and last of all. Here it is driven
//! through every short story exhaustively, and through long ones at random.

use std::collections::BTreeMap;
use std::time::Duration;

use pr_policy::{
    Doubt, FanOut, Holding, Outcome, PathState, Registration, Request, VictimCommands,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
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
            // Another node may hold with the same key: then no nexus of ours is out of reach, or
            // full status says so. And what was taken over is released after it was read.
            let says = |sign: &&str| run.trace.contains(*sign);
            let may_be_ours = run.has_dead_paths || ["► dead", "hang", "probe"].iter().any(says);
            let is_settled = ["PREEMPT", "READ FULL STATUS"].iter().any(says);
            assert!(
                !is_ours || !may_be_ours || is_settled,
                "released, yet held\n{}",
                run.trace
            );
            assert_eq!(run.effects.holding, Some(Holding::NotHeld), "{}", run.trace);
        }
        (Request::Release(_), _) => {
            let held = matches!(run.effects.holding, Some(Holding::Held(_)));
            // What was taken over and could not be released is held.
            assert!(!held || run.trace.contains("Taking"), "{}", run.trace);
        }
        (Request::Register(register), Outcome::Done) if register.is_unregister() => {
            let expected = Some(Registration::Unregistered);
            assert_eq!(run.effects.registration, expected, "{}", run.trace);
        }
        (Request::Register(register), Outcome::Done) => {
            let registration = run.effects.registration.as_ref();
            // Another node has shut this one out since, as it would one disk.
            if registration == Some(&Registration::Unregistered) && run.trace.contains("Restoring")
            {
                return;
            }
            let Some(Registration::Registered { key, paths, .. }) = registration else {
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
    let plain = (request, scripts, held, keys, deadline, fan_out).prop_map(
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
    );
    (plain, belongings())
        .prop_map(|((request, world), belongings)| (request, belongings.dress(world)))
}

/// Who has what, as far as the device and the record tell; and what the map does.
#[derive(Debug)]
struct Belongings {
    status: Vec<Vec<(u64, u64, u8)>>,
    generations: Vec<u32>,
    map: String,
    doubt: Doubt,
    is_holding: bool,
}

impl Belongings {
    fn dress(&self, world: World) -> World {
        let status: Vec<&[(u64, u64, u8)]> = self.status.iter().map(Vec::as_slice).collect();
        let mut world = world
            .registrants(&status)
            .generations(&self.generations)
            .map(&self.map);
        world.options.doubt = self.doubt;
        world.snapshot.remembered_holding = self.is_holding;
        world
    }
}

fn belongings() -> impl Strategy<Value = Belongings> {
    let port = prop::sample::select(&[1, 2, 3, 4, 5, 98, 99]);
    let key = prop::sample::select(&[0xa, 0xa, 0xa, 0xb]);
    let registrants = prop::collection::vec((port, key), 0..5);
    let holder = (0_usize..6, prop::sample::select(&[5, 6, 7]));
    let status = prop::collection::vec((registrants, holder).prop_map(status), 0..4);
    let generations = prop::collection::vec(7_u32..9, 1..5);
    let map = words(&["good", "good", "good", "no", "hang", "late"], 2);
    let doubt = prop::sample::select(&[Doubt::Refuse, Doubt::Override]);
    (status, generations, map, doubt, any::<bool>()).prop_map(
        |(status, generations, map, doubt, is_holding)| Belongings {
            status,
            generations,
            map,
            doubt,
            is_holding,
        },
    )
}

/// One of these holds, or all of them, or none if there are not so many.
fn status((found, (holder, holds)): (Vec<(u64, u64)>, (usize, u8))) -> Vec<(u64, u64, u8)> {
    let holds = |at: usize| {
        if holds == 7 || at == holder { holds } else { 0 }
    };
    let found = found.into_iter().enumerate();
    found
        .map(|(at, (port, key))| (port, key, holds(at)))
        .collect()
}

/// Our dead path holds, and the device says so; anything may happen from there.
fn takeover() -> impl Strategy<Value = (Request, World)> {
    let request = prop::sample::select(vec![
        release(5),
        register(0xa, 0),
        preempt(0xa, VictimCommands::Finish),
    ]);
    let scripts = prop::collection::vec(script_after_good(), 1..4);
    (request, scripts, belongings()).prop_map(|(request, scripts, mut belongings)| {
        let dead = u64::try_from(scripts.len()).expect("few") + 1;
        let holds = |port| if port == dead { 5 } else { 0 };
        let held: Vec<_> = (1..=dead).map(|port| (port, 0xa, holds(port))).collect();
        let first = match request {
            Request::Register(_) => 2,
            _ => 1,
        };
        belongings.status.splice(0..0, vec![held; first]);
        let scripts = scripts.iter().map(String::as_str).chain(["dead: good"]);
        let scripts: Vec<&str> = scripts.collect();
        let world = World::new(&request, &scripts).reservations(&[(0xa, 5)]);
        (request, belongings.dress(world))
    })
}

fn script_after_good() -> impl Strategy<Value = String> {
    let likely = prop::sample::select(&["good", "good", "good", "lost", "conflict", "not-sent"]);
    let out = (likely, words(ANSWERS, 5));
    (out, words(PROBES, 3), words(READS, 3)).prop_map(|((likely, out), probe, read)| {
        format!("good {likely} {out} | {probe} | good good good {read}")
    })
}

/// The states that only takeovers have are reached; or the search does not reach far.
#[test]
fn takeovers_reach_every_state() {
    let mut runner = TestRunner::deterministic();
    let mut seen = String::new();
    for _ in 0..1_000 {
        let tree = takeover().new_tree(&mut runner).expect("it generates");
        let (request, world) = tree.current();
        let run = world.run(request.clone());
        judge(&request, &run);
        seen += &run.trace;
    }
    for state in [
        "Suspending",
        "Taking",
        "Recounting",
        "Handing",
        "Renewing",
        "Validating",
        "Retracting",
        "Resuming",
    ] {
        assert!(seen.matches(state).count() > 20, "{state}");
    }
}

/// The same stories at each run: a change fails for what it changes. PROPTEST_RNG_SEED and
/// PROPTEST_CASES find others.
const SEED: RngSeed = RngSeed::Fixed(1);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        rng_seed: SEED,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_transaction_ends_in_time_and_in_order((request, world) in world()) {
        let run = world.run(request.clone());
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

    /// The same for takeovers: the child that carries one out and its parent must agree.
    #[test]
    fn a_takeover_is_the_same_twice((request, world) in takeover()) {
        let mut echoing = world.clone();
        echoing.echoes = true;
        let (run, echoed) = (world.run(request.clone()), echoing.run(request.clone()));
        judge(&request, &run);
        prop_assert_eq!(&run.actions, &echoed.actions, "{}\n{}", run.trace, echoed.trace);
        prop_assert_eq!(run.outcome, echoed.outcome);
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

/// A path that hesitates is not waited for: another one is asked as well. What that one would have
/// said, once the first has answered, nobody hears.
#[test]
fn an_answer_nobody_waits_for_is_not_judged() {
    let request = release(5);
    let slow = "good | usable | slow";
    let run = World::new(&request, &[slow, slow, "dead: good"])
        .reservations(&[(0, 0), (0xa, 5)])
        .run(request.clone());
    assert_eq!(run.actions.matches("READ RESERVATION").count(), 2);
    assert_eq!(run.last_reservation, Some(None), "{}", run.trace);
    judge(&request, &run);
    assert_eq!(kind(&run.outcome), "done");
    // It does say it, while the next question is under way.
    let scripts = ["good hang | usable | hang", "good | usable | slow", "good"];
    let run = World::new(&release(7), &scripts)
        .reservations(&[(0xa, 5), (0xb, 5)])
        .run(release(7));
    assert!(run.trace.contains("2 ► slow"), "{}", run.trace);
    judge(&release(7), &run);
    assert_eq!(kind(&run.outcome), "done");
}

/// The first path had registered, and has no registration any more when it is asked again: as on
/// one disk, the command was executed, and somebody has preempted this node since.
#[test]
fn a_registration_that_was_preempted_at_once_is_done() {
    let request = register(0, 0xa);
    let scripts = [
        "good conflict standby | dead | standby",
        "good not-sent | dead | standby",
    ];
    let run = World::new(&request, &scripts).run(request.clone());
    judge(&request, &run);
    assert_eq!(kind(&run.outcome), "done");
    assert_eq!(run.effects.registration, Some(Registration::Unregistered));
}

/// Types are open values: one that is not named yet is held by its key, as any other.
#[test]
fn a_reservation_type_nobody_knows_is_judged_by_its_key() {
    let request = Request::Release(pr_policy::Release {
        key: ReservationKey(0xa),
        reservation_type: ReservationType(0x9),
    });
    let run = World::new(&request, &["good", "dead: good"])
        .reservations(&[(0xa, 9)])
        .keys(&[0xa, 0xa])
        .run(request.clone());
    judge(&request, &run);
    assert_eq!(kind(&run.outcome), "held");
}
