//! Sense data: a real target's, and layouts that it does not send, built by hand from SPC-4 4.5.

use scsi_pr::{
    AnswerClass, DecodeError, FieldPointer, OutAction, Refusal, Sense, SenseFormat, SenseKey,
    Status, UnitAttention, classify, classify_for,
};

use crate::fixtures::{LIO_SENSE, block, parse_hex};

fn bytes(hex: &str) -> Vec<u8> {
    parse_hex(hex).collect()
}

fn check_captured(name: &str, expected: Sense, class: AnswerClass) {
    let bytes = block(LIO_SENSE, name).bytes;
    let sense = Sense::decode(&bytes).unwrap();
    assert_eq!(sense, expected, "{name}");
    assert_eq!(sense.encode(), bytes, "{name}");
    assert_eq!(
        classify(Status::CHECK_CONDITION, Some(&sense)),
        class,
        "{name}"
    );
}

#[test]
fn captured() {
    let descriptor = |sense: Sense| Sense {
        format: SenseFormat::Descriptor,
        ..sense
    };
    let illegal = |asc| Sense::new(SenseKey::ILLEGAL_REQUEST, asc, 0);
    let attention = |ascq| Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, ascq);
    let other = AnswerClass::Refused(Refusal::Other);
    let unsupported = AnswerClass::Refused(Refusal::NoPersistentReservations);
    let reservations = AnswerClass::UnitAttention(UnitAttention::ReservationsPreempted);
    let registrations = AnswerClass::UnitAttention(UnitAttention::RegistrationsPreempted);
    check_captured("opcode", illegal(0x20), unsupported);
    check_captured("cdb-field", illegal(0x24), other);
    check_captured("list-length", illegal(0x1a), other);
    check_captured("list-field", illegal(0x26), other);
    check_captured("reservations-preempted", attention(0x03), reservations);
    check_captured("registrations-preempted", attention(0x05), registrations);
    check_captured("descriptor-opcode", descriptor(illegal(0x20)), unsupported);
    check_captured("descriptor-cdb-field", descriptor(illegal(0x24)), other);
    check_captured("descriptor-list-length", descriptor(illegal(0x1a)), other);
    check_captured(
        "descriptor-registrations-preempted",
        descriptor(attention(5)),
        registrations,
    );
}

/// Linux' target was asked each action from a nexus that was not registered, while nothing was
/// reserved: these four it answers with NOT READY 08/00, the others as the standard wants.
#[test]
fn not_registered() {
    let sense = Sense::decode(&block(LIO_SENSE, "not-registered").bytes).unwrap();
    let class = |action| classify_for(action, Status::CHECK_CONDITION, Some(&sense));
    for action in [
        OutAction::RESERVE,
        OutAction::RELEASE,
        OutAction::CLEAR,
        OutAction::REGISTER_AND_MOVE,
    ] {
        assert_eq!(class(action), AnswerClass::Conflict, "{action}");
    }
    for action in [
        OutAction::REGISTER,
        OutAction::PREEMPT,
        OutAction::PREEMPT_AND_ABORT,
    ] {
        assert_eq!(class(action), AnswerClass::Unreachable, "{action}");
    }
    // A real communication failure behind another status or an earlier command stays what it is.
    let deferred = Sense {
        deferred: true,
        ..sense
    };
    let class = classify_for(OutAction::RESERVE, Status::CHECK_CONDITION, Some(&deferred));
    assert_eq!(class, AnswerClass::Busy);
    let class = classify_for(OutAction::RESERVE, Status::BUSY, Some(&sense));
    assert_eq!(class, AnswerClass::Busy);
}

#[test]
fn fixed_format() {
    let all = bytes("f0 00 65 11 22 33 44 0a 00 00 00 00 26 00 07 cb 00 14");
    let sense = Sense::decode(&all).unwrap();
    let expected = Sense {
        information: Some(0x11223344),
        sense_key_specific: Some([0xcb, 0x00, 0x14]),
        ..Sense::new(SenseKey::ILLEGAL_REQUEST, 0x26, 0x00)
    };
    assert_eq!(sense, expected);
    let pointer = FieldPointer {
        in_cdb: true,
        byte: 20,
        bit: Some(3),
    };
    assert_eq!(sense.field_pointer(), Some(pointer));
    assert_eq!(Sense::decode(&expected.encode()), Ok(expected));

    // Deferred; INFORMATION and SENSE KEY SPECIFIC not marked valid.
    let deferred = bytes("71 00 03 11 22 33 44 0a 00 00 00 00 0c 02 00 4b 00 14");
    let expected = Sense {
        deferred: true,
        ..Sense::new(SenseKey::MEDIUM_ERROR, 0x0c, 0x02)
    };
    assert_eq!(Sense::decode(&deferred), Ok(expected));
    assert_eq!(expected.field_pointer(), None);
}

