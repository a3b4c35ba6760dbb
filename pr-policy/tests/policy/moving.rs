//! REGISTER AND MOVE while the path that holds the reservation is dead.
//!
//! Key 0xa is ours, and so are the ports 1, 2, …, one for each path; the reservation is to go to
//! port 0xbb, which gets the key 0xb. The last path of a map is the dead one.

use insta::assert_snapshot;
use pr_policy::{Before, Doubt, Occasion, PathState, Request};

use crate::narrate::{key, register_and_move};
use crate::states::{DEAD, USABLE, Way, way};
use crate::traces::Traces;
use crate::world::World;

const GOOD: &str = "good";
const ALL_ALIVE: &[&str] = &[GOOD, GOOD, "dead: good"];

/// No living path holds.
const REFUSED: &[&str] = &["conflict good", "conflict good", "dead: good"];

/// Paths 1 and 2 are alive; 3 is dead and holds. The other node has the key 0xb.
const HELD: &[(u64, u64, u8)] = &[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 5), (0xbb, 0xb, 0)];

/// As it is afterwards, if the sender stays.
const MOVED: &[(u64, u64, u8)] = &[(1, 0xa, 0), (0xbb, 0xb, 5)];

/// As it is afterwards, if the sender leaves.
const LEFT: &[(u64, u64, u8)] = &[(0xbb, 0xb, 5)];

fn ours(world: World) -> World {
    world.registrants(&[HELD]).reservations(&[(0xa, 5)])
}

fn then(after: &'static [(u64, u64, u8)], generations: [u32; 2]) -> impl Fn(World) -> World {
    move |world| {
        world
            .registrants(&[HELD, after])
            .generations(&generations)
            .reservations(&[(0xa, 5)])
    }
}

/// No full status; three registrations with our key, and the record says that we hold.
fn remembered(world: World) -> World {
    let mut world = world.keys(&[0xa, 0xa, 0xa, 0xb]).reservations(&[(0xa, 5)]);
    world.snapshot.remembered_holding = true;
    world
}

fn forced(mut world: World) -> World {
    world.options.doubt = Doubt::Override;
    world
}

#[test]
fn whose_is_it() {
    let traces = Traces::of(register_and_move(false))
        .with("ours", REFUSED, ours)
        .with("another node's, with our key", REFUSED, |world| {
            world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0), (99, 0xa, 5)]])
        })
        .with("another node's, with another key", REFUSED, |world| {
            world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0), (99, 0xc, 5)]])
        })
        .with("ours, but another node has our key", REFUSED, moving)
        .with("the same, by force", REFUSED, |world| forced(moving(world)))
        .with("nobody's", REFUSED, |world| {
            world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0)]])
        })
        .with("all registrants'", REFUSED, |world| {
            world.registrants(&[&[(1, 0xa, 7), (2, 0xa, 7), (3, 0xa, 7)]])
        })
        .with("a count and the record", REFUSED, remembered)
        .with("a count, and no record", REFUSED, |world| {
            let mut world = remembered(world);
            world.snapshot.remembered_holding = false;
            world
        })
        .with("to a path of our own", REFUSED, |world| {
            let mut world = ours(world);
            world.snapshot.paths[1].initiator_port = Some(crate::narrate::port(0xbb));
            world
        });
    assert_snapshot!(traces.text);
}

/// Our dead path holds, and another node is registered with our key, as while a guest moves.
fn moving(world: World) -> World {
    world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 5), (99, 0xa, 0)]])
}

#[test]
fn what_may_happen_on_the_way() {
    let after = |first: &'static str| [first, "conflict good", "dead: good"];
    let traces = Traces::of(register_and_move(false))
        .with("the map cannot be suspended", REFUSED, |world| {
            ours(world).map("no good")
        })
        .with(
            "the device does not know the receiver",
            &after("conflict good invalid good"),
            ours,
        )
        .with(
            "shut out before the move",
            &after("conflict good conflict good"),
            ours,
        )
        .with(
            "shut out after the move",
            &after("conflict good good conflict good"),
            ours,
        )
        .with(
            "the answer to the move is lost, it was carried out",
            &after("conflict good lost good"),
            then(MOVED, [7, 9]),
        )
        .with(
            "the answer to the move is lost, it was not",
            &after("conflict good lost good"),
            then(&[(1, 0xa, 5), (0xbb, 0xb, 0)], [7, 8]),
        )
        .with(
            "its answer is lost, and another node took it meanwhile",
            &after("conflict good preempted lost"),
            then(&[(0xbb, 0xb, 5)], [7, 9]),
        )
        .with(
            "the holder does not answer",
            &["conflict good", "lost", "conflict good"],
            |world| {
                let mut world = ours(world);
                world.snapshot.paths[2].state = PathState::Usable;
                world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 5), (3, 0xa, 0)]])
            },
        )
        .with(
            "the holder does not answer, and has moved it",
            &["conflict good", "lost", "conflict good"],
            |world| {
                let mut world = ours(world);
                world.snapshot.paths[2].state = PathState::Usable;
                world.registrants(&[MOVED])
            },
        );
    assert_snapshot!(traces.text);
}

