//! What happens when the path that holds the reservation is dead, or one that is registered.
//!
//! Key 0xa is ours, and so are the ports 1, 2, …, one for each path; the ports from 90 on are
//! other nodes'. The last path of a map is the dead one unless a trace says otherwise.

use std::time::Duration;

use insta::assert_snapshot;
use pr_policy::{Doubt, FanOut, Holding, Outcome, Registration, VictimCommands};

use crate::narrate::{preempt, register, register_ignore, release, reserve};
use crate::traces::Traces;
use crate::world::World;

const GOOD: &str = "good";
const DEAD: &str = "dead: good";

/// Paths 1 and 2 are alive; 3 is dead and holds.
const HELD: &[(u64, u64, u8)] = &[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 5)];
const NOT_HELD: &[(u64, u64, u8)] = &[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0)];
const ALL_ALIVE: &[&str] = &[GOOD, GOOD, DEAD];

/// Full status says that our dead path holds.
fn ours(world: World) -> World {
    world.registrants(&[HELD]).reservations(&[(0xa, 5)])
}

/// It says that another node holds with our key.
fn twin(world: World) -> World {
    world
        .registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0), (99, 0xa, 5)]])
        .reservations(&[(0xa, 5)])
}

/// Our dead path holds, and another node is registered with our key, as while a guest moves.
fn moving(world: World) -> World {
    world
        .registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 5), (99, 0xa, 0)]])
        .reservations(&[(0xa, 5)])
}

/// The dead path's adapter is gone, and nobody knows which port it had.
fn unclear(world: World) -> World {
    let mut world = ours(world);
    world.snapshot.paths[2].initiator_port = None;
    world
}

/// No full status, but as many registrations as this node made.
fn counted(world: World) -> World {
    world.keys(&[0xa, 0xa, 0xa]).reservations(&[(0xa, 5)])
}

/// And the record says that we hold.
fn remembered(world: World) -> World {
    let mut world = counted(world);
    world.snapshot.remembered_holding = true;
    world
}

fn forced(mut world: World) -> World {
    world.options.doubt = Doubt::Override;
    world
}

fn within(seconds: u64) -> impl Fn(World) -> World {
    move |mut world: World| {
        let deadline = Duration::from_secs(seconds);
        world.options.limits = world.options.limits.within(deadline);
        world
    }
}

#[test]
fn release_whose_is_it() {
    let traces = Traces::of(release(5))
        .with("ours", ALL_ALIVE, ours)
        .with("another node's, with our key", ALL_ALIVE, twin)
        .with("ours, but another node has our key", ALL_ALIVE, moving)
        .with("the same, by force", ALL_ALIVE, |world| {
            forced(moving(world))
        })
        .with("nobody knows the dead path's port", ALL_ALIVE, unclear)
        .with("nobody knows, but the record does", ALL_ALIVE, |world| {
            let mut world = unclear(world);
            world.snapshot.remembered_holding = true;
            world
        })
        .with("a count, and no record", ALL_ALIVE, counted)
        .with("the same, by force", ALL_ALIVE, |world| {
            forced(counted(world))
        })
        .with("a count and the record", ALL_ALIVE, remembered)
        .with("one more than we ever registered", ALL_ALIVE, |world| {
            remembered(world).keys(&[0xa, 0xa, 0xa, 0xa])
        })
        .with(
            "a unit attention says that we were preempted",
            &["preempted good", GOOD, DEAD],
            remembered,
        )
        .with("a path that is gone from the map", &[GOOD, GOOD], |world| {
            let mut world = remembered(world);
            world.snapshot.remembered_nexuses = 3;
            world
        })
        .with(
            "no record, and nothing out of reach",
            &[GOOD, GOOD],
            |world| {
                let mut world = counted(world);
                world.snapshot.remembered_key = None;
                world.snapshot.remembered_nexuses = 0;
                world
            },
        )
        .with(
            "full status is nonsense",
            &["good | usable | good nonsense good", GOOD, DEAD],
            |world| remembered(ours(world)),
        )
        .with(
            "registrations change while they are counted",
            ALL_ALIVE,
            |world| remembered(world).generations(&[7, 7, 8, 8]),
        )
        .with("they never stop changing", ALL_ALIVE, |world| {
            let generations: Vec<u32> = (0..30).collect();
            remembered(world).generations(&generations)
        });
    assert_snapshot!(traces.text);
}

