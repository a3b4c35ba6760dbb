//! Checks the promises of the policy: every history of a small world within bounds, and long
//! random histories of larger ones. `cargo xtask check` runs it.
//!
//! ```text
//! check [--deep] [--seed N] [--only exhaustive|random] [--type N]
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a wrong argument may end it"
)]

use std::collections::VecDeque;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pr_policy::Mutation;
use pr_policy::world::random::{Course, run};
use pr_policy::world::search::{Bounds, Findings, Kinds, Sight, search};
use pr_policy::world::{Alphabet, Exclusion, Link, Setting, Wiring, World};
use scsi_pr::device_server::Profile;
use scsi_pr::{ReservationKey, ReservationType};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let mut violations = 0;
    if arguments.only != Some("random".into()) {
        violations += exhaustive(&arguments);
    }
    if arguments.only != Some("exhaustive".into()) {
        violations += random(&arguments);
    }
    if arguments.only.is_none() {
        violations += mutations();
    }
    println!("check: {violations} violations, {:.1?}", start.elapsed());
    if violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Arguments {
    deep: bool,
    seed: u64,
    only: Option<String>,
    types: Vec<u8>,
}

impl Arguments {
    fn parse() -> Self {
        let mut found = Self {
            deep: false,
            seed: 1,
            only: None,
            types: vec![1, 3, 5, 6, 7, 8],
        };
        let mut words = std::env::args().skip(1);
        let number = |word: Option<String>| word.and_then(|word| word.parse().ok());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--deep" => found.deep = true,
                "--seed" => found.seed = number(words.next()).expect("--seed NUMBER"),
                "--only" => found.only = words.next(),
                "--type" => {
                    let held = number(words.next()).expect("--type NUMBER");
                    found.types = vec![u8::try_from(held).expect("1 to 8")];
                }
                other => panic!("unknown argument {other}"),
            }
        }
        found
    }
}

const ALL: Kinds = Kinds {
    mishaps: true,
    links: true,
    meddling: true,
    crashes: true,
};

/// One line of the table: what is walked through, and how far.
struct Walk {
    name: &'static str,
    paths: [usize; 2],
    ops: u32,
    faults: u32,
    deep: (u32, u32),
    links: &'static [Link],
    most_away: [usize; 2],
    shared_key: bool,
    /// Reservation types that it is about.
    types: &'static [u8],
}

const WALKS: &[Walk] = &[
    // To the end: there are no more states.
    Walk {
        name: "no faults",
        paths: [3, 3],
        ops: 20,
        faults: 0,
        deep: (20, 0),
        links: &[Link::Up, Link::Down],
        most_away: [2, 1],
        shared_key: false,
        types: &[1, 3, 5, 6, 7, 8],
    },
    Walk {
        name: "one fault",
        paths: [3, 3],
        ops: 4,
        faults: 1,
        deep: (6, 1),
        links: &[Link::Up, Link::Down, Link::Gone, Link::Hanging],
        most_away: [2, 0],
        shared_key: false,
        types: &[1, 3, 5, 6, 7, 8],
    },
    Walk {
        name: "two faults",
        paths: [3, 3],
        ops: 2,
        faults: 2,
        deep: (4, 2),
        links: &[Link::Up, Link::Down],
        most_away: [2, 0],
        shared_key: false,
        types: &[1, 3, 5, 6, 7, 8],
    },
    Walk {
        name: "one key for both",
        paths: [3, 3],
        ops: 3,
        faults: 1,
        deep: (5, 1),
        links: &[Link::Up, Link::Down],
        most_away: [1, 1],
        shared_key: true,
        types: &[1, 3, 5, 6, 7, 8],
    },
    // Two register, one reserves, its path goes, the reservation is moved.
    Walk {
        name: "moves",
        paths: [2, 2],
        ops: 5,
        faults: 1,
        deep: (7, 1),
        links: &[Link::Up, Link::Down],
        most_away: [1, 0],
        shared_key: false,
        types: &[1, 3, 5, 6],
    },
];

fn exhaustive(arguments: &Arguments) -> usize {
    println!("exhaustive: 2 nodes, 3 paths each");
    println!("{HEAD}");
    let types = arguments.types.iter().copied();
    let all = WALKS.iter().flat_map(|walk| {
        let types = types.clone().filter(|held| walk.types.contains(held));
        types.map(move |held| (walk, held))
    });
    let queue = Mutex::new(all.collect::<VecDeque<_>>());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || drain(&queue, arguments.deep);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.map(|count| count.expect("a walk panicked")).sum()
    })
}

/// Walks until nothing is left, and counts the violations.
fn drain(queue: &Mutex<VecDeque<(&Walk, u8)>>, is_deep: bool) -> usize {
    let next = || queue.lock().expect("no walk panics").pop_front();
    let mut violations = 0;
    while let Some((walk, held)) = next() {
        let start = Instant::now();
        let found = walk.search(ReservationType(held), is_deep);
        let mut text = line(walk.name, held, &found, start.elapsed());
        for violation in &found.violations {
            text += &format!("\n\n{violation}");
        }
        println!("{text}");
        violations += found.violations.len();
    }
    violations
}

/// Deliberate mistakes: each that is not found counts as a violation of the checker itself.
fn mutations() -> usize {
    let is_found = |mutation: &Mutation| {
        let other: &[u64] = match mutation {
            Mutation::CountKeys => &[0xa],
            _ => &[0xb],
        };
        let alphabet = Alphabet {
            types: vec![ReservationType(5)],
            keys: vec![keys(&[0xa, 0xaa]), keys(other)],
            links: vec![vec![Link::Up, Link::Down], vec![]],
            most_away: vec![1, 0],
            exclusions: Exclusion::ALL.to_vec(),
            moves: false,
            all_tg_pt: false,
        };
        let bounds = Bounds {
            ops: 5,
            faults: 1,
            kinds: ALL,
            sight: Sight::Symmetric,
            most_violations: 1,
        };
        let setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &[2, 2]);
        let world = World::new(Rc::new(setting.with(*mutation)));
        !search(world, &alphabet, bounds).violations.is_empty()
    };
    let found = Mutation::ALL.iter().filter(|mutation| is_found(mutation));
    let found = found.count();
    println!("mutations: {found} of {} found", Mutation::ALL.len());
    Mutation::ALL.len() - found
}

