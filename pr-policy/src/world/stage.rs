//! The world as it moves: operations begin, actions are carried out, faults strike.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use scsi_pr::ReservationKey;
use scsi_pr::device_server::{LogicalUnit, Quirks};

use super::books::Record;
use super::machine::{Machine, Running};
use super::op::{Fault, Link, Op};
use super::promise::{RestPoint, Violation, is_unregister};
use super::reference::{Reference, drain};
use super::setting::Setting;
use super::trace::{Moment, Trace};
use crate::path_return::{Membership, PathReturn, Trust};
use crate::recovery::recovery;
use crate::request::Request;
use crate::snapshot::{Before, Path, PathId, PathState, Snapshot};
use crate::transaction::{Occasion, Options, Transaction};
use crate::wire::{Action, Command};

/// Nodes, paths, a unit, and the reference.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) setting: Rc<Setting>,
    pub(super) unit: LogicalUnit,
    pub(super) nodes: Vec<Node>,
    pub(super) reference: Reference,
    pub(super) trace: Trace,
    pub(super) rest: RestPoint,
}

/// A host.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) paths: Vec<PathSlot>,
    pub(super) record: Record,
    pub(super) is_suspended: bool,
    /// What a crash left in the journal.
    pub(super) journal: Option<Op>,
    /// What the journal says of the registrations that there were before.
    pub(super) before: Option<Before>,
    /// How often it was tried to complete that, in vain.
    pub(super) recoveries: u8,
    pub(super) running: Option<Box<Running>>,
    /// What the journal tells of unregistered, and other nodes have stepped in before it was cut
    /// off.
    pub(super) is_overtaken: bool,
    /// One disk may not have had it registered when its registration began.
    pub(super) is_joining: bool,
    /// Its last command ended without a definite answer, and said so.
    pub(super) is_torn: bool,
    /// That command registered.
    pub(super) is_half_registered: bool,
    /// A path that is away may have executed it: it said so.
    pub(super) may_leak: bool,
}

/// A place for a path in a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PathSlot {
    pub(super) link: Link,
    /// The kernel's map sends I/O there.
    pub(super) is_active: bool,
    /// The daemon has not looked at it since it came back, or since the daemon started.
    pub(super) is_unchecked: bool,
    pub(super) trust: Trust,
    pub(super) tries: u8,
    /// It was left registered since another node has the same key.
    pub(super) is_spared: bool,
}

/// Whether a node goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    Running,
    /// The operation has ended.
    Ended,
}

/// Making one, and asking about it.
impl World {
    /// Nobody is registered, all paths are up.
    #[must_use]
    pub fn new(setting: Rc<Setting>) -> Self {
        let slot = PathSlot {
            link: Link::Up,
            is_active: true,
            is_unchecked: false,
            trust: Trust::Trusted,
            tries: 0,
            is_spared: false,
        };
        let node = |number| Node {
            paths: (0..setting.paths(number)).map(|_| slot.clone()).collect(),
            record: Record::default(),
            is_suspended: false,
            journal: None,
            before: None,
            recoveries: 0,
            running: None,
            is_overtaken: false,
            is_joining: false,
            is_torn: false,
            is_half_registered: false,
            may_leak: false,
        };
        let mut world = Self {
            unit: setting.unit(),
            nodes: (0..setting.nodes()).map(node).collect(),
            reference: Reference::new(&setting),
            trace: Trace::default(),
            rest: RestPoint::default(),
            setting,
        };
        world.note_rest();
        world
    }

    /// What has happened so far, one line for each thing.
    #[must_use]
    pub fn history(&self) -> Vec<String> {
        self.trace.lines()
    }

