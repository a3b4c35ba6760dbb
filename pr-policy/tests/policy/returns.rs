//! The whole table of a path that comes back: in each step, what each kind of event leads to.
//!
//! Path 1 comes back; the others have been there all the time. A step is entered by the shortest
//! way there; some stand there more than once, since what follows depends on why the machine
//! waits. One of the actions under way, the last, gets the event. Behind each step stands what the
//! journal says of the path by then.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use pr_policy::{
    Action, Command, Event, Limits, Membership, Options, PathId, PathReturn, PathState, Settlement,
    Ticket, Trust,
};
use scsi_pr::InAction;

use crate::narrate::{self, read};
use crate::world::{self, Registrant};

/// What may be answered to PERSISTENT RESERVE OUT.
const OUT: &[&str] = &[
    "good",
    "conflict",
    "reset",
    "preempted",
    "busy",
    "standby",
    "invalid",
    "broken",
    "not-sent",
    "lost",
    "time",
    "deadline",
];

/// What may be answered to a read: who is registered; see [`seen`].
const IN: &[&str] = &[
    "nobody", "others", "all", "moved", "alone", "foreign", "twin", "nonsense", "conflict",
    "reset", "busy", "standby", "invalid", "broken", "not-sent", "lost", "alarm", "time",
    "deadline",
];

/// What may be found by a probe.
const PROBE: &[&str] = &["usable", "doubtful", "dead", "time", "deadline"];

/// A path, what is known of it, and the answers that lead to the step.
struct Way {
    title: &'static str,
    membership: Membership,
    trust: Trust,
    map: Map,
    answers: &'static [&'static str],
}

/// The path that comes back, and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    /// It is the only one.
    Alone,
    /// Another one, from another port of this host.
    Two,
    /// Two others, each from a port of its own.
    Three,
    /// Another one, from the same port.
    OnePort,
    /// As [`Map::Alone`], registered with ALL_TG_PT.
    AloneForAllPorts,
    /// As [`Map::Two`], registered with ALL_TG_PT.
    TwoForAllPorts,
}

#[test]
fn every_step_and_every_event() {
    let table: String = ways().iter().map(section).collect();
    assert_snapshot!(table);
}