#[test]
fn release_taking_over() {
    let traces = Traces::of(release(5))
        .with(
            "one path is left: nothing to suspend",
            &[GOOD, DEAD],
            |world| {
                world
                    .registrants(&[&[(1, 0xa, 0), (2, 0xa, 5)]])
                    .reservations(&[(0xa, 5)])
            },
        )
        .with("the map cannot be suspended", ALL_ALIVE, |world| {
            ours(world).map("no good")
        })
        .with("suspending hangs", ALL_ALIVE, |world| {
            ours(world).map("hang good")
        })
        .with("it is suspended after all", ALL_ALIVE, |world| {
            ours(world).map("late good")
        })
        .with("resuming hangs", ALL_ALIVE, |world| {
            ours(world).map("good hang")
        })
        .with(
            "somebody was faster",
            &["good conflict", "good conflict", DEAD],
            ours,
        )
        .with("refused", &["good invalid", GOOD, DEAD], ours)
        .with(
            "the first path dies",
            &["good not-sent | dead", GOOD, DEAD],
            ours,
        )
        .with(
            "the first path is silent, and alive: it is registered again",
            &["good lost good", GOOD, DEAD],
            ours,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn release_after_taking_over() {
    let traces = Traces::of(release(5))
        .with(
            "the release is refused",
            &["good good wrong-type good", GOOD, DEAD],
            ours,
        )
        .with(
            "the release is refused, and we were shut out",
            &["good good wrong-type conflict good", GOOD, DEAD],
            ours,
        )
        .with(
            "shut out before the release",
            &["good good conflict good", GOOD, DEAD],
            ours,
        )
        .with(
            "shut out before the look",
            &["good good good conflict good", GOOD, DEAD],
            ours,
        )
        .with(
            "the new holder dies before the look",
            &["good good good not-sent | dead", GOOD, DEAD],
            ours,
        )
        .with(
            "one at a time, asked for",
            &[GOOD, GOOD, GOOD, DEAD],
            |world| {
                let mut world = world.registrants(&[&[(1, 0xa, 0), (4, 0xa, 5)]]);
                world.options.fan_out = FanOut::Sequential;
                world.reservations(&[(0xa, 5)])
            },
        )
        .with(
            "a path does not come back",
            &[GOOD, "good lost", DEAD],
            ours,
        )
        .with(
            "a path dies meanwhile",
            &[GOOD, "good not-sent | dead", DEAD],
            ours,
        );
    assert_snapshot!(traces.text);
}

/// PREEMPT was executed, but nobody heard of it: path 1 alone is registered, and holds.
fn executed(world: World) -> World {
    world
        .registrants(&[HELD, &[(1, 0xa, 5)]])
        .generations(&[7, 7, 8])
        .reservations(&[(0xa, 5)])
}

fn executed_counted(world: World) -> World {
    remembered(world)
        .keys_in_turn(&[&[0xa, 0xa, 0xa], &[0xa]])
        .generations(&[7, 7, 7, 8])
}

#[test]
fn release_without_an_answer_to_preempt() {
    let lost: &[&str] = &["good lost good", "good conflict good", DEAD];
    let dead: &[&str] = &["good hang | dead", "good conflict good", DEAD];
    let traces = Traces::of(release(5))
        .with("executed", lost, executed)
        .with("executed, and the path is dead now", dead, executed)
        .with("executed, as far as counting goes", lost, executed_counted)
        .with("somebody else has acted too", lost, |world| {
            executed_counted(world).generations(&[7, 7, 7, 9])
        })
        .with("somebody with our key was faster", lost, |world| {
            executed(world).registrants(&[HELD, &[(99, 0xa, 5)]])
        })
        .with("somebody took everything", lost, |world| {
            executed(world).registrants(&[HELD, &[(98, 0xb, 5)]])
        })
        .with(
            "not executed, the only one that could",
            &["good lost good", DEAD],
            |world| {
                world
                    .registrants(&[&[(1, 0xa, 0), (2, 0xa, 5)]])
                    .reservations(&[(0xa, 5)])
            },
        )
        .with(
            "every path that takes it is silent",
            &["good lost", "good lost", DEAD],
            ours,
        )
        .with(
            "nobody can be asked",
            &[
                "good lost | usable | good good lost",
                "good conflict good | usable | lost",
                DEAD,
            ],
            executed,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn release_without_an_answer_to_release() {
    let lost: &[&str] = &["good good lost good", GOOD, DEAD];
    let dead: &[&str] = &["good good hang | dead", GOOD, DEAD];
    let not_held = |world: World| {
        world
            .registrants(&[HELD, &[(1, 0xa, 0)]])
            .generations(&[7, 7, 8])
            .reservations(&[(0xa, 5)])
    };
    let traces = Traces::of(release(5))
        .with("executed", lost, not_held)
        .with("executed, and the path is dead now", dead, not_held)
        .with("not executed: the new holder died", dead, executed)
        .with(
            "not executed: it is busy for long",
            &["good good busy", GOOD, DEAD],
            executed,
        )
        .with(
            "a hardware error, and not executed",
            &["good good broken good", GOOD, DEAD],
            executed,
        )
        .with(
            "every new holder dies",
            &[
                "good good not-sent | dead",
                "good good not-sent | dead",
                "good good not-sent | dead",
                "good good not-sent | dead",
                DEAD,
            ],
            |world| {
                world
                    .registrants(&[&[
                        (1, 0xa, 0),
                        (2, 0xa, 0),
                        (3, 0xa, 0),
                        (4, 0xa, 0),
                        (5, 0xa, 5),
                    ]])
                    .reservations(&[(0xa, 5)])
            },
        );
    assert_snapshot!(traces.text);
}

/// Whatever the time, a map that was suspended is resumed.
#[test]
fn the_deadline_in_the_middle() {
    let hang = "hang | hang | good hang";
    let traces = Traces::of(release(5))
        .with(
            "no time to suspend",
            &["good | usable | slow", "slow good", DEAD],
            |world| within(6)(ours(world)),
        )
        .with("suspending takes it all", ALL_ALIVE, |world| {
            within(6)(ours(world).map("hang hang"))
        })
        .with(
            "preempting takes it all",
            &["good hang | hang", "good hang | hang", DEAD],
            |world| within(6)(ours(world)),
        )
        .with(
            "releasing takes it all",
            &["good good busy", "good good busy", DEAD],
            |world| within(6)(executed(world)),
        )
        .with(
            "renewing takes it all",
            &[GOOD, "good hang | hang", DEAD],
            |world| within(6)(ours(world)),
        )
        .with(
            "the look takes it all",
            &["good good good hang", GOOD, DEAD],
            |world| within(6)(ours(world)),
        )
        .with(
            "the count takes it all",
            &[
                "good hang | hang | good good hang",
                "good conflict | usable | hang",
                DEAD,
            ],
            |world| within(12)(executed(world)),
        )
        .with(
            "everything hangs from there on",
            &["good hang", hang, DEAD],
            |world| ours(world).map("good hang"),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn unregister_() {
    let traces = Traces::of(register(0xa, 0))
        .with("a dead path holds", ALL_ALIVE, ours)
        .with(
            "a dead path holds, one path is left",
            &[GOOD, DEAD],
            |world| {
                world
                    .registrants(&[&[(1, 0xa, 0), (2, 0xa, 5)]])
                    .reservations(&[(0xa, 5)])
            },
        )
        .with(
            "a dead path holds, as far as counting goes",
            ALL_ALIVE,
            remembered,
        )
        .with("nobody knows whose it is", ALL_ALIVE, counted)
        .with("nobody knows, by force", ALL_ALIVE, |world| {
            forced(counted(world))
        })
        .with("another node holds with our key", ALL_ALIVE, twin)
        .with("a dead path is registered", ALL_ALIVE, |world| {
            world.registrants(&[NOT_HELD])
        })
        .with(
            "a dead path is registered, by the record",
            ALL_ALIVE,
            |world| world.keys(&[0xa, 0xa, 0xa]),
        )
        .with("and a usable one is not", ALL_ALIVE, |world| {
            world.registrants(&[&[(1, 0xa, 0), (3, 0xa, 0)]])
        })
        .with(
            "an adapter that is gone is registered",
            &[GOOD, GOOD],
            |world| {
                let mut world = world.registrants(&[NOT_HELD]);
                world.snapshot.own_ports = vec![crate::narrate::port(3)];
                world
            },
        )
        .with("so is another node, with our key", ALL_ALIVE, |world| {
            world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 0), (99, 0xa, 0)]])
        })
        .with("all registrants hold", ALL_ALIVE, |world| {
            world
                .registrants(&[&[(1, 0xa, 7), (2, 0xa, 7), (3, 0xa, 7)]])
                .reservations(&[(0, 7)])
        });
    assert_snapshot!(traces.text);
}

#[test]
fn unregister_with_obstacles() {
    let traces = Traces::of(register(0xa, 0))
        .with(
            "purging is refused",
            &["invalid good", GOOD, DEAD],
            |world| world.registrants(&[NOT_HELD]),
        )
        .with(
            "purging is not answered",
            &["lost good", "conflict good", DEAD],
            |world| world.registrants(&[NOT_HELD]),
        )
        .with(
            "we are not registered any more",
            &["conflict", "conflict", DEAD],
            |world| world.registrants(&[NOT_HELD]),
        )
        .with(
            "the new holder dies before it releases",
            &["good good hang | dead", GOOD, DEAD],
            executed,
        )
        .with(
            "the release is refused: all are registered again",
            &["good good wrong-type good", GOOD, DEAD],
            ours,
        )
        .with(
            "preempting is not answered, and was executed",
            &["good lost good", "good conflict good", DEAD],
            executed,
        )
        .with(
            "somebody took everything meanwhile",
            &["good lost good", "good conflict good", DEAD],
            |world| executed(world).registrants(&[HELD, HELD, &[(98, 0xb, 5)]]),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn unregister_and_ignore() {
    let forgotten = |mut world: World| {
        world.snapshot.remembered_key = None;
        world.snapshot.remembered_nexuses = 0;
        world
    };
    let traces = Traces::of(register_ignore(0))
        .with("a dead path holds, no key is known", ALL_ALIVE, |world| {
            forgotten(ours(world))
        })
        .with("nobody knows whose it is", ALL_ALIVE, |world| {
            forgotten(counted(world))
        })
        .with(
            "only a path is left that the map does not use",
            &["doubtful: conflict good | usable", DEAD, DEAD],
            |world| world.registrants(&[&[(2, 0xa, 0), (3, 0xa, 0)]]),
        )
        .with(
            "nobody knows, by force: it is none of ours",
            ALL_ALIVE,
            |world| forced(forgotten(counted(world))),
        );
    assert_snapshot!(traces.text);
}

/// The living paths have the new key 0xb; what is left of the old one?
#[test]
fn change_the_key() {
    let left = |held| {
        move |world: World| world.registrants(&[&[(1, 0xb, 0), (2, 0xb, 0), (3, 0xa, held)]])
    };
    let traces = Traces::of(register(0xa, 0xb))
        .with("nothing", &[GOOD, GOOD], |world| {
            world.registrants(&[&[(1, 0xb, 0), (2, 0xb, 0)]])
        })
        .with("a dead path's registration", ALL_ALIVE, left(0))
        .with("a dead path's reservation", ALL_ALIVE, left(6))
        .with(
            "a path that dies meanwhile",
            &[GOOD, "not-sent | dead"],
            |world| world.keys(&[0xb, 0xa]),
        )
        .with("another node's, with the same key", ALL_ALIVE, |world| {
            world.registrants(&[&[(1, 0xb, 0), (2, 0xb, 0), (99, 0xa, 5)]])
        })
        .with("ours and another node's", ALL_ALIVE, |world| {
            world.registrants(&[&[(1, 0xb, 0), (2, 0xb, 0), (3, 0xa, 5), (99, 0xa, 0)]])
        })
        .with("more than we can have made", ALL_ALIVE, |world| {
            world.keys(&[0xb, 0xb, 0xa, 0xa])
        })
        .with("the same, and it holds", ALL_ALIVE, |world| {
            world.keys(&[0xb, 0xb, 0xa, 0xa]).reservations(&[(0xa, 5)])
        })
        .with("the same, by force", ALL_ALIVE, |world| {
            forced(world.keys(&[0xb, 0xb, 0xa, 0xa]).reservations(&[(0xa, 5)]))
        })
        .with(
            "purging is not answered, but was executed",
            &["good lost", "good conflict", DEAD],
            |world| {
                world.registrants(&[
                    &[(1, 0xb, 0), (2, 0xb, 0), (3, 0xa, 5)],
                    &[(1, 0xb, 5), (2, 0xb, 0)],
                ])
            },
        )
        .with(
            "purging is never answered",
            &["good lost", "good lost", DEAD],
            left(5),
        )
        .with("purging is refused", &["good invalid", GOOD, DEAD], left(5))
        .with(
            "somebody was faster",
            &["good conflict", "good conflict", DEAD],
            left(0),
        )
        .with(
            "nobody can be asked",
            &["good | usable | lost", "good | usable | lost", DEAD],
            left(0),
        )
        .with(
            "nobody can be asked, and nothing is out of reach",
            &["good | usable | lost", "good | usable | lost"],
            left(0),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn reserve_again() {
    let all: &[&str] = &["conflict good", "conflict good", DEAD];
    let traces = Traces::of(reserve(5))
        .with("our dead path holds", all, ours)
        .with("another node holds with our key", all, twin)
        .with("another type", all, |world| {
            world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0), (3, 0xa, 6)]])
        })
        .with("by the record, and a path is registered", all, remembered)
        .with(
            "by the record, and no path is",
            &["conflict", "conflict", DEAD],
            remembered,
        )
        .with("nobody knows", all, counted)
        .with("nobody knows; force changes nothing", all, |world| {
            forced(counted(world))
        })
        .with(
            "nobody can be asked",
            &[
                "conflict | usable | lost",
                "conflict | usable | broken",
                DEAD,
            ],
            ours,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_our_own_key() {
    let alone = |world: World| {
        executed(world)
            .generations(&[7, 8])
            .registrants(&[&[(1, 0xa, 5)]])
    };
    let traces = Traces::of(preempt(0xa, VictimCommands::Finish))
        .with("our dead path holds", ALL_ALIVE, ours)
        .with(
            "another node holds with our key: it moves to us",
            ALL_ALIVE,
            twin,
        )
        .with("the map cannot be suspended", ALL_ALIVE, |world| {
            ours(world).map("no good")
        })
        .with(
            "not answered, but executed",
            &["lost good", "conflict good", DEAD],
            alone,
        )
        .with(
            "not answered, but executed; a count",
            &["lost good", "conflict good", DEAD],
            |world| {
                world
                    .reservations(&[(0xa, 5)])
                    .keys(&[0xa])
                    .generations(&[7, 8])
            },
        )
        .with(
            "not answered, and not registered: a count",
            &["lost", "conflict", DEAD],
            |world| world.reservations(&[(0xa, 5)]).keys(&[0xa, 0xa]),
        )
        .with(
            "not answered, and not registered",
            &["lost", "conflict", DEAD],
            |world| {
                world
                    .reservations(&[(0xa, 5)])
                    .registrants(&[&[(99, 0xa, 5)]])
            },
        )
        .with(
            "shut out before the look",
            &["good conflict good", GOOD, DEAD],
            ours,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_all_registrants() {
    let shared: &[(u64, u64, u8)] = &[(1, 0xa, 7), (2, 0xa, 7), (98, 0xb, 7)];
    let world = move |world: World| world.reservations(&[(0, 7)]).registrants(&[shared]);
    let lost: &[&str] = &["lost good", "conflict good"];
    let traces = Traces::of(preempt(0, VictimCommands::Finish))
        .with("all registrants hold", &[GOOD, GOOD], world)
        .with("not answered, but executed", lost, |it| {
            world(it)
                .registrants(&[&[(1, 0xa, 5)]])
                .generations(&[7, 8])
        })
        .with(
            "not answered, and not executed",
            &["lost good", "not-sent good"],
            world,
        );
    let text = traces.text;
    let traces = Traces::of(share()).with(
        "for all registrants again, not answered, but executed",
        lost,
        |it| {
            world(it)
                .registrants(&[&[(1, 0xa, 7)]])
                .generations(&[7, 8])
        },
    );
    assert_snapshot!(text + &traces.text);
}

/// PREEMPT of all registrants, for all registrants.
fn share() -> pr_policy::Request {
    pr_policy::Request::Preempt(pr_policy::Preempt {
        key: crate::narrate::key(0xa),
        victim: crate::narrate::key(0),
        reservation_type: scsi_pr::ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
        commands: VictimCommands::Finish,
    })
}

/// The path whose PREEMPT was not answered used to be left out when the others were registered
/// again: it was alive, carried I/O, and met conflicts.
#[test]
fn a_silent_path_that_is_alive_is_registered_again() {
    let request = release(5);
    let run = ours(World::new(&request, &["good lost good", GOOD, DEAD])).run(request);
    assert_eq!(run.outcome, Outcome::Done, "{}", run.trace);
    assert!(
        run.trace.contains("1 ◄ REGISTER AND IGNORE to 0xa"),
        "{}",
        run.trace
    );
}

/// RELEASE that nobody heard of was followed by PREEMPT. Had it been executed, no reservation
/// stood any more, and PREEMPT took the registration of its sender as well.
#[test]
fn after_a_release_that_was_executed_nothing_is_preempted() {
    let request = release(5);
    let run = World::new(&request, &["good good lost good", GOOD, DEAD])
        .registrants(&[HELD, &[(1, 0xa, 0)]])
        .generations(&[7, 7, 8])
        .reservations(&[(0xa, 5)])
        .run(request);
    assert_eq!(run.outcome, Outcome::Done, "{}", run.trace);
    assert_eq!(run.trace.matches("PREEMPT").count(), 1, "{}", run.trace);
    assert_eq!(run.effects.holding, Some(Holding::NotHeld));
    assert!(matches!(
        run.effects.registration,
        Some(Registration::Registered { .. })
    ));
}

/// On a device without full status a lost PREEMPT was taken for executed, and the paths were
/// registered, although they had met conflicts and nothing had changed.
#[test]
fn a_node_that_was_never_registered_does_not_let_itself_in() {
    let request = preempt(0xa, VictimCommands::Finish);
    let run = World::new(&request, &["lost", "conflict"])
        .reservations(&[(0xa, 5)])
        .keys(&[0xa])
        .run(request);
    assert!(!run.trace.contains("REGISTER"), "{}", run.trace);
}
