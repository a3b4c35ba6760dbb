//! What is learned of an array while it registers, and what becomes of that the next time.

use insta::assert_snapshot;

use crate::narrate::register;
use crate::traces::Traces;
use crate::world::World;

fn as_is(world: World) -> World {
    world
}

fn remembered(mut world: World) -> World {
    world.snapshot.takes_one_at_a_time = true;
    world
}

#[test]
fn one_that_may_take_one_registration_at_a_time() {
    let traces = Traces::of(register(0, 0xa))
        .with("it does", &["good", "busy good", "busy good"], as_is)
        .with(
            "another path answers first",
            &["good", "good", "busy good"],
            as_is,
        )
        .with("that is remembered", &["good", "good", "good"], remembered)
        // With one path to follow there is nothing that it could be busy with but something else.
        .with("two paths", &["good", "busy good"], as_is)
        .with(
            "it is busy with something else",
            &["busy good", "busy good", "busy good"],
            as_is,
        )
        .with(
            "it is busy when it is given one as well",
            &["good", "busy good", "busy busy good"],
            as_is,
        )
        .with(
            "its ports change over",
            &["good", "transition good", "transition good"],
            as_is,
        )
        .with(
            "the second of two takes seconds",
            &["good", "good", "slow good"],
            as_is,
        )
        .with(
            "the others of four take seconds",
            &["good", "good", "slow good", "slow good"],
            as_is,
        )
        .with(
            "it takes two, and one path is slow",
            &["good", "good", "good", "slow good"],
            as_is,
        )
        // A path that is slow is so without another one, too.
        .with("one takes seconds alone", &["slow", "good", "slow"], as_is)
        .with("two paths, and one is slow", &["good", "slow"], as_is);
    assert_snapshot!(traces.text);
}
