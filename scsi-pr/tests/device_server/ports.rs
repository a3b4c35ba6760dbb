//! ALL_TG_PT and SPEC_I_PT.

use scsi_pr::device_server::{LogicalUnit, Nexus, Profile, Quirks};
use scsi_pr::{BasicParameters, OutAction, PrOutCdb, ReservationKey, ReservationType, Scope};
use scsi_pr::{Status, TransportId};

use crate::script::{check, shown, state};

#[test]
fn all_tg_pt_registers_at_every_target_port() {
    check(
        Profile::strict(),
        "a register 0/1 all: good
         = 1 a=1! a2=1! a3=1!
         a2 register 1/2: good
         = 2 a=1! a2=2 a3=1!
         a ignore 0/5 all: good
         = 3 a=5! a2=5! a3=5!
         a3 register 5/0: good
         = 4 a=5! a2=5!
         a register 5/0 all: good
         = 5",
    );
}

#[test]
fn each_nexus_of_all_tg_pt_is_a_registrant() {
    check(
        Profile::strict(),
        "a register 0/1 all: good
         b register 0/2: good
         a2 reserve 1 6: good
         a write: good
         a3 write: good
         a3 release 1 6: good
         a2 release 1 6: good
         a tur: 6/2a/04
         b tur: 6/2a/04
         b preempt 2>1 5: good
         = 3 b=2
         a tur: 6/2a/05",
    );
}

#[test]
fn a_target_port_without_a_nexus_counts() {
    let mut unit = LogicalUnit::new(Profile::strict());
    unit.add_target_port(9);
    crate::script::play(&mut unit, "a register 0/1 all: good\n = 1 a=1! a9=1!");
}

#[test]
fn spec_i_pt_registers_the_named_at_the_senders_port() {
    check(
        Profile::strict(),
        "a register 0/1 +b +c: good
         = 1 a=1 b1=1 c1=1
         b tur: good
         b1 reserve 1 3: good
         = 1 a=1 b1=1* c1=1 type 3",
    );
    check(
        Profile::strict(),
        "a register 0/1 +b all: good\n = 1 a=1! a2=1! a3=1! b1=1! b=1! b3=1!",
    );
}

#[test]
fn spec_i_pt_leaves_those_who_are_registered() {
    check(
        Profile::strict(),
        "b1 register 0/2: good\n a register 0/1 +b: good\n = 2 b1=2 a=1",
    );
}

#[test]
fn spec_i_pt_is_for_register_from_unregistered_nexuses() {
    check(
        Profile::strict(),
        "a ignore 0/1 +b: 5/26/00
         a register 1/1 +b: conflict
         a register 0/1: good
         a register 1/1 +b: 5/26/00
         a reserve 1 5 +b: 5/26/00
         = 1 a=1",
    );
}

#[test]
fn spec_i_pt_registers_all_or_none() {
    check(
        Profile::max_registrants(2),
        "a register 0/1 +b +c: 5/55/04\n = 0",
    );
}

fn iscsi(text: &str) -> TransportId {
    text.parse().unwrap()
}

fn session(node: &str, isid: u64, relative_target_port: u16) -> Nexus {
    Nexus {
        initiator_port: iscsi(&format!("{node},i,{isid:#x}")),
        relative_target_port,
    }
}

fn register(unit: &mut LogicalUnit, from: &Nexus, parameters: &BasicParameters) -> String {
    let list = parameters.encode();
    let cdb = PrOutCdb {
        action: OutAction::REGISTER,
        scope: Scope(0),
        reservation_type: ReservationType(0),
        parameter_list_length: u32::try_from(list.len()).unwrap(),
    };
    shown(&unit.execute(from, &cdb.encode(), &list))
}

const NODE: &str = "iqn.2024-01.lab:node1";

/// Two nodes with a session at each of two target ports.
fn iscsi_unit(profile: Profile) -> LogicalUnit {
    let mut unit = LogicalUnit::new(profile);
    for node in [NODE, "iqn.2024-01.lab:node2"] {
        unit.connect(&session(node, 1, 1));
        unit.connect(&session(node, 2, 2));
    }
    unit
}

#[test]
fn an_initiator_without_session_stands_for_its_ports() {
    let mut unit = iscsi_unit(Profile::strict());
    let parameters = BasicParameters {
        service_action_reservation_key: ReservationKey(1),
        transport_ids: vec![iscsi("iqn.2024-01.lab:node2")],
        ..BasicParameters::default()
    };
    assert_eq!(
        register(&mut unit, &session(NODE, 1, 1), &parameters),
        "good"
    );
    let node2 = "iqn.2024-01.lab:node2,i,0x00000000000";
    assert_eq!(
        state(&unit),
        format!("1 {NODE},i,0x000000000001=1 {node2}1=1 {node2}2=1")
    );
    let unknown = BasicParameters {
        transport_ids: vec![iscsi("iqn.2024-01.lab:node3")],
        ..parameters
    };
    let other = session(NODE, 2, 2);
    assert_eq!(register(&mut unit, &other, &unknown), "5/26/00");
}