/// Every step that the machine can be in stands in the table.
#[test]
fn no_step_is_missing() {
    let steps = ways().into_iter().map(|way| enter(&way).0.state_name());
    let seen: BTreeSet<&str> = steps.collect();
    let all = [
        "Counting",
        "Ended",
        "Joining",
        "Leaving",
        "Recounting",
        "Validating",
        "Vouching",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

/// Whatever it waits for, there is a settlement at the deadline.
#[test]
fn no_step_outlasts_the_deadline() {
    for way in ways() {
        let (mut machine, ..) = enter(&way);
        machine.handle_timeout(Limits::OUT.deadline);
        assert_ne!(machine.settlement(), None, "{}", way.title);
    }
}

fn ways() -> Vec<Way> {
    let mut ways = asking_ways();
    ways.extend(counting_ways());
    ways.extend(vouching_ways());
    ways.extend(joining_ways());
    ways.extend(recounting_ways());
    ways.extend(leaving_ways());
    ways
}

fn asking_ways() -> Vec<Way> {
    vec![
        way("does it have the key still?", Map::Two, &[]),
        suspect("does it, now that others have?", Map::Two, &["good"]),
        suspect("does it, now that it gave it up?", Map::Alone, &["good"]),
        Way {
            membership: Membership::Never,
            ..way("a node that never registered", Map::Two, &[])
        },
    ]
}

fn counting_ways() -> Vec<Way> {
    vec![
        way("who has it?", Map::Two, &["conflict"]),
        way(
            "who has it? two paths asked",
            Map::Two,
            &["conflict", "alarm"],
        ),
        way("who has it? no other path", Map::Alone, &["conflict"]),
        way(
            "who has it, for all ports?",
            Map::TwoForAllPorts,
            &["conflict"],
        ),
        way(
            "who has it, for all ports? no other path",
            Map::AloneForAllPorts,
            &["conflict"],
        ),
        way("how many have it?", Map::Two, &["conflict", "invalid"]),
        way(
            "how many have it, and who holds?",
            Map::Two,
            &["conflict", "invalid", "others"],
        ),
        way(
            "how many have it, and who holds? no other path",
            Map::Alone,
            &["conflict", "invalid", "twin"],
        ),
    ]
}

/// The device names no ports, and says that others have the key.
const COUNTED: &[&str] = &["conflict", "invalid", "others", "others"];

fn vouching_ways() -> Vec<Way> {
    vec![
        way("does another path have it?", Map::Two, COUNTED),
        way(
            "does another path have it? two of them",
            Map::Three,
            COUNTED,
        ),
        way(
            "does the last path have it?",
            Map::Three,
            &["conflict", "invalid", "others", "others", "conflict"],
        ),
        way(
            "looking at the last path",
            Map::Three,
            &["conflict", "invalid", "others", "others", "lost"],
        ),
        suspect("cut off: does another path have it?", Map::Two, &[]),
        suspect(
            "cut off: does the last path have it?",
            Map::Three,
            &["conflict"],
        ),
        way(
            "registered: does another path have it still?",
            Map::Two,
            &["conflict", "invalid", "others", "others", "good", "good"],
        ),
        way(
            "registered: does the one of the same port have it still?",
            Map::OnePort,
            &["conflict", "invalid", "others", "others", "good", "good"],
        ),
    ]
}

fn joining_ways() -> Vec<Way> {
    vec![
        way(
            "registering, one of ours was named",
            Map::Two,
            &["conflict", "others"],
        ),
        way(
            "registering beside one of the same port",
            Map::OnePort,
            &["conflict", "others"],
        ),
        way(
            "registering, one was counted",
            Map::Alone,
            &["conflict", "invalid", "twin", "twin"],
        ),
        way(
            "registering, another path vouched",
            Map::Two,
            &["conflict", "invalid", "others", "others", "good"],
        ),
    ]
}

fn recounting_ways() -> Vec<Way> {
    const ONE: &[&str] = &["conflict", "invalid", "twin", "twin", "good"];
    vec![
        way(
            "shut out meanwhile? one was named",
            Map::Two,
            &["conflict", "others", "good"],
        ),
        way(
            "shut out meanwhile? one of the same port was named",
            Map::OnePort,
            &["conflict", "others", "good"],
        ),
        way("shut out meanwhile? one was counted", Map::Alone, ONE),
        way(
            "shut out meanwhile? counting again",
            Map::Alone,
            &["conflict", "invalid", "twin", "twin", "good", "invalid"],
        ),
        way(
            "shut out meanwhile? and who holds?",
            Map::Alone,
            &[
                "conflict", "invalid", "twin", "twin", "good", "invalid", "all",
            ],
        ),
        way(
            "shut out meanwhile? disturbed twice already",
            Map::AloneForAllPorts,
            &[
                "conflict", "others", "good", "moved", "good", "conflict", "others", "good",
                "moved", "good", "conflict", "others", "good",
            ],
        ),
    ]
}

fn leaving_ways() -> Vec<Way> {
    vec![
        Way {
            membership: Membership::Ended,
            ..way("a node that is not registered any more", Map::Two, &[])
        },
        way(
            "shut out while it was away",
            Map::Two,
            &["conflict", "nobody"],
        ),
        way(
            "shut out while it registered",
            Map::Two,
            &["conflict", "others", "good", "alone"],
        ),
        way("not now", Map::Two, &["conflict", "others", "lost"]),
        way(
            "disturbed, from the beginning",
            Map::AloneForAllPorts,
            &["conflict", "others", "good", "moved"],
        ),
        suspect("cut off, from the beginning", Map::Alone, &[]),
    ]
}

fn way(title: &'static str, map: Map, answers: &'static [&'static str]) -> Way {
    Way {
        title,
        membership: Membership::Lasting,
        trust: Trust::Trusted,
        map,
        answers,
    }
}

/// An earlier return was cut off.
fn suspect(title: &'static str, map: Map, answers: &'static [&'static str]) -> Way {
    Way {
        trust: Trust::Suspect,
        ..way(title, map, answers)
    }
}

impl Map {
    fn paths(self) -> u64 {
        match self {
            Self::Alone | Self::AloneForAllPorts => 1,
            Self::Two | Self::OnePort | Self::TwoForAllPorts => 2,
            Self::Three => 3,
        }
    }
}

fn section(way: &Way) -> String {
    let (machine, actions, now) = enter(way);
    let name = machine.state_name();
    let mut text = format!("{name}{}: {}\n", trust(machine.trust()), way.title);
    for action in &actions {
        text += &format!("  ({})\n", narrate::action(action));
    }
    for word in words_for(actions.last()) {
        let mut machine = machine.clone();
        if feed(&mut machine, way, actions.last(), word, now) {
            text += &format!("  {word:<11}→ {}\n", leads_to(&mut machine, now));
        }
    }
    text + "\n"
}

/// Every step to another that is in the table.
pub(crate) fn edges() -> BTreeSet<(&'static str, &'static str)> {
    let mut edges = BTreeSet::new();
    for way in ways() {
        let (before, actions, now) = enter(&way);
        let last = actions.last();
        for word in words_for(last) {
            let mut after = before.clone();
            if feed(&mut after, &way, last, word, now) {
                edges.insert((before.state_name(), after.state_name()));
            }
        }
    }
    edges.retain(|(from, to)| from != to);
    edges
}

fn words_for(action: Option<&Action>) -> &'static [&'static str] {
    match action {
        Some(Action::Probe { .. }) => PROBE,
        Some(Action::Send {
            command: Command::In(_),
            ..
        }) => IN,
        _ => OUT,
    }
}

/// Goes the way, answering the oldest action each time.
fn enter(way: &Way) -> (PathReturn, Vec<Action>, Duration) {
    let mut machine = begin(way);
    let mut now = Duration::ZERO;
    let mut under_way = poll(&mut machine);
    for word in way.answers {
        let first = (*word != "alarm").then(|| under_way.remove(0));
        if first.is_none() {
            now = machine.poll_timeout();
        }
        let is_possible = feed(&mut machine, way, first.as_ref(), word, now);
        assert!(is_possible, "{}: {word}", way.title);
        under_way.extend(poll(&mut machine));
    }
    (machine, under_way, now)
}

fn begin(way: &Way) -> PathReturn {
    let paths = usize::try_from(way.map.paths()).expect("few paths");
    let mut snapshot = narrate::map(&vec![PathState::Usable; paths]);
    if way.map == Map::OnePort {
        for path in &mut snapshot.paths {
            path.initiator_port = Some(narrate::port(1));
        }
    }
    snapshot.remembered_all_tg_pt = matches!(way.map, Map::AloneForAllPorts | Map::TwoForAllPorts);
    let mut options = Options::for_request(&read(InAction::READ_FULL_STATUS));
    // As the program that owns the paths has it.
    options.limits = Limits::OUT;
    PathReturn::new(PathId(1), way.membership, way.trust, snapshot, options)
}

/// Lets it happen; `false` if it cannot happen here.
fn feed(
    machine: &mut PathReturn,
    way: &Way,
    action: Option<&Action>,
    word: &str,
    now: Duration,
) -> bool {
    let timeout = machine.poll_timeout();
    // The alarm comes before any path is given up.
    let is_alarm = timeout <= now + Duration::from_secs(1);
    match word {
        "alarm" | "time" if (word == "alarm") != is_alarm => return false,
        "alarm" | "time" => machine.handle_timeout(timeout),
        "deadline" => machine.handle_timeout(Limits::OUT.deadline),
        _ => machine.handle_event(now, answer(way, action, word)),
    }
    true
}

fn answer(way: &Way, action: Option<&Action>, word: &str) -> Event {
    match action {
        Some(Action::Probe { ticket, .. }) => world::probed(*ticket, word).expect("it answers"),
        Some(Action::Send {
            ticket, command, ..
        }) => Event::Answered {
            ticket: *ticket,
            answer: match (command, seen(word, way.map)) {
                (Command::In(cdb), Some((generation, registrants))) => {
                    world::good(world::response(cdb.action, generation, &registrants))
                }
                _ => world::answered(word).expect("it answers"),
            },
        },
        // One that has ended gets an answer to something it never asked.
        _ => Event::Answered {
            ticket: Ticket(99),
            answer: world::answered(word).expect("it answers"),
        },
    }
}

/// What a device says of its registrations, and its generation. It was 7 before the path came
/// back, so that one REGISTER of the path makes it 8.
fn seen(word: &str, map: Map) -> Option<(u32, Vec<Registrant>)> {
    let last = map.paths();
    let registrant = |port, key| Registrant {
        port: if map == Map::OnePort && port <= last {
            1
        } else {
            port
        },
        key,
        holds: 0,
    };
    let ours = |from: u64| (from..=last).map(|port| registrant(port, 0xa));
    // The path's other target ports, where one REGISTER is for all of them.
    let also = || match map {
        Map::AloneForAllPorts => vec![registrant(1, 0xa)],
        _ => Vec::new(),
    };
    Some(match word {
        "nobody" => (7, Vec::new()),
        "others" => (7, ours(2).chain(also()).collect()),
        "all" => match map {
            // The twin is one whom nobody can tell from this node.
            Map::Alone => (8, ours(1).chain([registrant(99, 0xa)]).collect()),
            _ => (8, ours(1).chain(also()).collect()),
        },
        // The same, but somebody has changed something meanwhile.
        "moved" => match map {
            Map::Alone => (9, ours(1).chain([registrant(99, 0xa)]).collect()),
            _ => (9, ours(1).chain(also()).collect()),
        },
        "alone" => (9, vec![registrant(1, 0xa)]),
        "foreign" => (9, vec![registrant(98, 0xb)]),
        // Another node with our key.
        "twin" => (7, vec![registrant(99, 0xa)]),
        _ => return None,
    })
}

fn leads_to(machine: &mut PathReturn, now: Duration) -> String {
    let actions: Vec<String> = poll(machine).iter().map(narrate::action).collect();
    if let Some(settlement) = machine.settlement() {
        assert_eq!(actions, Vec::<String>::new(), "nothing is left to do");
        let effects = narrate::effects(machine.effects());
        return match settlement {
            // What the journal says until that is entered.
            Settlement::Reinstate => format!("= reinstate{}{effects}", trust(machine.trust())),
            Settlement::TryAgain(later) => format!("= try again{}{effects}", trust(later)),
        };
    }
    let actions = if actions.is_empty() {
        let wait = machine.poll_timeout().saturating_sub(now);
        format!("(waits {} ms)", wait.as_millis())
    } else {
        actions.join(", ")
    };
    let step = format!("{}{}", machine.state_name(), trust(machine.trust()));
    format!("{step:<20} {actions}")
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "",
        Trust::Suspect => ", suspect",
    }
}

fn poll(machine: &mut PathReturn) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}
