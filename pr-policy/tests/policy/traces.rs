//! Every request in the situations that matter: what is sent when, and how it ends.
//!
//! The snapshots are read like a log: time in milliseconds, what the transaction waits for,
//! path ◄ command, path ► answer. Key 0xa is ours.

use std::time::Duration;

use insta::assert_snapshot;
use pr_policy::{FanOut, Request, VictimCommands};
use scsi_pr::InAction;

use crate::narrate::{
    clear, port, preempt, read, register, register_and_move, register_ignore, register_with,
    release, reserve,
};
use crate::world::World;

/// Situations that every command which changes something may meet.
const ANY: &[(&str, &[&str])] = &[
    ("all paths up", &["good", "good", "good"]),
    (
        "the first path has a stale key",
        &["conflict good", "good", "good"],
    ),
    ("every path conflicts", &["conflict", "conflict"]),
    (
        "the first path hangs, the others are up",
        &["hang | dead", "good", "good"],
    ),
    (
        "all of one controller hang",
        &["hang | hang", "hang | hang", "hang | hang", "good"],
    ),
    (
        "the first path cannot be opened",
        &["not-sent | dead", "good"],
    ),
    (
        "the first path is in standby and refuses",
        &["standby", "good"],
    ),
    ("the first path is busy twice", &["busy busy good", "good"]),
    (
        "unit attentions",
        &["reset preempted good", "released good"],
    ),
    ("too many unit attentions", &["reset", "good"]),
    (
        "no path can be opened",
        &["not-sent | dead", "not-sent | dead"],
    ),
    ("every path hangs", &["hang | hang", "hang | hang"]),
    (
        "a doubtful path is alive, another dead, another hangs",
        &[
            "doubtful: good",
            "doubtful: good | dead",
            "doubtful: good | hang",
            "good",
        ],
    ),
    (
        "no path is usable",
        &["doubtful: good | dead", "dead: good"],
    ),
    ("no path at all", &[]),
    ("refused for good", &["invalid", "good"]),
    ("a hardware error", &["broken", "good"]),
    ("the answer is lost, then conflict", &["lost", "conflict"]),
    ("the only answer is lost", &["lost"]),
];

/// The traces of one request, one after the other.
pub(crate) struct Traces {
    request: Request,
    pub(crate) text: String,
}

impl Traces {
    pub(crate) fn of(request: Request) -> Self {
        Self {
            request,
            text: String::new(),
        }
    }

    fn any(mut self, dress: impl Fn(World) -> World) -> Self {
        for (title, scripts) in ANY {
            self = self.with(title, scripts, &dress);
        }
        self
    }

    pub(crate) fn with(
        mut self,
        title: &str,
        scripts: &[&str],
        dress: impl Fn(World) -> World,
    ) -> Self {
        let run = dress(World::new(&self.request, scripts)).run(self.request.clone());
        self.text += &format!("── {title}: {}\n{}\n", scripts.join(", "), run.trace);
        self
    }
}

fn as_is(world: World) -> World {
    world
}

fn sequential(mut world: World) -> World {
    world.options.fan_out = FanOut::Sequential;
    world
}

fn nothing_remembered(mut world: World) -> World {
    world.snapshot.remembered_key = None;
    world.snapshot.remembered_nexuses = 0;
    world
}

/// Two paths for each initiator port.
fn two_per_port(mut world: World) -> World {
    for (at, path) in (0_u64..).zip(&mut world.snapshot.paths) {
        path.initiator_port = Some(port(at / 2));
    }
    world
}

