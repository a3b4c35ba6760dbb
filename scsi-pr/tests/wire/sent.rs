//! What this crate sends, byte for byte against what sg_persist sends for the same request. The
//! requests were typed from the options that stand in the fixture.

use scsi_pr::{
    BasicParameters, IscsiTransportId, OutAction, PrOutCdb, RegisterAndMoveParameters,
    ReservationKey, ReservationType, Scope, TransportId,
};

use crate::fixtures::{SG_PERSIST_OUT, block, blocks};

fn check_cdb(name: &str, action: OutAction, number: u8) {
    let block = block(SG_PERSIST_OUT, name);
    let cdb = PrOutCdb {
        action,
        scope: Scope::LOGICAL_UNIT,
        reservation_type: ReservationType(number),
        parameter_list_length: u32::try_from(block.bytes.len()).unwrap(),
    };
    assert_eq!(cdb.encode().as_slice(), block.cdb, "{name}");
    assert_eq!(PrOutCdb::decode(&block.cdb), Ok(cdb), "{name}");
}

fn check(name: &str, action: OutAction, number: u8, parameters: &BasicParameters) {
    check_cdb(name, action, number);
    let list = block(SG_PERSIST_OUT, name).bytes;
    assert_eq!(parameters.encode(), list, "{name}");
    assert_eq!(
        BasicParameters::decode(&list).as_ref(),
        Ok(parameters),
        "{name}"
    );
}

fn check_move(name: &str, parameters: &RegisterAndMoveParameters) {
    check_cdb(name, OutAction::REGISTER_AND_MOVE, 0);
    let list = block(SG_PERSIST_OUT, name).bytes;
    assert_eq!(parameters.encode(), list, "{name}");
    assert_eq!(
        RegisterAndMoveParameters::decode(&list).as_ref(),
        Ok(parameters),
        "{name}"
    );
}

fn keys(reservation_key: u64, service_action_reservation_key: u64) -> BasicParameters {
    BasicParameters {
        reservation_key: ReservationKey(reservation_key),
        service_action_reservation_key: ReservationKey(service_action_reservation_key),
        ..BasicParameters::default()
    }
}

fn device(name: &str) -> TransportId {
    TransportId::Iscsi(IscsiTransportId::Device { name: name.into() })
}

fn port(name: &str, isid: u64) -> TransportId {
    TransportId::Iscsi(IscsiTransportId::Port {
        name: name.into(),
        isid,
    })
}

#[test]
fn register() {
    let ignore = OutAction::REGISTER_AND_IGNORE_EXISTING_KEY;
    check("reg-a0", OutAction::REGISTER, 0, &keys(0, 0x123abc));
    check("change-a0", OutAction::REGISTER, 0, &keys(0x123abc, 0xa0));
    check("reg-b0", ignore, 0, &keys(0, 0xbbb0001122334455));
    let aptpl = BasicParameters {
        aptpl: true,
        ..keys(0, 0x123abc)
    };
    check("reg-a1-aptpl", ignore, 0, &aptpl);
    let all_tg_pt = BasicParameters {
        all_tg_pt: true,
        ..keys(0, 0xb1)
    };
    check("alltg-b1", ignore, 0, &all_tg_pt);
    let unregister = BasicParameters {
        all_tg_pt: true,
        ..keys(0, 0)
    };
    check("unalltg-b1", ignore, 0, &unregister);
}

#[test]
fn reserve_and_release() {
    for (number, reserve, release) in [
        (1, "reserve-t1", "release-t1"),
        (3, "reserve-t3", "release-t3"),
        (5, "reserve-t5", "release-t5"),
        (6, "reserve-t6", "release-t6"),
        (7, "reserve-t7", "release-t7"),
        (8, "reserve-t8", "release-t8"),
    ] {
        check(reserve, OutAction::RESERVE, number, &keys(0x123abc, 0));
        check(release, OutAction::RELEASE, number, &keys(0x123abc, 0));
    }
}

#[test]
fn clear_and_preempt() {
    check("clear", OutAction::CLEAR, 0, &keys(0xb1b1, 0));
    check("preempt", OutAction::PREEMPT, 6, &keys(0xb0, 0xa0));
    check(
        "preempt-abort",
        OutAction::PREEMPT_AND_ABORT,
        7,
        &keys(0xa1, 0xb0),
    );
}

