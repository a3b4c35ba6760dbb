//! A path dies in the moment in which this node unregisters, or after it was shut out, and nobody
//! is left who could preempt what it has.
//!
//! Key 0xa is ours, and so are the ports 1, 2, …, one for each path.

use insta::assert_snapshot;

use crate::narrate::{register, register_ignore, release};
use crate::states::{USABLE, Way, way};
use crate::traces::Traces;
use crate::world::World;

const BOTH: &[(u64, u64, u8)] = &[(1, 0xa, 0), (2, 0xa, 0)];
const FIRST: &[(u64, u64, u8)] = &[(1, 0xa, 0)];

/// The device spares the sender of PREEMPT, and that dies.
const SPARED: &[&str] = &["good not-sent | dead", "good"];

#[test]
fn unregister() {
    let traces = Traces::of(register(0xa, 0))
        .with("nothing is left", SPARED, |world| {
            world.registrants(&[BOTH, &[]])
        })
        .with("its registration is left", SPARED, |world| {
            world.registrants(&[BOTH, FIRST])
        })
        .with("another node has the key by now", SPARED, |world| {
            world.registrants(&[BOTH, &[(1, 0xa, 0), (99, 0xa, 0)]])
        })
        .with("the map cannot be suspended", SPARED, |world| {
            world.registrants(&[BOTH, FIRST]).map("no good")
        })
        .with(
            "no path can take the key",
            &["good not-sent | dead", "good full"],
            |world| world.registrants(&[BOTH, FIRST]),
        )
        .with(
            "the path that has taken it dies as well",
            &["good not-sent | dead", "good good lost | dead", "good"],
            |world| world.registrants(&[BOTH, FIRST, &[(2, 0xa, 0)]]),
        )
        .with(
            "a count and the record",
            &["good", "lost | dead"],
            |world| world.keys_in_turn(&[&[0xb, 0xa, 0xa], &[0xb, 0xa]]),
        );
    assert_snapshot!(traces.text);
}

/// Another node preempts the new key, and the old one is on a dead path.
#[test]
fn shut_out_while_the_key_changes() {
    let traces = Traces::of(register_ignore(0xb)).with(
        "the old key is left",
        &[
            "good conflict conflict good",
            "good conflict good",
            "dead: good",
        ],
        |world| {
            world.registrants(&[
                &[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0)],
                &[(3, 0xa, 0), (98, 0xc, 5)],
            ])
        },
    );
    assert_snapshot!(traces.text);
}

/// The map is suspended already.
#[test]
fn shut_out_in_a_takeover() {
    let traces = Traces::of(release(5)).with(
        "a path that was registered again dies",
        &[
            "good good good conflict good",
            "good good lost | dead",
            "dead: good",
        ],
        |world: World| {
            world.reservations(&[(0xa, 5)]).registrants(&[
                &[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 5)],
                &[(2, 0xa, 0), (98, 0xc, 5)],
            ])
        },
    );
    assert_snapshot!(traces.text);
}

/// For the table of all states: the second path died.
pub(crate) fn ways() -> Vec<Way> {
    let died = |title, answers| way(title, register(0xa, 0), &[USABLE, USABLE], answers);
    vec![
        died(
            "unregister, what is left?",
            &["empty", "good", "lost", "dead"],
        ),
        died(
            "unregister, something is left, the map",
            &["empty", "good", "lost", "dead", "nobody"],
        ),
        died(
            "unregister, something is left, the key for a moment",
            &["empty", "good", "lost", "dead", "nobody", "yes"],
        ),
        died(
            "unregister, something is left, purging",
            &["empty", "good", "lost", "dead", "nobody", "yes", "good"],
        ),
        died(
            "unregister, something is left, without the key again",
            &[
                "empty", "good", "lost", "dead", "nobody", "yes", "good", "good",
            ],
        ),
    ]
}
