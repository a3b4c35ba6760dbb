//! The bytes: lengths, reserved actions, what is cut and what is not.

use scsi_pr::device_server::{LogicalUnit, Profile};
use scsi_pr::{
    Capabilities, InAction, PrInCdb, ReadFullStatus, ReadKeys, ReadReservation, Reservation,
    ReservationKey, ReservationType, Scope, TypeMask,
};

use crate::script::{BOTH, check, nexus, shown, unit};

const HELD: &str = "a register 0/1: good
     b register 0/2: good
     c register 0/2: good
     b reserve 2 6: good";

fn read(unit: &mut LogicalUnit, action: u8, allocation_length: u16) -> Vec<u8> {
    let answer = try_read(unit, action, allocation_length);
    answer.expect("it is read")
}

fn try_read(unit: &mut LogicalUnit, action: u8, allocation_length: u16) -> Result<Vec<u8>, String> {
    let cdb = PrInCdb {
        action: InAction(action),
        allocation_length,
    };
    let answer = unit.execute(&nexus("a"), &cdb.encode(), &[]);
    match shown(&answer).as_str() {
        "good" => Ok(answer.data),
        other => Err(other.to_owned()),
    }
}

#[test]
fn read_keys_lists_a_key_per_registration() {
    for profile in BOTH {
        let mut unit = check(*profile, HELD);
        let keys = [1, 2, 2].map(ReservationKey).to_vec();
        let whole = ReadKeys::new(3, keys).encode();
        assert_eq!(read(&mut unit, 0, 8192), whole);
        assert_eq!(read(&mut unit, 0, 24), whole[..24]);
        assert_eq!(
            read(&mut unit, 0, 8),
            whole[..8],
            "ADDITIONAL LENGTH is that of all"
        );
    }
}

#[test]
fn read_reservation_shows_the_holders_key() {
    for profile in BOTH {
        let mut unit = check(*profile, HELD);
        let held = Reservation {
            key: ReservationKey(2),
            scope: Scope::LOGICAL_UNIT,
            reservation_type: ReservationType(6),
        };
        assert_eq!(unit.reservation(), Some(held));
        let whole = ReadReservation::new(3, Some(held)).encode();
        assert_eq!(read(&mut unit, 1, 24), whole);
        assert_eq!(read(&mut unit, 1, 8), whole[..8]);
        let mut unit = crate::script::unit(*profile);
        assert_eq!(read(&mut unit, 1, 24), [0; 8]);
    }
}

#[test]
fn read_reservation_shows_key_zero_for_all_registrants() {
    for profile in BOTH {
        let mut unit = check(*profile, "a register 0/1: good\n a reserve 1 8: good");
        let answer = ReadReservation::decode(&read(&mut unit, 1, 24)).unwrap();
        assert_eq!(answer.reservation.unwrap().key, ReservationKey::NONE);
        assert_eq!(
            answer.reservation.unwrap().reservation_type,
            ReservationType(8)
        );
    }
}

#[test]
fn read_full_status_describes_every_registration() {
    for profile in BOTH {
        let mut unit = check(*profile, HELD);
        let whole = read(&mut unit, 3, 8192);
        let answer = ReadFullStatus::decode(&whole).unwrap();
        let seen: Vec<_> = answer
            .descriptors
            .iter()
            .map(|it| {
                (
                    it.key.0,
                    it.relative_target_port,
                    it.holder,
                    it.reservation_type.0,
                )
            })
            .collect();
        assert_eq!(seen, [(1, 1, false, 0), (2, 2, true, 6), (2, 3, false, 0)]);
        assert_eq!(
            answer.descriptors[1].transport_id,
            nexus("b").initiator_port
        );
    }
}

#[test]
fn read_full_status_marks_all_registrants_as_holders() {
    for profile in BOTH {
        let script = "a register 0/1: good\n b register 0/2: good\n a reserve 1 7: good";
        let mut unit = check(*profile, script);
        let answer = ReadFullStatus::decode(&read(&mut unit, 3, 8192)).unwrap();
        for descriptor in answer.descriptors {
            assert!(descriptor.holder);
            assert_eq!(descriptor.reservation_type, ReservationType(7));
        }
    }
}

#[test]
fn capabilities_name_every_type() {
    for profile in BOTH {
        let mut unit = check(*profile, "a register 0/1 aptpl: good");
        let answer = Capabilities::decode(&read(&mut unit, 2, 8)).unwrap();
        assert!(answer.ptpl_a && answer.ptpl_c && answer.sip_c && answer.atp_c && answer.tmv);
        assert_eq!(answer.type_mask, TypeMask::ALL);
    }
}

