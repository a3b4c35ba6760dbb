//! What every state of a transaction shares: the request, the paths, what has changed so far.

use alloc::vec::Vec;

use scsi_pr::{
    BasicParameters, OutAction, RegisterAndMoveParameters, ReservationKey, ReservationType,
    TransportId, UnitAttention,
};

use crate::courier::News;
use crate::evidence::Tally;
use crate::inspect::Victim;
use crate::outcome::{Effects, Outcome};
use crate::request::{Preempt, Register, RegisterAndMove, RegisterMode, Request};
use crate::snapshot::{Before, Path, PathId, PathState, Snapshot};
use crate::transaction::{Doubt, FanOut, Occasion, Options};
use crate::wire::{Command, Parameters};

/// Registrations that may be this node's, before it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// With the key that is to be replaced.
    pub(crate) old: Tally,
    /// With the key that is to be registered.
    pub(crate) new: Tally,
    /// Ports with the key that is to be replaced, where they are named.
    pub(crate) ports: Vec<TransportId>,
    /// Ports with any key, where they are named.
    pub(crate) registered: Vec<(TransportId, ReservationKey)>,
    pub(crate) generation: u32,
}

/// The constant part of a transaction, and its results.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) paths: Vec<Path>,
    pub(crate) remembered_key: Option<ReservationKey>,
    pub(crate) remembered_aptpl: bool,
    remembered_all_tg_pt: bool,
    pub(crate) remembered_holding: bool,
    pub(crate) remembered_nexuses: usize,
    pub(crate) remembered_gone: usize,
    pub(crate) own_ports: Vec<TransportId>,
    pub(crate) fan_out: FanOut,
    pub(crate) doubt: Doubt,
    pub(crate) occasion: Occasion,
    pub(crate) effects: Effects,
    /// What there was of our keys before they began to change.
    pub(crate) before_change: Option<Standing>,
    /// Paths of the port that holds the reservation: they change their key when all others have.
    /// Whoever preempts the old one meanwhile then finds the holder among its victims.
    pub(crate) holding: Vec<PathId>,
    /// How many paths have changed the old key into the new one.
    pub(crate) moved: usize,
    /// What there was before the reservation is moved away and this node unregistered, unless it
    /// was there already where it is to be moved.
    pub(crate) before_move: Option<Before>,
    /// The same of a request that was cut off.
    pub(crate) before_crash: Option<Before>,
    /// What there was of the victim before it was preempted.
    pub(crate) victim_before: Option<Victim>,
    /// Of the reservation that the last census saw.
    pub(crate) type_in_force: Option<ReservationType>,
    /// Paths that were usable from the beginning: what they say is no old news.
    pub(crate) steady: Vec<PathId>,
    /// Paths that seemed usable and did not answer.
    pub(crate) silent: Vec<PathId>,
    /// One of them said that registrations or reservations were taken away.
    pub(crate) has_lost: bool,
    /// A path that was to be unregistered, or was just registered, fell silent: it may have a key.
    pub(crate) may_have_left: bool,
    /// Paths that said so since they were last known to be registered.
    pub(crate) robbed: Vec<PathId>,
    /// How often our registrations were preempted to end them.
    pub(crate) purges: u32,
    #[cfg(feature = "world")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
}

impl Job {
    pub(crate) fn new(request: Request, snapshot: Snapshot, options: Options) -> Self {
        let is_usable = |path: &&Path| path.state == PathState::Usable;
        let known = snapshot.remembered_key;
        let is_recovery = options.occasion == Occasion::Recovery;
        let before = snapshot.before.filter(|_| is_recovery);
        Self {
            steady: snapshot
                .paths
                .iter()
                .filter(is_usable)
                .map(|path| path.id)
                .collect(),
            silent: Vec::new(),
            may_have_left: false,
            robbed: Vec::new(),
            has_lost: false,
            request,
            paths: snapshot.paths,
            remembered_key: before.and_then(|before| before.key).or(known),
            remembered_aptpl: snapshot.remembered_aptpl,
            remembered_all_tg_pt: snapshot.remembered_all_tg_pt,
            remembered_holding: snapshot.remembered_holding,
            remembered_nexuses: snapshot.remembered_nexuses,
            remembered_gone: snapshot.remembered_gone,
            own_ports: snapshot.own_ports,
            fan_out: match snapshot.takes_one_at_a_time {
                true => FanOut::Sequential,
                false => options.fan_out,
            },
            doubt: options.doubt,
            occasion: options.occasion,
            victim_before: None,
            effects: Effects::default(),
            before_change: None,
            holding: Vec::new(),
            moved: 0,
            before_move: None,
            before_crash: before,
            type_in_force: None,
            purges: 0,
            #[cfg(feature = "world")]
            mutation: options.mutation,
        }
    }

    /// Takes in what unit attentions said. What one nexus is told stays with it until it is asked,
    /// so that a path which was away may tell of long ago.
    pub(crate) fn note_news(&mut self, news: Vec<News>) {
        for News { path, attention } in news {
            let is_loss = matches!(
                attention,
                UnitAttention::RegistrationsPreempted | UnitAttention::ReservationsPreempted
            );
            self.robbed.extend(path.filter(|_| is_loss));
            self.has_lost |= is_loss && path.is_some_and(|path| self.steady.contains(&path));
            self.effects.news.push(attention);
        }
    }