const HEAD: &str =
    "  walk               type   states transitions      steps depth    torn violations     time";

fn line(name: &str, held: u8, found: &Findings, time: Duration) -> String {
    format!(
        "  {name:18} {held:4} {:8} {:11} {:10} {:5} {:7} {:10} {:7.1} s",
        found.states,
        found.transitions,
        found.steps,
        found.depth,
        found.torn,
        found.violated,
        time.as_secs_f64()
    )
}

impl Walk {
    fn search(&self, held: ReservationType, is_deep: bool) -> Findings {
        let setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &self.paths);
        let (a, aa, b) = (0xa, 0xaa, if self.shared_key { 0xa } else { 0xb });
        let alphabet = Alphabet {
            types: vec![held],
            keys: vec![keys(&[a, aa]), keys(&[b])],
            links: vec![self.links.to_vec(), self.links.to_vec()],
            most_away: self.most_away.to_vec(),
            exclusions: Exclusion::ALL.to_vec(),
            moves: true,
            all_tg_pt: false,
        };
        let (ops, faults) = if is_deep {
            self.deep
        } else {
            (self.ops, self.faults)
        };
        let bounds = Bounds {
            ops,
            faults,
            kinds: ALL,
            sight: Sight::Symmetric,
            most_violations: 20,
        };
        search(World::new(Rc::new(setting)), &alphabet, bounds)
    }
}

fn keys(keys: &[u64]) -> Vec<ReservationKey> {
    keys.iter().copied().map(ReservationKey).collect()
}

/// Targets and wirings for the random histories. Not among them: LIO with several sessions of one
/// initiator to one port (purging one takes the access of all).
const GROUNDS: &[(&str, Profile, Wiring)] = &[
    ("strict", Profile::strict(), Wiring::PortPerPath),
    ("strict, one port", Profile::strict(), Wiring::OneInitiator),
    ("strict, iSCSI", Profile::strict(), Wiring::Iscsi),
    ("strict, nameless", Profile::strict(), Wiring::Nameless),
    ("lio", Profile::lio(), Wiring::PortPerPath),
    (
        "per initiator port",
        Profile::per_initiator_port(),
        Wiring::OneInitiator,
    ),
    (
        "no full status",
        Profile::no_full_status(),
        Wiring::PortPerPath,
    ),
    (
        "one at a time",
        Profile::one_at_a_time(),
        Wiring::PortPerPath,
    ),
    (
        "all target ports",
        Profile::needs_all_tg_pt(),
        Wiring::PortPerPath,
    ),
    (
        "all ports of one",
        Profile::needs_all_tg_pt(),
        Wiring::OneInitiator,
    ),
    (
        "room for few",
        Profile::max_registrants(17),
        Wiring::PortPerPath,
    ),
];

fn random(arguments: &Arguments) -> usize {
    let (runs, ops) = if arguments.deep {
        (40, 4_000)
    } else {
        (4, 1_500)
    };
    println!(
        "random: 3 nodes, 8 paths each, {ops} operations, seeds {} to {}",
        arguments.seed,
        arguments.seed + runs - 1
    );
    println!("  target                 ops      steps  faults    torn violations     time");
    let mut violations = 0;
    for (name, profile, wiring) in GROUNDS {
        let start = Instant::now();
        let (mut all, mut found) = ([0; 4], Vec::new());
        for seed in arguments.seed..arguments.seed + runs {
            let run = stroll(*profile, *wiring, ops, seed);
            all = [
                all[0] + run.ops,
                all[1] + run.steps,
                all[2] + run.faults,
                all[3] + run.torn,
            ];
            found.extend(run.violation.map(|violation| (seed, violation)));
        }
        println!(
            "  {name:18} {:7} {:10} {:7} {:7} {:10} {:7.1} s",
            all[0],
            all[1],
            all[2],
            all[3],
            found.len(),
            start.elapsed().as_secs_f64()
        );
        if let Some((seed, violation)) = found.first() {
            println!("\nseed {seed}: {violation}");
        }
        violations += found.len();
    }
    violations
}

fn stroll(profile: Profile, wiring: Wiring, ops: u32, seed: u64) -> pr_policy::world::random::Run {
    let setting = Rc::new(Setting::new(profile, wiring, &[8, 8, 8]));
    let types = [1, 3, 5, 6, 7, 8].map(ReservationType);
    let links = vec![Link::Up, Link::Up, Link::Down, Link::Gone, Link::Hanging];
    let alphabet = Alphabet {
        // One type in each history, so that it meets itself; in some histories all.
        types: match seed % 7 {
            0 => types.to_vec(),
            one => vec![types[usize::try_from(one - 1).expect("small")]],
        },
        keys: vec![keys(&[0xa, 0xaa]), keys(&[0xb]), keys(&[0xc, 0xcc])],
        links: vec![links; 3],
        most_away: vec![4, 7, 2],
        exclusions: Exclusion::ALL.to_vec(),
        moves: false,
        all_tg_pt: profile == Profile::needs_all_tg_pt(),
    };
    let course = Course {
        ops,
        rarity: 12,
        faults_per_op: 2,
        kinds: ALL,
    };
    run(&setting, &alphabet, course, seed)
}
