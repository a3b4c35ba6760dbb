//! What the policy promises, and how each promise is judged.
//!
//! | | promise | judged |
//! |---|---|---|
//! | P1 | same answer, same reservation, same holder | when a command ends; at rest |
//! | P2 | no lost I/O | after every step |
//! | P3 | no stolen I/O | after every step |
//! | P4 | no leaked keys | at rest |
//! | P5 | no collateral | at rest |
//! | P6 | crash-safe: never left suspended | after every step |
//! | P7 | bounded | when a command ends |

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use scsi_pr::device_server::Nexus;
use scsi_pr::{Reservation, ReservationKey, ReservationType};

use super::ending::is_unclear;
use super::machine::{Machine, Running};
use super::op::{Link, Op, Shown};
use super::reference::{Candidate, Course, Held};
use super::stage::{PathSlot, World};
use crate::limits::RESUME_PATIENCE;
use crate::outcome::Outcome;
use crate::request::Request;
use crate::transaction::Options;

/// One promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// P1: as one disk would have answered.
    SameAnswer,
    /// P2: I/O that one disk would let in meets no conflict.
    NoLostIo,
    /// P3: I/O that one disk would shut out gets in nowhere.
    NoStolenIo,
    /// P4: no registration of an old key of ours is left.
    NoLeakedKeys,
    /// P5: other nodes keep what they have.
    NoCollateral,
    /// P6: killed at any instant, nothing is left half done.
    CrashSafe,
    /// P7: everything ends in time.
    Bounded,
}

/// A promise was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which one.
    pub promise: Promise,
    /// What was expected, and what was found.
    pub why: String,
    /// How it came to that.
    pub history: Vec<String>,
}

/// What everybody had when the world was last at rest.
#[derive(Debug, Clone, Default)]
pub(super) struct RestPoint {
    /// By node and path.
    keys: Vec<Vec<Option<ReservationKey>>>,
    /// By candidate and node.
    reference: Vec<Vec<Option<ReservationKey>>>,
    /// Nodes that have done something since.
    actors: Vec<usize>,
}

impl RestPoint {
    pub(super) fn note_actor(&mut self, node: usize) {
        self.actors.push(node);
    }

    /// The key that a node had in every candidate, if it has done nothing since.
    fn steady_key(&self, node: usize) -> Option<Option<ReservationKey>> {
        let first = *self.reference.first()?.get(node)?;
        let is_steady = self
            .reference
            .iter()
            .all(|keys| keys.get(node) == Some(&first));
        (is_steady && !self.actors.contains(&node)).then_some(first)
    }
}

/// During operations.
impl World {
    /// P2, P3 and P6, now.
    pub(super) fn check_step(&self) -> Result<(), Box<Violation>> {
        for (node, host) in self.nodes.iter().enumerate() {
            if host.is_suspended {
                if host.running.is_none() {
                    return Err(self.broken(
                        Promise::CrashSafe,
                        format!("nobody is left to resume the map of node {node}"),
                    ));
                }
                continue;
            }
            self.check_io(node)?;
        }
        Ok(())
    }