/// The names of the fixture blocks for each TransportID, without `spec-` and `move-`.
fn named_transport_ids() -> Vec<(&'static str, TransportId)> {
    let (a, g) = ("iqn.2026-01.lab:a", "iqn.2026-01.lab:abcdefg");
    vec![
        (
            "fcp",
            TransportId::FibreChannel {
                n_port_name: 0x2100002400000001,
            },
        ),
        (
            "sas",
            TransportId::Sas {
                address: 0x5001405012345678,
            },
        ),
        (
            "sbp",
            TransportId::Sbp {
                eui64: 0x0011223344556677,
            },
        ),
        ("iscsi-padded", device(a)),
        ("iscsi-no-pad", device("iqn.2026-01.lab:abc")),
        ("iscsi-longer", device(g)),
        ("iscsi-port-a", port(a, 0x00023d000001)),
        ("iscsi-port-g", port(g, 0x4000000000ff)),
    ]
}

#[test]
fn spec_i_pt() {
    for (name, transport_id) in named_transport_ids() {
        let parameters = BasicParameters {
            aptpl: true,
            all_tg_pt: true,
            transport_ids: vec![transport_id],
            ..keys(1, 2)
        };
        check(&format!("spec-{name}"), OutAction::REGISTER, 0, &parameters);
    }
}

#[test]
fn several_transport_ids() {
    let transport_ids = |isid| {
        vec![
            TransportId::Sas {
                address: 0x5001405012345678,
            },
            TransportId::FibreChannel {
                n_port_name: 0x2100002400000001,
            },
            port("iqn.2026-01.lab:abc", isid),
        ]
    };
    let parameters = BasicParameters {
        transport_ids: transport_ids(0x1f),
        ..keys(1, 2)
    };
    check("spec-list", OutAction::REGISTER, 0, &parameters);

    // sg_persist passes the ISID on as it was typed; this crate always writes 12 digits.
    let short = block(SG_PERSIST_OUT, "spec-list-short-isid").bytes;
    let parameters = BasicParameters {
        transport_ids: transport_ids(0x1),
        ..keys(1, 2)
    };
    assert_eq!(BasicParameters::decode(&short).as_ref(), Ok(&parameters));
    assert_ne!(parameters.encode(), short);
}

#[test]
fn register_and_move() {
    let parameters =
        |key, service_action, relative_target_port, transport_id| RegisterAndMoveParameters {
            reservation_key: ReservationKey(key),
            service_action_reservation_key: ReservationKey(service_action),
            unreg: false,
            aptpl: false,
            relative_target_port,
            transport_id,
        };
    let sas = TransportId::Sas {
        address: 0x5a02000000000004,
    };
    check_move("move", &parameters(0xa0, 0xb1b1, 4, sas.clone()));
    let back = parameters(0xb1b1, 0xa0, 1, sas);
    check_move(
        "move-back",
        &RegisterAndMoveParameters {
            unreg: true,
            aptpl: true,
            ..back
        },
    );
    check_move(
        "move-iscsi",
        &parameters(0xa0, 0xb1b1, 4, device("iqn.2024-01.lab:node2")),
    );
    for (name, transport_id) in named_transport_ids() {
        let unreg = parameters(1, 2, 0x102, transport_id);
        let unreg = RegisterAndMoveParameters {
            unreg: true,
            ..unreg
        };
        check_move(&format!("move-{name}"), &unreg);
    }
}

/// The text forms are those of sg_persist's `-X`: each one that stands in a fixture's comment
/// is read, and encodes to what stands below it.
#[test]
fn the_text_of_a_transport_id_is_that_of_the_option() {
    let mut checked = 0;
    let mut option = None;
    for line in SG_PERSIST_OUT.lines() {
        if let Some((_, text)) = line.split_once(" -X ").filter(|_| line.starts_with('#')) {
            option = Some(text).filter(|text| !text.starts_with("file "));
        } else if let Some(name) = line.strip_prefix('[') {
            assert_eq!(option, None, "{name}: the last option was not used");
        } else if let (Some(text), Some(_)) = (option, line.strip_prefix("cdb ")) {
            let transport_id: TransportId = text.parse().unwrap();
            assert_eq!(transport_id.to_string(), text);
            let encoded = transport_id.encode();
            let sent = blocks(SG_PERSIST_OUT);
            assert!(
                sent.iter().any(|block| block.bytes.ends_with(&encoded)),
                "{text}"
            );
            checked += 1;
            option = None;
        }
    }
    assert_eq!(checked, 19);
}
