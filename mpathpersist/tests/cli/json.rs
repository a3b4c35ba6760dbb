//! `--json`: the objects are a promise; a changed snapshot here is a broken consumer.
use crate::fake::{report, run_line, run_words};
use crate::fixtures;
use mpathpersist::cli::{ExitStatus, Failure, Privilege, Report};
use pr_policy::{Outcome, PathId};
use scsi_pr::{
    Capabilities, FullStatusDescriptor, IscsiTransportId, ReadFullStatus, ReadReservation,
    ReservationKey, ReservationType, Scope, Sense, SenseKey, Status, TransportId, TypeMask,
};

/// The one object that a line prints, laid out for reading.
fn object(line: &str, result: Result<Report, Failure>) -> String {
    let (ran, _) = run_line(line, [result]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["exit_status"], ran.status.0);
    serde_json::to_string_pretty(&value).unwrap()
}

fn response(bytes: &[u8]) -> Result<Report, Failure> {
    Ok(report(Outcome::Read(bytes.to_vec())))
}

#[test]
fn keys() {
    let keys = fixtures::bytes("keys-6");
    insta::assert_snapshot!(object("-ik --json /dev/mapper/mpatha", response(&keys)));
}

#[test]
fn keys_cut_short() {
    let keys = fixtures::bytes("keys-6");
    insta::assert_snapshot!(object("-ik -l 16 --json dev", response(&keys[..16])));
}

#[test]
fn reservation() {
    let held = fixtures::bytes("reservation-held");
    insta::assert_snapshot!("held", object("-ir --json dev", response(&held)));
    let none = ReadReservation::new(4, None).encode();
    insta::assert_snapshot!("none", object("-ir --json dev", response(&none)));
    insta::assert_snapshot!("cut", object("-ir --json -l 8 dev", response(&held[..8])));
}

#[test]
fn capabilities() {
    let capabilities = Capabilities {
        crh: true,
        ptpl_c: true,
        tmv: true,
        allow_commands: 5,
        type_mask: TypeMask(0x2801),
        ..Capabilities::default()
    };
    insta::assert_snapshot!(
        "types",
        object("-ic --json dev", response(&capabilities.encode()))
    );
    let silent = Capabilities {
        tmv: false,
        ..capabilities
    };
    insta::assert_snapshot!(
        "no_types",
        object("-ic --json dev", response(&silent.encode()))
    );
}

#[test]
fn full_status() {
    let name = "iqn.2024-01.lab:node1".to_owned();
    let ids = [
        TransportId::FibreChannel {
            n_port_name: 0x2100_0024_ff3d_6108,
        },
        TransportId::Sas {
            address: 0x5a01_0000_0000_0001,
        },
        TransportId::Iscsi(IscsiTransportId::Port {
            name: name.clone(),
            isid: 0x0002_3d00_0001,
        }),
        TransportId::Iscsi(IscsiTransportId::Device { name }),
        TransportId::Srp {
            initiator_port: [0xab; 16],
        },
        TransportId::Sbp { eui64: 1 },
        TransportId::Sop { routing_id: 0x0a00 },
    ];
    let mut descriptors: Vec<FullStatusDescriptor> = (1..)
        .zip(ids)
        .map(|(port, transport_id)| FullStatusDescriptor {
            key: ReservationKey(0x123abc),
            all_tg_pt: false,
            holder: false,
            scope: Scope::LOGICAL_UNIT,
            reservation_type: ReservationType(0),
            relative_target_port: port,
            transport_id,
        })
        .collect();
    descriptors[1].holder = true;
    descriptors[1].reservation_type = ReservationType::EXCLUSIVE_ACCESS;
    descriptors[2].all_tg_pt = true;
    let bytes = ReadFullStatus::new(7, descriptors).encode();
    insta::assert_snapshot!(object("-is --json dev", response(&bytes)));
}

#[test]
fn failures() {
    let sense = Some(Sense::new(SenseKey::ILLEGAL_REQUEST, 0x26, 0x04));
    let outcome = Outcome::Answered {
        path: PathId(1),
        status: Status::CHECK_CONDITION,
        sense,
    };
    let result = Ok(Report {
        path: Some("sdb (8:16)".to_owned()),
        ..report(outcome)
    });
    insta::assert_snapshot!("sense", object("-o -L -K 1 -T 5 --json dev", result));
    let result = Ok(report(Outcome::Conflict));
    insta::assert_snapshot!("conflict", object("-o -I -S 1 --json dev", result));
    let result = Err(Failure::NotFound {
        device: "dev".to_owned(),
        reason: "No such file or directory".to_owned(),
        nearest: None,
    });
    insta::assert_snapshot!("not_found", object("-ik --json dev", result));
    let result = response(&[0, 0, 0, 1]);
    insta::assert_snapshot!("malformed", object("-ik --json dev", result));
}

#[test]
fn failures_still_say_on_stderr_what_they_are() {
    let (ran, _) = run_line("-o -C -K 1 --json dev", [Ok(report(Outcome::Conflict))]);
    assert!(!ran.out.contains("PR out: command failed"), "{}", ran.out);
    assert!(
        ran.err
            .starts_with("mpatha: CLEAR met a RESERVATION CONFLICT: "),
        "{}",
        ran.err
    );
}

#[test]
fn command_lines_that_cannot_run() {
    let (ran, _) = run_line("--json -i dev", []);
    insta::assert_snapshot!("syntax_error", ran.out);
    let (ran, _) = run_line("--json -f /nonexistent", []);
    insta::assert_snapshot!("batch_file", ran.out);
    let (ran, _) = run_words(&["--json", "-ik", "dev"], Privilege::User, []);
    insta::assert_snapshot!("not_root", ran.out);
}

#[test]
fn success_of_pr_out_is_silent() {
    let (ran, _) = run_line("-o -C -K 1 --json dev", []);
    assert_eq!(
        (ran.status, ran.out + &ran.err),
        (ExitStatus::SUCCESS, String::new())
    );
}

/// Every action has its own word, and it is that of the option.
#[test]
fn actions() {
    for option in [
        "register",
        "register-ignore",
        "register-move",
        "reserve",
        "release",
        "clear",
        "preempt",
        "preempt-abort",
    ] {
        let line = format!("-o --{option} -K 1 -S 2 -T 5 -X sas,5a01000000000001 --json dev");
        let object = object(&line, Ok(report(Outcome::NoUsablePath)));
        assert!(
            object.contains(&format!("\"action\": \"{option}\"")),
            "{object}"
        );
    }
    for option in [
        "read-keys",
        "read-reservation",
        "report-capabilities",
        "read-full-status",
    ] {
        let line = format!("-i --{option} --json dev");
        let object = object(&line, Ok(report(Outcome::NoUsablePath)));
        assert!(
            object.contains(&format!("\"action\": \"{option}\"")),
            "{object}"
        );
    }
}