#[test]
fn register_a_first_key() {
    let traces = Traces::of(register(0, 0xa))
        .any(nothing_remembered)
        .with(
            "a later path has a stale key",
            &["good", "conflict good"],
            nothing_remembered,
        )
        .with(
            "a later path hangs and is dead",
            &["good", "hang | dead"],
            nothing_remembered,
        )
        .with(
            "a later path hangs once",
            &["good", "hang good"],
            nothing_remembered,
        )
        .with(
            "a later path hangs, yet is alive",
            &["good", "hang", "good"],
            nothing_remembered,
        )
        .with(
            "a later answer is lost",
            &["good", "lost good"],
            nothing_remembered,
        )
        .with(
            "no room for the second",
            &["good", "full", "good"],
            nothing_remembered,
        )
        .with(
            "one refuses, and the pilot was the second",
            &["conflict good", "good", "full"],
            nothing_remembered,
        )
        .with(
            "the answer is lost, and all were registered before",
            &["conflict good", "lost conflict"],
            |world| world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0)]]),
        )
        .with("the only path stays busy", &["busy"], nothing_remembered)
        .with(
            "news of an answer that was given up",
            &["late-preempted | dead", "slow", "good"],
            nothing_remembered,
        )
        .with(
            "one at a time, asked for",
            &["good", "good", "good"],
            sequential,
        )
        .with(
            "one at a time, one controller hangs",
            &["good", "hang | hang", "hang | hang", "hang | hang", "good"],
            sequential,
        )
        .with(
            "the device takes one at a time",
            &["slow", "busy slow", "busy slow"],
            as_is,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn register_another_key() {
    let traces = Traces::of(register(0xa, 0xb))
        .with("all paths up", &["good", "good"], as_is)
        .with(
            "a later path has a stale key",
            &["good", "conflict good"],
            as_is,
        )
        .with(
            "one refuses: the others go back",
            &["good", "full", "good"],
            as_is,
        )
        .with(
            "one refuses, one cannot go back",
            &["good", "full", "good broken"],
            as_is,
        )
        .with(
            "one is left behind at the deadline",
            &["good", "busy"],
            as_is,
        );
    let text = traces.text;
    let mut for_all = register_with(0xa, 0xb);
    for_all.all_tg_pt = true;
    // Their counts tell nothing: each path registers several nexuses.
    let traces = Traces::of(Request::Register(for_all)).with(
        "for all target ports: the old key was taken from one",
        &["good", "conflict lost conflict good"],
        |world| world.registrants(&[&[(1, 0xa, 0), (2, 0xa, 0)], &[(1, 0xb, 0), (2, 0xb, 0)]]),
    );
    assert_snapshot!(text + &traces.text);
}

#[test]
fn register_and_ignore() {
    let traces = Traces::of(register_ignore(0xb))
        .with("all paths up", &["good", "good"], as_is)
        .with(
            "the first path hangs",
            &["hang | dead", "good", "good"],
            as_is,
        )
        .with(
            "one refuses: the old key is remembered",
            &["good", "full"],
            as_is,
        )
        .with(
            "one refuses: no key is remembered",
            &["good", "full"],
            nothing_remembered,
        )
        .with(
            "one refuses, and the device had named the others",
            &["good", "full"],
            |world| world.registrants(&[&[(1, 0xa, 0)]]),
        );
    assert_snapshot!(traces.text);
}

/// It lacks the key, since it has not been settled: its conflict says nothing of the map.
#[test]
fn only_a_path_that_the_map_does_not_use() {
    let requests = [
        register(0xa, 0xb),
        reserve(5),
        release(5),
        clear(),
        register_and_move(false),
    ];
    let mut text = String::new();
    for request in requests {
        let title = request.to_string();
        let traces = Traces::of(request).with(
            &title,
            &["doubtful: conflict | usable", "dead: good"],
            |world| world.registrants(&[&[(2, 0xa, 0)]]),
        );
        text += &traces.text;
    }
    let held = Traces::of(reserve(5)).with(
        "somebody else holds, whatever that path has",
        &["doubtful: conflict | usable", "dead: good"],
        |world| world.registrants(&[&[(2, 0xa, 0), (98, 0xb, 5)]]),
    );
    assert_snapshot!(text + &held.text);
}

#[test]
fn register_for_all_target_ports() {
    let mut request = register_with(0, 0xa);
    request.all_tg_pt = true;
    request.transport_ids = vec![port(0xcc)];
    let dress = |world| nothing_remembered(two_per_port(world));
    let traces = Traces::of(Request::Register(request))
        .with(
            "one path per port",
            &["good", "good", "good", "good"],
            dress,
        )
        .with(
            "a port's first path is dead",
            &["good", "good", "not-sent | dead", "good"],
            dress,
        )
        .with(
            "a port's first path is alive but silent",
            &["good", "good", "lost", "good"],
            dress,
        )
        .with(
            "a port's paths are all dead",
            &["good", "good", "not-sent | dead", "not-sent | dead"],
            dress,
        )
        .with(
            "the pilot's neighbour was silent",
            &["hang | dead", "good", "good", "good"],
            dress,
        )
        .with(
            "a silent pilot's neighbour takes over",
            &["lost | dead", "conflict good", "good", "good"],
            dress,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn unregister() {
    let traces = Traces::of(register(0xa, 0))
        .any(as_is)
        .with("we hold: released first", &["good", "good"], |world| {
            world.reservations(&[(0xa, 5), (0, 0)])
        })
        .with(
            "we hold, releasing hangs on one path",
            &["good", "hang | dead"],
            |world| world.reservations(&[(0xa, 5), (0, 0)]),
        )
        .with("a dead path holds", &["good", "dead: good"], |world| {
            world.reservations(&[(0xa, 5)])
        })
        .with(
            "somebody else holds with our key",
            &["good", "good"],
            |world| world.reservations(&[(0xa, 5)]),
        )
        .with("another node holds", &["good", "good"], |world| {
            world.reservations(&[(0xb, 5)])
        })
        .with("all registrants hold", &["good", "good"], |world| {
            world.reservations(&[(0, 7)])
        })
        .with("a later path refuses", &["good", "invalid"], as_is)
        .with("one at a time", &["good", "good", "good"], sequential);
    assert_snapshot!(traces.text);
}

#[test]
fn unregister_with_a_key_that_is_not_ours() {
    let traces = Traces::of(register(0xb, 0))
        .with("nobody holds", &["conflict", "conflict"], as_is)
        .with(
            "its owner holds: releasing is in vain",
            &["conflict"],
            |world| world.reservations(&[(0xb, 5)]),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn unregister_and_ignore() {
    let held = |world: World| world.reservations(&[(0xa, 6), (0, 0)]);
    let traces = Traces::of(register_ignore(0))
        .with("we hold", &["good", "good"], held)
        .with(
            "we may hold, nothing is remembered",
            &["good", "good"],
            |world| nothing_remembered(held(world)),
        )
        .with("another node holds", &["good", "good"], |world| {
            world.reservations(&[(0xb, 5)])
        });
    assert_snapshot!(traces.text);
}

#[test]
fn reserve_() {
    let traces = Traces::of(reserve(5))
        .any(as_is)
        .with(
            "the answer is lost, but it was executed",
            &["lost", "conflict good"],
            |world| world.keys(&[0xa, 0xa]).reservations(&[(0xa, 5)]),
        )
        .with(
            "the answer is lost, and nobody is registered with that key",
            &["lost", "conflict"],
            |world| world.reservations(&[(0xa, 5)]),
        )
        .with(
            "the answer is lost, another node was faster",
            &["lost", "conflict"],
            |world| world.reservations(&[(0xb, 5)]),
        )
        .with(
            "not registered, says the kernel's target",
            &["lio-not-registered"],
            as_is,
        )
        .with(
            "the path that holds is gone since",
            &["not-sent", "conflict good"],
            we_hold,
        )
        .with(
            "a dead path holds, and nobody says whether we are registered",
            &["conflict lost", "dead: good"],
            we_hold,
        );
    assert_snapshot!(traces.text);
}

/// So say a count and the record.
fn we_hold(mut world: World) -> World {
    world.snapshot.remembered_holding = true;
    world.keys(&[0xa, 0xa]).reservations(&[(0xa, 5)])
}

#[test]
fn reserve_for_all_registrants() {
    let traces = Traces::of(reserve(7)).with(
        "the answer is lost, and nobody can tell whose it is",
        &["lost", "conflict"],
        |world| world.reservations(&[(0, 7)]),
    );
    assert_snapshot!(traces.text);
}

#[test]
fn release_() {
    let traces = Traces::of(release(5))
        .any(as_is)
        .with("a dead path holds", &["good", "dead: good"], |world| {
            world.reservations(&[(0xa, 5)])
        })
        .with("another node holds", &["good", "good"], |world| {
            world.reservations(&[(0xb, 5)])
        })
        .with(
            "we hold with another type",
            &["wrong-type", "good"],
            |world| world.reservations(&[(0xa, 6)]),
        )
        .with("the only path stays busy", &["busy"], as_is)
        .with("a dead path holds with another type", &["good"], |world| {
            world.reservations(&[(0xa, 6)])
        })
        .with(
            "one path is broken, another released",
            &["good", "broken"],
            as_is,
        )
        .with(
            "one path is broken, and it holds",
            &["good", "broken"],
            |world| world.reservations(&[(0xa, 5)]),
        )
        .with("the holder stays busy", &["good", "busy"], |world| {
            world.reservations(&[(0xa, 5)])
        })
        .with(
            "all registrants hold with another type",
            &["wrong-type", "wrong-type"],
            |world| world.reservations(&[(0, 7)]),
        )
        .with(
            "nobody can say whether it is gone",
            &["good | usable | lost"],
            as_is,
        )
        .with(
            "the look afterwards hangs on one path",
            &["good | usable | hang", "good"],
            as_is,
        )
        .with(
            "not registered, says the kernel's target",
            &["lio-not-registered"],
            as_is,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn clear_() {
    let traces = Traces::of(clear())
        .any(as_is)
        .with(
            "the answer is lost, others have registered since",
            &["lost", "conflict"],
            |world| world.keys(&[0xb]),
        )
        .with(
            "the answer is lost, and we are still there",
            &["lost", "conflict"],
            |world| world.keys(&[0xa, 0xb]),
        )
        .with(
            "the answer is lost, and nobody knows what was",
            &["lost", "conflict"],
            |world| nothing_remembered(world.keys(&[0xb])),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_another_node() {
    let traces = Traces::of(preempt(0xb, VictimCommands::Finish))
        .any(|world| world.keys(&[0xa, 0xb]).reservations(&[(0xa, 5)]))
        .with(
            "the answer is lost, but it was executed",
            &["lost", "conflict"],
            |world| world.keys(&[0xa, 0xa]).reservations(&[(0xa, 5)]),
        )
        .with(
            "the look afterwards fails",
            &["good | usable | not-sent"],
            as_is,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_and_abort_that_never_answers() {
    let traces = Traces::of(preempt(0xb, VictimCommands::Abort)).with(
        "the first path hangs in it",
        &["hang | usable", "conflict"],
        |world| world.keys(&[0xa, 0xa]).reservations(&[(0xa, 5)]),
    );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_our_own_key() {
    let held = |world: World| world.reservations(&[(0xa, 5)]);
    let traces = Traces::of(preempt(0xa, VictimCommands::Finish))
        .with(
            "we hold: the other paths come back",
            &["good", "good", "good"],
            held,
        )
        .with(
            "we hold: one path does not come back",
            &["good", "lost", "good"],
            held,
        )
        .with(
            "we hold: the answer is lost",
            &["lost good", "conflict good"],
            |world| held(world).keys(&[0xa]),
        )
        .with(
            "we hold: the answer is lost, nothing happened",
            &["lost", "conflict"],
            |world| held(world).keys(&[0xa, 0xa]),
        )
        .with(
            "we hold, and are preempted right after",
            &["good conflict good", "good", "good"],
            held,
        )
        .with(
            "nobody holds: all our registrations go",
            &["good", "good"],
            as_is,
        )
        .with(
            "all registrants hold: all ours go",
            &["good", "good"],
            |world| world.reservations(&[(0, 7)]),
        )
        .with(
            "the answer to a read that was given up is not taken for another",
            &[
                "good | usable | good hang",
                "hang | dead | slow",
                "good | usable | invalid",
            ],
            held,
        );
    assert_snapshot!(traces.text);
}

#[test]
fn preempt_all_registrants() {
    let traces = Traces::of(preempt(0, VictimCommands::Finish))
        .with("all registrants hold", &["good", "good"], |world| {
            world.reservations(&[(0, 7), (0xa, 5)])
        })
        .with(
            "the answer is lost",
            &["lost good", "conflict good"],
            |world| world.reservations(&[(0, 7), (0xa, 5)]).keys(&[0xa]),
        )
        .with("nobody holds", &["invalid", "good"], as_is)
        .with(
            "only a path is left that the map did not use",
            &["not-sent", "doubtful: conflict | usable"],
            |world| world.reservations(&[(0, 7)]),
        );
    assert_snapshot!(traces.text);
}

#[test]
fn register_and_move_() {
    let traces = Traces::of(register_and_move(false))
        .with("the second path holds", &["conflict", "good"], as_is)
        .with("the answer is lost", &["lost", "conflict"], as_is);
    let text = traces.text;
    let own_receiver = |mut world: World| {
        world.snapshot.paths[1].initiator_port = Some(port(0xbb));
        world
    };
    let traces = Traces::of(register_and_move(true))
        .with("the sender leaves", &["good", "good", "good"], as_is)
        .with(
            "it moves to a path of ours",
            &["good", "good"],
            own_receiver,
        );
    assert_snapshot!(text + &traces.text);
}

#[test]
fn read_keys() {
    let traces = Traces::of(read(InAction::READ_KEYS))
        .with("all paths up", &["good", "good"], as_is)
        .with(
            "the first path hangs: the next is asked as well",
            &["good | usable | hang", "good"],
            as_is,
        )
        .with(
            "three hang",
            &[
                "good | usable | hang",
                "good | usable | hang",
                "good | usable | hang",
                "good",
            ],
            as_is,
        )
        .with(
            "a slow path still answers",
            &["good | usable | slow"],
            as_is,
        )
        .with(
            "only a doubtful path is left",
            &["dead: good", "doubtful: good"],
            as_is,
        )
        .with(
            "the first path is in standby",
            &["good | usable | standby", "good"],
            as_is,
        )
        .with(
            "the only path stays in transition",
            &["good | usable | transition"],
            as_is,
        )
        .with(
            "a unit attention is news",
            &["good | usable | preempted good"],
            as_is,
        )
        .with("conflict", &["good | usable | conflict", "good"], as_is)
        .with("not supported", &["good | usable | invalid", "good"], as_is)
        .with(
            "broken, then not sent",
            &["good | usable | broken", "good | usable | lost"],
            as_is,
        )
        .with(
            "every path hangs",
            &["good | usable | hang", "good | usable | hang"],
            as_is,
        )
        .with("no path", &["dead: good"], as_is);
    assert_snapshot!(traces.text);
}

#[test]
fn a_deadline_of_the_callers() {
    let within = |deadline| {
        move |mut world: World| {
            world.options.limits = world.options.limits.within(deadline);
            world
        }
    };
    let second = within(Duration::from_secs(1));
    let traces = Traces::of(register(0xa, 0xb))
        .with("the pilot hangs", &["hang", "good", "good"], second)
        .with("a later path hangs", &["good", "hang", "good"], second)
        .with(
            "the deadline comes before the probe has had its time",
            &["good", "hang | hang"],
            within(Duration::from_secs(4)),
        )
        .with("no time at all", &["good"], within(Duration::ZERO));
    assert_snapshot!(traces.text);
}

#[test]
fn reserve_without_any_answer() {
    let hurried = |mut world: World| {
        world.options.limits = world.options.limits.within(Duration::from_secs(3));
        world
    };
    let traces = Traces::of(reserve(5))
        .with("no time to send it again", &["hang", "hang"], hurried)
        .with(
            "nor does a probe answer",
            &["hang | hang", "hang | hang"],
            hurried,
        )
        .with("one path only", &["hang | hang"], hurried);
    assert_snapshot!(traces.text);
}
