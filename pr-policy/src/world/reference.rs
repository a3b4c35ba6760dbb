//! The same commands on a disk with one nexus per node: what it may have done by now.
//!
//! Where a map cannot do in one step what a disk does in one, the reference has the steps too, and
//! says so:
//!
//! * A node that holds and unregisters may have released before ([`Pending::Leaving`]). Each path
//!   unregisters by itself, and those that are still to follow could not do without the
//!   registration that the first one has given up while the reservation stands. It is what an
//!   administrator would do with two commands, and another node may act between them.
//! * Paths follow one after the other, so that a preemption may find a node half registered, half
//!   not ([`Course::is_overtaken`]). The one who preempts is told that it was there; the node
//!   itself that its command was done. On one disk only one of both can be. What counts is that the
//!   node is registered nowhere in the end, and that is judged at rest.

use alloc::vec::Vec;

use scsi_pr::device_server::{LogicalUnit, Quirks};
use scsi_pr::{AnswerClass, Refusal, ReservationKey, ReservationType, classify_for};

use super::setting::Setting;
use crate::outcome::Outcome;
use crate::request::{Register, RegisterAndMove, RegisterMode, Release, Request};

/// Every state that the reference may be in.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    candidates: Vec<Candidate>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    unit: LogicalUnit,
    /// By node: the command that runs on its map.
    pending: Vec<Pending>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pending {
    None,
    /// Not executed yet.
    Waiting(Request),
    /// The same for one that unregisters, but what the node held is released.
    Leaving(Request),
    /// Executed, with this answer.
    Executed(AnswerClass),
}

/// How a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Course {
    /// Another node ran a command meanwhile.
    pub(super) is_overtaken: bool,
    /// Something else went wrong.
    pub(super) is_disturbed: bool,
    /// It was about what a command had to leave behind: one disk has none of that.
    pub(super) meets_remnant: bool,
}

/// What the reference says about one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reservation_type: ReservationType,
    /// The node that holds, unless all registrants do.
    pub(super) node: Option<usize>,
}

impl Reference {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            candidates: Vec::from([Candidate {
                unit: setting.reference_unit(),
                pending: (0..setting.nodes()).map(|_| Pending::None).collect(),
            }]),
        }
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// A command begins on a node's map: it may have been executed from now on.
    pub(super) fn begin(&mut self, node: usize, request: &Request, setting: &Setting) {
        for candidate in &mut self.candidates {
            candidate.pending[node] = Pending::Waiting(request.clone());
        }
        self.close(setting);
    }

    /// A registration of this node ended without saying whether it is one: its daemon may have
    /// taken back what it left on the paths, or not.
    pub(super) fn may_be_out(&mut self, node: usize, setting: &Setting) {
        let leave = Request::Register(Register {
            mode: RegisterMode::Ignore,
            key: ReservationKey::NONE,
            new_key: ReservationKey::NONE,
            aptpl: false,
            all_tg_pt: setting.profile.has(Quirks::NEEDS_ALL_TG_PT),
            transport_ids: Vec::new(),
        });
        for mut candidate in self.candidates.clone() {
            candidate.carry_out(node, &leave, setting);
            if !self.candidates.contains(&candidate) {
                self.candidates.push(candidate);
            }
        }
    }

    /// A command has ended; what contradicts its outcome is dropped. `None`: nobody knows.
    pub(super) fn end(
        &mut self,
        node: usize,
        outcome: Option<(&Outcome, Course)>,
        request: &Request,
        setting: &Setting,
    ) {
        if let Some((outcome, course)) = outcome {
            let is_gone = |candidate: &Candidate| {
                course.is_overtaken && candidate.key(node, setting).is_none()
            };
            self.candidates.retain(|candidate| {
                candidate.allows(node, outcome, request)
                    || is_gone(candidate) && candidate.allows_overtaken(node, outcome, request)
                    || is_gone(candidate)
                        && course.is_disturbed
                        && candidate.allows_unheard(node, outcome, request)
                    || course.meets_remnant && candidate.allows_remnant(node, outcome)
            });
        }
        for candidate in &mut self.candidates {
            candidate.pending[node] = Pending::None;
        }
        self.unite();
    }

    /// Drops the candidates that do not agree, unless none does: then it returns what the first
    /// has against it.
    pub(super) fn settle<E>(
        &mut self,
        disagreement: impl Fn(&Candidate) -> Option<E>,
    ) -> Option<E> {
        let mut first = None;
        let mut agreeing = Vec::new();
        for candidate in &self.candidates {
            match disagreement(candidate) {
                None => agreeing.push(candidate.clone()),
                Some(found) => first = first.or(Some(found)),
            }
        }
        if agreeing.is_empty() {
            return first;
        }
        self.candidates = agreeing;
        None
    }

    pub(super) fn answers(&self, node: usize) -> Vec<Option<AnswerClass>> {
        let candidates = self.candidates.iter();
        candidates
            .map(|candidate| candidate.executed(node))
            .collect()
    }

    /// Adds what follows if waiting commands are executed now.
    fn close(&mut self, setting: &Setting) {
        let mut at = 0;
        while let Some(candidate) = self.candidates.get(at).cloned() {
            for node in 0..setting.nodes() {
                let steps = [Candidate::give_up, Candidate::execute];
                for step in steps {
                    let mut next = candidate.clone();
                    if step(&mut next, node, setting) && !self.candidates.contains(&next) {
                        self.candidates.push(next);
                    }
                }
            }
            at += 1;
        }
    }

    fn unite(&mut self) {
        let mut united: Vec<Candidate> = Vec::new();
        for candidate in self.candidates.drain(..) {
            if !united.contains(&candidate) {
                united.push(candidate);
            }
        }
        self.candidates = united;
    }
}

