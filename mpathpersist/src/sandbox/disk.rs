//! One path as the disk that it is: commands go through it as they are, without a policy, as
//! `sg_persist` sends them.

use pr_policy::{
    Answer, Outcome, PathId, Preempt, Register, RegisterAndMove, RegisterMode, Request,
    VictimCommands,
};
use scsi_pr::{
    BasicParameters, OutAction, PrInCdb, PrOutCdb, RegisterAndMoveParameters, ReservationType,
    Scope, SenseKey, Status,
};

use super::hands::Fate;
use super::{Node, SandboxError};
use crate::run::{Failure, Report, RunOptions, Runner};

/// Runs requests on single paths of a node.
#[derive(Debug)]
pub struct Disk<'a> {
    node: &'a Node,
}

impl<'a> Disk<'a> {
    /// The paths of this node, each a disk.
    #[must_use]
    pub const fn new(node: &'a Node) -> Self {
        Self { node }
    }

    /// Sends a command, again if all it gets is news.
    fn send(&self, device: &str, cdb: &[u8], data_out: &[u8]) -> Result<Fate, SandboxError> {
        let mut fate = self.node.transmit(device, cdb, data_out)?;
        for _ in 0..MAX_UNIT_ATTENTIONS {
            if !is_news(&fate) {
                break;
            }
            fate = self.node.transmit(device, cdb, data_out)?;
        }
        Ok(fate)
    }
}

impl Runner for Disk<'_> {
    fn run(
        &mut self,
        device: &str,
        request: &Request,
        _options: &RunOptions,
    ) -> Result<Report, Failure> {
        let (cdb, data_out) = encode(request);
        let fate = self.send(device, &cdb, &data_out);
        let fate = fate.map_err(|error| Failure::Other {
            device: device.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Report {
            map: device.to_owned(),
            outcome: outcome(request, fate),
            path: Some(device.to_owned()),
            notes: Vec::new(),
        })
    }
}

fn is_news(fate: &Fate) -> bool {
    let Fate::Answered(Answer::Status { sense, .. }) = fate else {
        return false;
    };
    let key = sense.as_ref().map(|sense| sense.key);
    key == Some(SenseKey::UNIT_ATTENTION)
}

fn outcome(request: &Request, fate: Fate) -> Outcome {
    let path = PathId(0);
    let Fate::Answered(Answer::Status {
        status,
        sense,
        data,
    }) = fate
    else {
        return Outcome::Unreachable { path };
    };
    match (request, status) {
        (Request::Read(_), Status::GOOD) => Outcome::Read(data),
        (_, Status::GOOD) => Outcome::Done,
        (_, Status::RESERVATION_CONFLICT) => Outcome::Conflict,
        _ => Outcome::Answered {
            path,
            status,
            sense,
        },
    }
}

fn encode(request: &Request) -> (Vec<u8>, Vec<u8>) {
    let of = |reservation_key| BasicParameters {
        reservation_key,
        ..BasicParameters::default()
    };
    let none = ReservationType(0);
    match request {
        Request::Read(read) => {
            let cdb = PrInCdb {
                action: read.action,
                allocation_length: read.allocation_length.unwrap_or(ALLOCATION_LENGTH),
            };
            (cdb.encode().to_vec(), Vec::new())
        }
        Request::Register(register) => {
            let (action, parameters) = registering(register);
            out(action, none, parameters.encode())
        }
        Request::Reserve(reserve) => {
            let held = reserve.reservation_type;
            out(OutAction::RESERVE, held, of(reserve.key).encode())
        }
        Request::Release(release) => {
            let held = release.reservation_type;
            out(OutAction::RELEASE, held, of(release.key).encode())
        }
        Request::Clear(clear) => out(OutAction::CLEAR, none, of(clear.key).encode()),
        Request::Preempt(preempt) => preempting(preempt),
        Request::RegisterAndMove(request) => moving(request),
    }
}

fn registering(register: &Register) -> (OutAction, BasicParameters) {
    let action = match register.mode {
        RegisterMode::Compare => OutAction::REGISTER,
        RegisterMode::Ignore => OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
    };
    let parameters = BasicParameters {
        reservation_key: register.key,
        service_action_reservation_key: register.new_key,
        aptpl: register.aptpl,
        all_tg_pt: register.all_tg_pt,
        transport_ids: register.transport_ids.clone(),
    };
    (action, parameters)
}

fn preempting(preempt: &Preempt) -> (Vec<u8>, Vec<u8>) {
    let action = match preempt.commands {
        VictimCommands::Finish => OutAction::PREEMPT,
        VictimCommands::Abort => OutAction::PREEMPT_AND_ABORT,
    };
    let parameters = BasicParameters {
        reservation_key: preempt.key,
        service_action_reservation_key: preempt.victim,
        ..BasicParameters::default()
    };
    out(action, preempt.reservation_type, parameters.encode())
}

fn moving(request: &RegisterAndMove) -> (Vec<u8>, Vec<u8>) {
    let parameters = RegisterAndMoveParameters {
        reservation_key: request.key,
        service_action_reservation_key: request.new_key,
        unreg: request.unregister,
        aptpl: request.aptpl,
        relative_target_port: request.relative_target_port,
        transport_id: request.transport_id.clone(),
    };
    let action = OutAction::REGISTER_AND_MOVE;
    out(action, ReservationType(0), parameters.encode())
}

fn out(action: OutAction, held: ReservationType, list: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let cdb = PrOutCdb {
        action,
        scope: Scope::LOGICAL_UNIT,
        reservation_type: held,
        parameter_list_length: u32::try_from(list.len()).unwrap_or(u32::MAX),
    };
    (cdb.encode().to_vec(), list)
}

/// A nexus has one of each kind waiting at most.
const MAX_UNIT_ATTENTIONS: usize = 6;

/// What `sg_persist` asks for.
const ALLOCATION_LENGTH: u16 = 8192;
