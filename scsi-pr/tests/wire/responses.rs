//! What Linux' target answered, read by this crate, against the values that sg_persist printed
//! for the same answer. The expectations were typed from sg_persist's text.

use crate::fixtures::{LIO_ISCSI, LIO_LOOP, block};
use scsi_pr::{
    Capabilities, DecodeError, FullStatusDescriptor, IscsiTransportId, ReadFullStatus, ReadKeys,
    ReadReservation, Reservation, ReservationKey, ReservationType, Scope, TransportId, TypeMask,
};

const K: u64 = 0x123abc;
const K2: u64 = 0xbbb0001122334455;

fn keys(file: &'static str, name: &str, generation: u32, expected: &[u64]) {
    let bytes = block(file, name).bytes;
    let answer = ReadKeys::decode(&bytes).expect(name);
    assert_eq!(answer.generation, generation, "{name}");
    assert_eq!(
        answer.keys,
        expected
            .iter()
            .copied()
            .map(ReservationKey)
            .collect::<Vec<_>>()
    );
    assert_eq!(answer.encode(), bytes, "{name}");
    assert!(answer.is_complete(), "{name}");
}

fn reservation(file: &'static str, name: &str, generation: u32, expected: Option<(u64, u8)>) {
    let bytes = block(file, name).bytes;
    let answer = ReadReservation::decode(&bytes).expect(name);
    assert_eq!(answer.generation, generation, "{name}");
    let expected = expected.map(|(key, number)| Reservation {
        key: ReservationKey(key),
        scope: Scope::LOGICAL_UNIT,
        reservation_type: ReservationType(number),
    });
    assert_eq!(answer.reservation, expected, "{name}");
    assert_eq!(answer.encode(), bytes, "{name}");
    assert!(answer.is_complete(), "{name}");
}

fn full(
    file: &'static str,
    name: &str,
    generation: u32,
    expected: Vec<FullStatusDescriptor>,
) -> ReadFullStatus {
    let bytes = block(file, name).bytes;
    let answer = ReadFullStatus::decode(&bytes).expect(name);
    assert_eq!(answer.generation, generation, "{name}");
    assert_eq!(answer.descriptors, expected, "{name}");
    assert_eq!(answer.encode(), bytes, "{name}");
    assert!(answer.is_complete(), "{name}");
    answer
}

/// A registration that does not hold the reservation.
fn registrant(key: u64, port: u16, transport_id: TransportId) -> FullStatusDescriptor {
    FullStatusDescriptor {
        key: ReservationKey(key),
        all_tg_pt: false,
        holder: false,
        scope: Scope::LOGICAL_UNIT,
        reservation_type: ReservationType(0),
        relative_target_port: port,
        transport_id,
    }
}

fn holder(descriptor: FullStatusDescriptor, number: u8) -> FullStatusDescriptor {
    let reservation_type = ReservationType(number);
    FullStatusDescriptor {
        holder: true,
        reservation_type,
        ..descriptor
    }
}

fn all_ports(key: u64, transport_id: TransportId) -> FullStatusDescriptor {
    FullStatusDescriptor {
        all_tg_pt: true,
        ..registrant(key, 0, transport_id)
    }
}

fn sas(address: u64) -> TransportId {
    TransportId::Sas { address }
}

fn port(name: &str, isid: u64) -> TransportId {
    TransportId::Iscsi(IscsiTransportId::Port {
        name: name.into(),
        isid,
    })
}

fn three_over_loop() -> Vec<FullStatusDescriptor> {
    vec![
        registrant(K, 1, sas(0x5a01000000000001)),
        registrant(K, 2, sas(0x5a01000000000002)),
        registrant(K2, 3, sas(0x5a02000000000003)),
    ]
}

const NODE_1: &str = "iqn.2024-01.lab:node1";
const NODE_2: &str = "iqn.2024-01.lab:node2";

fn three_over_iscsi() -> Vec<FullStatusDescriptor> {
    vec![
        registrant(K, 1, port(NODE_1, 0x00023d000001)),
        registrant(K, 2, port(NODE_1, 0x00023d000002)),
        registrant(K2, 3, port(NODE_2, 0x00023d000003)),
    ]
}

