//! Command lines that are right: which request reaches the runner.
use crate::fake::run_line;
use mpathpersist::cli::{Doubt, ExitStatus, RunOptions};
use pr_policy::{
    Clear, FanOut, Preempt, Read, Register, RegisterAndMove, RegisterMode, Release, Request,
    Reserve, VictimCommands,
};
use scsi_pr::{InAction, IscsiTransportId, ReservationKey, ReservationType, TransportId};
use std::time::Duration;

const KEY: ReservationKey = ReservationKey(0x123abc);

fn request(line: &str) -> (String, Request, RunOptions) {
    let (ran, mut runner) = run_line(line, []);
    assert_eq!(
        (ran.status, runner.seen.len()),
        (ExitStatus::SUCCESS, 1),
        "{line}: {ran:?}"
    );
    runner.seen.remove(0)
}

fn check(line: &str, expected: &Request) {
    let (device, request, options) = request(line);
    assert_eq!(device, "dev", "{line}");
    assert_eq!(request, *expected, "{line}");
    assert_eq!(options, RunOptions::default(), "{line}");
}

fn read(action: InAction) -> Request {
    Request::Read(Read {
        action,
        allocation_length: None,
    })
}

fn register(mode: RegisterMode, key: u64, new_key: u64) -> Register {
    Register {
        mode,
        key: ReservationKey(key),
        new_key: ReservationKey(new_key),
        aptpl: false,
        all_tg_pt: false,
        transport_ids: Vec::new(),
    }
}

fn preempt(number: u8, commands: VictimCommands) -> Request {
    Request::Preempt(Preempt {
        key: KEY,
        victim: ReservationKey(0xb2),
        reservation_type: ReservationType(number),
        commands,
    })
}

#[test]
fn reads_in_every_spelling() {
    for (line, action) in [
        ("-i -k -d dev", InAction::READ_KEYS),
        ("-ik -d dev", InAction::READ_KEYS),
        ("-ikd dev", InAction::READ_KEYS),
        ("-ikddev", InAction::READ_KEYS),
        ("--in --read-keys dev", InAction::READ_KEYS),
        ("dev --in --read-keys", InAction::READ_KEYS),
        ("--in --read-keys -- dev", InAction::READ_KEYS),
        ("-ir dev", InAction::READ_RESERVATION),
        (
            "--in --read-reservation --device=dev",
            InAction::READ_RESERVATION,
        ),
        (
            "--in --read-reservation --device dev",
            InAction::READ_RESERVATION,
        ),
        ("-d dev -c -i", InAction::REPORT_CAPABILITIES),
        (
            "--in --report-capabilities dev",
            InAction::REPORT_CAPABILITIES,
        ),
        ("-is dev", InAction::READ_FULL_STATUS),
        ("--in --read-full-status dev", InAction::READ_FULL_STATUS),
        ("-v0 -ik dev", InAction::READ_KEYS),
        ("-v 4 -ik dev", InAction::READ_KEYS),
        ("-v9 -ik dev", InAction::READ_KEYS),
    ] {
        check(line, &read(action));
    }
}

#[test]
fn allocation_lengths() {
    for (length, expected) in [
        ("0", None),
        ("16", Some(16)),
        ("010", Some(10)),
        ("8192", Some(8192)),
    ] {
        let action = InAction::READ_KEYS;
        let expected = Request::Read(Read {
            action,
            allocation_length: expected,
        });
        check(&format!("-ik -l {length} dev"), &expected);
        check(&format!("-ik -l{length} dev"), &expected);
        check(&format!("-ik --alloc-length={length} dev"), &expected);
    }
}

#[test]
fn keys_are_hex_of_up_to_eight_bytes() {
    for (text, key) in [
        ("0", 0),
        ("123abc", 0x123abc),
        ("0x123abc", 0x123abc),
        ("0X123ABC", 0x123abc),
        ("10", 0x10),
        ("ffffffffffffffff", u64::MAX),
        ("0xffffffffffffffff", u64::MAX),
    ] {
        let expected = Request::Clear(Clear {
            key: ReservationKey(key),
        });
        check(&format!("-oC -K {text} dev"), &expected);
        check(&format!("-oCK {text} dev"), &expected);
        check(&format!("-oCK{text} dev"), &expected);
        check(&format!("-o -C --param-rk={text} dev"), &expected);
    }
}

#[test]
fn registrations() {
    use RegisterMode::{Compare, Ignore};
    let check = |line: &str, expected: Register| check(line, &Request::Register(expected));
    check("-o -G -S 123abc dev", register(Compare, 0, 0x123abc));
    check("-o -G -K 1 -S 2 dev", register(Compare, 1, 2));
    check("-o -I -S 0x123abc dev", register(Ignore, 0, 0x123abc));
    check("-o -G dev", register(Compare, 0, 0));
    check("--out --register --param-rk=1 dev", register(Compare, 1, 0));
    check(
        "-oGZYS1 dev",
        Register {
            aptpl: true,
            all_tg_pt: true,
            ..register(Compare, 0, 1)
        },
    );
    check(
        "--out --register --param-sark 1 --param-aptpl dev",
        Register {
            aptpl: true,
            ..register(Compare, 0, 1)
        },
    );
    check(
        "--out --register --param-sark 1 --param-alltgpt dev",
        Register {
            all_tg_pt: true,
            ..register(Compare, 0, 1)
        },
    );
}

