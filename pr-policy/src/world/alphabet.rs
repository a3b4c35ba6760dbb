//! Which commands the nodes may run.

use alloc::vec::Vec;

use scsi_pr::{ReservationKey, ReservationType};

use super::exclusion::Exclusion;
use super::op::{Fault, Link, Op};
use super::search::Kinds;
use super::stage::World;
use crate::request::{
    Clear, Preempt, Register, RegisterAndMove, RegisterMode, Release, Request, Reserve,
    VictimCommands,
};

/// Everything that may be tried.
#[derive(Debug, Clone)]
pub struct Alphabet {
    /// Reservation types.
    pub types: Vec<ReservationType>,
    /// By node: the keys it may use.
    pub keys: Vec<Vec<ReservationKey>>,
    /// By node: states its paths may get.
    pub links: Vec<Vec<Link>>,
    /// Whether registrations are for all target ports.
    pub all_tg_pt: bool,
    /// Whether registrations and reservations are to outlive a loss of power.
    pub aptpl: bool,
    /// What is left out.
    pub exclusions: Vec<Exclusion>,
    /// Whether the reservation may be moved to another node.
    pub moves: bool,
    /// By node: how many of its paths may be away at once.
    pub most_away: Vec<usize>,
}

impl Alphabet {
    /// All operations that may begin now.
    #[must_use]
    pub fn ops(&self, world: &World) -> Vec<Op> {
        let nodes = 0..world.setting().nodes();
        let asks = nodes.clone().flat_map(|node| {
            let requests = self.requests(world, node).into_iter();
            requests.map(move |request| Op::Ask { node, request })
        });
        let mut ops: Vec<Op> = asks.collect();
        for node in nodes {
            let links = self.link_changes(world, node).into_iter();
            ops.extend(links.map(|(path, link)| Op::Link { node, path, link }));
        }
        ops
    }

    /// What may happen to a node's paths now.
    #[must_use]
    pub fn link_changes(&self, world: &World, node: usize) -> Vec<(usize, Link)> {
        let paths = 0..world.setting().paths(node);
        let is_away = |path: &usize| world.link(node, *path) != Link::Up;
        let may_lose = paths.clone().filter(is_away).count() < self.most_away[node];
        let mut changes = Vec::new();
        for path in paths {
            let current = world.link(node, path);
            for link in self.links[node].iter().copied() {
                let is_loss = current == Link::Up;
                if link == current || (is_loss && !may_lose) {
                    continue;
                }
                changes.push((path, link));
            }
        }
        changes
    }

    /// The commands that a node may run now.
    #[must_use]
    pub fn requests(&self, world: &World, node: usize) -> Vec<Request> {
        // It would be completed first, and no path is there.
        if world.is_cut_off(node) {
            return Vec::new();
        }
        let current = world.key(node);
        let key = current.unwrap_or(ReservationKey::NONE);
        let mut requests = self.registrations(node, key);
        match current {
            Some(key) => {
                requests.extend(self.reservations(key));
                requests.extend(self.preemptions(world, node, key));
                requests.push(Request::Clear(Clear { key }));
                if self.moves && !world.nodes[node].is_half_registered {
                    requests.extend(moves(world, node, key, self.aptpl));
                }
            }
            None => {
                let key = self.keys[node].first().copied();
                requests.extend(key.into_iter().flat_map(|key| self.reservations(key)));
            }
        }
        requests
    }

    /// Everything that may go wrong just before the next thing a node would do.
    #[must_use]
    pub fn faults(&self, world: &World, node: usize, kinds: Kinds) -> Vec<Fault> {
        let mut faults = Vec::new();
        if kinds.mishaps {
            faults.extend(world.mishaps(node));
        }
        if kinds.links {
            let changes = self.link_changes(world, node).into_iter();
            faults.extend(changes.map(|(path, link)| Fault::Link { node, path, link }));
        }
        if kinds.meddling {
            for other in (0..world.setting().nodes()).filter(|other| *other != node) {
                let requests = self.intrusions(world, other).into_iter();
                faults.extend(requests.map(|request| Fault::Meddle {
                    node: other,
                    request,
                }));
            }
        }
        if kinds.crashes && world.can_crash(node) {
            faults.push(Fault::Crash);
        }
        let is_left_out = |fault: &Fault| {
            let mut exclusions = self.exclusions.iter();
            exclusions.any(|exclusion| exclusion.covers(world, node, fault))
        };
        faults.retain(|fault| !is_left_out(fault));
        faults
    }