    pub(crate) fn usable(&self) -> Vec<PathId> {
        self.in_state(PathState::Usable)
    }

    /// Whether a request that was cut off unregisters with a key that is not this node's.
    pub(crate) fn recovers_what_was_refused(&self) -> bool {
        let Request::Register(register) = &self.request else {
            return false;
        };
        let is_other = |own: ReservationKey| !register.key.is_none() && own != register.key;
        self.occasion == Occasion::Recovery
            && register.is_unregister()
            && self.remembered_key.is_some_and(is_other)
    }

    /// Whether two paths are known to start from the same port: some devices keep one registration
    /// for both.
    pub(crate) fn share_port(&self, one: PathId, other: PathId) -> bool {
        let port = |id| {
            let path = self.paths.iter().find(|path| path.id == id)?;
            path.initiator_port.as_ref()
        };
        one != other && port(one).is_some() && port(one) == port(other)
    }

    /// Whether this path starts from one of these ports.
    pub(crate) fn starts_from(&self, id: PathId, ports: &[TransportId]) -> bool {
        self.initiator_port(id)
            .is_some_and(|port| ports.contains(port))
    }

    pub(crate) fn initiator_port(&self, id: PathId) -> Option<&TransportId> {
        let own = self.paths.iter().find(|path| path.id == id)?;
        own.initiator_port.as_ref()
    }

    /// Whether the map uses no path that could be asked although this node is registered with the
    /// request's key: the conflict of one that is kept out may be its own alone.
    pub(crate) fn hears_strangers_only(&self) -> bool {
        self.hears_of_strangers() && self.remembered_key == self.request.key()
    }

    /// The same, whatever the request's key.
    pub(crate) fn hears_of_strangers(&self) -> bool {
        self.steady.is_empty() && self.remembered_key.is_some()
    }

    /// The same for how a request ended of which nothing was executed.
    pub(crate) fn unless_strange(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Conflict if self.hears_strangers_only() => Outcome::NoUsablePath,
            outcome => outcome,
        }
    }

    /// The usable paths, apart from those that were not when it began; unless none was.
    pub(crate) fn members_and_strangers(&self) -> (Vec<PathId>, Vec<PathId>) {
        let is_member = |path: &PathId| self.is_steady(*path);
        self.usable().into_iter().partition(is_member)
    }

    /// Whether what this path says can be trusted to be said of the map: it was in use when it
    /// began, or none was.
    pub(crate) fn is_steady(&self, path: PathId) -> bool {
        self.steady.is_empty() || self.steady.contains(&path)
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

    /// Whether this node registers for all target ports.
    pub(crate) fn all_tg_pt(&self) -> bool {
        match &self.request {
            Request::Register(register) => register.all_tg_pt,
            _ => self.remembered_all_tg_pt,
        }
    }

    /// Asks these paths last from now on: they have cost their patience already. What they are
    /// registered with nobody has heard from them.
    pub(crate) fn demote(&mut self, silent: &[PathId]) {
        self.paths.sort_by_key(|path| silent.contains(&path.id));
        self.silent.extend(silent);
    }

    /// Usable paths that the path which `accepted` does not cover, in groups of which one path
    /// is enough; `suspects` come last in each.
    pub(crate) fn lanes(
        &self,
        register: &Register,
        accepted: Option<PathId>,
        suspects: &[PathId],
    ) -> Vec<Vec<PathId>> {
        let mut lanes: Vec<Vec<PathId>> = Vec::new();
        for path in self.usable() {
            if !lanes.iter().any(|lane| lane.contains(&path)) {
                lanes.push(self.covered_by(register, path));
            }
        }
        lanes.retain(|lane| !accepted.is_some_and(|path| lane.contains(&path)));
        for lane in &mut lanes {
            lane.sort_by_key(|path| suspects.contains(path));
        }
        lanes
    }

    /// The usable paths that a registration through `id` counts for: with ALL_TG_PT every path
    /// of its initiator port, where the port is known.
    pub(crate) fn covered_by(&self, register: &Register, id: PathId) -> Vec<PathId> {
        let port = self
            .paths
            .iter()
            .find(|path| path.id == id)
            .and_then(|path| path.initiator_port.as_ref())
            .filter(|_| register.all_tg_pt);
        let is_covered = |path: &&Path| {
            path.id == id || (port.is_some() && path.initiator_port.as_ref() == port)
        };
        let usable = self
            .paths
            .iter()
            .filter(|path| path.state == PathState::Usable);
        usable.filter(is_covered).map(|path| path.id).collect()
    }

    /// The key this node is registered with until now, as far as it is known. The key given
    /// beside REGISTER AND IGNORE is a hint only: the device does not compare it.
    pub(crate) fn own_key(&self) -> Option<ReservationKey> {
        let is_registered = |key: &ReservationKey| !key.is_none();
        let given = self.request.key().filter(is_registered);
        match &self.request {
            Request::Register(register)
                if register.mode == RegisterMode::Ignore || self.occasion == Occasion::Recovery =>
            {
                self.remembered_key.filter(is_registered).or(given)
            }
            _ => given,
        }
    }
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
    pub(crate) fn command(&self) -> Command {
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
