//! PERSISTENT RESERVE IN (SPC-4 6.15).

use alloc::vec::Vec;

use super::commands::cut;
use super::response::Denial;
use super::state::Entry;
use super::{LogicalUnit, Quirks};
use crate::{
    Capabilities, FullStatusDescriptor, InAction, PrInCdb, ReadFullStatus, ReadKeys,
    ReadReservation, ReservationType, Scope, TypeMask,
};

impl LogicalUnit {
    pub(super) fn persistent_reserve_in(&self, cdb: PrInCdb) -> Result<Vec<u8>, Denial> {
        let room = usize::from(cdb.allocation_length);
        let is_short = self.profile.has(Quirks::SHORT_ALLOCATION_LENGTHS);
        let least = match cdb.action {
            InAction::REPORT_CAPABILITIES => 6,
            _ => 8,
        };
        if is_short && is_known(cdb.action) && room < least {
            return Err(Denial::CDB_FIELD);
        }
        match cdb.action {
            InAction::READ_KEYS => Ok(self.read_keys(room)),
            InAction::READ_RESERVATION => Ok(self.read_reservation(room)),
            InAction::REPORT_CAPABILITIES => Ok(cut(self.capabilities().encode(), room)),
            InAction::READ_FULL_STATUS if !self.profile.has(Quirks::NO_FULL_STATUS) => {
                Ok(self.read_full_status(room))
            }
            _ => Err(Denial::CDB_FIELD),
        }
    }

    fn read_keys(&self, room: usize) -> Vec<u8> {
        let keys = self.entries.iter().map(|entry| entry.key).collect();
        let bytes = ReadKeys::new(self.generation, keys).encode();
        let whole_keys = room - room % 8;
        if self.profile.has(Quirks::SHORT_ALLOCATION_LENGTHS) {
            return cut(bytes, whole_keys);
        }
        cut(bytes, room)
    }

    fn read_reservation(&self, room: usize) -> Vec<u8> {
        let bytes = ReadReservation::new(self.generation, self.reservation()).encode();
        let is_all_or_nothing = self.profile.has(Quirks::SHORT_ALLOCATION_LENGTHS);
        let room = if is_all_or_nothing && room < END_OF_TYPE {
            HEADER_LENGTH
        } else {
            room
        };
        cut(bytes, room)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rlr_c: false,
            crh: true,
            sip_c: true,
            atp_c: true,
            ptpl_c: true,
            tmv: true,
            allow_commands: 1,
            ptpl_a: self.aptpl,
            type_mask: TypeMask::ALL,
        }
    }

    fn read_full_status(&self, room: usize) -> Vec<u8> {
        let mut descriptors = Vec::new();
        let mut length = 0;
        for descriptor in self.entries.iter().filter_map(|entry| self.describe(entry)) {
            let transport_id = descriptor.transport_id.encode().len();
            let is_full = length + transport_id > room;
            if is_full && self.profile.has(Quirks::SHORT_ALLOCATION_LENGTHS) {
                break;
            }
            length += DESCRIPTOR_HEADER_LENGTH + transport_id;
            descriptors.push(descriptor);
        }
        cut(
            ReadFullStatus::new(self.generation, descriptors).encode(),
            room,
        )
    }

    fn describe(&self, entry: &Entry) -> Option<FullStatusDescriptor> {
        let nexus = self.table().get(entry.nexus)?;
        let holder = self.holds(entry.nexus);
        let held = self.held.filter(|_| holder);
        let reservation_type = held.map_or(ReservationType(0), |held| held.reservation_type);
        Some(FullStatusDescriptor {
            key: entry.key,
            all_tg_pt: entry.all_tg_pt,
            holder,
            scope: Scope::LOGICAL_UNIT,
            reservation_type,
            // Undefined with ALL_TG_PT.
            relative_target_port: if entry.all_tg_pt {
                0
            } else {
                nexus.relative_target_port
            },
            transport_id: nexus.initiator_port.clone(),
        })
    }
}

fn is_known(action: InAction) -> bool {
    action.0 <= InAction::READ_FULL_STATUS.0
}

const HEADER_LENGTH: usize = 8;
/// Where READ RESERVATION's SCOPE and TYPE end.
const END_OF_TYPE: usize = 22;
const DESCRIPTOR_HEADER_LENGTH: usize = 24;
