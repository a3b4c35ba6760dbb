//! The whole table: in each state, what each kind of event leads to.
//!
//! A state is entered by the shortest way there; what an event leads to may depend on what else
//! is still to be tried, so that some states stand there more than once. One of the actions
//! under way, the last, gets the event.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use pr_policy::{
    Action, Answer, Command, Event, Options, PathState, Request, Success, Ticket, Transaction,
    VictimCommands,
};
use scsi_pr::InAction;

use crate::narrate::{self, clear, preempt, read, register, release, reserve};
use crate::world::{self, Registrant};

pub(crate) const USABLE: PathState = PathState::Usable;
const DOUBTFUL: PathState = PathState::Doubtful;
pub(crate) const DEAD: PathState = PathState::Dead;

/// What may be answered to PERSISTENT RESERVE OUT.
const OUT: &[&str] = &[
    "good", "conflict", "reset", "busy", "standby", "invalid", "broken", "not-sent", "lost", "time",
];

/// What may be answered to a read: who is registered and who holds, and how; see [`Seen`].
const IN: &[&str] = &[
    "empty",
    "nobody",
    "ours",
    "ours-other",
    "alone",
    "twin",
    "shared",
    "foreign",
    "nonsense",
    "conflict",
    "reset",
    "busy",
    "standby",
    "invalid",
    "broken",
    "not-sent",
    "lost",
    "alarm",
    "time",
];

/// What may be found by a probe.
const PROBE: &[&str] = &["usable", "doubtful", "dead", "time"];

/// What may come of suspending or resuming the map.
const MAP: &[&str] = &["yes", "no", "time"];

/// A request, its paths, and the answers that lead to the state.
pub(crate) struct Way {
    title: &'static str,
    request: Request,
    paths: &'static [PathState],
    answers: &'static [&'static str],
}

#[test]
fn every_state_and_every_event() {
    let mut table = String::new();
    for way in ways() {
        table += &section(&way);
    }
    assert_snapshot!(table);
}

/// Every state that a transaction can be in stands in the table.
#[test]
fn no_state_is_missing() {
    let mut seen: Vec<&str> = ways().iter().map(|way| enter(way).0.state_name()).collect();
    seen.sort_unstable();
    seen.dedup();
    let all = [
        "Affirming",
        "Answering",
        "Asking",
        "Borrowing",
        "Confirming",
        "FanningOut",
        "Finished",
        "Handing",
        "Hushing",
        "Inspecting",
        "Learning",
        "Piloting",
        "Proving",
        "Purging",
        "Recounting",
        "Releasing",
        "Renewing",
        "Restoring",
        "Resuming",
        "Retracting",
        "Surveying",
        "Suspending",
        "Taking",
        "Undoing",
        "Validating",
        "Verifying",
        "Weighing",
    ];
    assert_eq!(seen, all);
}

fn ways() -> Vec<Way> {
    let mut ways = reading_ways();
    ways.extend(registering_ways());
    ways.extend(changing_ways());
    ways.extend(unregistering_ways());
    ways.extend(crate::remnants::ways());
    ways.extend(releasing_ways());
    ways.extend(takeover_ways());
    ways.extend(taken_ways());
    ways.extend(asking_ways());
    ways.extend(preempting_ways());
    ways.extend(crate::moving::ways());
    ways.push(way("after the end", reserve(5), &[USABLE], &["good"]));
    ways
}

fn reading_ways() -> Vec<Way> {
    let request = || read(InAction::READ_RESERVATION);
    vec![
        way(
            "a read, another path left",
            request(),
            &[USABLE, USABLE],
            &[],
        ),
        way("a read, the last path", request(), &[USABLE], &[]),
        way(
            "a read, two paths asked",
            request(),
            &[USABLE, USABLE],
            &["alarm"],
        ),
    ]
}

fn registering_ways() -> Vec<Way> {
    let new = || register(0, 0xa);
    vec![
        way("a doubtful path", new(), &[USABLE, DOUBTFUL], &[]),
        way("nothing but a doubtful path", new(), &[DOUBTFUL], &[]),
        way(
            "register, who is there before?",
            new(),
            &[USABLE, USABLE],
            &[],
        ),
        way(
            "register, another path left",
            new(),
            &[USABLE, USABLE],
            &["empty"],
        ),
        way("register, the last path", new(), &[USABLE], &["empty"]),
        way(
            "register, looking at the paths left",
            new(),
            &[USABLE, USABLE],
            &["empty", "lost"],
        ),
        way(
            "register, the last to follow",
            new(),
            &[USABLE, USABLE],
            &["empty", "good"],
        ),
        way(
            "register, is the first path still registered?",
            new(),
            &[USABLE, USABLE],
            &["empty", "good", "good"],
        ),
        way(
            "register, shut out: what is registered?",
            new(),
            &[USABLE, USABLE],
            &["empty", "good", "good", "conflict"],
        ),
        way(
            "register, shut out, taking back",
            new(),
            &[USABLE, USABLE],
            &["empty", "good", "good", "conflict", "nobody"],
        ),
    ]
}