#[test]
fn nothing_registered() {
    keys(LIO_LOOP, "empty-keys", 0, &[]);
    reservation(LIO_LOOP, "empty-resv", 0, None);
    full(LIO_LOOP, "empty-full", 0, vec![]);
}

#[test]
fn capabilities() {
    let bytes = block(LIO_LOOP, "caps").bytes;
    let expected = Capabilities {
        rlr_c: false,
        crh: true,
        sip_c: true,
        atp_c: true,
        ptpl_c: true,
        tmv: true,
        allow_commands: 1,
        ptpl_a: false,
        type_mask: TypeMask::ALL,
    };
    assert_eq!(Capabilities::decode(&bytes), Ok(expected));
    assert_eq!(expected.encode(), bytes);
}

#[test]
fn three_registrations() {
    keys(LIO_LOOP, "three-keys", 3, &[K, K, K2]);
    full(LIO_LOOP, "three-full", 3, three_over_loop());
    full(LIO_ISCSI, "three-full", 3, three_over_iscsi());
}

#[test]
fn types_with_one_holder() {
    for (number, name) in [(1, "t1"), (3, "t3"), (5, "t5"), (6, "t6")] {
        reservation(LIO_LOOP, &format!("{name}-resv"), 3, Some((K, number)));
        let mut expected = three_over_loop();
        expected[0] = holder(expected[0].clone(), number);
        full(LIO_LOOP, &format!("{name}-full"), 3, expected);
    }
    reservation(LIO_ISCSI, "t5-resv", 3, Some((K, 5)));
    let mut expected = three_over_iscsi();
    expected[0] = holder(expected[0].clone(), 5);
    full(LIO_ISCSI, "t5-full", 3, expected);
}

#[test]
fn types_that_all_registrants_hold() {
    for (number, name) in [(7, "t7"), (8, "t8")] {
        reservation(LIO_LOOP, &format!("{name}-resv"), 3, Some((0, number)));
        let expected = three_over_loop()
            .into_iter()
            .map(|one| holder(one, number))
            .collect();
        full(LIO_LOOP, &format!("{name}-full"), 3, expected);
    }
    let expected = three_over_iscsi()
        .into_iter()
        .map(|one| holder(one, 8))
        .collect();
    full(LIO_ISCSI, "t8-full", 3, expected);
}

#[test]
fn all_target_ports() {
    let mut expected = three_over_loop();
    expected.push(all_ports(0xb1, sas(0x5a02000000000004)));
    full(LIO_LOOP, "alltg-full", 4, expected);

    let mut expected = three_over_iscsi();
    expected.push(all_ports(0xb1, port(NODE_2, 0x00023d000004)));
    let device = IscsiTransportId::Device {
        name: NODE_2.into(),
    };
    expected.push(all_ports(0xb1, TransportId::Iscsi(device)));
    full(LIO_ISCSI, "alltg-full", 5, expected);
}

#[test]
fn after_register_and_move() {
    reservation(LIO_LOOP, "moved-resv", 6, Some((0xb1b1, 5)));
    let mut expected = three_over_loop();
    expected[0].key = ReservationKey(0xa0);
    expected.push(holder(registrant(0xb1b1, 4, sas(0x5a02000000000004)), 5));
    full(LIO_LOOP, "moved-full", 6, expected);

    // Over iSCSI to a device name, that is, to every port of the node. (The fourth is left over
    // from an earlier ALL_TG_PT.)
    let mut expected = three_over_iscsi();
    expected[0].key = ReservationKey(0xa0);
    let device = TransportId::Iscsi(IscsiTransportId::Device {
        name: NODE_2.into(),
    });
    expected.push(all_ports(0xb1, device.clone()));
    expected.push(holder(registrant(0xb1b1, 4, device), 5));
    full(LIO_ISCSI, "moved-full", 7, expected);
}

#[test]
fn after_spec_i_pt() {
    let expected = vec![
        registrant(0x5bec, 1, sas(0x5a01000000000005)),
        registrant(0x5bec, 3, sas(0x5a03000000000007)),
    ];
    full(LIO_LOOP, "specipt-full", 2, expected);
}

