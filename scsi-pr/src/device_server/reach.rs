//! Which nexuses a REGISTER reaches beyond the one it came over: the named (SPEC_I_PT) and those
//! at the other target ports (ALL_TG_PT).

use alloc::vec::Vec;

use super::nexus::{NexusId, is_same_initiator, without_session};
use super::response::Denial;
use super::{LogicalUnit, Nexus, Quirks};
use crate::{IscsiTransportId, TransportId};

impl LogicalUnit {
    /// The nexuses that a TransportID stands for: its initiator port at the target port that
    /// the command came through; for an iSCSI initiator without a session, each of its ports.
    pub(super) fn named(
        &mut self,
        sender: NexusId,
        initiator_port: &TransportId,
    ) -> Result<Vec<NexusId>, Denial> {
        if matches!(initiator_port, TransportId::Unknown { .. }) {
            return Err(Denial::LIST_FIELD);
        }
        let is_elsewhere = self.profile.has(Quirks::SPEC_I_PT_AT_FIRST_PORT);
        let target_port = if is_elsewhere {
            let first = self.first_target_port_of(initiator_port);
            first.ok_or(Denial::LIST_FIELD)?
        } else {
            self.target_port_of(sender)
        };
        if !is_elsewhere && is_device(initiator_port) {
            return self.sessions(initiator_port, target_port);
        }
        Ok(Vec::from([self.intern(&Nexus {
            initiator_port: initiator_port.clone(),
            relative_target_port: target_port,
        })]))
    }

    /// All sessions of an iSCSI initiator, at one target port.
    fn sessions(
        &mut self,
        initiator: &TransportId,
        relative_target_port: u16,
    ) -> Result<Vec<NexusId>, Denial> {
        let table = self.table();
        let mut ports: Vec<TransportId> = Vec::new();
        for nexus in table.connected().filter_map(|id| table.get(id)) {
            let port = &nexus.initiator_port;
            if is_same_initiator(port, initiator) && !ports.contains(port) {
                ports.push(port.clone());
            }
        }
        if ports.is_empty() {
            return Err(Denial::LIST_FIELD);
        }
        let nexus = |initiator_port| Nexus {
            initiator_port,
            relative_target_port,
        };
        let nexuses = ports.into_iter().map(nexus);
        Ok(nexuses.map(|nexus| self.intern(&nexus)).collect())
    }

    /// Adds the nexuses of an initiator port at the other target ports, for ALL_TG_PT.
    pub(super) fn add_siblings(
        &mut self,
        nexuses: &mut Vec<NexusId>,
        of: NexusId,
        all_tg_pt: bool,
    ) {
        let Some(nexus) = self.table().get(of).filter(|_| all_tg_pt).cloned() else {
            return;
        };
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        for target_port in Vec::from(self.table().target_ports()) {
            if target_port == nexus.relative_target_port {
                continue;
            }
            let port = &nexus.initiator_port;
            if is_lio && !self.is_connected_at(port, target_port) {
                continue;
            }
            let initiator_port = if is_lio {
                without_session(port)
            } else {
                port.clone()
            };
            let sibling = self.intern(&Nexus {
                initiator_port,
                relative_target_port: target_port,
            });
            nexuses.push(sibling);
        }
    }

    pub(super) fn is_same_initiator(&self, one: NexusId, other: NexusId) -> bool {
        let port = |id| self.table().get(id).map(|nexus| &nexus.initiator_port);
        match (port(one), port(other)) {
            (Some(one), Some(other)) => is_same_initiator(one, other),
            _ => false,
        }
    }

    fn target_port_of(&self, id: NexusId) -> u16 {
        let nexus = self.table().get(id);
        nexus.map_or(0, |nexus| nexus.relative_target_port)
    }

    pub(super) fn is_connected_at(&self, port: &TransportId, target_port: u16) -> bool {
        let table = self.table();
        table
            .connected()
            .filter_map(|id| table.get(id))
            .any(|nexus| {
                nexus.relative_target_port == target_port
                    && is_same_initiator(&nexus.initiator_port, port)
            })
    }

    /// [`Quirks::SPEC_I_PT_AT_FIRST_PORT`].
    fn first_target_port_of(&self, port: &TransportId) -> Option<u16> {
        if is_device(port) {
            return None;
        }
        let looked_at = match port {
            TransportId::Iscsi(_) => 1,
            _ => usize::MAX,
        };
        let ports = self.table().target_ports().iter().copied();
        let mut ports = ports.take(looked_at);
        ports.find(|target_port| self.is_connected_at(port, *target_port))
    }
}

pub(super) fn is_device(port: &TransportId) -> bool {
    matches!(port, TransportId::Iscsi(IscsiTransportId::Device { .. }))
}
