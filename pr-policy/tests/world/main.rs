//! The policy in a world of nodes, paths and faults: small histories, all of them, and proof
//! that the checker finds mistakes. `cargo xtask check` goes much further.

mod twice;

use std::rc::Rc;

use pr_policy::Mutation;
use pr_policy::world::search::{Bounds, Findings, Kinds, Sight, search};
use pr_policy::world::{Alphabet, Exclusion, Link, Promise, Setting, Wiring, World};
use scsi_pr::device_server::Profile;
use scsi_pr::{ReservationKey, ReservationType};

fn setting() -> Setting {
    Setting::new(Profile::strict(), Wiring::PortPerPath, &[2, 2])
}

fn alphabet(held: u8, keys: [&[u64]; 2]) -> Alphabet {
    Alphabet {
        types: vec![ReservationType(held)],
        keys: keys
            .iter()
            .map(|keys| keys.iter().copied().map(ReservationKey).collect())
            .collect(),
        links: vec![vec![Link::Up, Link::Down], vec![]],
        most_away: vec![1, 0],
        all_tg_pt: false,
        aptpl: false,
        exclusions: Exclusion::ALL.to_vec(),
        moves: false,
    }
}

fn explore(setting: Setting, alphabet: &Alphabet, ops: u32, faults: u32) -> Findings {
    let bounds = Bounds {
        ops,
        faults,
        kinds: Kinds {
            mishaps: true,
            links: true,
            meddling: true,
            crashes: true,
        },
        sight: Sight::Symmetric,
        most_violations: 1,
    };
    search(World::new(Rc::new(setting)), alphabet, bounds)
}

#[test]
fn every_short_history_keeps_every_promise() {
    for held in [1, 3, 5, 6, 7, 8] {
        let alphabet = alphabet(held, [&[0xa, 0xaa], &[0xb]]);
        let found = explore(setting(), &alphabet, 3, 1);
        if let Some(violation) = found.violations.first() {
            panic!("type {held}: {violation}");
        }
        assert!(found.states > 100 && found.depth == 3, "{found:?}");
    }
}

/// Deliberate mistakes, and the promise whose breach gives each away.
#[test]
fn every_mistake_is_found() {
    let rows = [
        (Mutation::SkipReread, Promise::NoLostIo),
        (Mutation::CountKeys, Promise::NoLostIo),
        (Mutation::ForgetDeadHolder, Promise::NoLostIo),
        (Mutation::NoSuspend, Promise::NoLostIo),
        (Mutation::ResumeTooEarly, Promise::NoLostIo),
        (Mutation::LeaveOldKey, Promise::NoLeakedKeys),
        (Mutation::TrustTheFanOut, Promise::NoStolenIo),
        (Mutation::RegisterBeforeCheck, Promise::NoStolenIo),
    ];
    assert_eq!(rows.map(|(mutation, _)| mutation), Mutation::ALL);
    for (mutation, expected) in rows {
        let violation = breach(mutation);
        println!("{mutation:?}: {violation}");
        assert_eq!(violation.promise, expected, "{mutation:?}: {violation}");
    }
}

/// The shortest history in which this mistake shows.
fn breach(mutation: Mutation) -> pr_policy::world::Violation {
    let keys: [&[u64]; 2] = match mutation {
        // Two nodes with one key.
        Mutation::CountKeys => [&[0xa], &[0xa]],
        _ => [&[0xa, 0xaa], &[0xb]],
    };
    // Another node has to step in.
    let faults = u32::from(mutation == Mutation::TrustTheFanOut);
    for ops in 2..=6 {
        let found = explore(setting().with(mutation), &alphabet(5, keys), ops, faults);
        if let Some(violation) = found.violations.into_iter().next() {
            return violation;
        }
    }
    panic!("{mutation:?} is not found");
}
