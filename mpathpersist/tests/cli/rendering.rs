//! The text of the PERSISTENT RESERVE IN actions against what multipath-tools printed.
use crate::{fake, fixtures};
use mpathpersist::cli::ExitStatus;
use scsi_pr::{
    Capabilities, FullStatusDescriptor, IscsiTransportId, ReadFullStatus, ReadKeys,
    ReadReservation, Reservation, ReservationKey, ReservationType, Scope, TransportId, TypeMask,
};

fn check(options: &str, bytes: &[u8], expected: &str) {
    let ran = fake::read(&format!("{options} /dev/mapper/mpatha"), bytes);
    assert_eq!(ran.out, expected, "{options}: {ran:?}");
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (ExitStatus::SUCCESS, ""),
        "{options}"
    );
}

fn registration(key: u64, transport_id: TransportId, port: u16) -> FullStatusDescriptor {
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

fn session(node: u64, session: u64) -> TransportId {
    TransportId::Iscsi(IscsiTransportId::Port {
        name: format!("iqn.2024-01.lab:node{node}"),
        isid: 0x0002_3d00_0000 + session,
    })
}

fn node(node: u64) -> TransportId {
    let name = format!("iqn.2024-01.lab:node{node}");
    TransportId::Iscsi(IscsiTransportId::Device { name })
}

fn lio(ptpl_a: bool) -> Capabilities {
    Capabilities {
        rlr_c: false,
        crh: true,
        sip_c: true,
        atp_c: true,
        ptpl_c: true,
        tmv: true,
        allow_commands: 1,
        ptpl_a,
        type_mask: TypeMask::ALL,
    }
}

#[test]
fn bytes_that_were_logged_print_as_they_did() {
    for (option, name) in [
        ("-ik", "keys-6"),
        ("-ir", "reservation-held"),
        ("-is", "full-status-6"),
        ("-is", "full-status-sas"),
    ] {
        check(option, &fixtures::bytes(name), &fixtures::text(name));
    }
}

#[test]
fn keys() {
    let check = |keys: &[u64], generation, expected: &str| {
        let keys = keys.iter().copied().map(ReservationKey).collect();
        check("-i -k", &ReadKeys::new(generation, keys).encode(), expected);
    };
    check(&[], 0, &fixtures::text("keys-none"));
    check(&[0x123abc; 4], 4, &fixtures::text("keys-4"));
    let six = [
        0x123abc,
        0x123abc,
        0x123abc,
        0x123abc,
        0xfedc_ba98_7654_3210,
        0xb2,
    ];
    check(&six, 6, &fixtures::text("keys-6"));
    let one = "  PR generation=0x42, \t1 registered reservation key follows:\n    0x123abc\n";
    check(&[0x123abc], 0x42, one);
}

#[test]
fn ten_keys_contain_the_line_of_none_on_purpose() {
    let bytes = ReadKeys::new(1, vec![ReservationKey(1); 10]).encode();
    let ran = fake::read("-i -k mpatha", &bytes);
    assert!(
        ran.out.contains("0 registered reservation key"),
        "{}",
        ran.out
    );
}

#[test]
fn reservation() {
    let check = |generation, held: Option<(u64, u8, u8)>, expected: &str| {
        let reservation = held.map(|(key, scope, number)| Reservation {
            key: ReservationKey(key),
            scope: Scope(scope),
            reservation_type: ReservationType(number),
        });
        check(
            "-i -r",
            &ReadReservation::new(generation, reservation).encode(),
            expected,
        );
    };
    check(4, None, &fixtures::text("reservation-none"));
    check(
        6,
        Some((0x123abc, 0, 6)),
        &fixtures::text("reservation-held"),
    );
    check(
        4,
        Some((0, 0, 7)),
        &fixtures::text("reservation-all-registrants"),
    );
    for (number, name) in [
        (1, "Write Exclusive"),
        (3, "Exclusive Access"),
        (5, "Write Exclusive, registrants only"),
        (6, "Exclusive Access, registrants only"),
        (7, "Write Exclusive, all registrants"),
        (8, "Exclusive Access, all registrants"),
        (2, "obsolete [2]"),
    ] {
        let expected = format!(
            "  PR generation=0xa, Reservation follows:\n   Key = 0x1\n  scope = LU_SCOPE, \
             type = {name}\n"
        );
        check(10, Some((1, 0, number)), &expected);
    }
    let scope = "  PR generation=0x1, Reservation follows:\n   Key = 0x1\n  scope = 2, \
                 type = Write Exclusive\n";
    check(1, Some((1, 2, 1)), scope);
}

#[test]
fn capabilities() {
    check(
        "-i -c",
        &lio(false).encode(),
        &fixtures::text("capabilities"),
    );
    check(
        "-i -c",
        &lio(true).encode(),
        &fixtures::text("capabilities-aptpl"),
    );
}

#[test]
fn capabilities_without_type_mask_and_with_all_allowed_commands() {
    for allow_commands in 0..=7 {
        let capabilities = Capabilities {
            tmv: false,
            crh: false,
            allow_commands,
            ..lio(true)
        };
        let expected = format!(
            "Report capabilities response:\n  \
             Compatible Reservation Handling(CRH): 0\n  \
             Specify Initiator Ports Capable(SIP_C): 1\n  \
             All Target Ports Capable(ATP_C): 1\n  \
             Persist Through Power Loss Capable(PTPL_C): 1\n  \
             Type Mask Valid(TMV): 0\n  \
             Allow Commands: {allow_commands}\n  \
             Persist Through Power Loss Active(PTPL_A): 1\n"
        );
        check("-i -c", &capabilities.encode(), &expected);
    }
}

#[test]
fn each_type_has_its_own_line_in_the_type_mask() {
    for (mask, line) in [
        (
            TypeMask::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
            "Write Exclusive, all registrants",
        ),
        (
            TypeMask::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
            "Exclusive Access, registrants only",
        ),
        (
            TypeMask::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
            "Write Exclusive, registrants only",
        ),
        (TypeMask::EXCLUSIVE_ACCESS, "Exclusive Access"),
        (TypeMask::WRITE_EXCLUSIVE, "Write Exclusive"),
        (
            TypeMask::EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
            "Exclusive Access, all registrants",
        ),
    ] {
        let bytes = Capabilities {
            type_mask: mask,
            ..lio(false)
        }
        .encode();
        let ran = fake::read("-i -c mpatha", &bytes);
        let set: Vec<&str> = ran
            .out
            .lines()
            .skip_while(|line| !line.contains("Support indicated"))
            .filter(|line| line.ends_with(": 1"))
            .collect();
        assert_eq!(set, [format!("      {line}: 1")]);
    }
}

#[test]
fn full_status_of_iscsi() {
    let check = |generation, descriptors, expected: &str| {
        check(
            "-i -s",
            &ReadFullStatus::new(generation, descriptors).encode(),
            expected,
        );
    };
    check(0, Vec::new(), &fixtures::text("full-status-none"));
    let four = [2, 1, 4, 3].map(|port| registration(0x123abc, session(1, port.into()), port));
    check(4, four.to_vec(), &fixtures::text("full-status-4"));
    let mut six = four.to_vec();
    six[1].holder = true;
    six[1].reservation_type = ReservationType::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY;
    six.push(registration(0xfedc_ba98_7654_3210, session(2, 5), 5));
    six.push(registration(0xb2, session(2, 6), 6));
    check(6, six, &fixtures::text("full-status-6"));
    let everywhere = [session(1, 1), node(1), node(1), node(1)].map(|id| FullStatusDescriptor {
        all_tg_pt: true,
        ..registration(0x123abc, id, 0)
    });
    check(
        0x20,
        everywhere.to_vec(),
        &fixtures::text("full-status-all-target-ports"),
    );
}

#[test]
fn full_status_of_sas() {
    let descriptors = [1, 4, 2, 3].map(|port| FullStatusDescriptor {
        holder: true,
        reservation_type: ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
        ..registration(
            0x123abc,
            TransportId::Sas {
                address: 0x5a01_0000_0000_0000 + u64::from(port),
            },
            port,
        )
    });
    let bytes = ReadFullStatus::new(4, descriptors.to_vec()).encode();
    assert_eq!(bytes, fixtures::bytes("full-status-sas"));
    check("-i -s", &bytes, &fixtures::text("full-status-sas"));
}

#[test]
fn full_status_of_other_transports() {
    for (id, line) in [
        (
            TransportId::FibreChannel {
                n_port_name: 0x2100_0024_ff3d_6108,
            },
            "   FCP-2         21 00 00 24 ff 3d 61 08\n",
        ),
        (
            TransportId::Srp {
                initiator_port: *b"0123456789abcdef",
            },
            "   SRP         30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66\n",
        ),
        (
            TransportId::Sbp { eui64: 0x0102 },
            "   SBP         00 00 00 00 00 00 01 02\n",
        ),
        (
            TransportId::Sop { routing_id: 0x0a00 },
            "   SOP         0a 00\n",
        ),
    ] {
        let status = ReadFullStatus::new(1, vec![registration(1, id, 1)]);
        let expected = format!(
            "  PR generation=0x1 \n   Key = 0x1\n      All target ports bit clear\n      \
             Relative port address: 0x1\n      not reservation holder\n{line}"
        );
        check("-i -s", &status.encode(), &expected);
    }
}

/// A name is printed to a terminal; one with an escape sequence in it must not act there.
#[test]
fn control_characters_of_a_name_are_not_printed() {
    let name = "iqn.\u{1b}[2Jx".to_owned();
    let id = TransportId::Iscsi(IscsiTransportId::Device { name });
    let status = ReadFullStatus::new(1, vec![registration(1, id, 1)]);
    let ran = fake::read("-i -s mpatha", &status.encode());
    assert!(
        ran.out.ends_with("   iSCSI name: iqn.?[2Jx\n"),
        "{}",
        ran.out
    );
}

/// multipath-tools 0.14.3 printed one key and five times 0x0 here, which the device never sent.
#[test]
fn keys_that_did_not_fit_are_not_invented() {
    let ran = fake::read("-i -k -l 16 mpatha", &fixtures::bytes("keys-6")[..16]);
    let expected = "  PR generation=0x6, \t6 registered reservation keys follow:\n    0x123abc\n";
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (ExitStatus::SUCCESS, expected)
    );
    assert_eq!(ran.err, "mpatha: --alloc-length cut the response short\n");
}

