//! Command lines that are wrong: what is said, with exit status 1 and nothing sent.
use crate::fake::{Ran, run_line, run_words};
use mpathpersist::cli::{ExitStatus, Privilege, Verbosity, verbosity};
use std::ffi::OsString;

const HINT: &str = "Usage: mpathpersist [OPTIONS] [DEVICE]
Try 'mpathpersist --help' for the options. [syntax-error]
";

fn check(line: &str, expected: &str) {
    let (ran, runner) = run_line(line, []);
    assert_eq!(ran.err, format!("{expected}\n{HINT}"), "{line}");
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (ExitStatus::SYNTAX_ERROR, ""),
        "{line}"
    );
    assert!(runner.seen.is_empty(), "{line}");
}

/// The first lines are those of multipath-tools 0.14.3.
#[test]
fn directions_actions_and_device() {
    let out = " For Persistent Reserve Out only one appropriate\n service action must be chosen ";
    let swapped = " When a service action for Persistent Reserve Out is chosen the\n \
                   '--out' option must be given ";
    let direction = "choose either '--in' or '--out' ";
    let many = " Too many service actions given; choose one only";
    for (line, expected) in [
        ("", "No parameter used"),
        (
            "-i -d dev",
            " No service action given for Persistent Reserve IN",
        ),
        ("-o -d dev", out),
        ("-i -o -k -d dev", direction),
        ("-k -d dev", direction),
        ("-d dev", direction),
        ("-v3", direction),
        ("-i -k -r -d dev", many),
        ("-ikrsc dev", many),
        ("-i -R -d dev", swapped),
        ("-i -k -R -d dev", swapped),
        ("-o -G -I -S 1 -d dev", out),
        ("-o -k -d dev", out),
        ("-o -G -k -d dev", out),
        ("-i -k", "No device name given "),
        ("-o -C -K 1", "No device name given "),
        ("-i -k dev other", "Unexpected extra argument: other"),
        ("-i -k -d dev other", "Unexpected extra argument: other"),
        ("-i -k dev -- -x", "Unexpected extra argument: -x"),
    ] {
        check(line, expected);
    }
}

