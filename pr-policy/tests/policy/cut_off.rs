//! A command that may have preempted this node's own key was cut off: what is left of it.
//!
//! Three nexuses are remembered, of which one is gone from the map.

use insta::assert_snapshot;
use pr_policy::{Occasion, Request, VictimCommands};

use crate::narrate::{preempt, register, register_with, release};
use crate::traces::Traces;
use crate::world::World;

fn recovering(mut world: World) -> World {
    world.options.occasion = Occasion::Recovery;
    world.snapshot.remembered_nexuses = 3;
    world.snapshot.remembered_holding = true;
    world
}

const ALIVE: &[&str] = &["good", "good"];

#[test]
fn what_is_remembered_is_held_against_what_there_is() {
    let traces = Traces::of(release(5))
        .with("PREEMPT had been executed", ALIVE, |world| {
            let world = recovering(world).keys(&[0xa]);
            world.reservations(&[(0xa, 5), (0, 0)])
        })
        .with("it had not", ALIVE, |world| {
            let world = recovering(world).keys(&[0xa, 0xa, 0xa]);
            world.reservations(&[(0xa, 5), (0, 0)])
        })
        .with("the ports are named", ALIVE, |world| {
            let world = recovering(world).registrants(&[&[(1, 0xa, 5)]]);
            world.reservations(&[(0, 0)])
        });
    let text = traces.text;
    let traces = Traces::of(preempt(0xa, VictimCommands::Finish)).with(
        "a preemption is not repeated",
        ALIVE,
        |world| {
            let world = recovering(world).keys(&[0xa, 0xa]);
            world.reservations(&[(0xa, 5)])
        },
    );
    assert_snapshot!(text + &traces.text);
}

/// The paths that had the new key by then decide; one that has refused that still has the old one.
#[test]
fn a_change_of_key_is_completed() {
    let traces = Traces::of(register(0xb, 0xb)).with(
        "the first path had not got that far",
        &["conflict good", "good"],
        |world| {
            recovering(world)
                .registrants(&[&[(1, 0xa, 0), (2, 0xb, 0)], &[(1, 0xb, 0), (2, 0xb, 0)]])
        },
    );
    let text = traces.text;
    let mut for_all = register_with(0xb, 0xb);
    for_all.all_tg_pt = true;
    let traces = Traces::of(Request::Register(for_all)).with(
        "somebody takes the old key meanwhile, of all target ports",
        &["good", "conflict"],
        |world| recovering(world).registrants(&[&[(1, 0xb, 0), (2, 0xa, 0)], &[(1, 0xb, 0)]]),
    );
    assert_snapshot!(text + &traces.text);
}
