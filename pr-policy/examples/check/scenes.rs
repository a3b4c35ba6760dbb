//! Searches that begin where the policy has to prove itself: two nodes are registered, the first
//! one holds, and the path that holds is away. On every target, with a key for each node and with
//! one for both.

use std::rc::Rc;

use pr_policy::world::search::{Bounds, Findings, Sight, search};
use pr_policy::world::{Alphabet, Link, Op, Progress, Setting, World};
use pr_policy::{Register, RegisterMode, Request, Reserve};
use scsi_pr::device_server::Quirks;
use scsi_pr::{ReservationKey, ReservationType};

use crate::{ALL, Arguments, GROUNDS, Ground, Search, carry_out, exclusions, keys, may_move};

/// How the path that holds is away.
const LOSSES: [Link; 3] = [Link::Down, Link::Gone, Link::Hanging];

/// By node: the one that holds has a second one to change to.
const KEYS: [(&str, u64); 2] = [("", 0xb), (", one key", 0xa)];

pub(crate) fn scenes(arguments: &Arguments) -> usize {
    println!("scenes: 2 nodes, 3 paths each, the path that holds is down, gone or silent");
    let is_meant = |ground: &&Ground| {
        let name = arguments.target.as_ref();
        // Where there is no room for all paths one disk is registered and a map is not.
        name.is_none_or(|name| name == ground.0) && ground.1.max_registrants.is_none()
    };
    let grounds = GROUNDS.iter().filter(is_meant);
    let all = grounds.flat_map(|ground| KEYS.iter().map(move |other| (ground, other)));
    carry_out(all.flat_map(|(ground, (word, other))| {
        let types = arguments.types.iter().copied();
        types.map(move |held| Search {
            name: format!("{}{word}", ground.0),
            held,
            find: Box::new(move || play(ground, *other, ReservationType(held), arguments)),
        })
    }))
}

fn play(ground: &Ground, other: u64, held: ReservationType, arguments: &Arguments) -> Findings {
    let (_, profile, wiring) = *ground;
    let all_tg_pt = profile.has(Quirks::NEEDS_ALL_TG_PT);
    let alphabet = Alphabet {
        types: vec![held],
        keys: vec![keys(&[0xa, 0xaa]), keys(&[other])],
        links: vec![vec![Link::Up, Link::Down, Link::Hanging], vec![Link::Up]],
        most_away: vec![2, 0],
        exclusions: exclusions(),
        moves: may_move(profile, wiring),
        all_tg_pt,
        aptpl: true,
    };
    // What must be spared, since another node has the key as well, keeps what it holds: beyond one
    // command two nodes with one key are no two disks any more.
    let is_shared = other == 0xa;
    let bounds = Bounds {
        ops: if arguments.deep && !is_shared { 2 } else { 1 },
        faults: 1,
        kinds: ALL,
        sight: Sight::Symmetric,
        most_violations: arguments.most_kinds,
    };
    let setting = Setting::new(profile, wiring, &[3, 3]);
    let mut world = World::new(Rc::new(setting));
    for (node, key) in [(0, 0xa), (1, other)] {
        let key = ReservationKey(key);
        happens(&mut world, ask(node, registration(key, all_tg_pt)));
    }
    let key = ReservationKey(0xa);
    let reserve = Reserve {
        key,
        reservation_type: held,
    };
    happens(&mut world, ask(0, Request::Reserve(reserve)));
    let mut all = Findings::default();
    for link in LOSSES {
        let mut world = world.clone();
        // The first path that is usable takes a reservation.
        let loss = Op::Link {
            node: 0,
            path: 0,
            link,
        };
        happens(&mut world, loss);
        add(&mut all, search(world, &alphabet, bounds));
    }
    all
}

fn ask(node: usize, request: Request) -> Op {
    Op::Ask { node, request }
}

fn registration(new_key: ReservationKey, all_tg_pt: bool) -> Request {
    Request::Register(Register {
        mode: RegisterMode::Compare,
        key: ReservationKey::NONE,
        new_key,
        aptpl: true,
        all_tg_pt,
        transport_ids: Vec::new(),
    })
}

/// Without a fault, and with what is to be done after it.
fn happens(world: &mut World, op: Op) {
    let mut next = Some(op);
    while let Some(op) = next {
        let node = op.node();
        let mut progress = world.begin(op).expect("nothing is broken yet");
        while progress == Progress::Running {
            progress = world.step(node).expect("nothing is broken yet");
        }
        next = world.duty();
    }
    world.settle().expect("nothing is broken yet");
    assert!(!world.is_torn(), "{:#?}", world.history());
    world.calm();
}

fn add(all: &mut Findings, found: Findings) {
    all.states += found.states;
    all.transitions += found.transitions;
    all.steps += found.steps;
    all.depth = all.depth.max(found.depth);
    all.torn += found.torn;
    all.violated += found.violated;
    all.violations.extend(found.violations);
}