/// With UNREG nothing of this node's key is left anywhere.
#[test]
fn the_sender_leaves() {
    let traces = Traces::of(register_and_move(true))
        .with("the holder is dead", ALL_ALIVE, ours)
        .with("another path is dead", ALL_ALIVE, |world| {
            ours(world).registrants(&[&[(1, 0xa, 0), (2, 0xa, 5), (3, 0xa, 0)]])
        })
        .with("all paths are alive", &[GOOD, GOOD], |world| {
            world.registrants(&[&[(1, 0xa, 5), (2, 0xa, 0)]])
        })
        .with("one path", &[GOOD], |world| {
            world.registrants(&[&[(1, 0xa, 5)]])
        })
        .with(
            "another node has our key: only what is within reach",
            &[GOOD, GOOD, "dead: good"],
            |world| world.registrants(&[&[(1, 0xa, 5), (2, 0xa, 0), (3, 0xa, 0), (99, 0xa, 0)]]),
        )
        .with(
            "the answer to the move is lost, it was carried out",
            &["good lost good", GOOD, "dead: good"],
            then(LEFT, [7, 9]),
        )
        .with("a count and the record", ALL_ALIVE, remembered)
        .with("nobody knows our ports", ALL_ALIVE, |world| {
            let mut world = remembered(world);
            for path in &mut world.snapshot.paths {
                path.initiator_port = None;
            }
            world
        });
    assert_snapshot!(traces.text);
}

/// It was cut off, and must not be repeated.
#[test]
fn after_a_crash() {
    let recovering = |mut world: World| {
        world.snapshot.remembered_holding = true;
        world.options.occasion = Occasion::Recovery;
        world.snapshot.before = Some(Before {
            registrations: 2,
            generation: 6,
            key: None,
        });
        world
    };
    let alive: &[&str] = &[GOOD, GOOD];
    let traces = Traces::of(register_and_move(true))
        .with("it was carried out", alive, move |world| {
            recovering(world).registrants(&[&[(2, 0xa, 0), (0xbb, 0xb, 5)]])
        })
        .with("it was not", alive, move |world| {
            recovering(world).registrants(&[&[(1, 0xa, 5), (2, 0xa, 0), (0xbb, 0xb, 0)]])
        })
        .with(
            "it was, and nothing but the journal says that this node held",
            alive,
            move |world| {
                let mut world =
                    recovering(world).registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (0xbb, 0xb, 5)]]);
                world.snapshot.remembered_holding = false;
                world
            },
        )
        .with(
            "it was not, says the journal: the other node held already",
            alive,
            move |world| {
                let mut world =
                    recovering(world).registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (0xbb, 0xb, 5)]]);
                world.snapshot.before = None;
                world
            },
        )
        .with("as far as the keys tell, it was", alive, move |world| {
            recovering(world)
                .keys(&[0xa, 0xb])
                .reservations(&[(0xb, 5)])
        });
    let text = traces.text;
    let traces =
        Traces::of(same_key()).with("with the same key, nobody can tell", alive, move |world| {
            recovering(world)
                .keys(&[0xa, 0xa])
                .reservations(&[(0xa, 5)])
        });
    assert_snapshot!(text + &traces.text);
}

/// The receiver gets the key that the sender has.
fn same_key() -> Request {
    match register_and_move(true) {
        Request::RegisterAndMove(mut moved) => {
            moved.new_key = key(0xa);
            Request::RegisterAndMove(moved)
        }
        other => other,
    }
}

/// The states of a move, for the table of all.
pub(crate) fn ways() -> Vec<Way> {
    let two: &[PathState] = &[USABLE, USABLE];
    let three: &[PathState] = &[USABLE, USABLE, DEAD];
    let stays = || register_and_move(false);
    let leaves = || register_and_move(true);
    vec![
        way("move, the sender stays", stays(), &[USABLE], &[]),
        way(
            "move, do we hold?",
            stays(),
            three,
            &["conflict", "conflict"],
        ),
        way(
            "move, taken over",
            stays(),
            three,
            &["conflict", "conflict", "ours", "yes", "good"],
        ),
        way("move, what goes before the sender?", leaves(), two, &[]),
        way("move, the sender leaves", leaves(), two, &["nobody"]),
        way(
            "move, the sender leaves, taken over",
            leaves(),
            two,
            &["ours", "yes", "good"],
        ),
    ]
}
