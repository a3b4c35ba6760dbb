//! Long options may be cut to an unambiguous prefix, as getopt_long allows.
//!
//! The options that only this program has must not take a prefix away that used to be
//! unambiguous: scripts with `--rel` or `--t` exist.
use crate::fake::run_line;
use mpathpersist::cli::ExitStatus;

/// The long options of the contract, and whether they take a value.
const CONTRACT: [(&str, bool); 26] = [
    ("in", false),
    ("out", false),
    ("device", true),
    ("read-keys", false),
    ("read-reservation", false),
    ("report-capabilities", false),
    ("read-full-status", false),
    ("register", false),
    ("register-ignore", false),
    ("reserve", false),
    ("release", false),
    ("clear", false),
    ("preempt", false),
    ("preempt-abort", false),
    ("param-rk", true),
    ("param-sark", true),
    ("prout-type", true),
    ("param-aptpl", false),
    ("param-alltgpt", false),
    ("transport-id", true),
    ("alloc-length", true),
    ("hex", false),
    ("verbose", true),
    ("batch-file", true),
    ("help", false),
    // Not an option of its own: stands for "no such option" below.
    ("nonsense", false),
];

/// What getopt_long makes of a prefix, given only the options of the contract.
fn resolve(prefix: &str) -> Option<&'static str> {
    let known = CONTRACT
        .iter()
        .map(|(long, _)| *long)
        .filter(|long| *long != "nonsense");
    let matching: Vec<&str> = known.filter(|long| long.starts_with(prefix)).collect();
    match matching.as_slice() {
        [one] => Some(one),
        several => several.iter().copied().find(|long| *long == prefix),
    }
}

/// The answer to a line in which the long option is spelled in this way.
fn outcome(spelled: &str, long: &str) -> String {
    let value = match long {
        "device" => "=dev",
        "transport-id" => "=sas,5a01000000000001",
        "alloc-length" => "=16",
        "verbose" => "=3",
        "batch-file" => "=/dev/null",
        _ if CONTRACT.contains(&(long, true)) => "=5",
        _ => "",
    };
    let option = format!("--{spelled}{value}");
    let line = match long {
        "in" => format!("{option} -k dev"),
        "out" => format!("{option} -C dev"),
        "device" => format!("-ik {option}"),
        "batch-file" | "help" => option,
        "hex" | "verbose" | "alloc-length" => format!("-ik dev {option}"),
        _ if long.starts_with("read-") || long == "report-capabilities" => {
            format!("-i {option} dev")
        }
        _ if long.starts_with("param-") || long == "transport-id" => {
            format!("-oG {option} dev")
        }
        "prout-type" => format!("-oR {option} dev"),
        _ => format!("-o {option} dev"),
    };
    let (ran, runner) = run_line(&line, []);
    assert_eq!(ran.status, ExitStatus::SUCCESS, "{line}: {ran:?}");
    format!("{:?}\n{}{}", runner.seen, ran.out, ran.err)
}

#[test]
fn every_unambiguous_prefix_of_the_contract_works() {
    for (long, _) in CONTRACT.iter().filter(|(long, _)| *long != "nonsense") {
        let whole = outcome(long, long);
        for length in 1..long.len() {
            let prefix = &long[..length];
            if resolve(prefix) == Some(long) {
                assert_eq!(outcome(prefix, long), whole, "--{prefix} is not --{long}");
            }
        }
    }
}

#[test]
fn ambiguous_prefixes_are_refused_with_the_candidates() {
    let (ran, runner) = run_line("--re --in dev", []);
    assert_eq!(
        (ran.status, runner.seen.len()),
        (ExitStatus::SYNTAX_ERROR, 0)
    );
    let first = ran.err.lines().next().unwrap();
    assert!(first.starts_with("mpathpersist: option '--re' is ambiguous; possibilities: "));
    for candidate in [
        "'--read-keys'",
        "'--register-ignore'",
        "'--release'",
        "'--reserve'",
    ] {
        assert!(first.contains(candidate), "{first}");
    }
    for line in [
        "-ik --par 1 dev",
        "-o --pre dev",
        "-i --read dev",
        "-o --regi dev",
        "--h",
    ] {
        let (ran, _) = run_line(line, []);
        assert_eq!(ran.status, ExitStatus::SYNTAX_ERROR, "{line}");
        assert!(ran.err.contains("is ambiguous"), "{line}: {}", ran.err);
    }
}

#[test]
fn options_that_are_ours_alone_have_prefixes_too() {
    for line in [
        "-ik --js dev",
        "-ik --ti 5 dev",
        "-ik --seq dev",
        "-ik --fo dev",
    ] {
        assert_eq!(run_line(line, []).0.status, ExitStatus::SUCCESS, "{line}");
    }
}
