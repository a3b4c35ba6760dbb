//! Checks the promises of the policy: every history of a small world within bounds, and long
//! random histories of larger ones. `cargo xtask check` runs it.
//!
//! ```text
//! check [--deep] [--only exhaustive|scenes|random] [--type N] [--walk NAME] [--most KINDS]
//!       [--seed N] [--runs N] [--target NAME] [--without EXCLUSION]
//! ```

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a wrong argument may end it"
)]

mod scenes;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pr_policy::Mutation;
use pr_policy::world::random::{Course, Run, run};
use pr_policy::world::search::{Bounds, Findings, Kinds, Sight, search};
use pr_policy::world::{Alphabet, Exclusion, Link, Setting, Violation, Wiring, World};
use scsi_pr::device_server::{Profile, Quirks};
use scsi_pr::{ReservationKey, ReservationType};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let mut violations = 0;
    let is_meant = |part: &str| arguments.only.as_ref().is_none_or(|only| only == part);
    if is_meant("exhaustive") {
        violations += exhaustive(&arguments);
    }
    if is_meant("scenes") {
        violations += scenes::scenes(&arguments);
    }
    if is_meant("random") {
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
    runs: Option<u64>,
    target: Option<String>,
    only: Option<String>,
    types: Vec<u8>,
    walk: Option<String>,
    /// Of violations, in one walk; it ends when it has found so many.
    most_kinds: usize,
}

impl Arguments {
    fn parse() -> Self {
        let mut found = Self {
            deep: false,
            seed: 1,
            runs: None,
            target: None,
            only: None,
            types: vec![1, 3, 5, 6, 7, 8],
            walk: None,
            most_kinds: 20,
        };
        let mut words = std::env::args().skip(1);
        let number = |word: Option<String>| word.and_then(|word| word.parse().ok());
        let count = |word| number(word).and_then(|number| usize::try_from(number).ok());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--deep" => found.deep = true,
                "--seed" => found.seed = number(words.next()).expect("--seed NUMBER"),
                "--runs" => found.runs = number(words.next()),
                "--target" => found.target = words.next(),
                "--only" => found.only = words.next(),
                "--walk" => found.walk = words.next(),
                "--most" => found.most_kinds = count(words.next()).expect("--most NUMBER"),
                // See `exclusions`.
                "--without" => drop(words.next()),
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

/// What is left out, but for those that `--without NAME` wants to see.
fn exclusions() -> Vec<Exclusion> {
    let words: Vec<String> = std::env::args().collect();
    let is_wanted = |exclusion: &Exclusion| {
        let name = format!("{exclusion:?}");
        words
            .windows(2)
            .any(|pair| pair[0] == "--without" && pair[1] == name)
    };
    let mut all = Exclusion::ALL.to_vec();
    all.retain(|exclusion| !is_wanted(exclusion));
    all
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

/// A search, what it is called, and the reservation type that it is about.
struct Search<'a> {
    name: String,
    held: u8,
    find: Box<dyn Fn() -> Findings + Send + 'a>,
}

fn exhaustive(arguments: &Arguments) -> usize {
    let is_meant = |walk: &&Walk| {
        let name = arguments.walk.as_ref();
        name.is_none_or(|name| name == walk.name)
    };
    let all = WALKS.iter().filter(is_meant).flat_map(|walk| {
        let types = arguments.types.iter().copied();
        let types = types.filter(|held| walk.types.contains(held));
        types.map(move |held| Search {
            name: walk.name.to_owned(),
            held,
            find: Box::new(move || walk.search(ReservationType(held), arguments)),
        })
    });
    println!("exhaustive: 2 nodes, 3 paths each");
    carry_out(all)
}

/// Searches on all processors, and counts the violations.
fn carry_out<'a>(all: impl Iterator<Item = Search<'a>>) -> usize {
    println!("{HEAD}");
    let queue = Mutex::new(all.collect::<VecDeque<_>>());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || drain(&queue);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.map(|count| count.expect("a search panicked")).sum()
    })
}