#[test]
fn options_that_do_not_parse() {
    for (line, expected) in [
        (
            "-i -k -d dev --nonsense",
            "mpathpersist: unrecognized option '--nonsense'",
        ),
        ("-iq dev", "mpathpersist: invalid option '-q'"),
        (
            "-i -k -d",
            "mpathpersist: option '--device <DEVICE>' requires an argument",
        ),
        (
            "-o -C -K",
            "mpathpersist: option '--param-rk <RK>' requires an argument",
        ),
        (
            "--in=1 -k dev",
            "mpathpersist: option '--in' doesn't allow an argument",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn values_that_are_none() {
    let key = "1 to 16 hex digits, with or without 0x";
    let seconds = "seconds, a decimal number from 1 to 86400";
    let length = "a decimal number from 0 to 8192";
    let number = "one hex digit: 1, 3, 5, 6, 7 or 8";
    let id = "fcp,<16 hex>, sas,<16 hex>, iqn.… or iqn.…,i,0x<isid>, at most 32 times";
    for (line, option, expected) in [
        ("-o -G -S zz dev", "--param-sark", key),
        ("-o -G -S 0x dev", "--param-sark", key),
        ("-o -G --param-sark= dev", "--param-sark", key),
        ("-o -G -S -1 dev", "--param-sark", key),
        ("-o -G -S +1 dev", "--param-sark", key),
        ("-o -G -K zz -S 1 dev", "--param-rk", key),
        ("-o -R -K 1 -T zz dev", "--prout-type", number),
        ("-o -R -K 1 -T 10 dev", "--prout-type", number),
        ("-o -R -K 1 -T +5 dev", "--prout-type", number),
        ("-o -R -K 1 --prout-type= dev", "--prout-type", number),
        ("-i -k -l zz dev", "--alloc-length", length),
        ("-i -k -l 8193 dev", "--alloc-length", length),
        ("-i -k -l 99999 dev", "--alloc-length", length),
        ("-i -k -l -1 dev", "--alloc-length", length),
        ("-i -k -l 0x10 dev", "--alloc-length", length),
        ("-i -k -v zz dev", "--verbose", "a number from 0 to 4"),
        ("-i -k --timeout 0 dev", "--timeout", seconds),
        ("-i -k --timeout 5s dev", "--timeout", seconds),
        ("-i -k --timeout 86401 dev", "--timeout", seconds),
        ("-o -G -S 1 -X bogus dev", "--transport-id", id),
        ("-o -G -S 1 -X sas,12 dev", "--transport-id", id),
        (
            "-o --register-move -K 1 -X sas,5a01000000000001 --relative-target-port 10000 dev",
            "--relative-target-port",
            "up to 4 hex digits",
        ),
    ] {
        check(
            line,
            &format!("bad argument to '{option}'\n  expected {expected}"),
        );
    }
    let thirty_three = "-X iqn.2024-01.lab:n ".repeat(33);
    let message = format!("bad argument to '--transport-id'\n  expected {id}");
    check(&format!("-o -G -S 1 {thirty_three} dev"), &message);
}

/// multipath-tools 0.14.3 registered the last 16 digits of this and exited 0.
#[test]
fn a_key_of_more_than_eight_bytes_is_not_cut_down() {
    check(
        "-o -I -S 0x11223344556677889 dev",
        "bad argument to '--param-sark'\n  expected 1 to 16 hex digits, with or without 0x",
    );
}

#[test]
fn a_move_needs_one_target() {
    let expected = "'--register-move' needs exactly one '--transport-id'";
    check("-o --register-move -K 1 -S 2 dev", expected);
    let two = "-X sas,5a01000000000001 -X sas,5a01000000000002";
    check(&format!("-o --register-move -K 1 -S 2 {two} dev"), expected);
}

#[test]
fn others_than_root_get_help_and_usage_errors_only() {
    let (ran, runner) = run_words(&["-i", "-k", "dev"], Privilege::User, []);
    let expected = Ran {
        status: ExitStatus::SYNTAX_ERROR,
        out: String::new(),
        err: "need to be root\nrun it as root, for example with sudo [not-root]\n".to_owned(),
    };
    assert_eq!((ran, runner.seen.len()), (expected, 0));
    let (ran, _) = run_words(&["-h"], Privilege::User, []);
    assert_eq!(ran.status, ExitStatus::SUCCESS);
    let (ran, _) = run_words(&["-i", "dev"], Privilege::User, []);
    assert!(
        ran.err.starts_with(" No service action given"),
        "{}",
        ran.err
    );
    let (ran, runner) = run_words(&["-f", "/dev/null"], Privilege::User, []);
    assert_eq!(
        (ran.status, runner.seen.len()),
        (ExitStatus::SYNTAX_ERROR, 0)
    );
}

#[test]
fn help() {
    let (ran, _) = run_line("-h", []);
    assert_eq!((ran.status, ran.err.as_str()), (ExitStatus::SUCCESS, ""));
    for line in [
        "--help",
        "-ih",
        "-i -k -R --help dev",
        "--he",
        "-i -k -S zz --help",
    ] {
        let (other, runner) = run_line(line, []);
        if line != "--he" {
            assert_eq!((&other, runner.seen.len()), (&ran, 0), "{line}");
        }
    }
    insta::assert_snapshot!(ran.out);
}

#[test]
fn log_levels() {
    for (line, expected) in [
        ("-ik dev", Verbosity::Warning),
        ("-v0 -ik dev", Verbosity::Critical),
        ("-v 1 -ik dev", Verbosity::Error),
        ("--verbose=2 -ik dev", Verbosity::Warning),
        ("-ik dev -v3", Verbosity::Info),
        ("-ik dev --verb 4", Verbosity::Trace),
        ("-ik dev -v 99", Verbosity::Trace),
        ("-ik dev -v zz", Verbosity::Warning),
        ("-ik dev --nonsense -v4", Verbosity::Warning),
    ] {
        let words = std::iter::once("mpathpersist").chain(line.split(' '));
        let words: Vec<OsString> = words.map(OsString::from).collect();
        assert_eq!(verbosity(&words), expected, "{line}");
    }
}