#[test]
fn descriptor_format() {
    // INFORMATION, a vendor's descriptor, SENSE KEY SPECIFIC.
    let all = bytes(
        "72 05 26 00 00 00 00 18  00 0a 80 00 01 02 03 04 05 06 07 08  80 02 aa bb  \
         02 06 00 00 80 00 14 00",
    );
    let expected = Sense {
        format: SenseFormat::Descriptor,
        information: Some(0x0102030405060708),
        sense_key_specific: Some([0x80, 0x00, 0x14]),
        ..Sense::new(SenseKey::ILLEGAL_REQUEST, 0x26, 0x00)
    };
    assert_eq!(Sense::decode(&all), Ok(expected));
    assert_eq!(Sense::decode(&expected.encode()), Ok(expected));
    let pointer = FieldPointer {
        in_cdb: false,
        byte: 20,
        bit: None,
    };
    assert_eq!(expected.field_pointer(), Some(pointer));

    let deferred = bytes("73 06 2a 04 00 00 00 00");
    let expected = Sense {
        format: SenseFormat::Descriptor,
        deferred: true,
        ..Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, 0x04)
    };
    assert_eq!(Sense::decode(&deferred), Ok(expected));
    assert_eq!(expected.encode(), deferred);
}

#[test]
fn other_response_codes_are_no_sense_data() {
    for code in (0..=u8::MAX).filter(|code| !(0x70..=0x73).contains(&(code & 0x7f))) {
        let mut message = vec![0; 18];
        message[0] = code;
        let field = "RESPONSE CODE";
        let expected = Err(DecodeError::Invalid {
            field,
            value: u64::from(code & 0x7f),
        });
        assert_eq!(Sense::decode(&message), expected, "{code:#x}");
        assert_eq!(Sense::decode_partial(&message), expected, "{code:#x}");
    }
}

#[test]
fn sense_that_declares_itself_short_has_no_codes() {
    let short = bytes("70 00 02 00 00 00 00 00");
    assert_eq!(
        Sense::decode(&short),
        Ok(Sense::new(SenseKey::NOT_READY, 0, 0))
    );
}

#[test]
fn a_cut_buffer_still_tells_key_and_codes() {
    let fixed = bytes("70 00 06 00 00 00 00 0a 00 00 00 00 2a 03 00 00 00 00");
    let check = |length: usize, asc, ascq| {
        let expected = Sense::new(SenseKey::UNIT_ATTENTION, asc, ascq);
        assert_eq!(
            Sense::decode_partial(&fixed[..length]),
            Ok(expected),
            "{length}"
        );
    };
    (14..=18).for_each(|length| check(length, 0x2a, 0x03));
    check(13, 0x2a, 0);
    (3..=12).for_each(|length| check(length, 0, 0));
    let truncated = DecodeError::Truncated {
        field: "SENSE KEY",
        need: 1,
        have: 0,
    };
    assert_eq!(Sense::decode_partial(&fixed[..2]), Err(truncated));

    let long = bytes("72 06 2a 05 00 00 00 0c 00 0a 80 00 00 00 00 00 00 00 00 07");
    let complete = Sense::decode(&long).unwrap();
    assert_eq!(Sense::decode_partial(&long), Ok(complete));
    for length in 4..long.len() {
        let expected = Sense {
            information: None,
            ..complete
        };
        assert_eq!(
            Sense::decode_partial(&long[..length]),
            Ok(expected),
            "{length}"
        );
    }
}

#[test]
fn text() {
    let check = |sense: Sense, text: &str| assert_eq!(sense.to_string(), text);
    let preempted = Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, 0x05);
    check(
        preempted,
        "UNIT ATTENTION 06/2a/05 (registrations preempted)",
    );
    let unknown = Sense::new(SenseKey(0xc), 0x80, 0x01);
    check(
        Sense {
            deferred: true,
            ..unknown
        },
        "sense key 0xc 0c/80/01, deferred",
    );
}