fn changing_ways() -> Vec<Way> {
    let change = || register(0xa, 0xb);
    vec![
        way(
            "change, what is there before?",
            change(),
            &[USABLE, USABLE],
            &[],
        ),
        way(
            "change, is the first path still registered?",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "good"],
        ),
        way(
            "change, insisting",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "conflict"],
        ),
        way(
            "change, looking at a silent path",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "lost"],
        ),
        way(
            "change, a silent path again",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "lost", "usable"],
        ),
        way(
            "change, looking again",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "lost", "usable", "lost"],
        ),
        way(
            "change, going back",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "invalid", "good"],
        ),
        way(
            "change, going back?",
            change(),
            &[USABLE, USABLE],
            &["nobody", "good", "invalid"],
        ),
        way(
            "change, what is left of the old key?",
            change(),
            &[USABLE, DEAD],
            &["nobody", "good"],
        ),
        way(
            "change, purging the old key",
            change(),
            &[USABLE, DEAD],
            &["nobody", "good", "ours"],
        ),
    ]
}

fn unregistering_ways() -> Vec<Way> {
    let end = || register(0xa, 0);
    vec![
        way("unregister, who is there?", end(), &[USABLE], &[]),
        way("unregister, releasing", end(), &[USABLE], &["ours"]),
        way(
            "unregister, is it gone?",
            end(),
            &[USABLE],
            &["ours", "good"],
        ),
        way(
            "unregister, who is left?",
            end(),
            &[USABLE, DEAD],
            &["ours", "good", "ours"],
        ),
        way("unregister, purging", end(), &[USABLE, DEAD], &["nobody"]),
        way("unregister, the last path", end(), &[USABLE], &["empty"]),
        way(
            "unregister, the last to follow",
            end(),
            &[USABLE, USABLE],
            &["empty", "good"],
        ),
    ]
}

fn releasing_ways() -> Vec<Way> {
    let two: &[PathState] = &[USABLE, USABLE];
    vec![
        way("release, no path accepted yet", release(5), &[USABLE], &[]),
        way("release, one path accepted", release(5), two, &["good"]),
        way(
            "release, one path conflicted",
            release(5),
            two,
            &["conflict"],
        ),
        way("release, is it gone?", release(5), &[USABLE], &["good"]),
        way(
            "release, one is broken, is it gone?",
            release(5),
            two,
            &["broken", "good"],
        ),
    ]
}

/// A dead path, the last, holds.
fn takeover_ways() -> Vec<Way> {
    let three: &[PathState] = &[USABLE, USABLE, DEAD];
    let release = |title, answers| way(title, release(5), three, answers);
    let single = |title, answers| way(title, self::release(5), &[USABLE, DEAD], answers);
    vec![
        release("release, whose is it?", &["good", "good", "ours"]),
        release("release, how many?", &["good", "good", "ours", "invalid"]),
        release(
            "release, how many, and who holds?",
            &["good", "good", "ours", "invalid", "ours"],
        ),
        release("release, the map", &["good", "good", "ours", "ours"]),
        release(
            "release, the first path",
            &["good", "good", "ours", "ours", "yes"],
        ),
        release(
            "release, the last path",
            &["good", "good", "ours", "ours", "yes", "conflict"],
        ),
        single("release, the only path", &["good", "ours", "ours"]),
        release(
            "release, looking at the other path",
            &["good", "good", "ours", "ours", "yes", "lost"],
        ),
        release(
            "release, was it taken?",
            &[
                "good", "good", "ours", "ours", "yes", "lost", "usable", "conflict",
            ],
        ),
        single(
            "release, was it released?",
            &["good", "ours", "ours", "good", "lost"],
        ),
    ]
}

