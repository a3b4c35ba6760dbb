//! REGISTER AND MOVE (SPC-4 5.12.8).

use super::nexus::{NexusId, is_same_initiator};
use super::out::OutCommand;
use super::reach::is_device;
use super::response::Denial;
use super::{LogicalUnit, Nexus, Quirks};
use crate::{RegisterAndMoveParameters, TransportId};

impl LogicalUnit {
    pub(super) fn register_and_move(
        &mut self,
        sender: NexusId,
        command: &OutCommand<'_>,
    ) -> Result<(), Denial> {
        self.check_registered(sender)?;
        let own = self.check_key(sender, command)?;
        if command.service_action_key.is_none() {
            return Err(Denial::LIST_FIELD);
        }
        let parameters = RegisterAndMoveParameters::decode(command.list);
        let parameters = parameters.map_err(|_| Denial::LIST_FIELD)?;
        let destination = self.destination(sender, &parameters)?;
        let Some(held) = self.held else {
            return Err(Denial::CDB_FIELD);
        };
        if !self.holds(sender) || held.is_all_registrants() {
            return Err(Denial::Conflict);
        }
        let destination = self.intern(&destination);
        let key = command.service_action_key;
        let position = match self.position_of(destination) {
            Some(position) => {
                self.change_key(position, key, false);
                position
            }
            None => {
                self.check_room(&[destination])?;
                self.add_entry(destination, key, false)
            }
        };
        self.hold(held, position);
        if parameters.unreg {
            self.remove_entries(|_, position, _| position == own);
        }
        self.aptpl = parameters.aptpl;
        self.count();
        Ok(())
    }

    /// The nexus that gets the reservation.
    fn destination(
        &self,
        sender: NexusId,
        parameters: &RegisterAndMoveParameters,
    ) -> Result<Nexus, Denial> {
        let port = &parameters.transport_id;
        let target_port = parameters.relative_target_port;
        let is_known = self.table().target_ports().contains(&target_port);
        let is_unclear = matches!(port, TransportId::Unknown { .. });
        if !is_known || is_unclear || self.is_senders_own(sender, port) {
            return Err(Denial::LIST_FIELD);
        }
        let is_lio = self.profile.has(Quirks::SIBLINGS_WITHOUT_SESSION);
        let is_possible = if is_lio {
            self.is_connected_at(port, target_port)
        } else {
            !is_device(port)
        };
        if !is_possible {
            return Err(Denial::LIST_FIELD);
        }
        Ok(Nexus {
            initiator_port: port.clone(),
            relative_target_port: target_port,
        })
    }

    fn is_senders_own(&self, sender: NexusId, port: &TransportId) -> bool {
        // Registered without a session, it is all sessions of its initiator.
        let registered = self.entry_of(sender).map_or(sender, |entry| entry.nexus);
        let is_all = is_device(port) || self.table().is_sessionless(registered);
        let own = self.table().get(sender).map(|nexus| &nexus.initiator_port);
        own.is_some_and(|own| own == port || is_all && is_same_initiator(own, port))
    }
}
