//! Commands at random, most of them sensible.

use std::fmt;

use scsi_pr::device_server::{LogicalUnit, Nexus};
use scsi_pr::{
    BasicParameters, InAction, IscsiTransportId, OutAction, RegisterAndMoveParameters,
    ReservationKey, TransportId,
};
use xtask::guest::Fabric;

use super::random::Random;
use super::step::Step;
use super::target::Target;

impl Step {
    pub(super) fn random(random: &mut Random, target: &Target, unit: &LogicalUnit) -> Self {
        let nexus = random.below(target.nexuses.len());
        match random.below(100) {
            0..=7 => Self::random_medium(random, nexus),
            8..=11 => Self::test_unit_ready(nexus),
            12 => Self::random_allowed(random, nexus),
            13 if target.fabric == Fabric::Loop => Self {
                cuts_link: true,
                ..Self::plain(nexus, "the link is cut and mended", &[])
            },
            14..=34 => Self::random_read(random, nexus),
            _ => Self::random_out(random, nexus, target, unit),
        }
    }

    fn random_medium(random: &mut Random, nexus: usize) -> Self {
        let long = random.one_in(2);
        let is_write = random.one_in(2);
        let code = match (is_write, long) {
            (false, false) => 0x28,
            (false, true) => 0x88,
            (true, false) => 0x2a,
            (true, true) => 0x8a,
        };
        let mut cdb = vec![0; if long { 16 } else { 10 }];
        cdb[0] = code;
        cdb[if long { 13 } else { 8 }] = 1;
        let text = if is_write { "WRITE" } else { "READ" };
        Self {
            data_out: if is_write { vec![0; BLOCK] } else { Vec::new() },
            data_in: if is_write { 0 } else { BLOCK },
            ..Self::plain(nexus, text, &cdb)
        }
    }