    /// How many things have happened so far.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.trace.len()
    }

    /// Its fixed part.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Whether a node is in the middle of something.
    #[must_use]
    pub fn is_running(&self, node: usize) -> bool {
        self.nodes[node].running.is_some()
    }

    /// Whether any node is.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.nodes.iter().any(|node| node.running.is_some())
    }

    /// The state of a path.
    #[must_use]
    pub fn link(&self, node: usize, path: usize) -> Link {
        self.nodes[node].paths[path].link
    }

    /// The key a node has in the reference, in one of its possible states.
    #[must_use]
    pub fn key(&self, node: usize) -> Option<ReservationKey> {
        let candidate = self.reference.candidates().first()?;
        candidate.key(node, &self.setting)
    }

    /// The keys it has in any of them.
    #[must_use]
    pub fn possible_keys(&self, node: usize) -> Vec<ReservationKey> {
        let candidates = self.reference.candidates().iter();
        let mut keys: Vec<_> = candidates
            .filter_map(|candidate| candidate.key(node, &self.setting))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a node's last command left it in a state that it could not tell.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.nodes.iter().any(|node| node.is_torn)
    }

    /// What a program would do next by itself: recover, or look at a path that came back.
    #[must_use]
    pub fn duty(&self) -> Option<Op> {
        (0..self.nodes.len()).find_map(|node| self.duty_of(node))
    }

    fn duty_of(&self, node: usize) -> Option<Op> {
        let host = &self.nodes[node];
        if host.running.is_some() {
            return None;
        }
        if host.journal.is_some() && host.is_recovery_due() {
            return Some(Op::Recover { node });
        }
        let is_due = |slot: &PathSlot| slot.link == Link::Up && slot.is_unchecked;
        let path = host.paths.iter().position(is_due)?;
        Some(Op::Check { node, path })
    }

    /// Whether what a crash cut off is still in a node's journal.
    #[must_use]
    pub fn is_cut_off(&self, node: usize) -> bool {
        self.nodes[node].journal.is_some()
    }

    /// What could go wrong with the next action of a node.
    #[must_use]
    pub fn mishaps(&self, node: usize) -> Vec<Fault> {
        let (path, command) = match self.next_action(node) {
            Some(Action::Send { path, command, .. }) => (path, command),
            Some(Action::Suspend { .. }) => return Vec::from([Fault::NotSuspended]),
            _ => return Vec::new(),
        };
        let is_up = self
            .slot(node, *path)
            .is_some_and(|slot| slot.link == Link::Up);
        match command {
            _ if !is_up => Vec::new(),
            Command::In(_) => Vec::from([Fault::Lost, Fault::Hangs]),
            Command::Out { .. } => Vec::from([
                Fault::Lost,
                Fault::Unanswered,
                Fault::Hangs,
                Fault::HangsExecuted,
                Fault::Busy,
                Fault::Transition,
            ]),
        }
    }

    /// Whether something already is to go wrong with it.
    #[must_use]
    pub fn has_mishap(&self, node: usize) -> bool {
        let running = self.nodes[node].running.as_ref();
        running.is_some_and(|running| running.mishap.is_some())
    }

    /// What happened before is not told any more, if nothing was torn: long histories would not
    /// fit into memory.
    pub(super) fn forget(&mut self) {
        if self.trace.len() > MOST_MOMENTS {
            self.trace = Trace::default();
        }
    }

    fn next_action(&self, node: usize) -> Option<&Action> {
        self.nodes[node].running.as_ref()?.waiting.front()
    }

    pub(super) fn slot(&self, node: usize, path: PathId) -> Option<&PathSlot> {
        self.nodes[node].paths.get(path.0 as usize)
    }

    /// Whether killing the node's program would make a difference.
    #[must_use]
    pub fn can_crash(&self, node: usize) -> bool {
        let running = self.nodes[node].running.as_ref();
        running.is_some_and(|running| !running.is_orphan)
    }
}

/// Moving on.
impl World {
    /// Begins an operation on a node that is at rest.
    ///
    /// # Errors
    /// It broke a promise at once.
    pub fn begin(&mut self, op: Op) -> Result<Progress, Box<Violation>> {
        self.trace.note(Moment::Begin(op.clone()));
        let node = op.node();
        match &op {
            Op::Link { node, path, link } => {
                self.set_link(*node, *path, *link);
                return self.check_step().map(|()| Progress::Ended);
            }
            Op::Ask { request, .. } => {
                self.nodes[node].before = None;
                self.note_joining(node, request);
                if self.nodes[node].is_half_registered {
                    self.reference.may_be_out(node, &self.setting);
                }
                self.reference.begin(node, request, &self.setting);
                self.run(node, op.clone(), request, Occasion::Asked);
            }
            Op::Check { path, .. } => self.check_path(node, *path, op.clone()),
            Op::Recover { .. } => return self.recover(node),
        }
        self.rest.note_actor(node);
        Ok(Progress::Running)
    }

    fn note_joining(&mut self, node: usize, request: &Request) {
        let mut candidates = self.reference.candidates().iter();
        let is_out = candidates.any(|candidate| candidate.key(node, &self.setting).is_none());
        let registers = matches!(request, Request::Register(register)
            if !register.is_unregister());
        self.nodes[node].is_joining = registers && is_out;
    }

