//! I_T nexuses, and the table that gives each a small number, so that the rest of the state is
//! a few integers.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::{IscsiTransportId, TransportId};

/// An I_T nexus (SAM-5 4.7): what a registration belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nexus {
    /// The initiator port.
    pub initiator_port: TransportId,
    /// The target port, by its relative target port identifier, 1 to 65535.
    pub relative_target_port: u16,
}

impl Ord for Nexus {
    fn cmp(&self, other: &Self) -> Ordering {
        let ports = self.relative_target_port.cmp(&other.relative_target_port);
        ports.then_with(|| {
            let bytes = self.initiator_port.encode();
            bytes.cmp(&other.initiator_port.encode())
        })
    }
}

impl PartialOrd for Nexus {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number of a nexus in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NexusId(pub(super) u16);

impl NexusId {
    /// As a position in a list.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Every nexus that the unit has heard of, and every target port it has. Only ever grows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct NexusTable {
    nexuses: Vec<Nexus>,
    /// Those over which commands have come or can come; others were only named in a parameter
    /// list.
    connected: Vec<bool>,
    target_ports: Vec<u16>,
}

impl NexusTable {
    /// Most nexuses; one more is taken for the last.
    pub(super) const MAX: usize = u16::MAX as usize;

    pub(super) fn find(&self, nexus: &Nexus) -> Option<NexusId> {
        self.ids()
            .zip(&self.nexuses)
            .find_map(|(id, known)| (known == nexus).then_some(id))
    }

    pub(super) fn add(&mut self, nexus: Nexus) -> NexusId {
        if let Some(known) = self.find(&nexus) {
            return known;
        }
        self.add_target_port(nexus.relative_target_port);
        if self.nexuses.len() < Self::MAX {
            self.nexuses.push(nexus);
            self.connected.push(false);
        }
        let last = self.nexuses.len().saturating_sub(1);
        NexusId(u16::try_from(last).unwrap_or(u16::MAX))
    }

    pub(super) fn set_connected(&mut self, id: NexusId) {
        if let Some(connected) = self.connected.get_mut(id.index()) {
            *connected = true;
        }
    }

    pub(super) fn is_connected(&self, id: NexusId) -> bool {
        self.connected.get(id.index()).copied().unwrap_or(false)
    }

    pub(super) fn add_target_port(&mut self, relative_target_port: u16) {
        if let Err(place) = self.target_ports.binary_search(&relative_target_port) {
            self.target_ports.insert(place, relative_target_port);
        }
    }

    /// All target ports, in ascending order.
    pub(super) fn target_ports(&self) -> &[u16] {
        &self.target_ports
    }

    pub(super) fn get(&self, id: NexusId) -> Option<&Nexus> {
        self.nexuses.get(id.index())
    }

    pub(super) fn len(&self) -> usize {
        self.nexuses.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NexusId> + use<> {
        (0..u16::try_from(self.nexuses.len()).unwrap_or(u16::MAX)).map(NexusId)
    }

    /// Those over which commands can come.
    pub(super) fn connected(&self) -> impl Iterator<Item = NexusId> {
        self.ids().filter(|id| self.is_connected(*id))
    }

    pub(super) fn is_same_initiator_port(&self, one: NexusId, other: NexusId) -> bool {
        let port = |id| self.get(id).map(|nexus| &nexus.initiator_port);
        port(one) == port(other)
    }

    /// The first nexus with the same target port and initiator, whatever its session: what
    /// Linux' target keeps together (a node ACL and its mapped LUN).
    pub(super) fn node(&self, id: NexusId) -> NexusId {
        let same = |other: &NexusId| self.is_same_node(id, *other);
        self.ids().find(same).unwrap_or(id)
    }

    /// Whether it is an iSCSI initiator without a session: a name in a registration, over which
    /// no command can come.
    pub(super) fn is_sessionless(&self, id: NexusId) -> bool {
        let port = self.get(id).map(|nexus| &nexus.initiator_port);
        matches!(
            port,
            Some(TransportId::Iscsi(IscsiTransportId::Device { .. }))
        )
    }

    /// Whether they are sessions of one initiator with one target port, whose ISIDs begin with
    /// the same eight of their twelve hex digits.
    pub(super) fn is_similar_session(&self, one: NexusId, other: NexusId) -> bool {
        let digits = |id| match self.get(id).map(|nexus| &nexus.initiator_port) {
            Some(TransportId::Iscsi(IscsiTransportId::Port { isid, .. })) => Some(isid >> 16),
            _ => None,
        };
        self.is_same_node(one, other) && digits(one).is_some() && digits(one) == digits(other)
    }

    pub(super) fn is_same_node(&self, one: NexusId, other: NexusId) -> bool {
        let (Some(one), Some(other)) = (self.get(one), self.get(other)) else {
            return false;
        };
        one.relative_target_port == other.relative_target_port
            && is_same_initiator(&one.initiator_port, &other.initiator_port)
    }
}

/// Whether two initiator ports are of the same initiator, as far as their names tell.
pub(super) fn is_same_initiator(one: &TransportId, other: &TransportId) -> bool {
    match (one, other) {
        (TransportId::Iscsi(one), TransportId::Iscsi(other)) => one.name() == other.name(),
        _ => one == other,
    }
}

/// An iSCSI initiator without its session: what Linux' target registers at the other ports.
pub(super) fn without_session(port: &TransportId) -> TransportId {
    match port {
        TransportId::Iscsi(port) => TransportId::Iscsi(IscsiTransportId::Device {
            name: port.name().into(),
        }),
        other => other.clone(),
    }
}