    fn random_allowed(random: &mut Random, nexus: usize) -> Self {
        match random.below(3) {
            0 => Self {
                data_in: 36,
                ..Self::plain(nexus, "INQUIRY", &[0x12, 0, 0, 0, 36, 0])
            },
            1 => Self {
                data_in: 16,
                ..Self::plain(
                    nexus,
                    "REPORT LUNS",
                    &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0],
                )
            },
            _ => Self {
                data_in: 18,
                is_compared: true,
                ..Self::plain(nexus, "REQUEST SENSE", &[0x03, 0, 0, 0, 18, 0])
            },
        }
    }

    fn random_read(random: &mut Random, nexus: usize) -> Self {
        let action = match random.below(20) {
            0 => random.byte() & 0x1f,
            1 => 2,
            number => [0, 1, 3][number % 3],
        };
        let allocation_length = match random.below(4) {
            0 => random.below(12),
            1 => random.below(300),
            _ => 1024,
        };
        let allocation_length = u16::try_from(allocation_length).unwrap_or(0);
        Self::read(nexus, InAction(action), allocation_length)
    }

    fn random_out(random: &mut Random, nexus: usize, target: &Target, unit: &LogicalUnit) -> Self {
        let abort = if target.fabric == Fabric::Iscsi { 5 } else { 4 };
        let action = match random.below(40) {
            0..=9 => 0,
            10..=13 => 6,
            14..=20 => 1,
            21..=24 => 2,
            25 => 3,
            26..=31 => 4,
            32..=34 => abort,
            35..=38 => 7,
            _ => match random.byte() & 0x1f {
                5 => abort,
                other => other,
            },
        };
        let action = OutAction(action);
        let is_register = action == OutAction::REGISTER;
        let nexus = match random.below(3) {
            0 if !is_register => target.pick(random, |it| unit.is_holder(it)),
            1 if !is_register => target.pick(random, |it| unit.registered_key(it).is_some()),
            _ => None,
        }
        .unwrap_or(nexus);
        let keys = Keys::random(random, action, &target.nexuses[nexus].identity, unit);
        let mut step = if action == OutAction::REGISTER_AND_MOVE {
            Self::random_move(random, nexus, target, keys)
        } else {
            Self::random_basic(random, nexus, action, target, keys)
        };
        step.distort(random);
        step
    }

    fn random_basic(
        random: &mut Random,
        nexus: usize,
        action: OutAction,
        target: &Target,
        keys: Keys,
    ) -> Self {
        let mut named = Vec::new();
        let is_register = action == OutAction::REGISTER;
        let is_named = is_register && random.one_in(8) || random.one_in(60);
        // Over iSCSI Linux 6.1 keeps a reference to the LUN whenever an unregistered nexus sends
        // SPEC_I_PT: whoever removes the LUN then waits for ever.
        if is_named && target.fabric == Fabric::Loop {
            named.push(random.below(target.nexuses.len()));
            if random.one_in(2) {
                named.push(random.below(target.nexuses.len()));
            }
        }
        let port = |number: &usize| target.nexuses[*number].identity.initiator_port.clone();
        let parameters = BasicParameters {
            reservation_key: keys.own,
            service_action_reservation_key: keys.other,
            aptpl: random.one_in(10),
            all_tg_pt: random.one_in(10),
            transport_ids: named.iter().map(port).collect(),
        };
        let scope_and_type = random.scope_and_type();
        let mut step = Self::out(nexus, action, scope_and_type, parameters.encode());
        step.text += &format!(
            " {keys}{}{} {named:?}",
            if parameters.all_tg_pt {
                " ALL_TG_PT"
            } else {
                ""
            },
            if parameters.aptpl { " APTPL" } else { "" },
        );
        step
    }

    fn random_move(random: &mut Random, nexus: usize, target: &Target, keys: Keys) -> Self {
        let other = random.below(target.nexuses.len());
        let identity = &target.nexuses[other].identity;
        let relative_target_port = match random.below(12) {
            0 => u16::from(random.byte() % 6),
            _ => identity.relative_target_port,
        };
        let transport_id = match &identity.initiator_port {
            TransportId::Iscsi(port) if random.one_in(8) => {
                TransportId::Iscsi(IscsiTransportId::Device {
                    name: port.name().to_owned(),
                })
            }
            port => port.clone(),
        };
        let unreg = random.one_in(3);
        let parameters = RegisterAndMoveParameters {
            reservation_key: keys.own,
            service_action_reservation_key: keys.other,
            unreg,
            aptpl: random.one_in(10),
            relative_target_port,
            transport_id,
        };
        let action = OutAction::REGISTER_AND_MOVE;
        let mut step = Self::out(nexus, action, random.scope_and_type(), parameters.encode());
        let to = &parameters.transport_id;
        step.text += &format!(" {keys} to {to}, port {relative_target_port}, unreg {unreg}");
        step
    }

    /// Now and then a wrong length.
    fn distort(&mut self, random: &mut Random) {
        if !random.one_in(25) {
            return;
        }
        let length = match random.below(3) {
            0 => random.below(24),
            1 => 24,
            _ => 24 + random.below(40),
        };
        self.data_out.resize(length, 0);
        self.text += &format!(" in {length} bytes");
        if random.one_in(4) {
            self.text += ", which the CDB does not say";
        } else {
            let field = u32::try_from(length).unwrap_or(0).to_be_bytes();
            self.cdb[5..9].copy_from_slice(&field);
        }
    }
}

/// The two keys of a PERSISTENT RESERVE OUT.
#[derive(Clone, Copy)]
struct Keys {
    own: ReservationKey,
    other: ReservationKey,
}

impl Keys {
    fn random(random: &mut Random, action: OutAction, nexus: &Nexus, unit: &LogicalUnit) -> Self {
        let registered = unit.registered_key(nexus).unwrap_or(ReservationKey::NONE);
        let own = if random.one_in(12) {
            random.key()
        } else {
            registered
        };
        let is_register =
            action == OutAction::REGISTER || action == OutAction::REGISTER_AND_IGNORE_EXISTING_KEY;
        let other = if is_register && random.one_in(4) {
            ReservationKey::NONE
        } else {
            random.key()
        };
        Self { own, other }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.own, self.other)
    }
}

const BLOCK: usize = 512;