/// Searches until nothing is left, and counts the violations.
fn drain(queue: &Mutex<VecDeque<Search<'_>>>) -> usize {
    let next = || queue.lock().expect("no search panics").pop_front();
    let mut violations = 0;
    while let Some(Search { name, held, find }) = next() {
        let start = Instant::now();
        let found = find();
        let mut text = line(&name, held, &found, start.elapsed());
        for violation in &found.violations {
            text += &format!("\n\n{violation}");
        }
        println!("{text}");
        violations += found.violations.len();
    }
    violations
}

/// Deliberate mistakes: each that is not found counts as a violation of the checker itself, and so
/// does what is found where none is made.
fn mutations() -> usize {
    let is_found = |mutation: Option<Mutation>, other: u64| {
        let alphabet = Alphabet {
            types: vec![ReservationType(5)],
            keys: vec![keys(&[0xa, 0xaa]), keys(&[other])],
            links: vec![vec![Link::Up, Link::Down], vec![]],
            most_away: vec![1, 0],
            exclusions: exclusions(),
            moves: false,
            all_tg_pt: false,
            aptpl: false,
        };
        let bounds = Bounds {
            ops: 5,
            faults: 1,
            kinds: ALL,
            sight: Sight::Symmetric,
            most_violations: 1,
        };
        let mut setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &[2, 2]);
        setting.mutation = mutation;
        !search(World::new(Rc::new(setting)), &alphabet, bounds)
            .violations
            .is_empty()
    };
    let key_of_other = |mutation: Mutation| match mutation {
        Mutation::CountKeys => 0xa,
        _ => 0xb,
    };
    let all = Mutation::ALL.iter().copied();
    let found = all.filter(|it| is_found(Some(*it), key_of_other(*it)));
    let found = found.count();
    let without = [0xa, 0xb].into_iter().filter(|key| is_found(None, *key));
    let without = without.count();
    println!(
        "mutations: {found} of {} found, and {without} where there is none",
        Mutation::ALL.len()
    );
    Mutation::ALL.len() - found + without
}

const HEAD: &str = "  walk                           type   states transitions      steps \
                    depth    torn violations     time";

fn line(name: &str, held: u8, found: &Findings, time: Duration) -> String {
    format!(
        "  {name:30} {held:4} {:8} {:11} {:10} {:5} {:7} {:10} {:7.1} s",
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
    fn search(&self, held: ReservationType, arguments: &Arguments) -> Findings {
        let setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &self.paths);
        let (a, aa, b) = (0xa, 0xaa, if self.shared_key { 0xa } else { 0xb });
        let alphabet = Alphabet {
            types: vec![held],
            keys: vec![keys(&[a, aa]), keys(&[b])],
            links: vec![self.links.to_vec(), self.links.to_vec()],
            most_away: self.most_away.to_vec(),
            exclusions: exclusions(),
            moves: true,
            all_tg_pt: false,
            aptpl: false,
        };
        let (ops, faults) = if arguments.deep {
            self.deep
        } else {
            (self.ops, self.faults)
        };
        let bounds = Bounds {
            ops,
            faults,
            kinds: ALL,
            sight: Sight::Symmetric,
            most_violations: arguments.most_kinds,
        };
        search(World::new(Rc::new(setting)), &alphabet, bounds)
    }
}

fn keys(keys: &[u64]) -> Vec<ReservationKey> {
    keys.iter().copied().map(ReservationKey).collect()
}

type Ground = (&'static str, Profile, Wiring);

/// Targets and wirings for the random histories. Not among them: LIO with several sessions of one
/// initiator to one port (purging one takes the access of all).
const GROUNDS: &[Ground] = &[
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
        (7, 1_000)
    };
    let runs = arguments.runs.unwrap_or(runs);
    println!(
        "random: 3 nodes, 8 paths each, {ops} operations, seeds {} to {}",
        arguments.seed,
        arguments.seed + runs - 1
    );
    println!("  target                 ops      steps  faults    torn   most violations     time");
    let meant = |ground: &&Ground| {
        arguments
            .target
            .as_ref()
            .is_none_or(|name| name == ground.0)
    };
    let tours = Tours::new(GROUNDS.iter().filter(meant), arguments.seed, runs);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || tours.travel(ops);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.map(|count| count.expect("a run panicked")).sum()
    })
}