    fn run(&mut self, node: usize, op: Op, request: &Request, occasion: Occasion) {
        let options = Options {
            occasion,
            ..self.options(request)
        };
        let transaction = Transaction::new(request.clone(), self.snapshot(node), options);
        let machine = Machine::Transaction(Box::new(transaction));
        let running = Running {
            spared: self.spared_keys(),
            foreign: self.keys_of_others(node),
            ..Running::new(op, machine)
        };
        self.nodes[node].running = Some(Box::new(running));
    }

    fn options(&self, request: &Request) -> Options {
        Options {
            mutation: self.setting.mutation,
            ..Options::for_request(request)
        }
    }

    fn check_path(&mut self, node: usize, path: usize, op: Op) {
        let host = &self.nodes[node];
        let membership = match (host.record.exists, host.record.key) {
            (false, _) => Membership::Never,
            (true, None) => Membership::Ended,
            (true, Some(_)) => Membership::Lasting,
        };
        let machine = PathReturn::new(
            id(path),
            membership,
            host.paths[path].trust,
            self.snapshot(node),
            self.options(&Request::Clear(crate::request::Clear {
                key: ReservationKey::NONE,
            })),
        );
        let machine = Machine::Return(Box::new(machine));
        self.nodes[node].running = Some(Box::new(Running::new(op, machine)));
    }

    /// The next start of a program after a crash.
    fn recover(&mut self, node: usize) -> Result<Progress, Box<Violation>> {
        self.rest.note_actor(node);
        let journal = self.nodes[node].journal.take();
        for slot in &mut self.nodes[node].paths {
            slot.is_unchecked = true;
            slot.tries = 0;
        }
        let Some(Op::Ask { request, .. }) = journal else {
            return Ok(Progress::Ended);
        };
        match recovery(&request) {
            Some(again) => {
                let op = Op::Ask { node, request };
                self.nodes[node].journal = Some(op);
                self.run(node, Op::Recover { node }, &again, Occasion::Recovery);
                Ok(Progress::Running)
            }
            None => {
                self.reference.end(node, None, &request, &self.setting);
                Ok(Progress::Ended)
            }
        }
    }

    /// The node's map as a program would see it.
    fn snapshot(&self, node: usize) -> Snapshot {
        let host = &self.nodes[node];
        let path = |(number, slot): (usize, &PathSlot)| {
            let state = match slot.link {
                Link::Gone => return None,
                Link::Down => PathState::Dead,
                Link::Hanging => PathState::Doubtful,
                Link::Up if slot.is_active => PathState::Usable,
                Link::Up => PathState::Doubtful,
            };
            Some(Path {
                id: id(number),
                state,
                initiator_port: self.setting.known_port(node, number),
            })
        };
        let is_gone = |(number, slot): &(usize, &PathSlot)| {
            let may_have_key = host.record.nexuses.contains(number) || slot.trust == Trust::Suspect;
            slot.link == Link::Gone && may_have_key
        };
        let suspects = host.paths.iter().enumerate();
        let suspects = suspects.filter(|(_, slot)| is_suspect(slot));
        let (gone, in_map): (Vec<_>, Vec<_>) =
            suspects.partition(|(_, slot)| slot.link == Link::Gone);
        let ports = (0..host.paths.len()).filter_map(|path| self.setting.known_port(node, path));
        Snapshot {
            paths: host.paths.iter().enumerate().filter_map(path).collect(),
            remembered_key: host.record.key,
            remembered_aptpl: host.record.aptpl,
            // As it is configured.
            remembered_all_tg_pt: self.setting.profile.has(Quirks::NEEDS_ALL_TG_PT),
            remembered_holding: host.record.holding.is_some(),
            remembered_nexuses: host.record.nexuses.len(),
            remembered_gone: host.paths.iter().enumerate().filter(is_gone).count(),
            suspects: in_map.into_iter().map(|(number, _)| id(number)).collect(),
            suspects_gone: gone.len(),
            // Hosts of the world learn it anew each time, which is the harder case.
            takes_one_at_a_time: false,
            before: host.before,
            own_ports: ports.collect(),
        }
    }

