//! The whole table of a look at what is registered: in each step, what each kind of event leads
//! to.
//!
//! A step is entered by the shortest way there, and stands there more than once, since what
//! follows depends on what is being read and whether another path is left. One of the actions
//! under way, the last, gets the event.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use pr_policy::{
    Action, Answer, Appraisal, Command, Counting, Event, Limits, Look, Membership, Naming, PathId,
    PathState, Standing, Ticket,
};
use scsi_pr::InAction;

use crate::narrate;
use crate::world::{self, Registrant};

/// What may be answered: who is registered and who holds; see [`seen`].
const IN: &[&str] = &[
    "nobody",
    "ours",
    "foreign",
    "moved",
    "nonsense",
    "conflict",
    "reset",
    "preempted",
    "busy",
    "transition",
    "standby",
    "invalid",
    "broken",
    "not-sent",
    "lost",
    "alarm",
    "time",
    "deadline",
];

/// Paths, and the answers that lead to the step.
struct Way {
    title: &'static str,
    paths: &'static [PathState],
    answers: &'static [&'static str],
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
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["Failed", "Reading", "Seen"]
    );
}

/// It changes nothing, whatever it hears.
#[test]
fn nothing_but_reads_is_sent() {
    for way in ways() {
        let (look, actions, now) = enter(&way);
        for word in IN {
            let mut look = look.clone();
            let mut sent = actions.clone();
            if feed(&mut look, actions.last(), word, now) {
                sent.extend(poll(&mut look));
            }
            let is_read = |action: &Action| {
                let Action::Send { command, .. } = action else {
                    return false;
                };
                matches!(command, Command::In(_))
            };
            assert!(sent.iter().all(is_read), "{}: {word}: {sent:?}", way.title);
        }
    }
}

/// Whatever it waits for, it is over at the deadline.
#[test]
fn no_step_outlasts_the_deadline() {
    for way in ways() {
        let (mut look, ..) = enter(&way);
        look.handle_timeout(LIMITS.deadline);
        assert!(look.is_over(), "{}", way.title);
    }
}

fn ways() -> Vec<Way> {
    const TWO: &[PathState] = &[PathState::Usable, PathState::Usable];
    const ONE: &[PathState] = &[PathState::Usable];
    let way = |title, paths, answers| Way {
        title,
        paths,
        answers,
    };
    vec![
        way("who is registered? another path left", TWO, &[]),
        way("who is registered? two paths asked", TWO, &["alarm"]),
        way("who is registered? the last path", ONE, &[]),
        way(
            "how many are registered? another path left",
            TWO,
            &["invalid"],
        ),
        way("how many are registered? the last path", ONE, &["invalid"]),
        way("who holds? another path left", TWO, &["invalid", "ours"]),
        way(
            "who holds? after a silent path",
            TWO,
            &["alarm", "invalid", "ours"],
        ),
        way(
            "who holds? it changed three times already",
            ONE,
            &[
                "invalid", "ours", "moved", "ours", "moved", "ours", "moved", "ours",
            ],
        ),
        way("nothing but a doubtful path", &[PathState::Doubtful], &[]),
        way("nothing but a dead path", &[PathState::Dead], &[]),
        way("seen", ONE, &["ours"]),
    ]
}

fn section(way: &Way) -> String {
    let (look, actions, now) = enter(way);
    let mut text = format!("{}: {}\n", look.state_name(), way.title);
    for action in &actions {
        text += &format!("  ({})\n", narrate::action(action));
    }
    for word in IN {
        let mut look = look.clone();
        if feed(&mut look, actions.last(), word, now) {
            text += &format!("  {word:<11}→ {}\n", leads_to(&mut look, way, now));
        }
    }
    text + "\n"
}

/// Goes the way, answering the last action each time: the first may be silent.
fn enter(way: &Way) -> (Look, Vec<Action>, Duration) {
    let mut look = Look::new(narrate::map(way.paths), LIMITS);
    let mut now = Duration::ZERO;
    let mut under_way = poll(&mut look);
    for word in way.answers {
        if *word == "alarm" {
            now = look.poll_timeout();
        }
        let is_possible = feed(&mut look, under_way.last(), word, now);
        assert!(is_possible, "{}: {word}", way.title);
        if *word != "alarm" {
            under_way.clear();
        }
        under_way.extend(poll(&mut look));
    }
    (look, under_way, now)
}

