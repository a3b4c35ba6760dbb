//! Every value of every small field survives a round trip, named or not; so do the TransportIDs
//! and their text.

use scsi_pr::{
    BasicParameters, Capabilities, DecodeError, FullStatusDescriptor, InAction, IscsiTransportId,
    OutAction, ParseTransportIdError, PrInCdb, PrOutCdb, ProtocolId, ReadFullStatus,
    ReadReservation, RegisterAndMoveParameters, Reservation, ReservationKey, ReservationType,
    Scope, Sense, SenseFormat, SenseKey, TransportId, TypeMask,
};

fn round<T: PartialEq + std::fmt::Debug>(
    value: &T,
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) {
    assert_eq!(decode(bytes).as_ref(), Ok(value));
}

#[test]
fn cdbs() {
    for action in 0..=0x1f {
        for allocation_length in [0, 1, 8, 0xff, 0x100, 0x2000, 0xffff] {
            let cdb = PrInCdb {
                action: InAction(action),
                allocation_length,
            };
            round(&cdb, &cdb.encode(), PrInCdb::decode);
        }
        for scope_and_type in 0..=u8::MAX {
            let cdb = PrOutCdb {
                action: OutAction(action),
                scope: Scope(scope_and_type >> 4),
                reservation_type: ReservationType(scope_and_type & 0xf),
                parameter_list_length: 0x0102_0304,
            };
            assert_eq!(cdb.encode()[2], scope_and_type);
            assert_eq!(cdb.encode()[5..9], [1, 2, 3, 4]);
            round(&cdb, &cdb.encode(), PrOutCdb::decode);
        }
    }
}

#[test]
fn reservations() {
    for scope_and_type in 0..=u8::MAX {
        let held = Reservation {
            key: ReservationKey(u64::MAX),
            scope: Scope(scope_and_type >> 4),
            reservation_type: ReservationType(scope_and_type & 0xf),
        };
        let answer = ReadReservation::new(u32::MAX, Some(held));
        assert_eq!(answer.encode()[21], scope_and_type);
        round(&answer, &answer.encode(), ReadReservation::decode);
    }
}

#[test]
fn capabilities() {
    // Both bytes of flags, without their reserved bits; then the whole mask.
    for (can, state) in (0..=u8::MAX).flat_map(|can| (0..=u8::MAX).map(move |state| (can, state))) {
        let bytes = [0, 8, can & 0x9d, state & 0xf1, 0, 0, 0, 0];
        assert_eq!(Capabilities::decode(&bytes).unwrap().encode(), bytes);
    }
    for mask in 0..=u16::MAX {
        let answer = Capabilities {
            type_mask: TypeMask(mask),
            ..Capabilities::default()
        };
        round(&answer, &answer.encode(), Capabilities::decode);
    }
}

#[test]
fn each_bit_of_the_capabilities() {
    let check = |bytes: [u8; 2], expected: Capabilities| {
        let message = [0, 8, bytes[0], bytes[1], 0, 0, 0, 0];
        assert_eq!(Capabilities::decode(&message), Ok(expected));
    };
    let none = Capabilities::default();
    check(
        [0x80, 0],
        Capabilities {
            rlr_c: true,
            ..none
        },
    );
    check([0x10, 0], Capabilities { crh: true, ..none });
    check(
        [0x08, 0],
        Capabilities {
            sip_c: true,
            ..none
        },
    );
    check(
        [0x04, 0],
        Capabilities {
            atp_c: true,
            ..none
        },
    );
    check(
        [0x01, 0],
        Capabilities {
            ptpl_c: true,
            ..none
        },
    );
    check([0, 0x80], Capabilities { tmv: true, ..none });
    check(
        [0, 0x70],
        Capabilities {
            allow_commands: 7,
            ..none
        },
    );
    check(
        [0, 0x01],
        Capabilities {
            ptpl_a: true,
            ..none
        },
    );
}

#[test]
fn each_bit_of_the_type_mask() {
    for (mask, number) in [
        (0x8000, 7),
        (0x4000, 6),
        (0x2000, 5),
        (0x0800, 3),
        (0x0200, 1),
        (1, 8),
    ] {
        for other in 0..=0xf {
            let supports = TypeMask(mask).supports(ReservationType(other));
            assert_eq!(supports, other == number, "{mask:#x} {other}");
            let all = TypeMask::ALL.supports(ReservationType(other));
            assert_eq!(all, ReservationType(other).is_known(), "{other}");
        }
    }
}