#[test]
fn transport_ids_add_up() {
    let line = "-o -G -S 1 -X fcp,2100002400000001 --transport-id=sas,5a01000000000001 \
                -Xiqn.2024-01.lab:node9 -X iqn.2024-01.lab:node9,i,0x00023d000009 dev";
    let name = "iqn.2024-01.lab:node9".to_owned();
    let transport_ids = vec![
        TransportId::FibreChannel {
            n_port_name: 0x2100_0024_0000_0001,
        },
        TransportId::Sas {
            address: 0x5a01_0000_0000_0001,
        },
        TransportId::Iscsi(IscsiTransportId::Device { name: name.clone() }),
        TransportId::Iscsi(IscsiTransportId::Port {
            name,
            isid: 0x0002_3d00_0009,
        }),
    ];
    let expected = Register {
        transport_ids,
        ..register(RegisterMode::Compare, 0, 1)
    };
    check(line, &Request::Register(expected));
    let thirty_two = "-X iqn.2024-01.lab:n ".repeat(32);
    let (_, request, _) = request(&format!("-o -G -S 1 {thirty_two} dev"));
    assert!(matches!(request, Request::Register(register) if register.transport_ids.len() == 32));
}

#[test]
fn reservations_and_their_end() {
    let reservation_type = ReservationType(8);
    let reserve = Request::Reserve(Reserve {
        key: KEY,
        reservation_type,
    });
    check("-o -R -K 123abc -T 8 dev", &reserve);
    check(
        "--out --reserve --param-rk=0x123abc --prout-type=0x8 dev",
        &reserve,
    );
    check("-oRK123abc -T8 dev", &reserve);
    let reservation_type = ReservationType(0xa);
    check(
        "-o -L -K 123abc -T a dev",
        &Request::Release(Release {
            key: KEY,
            reservation_type,
        }),
    );
    check("-o -C -K 123abc dev", &Request::Clear(Clear { key: KEY }));
    check(
        "-o -P -K 123abc -S b2 -T 5 dev",
        &preempt(5, VictimCommands::Finish),
    );
    check(
        "-o -A -K 123abc -S b2 -T 6 dev",
        &preempt(6, VictimCommands::Abort),
    );
    check(
        "--out --preempt-abort --param-rk 123abc --param-sark b2 --prout-type 6 dev",
        &preempt(6, VictimCommands::Abort),
    );
}

#[test]
fn register_and_move() {
    let line = "-o --register-move -K 123abc -S 5 --relative-target-port 1f -Z --param-unreg \
                -X sas,5a01000000000001 dev";
    let expected = Request::RegisterAndMove(RegisterAndMove {
        key: KEY,
        new_key: ReservationKey(5),
        aptpl: true,
        unregister: true,
        relative_target_port: 0x1f,
        transport_id: TransportId::Sas {
            address: 0x5a01_0000_0000_0001,
        },
    });
    check(line, &expected);
}

#[test]
fn the_last_of_a_repeated_option_wins() {
    check(
        "-oC -K 1 -K 123abc dev",
        &Request::Clear(Clear { key: KEY }),
    );
    check(
        "-oC --param-rk=zz -K 123abc dev",
        &Request::Clear(Clear { key: KEY }),
    );
    check("-ik -d other -d dev", &read(InAction::READ_KEYS));
    check("-ik -i -k dev", &read(InAction::READ_KEYS));
    check(
        "-ik -l 16 -l 24 dev",
        &Request::Read(Read {
            action: InAction::READ_KEYS,
            allocation_length: Some(24),
        }),
    );
}

#[test]
fn options_of_how_to_run() {
    let (_, _, options) = request("-o -G -S 1 --timeout 30 --sequential --force dev");
    let expected = RunOptions {
        timeout: Some(Duration::from_secs(30)),
        fan_out: FanOut::Sequential,
        doubt: Doubt::Override,
    };
    assert_eq!(options, expected);
}

/// A missing type is sent as 0, for the device to refuse, and said beforehand.
#[test]
fn a_missing_type_is_a_warning() {
    for (line, expected) in [
        ("-o -R -K 1 dev", 1),
        ("-o -L -K 1 dev", 1),
        ("-o -P -K 1 -S 2 dev", 1),
        ("-o -A -K 1 -S 2 dev", 1),
        ("-o -R -K 1 -T 5 dev", 0),
        ("-o -C -K 1 dev", 0),
        ("-o -G -S 1 dev", 0),
        ("-i -k dev", 0),
    ] {
        let (ran, runner) = run_line(line, []);
        let warning = "Warning: --prout-type probably needs to be given\n".repeat(expected);
        assert_eq!((ran.err, runner.seen.len()), (warning, 1), "{line}");
    }
}