/// `target_core_pr.c`: at the other target ports Linux registers the initiator without a
/// session, which counts as a registration of every session there.
#[test]
fn linux_registers_all_target_ports_without_a_session() {
    let mut unit = iscsi_unit(Profile::lio());
    let parameters = BasicParameters {
        service_action_reservation_key: ReservationKey(1),
        all_tg_pt: true,
        ..BasicParameters::default()
    };
    let (here, there) = (session(NODE, 1, 1), session(NODE, 2, 2));
    assert_eq!(register(&mut unit, &here, &parameters), "good");
    let registered = format!("{NODE},i,0x000000000001=1! {NODE}=1!");
    assert_eq!(state(&unit), format!("2 {registered}"));
    assert_eq!(unit.registered_key(&there), Some(ReservationKey(1)));

    let reserve = [0x5f, 1, 6, 0, 0, 0, 0, 0, 24, 0];
    let key = BasicParameters {
        reservation_key: ReservationKey(1),
        ..BasicParameters::default()
    };
    let answer = unit.execute(&there, &reserve, &key.encode());
    assert_eq!(answer.status, Status::GOOD);
    assert!(unit.is_holder(&there) && !unit.is_holder(&here));
    assert!(unit.may_write(&there) && unit.may_write(&here));
    assert!(!unit.may_read(&session("iqn.2024-01.lab:node2", 2, 2)));
    // The same initiator holds it elsewhere, with the same key.
    let unregister = BasicParameters {
        all_tg_pt: true,
        ..key
    };
    assert_eq!(register(&mut unit, &here, &unregister), "conflict");
    assert_eq!(register(&mut unit, &there, &unregister), "good");
    assert_eq!(state(&unit), "2", "both are gone");
}

/// `target_core_fabric_lib.c`: looking for the initiator at the first target port spoils its
/// TransportID for the others.
#[test]
fn linux_finds_iscsi_initiators_at_the_first_target_port_only() {
    let named = |name: &str| BasicParameters {
        service_action_reservation_key: ReservationKey(1),
        transport_ids: vec![iscsi(name)],
        ..BasicParameters::default()
    };
    let mut unit = iscsi_unit(Profile::lio());
    unit.connect(&session("iqn.2024-01.lab:node3", 3, 2));
    let there = session(NODE, 2, 2);
    let elsewhere = named("iqn.2024-01.lab:node3,i,0x3");
    assert_eq!(register(&mut unit, &there, &elsewhere), "5/26/00");
    let sessionless = named("iqn.2024-01.lab:node2");
    assert_eq!(register(&mut unit, &there, &sessionless), "5/26/00");
    let first = named("iqn.2024-01.lab:node2,i,0x2");
    assert_eq!(register(&mut unit, &there, &first), "good");
    let ports = unit.registrations().map(|it| it.nexus.relative_target_port);
    assert_eq!(ports.collect::<Vec<_>>(), [2, 1]);
}

/// `target_core_pr.c`: of an ISID the first eight digits decide who passes for the holder.
#[test]
fn linux_takes_similar_sessions_for_the_holder() {
    let strict = Profile::strict();
    let exact = Profile {
        quirks: Profile::lio()
            .quirks
            .without(Quirks::SESSIONS_BY_EIGHT_DIGITS),
        ..strict
    };
    for (profile, similar) in [(Profile::lio(), true), (exact, false), (strict, false)] {
        let mut unit = LogicalUnit::new(profile);
        let holder = session(NODE, 0x0002_3d00_0001, 1);
        let key = BasicParameters {
            service_action_reservation_key: ReservationKey(1),
            ..BasicParameters::default()
        };
        assert_eq!(register(&mut unit, &holder, &key), "good");
        let reserve = [0x5f, 1, 3, 0, 0, 0, 0, 0, 24, 0];
        let key = BasicParameters {
            reservation_key: ReservationKey(1),
            ..BasicParameters::default()
        };
        let answer = unit.execute(&holder, &reserve, &key.encode());
        assert_eq!(answer.status, Status::GOOD);
        for (isid, port, may) in [
            (0x0002_3d00_0001, 1, true),
            (0x0002_3d00_0002, 1, similar),
            (0x0002_3d01_0001, 1, false),
            (0x0002_3d00_0002, 2, false),
        ] {
            let nexus = session(NODE, isid, port);
            unit.connect(&nexus);
            assert_eq!(
                unit.may_write(&nexus),
                may,
                "{isid:x} at {port}, {profile:?}"
            );
            assert_eq!(unit.is_holder(&nexus), nexus == holder);
        }
    }
}