impl Candidate {
    pub(super) fn outlives_power(&self) -> bool {
        self.unit.is_aptpl_active()
    }

    pub(super) fn may_write(&self, node: usize, setting: &Setting) -> bool {
        self.unit.may_write(setting.reference(node))
    }

    pub(super) fn key(&self, node: usize, setting: &Setting) -> Option<ReservationKey> {
        self.unit.registered_key(setting.reference(node))
    }

    pub(super) fn held(&self, setting: &Setting) -> Option<Held> {
        let reservation = self.unit.reservation()?;
        let is_holder = |node: &usize| self.unit.is_holder(setting.reference(*node));
        let is_shared = reservation.reservation_type.is_all_registrants();
        let node = (0..setting.nodes()).find(is_holder).filter(|_| !is_shared);
        Some(Held {
            reservation_type: reservation.reservation_type,
            node,
        })
    }

    fn execute(&mut self, node: usize, setting: &Setting) -> bool {
        let (Pending::Waiting(request) | Pending::Leaving(request)) = &self.pending[node] else {
            return false;
        };
        let request = at_reference(request, setting);
        let class = self.carry_out(node, &request, setting);
        self.pending[node] = Pending::Executed(class);
        true
    }

    /// A node that unregisters releases what it holds. Where all registrants hold, that ends with
    /// the last of them.
    fn give_up(&mut self, node: usize, setting: &Setting) -> bool {
        let Pending::Waiting(request) = self.pending[node].clone() else {
            return false;
        };
        let leaves = matches!(&request, Request::Register(register) if register.is_unregister());
        let (Some(held), Some(key)) = (self.unit.reservation(), self.key(node, setting)) else {
            return false;
        };
        let is_alone = self.unit.registrations().count() == 1;
        let is_shared = held.reservation_type.is_all_registrants() && !is_alone;
        if !leaves || is_shared || !self.unit.is_holder(setting.reference(node)) {
            return false;
        }
        let release = Request::Release(Release {
            key,
            reservation_type: held.reservation_type,
        });
        self.carry_out(node, &release, setting);
        self.pending[node] = Pending::Leaving(request);
        true
    }

    fn carry_out(&mut self, node: usize, request: &Request, setting: &Setting) -> AnswerClass {
        let (Some(action), Some(command)) = (request.out_action(), request.out_command()) else {
            return AnswerClass::Done;
        };
        let (cdb, list) = command.encode();
        let nexus = setting.reference(node);
        let class = loop {
            let response = self.unit.execute(nexus, &cdb, &list);
            let class = classify_for(action, response.status, response.sense.as_ref());
            if !matches!(class, AnswerClass::UnitAttention(_)) {
                break class;
            }
        };
        self.drain(setting);
        class
    }

    /// News for the reference's nodes are taken note of at once: they make no difference.
    fn drain(&mut self, setting: &Setting) {
        for node in 0..setting.nodes() {
            drain(&mut self.unit, setting.reference(node));
        }
    }

    fn executed(&self, node: usize) -> Option<AnswerClass> {
        match self.pending[node] {
            Pending::Executed(class) => Some(class),
            Pending::None | Pending::Waiting(_) | Pending::Leaving(_) => None,
        }
    }