/// Lets it happen; `false` if it cannot happen here.
fn feed(look: &mut Look, action: Option<&Action>, word: &str, now: Duration) -> bool {
    let timeout = look.poll_timeout();
    // The alarm comes before any path is given up.
    let is_alarm = timeout <= now + LIMITS.read_patience;
    match word {
        "alarm" | "time" if (word == "alarm") != is_alarm => return false,
        "alarm" | "time" => look.handle_timeout(timeout),
        "deadline" => look.handle_timeout(LIMITS.deadline),
        _ => look.handle_event(now, answer(action, word)),
    }
    true
}

fn answer(action: Option<&Action>, word: &str) -> Event {
    let (ticket, answer) = match action {
        Some(Action::Send {
            ticket,
            command: Command::In(cdb),
            ..
        }) => (*ticket, reading(cdb.action, word)),
        // One that is over gets an answer to something it never asked.
        _ => (Ticket(99), reading(InAction::READ_FULL_STATUS, word)),
    };
    Event::Answered { ticket, answer }
}

fn reading(action: InAction, word: &str) -> Answer {
    match seen(word) {
        Some((generation, registrants)) => {
            world::good(world::response(action, generation, &registrants))
        }
        None => world::answered(word).expect("it answers"),
    }
}

/// What a device says of its registrations, and its generation.
fn seen(word: &str) -> Option<(u32, Vec<Registrant>)> {
    let registrant = |port, key, holds| Registrant { port, key, holds };
    Some(match word {
        "nobody" => (7, Vec::new()),
        "ours" => (7, vec![registrant(1, 0xa, 5), registrant(2, 0xa, 0)]),
        "foreign" => (7, vec![registrant(98, 0xb, 5)]),
        // The same as ours, and something has changed meanwhile.
        "moved" => (8, vec![registrant(1, 0xa, 5), registrant(2, 0xa, 0)]),
        _ => return None,
    })
}

fn leads_to(look: &mut Look, way: &Way, now: Duration) -> String {
    let actions: Vec<String> = poll(look).iter().map(narrate::action).collect();
    let silent: Vec<String> = look
        .silent()
        .iter()
        .map(|path| path.0.to_string())
        .collect();
    let silent = match silent.is_empty() {
        true => String::new(),
        false => format!("; silent: {}", silent.join(" ")),
    };
    if look.is_over() {
        assert_eq!(actions, Vec::<String>::new(), "nothing is left to do");
        return match look.appraise(&standing(way)) {
            Ok(appraisal) => format!("= {}{silent}", sight(&appraisal)),
            Err(outcome) => format!("= {}{silent}", narrate::outcome(&outcome)),
        };
    }
    let actions = if actions.is_empty() {
        let wait = look.poll_timeout().saturating_sub(now);
        format!("(waits {} ms)", wait.as_millis())
    } else {
        actions.join(", ")
    };
    format!("{} {actions}{silent}", look.state_name())
}

fn standing(way: &Way) -> Standing {
    let paths = (1..).map(PathId).take(way.paths.len());
    Standing {
        membership: Membership::Lasting,
        holding: None,
        configured: Some(narrate::key(0xa)),
        target_ports: paths.map(|path| (path, 1)).collect(),
        counting: Counting::PerNexus,
    }
}

fn sight(appraisal: &Appraisal) -> String {
    let naming = match appraisal.naming {
        Naming::Named => "named",
        Naming::Counted => "counted",
    };
    let keys = appraisal.keys.iter();
    let keys: Vec<String> = keys
        .map(|(key, count)| format!("{count} of {key}"))
        .collect();
    let keys = match keys.is_empty() {
        true => "nobody".to_owned(),
        false => keys.join(", "),
    };
    let held = appraisal.reservation.map_or(String::new(), |held| {
        format!("; {} holds type {}", held.key, held.reservation_type.0)
    });
    format!("seen at {}, {naming}: {keys}{held}", appraisal.generation)
}

fn poll(look: &mut Look) -> Vec<Action> {
    std::iter::from_fn(|| look.poll_action()).collect()
}

/// Those of a look at one map of many.
const LIMITS: Limits = Limits {
    deadline: Duration::from_secs(5),
    path_patience: Duration::from_millis(2500),
    read_patience: Duration::from_secs(1),
};
