//! What every state of a transaction shares: the request, the paths, what has changed so far.

use alloc::vec::Vec;

use scsi_pr::{
    BasicParameters, OutAction, RegisterAndMoveParameters, ReservationKey, ReservationType,
};

use crate::outcome::{Effects, Outcome};
use crate::request::{Preempt, Register, RegisterAndMove, RegisterMode, Request};
use crate::snapshot::{Path, PathId, PathState, Snapshot};
use crate::transaction::FanOut;
use crate::wire::{Command, Parameters};

/// The constant part of a transaction, and its results.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) paths: Vec<Path>,
    pub(crate) remembered_key: Option<ReservationKey>,
    pub(crate) remembered_aptpl: bool,
    pub(crate) fan_out: FanOut,
    pub(crate) effects: Effects,
}

impl Job {
    pub(crate) fn new(request: Request, snapshot: Snapshot, fan_out: FanOut) -> Self {
        Self {
            request,
            paths: snapshot.paths,
            remembered_key: snapshot.remembered_key,
            remembered_aptpl: snapshot.remembered_aptpl,
            fan_out,
            effects: Effects::default(),
        }
    }

    pub(crate) fn usable(&self) -> Vec<PathId> {
        self.in_state(PathState::Usable)
    }

    pub(crate) fn in_state(&self, state: PathState) -> Vec<PathId> {
        self.paths
            .iter()
            .filter(|path| path.state == state)
            .map(|path| path.id)
            .collect()
    }

    /// The paths worth reading through, the best first.
    pub(crate) fn readable(&self) -> Vec<PathId> {
        let mut paths = self.usable();
        paths.extend(self.in_state(PathState::Doubtful));
        paths
    }

    pub(crate) fn note_state(&mut self, id: PathId, state: PathState) {
        for path in self.paths.iter_mut().filter(|path| path.id == id) {
            path.state = state;
        }
    }

    /// Usable paths other than `except`, in groups of which one path is enough.
    pub(crate) fn lanes(&self, register: &Register, except: &[PathId]) -> Vec<Vec<PathId>> {
        let mut groups: Vec<(&Path, Vec<PathId>)> = Vec::new();
        for path in self
            .paths
            .iter()
            .filter(|path| path.state == PathState::Usable)
        {
            let mut same = groups
                .iter_mut()
                .filter(|(first, _)| is_same_port(first, path));
            match same.next().filter(|_| register.all_tg_pt) {
                Some((_, group)) => group.push(path.id),
                None => groups.push((path, Vec::from([path.id]))),
            }
        }
        let uncovered = |group: &Vec<PathId>| !group.iter().any(|id| except.contains(id));
        groups
            .into_iter()
            .map(|(_, group)| group)
            .filter(uncovered)
            .collect()
    }

    /// The key this node is registered with until now, as far as it is known.
    pub(crate) fn own_key(&self) -> Option<ReservationKey> {
        match &self.request {
            Request::Register(register) if register.mode == RegisterMode::Ignore => {
                self.remembered_key
            }
            request => request.key(),
        }
        .filter(|key| !key.is_none())
    }

    pub(crate) fn outcome_of(&self, path: PathId, reply: crate::courier::Reply) -> Outcome {
        Outcome::Answered {
            path,
            status: reply.status,
            sense: reply.sense,
        }
    }
}

/// Paths of one initiator port share an ALL_TG_PT registration.
fn is_same_port(one: &Path, other: &Path) -> bool {
    one.initiator_port.is_some() && one.initiator_port == other.initiator_port
}

impl Request {
    /// RESERVATION KEY of the request, `None` for a read.
    #[must_use]
    pub fn key(&self) -> Option<ReservationKey> {
        match self {
            Self::Read(_) => None,
            Self::Register(register) => Some(register.key),
            Self::Reserve(reserve) => Some(reserve.key),
            Self::Release(release) => Some(release.key),
            Self::Clear(clear) => Some(clear.key),
            Self::Preempt(preempt) => Some(preempt.key),
            Self::RegisterAndMove(register_and_move) => Some(register_and_move.key),
        }
    }

    /// The command for one path, `None` for a read.
    #[must_use]
    pub fn out_command(&self) -> Option<Command> {
        let nothing = ReservationType(0);
        match self {
            Self::Read(_) => None,
            Self::Register(register) => Some(register.command()),
            Self::Reserve(reserve) => Some(basic(
                OutAction::RESERVE,
                reserve.reservation_type,
                keys(reserve.key),
            )),
            Self::Release(release) => Some(release_command(release.key, release.reservation_type)),
            Self::Clear(clear) => Some(basic(OutAction::CLEAR, nothing, keys(clear.key))),
            Self::Preempt(preempt) => Some(preempt.command()),
            Self::RegisterAndMove(register_and_move) => Some(register_and_move.command()),
        }
    }
}

impl Register {
    /// The command as asked for.
    pub(crate) fn command(&self) -> Command {
        basic(
            self.action(),
            ReservationType(0),
            BasicParameters {
                reservation_key: self.key,
                service_action_reservation_key: self.new_key,
                aptpl: self.aptpl,
                all_tg_pt: self.all_tg_pt,
                transport_ids: self.transport_ids.clone(),
            },
        )
    }

    /// The command for a path after the first: whatever key it has, it gets the new one.
    /// The further initiator ports were registered with the first.
    pub(crate) fn insisting_command(&self) -> Command {
        Self {
            mode: RegisterMode::Ignore,
            transport_ids: Vec::new(),
            ..self.clone()
        }
        .command()
    }

    /// The command for a path after the first.
    pub(crate) fn following_command(&self) -> Command {
        Self {
            transport_ids: Vec::new(),
            ..self.clone()
        }
        .command()
    }
}

impl Preempt {
    fn command(&self) -> Command {
        basic(
            self.action(),
            self.reservation_type,
            BasicParameters {
                service_action_reservation_key: self.victim,
                ..keys(self.key)
            },
        )
    }
}

impl RegisterAndMove {
    fn command(&self) -> Command {
        Command::Out {
            action: OutAction::REGISTER_AND_MOVE,
            reservation_type: ReservationType(0),
            parameters: Parameters::RegisterAndMove(RegisterAndMoveParameters {
                reservation_key: self.key,
                service_action_reservation_key: self.new_key,
                unreg: self.unregister,
                aptpl: self.aptpl,
                relative_target_port: self.relative_target_port,
                transport_id: self.transport_id.clone(),
            }),
        }
    }
}

/// RELEASE of a reservation of this type.
pub(crate) fn release_command(key: ReservationKey, held: ReservationType) -> Command {
    basic(OutAction::RELEASE, held, keys(key))
}

fn basic(action: OutAction, reservation_type: ReservationType, list: BasicParameters) -> Command {
    Command::Out {
        action,
        reservation_type,
        parameters: Parameters::Basic(list),
    }
}

fn keys(key: ReservationKey) -> BasicParameters {
    BasicParameters {
        reservation_key: key,
        service_action_reservation_key: ReservationKey::NONE,
        aptpl: false,
        all_tg_pt: false,
        transport_ids: Vec::new(),
    }
}