    /// Whether a command that registers, unregisters or releases may end so if another node came
    /// between its paths, and this one is not registered any more.
    fn allows_overtaken(&self, node: usize, outcome: &Outcome, request: &Request) -> bool {
        let executed = self.executed(node);
        let is_conflict = executed == Some(AnswerClass::Conflict);
        match (request, outcome) {
            // Who held another type, and how the device would have put that, nobody says any more.
            (Request::Release(_), Outcome::Done) => {
                is_conflict || executed == Some(AnswerClass::Refused(Refusal::InvalidRelease))
            }
            (Request::Register(_), Outcome::Done) => is_conflict,
            // The paths that had found room were preempted before they could be given back.
            (Request::Register(_), Outcome::Answered { status, sense, .. }) => {
                let class = scsi_pr::classify(*status, sense.as_ref());
                executed == Some(AnswerClass::Done)
                    && class == AnswerClass::Refused(Refusal::InsufficientResources)
            }
            _ => false,
        }
    }

    /// Whether a command without an answer may end so if another node came between: REGISTER AND
    /// MOVE that unregisters finds the sender gone and the receiver's node holding, which is what
    /// it asked for.
    fn allows_unheard(&self, node: usize, outcome: &Outcome, request: &Request) -> bool {
        let leaves = matches!(request, Request::RegisterAndMove(moved) if moved.unregister);
        let is_conflict = self.executed(node) == Some(AnswerClass::Conflict);
        leaves && is_conflict && *outcome == Outcome::Done
    }

    /// Whether a preemption may end so that removes what this node had to leave behind.
    fn allows_remnant(&self, node: usize, outcome: &Outcome) -> bool {
        let is_conflict = self.executed(node) == Some(AnswerClass::Conflict);
        is_conflict && *outcome == Outcome::Done
    }

    fn allows(&self, node: usize, outcome: &Outcome, request: &Request) -> bool {
        let executed = self.executed(node);
        match outcome {
            Outcome::Done | Outcome::Read(_) => executed == Some(AnswerClass::Done),
            Outcome::Conflict => executed == Some(AnswerClass::Conflict),
            Outcome::Answered { status, sense, .. } => {
                let class = request
                    .out_action()
                    .map(|action| classify_for(action, *status, sense.as_ref()));
                match class {
                    // A map needs more room than one disk; what it had taken is given back.
                    Some(AnswerClass::Refused(Refusal::InsufficientResources)) => {
                        executed.is_none()
                    }
                    // Where a path that is out of reach holds another type, only that path could
                    // say how this device puts it. Both mean that nothing was released.
                    Some(AnswerClass::Refused(Refusal::InvalidRelease))
                        if matches!(request, Request::Release(_)) =>
                    {
                        executed == class || executed == Some(AnswerClass::Conflict)
                    }
                    Some(AnswerClass::Refused(_)) => executed == class,
                    _ => true,
                }
            }
            Outcome::NoUsablePath | Outcome::Unreachable { .. } | Outcome::NotSuspended => {
                executed.is_none()
            }
            Outcome::Unknown { .. }
            | Outcome::Incomplete { .. }
            | Outcome::HolderUnreachable { .. }
            | Outcome::Malformed { .. } => true,
        }
    }
}

/// Takes the pending unit attentions of a nexus, as a path checker's TEST UNIT READY would.
pub(super) fn drain(unit: &mut LogicalUnit, nexus: &scsi_pr::device_server::Nexus) {
    while !unit.attentions(nexus).is_empty() {
        unit.execute(nexus, &[0; 6], &[]);
    }
}

/// The command as the reference gets it: another node is its one nexus there.
fn at_reference(request: &Request, setting: &Setting) -> Request {
    let Request::RegisterAndMove(moved) = request else {
        return request.clone();
    };
    let is_receiver = |node: &usize| {
        (0..setting.paths(*node)).any(|path| {
            let nexus = setting.nexus(*node, path);
            nexus.initiator_port == moved.transport_id
                && nexus.relative_target_port == moved.relative_target_port
        })
    };
    let Some(node) = (0..setting.nodes()).find(is_receiver) else {
        return request.clone();
    };
    let nexus = setting.reference(node);
    Request::RegisterAndMove(RegisterAndMove {
        transport_id: nexus.initiator_port.clone(),
        relative_target_port: nexus.relative_target_port,
        ..moved.clone()
    })
}
