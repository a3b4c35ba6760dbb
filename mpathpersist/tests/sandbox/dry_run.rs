//! `--dry-run`: what it says is what happens, and it does nothing.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::san::San;

fn shared(options: &str, held: u8) -> San {
    let san = San::new(options);
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("alice", &format!("-o -R -K a1 -T {held} mpatha"))
        .ok();
    san
}

fn planned(san: &San, node: &str, line: &str) -> Value {
    let ran = san.on(node, &format!("--dry-run --json {line}"));
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

/// Everything that a node has on file.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|kind| kind != "lock") {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn the_plan_of_a_release_whose_holder_is_dead() {
    let san = shared("", 5);
    san.run("sandbox offline san/alice sda").ok();
    let said = san
        .on("alice", "--dry-run -o -L -K a1 -T 5 mpatha")
        .to_string();
    insta::assert_snapshot!(said);
}

#[test]
fn the_plans_of_a_life() {
    let san = San::new("--paths 2");
    let lines = [
        "--dry-run -o -G -S a1 mpatha",
        "-o -G -S a1 mpatha",
        "--dry-run -o -R -K a1 -T 1 mpatha",
        "--dry-run -o -G -K a1 -S 0 mpatha",
        "--dry-run -o -G -K a1 -S a2 --json mpatha",
    ];
    let said = lines.map(|line| san.on("alice", line).to_string());
    insta::assert_snapshot!(said.concat());
}

#[test]
fn plans_that_fail() {
    let san = shared("--paths 2", 5);
    let mut said = String::new();
    for line in [
        "-o -R -K b2 -T 5 mpatha",
        "-o -L -K b1 -T 5 mpatha",
        "-i -k mpatha",
    ] {
        said += &san.on("bob", &format!("--dry-run {line}")).to_string();
    }
    san.run("sandbox offline san/alice sda sdb").ok();
    said += &san.on("alice", "--dry-run -o -C -K a1 mpatha").to_string();
    let no_pr = San::new("--paths 2 --profile no-pr");
    said += &no_pr
        .on("alice", "--dry-run -o -G -S a1 mpatha")
        .to_string();
    said += &san.on("alice", "--dry-run -o -G -S a1 mpathz").to_string();
    let one_path = "sandbox disk san/alice --dry-run -o -G -S a1 sda";
    said += &san.run(one_path).to_string();
    insta::assert_snapshot!(said);
}

#[test]
fn a_path_that_hangs_and_a_command_that_was_cut_off() {
    let san = shared("--paths 2", 5);
    san.run("sandbox hang san/alice sdb").ok();
    let journal = "{\"version\":1,\"operation\":\"RELEASE\",\"request\":\"RELEASE mpatha\",\
                   \"pid\":999999999,\"arguments\":{\"action\":\"release\",\"key\":161,\
                   \"reservation_type\":5}}";
    let path = san.at("san/alice/run/360060e80000000000000000000000001.journal");
    std::fs::write(&path, journal).unwrap();
    let said = san.on("alice", "--dry-run -o -C -K a1 mpatha").to_string();
    insta::assert_snapshot!(said);
    assert_eq!(std::fs::read_to_string(path).unwrap(), journal);
}

/// Alice's commands, and one of bob's, whom she shares the disk with.
const COMMANDS: [(&str, &str); 12] = [
    ("alice", "-o -L -K a1 -T {} mpatha"),
    ("alice", "-o -L -K a1 -T 6 mpatha"),
    ("alice", "-o -R -K a1 -T {} mpatha"),
    ("alice", "-o -G -K a1 -S a3 mpatha"),
    ("alice", "-o -I -S a3 mpatha"),
    ("alice", "-o -G -K a1 -S 0 mpatha"),
    ("alice", "-o -I -S 0 mpatha"),
    ("alice", "-o -C -K a1 mpatha"),
    ("alice", "-o -P -K a1 -S a1 -T {} mpatha"),
    ("alice", "-o -A -K a1 -S b2 -T {} mpatha"),
    ("bob", "-o -P -K b2 -S a1 -T {} mpatha"),
    ("bob", "-o -R -K b2 -T {} mpatha"),
];

/// The plan is made from what was read, the command runs on the array: they may not differ in exit
/// status, reservation or registrations.
#[track_caller]
fn check(options: &str, held: u8, faults: &[&str]) {
    for (node, command) in COMMANDS {
        let san = shared(options, held);
        for fault in faults {
            san.run(&format!("sandbox {fault}")).ok();
        }
        let command = command.replace("{}", &held.to_string());
        let (table, alice, bob) = (san.table(), files(&san.at("san/alice")), san.at("san/bob"));
        let bob_before = files(&bob);
        let plan = planned(&san, node, &command);
        let told = format!("{options} {faults:?}: {node}: {command}\n{plan:#}");
        assert_eq!(san.table(), table, "{told}");
        assert_eq!(files(&san.at("san/alice")), alice, "{told}");
        assert_eq!(files(&bob), bob_before, "{told}");
        let ran = san.on(node, &command);
        assert_eq!(plan["exit_status"], ran.status, "{ran}{told}");
        // The next plan begins with what is read after the command.
        let unregister = "-o -I -S 0 mpatha";
        let now = &planned(&san, node, unregister)["dry_run"]["before"];
        let then = &plan["dry_run"]["after"];
        assert_eq!(then, now, "{ran}{told}\n{}", san.table());
    }
}

#[test]
fn what_the_plan_says_is_what_happens() {
    check("--paths 3", 5, &[]);
    check("--paths 3", 7, &[]);
}

#[test]
fn what_the_plan_says_is_what_happens_when_the_holder_is_dead() {
    check("--paths 3", 5, &["offline san/alice sda"]);
    check(
        "--paths 3",
        6,
        &["gone san/alice sda", "offline san/alice sdb"],
    );
    check("--paths 3", 8, &["offline san/alice sda"]);
}

#[test]
fn what_the_plan_says_is_what_happens_on_arrays_with_ways_of_their_own() {
    check("--paths 4 --profile per-initiator-port", 5, &[]);
    check("--paths 3 --profile no-full-status", 5, &[]);
}