    /// The commands with which a node may step into another's: those that take something away.
    /// PREEMPT AND ABORT takes what PREEMPT does.
    #[must_use]
    pub fn intrusions(&self, world: &World, node: usize) -> Vec<Request> {
        let takes = |request: &Request| match request {
            Request::Preempt(preempt) => {
                preempt.victim != preempt.key && preempt.commands == VictimCommands::Finish
            }
            Request::Clear(_) => true,
            Request::Register(register) => register.mode == RegisterMode::Compare,
            _ => false,
        };
        let mut requests = self.requests(world, node);
        requests.retain(takes);
        requests
    }

    fn registrations(&self, node: usize, key: ReservationKey) -> Vec<Request> {
        let mut requests = Vec::new();
        let nothing = [ReservationKey::NONE];
        for new_key in self.keys[node].iter().chain(&nothing) {
            for mode in [RegisterMode::Compare, RegisterMode::Ignore] {
                if new_key.is_none() && key.is_none() && mode == RegisterMode::Compare {
                    continue;
                }
                requests.push(Request::Register(Register {
                    mode,
                    key: match mode {
                        RegisterMode::Compare => key,
                        RegisterMode::Ignore => ReservationKey::NONE,
                    },
                    new_key: *new_key,
                    aptpl: self.aptpl,
                    all_tg_pt: self.all_tg_pt,
                    transport_ids: Vec::new(),
                }));
            }
        }
        requests
    }

    fn reservations(&self, key: ReservationKey) -> Vec<Request> {
        let both = |held: &ReservationType| {
            let reservation_type = *held;
            [
                Request::Reserve(Reserve {
                    key,
                    reservation_type,
                }),
                Request::Release(Release {
                    key,
                    reservation_type,
                }),
            ]
        };
        self.types.iter().flat_map(both).collect()
    }

    fn preemptions(&self, world: &World, node: usize, key: ReservationKey) -> Vec<Request> {
        let mut victims = Vec::from([key, ReservationKey::NONE]);
        let others = (0..world.setting().nodes()).filter(|other| *other != node);
        for victim in others.flat_map(|other| world.possible_keys(other)) {
            if !victims.contains(&victim) {
                victims.push(victim);
            }
        }
        let mut requests = Vec::new();
        for reservation_type in self.types.iter().copied() {
            for victim in victims.iter().copied() {
                let preempts = [VictimCommands::Finish, VictimCommands::Abort].map(|commands| {
                    Request::Preempt(Preempt {
                        key,
                        victim,
                        reservation_type,
                        commands,
                    })
                });
                requests.extend(preempts);
            }
        }
        requests
    }
}

/// Moves to other nodes that are registered, to a nexus with the key that it has: a node that
/// knows nothing of its registration cannot use it on more than the one path.
fn moves(world: &World, node: usize, key: ReservationKey, aptpl: bool) -> Vec<Request> {
    let mut requests = Vec::new();
    let may_receive = |other: &usize| *other != node && !world.nodes[*other].is_half_registered;
    for other in (0..world.setting().nodes()).filter(may_receive) {
        let Some(new_key) = world.key(other) else {
            continue;
        };
        let paths = 0..world.setting().paths(other);
        let Some(nexus) = paths
            .map(|path| world.setting().nexus(other, path))
            .find(|nexus| world.unit.registered_key(nexus) == Some(new_key))
        else {
            continue;
        };
        for unregister in [false, true] {
            requests.push(Request::RegisterAndMove(RegisterAndMove {
                key,
                new_key,
                aptpl,
                unregister,
                relative_target_port: nexus.relative_target_port,
                transport_id: nexus.initiator_port.clone(),
            }));
        }
    }
    requests
}