#[test]
fn after_preempt_and_abort() {
    reservation(LIO_ISCSI, "preempt-abort-resv", 0xd, Some((0, 7)));
    let survivor = registrant(0xa1, 2, port(NODE_1, 0x00023d000002));
    full(
        LIO_ISCSI,
        "preempt-abort-full",
        0xd,
        vec![holder(survivor, 7)],
    );
}

#[test]
fn forty_registrations() {
    let all: Vec<u64> = (0x1000..0x1028).collect();
    keys(LIO_LOOP, "many-keys", 0x28, &all);
    // One of node 1, then 39 of node 4; every port has a number of its own.
    let node_1 = registrant(0x1000, 1, sas(0x5a0100000000000a));
    let node_4 = (2..=0x28).map(|port: u16| {
        let n = u64::from(port);
        registrant(0xfff + n, port, sas(0x5a04000000000009 + n))
    });
    let expected = std::iter::once(node_1).chain(node_4).collect();
    let answer = full(LIO_LOOP, "many-full", 0x28, expected);
    assert!(!answer.may_lack_some(8192));
}

#[test]
fn a_cut_list_of_keys_keeps_its_true_length() {
    let bytes = block(LIO_LOOP, "cut12-keys").bytes;
    assert_eq!(
        ReadKeys::decode(&bytes),
        Err(DecodeError::Truncated {
            field: "RESERVATION KEY",
            need: 8,
            have: 4
        })
    );
    let answer = ReadKeys::decode_partial(&bytes).unwrap();
    assert_eq!((answer.generation, answer.additional_length), (3, 24));
    assert!(answer.keys.is_empty() && !answer.is_complete());
}

#[test]
fn a_cut_reservation_is_not_taken_for_none() {
    for name in ["cut8r-resv", "cut20r-resv"] {
        let bytes = block(LIO_ISCSI, name).bytes;
        ReadReservation::decode(&bytes).unwrap_err();
        let answer = ReadReservation::decode_partial(&bytes).unwrap();
        assert_eq!(
            (answer.generation, answer.additional_length),
            (6, 16),
            "{name}"
        );
        assert_eq!(answer.reservation, None, "{name}");
        assert!(!answer.is_complete(), "{name}");
    }
}

#[test]
fn cut_capabilities_lack_reserved_bytes_only() {
    let bytes = block(LIO_ISCSI, "cut6-caps").bytes;
    Capabilities::decode(&bytes).unwrap_err();
    let whole = Capabilities::decode(&block(LIO_LOOP, "caps").bytes);
    assert_eq!(Capabilities::decode_partial(&bytes), whole);
}

#[test]
fn a_cut_full_status_yields_its_whole_descriptors() {
    let bytes = block(LIO_LOOP, "cut36-full").bytes;
    let answer = ReadFullStatus::decode_partial(&bytes).unwrap();
    assert_eq!((answer.generation, answer.descriptors.len()), (3, 0));
    assert!(!answer.is_complete());

    let bytes = block(LIO_ISCSI, "many1000-full").bytes;
    let answer = ReadFullStatus::decode_partial(&bytes).unwrap();
    // 14 descriptors of 68 bytes are whole, one is cut, 25 are not even counted.
    assert_eq!(
        (answer.additional_length, answer.descriptors.len()),
        (15 * 68, 14)
    );
    assert!(!answer.is_complete());
    assert!(answer.may_lack_some(1000));
}

/// Linux' target counted one registration of four, because one had room in 100 bytes: the
/// answer is whole by its own account. Taken at its word, three registrants, the holder perhaps
/// among them, would not exist.
#[test]
fn an_answer_that_looks_complete_may_lack_some() {
    let answer = ReadFullStatus::decode(&block(LIO_ISCSI, "cut100-full").bytes).unwrap();
    let first = registrant(0xa0, 1, port(NODE_1, 0x00023d000001));
    assert_eq!(answer.descriptors, [holder(first, 5)]);
    assert!(answer.is_complete());
    assert!(answer.may_lack_some(100));
    assert!(!answer.may_lack_some(8192));
}