/// The same, once PREEMPT was accepted.
fn taken_ways() -> Vec<Way> {
    let three: &[PathState] = &[USABLE, USABLE, DEAD];
    let release = |title, answers| way(title, release(5), three, answers);
    let leave = |title, answers| way(title, register(0xa, 0), three, answers);
    vec![
        release(
            "release, the new holder",
            &["good", "good", "ours", "ours", "yes", "good"],
        ),
        release(
            "release, registering again",
            &["good", "good", "ours", "ours", "yes", "good", "good"],
        ),
        leave(
            "unregister, going back",
            &[
                "ours", "good", "good", "ours", "ours", "yes", "good", "invalid",
            ],
        ),
        release(
            "release, registering again to take it again",
            &[
                "good", "good", "ours", "ours", "yes", "lost", "usable", "conflict", "alone",
                "dead",
            ],
        ),
        release(
            "release, were we shut out?",
            &[
                "good", "good", "ours", "ours", "yes", "good", "good", "good",
            ],
        ),
        release(
            "release, shut out",
            &[
                "good", "good", "ours", "ours", "yes", "good", "good", "good", "conflict", "good",
            ],
        ),
        release(
            "release, the map again",
            &[
                "good", "good", "ours", "ours", "yes", "good", "good", "good", "good",
            ],
        ),
    ]
}

fn asking_ways() -> Vec<Way> {
    let two: &[PathState] = &[USABLE, USABLE];
    vec![
        way("reserve, another path left", reserve(5), two, &[]),
        way("reserve, the last path", reserve(5), two, &["conflict"]),
        way(
            "reserve, the silent path again",
            reserve(5),
            &[USABLE],
            &["lost"],
        ),
        way(
            "reserve, does the silent path hold?",
            reserve(5),
            &[USABLE],
            &["lost", "lost"],
        ),
        way(
            "reserve, do we hold?",
            reserve(5),
            &[USABLE, DEAD],
            &["conflict"],
        ),
        way(
            "reserve, are we registered?",
            reserve(5),
            &[USABLE, DEAD],
            &["conflict", "invalid", "ours", "ours"],
        ),
        way("clear", clear(), &[USABLE], &[]),
        way("clear, was it executed?", clear(), &[USABLE], &["lost"]),
    ]
}

fn preempting_ways() -> Vec<Way> {
    let other = || preempt(0xb, VictimCommands::Finish);
    let own = || preempt(0xa, VictimCommands::Finish);
    let two: &[PathState] = &[USABLE, USABLE];
    vec![
        way("preempt another, is it there?", other(), &[USABLE], &[]),
        way("preempt another", other(), &[USABLE], &["foreign"]),
        way(
            "preempt another, who holds now?",
            other(),
            &[USABLE],
            &["foreign", "good"],
        ),
        way("preempt ourselves, who holds?", own(), two, &[]),
        way(
            "preempt ourselves, leaving; who holds now?",
            own(),
            two,
            &["nobody", "good"],
        ),
        way(
            "preempt ourselves, leaving",
            own(),
            &[USABLE],
            &["nobody", "good", "nobody"],
        ),
        way("preempt ourselves, the map", own(), two, &["ours"]),
        way(
            "preempt ourselves, was it taken?",
            own(),
            &[USABLE],
            &["ours", "lost"],
        ),
        way(
            "preempt ourselves, registering again",
            own(),
            two,
            &["ours", "yes", "good"],
        ),
        way(
            "preempt ourselves, spared?",
            own(),
            two,
            &["shared", "yes", "good"],
        ),
        way(
            "preempt ourselves, still spared?",
            own(),
            two,
            &["shared", "yes", "good", "good", "good"],
        ),
        way(
            "preempt ourselves, spared, who holds?",
            own(),
            two,
            &["shared", "yes", "good", "good", "good", "good"],
        ),
    ]
}

pub(crate) fn way(
    title: &'static str,
    request: Request,
    paths: &'static [PathState],
    answers: &'static [&'static str],
) -> Way {
    Way {
        title,
        request,
        paths,
        answers,
    }
}

fn section(way: &Way) -> String {
    let (transaction, actions, now) = enter(way);
    let mut text = format!("{}: {}\n", transaction.state_name(), way.title);
    let last = actions.last();
    for action in &actions {
        text += &format!("  ({})\n", narrate::action(action));
    }
    for word in words_for(last) {
        let mut transaction = transaction.clone();
        if !feed(&mut transaction, way, last, word, now) {
            continue;
        }
        text += &format!("  {word:<11}→ {}\n", leads_to(&mut transaction, now));
    }
    text + "\n"
}

/// Every step from one state to another that is in the table.
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

/// What may come of an action.
fn words_for(action: Option<&Action>) -> &'static [&'static str] {
    match action {
        Some(Action::Probe { .. }) => PROBE,
        Some(Action::Send {
            command: Command::In(_),
            ..
        }) => IN,
        None | Some(Action::Send { .. }) => OUT,
        Some(Action::Suspend { .. } | Action::Resume { .. }) => MAP,
    }
}