    /// Lets something go wrong now; a mishap strikes the next action of `node`.
    ///
    /// # Errors
    /// It broke a promise.
    pub fn inject(&mut self, node: usize, fault: Fault) -> Result<(), Box<Violation>> {
        self.trace.note(Moment::Fault(node, fault.clone()));
        match fault {
            Fault::Link { node, path, link } => {
                self.disturb(node);
                self.set_link(node, path, link);
                self.check_step()
            }
            Fault::Crash => self.crash(node),
            Fault::Meddle {
                node: other,
                request,
            } => {
                if let Some(running) = &mut self.nodes[node].running {
                    running.meddlings += 1;
                }
                self.begin(Op::Ask {
                    node: other,
                    request,
                })?;
                while self.step(other)? == Progress::Running {}
                Ok(())
            }
            mishap => {
                self.disturb(node);
                if let Some(running) = &mut self.nodes[node].running {
                    running.mishap = Some(mishap);
                }
                Ok(())
            }
        }
    }

    fn disturb(&mut self, node: usize) {
        if let Some(running) = &mut self.nodes[node].running {
            running.mishaps += 1;
        }
    }

    fn set_link(&mut self, node: usize, path: usize, link: Link) {
        let slot = &mut self.nodes[node].paths[path];
        let was_up = slot.link == Link::Up;
        slot.link = link;
        slot.tries = 0;
        self.nodes[node].recoveries = 0;
        let slot = &mut self.nodes[node].paths[path];
        if link != Link::Up {
            slot.is_active = false;
        } else if !was_up {
            slot.is_unchecked = true;
        }
    }

    fn crash(&mut self, node: usize) -> Result<(), Box<Violation>> {
        let host = &mut self.nodes[node];
        let Some(running) = &mut host.running else {
            return Ok(());
        };
        if host.is_suspended || running.waiting.iter().any(is_suspend) {
            running.is_orphan = true;
            return Ok(());
        }
        self.bury(node);
        self.check_step()
    }

    /// What runs on this node is gone; the journal stays.
    fn bury(&mut self, node: usize) {
        let host = &mut self.nodes[node];
        let Some(running) = host.running.take() else {
            return;
        };
        if let (Op::Check { path, .. }, Machine::Return(machine)) = (&running.op, &running.machine)
        {
            host.paths[*path].trust = machine.trust();
        }
        host.is_overtaken |= running.meddlings > 0 && is_unregister(&running.op);
        host.recoveries = 0;
        if host.journal.is_none() {
            host.before = running.machine.before();
            host.journal = Some(running.op);
        }
    }

    /// Carries out one action of a node, or lets time pass, or ends what has ended.
    ///
    /// # Errors
    /// It broke a promise.
    pub fn step(&mut self, node: usize) -> Result<Progress, Box<Violation>> {
        let Some(mut running) = self.nodes[node].running.take() else {
            return Ok(Progress::Ended);
        };
        running.steps += 1;
        if running.steps > MOST_STEPS {
            return Err(self.runaway(node));
        }
        if running.machine.has_ended() {
            self.end(node, *running)?;
            return self.check_step().map(|()| Progress::Ended);
        }
        match running.waiting.pop_front() {
            None => {
                running.sleep();
                self.trace.note(Moment::Waited(node, running.now));
            }
            Some(action) => {
                let mishap = running.mishap.take();
                running.now += LATENCY;
                let (event, word) = self.carry_out(node, &action, mishap, &running.waiting);
                self.trace.note(Moment::Did(node, action, word));
                if let Some(event) = event {
                    running.advance(Some(event));
                }
            }
        }
        let is_dead = running.is_orphan && !self.nodes[node].is_suspended;
        self.nodes[node].running = Some(running);
        if is_dead {
            self.bury(node);
        }
        self.check_step()?;
        Ok(match self.nodes[node].running {
            Some(_) => Progress::Running,
            None => Progress::Ended,
        })
    }

    /// What the paths' checkers would do: take note of all unit attentions.
    pub fn calm(&mut self) {
        for node in 0..self.nodes.len() {
            for path in 0..self.nodes[node].paths.len() {
                let nexus = self.setting.nexus(node, path).clone();
                drain(&mut self.unit, &nexus);
            }
        }
    }
}

fn id(path: usize) -> PathId {
    PathId(u32::try_from(path).unwrap_or(u32::MAX))
}

fn is_suspect(slot: &PathSlot) -> bool {
    slot.trust == Trust::Suspect
}

fn is_suspend(action: &Action) -> bool {
    matches!(action, Action::Suspend { .. })
}

/// A history that is not to be played again is forgotten when it is longer.
const MOST_MOMENTS: usize = 20_000;

/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(1);

/// More steps than this in one operation are a runaway.
const MOST_STEPS: u32 = 2_000;
