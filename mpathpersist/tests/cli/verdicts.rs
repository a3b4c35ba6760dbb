//! Every way a request can end: exit status, stdout and stderr.
use crate::fake::{report, run_line};
use mpathpersist::cli::{ExitStatus, Failure, Report};
use pr_policy::{Outcome, PathId};
use scsi_pr::{ReservationKey, ReservationType, Sense, SenseKey, Status};

const IN: &str = "-i -k dev";
const OUT: &str = "-o -R -K 1 -T 5 dev";
const FAILED: &str = "PR out: command failed\n";
const CONFLICT: &str =
    "persistent reserve out: scsi status: Reservation Conflict\nPR out: command failed\n";
const ATTENTION: &str =
    "persistent reserve out: scsi status: Unit Attention\nPR out: command failed\n";

fn path() -> PathId {
    PathId(1)
}

fn at_path(outcome: Outcome) -> Report {
    Report {
        path: Some("sdb (8:16)".to_owned()),
        ..report(outcome)
    }
}

fn sense(key: SenseKey, asc: u8, ascq: u8) -> Outcome {
    let sense = Some(Sense::new(key, asc, ascq));
    Outcome::Answered {
        path: path(),
        status: Status::CHECK_CONDITION,
        sense,
    }
}

fn status(status: Status) -> Outcome {
    Outcome::Answered {
        path: path(),
        status,
        sense: None,
    }
}

/// Runs both directions with this result.
fn check(result: &Result<Report, Failure>, status: u8, stdout: &str) {
    let (ran, _) = run_line(OUT, [result.clone()]);
    assert_eq!(
        (ran.status.0, ran.out.as_str()),
        (status, stdout),
        "{result:?}"
    );
    let sentence = ran.err;
    let is_refused_key = matches!(
        result,
        Err(Failure::KeyMismatch { .. } | Failure::NoKey { .. })
    );
    let lines = if is_refused_key { 2 } else { 1 };
    assert_eq!(sentence.lines().count(), lines, "{sentence}");
    assert!(sentence.ends_with("]\n"), "{sentence}");
    let (ran, _) = run_line(IN, [result.clone()]);
    assert_eq!((ran.status.0, ran.out.as_str()), (status, ""), "{result:?}");
    let announced = ran
        .err
        .starts_with("Persistent Reserve IN command failed\n");
    assert_eq!(announced, !stdout.is_empty(), "{}", ran.err);
    assert!(
        ran.err.lines().last().unwrap().contains(": "),
        "{}",
        ran.err
    );
}

#[test]
fn outcomes() {
    let holder = Outcome::HolderUnreachable {
        key: ReservationKey(0x123abc),
        reservation_type: ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
    };
    for (outcome, exit, stdout) in [
        (sense(SenseKey::NOT_READY, 0x04, 0x0b), 2, FAILED),
        (sense(SenseKey::MEDIUM_ERROR, 0x11, 0), 3, FAILED),
        (sense(SenseKey::HARDWARE_ERROR, 0x44, 0), 4, FAILED),
        (sense(SenseKey::ILLEGAL_REQUEST, 0x24, 0), 5, FAILED),
        (sense(SenseKey::ILLEGAL_REQUEST, 0x26, 0x04), 5, FAILED),
        (sense(SenseKey::ILLEGAL_REQUEST, 0x55, 0x04), 5, FAILED),
        (sense(SenseKey::ILLEGAL_REQUEST, 0x20, 0x01), 5, FAILED),
        (sense(SenseKey::UNIT_ATTENTION, 0x29, 0), 6, ATTENTION),
        (sense(SenseKey::ILLEGAL_REQUEST, 0x20, 0), 7, FAILED),
        (sense(SenseKey::ABORTED_COMMAND, 0x47, 0), 8, FAILED),
        (sense(SenseKey::NO_SENSE, 0, 0), 9, FAILED),
        (status(Status::CHECK_CONDITION), 9, FAILED),
        (Outcome::Malformed { path: path() }, 10, FAILED),
        (Outcome::Conflict, 11, CONFLICT),
        (status(Status::RESERVATION_CONFLICT), 11, CONFLICT),
        (Outcome::NoUsablePath, 13, FAILED),
        (sense(SenseKey::DATA_PROTECT, 0x27, 0), 15, FAILED),
        (status(Status::BUSY), 15, FAILED),
        (status(Status(0x22)), 15, FAILED),
        (Outcome::Unreachable { path: path() }, 15, FAILED),
        (Outcome::Unknown { path: path() }, 15, FAILED),
        (Outcome::Incomplete { path: path() }, 15, FAILED),
        (holder, 15, FAILED),
    ] {
        check(&Ok(at_path(outcome)), exit, stdout);
    }
}