#[test]
fn flags_of_the_parameter_lists() {
    for flags in 0..8u8 {
        let (aptpl, all_tg_pt, spec) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let transport_ids = if spec {
            vec![TransportId::Sas { address: 1 }]
        } else {
            vec![]
        };
        let list = BasicParameters {
            aptpl,
            all_tg_pt,
            transport_ids,
            ..Default::default()
        };
        let expected = u8::from(aptpl) | u8::from(all_tg_pt) << 2 | u8::from(spec) << 3;
        assert_eq!(list.encode()[20], expected);
        round(&list, &list.encode(), BasicParameters::decode);

        let list = RegisterAndMoveParameters {
            reservation_key: ReservationKey(1),
            service_action_reservation_key: ReservationKey(u64::MAX),
            unreg: all_tg_pt,
            aptpl,
            relative_target_port: u16::MAX,
            transport_id: TransportId::Sas { address: 1 },
        };
        assert_eq!(
            list.encode()[17],
            u8::from(aptpl) | u8::from(all_tg_pt) << 1
        );
        round(&list, &list.encode(), RegisterAndMoveParameters::decode);
    }
}

/// SPEC_I_PT with nothing behind it is a list of 28 bytes and means nothing.
#[test]
fn spec_i_pt_without_transport_ids() {
    let mut bytes = [0; 28];
    bytes[20] = 0x08;
    assert_eq!(
        BasicParameters::decode(&bytes),
        Ok(BasicParameters::default())
    );
}

#[test]
fn flags_of_a_descriptor() {
    for flags in 0..4u8 {
        let descriptor = FullStatusDescriptor {
            key: ReservationKey(1),
            all_tg_pt: flags & 2 != 0,
            holder: flags & 1 != 0,
            scope: Scope(0),
            reservation_type: ReservationType(0),
            relative_target_port: 1,
            transport_id: TransportId::Sop {
                routing_id: u16::MAX,
            },
        };
        assert_eq!(descriptor.encode()[12], flags);
        let answer = ReadFullStatus::new(0, vec![descriptor]);
        round(&answer, &answer.encode(), ReadFullStatus::decode);
    }
}

#[test]
fn sense() {
    for (key, format) in (0..=0xf)
        .flat_map(|key| [SenseFormat::Fixed, SenseFormat::Descriptor].map(|format| (key, format)))
    {
        for code in 0..=u8::MAX {
            let deferred = code & 1 != 0;
            let sense = Sense {
                format,
                deferred,
                ..Sense::new(SenseKey(key), code, !code)
            };
            round(&sense, &sense.encode(), Sense::decode);
        }
    }
    // The fixed format has no room for 64 bits, and says so by leaving them out.
    let information = Some(1 << 32);
    let sense = Sense {
        information,
        ..Sense::new(SenseKey::MEDIUM_ERROR, 0x11, 0)
    };
    assert_eq!(
        Sense::decode(&sense.encode()),
        Ok(Sense {
            information: None,
            ..sense
        })
    );
}

/// An answer with more registrations than 16 bits of length hold keys for.
#[test]
fn ten_thousand_registrations() {
    let name = format!("iqn.2026-01.lab:{}", "x".repeat(207));
    assert_eq!(name.len(), IscsiTransportId::MAX_NAME_LENGTH);
    let descriptors: Vec<_> = (0..10_000u64)
        .map(|n| FullStatusDescriptor {
            key: ReservationKey(n),
            all_tg_pt: false,
            holder: n == 9_999,
            scope: Scope::LOGICAL_UNIT,
            reservation_type: ReservationType::WRITE_EXCLUSIVE,
            relative_target_port: 1,
            transport_id: TransportId::Iscsi(IscsiTransportId::Port {
                name: name.clone(),
                isid: n,
            }),
        })
        .collect();
    let longest = descriptors[0].encode().len();
    assert_eq!(u32::try_from(longest), Ok(FullStatusDescriptor::MAX_LENGTH));
    let answer = ReadFullStatus::new(1, descriptors);
    assert_eq!(
        answer.additional_length,
        10_000 * FullStatusDescriptor::MAX_LENGTH
    );
    round(&answer, &answer.encode(), ReadFullStatus::decode);
}