/// "There is NO reservation held" must not come of a short buffer: a fence agent would believe it.
#[test]
fn a_reservation_that_did_not_fit_is_not_denied() {
    for length in [8, 16] {
        let bytes = &fixtures::bytes("reservation-held")[..length];
        let ran = fake::read(&format!("-i -r -l {length} mpatha"), bytes);
        assert_eq!(ran.out, "  PR generation=0x6, Reservation follows:\n");
        assert_eq!(ran.err, "mpatha: --alloc-length cut the response short\n");
    }
}

#[test]
fn registrations_that_did_not_fit_are_left_out() {
    let bytes = &fixtures::bytes("full-status-sas")[..8 + 48 + 20];
    let ran = fake::read("-i -s -l 76 mpatha", bytes);
    let expected = fixtures::text("full-status-sas");
    assert_eq!(ran.out.lines().count(), 7);
    assert!(expected.starts_with(&ran.out), "{}", ran.out);
    assert_eq!(ran.err, "mpatha: --alloc-length cut the response short\n");
}

#[test]
fn an_allocation_length_that_is_enough_changes_nothing() {
    for (option, name) in [
        ("-ik", "keys-6"),
        ("-ir", "reservation-held"),
        ("-is", "full-status-6"),
    ] {
        check(
            &format!("{option} -l 8192"),
            &fixtures::bytes(name),
            &fixtures::text(name),
        );
    }
}