/// Goes the way, answering the oldest action each time.
fn enter(way: &Way) -> (Transaction, Vec<Action>, Duration) {
    let options = Options::for_request(&way.request);
    let mut snapshot = narrate::map(way.paths);
    snapshot.remembered_holding = true;
    let mut transaction = Transaction::new(way.request.clone(), snapshot, options);
    let mut now = Duration::ZERO;
    let mut under_way = poll(&mut transaction);
    for word in way.answers {
        if *word == "alarm" {
            now = transaction.poll_timeout();
            transaction.handle_timeout(now);
        } else {
            let first = under_way.remove(0);
            assert!(
                feed(&mut transaction, way, Some(&first), word, now),
                "{}",
                way.title
            );
        }
        under_way.extend(poll(&mut transaction));
    }
    (transaction, under_way, now)
}

/// Lets it happen; `false` if it cannot happen here.
fn feed(
    transaction: &mut Transaction,
    way: &Way,
    action: Option<&Action>,
    word: &str,
    now: Duration,
) -> bool {
    if word == "alarm" || word == "time" {
        let timeout = transaction.poll_timeout();
        // The alarm comes before any path is given up.
        let is_alarm = timeout <= now + Duration::from_secs(1);
        if (word == "alarm") != is_alarm {
            return false;
        }
        transaction.handle_timeout(timeout);
        return true;
    }
    let event = match action {
        Some(Action::Probe { ticket, .. }) => world::probed(*ticket, word).expect("it answers"),
        Some(Action::Suspend { ticket }) => Event::Suspended {
            ticket: *ticket,
            success: if word == "yes" {
                Success::Yes
            } else {
                Success::No
            },
        },
        Some(Action::Resume { .. }) if word == "no" => return false,
        Some(Action::Resume { ticket }) => Event::Resumed { ticket: *ticket },
        Some(Action::Send {
            ticket, command, ..
        }) => Event::Answered {
            ticket: *ticket,
            answer: reading(command, word, way.paths.len())
                .or_else(|| world::answered(word))
                .expect("it answers"),
        },
        // A finished transaction gets an answer to something it never asked.
        None => Event::Answered {
            ticket: Ticket(99),
            answer: world::answered(word).expect("it answers"),
        },
    };
    transaction.handle_event(now, event);
    true
}

/// What a device says of its registrations, with our paths at the ports 1, 2, … `paths`.
struct Seen {
    generation: u32,
    registrants: Vec<Registrant>,
}

impl Seen {
    fn of(word: &str, paths: usize) -> Option<Self> {
        let last = u64::try_from(paths).expect("few paths");
        let registrant = |port, key, holds| Registrant { port, key, holds };
        let each = |holds: u8| (1..=last).map(move |port| registrant(port, 0xa, holds));
        // Nobody but our last path holds, and it is the one that may be dead.
        let held = |holds: u8| {
            let holds = move |port| if port == last { holds } else { 0 };
            (1..=last).map(move |port| registrant(port, 0xa, holds(port)))
        };
        let (generation, registrants): (u32, Vec<Registrant>) = match word {
            "empty" => (7, Vec::new()),
            "nobody" => (7, each(0).collect()),
            "ours" => (7, held(5).collect()),
            "ours-other" => (7, held(6).collect()),
            // After a takeover by our first path.
            "alone" => (8, vec![registrant(1, 0xa, 5)]),
            // Another node with our key.
            "twin" => (9, vec![registrant(99, 0xa, 5)]),
            "shared" => (7, each(7).collect()),
            "foreign" => (7, each(0).chain([registrant(98, 0xb, 5)]).collect()),
            _ => return None,
        };
        Some(Self {
            generation,
            registrants,
        })
    }
}

fn reading(command: &Command, word: &str, paths: usize) -> Option<Answer> {
    match command {
        Command::In(cdb) => {
            let seen = Seen::of(word, paths)?;
            let data = world::response(cdb.action, seen.generation, &seen.registrants);
            Some(world::good(data))
        }
        Command::Out { .. } => None,
    }
}

fn leads_to(transaction: &mut Transaction, now: Duration) -> String {
    let actions = poll(transaction);
    if let Some(outcome) = transaction.outcome() {
        let effects = narrate::effects(transaction.effects());
        return format!("= {}{effects}", narrate::outcome(outcome));
    }
    let actions: Vec<String> = actions.iter().map(narrate::action).collect();
    let actions = if actions.is_empty() {
        let wait = transaction.poll_timeout().saturating_sub(now);
        format!("(waits {} ms)", wait.as_millis())
    } else {
        actions.join(", ")
    };
    format!("{:<11} {actions}", transaction.state_name())
}

fn poll(transaction: &mut Transaction) -> Vec<Action> {
    std::iter::from_fn(|| transaction.poll_action()).collect()
}