/// Random runs that wait for a thread, and what those on each target have come to.
struct Tours {
    queue: Mutex<VecDeque<(usize, u64)>>,
    totals: Mutex<Vec<Total>>,
}

/// All runs on one target.
struct Total {
    ground: &'static Ground,
    left: u64,
    sum: Run,
    busy: Duration,
    /// One of each kind, with its seed; and how many.
    violations: Vec<(String, u64, usize, Violation)>,
}

impl Tours {
    fn new(grounds: impl Iterator<Item = &'static Ground>, seed: u64, runs: u64) -> Self {
        let total = |ground| Total {
            ground,
            left: runs,
            sum: Run::default(),
            busy: Duration::ZERO,
            violations: Vec::new(),
        };
        let totals: Vec<_> = grounds.map(total).collect();
        let seeds = |at: usize| (seed..seed + runs).map(move |seed| (at, seed));
        Self {
            queue: Mutex::new((0..totals.len()).flat_map(seeds).collect()),
            totals: Mutex::new(totals),
        }
    }

    /// Runs until nothing is left, and counts the violations.
    fn travel(&self, ops: u32) -> usize {
        let next = || self.queue.lock().expect("no run panics").pop_front();
        let mut violations = 0;
        while let Some((at, seed)) = next() {
            let (_, profile, wiring) = *self.totals.lock().expect("no run panics")[at].ground;
            let start = Instant::now();
            let run = stroll(profile, wiring, ops, seed);
            violations += usize::from(run.violation.is_some());
            let total = &mut self.totals.lock().expect("no run panics")[at];
            total.add(seed, run, start.elapsed());
            if total.left == 0 {
                println!("{}", total.lines());
            }
        }
        violations
    }
}

impl Total {
    fn add(&mut self, seed: u64, run: Run, time: Duration) {
        self.left -= 1;
        self.busy += time;
        self.sum.ops += run.ops;
        self.sum.steps += run.steps;
        self.sum.faults += run.faults;
        self.sum.torn += run.torn;
        self.sum.most_candidates = self.sum.most_candidates.max(run.most_candidates);
        let Some(violation) = run.violation else {
            return;
        };
        let kind = violation.kind();
        match self.violations.iter_mut().find(|known| known.0 == kind) {
            Some(known) => known.2 += 1,
            None => self.violations.push((kind, seed, 1, violation)),
        }
    }

    fn lines(&self) -> String {
        let count: usize = self.violations.iter().map(|known| known.2).sum();
        let mut lines = format!(
            "  {:18} {:7} {:10} {:7} {:7} {:6} {count:10} {:7.1} s",
            self.ground.0,
            self.sum.ops,
            self.sum.steps,
            self.sum.faults,
            self.sum.torn,
            self.sum.most_candidates,
            self.busy.as_secs_f64()
        );
        for (_, seed, count, violation) in &self.violations {
            lines += &format!("\n\nseed {seed}, {count} of this kind: {violation}");
        }
        lines
    }
}

fn stroll(profile: Profile, wiring: Wiring, ops: u32, seed: u64) -> Run {
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
        exclusions: exclusions(),
        moves: may_move(profile, wiring),
        all_tg_pt: profile == Profile::needs_all_tg_pt(),
        aptpl: seed.is_multiple_of(2),
    };
    let course = Course {
        ops,
        rarity: 12,
        faults_per_op: 2,
        kinds: ALL,
    };
    run(&setting, &alphabet, course, seed)
}

/// Who gets the reservation does not know; where the device does not name it either, it cannot use
/// it once that path is gone.
fn may_move(profile: Profile, wiring: Wiring) -> bool {
    wiring != Wiring::Nameless && !profile.has(Quirks::NO_FULL_STATUS)
}
