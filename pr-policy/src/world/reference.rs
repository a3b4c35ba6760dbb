//! The same commands on a disk with one nexus per node: what it may have done by now.

use alloc::vec::Vec;

use scsi_pr::device_server::LogicalUnit;
use scsi_pr::{AnswerClass, Refusal, ReservationKey, ReservationType, classify_for};

use super::setting::Setting;
use crate::outcome::Outcome;
use crate::request::{RegisterAndMove, Request};

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
    /// Executed, with this answer.
    Executed(AnswerClass),
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

    /// A command has ended; what contradicts its outcome is dropped. `None`: nobody knows.
    pub(super) fn end(&mut self, node: usize, outcome: Option<&Outcome>, request: &Request) {
        self.candidates
            .retain(|candidate| candidate.allows(node, outcome, request));
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
        let answer = |candidate: &Candidate| match candidate.pending[node] {
            Pending::Executed(class) => Some(class),
            _ => None,
        };
        self.candidates.iter().map(answer).collect()
    }

    /// Adds what follows if waiting commands are executed now.
    fn close(&mut self, setting: &Setting) {
        let mut at = 0;
        while let Some(candidate) = self.candidates.get(at).cloned() {
            for node in 0..setting.nodes() {
                let mut next = candidate.clone();
                if next.execute(node, setting) && !self.candidates.contains(&next) {
                    self.candidates.push(next);
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
        let Pending::Waiting(request) = &self.pending[node] else {
            return false;
        };
        let request = at_reference(request, setting);
        let (Some(action), Some(command)) = (request.out_action(), request.out_command()) else {
            self.pending[node] = Pending::Executed(AnswerClass::Done);
            return true;
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
        self.pending[node] = Pending::Executed(class);
        true
    }

    /// News for the reference's nodes are taken note of at once: they make no difference.
    fn drain(&mut self, setting: &Setting) {
        for node in 0..setting.nodes() {
            drain(&mut self.unit, setting.reference(node));
        }
    }

    fn allows(&self, node: usize, outcome: Option<&Outcome>, request: &Request) -> bool {
        let Some(outcome) = outcome else { return true };
        let executed = match &self.pending[node] {
            Pending::Executed(class) => Some(*class),
            Pending::None | Pending::Waiting(_) => None,
        };
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