#[test]
fn failures() {
    let map = "mpatha".to_owned();
    let device = "dev".to_owned();
    let reason = "some reason".to_owned();
    for (failure, exit, stdout) in [
        (
            Failure::NotFound {
                device: device.clone(),
                reason: reason.clone(),
                nearest: Some("mpatha".to_owned()),
            },
            12,
            "",
        ),
        (
            Failure::NotBlockDevice {
                device: device.clone(),
            },
            12,
            FAILED,
        ),
        (
            Failure::NotMultipath {
                device: device.clone(),
                reason: reason.clone(),
            },
            13,
            FAILED,
        ),
        (
            Failure::NoPath {
                map: map.clone(),
                reason: reason.clone(),
            },
            13,
            FAILED,
        ),
        (
            Failure::KeyMismatch {
                map: map.clone(),
                configured: ReservationKey(1),
                origin: "/etc/multipath.conf:3 (defaults)".to_owned(),
            },
            1,
            FAILED,
        ),
        (Failure::NoKey { map: map.clone() }, 1, FAILED),
        (
            Failure::Worker {
                map,
                reason: reason.clone(),
            },
            14,
            FAILED,
        ),
        (Failure::Other { device, reason }, 15, FAILED),
    ] {
        check(&Err(failure), exit, stdout);
    }
}

#[test]
fn key_refusals_are_worded_as_ever() {
    let map = "mpatha".to_owned();
    let configured = ReservationKey(0x123abc);
    let (ran, _) = run_line(
        OUT,
        [Err(Failure::KeyMismatch {
            map: map.clone(),
            configured,
            origin: "/etc/multipath.conf:3 (defaults)".to_owned(),
        })],
    );
    assert_eq!(
        ran.err,
        "mpatha: configured reservation key doesn't match: 0x123abc\n\
         mpatha: that key comes from /etc/multipath.conf:3 (defaults): use 0x123abc, or change \
         it there; see 'mpathpersist explain mpatha' [key-mismatch]\n"
    );
    let (ran, _) = run_line(OUT, [Err(Failure::NoKey { map })]);
    assert_eq!(
        ran.err,
        "mpatha: no configured reservation key\n\
         mpatha: register first, which stores the key: 'mpathpersist --out --register \
         --param-sark KEY mpatha'; or set 'reservation_key' in multipath.conf [no-key]\n"
    );
}

#[test]
fn success_of_pr_out_says_nothing() {
    for line in ["-o -G -S 1 dev", "-o -R -K 1 -T 5 dev", "-o -C -K 1 dev"] {
        let (ran, _) = run_line(line, [Ok(report(Outcome::Done))]);
        assert_eq!(
            (ran.status, ran.out + &ran.err),
            (ExitStatus::SUCCESS, String::new())
        );
    }
}

#[test]
fn notes_go_to_stderr() {
    let notes = vec!["mpatha: one".to_owned(), "mpatha: two".to_owned()];
    let (ran, _) = run_line(
        OUT,
        [Ok(Report {
            notes,
            ..report(Outcome::Done)
        })],
    );
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("", "mpatha: one\nmpatha: two\n")
    );
}

/// What happened, to which map, through which path, and what to do next.
#[test]
fn sentences() {
    let conflicts = [
        "-G -S 1", "-I -S 1", "-R -T 5", "-L -T 5", "-C", "-P -T 5", "-A -T 5",
    ];
    let mut sentences: Vec<String> = conflicts
        .iter()
        .map(|line| {
            let line = format!("-o {line} -K 1 dev");
            run_line(&line, [Ok(report(Outcome::Conflict))]).0.err
        })
        .collect();
    for outcome in [
        sense(SenseKey::ILLEGAL_REQUEST, 0x55, 0x04),
        sense(SenseKey::UNIT_ATTENTION, 0x29, 0),
        status(Status::BUSY),
        status(Status::CHECK_CONDITION),
        Outcome::Malformed { path: path() },
        Outcome::NoUsablePath,
        Outcome::Unreachable { path: path() },
        Outcome::Unknown { path: path() },
        Outcome::Incomplete { path: path() },
    ] {
        sentences.push(run_line(OUT, [Ok(at_path(outcome))]).0.err);
    }
    insta::assert_snapshot!(sentences.concat());
}