#[test]
fn the_standard_cuts_anywhere() {
    let mut unit = check(Profile::strict(), HELD);
    for action in 0..4 {
        let whole = read(&mut unit, action, 8192);
        for length in 0..=whole.len() {
            let allocation_length = u16::try_from(length).unwrap();
            assert_eq!(read(&mut unit, action, allocation_length), whole[..length]);
        }
    }
}

#[test]
fn linux_refuses_less_than_a_header() {
    let mut unit = check(Profile::lio(), HELD);
    for (action, least) in [(0, 8), (1, 8), (2, 6), (3, 8)] {
        for allocation_length in 0..least {
            let answer = try_read(&mut unit, action, allocation_length);
            assert_eq!(answer, Err("5/24/00".to_owned()));
        }
        assert!(try_read(&mut unit, action, least).is_ok());
    }
}

/// The TransportIDs are 24 bytes here, the descriptors 48.
#[test]
fn linux_counts_the_descriptors_that_it_put_into_the_buffer() {
    let mut unit = check(Profile::lio(), HELD);
    for (allocation_length, counted) in [(8, 0), (23, 0), (24, 48), (71, 48), (72, 96), (120, 144)]
    {
        let answer = read(&mut unit, 3, allocation_length);
        let length = u32::from_be_bytes(answer[4..8].try_into().unwrap());
        assert_eq!(length, counted, "{allocation_length}");
        assert!(answer.len() <= usize::from(allocation_length));
    }
}

#[test]
fn linux_leaves_out_keys_and_reservations_that_do_not_fit() {
    let mut unit = check(Profile::lio(), HELD);
    assert_eq!(read(&mut unit, 0, 23).len(), 16);
    assert_eq!(read(&mut unit, 1, 21).len(), 8);
    assert_eq!(read(&mut unit, 1, 22).len(), 22);
}

#[test]
fn reserved_actions_are_invalid_fields() {
    for profile in BOTH {
        let mut unit = unit(*profile);
        for action in 4..0x20 {
            assert_eq!(try_read(&mut unit, action, 64), Err("5/24/00".to_owned()));
        }
        for action in 8..0x20 {
            let cdb = [0x5f, action, 0, 0, 0, 0, 0, 0, 24, 0];
            let answer = unit.execute(&nexus("a"), &cdb, &[0; 24]);
            assert_eq!(shown(&answer), "5/24/00");
        }
    }
}

#[test]
fn a_parameter_list_has_24_bytes() {
    for profile in BOTH {
        for action in 0..8 {
            for length in [0, 1, 8, 16, 20, 23, 25, 28, 48] {
                if action == 7 && length > 24 {
                    continue;
                }
                let mut unit = check(*profile, "a register 0/1: good");
                let cdb = [0x5f, action, 5, 0, 0, 0, 0, 0, length, 0];
                let answer = unit.execute(&nexus("a"), &cdb, &vec![0; usize::from(length)]);
                assert_eq!(shown(&answer), "5/1a/00", "action {action}, {length} bytes");
            }
        }
    }
}

#[test]
fn a_list_shorter_than_promised_is_a_length_error() {
    let mut unit = unit(Profile::strict());
    let cdb = [0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_eq!(shown(&unit.execute(&nexus("a"), &cdb, &[0; 20])), "5/1a/00");
    // What is beyond the promised length is not looked at.
    assert_eq!(shown(&unit.execute(&nexus("a"), &cdb, &[0; 30])), "good");
}

#[test]
fn transport_ids_fill_the_list_exactly() {
    for profile in BOTH {
        for (field, there) in [(24, 0), (24, 23), (0, 24), (20, 20), (48, 24), (24, 48)] {
            let mut unit = unit(*profile);
            let mut list = vec![0; 28];
            list[15] = 1;
            list[20] = 0x08;
            list[27] = field;
            let mut ids = nexus("b").initiator_port.encode();
            ids.resize(there, 0);
            list.extend(ids);
            let length = u8::try_from(list.len()).unwrap();
            let cdb = [0x5f, 0, 0, 0, 0, 0, 0, 0, length, 0];
            let answer = unit.execute(&nexus("a"), &cdb, &list);
            assert_eq!(shown(&answer), "5/26/00", "{field} for {there}");
        }
    }
}

#[test]
fn unknown_commands_are_refused() {
    let mut unit = unit(Profile::strict());
    for cdb in [&[0x16, 0, 0, 0, 0, 0][..], &[0xff], &[]] {
        assert_eq!(shown(&unit.execute(&nexus("a"), cdb, &[])), "5/20/00");
    }
    for cdb in [
        &[0x5e, 0, 0, 0][..],
        &[0x5f],
        &[0x12, 1, 0x83, 0, 64, 0],
        &[0x03],
    ] {
        assert_eq!(shown(&unit.execute(&nexus("a"), cdb, &[])), "5/24/00");
    }
}
