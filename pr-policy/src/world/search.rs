//! Every history within bounds, shortest first.
//!
//! Between operations the world is at rest, and rests that look alike are visited once: the
//! search is breadth first over rests. Inside an operation it branches at every point into every
//! fault, as long as the history's budget of faults lasts.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use std::collections::{HashMap, HashSet};
use std::hash::DefaultHasher;

use super::alphabet::Alphabet;
use super::op::{Fault, Op};
use super::promise::Violation;
use super::stage::{Progress, World};

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most operations in a history.
    pub ops: u32,
    /// Most faults in a history.
    pub faults: u32,
    /// Which faults.
    pub kinds: Kinds,
    /// Rests are told apart by which path is in which state, or only by how many are.
    pub sight: Sight,
    /// Stop after so many violations of different kinds.
    pub most_violations: usize,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// Commands and answers get lost, hang, or meet a busy target.
    pub mishaps: bool,
    /// Paths go and come back.
    pub links: bool,
    /// Other nodes run a command.
    pub meddling: bool,
    /// The program is killed.
    pub crashes: bool,
}

/// Which rests are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Every path is itself.
    Exact,
    /// A node's paths may be exchanged.
    Symmetric,
}

/// What a search has found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Different rests.
    pub states: u64,
    /// Operations carried out, each with one choice of faults.
    pub transitions: u64,
    /// Actions carried out.
    pub steps: u64,
    /// Most operations in a history.
    pub depth: u32,
    /// Rests that a command left without a definite answer: they are not searched further.
    pub torn: u64,
    /// Histories that broke a promise.
    pub violated: u64,
    /// One of each kind.
    pub violations: Vec<Violation>,
}

/// Searches every history that begins with `start`.
#[must_use]
pub fn search(start: World, alphabet: &Alphabet, bounds: Bounds) -> Findings {
    let mut search = Search {
        alphabet,
        bounds,
        seen: HashMap::new(),
        kinds: HashSet::new(),
        queue: VecDeque::new(),
        depth: 0,
        findings: Findings::default(),
    };
    search.arrive(start, bounds.faults);
    while let Some((world, depth, budget)) = search.queue.pop_front() {
        if depth >= bounds.ops || search.is_full() {
            continue;
        }
        search.depth = depth + 1;
        for op in alphabet.ops(&world) {
            search.begin(world.clone(), op, budget);
        }
    }
    search.findings
}

struct Search<'a> {
    alphabet: &'a Alphabet,
    bounds: Bounds,
    /// The largest budget of faults that a rest was reached with.
    seen: HashMap<u64, u32>,
    /// Kinds of violations found.
    kinds: HashSet<String>,
    queue: VecDeque<(World, u32, u32)>,
    /// Of the operation under way.
    depth: u32,
    findings: Findings,
}

impl Search<'_> {
    fn is_full(&self) -> bool {
        self.findings.violations.len() >= self.bounds.most_violations
    }

    /// Of each kind of violation the first one, which has the shortest history.
    #[expect(clippy::boxed_local, reason = "as it comes")]
    fn note(&mut self, violation: Box<Violation>) {
        self.findings.violated += 1;
        if !self.is_full() && self.kinds.insert(violation.kind()) {
            self.findings.violations.push(*violation);
        }
    }

    fn begin(&mut self, mut world: World, op: Op, budget: u32) {
        let node = op.node();
        match world.begin(op) {
            Ok(Progress::Running) => self.play(world, node, budget),
            Ok(Progress::Ended) => self.ended(world, budget),
            Err(violation) => self.note(violation),
        }
    }

    fn play(&mut self, mut world: World, node: usize, budget: u32) {
        loop {
            if self.is_full() {
                return;
            }
            if budget > 0 && !world.has_mishap(node) {
                for fault in self.alphabet.faults(&world, node, self.bounds.kinds) {
                    self.branch(world.clone(), node, fault, budget - 1);
                }
            }
            self.findings.steps += 1;
            match world.step(node) {
                Ok(Progress::Running) => {}
                Ok(Progress::Ended) => return self.ended(world, budget),
                Err(violation) => return self.note(violation),
            }
        }
    }

    fn branch(&mut self, mut world: World, node: usize, fault: Fault, budget: u32) {
        match world.inject(node, fault) {
            Ok(()) if world.is_running(node) => self.play(world, node, budget),
            Ok(()) => self.ended(world, budget),
            Err(violation) => self.note(violation),
        }
    }

    fn ended(&mut self, mut world: World, budget: u32) {
        self.findings.transitions += 1;
        if let Some(duty) = world.duty() {
            return self.begin(world, duty, budget);
        }
        match world.settle() {
            Ok(()) => self.arrive(world, budget),
            Err(violation) => self.note(violation),
        }
    }

    fn arrive(&mut self, mut world: World, budget: u32) {
        world.calm();
        if world.is_torn() {
            self.findings.torn += 1;
            return;
        }
        let mut hasher = DefaultHasher::new();
        world.look(self.bounds.sight).hash(&mut hasher);
        let seen = self.seen.entry(hasher.finish());
        if let std::collections::hash_map::Entry::Occupied(best) = &seen
            && *best.get() >= budget
        {
            return;
        }
        seen.insert_entry(budget);
        self.findings.states = self.seen.len() as u64;
        self.findings.depth = self.depth;
        self.queue.push_back((world, self.depth, budget));
    }
}

impl World {
    /// What tells this rest from another one.
    fn look(&self, sight: Sight) -> impl Hash + use<> {
        let setting = &self.setting;
        let entries: Vec<_> = self.unit.registrations().collect();
        let node_look = |number: usize| {
            let host = &self.nodes[number];
            let path = |path: usize| {
                let nexus = setting.nexus(number, path);
                let place = entries.iter().position(|entry| entry.nexus == nexus);
                let key = place.map(|place| entries[place].key);
                let is_holder = self.unit.is_holder(nexus);
                let is_known = host.record.nexuses.contains(&path);
                let slot = &host.paths[path];
                (
                    slot.link,
                    slot.is_active,
                    slot.trust,
                    slot.is_spared,
                    key,
                    is_holder,
                    is_known,
                )
            };
            let mut paths: Vec<_> = (0..host.paths.len()).map(path).collect();
            if sight == Sight::Symmetric {
                paths.sort_unstable();
            }
            let record = &host.record;
            let remembered = (record.exists, record.key, record.aptpl, record.holding);
            let cut_off = host.journal.is_some().then_some(host.before);
            let candidates: Vec<_> = self
                .reference
                .candidates()
                .iter()
                .map(|candidate| {
                    (
                        candidate.key(number, setting),
                        candidate.may_write(number, setting),
                    )
                })
                .collect();
            (paths, remembered, cut_off, candidates)
        };
        let nodes: Vec<_> = (0..self.nodes.len()).map(node_look).collect();
        let held = self
            .unit
            .reservation()
            .map(|held| (held.key, held.reservation_type.0));
        let candidates: Vec<_> = self
            .reference
            .candidates()
            .iter()
            .map(|candidate| {
                candidate
                    .held(setting)
                    .map(|held| (held.reservation_type.0, held.node))
            })
            .collect();
        (nodes, held, candidates)
    }
}
