//! Every truncation of every kind of message is refused, and by the name of the field that is
//! not whole. The layouts were typed from SPC-4: field by field, with their sizes.

use scsi_pr::{
    BasicParameters, Capabilities, DecodeError, FullStatusDescriptor, IscsiTransportId, PrInCdb,
    PrOutCdb, ReadFullStatus, ReadKeys, ReadReservation, RegisterAndMoveParameters, ReservationKey,
    ReservationType, Scope, Sense, TransportId,
};

use crate::fixtures::{LIO_ISCSI, LIO_LOOP, LIO_SENSE, SG_PERSIST_OUT, block, parse_hex};

type Layout = [(&'static str, usize)];

fn check<T>(
    message: &[u8],
    layout: &Layout,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
    fields: usize,
) {
    assert!(decode(message).is_ok(), "the whole message is valid");
    let sizes: usize = layout.iter().map(|(_, size)| size).sum();
    assert_eq!(sizes, message.len(), "the layout covers the message");
    assert_eq!(layout.len(), fields);
    let mut start = 0;
    for &(field, need) in layout {
        for have in 0..need {
            let cut = message.get(..start + have).unwrap();
            let expected = DecodeError::Truncated { field, need, have };
            let error = decode(cut).err();
            assert_eq!(error, Some(expected), "cut at {}", start + have);
            assert_eq!(expected.field(), field);
        }
        start += need;
    }
}

fn joined(parts: &[&Layout]) -> Vec<(&'static str, usize)> {
    parts.concat()
}

const HEADER: &Layout = &[("PRGENERATION", 4), ("ADDITIONAL LENGTH", 4)];

const RESERVATION: &Layout = &[
    ("RESERVATION KEY", 8),
    ("SCOPE-SPECIFIC ADDRESS", 4),
    ("RESERVED", 1),
    ("SCOPE, TYPE", 1),
    ("EXTENT LENGTH", 2),
];

const DESCRIPTOR: &Layout = &[
    ("RESERVATION KEY", 8),
    ("RESERVED", 4),
    ("ALL_TG_PT, R_HOLDER", 1),
    ("SCOPE, TYPE", 1),
    ("RESERVED", 4),
    ("RELATIVE TARGET PORT IDENTIFIER", 2),
    ("ADDITIONAL DESCRIPTOR LENGTH", 4),
];

const PROTOCOL: (&str, usize) = ("PROTOCOL IDENTIFIER", 1);
const FC: &Layout = &[
    PROTOCOL,
    ("RESERVED", 7),
    ("N_PORT_NAME", 8),
    ("RESERVED", 8),
];
const SAS: &Layout = &[
    PROTOCOL,
    ("RESERVED", 3),
    ("SAS ADDRESS", 8),
    ("RESERVED", 12),
];
const SRP: &Layout = &[PROTOCOL, ("RESERVED", 7), ("INITIATOR PORT IDENTIFIER", 16)];
const SBP: &Layout = &[PROTOCOL, ("RESERVED", 7), ("EUI-64", 8), ("RESERVED", 8)];
const SOP: &Layout = &[
    PROTOCOL,
    ("RESERVED", 1),
    ("ROUTING ID", 2),
    ("RESERVED", 20),
];
const ISCSI: &Layout = &[
    PROTOCOL,
    ("RESERVED", 1),
    ("ADDITIONAL LENGTH", 2),
    ("ISCSI NAME", 0x28),
];

const BASIC: &Layout = &[
    ("RESERVATION KEY", 8),
    ("SERVICE ACTION RESERVATION KEY", 8),
    ("OBSOLETE", 4),
    ("SPEC_I_PT, ALL_TG_PT, APTPL", 1),
    ("RESERVED", 1),
    ("OBSOLETE", 2),
];
const LIST_LENGTH: &Layout = &[("TRANSPORTID PARAMETER DATA LENGTH", 4)];

fn unknown_protocol() -> TransportId {
    let mut bytes = vec![0x0c];
    bytes.extend(1..24);
    TransportId::Unknown { bytes }
}

fn one_of_each() -> Vec<(TransportId, &'static Layout)> {
    let name = "iqn.2024-01.lab:node1".into();
    vec![
        (TransportId::FibreChannel { n_port_name: 1 }, FC),
        (TransportId::Sas { address: 2 }, SAS),
        (
            TransportId::Srp {
                initiator_port: [3; 16],
            },
            SRP,
        ),
        (TransportId::Sbp { eui64: 4 }, SBP),
        (TransportId::Sop { routing_id: 5 }, SOP),
        (
            TransportId::Iscsi(IscsiTransportId::Port { name, isid: 6 }),
            ISCSI,
        ),
    ]
}

#[test]
fn cdbs() {
    let message = block(SG_PERSIST_OUT, "preempt").cdb;
    let layout = [
        ("OPERATION CODE", 1),
        ("SERVICE ACTION", 1),
        ("SCOPE, TYPE", 1),
        ("RESERVED", 2),
        ("PARAMETER LIST LENGTH", 4),
        ("CONTROL", 1),
    ];
    check(&message, &layout, PrOutCdb::decode, 6);
    let message: Vec<u8> = parse_hex("5e 03 00 00 00 00 00 20 00 00").collect();
    let layout = [
        ("OPERATION CODE", 1),
        ("SERVICE ACTION", 1),
        ("RESERVED", 5),
        ("ALLOCATION LENGTH", 2),
        ("CONTROL", 1),
    ];
    check(&message, &layout, PrInCdb::decode, 5);

    let field = "OPERATION CODE";
    let error = PrInCdb::decode(&block(SG_PERSIST_OUT, "preempt").cdb);
    assert_eq!(error, Err(DecodeError::Invalid { field, value: 0x5f }));
    assert_eq!(
        PrOutCdb::decode(&message),
        Err(DecodeError::Invalid { field, value: 0x5e })
    );
}

#[test]
fn keys_and_reservation() {
    let layout = joined(&[HEADER, &[("RESERVATION KEY", 8); 3]]);
    check(
        &block(LIO_LOOP, "three-keys").bytes,
        &layout,
        ReadKeys::decode,
        5,
    );
    let layout = joined(&[HEADER, RESERVATION]);
    check(
        &block(LIO_LOOP, "t5-resv").bytes,
        &layout,
        ReadReservation::decode,
        7,
    );
    check(
        &block(LIO_LOOP, "empty-resv").bytes,
        HEADER,
        ReadReservation::decode,
        2,
    );
}

#[test]
fn capabilities() {
    let layout = [
        ("LENGTH", 2),
        ("CAPABILITIES", 1),
        ("TMV, ALLOW COMMANDS, PTPL_A", 1),
        ("PERSISTENT RESERVATION TYPE MASK", 2),
        ("RESERVED", 2),
    ];
    check(
        &block(LIO_LOOP, "caps").bytes,
        &layout,
        Capabilities::decode,
        5,
    );
}

#[test]
fn full_status() {
    let layout = joined(&[HEADER, DESCRIPTOR, SAS, DESCRIPTOR, SAS, DESCRIPTOR, SAS]);
    check(
        &block(LIO_LOOP, "t7-full").bytes,
        &layout,
        ReadFullStatus::decode,
        35,
    );
    let layout = joined(&[
        HEADER, DESCRIPTOR, ISCSI, DESCRIPTOR, ISCSI, DESCRIPTOR, ISCSI,
    ]);
    check(
        &block(LIO_ISCSI, "t8-full").bytes,
        &layout,
        ReadFullStatus::decode,
        35,
    );

    let (ids, layouts): (Vec<_>, Vec<_>) = one_of_each().into_iter().unzip();
    let descriptor = |transport_id| FullStatusDescriptor {
        key: ReservationKey(9),
        all_tg_pt: true,
        holder: true,
        scope: Scope(1),
        reservation_type: ReservationType(2),
        relative_target_port: 0x102,
        transport_id,
    };
    let message = ReadFullStatus::new(1, ids.into_iter().map(descriptor).collect()).encode();
    let parts = layouts.into_iter().flat_map(|layout| [DESCRIPTOR, layout]);
    let layout = joined(&std::iter::once(HEADER).chain(parts).collect::<Vec<_>>());
    check(&message, &layout, ReadFullStatus::decode, 2 + 6 * 7 + 23);
}

#[test]
fn transport_ids() {
    for (transport_id, layout) in one_of_each() {
        check(
            &transport_id.encode(),
            layout,
            TransportId::decode,
            layout.len(),
        );
    }
    // Of another protocol nothing but the size is known: all or nothing.
    let message = unknown_protocol().encode();
    assert_eq!(TransportId::decode(&message), Ok(unknown_protocol()));
    for have in 1..message.len() {
        let error = TransportId::decode(&message[..have]);
        let field = "TRANSPORTID";
        assert_eq!(
            error,
            Err(DecodeError::Truncated {
                field,
                need: 24,
                have
            })
        );
    }
}

#[test]
fn parameter_lists() {
    let message = block(SG_PERSIST_OUT, "reg-a1-aptpl").bytes;
    check(&message, BASIC, BasicParameters::decode, 6);

    let (ids, layouts): (Vec<_>, Vec<_>) = one_of_each().into_iter().unzip();
    let message = BasicParameters {
        transport_ids: ids,
        ..BasicParameters::default()
    }
    .encode();
    let parts = [BASIC, LIST_LENGTH]
        .into_iter()
        .chain(layouts)
        .collect::<Vec<_>>();
    check(&message, &joined(&parts), BasicParameters::decode, 7 + 23);

    let layout = joined(&[
        BASIC.get(..2).unwrap(),
        &[
            ("RESERVED", 1),
            ("UNREG, APTPL", 1),
            ("RELATIVE TARGET PORT IDENTIFIER", 2),
        ],
        LIST_LENGTH,
        SAS,
    ]);
    let message = block(SG_PERSIST_OUT, "move").bytes;
    check(&message, &layout, RegisterAndMoveParameters::decode, 10);
}

#[test]
fn sense() {
    let layout = [
        ("RESPONSE CODE", 1),
        ("OBSOLETE", 1),
        ("SENSE KEY", 1),
        ("INFORMATION", 4),
        ("ADDITIONAL SENSE LENGTH", 1),
        ("COMMAND-SPECIFIC INFORMATION", 4),
        ("ADDITIONAL SENSE CODE", 1),
        ("ADDITIONAL SENSE CODE QUALIFIER", 1),
        ("FIELD REPLACEABLE UNIT CODE", 1),
        ("SENSE KEY SPECIFIC", 3),
    ];
    check(
        &block(LIO_SENSE, "opcode").bytes,
        &layout,
        Sense::decode,
        10,
    );

    let message: Vec<u8> = parse_hex(
        "72 05 26 00 00 00 00 18  00 0a 80 00 01 02 03 04 05 06 07 08  80 02 aa bb  \
         02 06 00 00 80 00 14 00",
    )
    .collect();
    let descriptor = |size| {
        [
            ("DESCRIPTOR TYPE", 1),
            ("ADDITIONAL LENGTH", 1),
            ("SENSE DATA DESCRIPTOR", size),
        ]
    };
    let head = [
        ("RESPONSE CODE", 1),
        ("SENSE KEY", 1),
        ("ADDITIONAL SENSE CODE", 1),
        ("ADDITIONAL SENSE CODE QUALIFIER", 1),
        ("RESERVED", 3),
        ("ADDITIONAL SENSE LENGTH", 1),
    ];
    let layout = joined(&[&head, &descriptor(10), &descriptor(2), &descriptor(6)]);
    check(&message, &layout, Sense::decode, 15);
}

fn invalid<T: std::fmt::Debug>(result: Result<T, DecodeError>, field: &str) {
    match result {
        Err(DecodeError::Invalid { field: found, .. }) => assert_eq!(found, field),
        other => panic!("{field}: {other:?}"),
    }
}

fn edited(message: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at] = value;
    message
}

/// A length that cannot be is refused by name too.
#[test]
fn impossible_lengths() {
    let keys = block(LIO_LOOP, "three-keys").bytes;
    invalid(
        ReadKeys::decode(&edited(&keys, 7, 0x17)),
        "ADDITIONAL LENGTH",
    );
    invalid(
        ReadKeys::decode_partial(&edited(&keys, 7, 0x17)),
        "ADDITIONAL LENGTH",
    );
    let reservation = block(LIO_LOOP, "t5-resv").bytes;
    invalid(
        ReadReservation::decode(&edited(&reservation, 7, 0x0f)),
        "ADDITIONAL LENGTH",
    );
    invalid(
        ReadReservation::decode_partial(&edited(&reservation, 7, 1)),
        "ADDITIONAL LENGTH",
    );
    let capabilities = block(LIO_LOOP, "caps").bytes;
    invalid(Capabilities::decode(&edited(&capabilities, 1, 7)), "LENGTH");
    invalid(TransportId::decode(&[0; 25]), "TRANSPORTID");
}

/// A parameter list is exactly as long as its fields.
#[test]
fn parameter_lists_with_a_rest() {
    let spec = block(SG_PERSIST_OUT, "spec-sas").bytes;
    invalid(
        BasicParameters::decode(&edited(&spec, 20, 0)),
        "PARAMETER LIST LENGTH",
    );
    invalid(
        BasicParameters::decode(&[spec, vec![0]].concat()),
        "PARAMETER LIST LENGTH",
    );
    let moved = block(SG_PERSIST_OUT, "move").bytes;
    let rest = [moved.clone(), vec![0]].concat();
    invalid(
        RegisterAndMoveParameters::decode(&rest),
        "PARAMETER LIST LENGTH",
    );
    let two = [edited(&moved, 23, 0x30), vec![6; 24]].concat();
    let field = "TRANSPORTID PARAMETER DATA LENGTH";
    invalid(RegisterAndMoveParameters::decode(&two), field);
}

/// A structure that does not fit the length declared for it is cut short by that length.
#[test]
fn lengths_that_contradict() {
    let short = DecodeError::Truncated {
        field: "RESERVED",
        need: 12,
        have: 11,
    };
    let moved = edited(&block(SG_PERSIST_OUT, "move").bytes, 23, 0x17);
    assert_eq!(RegisterAndMoveParameters::decode(&moved), Err(short));
    let full = block(LIO_LOOP, "t5-full").bytes;
    let inner = edited(&full, 31, 0x17);
    assert_eq!(ReadFullStatus::decode(&inner), Err(short));
    // The answer is not cut: partial decoding does not forgive it.
    assert_eq!(ReadFullStatus::decode_partial(&inner), Err(short));
    // ADDITIONAL LENGTH ends inside the last descriptor.
    let outer = edited(&full, 7, 0x8f);
    let short = DecodeError::Truncated {
        field: "TRANSPORTID",
        need: 24,
        have: 23,
    };
    assert_eq!(ReadFullStatus::decode(&outer), Err(short));
    assert_eq!(ReadFullStatus::decode_partial(&outer), Err(short));
}

type Decode<T> = fn(&[u8]) -> Result<T, DecodeError>;

/// Bytes after an answer (an initiator's buffer is larger) do not matter.
#[test]
fn bytes_after_an_answer_are_ignored() {
    fn check<T: PartialEq + std::fmt::Debug>(name: &str, decode: [Decode<T>; 2]) {
        let message = block(LIO_LOOP, name).bytes;
        let longer = [message.clone(), vec![0xff; 40]].concat();
        for decode in decode {
            assert_eq!(decode(&longer), decode(&message), "{name}");
            assert!(decode(&message).is_ok(), "{name}");
        }
    }
    check("three-keys", [ReadKeys::decode, ReadKeys::decode_partial]);
    check(
        "t5-resv",
        [ReadReservation::decode, ReadReservation::decode_partial],
    );
    check(
        "empty-resv",
        [ReadReservation::decode, ReadReservation::decode_partial],
    );
    check("caps", [Capabilities::decode, Capabilities::decode_partial]);
    check(
        "t5-full",
        [ReadFullStatus::decode, ReadFullStatus::decode_partial],
    );
}

/// A partial answer has every entry that is whole, and no other.
#[test]
fn partial_answers_hold_what_is_whole() {
    let message = block(LIO_LOOP, "many-keys").bytes;
    let whole = ReadKeys::decode(&message).unwrap();
    for length in 8..=message.len() {
        let answer = ReadKeys::decode_partial(&message[..length]).unwrap();
        assert_eq!(answer.keys, whole.keys[..(length - 8) / 8], "{length}");
        assert_eq!(answer.additional_length, whole.additional_length);
        assert_eq!(answer.is_complete(), length == message.len(), "{length}");
    }
    for (file, name, size) in [(LIO_LOOP, "t7-full", 48), (LIO_ISCSI, "t8-full", 68)] {
        let message = block(file, name).bytes;
        let whole = ReadFullStatus::decode(&message).unwrap();
        for length in 8..=message.len() {
            let answer = ReadFullStatus::decode_partial(&message[..length]).unwrap();
            assert_eq!(
                answer.descriptors,
                whole.descriptors[..(length - 8) / size],
                "{length}"
            );
            assert_eq!(answer.additional_length, whole.additional_length);
            assert_eq!(answer.is_complete(), length == message.len(), "{length}");
        }
        for length in 0..8 {
            ReadFullStatus::decode_partial(&message[..length]).unwrap_err();
            ReadKeys::decode_partial(&message[..length]).unwrap_err();
            ReadReservation::decode_partial(&message[..length]).unwrap_err();
        }
    }
}