/// The bytes of the TransportIDs that sg_persist 0.67 cannot build: from SPC-4 7.6.4.
#[test]
fn srp_and_sop_by_hand() {
    let initiator_port = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let srp = TransportId::Srp { initiator_port };
    let mut expected = vec![0x04, 0, 0, 0, 0, 0, 0, 0];
    expected.extend(initiator_port);
    assert_eq!(srp.encode(), expected);
    assert_eq!(srp.protocol(), ProtocolId::SRP);

    let sop = TransportId::Sop { routing_id: 0x0102 };
    let mut expected = vec![0x0a, 0, 0x01, 0x02];
    expected.extend([0; 20]);
    assert_eq!(sop.encode(), expected);
    assert_eq!(sop.protocol(), ProtocolId::SOP);
}

/// What is not understood survives as it came: alone, in a list, and in an answer.
#[test]
fn unknown_transport_ids_survive() {
    let mut cases: Vec<Vec<u8>> = Vec::new();
    for first in 0..=u8::MAX {
        let known = matches!(first & 0xcf, 0x00 | 0x03 | 0x04 | 0x06 | 0x0a);
        if !known && first & 0xf != 5 {
            let mut bytes = vec![first];
            bytes.extend(100..123);
            cases.push(bytes);
        }
    }
    assert_eq!(cases.len(), 256 - 16 - 5 * 4);
    // iSCSI: formats 10b and 11b, a port without ISID, ISIDs of 0 and 13 digits, no name, not
    // UTF-8.
    for (first, name) in [
        (0x85, &b"iqn.2026-01.lab:abc\0"[..]),
        (0xc5, b"iqn.2026-01.lab:abc\0"),
        (0x45, b"iqn.2026-01.lab:abc\0"),
        (0x45, b"iqn.2026-01.lab,i,0x"),
        (0x45, b"iqn.2026,i,0x0123456789abc\0\0"),
        (0x05, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (0x05, b"iqn.2026-01.lab:\xff\xfe\xfd\0"),
        (0x05, b""),
    ] {
        let mut bytes = vec![first, 0, 0, u8::try_from(name.len()).unwrap()];
        bytes.extend(name);
        cases.push(bytes);
    }
    for bytes in cases {
        let unknown = TransportId::Unknown {
            bytes: bytes.clone(),
        };
        assert_eq!(unknown.encode(), bytes);
        assert_eq!(unknown.protocol(), ProtocolId(bytes[0] & 0xf));
        round(&unknown, &bytes, TransportId::decode);
        let known = TransportId::Sas { address: 1 };
        let transport_ids = vec![known.clone(), unknown.clone(), known];
        let list = BasicParameters {
            transport_ids,
            ..BasicParameters::default()
        };
        round(&list, &list.encode(), BasicParameters::decode);
        let descriptor = FullStatusDescriptor {
            key: ReservationKey(1),
            all_tg_pt: false,
            holder: false,
            scope: Scope(0),
            reservation_type: ReservationType(0),
            relative_target_port: 1,
            transport_id: unknown,
        };
        let answer = ReadFullStatus::new(0, vec![descriptor.clone(), descriptor]);
        round(&answer, &answer.encode(), ReadFullStatus::decode);
    }
}

/// A descriptor may be longer than its TransportID: what follows is skipped, the next one is
/// found, and the answer counts as complete.
#[test]
fn padding_after_a_transport_id_is_skipped() {
    let descriptor = |key| FullStatusDescriptor {
        key: ReservationKey(key),
        all_tg_pt: false,
        holder: false,
        scope: Scope(0),
        reservation_type: ReservationType(0),
        relative_target_port: 1,
        transport_id: TransportId::Sas { address: key },
    };
    let mut bytes = vec![0, 0, 0, 1, 0, 0, 0, 2 * 56];
    for key in [1, 2] {
        let mut padded = descriptor(key).encode();
        padded[23] += 8;
        padded.extend([0xee; 8]);
        bytes.extend(padded);
    }
    let expected = ReadFullStatus::new(1, vec![descriptor(1), descriptor(2)]);
    assert_eq!(ReadFullStatus::decode(&bytes).as_ref(), Ok(&expected));
    let partial = ReadFullStatus::decode_partial(&bytes).unwrap();
    assert_eq!(partial, expected);
    assert!(partial.is_complete());
}

#[test]
fn iscsi_names_are_padded() {
    for length in 1..=IscsiTransportId::MAX_NAME_LENGTH {
        let name = "n".repeat(length);
        let device = TransportId::Iscsi(IscsiTransportId::Device { name: name.clone() });
        let bytes = device.encode();
        let additional = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!(additional + 4, bytes.len());
        assert!(
            additional >= 20 && additional % 4 == 0 && additional > length,
            "{length}"
        );
        assert!(additional <= 20 || additional <= length + 4, "{length}");
        assert!(
            bytes[4 + length..].iter().all(|&byte| byte == 0),
            "{length}"
        );
        round(&device, &bytes, TransportId::decode);
        let port = IscsiTransportId::Port {
            name,
            isid: 0xffff_ffff_ffff,
        };
        let port = TransportId::Iscsi(port);
        round(&port, &port.encode(), TransportId::decode);
    }
}

/// A name that no length field can describe is cut, but never corrupts what follows it.
#[test]
fn an_impossible_iscsi_name_is_cut() {
    let device = IscsiTransportId::Device {
        name: "n".repeat(70_000),
    };
    let bytes = TransportId::Iscsi(device).encode();
    assert_eq!(bytes.len(), 4 + 0xfffc);
    let expected = IscsiTransportId::Device {
        name: "n".repeat(0xfffb),
    };
    assert_eq!(
        TransportId::decode(&bytes),
        Ok(TransportId::Iscsi(expected))
    );
}

#[test]
fn text() {
    for text in [
        "fcp,2100002400000001",
        "sas,5001405012345678",
        "sbp,0011223344556677",
        "srp,00112233445566778899aabbccddeeff",
        "sop,0102",
        "iqn.2026-01.lab:a",
        "iqn.2026-01.lab:a,i,0x00023d000001",
        "eui.0123456789abcdef",
        "naa.5001405012345678,i,0x000000000001",
        "raw,0c0102030405060708090a0b0c0d0e0f1011121314151617",
    ] {
        let transport_id: TransportId = text.parse().unwrap();
        assert_eq!(transport_id.to_string(), text);
        round(&transport_id, &transport_id.encode(), TransportId::decode);
    }
    let short: TransportId = "iqn.2026-01.lab:a,i,0X1F".parse().unwrap();
    assert_eq!(short.to_string(), "iqn.2026-01.lab:a,i,0x00000000001f");
    let prefixed: TransportId = "fcp,0x2100002400000001".parse().unwrap();
    assert_eq!(prefixed.to_string(), "fcp,2100002400000001");
}

#[test]
fn text_that_is_no_transport_id() {
    let check = |text: &str, expected: ParseTransportIdError| {
        assert_eq!(text.parse::<TransportId>(), Err(expected), "{text}");
    };
    for text in [
        "",
        "fcp",
        "xyz,0011223344556677",
        "5001405012345678",
        "IQN.2026-01.lab:a",
    ] {
        check(
            text,
            ParseTransportIdError::UnknownForm { text: text.into() },
        );
    }
    for (form, digits, expected) in [
        ("fcp", "", 16),
        ("fcp", "210000240000000", 16),
        ("fcp", "21000024000000010", 16),
        ("sas", "500140501234567g", 16),
        ("sas", "+500140501234567", 16),
        ("sbp", "äääääääääääääääää", 16),
        ("srp", "0011223344556677", 32),
        ("sop", "102", 4),
        ("raw", "0c01", 48),
        ("raw", "0c0102030405060708090a0b0c0d0e0f101112131415161", 48),
    ] {
        let text = digits.into();
        let expected = ParseTransportIdError::Hex {
            form,
            text,
            expected,
        };
        check(&format!("{form},{digits}"), expected);
    }
    for isid in ["", "g", "0123456789abc", "+1"] {
        let expected = ParseTransportIdError::InitiatorSessionId { text: isid.into() };
        check(&format!("iqn.2026-01.lab:a,i,0x{isid}"), expected);
    }
    let expected = ParseTransportIdError::NameTooLong {
        length: 224,
        most: 223,
    };
    check(&format!("iqn.{}", "x".repeat(220)), expected);
}
