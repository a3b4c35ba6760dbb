//! Batch files, whole runs: what is sent, what is said, and what the run ends with.
use crate::fake::{FakeRunner, Ran, report, run_line, run_words};
use mpathpersist::cli::{ExitStatus, Failure, Privilege, Report};
use pr_policy::{Outcome, Request};
use std::io::Write;

/// Runs `-f FILE` with this text, and further words in front.
fn run_batch(
    words: &[&str],
    text: &str,
    answers: impl IntoIterator<Item = Result<Report, Failure>>,
) -> (Ran, FakeRunner) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let words: Vec<&str> = words.iter().copied().chain(["-f", path]).collect();
    run_words(&words, Privilege::Root, answers)
}

fn keys() -> Result<Report, Failure> {
    Ok(report(Outcome::Read(vec![0, 0, 0, 0x2c, 0, 0, 0, 0])))
}

fn conflict() -> Result<Report, Failure> {
    Ok(report(Outcome::Conflict))
}

fn done() -> Result<Report, Failure> {
    Ok(report(Outcome::Done))
}

const NONE: &str = "  PR generation=0x2c, \t0 registered reservation key.\n";

#[test]
fn lines_run_in_order_each_with_its_own_device() {
    let text = "-i -k -d one\n\n# comment\nmpathpersist -o -G -S 0x77 two # rest\n  -ik three";
    let (ran, runner) = run_batch(&[], text, [keys(), done(), keys()]);
    let expected = Ran {
        status: ExitStatus::SUCCESS,
        out: NONE.repeat(2),
        err: String::new(),
    };
    assert_eq!(ran, expected);
    let devices: Vec<&str> = runner
        .seen
        .iter()
        .map(|(device, ..)| device.as_str())
        .collect();
    assert_eq!(devices, ["one", "two", "three"]);
    assert!(matches!(runner.seen[1].1, Request::Register(_)));
}

#[test]
fn a_failing_line_does_not_stop_the_rest_and_the_first_failure_counts() {
    let text = "-ik a\n-o -R -K 1 -T 5 a\n-ik b\n-ik c\n";
    let failure = Err(Failure::NotBlockDevice {
        device: "b".to_owned(),
    });
    let (ran, runner) = run_batch(&[], text, [keys(), conflict(), failure, keys()]);
    assert_eq!(ran.status, ExitStatus::RESERVATION_CONFLICT);
    assert_eq!(runner.seen.len(), 4);
    let out = format!(
        "{NONE}persistent reserve out: scsi status: Reservation Conflict\nPR out: command \
         failed\n{NONE}"
    );
    assert_eq!(ran.out, out);
    assert!(
        ran.err.contains("line 2 in batch file: exit status 11\n"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("line 3 in batch file: exit status 12\n"),
        "{}",
        ran.err
    );
}

#[test]
fn wrong_lines_are_named_by_number() {
    let text = "-f /tmp/x -i -k -d dev\nmpathpersist -i -k dev # ok\n-i -k\n-v bad -ik dev\n\
                -i \"-k\" -d dev\n-oG -S zz dev\n";
    let (ran, runner) = run_batch(&[], text, [keys(), keys()]);
    assert_eq!(
        (ran.status, runner.seen.len()),
        (ExitStatus::SYNTAX_ERROR, 2)
    );
    let expected = "ERROR: -f option not allowed in batch file
syntax error on line 1 in batch file
No device name given 
syntax error on line 3 in batch file
Unexpected extra argument: \"-k\"
syntax error on line 5 in batch file
bad argument to '--param-sark'
  expected 1 to 16 hex digits, with or without 0x
syntax error on line 6 in batch file
";
    assert_eq!((ran.out, ran.err.as_str()), (NONE.repeat(2), expected));
}

#[test]
fn a_command_beside_the_file_runs_first_and_its_device_is_not_inherited() {
    let words = ["-i", "-r", "-d", "first"];
    let (ran, runner) = run_batch(&words, "-ik second\n-ik\n", [conflict(), keys()]);
    assert_eq!(ran.status, ExitStatus::RESERVATION_CONFLICT);
    let devices: Vec<&str> = runner
        .seen
        .iter()
        .map(|(device, ..)| device.as_str())
        .collect();
    assert_eq!(devices, ["first", "second"]);
    assert!(
        ran.err
            .contains("No device name given \nsyntax error on line 2 in batch file\n")
    );
}

#[test]
fn a_device_alone_beside_the_file_is_no_command() {
    let (ran, runner) = run_batch(&["-d", "first"], "-ik second\n", [keys()]);
    assert_eq!((ran.status, runner.seen.len()), (ExitStatus::SUCCESS, 1));
}

#[test]
fn a_wrong_command_beside_the_file_stops_everything() {
    let (ran, runner) = run_batch(&["-i"], "-ik second\n", [keys()]);
    assert_eq!(
        (ran.status, runner.seen.len()),
        (ExitStatus::SYNTAX_ERROR, 0)
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let (ran, _) = run_line("-f /nonexistent", []);
    let expected = "unable to open /nonexistent: No such file or directory\n\
                    check the name behind --batch-file [batch-file]\n";
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (ExitStatus::SYNTAX_ERROR, expected)
    );
    let (ran, _) = run_line("-f /dev/zero", []);
    assert_eq!(
        ran.err.lines().next(),
        Some("/dev/zero: a batch file has at most 1048576 bytes")
    );
    assert_eq!(ran.status, ExitStatus::SYNTAX_ERROR);
}

#[test]
fn twenty_lines() {
    let text = "-o -I -S 1 -d dev\n".repeat(20);
    let (ran, runner) = run_batch(&[], &text, std::iter::repeat_with(done).take(20));
    assert_eq!((ran.status, runner.seen.len()), (ExitStatus::SUCCESS, 20));
}

#[test]
fn json_of_the_command_line_counts_for_every_line() {
    let (ran, _) = run_batch(&["--json"], "-ik dev\n-i\n", [keys()]);
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{}", ran.out);
    assert_eq!(lines[0]["exit_status"], 0);
    assert_eq!(lines[1]["failure"]["kind"], "syntax-error");
    let (ran, _) = run_batch(&[], "-ik dev --json\n-ik dev\n", [keys(), keys()]);
    assert!(
        ran.out.starts_with('{') && ran.out.ends_with(NONE),
        "{}",
        ran.out
    );
}