#[test]
fn hex_leaves_stdout_alone_and_goes_to_stderr() {
    let ran = fake::read("-i -k -H mpatha", &fixtures::bytes("keys-6"));
    assert_eq!(ran.out, fixtures::text("keys-6"));
    let expected = "        00 00 00 06 00 00 00 30  00 00 00 00 00 12 3a bc
        00 00 00 00 00 12 3a bc  00 00 00 00 00 12 3a bc
        00 00 00 00 00 12 3a bc  fe dc ba 98 76 54 32 10
        00 00 00 00 00 00 00 b2\n";
    assert_eq!(ran.err, expected);
}

#[test]
fn a_response_that_is_none_is_refused_and_can_be_looked_at() {
    let ran = fake::read("-i -k -H mpatha", &[0, 0, 0, 1, 0, 0, 0, 7]);
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (ExitStatus::MALFORMED_RESPONSE, "")
    );
    let expected = "        00 00 00 01 00 00 00 07
Persistent Reserve IN command failed
mpatha: the response is not valid (ADDITIONAL LENGTH has the impossible value 0x7): look at it \
                    with 'sg_persist --in --hex', and tell the array's vendor \
                    [malformed-response]\n";
    assert_eq!(ran.err, expected);
}

#[test]
fn more_keys_than_the_old_limit_of_1023() {
    let bytes = ReadKeys::new(1, vec![ReservationKey(0xa); 1100]).encode();
    let ran = fake::read("-i -k mpatha", &bytes);
    assert!(
        ran.out
            .starts_with("  PR generation=0x1, \t1100 registered reservation keys follow:")
    );
    assert_eq!(ran.out.lines().count(), 1101);
}