    fn check_io(&self, node: usize) -> Result<(), Box<Violation>> {
        let host = &self.nodes[node];
        let mut admitted = self.reference.candidates().iter();
        let is_in = admitted
            .clone()
            .all(|candidate| candidate.may_write(node, &self.setting));
        // A node that registers, and was not registered, has not been told yet that it is in, and
        // its paths follow one after the other. What its record says does not matter: it may not
        // know yet that it was shut out.
        let is_told = !(host.is_joining && self.is_registering(node));
        let is_out = !is_in && !admitted.any(|candidate| candidate.may_write(node, &self.setting));
        if !is_in && !is_out {
            return Ok(());
        }
        for (path, slot) in host.paths.iter().enumerate() {
            if !slot.is_active || slot.link != Link::Up {
                continue;
            }
            let may_write = self.unit.may_write(self.setting.nexus(node, path));
            if is_in && is_told && !may_write && !self.is_excused(node) {
                return Err(self.broken(
                    Promise::NoLostIo,
                    format!("a write of node {node} through path {path} meets a conflict"),
                ));
            }
            if is_out && may_write && !self.is_registering(node) {
                return Err(self.broken(
                    Promise::NoStolenIo,
                    format!("a write of node {node}, which is shut out, gets in on path {path}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether this node is registering or changing its key, or was killed in the middle: its
    /// paths follow one after the other, and one whose REGISTER arrives behind the command that
    /// shut the node out is in until that is noticed. P3 is judged when the command has ended,
    /// or the next start has settled it.
    fn is_registering(&self, node: usize) -> bool {
        let host = &self.nodes[node];
        let running = host.running.as_ref().map(|running| &running.op);
        let registers = |op: &Op| {
            matches!(op, Op::Ask { request: Request::Register(register), .. }
                if !register.is_unregister())
        };
        running.into_iter().chain(&host.journal).any(registers)
    }

    /// Whether a conflict on a path of this node is none of this command's.
    fn is_excused(&self, node: usize) -> bool {
        let host = &self.nodes[node];
        let running = host.running.as_ref();
        // It says so as soon as the map is resumed.
        let admits_it = running.is_some_and(|running| running.machine.is_unclear());
        // Whether a reservation of all registrants ends with this node is decided by those who
        // leave meanwhile: it cannot know that it has to release.
        let is_overtaken = host.is_overtaken
            || running.is_some_and(|running| running.meddlings > 0 && is_unregister(&running.op));
        host.is_torn
            || admits_it
            || is_overtaken
            || self.is_single_nexus(node)
            || self.has_latecomer(node)
            || self.is_kept_by_remnants()
    }

    /// Whether a reservation of all registrants is kept by what commands have left behind on paths
    /// that are away: they said so, or had to spare another node's.
    fn is_kept_by_remnants(&self) -> bool {
        let is_shared = |held: Reservation| held.reservation_type.is_all_registrants();
        let is_remnant = |nexus: &Nexus| {
            (0..self.nodes.len()).any(|node| {
                let host = &self.nodes[node];
                let paths = host.paths.iter().enumerate();
                let is_left =
                    |slot: &PathSlot| !slot.is_active && (host.may_leak || slot.is_spared);
                let mut away = paths.filter(|(_, slot)| is_left(slot));
                away.any(|(path, _)| self.setting.nexus(node, path) == nexus)
            })
        };
        let mut registrations = self.unit.registrations();
        self.unit.reservation().is_some_and(is_shared)
            && registrations.all(|found| is_remnant(found.nexus))
    }

    /// Whether a node that was shut out has registered too late and not noticed yet: that keeps a
    /// reservation of all registrants, although everybody else has left.
    fn has_latecomer(&self, node: usize) -> bool {
        let is_shared = |held: Reservation| held.reservation_type.is_all_registrants();
        let is_late = |late: usize| {
            let mut candidates = self.reference.candidates().iter();
            let is_out = |candidate: &Candidate| candidate.key(late, &self.setting).is_none();
            // What is known of others; of itself it will be when its command ends.
            let may_be_out = if late == node {
                candidates.any(is_out)
            } else {
                candidates.all(is_out)
            };
            let mut paths = 0..self.setting.paths(late);
            may_be_out
                && self.nodes[late].running.is_some()
                && paths.any(|path| self.path_key(late, path).is_some())
        };
        self.unit.reservation().is_some_and(is_shared) && (0..self.nodes.len()).any(is_late)
    }

    /// Types 1 and 3 let the one nexus in that reserved, and registrations let nobody in: of a
    /// map with several paths all others are shut out. This node holds such a reservation, by
    /// whichever nexus: no conflict on its paths is counted.
    fn is_single_nexus(&self, node: usize) -> bool {
        let Some(reservation) = self.unit.reservation() else {
            return false;
        };
        let is_single = matches!(
            reservation.reservation_type,
            ReservationType::WRITE_EXCLUSIVE | ReservationType::EXCLUSIVE_ACCESS
        );
        is_single && self.holder_node() == Some(node)
    }

    fn holder_node(&self) -> Option<usize> {
        let holds = |node: &usize| {
            (0..self.setting.paths(*node))
                .any(|path| self.unit.is_holder(self.setting.nexus(*node, path)))
        };
        (0..self.nodes.len()).find(holds)
    }

    pub(super) fn check_time(&self, node: usize, running: &Running) -> Result<(), Box<Violation>> {
        let paths = self.nodes[node].paths.iter();
        let hanging = paths.filter(|slot| slot.link == Link::Hanging).count();
        if running.mishaps == 0 && hanging == 1 && running.now > ONE_WAIT {
            return Err(self.broken(
                Promise::Bounded,
                format!("a path that hangs cost node {node} {:?}", running.now),
            ));
        }
        let Machine::Transaction(transaction) = &running.machine else {
            return Ok(());
        };
        let deadline = Options::for_request(transaction.request()).limits.deadline;
        if running.now <= deadline + RESUME_PATIENCE {
            return Ok(());
        }
        Err(self.broken(
            Promise::Bounded,
            format!("the command of node {node} took {:?}", running.now),
        ))
    }

    pub(super) fn runaway(&self, node: usize) -> Box<Violation> {
        self.broken(Promise::Bounded, format!("node {node} never ends"))
    }

    pub(super) fn never_settled(&self, node: usize, path: usize) -> Box<Violation> {
        self.broken(
            Promise::NoLostIo,
            format!("path {path} of node {node} is up and never reinstated"),
        )
    }

    pub(super) fn broken(&self, promise: Promise, why: String) -> Box<Violation> {
        Box::new(Violation {
            promise,
            why,
            history: self.history(),
        })
    }
}

/// When a command ends.
impl World {
    pub(super) fn conclude(
        &mut self,
        node: usize,
        request: &Request,
        outcome: &Outcome,
        running: &Running,
    ) -> Result<(), Box<Violation>> {
        let answers = self.reference.answers(node);
        let course = Course {
            is_overtaken: running.meddlings > 0,
            is_disturbed: running.mishaps > 0,
            meets_remnant: matches!(request, Request::Preempt(preempt)
                if running.spared.contains(&preempt.victim)),
        };
        let ended = Some((outcome, course));
        self.reference.end(node, ended, request, &self.setting);
        if self.reference.candidates().is_empty() {
            let shown = Shown(request);
            return Err(self.broken(
                Promise::SameAnswer,
                format!("node {node}: {shown}: {outcome:?}, but one disk answers {answers:?}"),
            ));
        }
        let is_unclear = is_unclear(outcome) || is_unreachable(outcome);
        if is_unclear && running.mishaps == 0 && !self.is_excusable(node, outcome, running) {
            let shown = Shown(request);
            return Err(self.broken(
                Promise::SameAnswer,
                format!("node {node}: {shown}: {outcome:?}, although nothing went wrong"),
            ));
        }
        self.nodes[node].note_end(request, outcome, is_unclear);
        Ok(())
    }

    fn is_excusable(&self, node: usize, outcome: &Outcome, running: &Running) -> bool {
        // One that could never be settled must not carry anything.
        let is_up = |path: &PathSlot| path.link == Link::Up && path.is_active;
        match outcome {
            Outcome::NoUsablePath | Outcome::Unreachable { .. } => {
                !self.nodes[node].paths.iter().any(is_up)
            }
            // Of two nodes with one key neither can preempt the other's registrations with its own.
            Outcome::HolderUnreachable { key, .. } => {
                running.foreign.contains(key) || self.is_shared_key(node, *key)
            }
            // What a takeover had freed was given to another node's registrations.
            Outcome::Incomplete { .. } => self.setting.profile.max_registrants.is_some(),
            _ => false,
        }
    }
}

pub(super) fn is_unregister(op: &Op) -> bool {
    matches!(op, Op::Ask { request: Request::Register(register), .. } if register.is_unregister())
}

fn is_unreachable(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::NoUsablePath | Outcome::Unreachable { .. } | Outcome::NotSuspended
    )
}

/// At rest.
impl World {
    /// Judges P1, P4 and P5, when every node is idle and every path has been looked at.
    ///
    /// # Errors
    /// One is broken.
    pub fn settle(&mut self) -> Result<(), Box<Violation>> {
        if self.is_busy() || self.duty().is_some() {
            return Ok(());
        }
        let mut reference = self.reference.clone();
        let found = reference.settle(|candidate| self.disagreement(candidate));
        if let Some((promise, why)) = found {
            return Err(self.broken(promise, why));
        }
        self.reference = reference;
        self.note_spared();
        self.check_collateral()?;
        self.note_rest();
        Ok(())
    }

    fn disagreement(&self, candidate: &Candidate) -> Option<(Promise, String)> {
        let torn = self.is_torn() || self.is_kept_by_remnants();
        let (expected, found) = (candidate.held(&self.setting), self.held());
        if expected != found && !torn {
            let why = format!("the reservation is {found:?}, on one disk {expected:?}");
            return Some((Promise::SameAnswer, why));
        }
        let (lasts, found) = (candidate.outlives_power(), self.unit.is_aptpl_active());
        // Of no registrations none can be lost.
        let is_any = (0..self.nodes.len()).any(|node| candidate.key(node, &self.setting).is_some());
        if is_any && lasts != found && !self.is_torn() {
            let why = format!("APTPL is {found}, on one disk {lasts}");
            return Some((Promise::SameAnswer, why));
        }
        (0..self.nodes.len())
            .filter(|node| !self.nodes[*node].is_torn)
            .find_map(|node| self.registration_disagreement(node, candidate))
    }

    fn held(&self) -> Option<Held> {
        let reservation = self.unit.reservation()?;
        let is_shared = reservation.reservation_type.is_all_registrants();
        Some(Held {
            reservation_type: reservation.reservation_type,
            node: self.holder_node().filter(|_| !is_shared),
        })
    }

    fn registration_disagreement(
        &self,
        node: usize,
        candidate: &Candidate,
    ) -> Option<(Promise, String)> {
        let expected = candidate.key(node, &self.setting);
        for (path, slot) in self.nodes[node].paths.iter().enumerate() {
            let found = self.path_key(node, path);
            if found == expected {
                continue;
            }
            let promise = match (slot.is_active, found, expected) {
                (true, _, Some(_)) => Promise::NoLostIo,
                (true, _, None) => Promise::NoStolenIo,
                (false, Some(key), _)
                    if !self.nodes[node].may_leak
                        && !slot.is_spared
                        && !self.is_shared_key(node, key) =>
                {
                    Promise::NoLeakedKeys
                }
                // Without a registration, or with one that cannot be told from another node's.
                (false, _, _) => continue,
            };
            let why = format!(
                "path {path} of node {node} has {}, on one disk the node has {}",
                Key(found),
                Key(expected)
            );
            return Some((promise, why));
        }
        None
    }

    /// Whether another node has the same key: a purge of it could not spare that.
    fn is_shared_key(&self, node: usize, key: ReservationKey) -> bool {
        self.keys_of_others(node).contains(&key)
    }

    pub(super) fn keys_of_others(&self, node: usize) -> Vec<ReservationKey> {
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        let paths = others.flat_map(|other| {
            let paths = 0..self.setting.paths(other);
            paths.filter_map(move |path| self.path_key(other, path))
        });
        paths.collect()
    }

    /// What was left on a path since another node has the same key: nobody comes back for it
    /// before the path does.
    fn note_spared(&mut self) {
        for node in 0..self.nodes.len() {
            let mut candidates = self.reference.candidates().iter();
            let expected = candidates
                .next()
                .and_then(|first| first.key(node, &self.setting));
            for path in 0..self.nodes[node].paths.len() {
                let found = self
                    .path_key(node, path)
                    .filter(|key| Some(*key) != expected);
                let is_left = |key| {
                    let slot = &self.nodes[node].paths[path];
                    !slot.is_active && (slot.is_spared || self.is_shared_key(node, key))
                };
                self.nodes[node].paths[path].is_spared = found.is_some_and(is_left);
            }
        }
    }

    /// The keys that were left so.
    pub(super) fn spared_keys(&self) -> Vec<ReservationKey> {
        let nodes = self.nodes.iter().enumerate();
        let paths = nodes.flat_map(|(node, host)| {
            let paths = host.paths.iter().enumerate();
            let spared = paths.filter(|(_, slot)| slot.is_spared);
            spared.map(move |(path, _)| (node, path))
        });
        paths
            .filter_map(|(node, path)| self.path_key(node, path))
            .collect()
    }

    fn path_key(&self, node: usize, path: usize) -> Option<ReservationKey> {
        self.unit.registered_key(self.setting.nexus(node, path))
    }

    fn check_collateral(&self) -> Result<(), Box<Violation>> {
        for node in 0..self.nodes.len() {
            let Some(steady) = self.rest.steady_key(node) else {
                continue;
            };
            let mut candidates = self.reference.candidates().iter();
            if candidates.any(|candidate| candidate.key(node, &self.setting) != steady) {
                continue;
            }
            for path in 0..self.setting.paths(node) {
                let (before, now) = (self.rest.keys[node][path], self.path_key(node, path));
                // One disk had none of that: a command that said so has left it behind.
                let is_remnant = before.is_some() && before != steady;
                if before != now && !is_remnant {
                    let why = format!(
                        "path {path} of node {node}, which did nothing, had {} and has {}",
                        Key(before),
                        Key(now)
                    );
                    return Err(self.broken(Promise::NoCollateral, why));
                }
            }
        }
        Ok(())
    }

    pub(super) fn note_rest(&mut self) {
        let nodes = 0..self.nodes.len();
        let keys = |node| {
            let paths = 0..self.setting.paths(node);
            paths.map(|path| self.path_key(node, path)).collect()
        };
        let candidates = self.reference.candidates().iter();
        let reference = candidates
            .map(|candidate| {
                nodes
                    .clone()
                    .map(|node| candidate.key(node, &self.setting))
                    .collect()
            })
            .collect();
        self.rest = RestPoint {
            keys: nodes.clone().map(keys).collect(),
            reference,
            actors: Vec::new(),
        };
    }
}

impl Violation {
    /// What is left of it without keys, nodes and paths: two of one kind mostly have one cause.
    #[must_use]
    pub fn kind(&self) -> String {
        let is_told = |line: &&String| !line.starts_with(' ') || line.contains('!');
        let last = self.history.iter().rposition(|line| !line.starts_with(' '));
        let told = self.history.iter().skip(last.unwrap_or(0)).filter(is_told);
        let mut kind = format!("{}", self.promise);
        for line in told {
            let words = line.split([' ', ':', ',']);
            for word in words.filter(|word| word.chars().all(|c| !c.is_ascii_digit())) {
                kind.push(' ');
                kind.push_str(word);
            }
        }
        kind
    }
}

struct Key(Option<ReservationKey>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => key.fmt(f),
            None => f.write_str("no key"),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameAnswer => "P1 same answer",
            Self::NoLostIo => "P2 no lost I/O",
            Self::NoStolenIo => "P3 no stolen I/O",
            Self::NoLeakedKeys => "P4 no leaked keys",
            Self::NoCollateral => "P5 no collateral",
            Self::CrashSafe => "P6 crash-safe",
            Self::Bounded => "P7 bounded",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.promise, self.why)?;
        self.history
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What one path that hangs may cost where nothing else goes wrong: it is asked once whether it is
/// there, and that is given up. The others take their time, too.
const ONE_WAIT: Duration = Duration::from_secs(3);
