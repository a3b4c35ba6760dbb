//! `status`, `check` and `explain` on maps with everything that can be wrong with them.
use std::time::{Duration, Instant};

use crate::san::{Ran, San};

/// Alice and bob registered, alice reserved.
fn shared(options: &str) -> San {
    let san = San::new(options);
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san
}

fn with_columns(san: &San, node: &str, words: &str, columns: &str) -> Ran {
    let line = format!("--sandbox san/{node} {words}");
    let output = san.command(&line).env("COLUMNS", columns).output().unwrap();
    Ran::new(&line, &output)
}

/// Everything that the three commands say, each with its exit status.
fn seen(san: &San, node: &str) -> String {
    ["status mpatha", "check mpatha", "explain mpatha"]
        .map(|words| san.on(node, words).to_string())
        .join("\n")
}

/// The codes that `check` finds, the worst first, and its exit status.
fn codes(san: &San, node: &str) -> (Vec<String>, i32) {
    let ran = san.on(node, "check mpatha");
    let code = |line: &str| {
        let (_, code) = line.strip_suffix(']')?.rsplit_once('[')?;
        Some(code.to_owned())
    };
    (ran.out.lines().filter_map(code).collect(), ran.status)
}

#[track_caller]
fn check(san: &San, node: &str, expected: &[&str], status: i32) {
    let (found, ended) = codes(san, node);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!((found.as_slice(), ended), (expected, status));
}

#[test]
fn all_is_well() {
    let san = shared("");
    insta::assert_snapshot!(seen(&san, "alice"));
    insta::assert_snapshot!(san.on("bob", "status mpatha").ok());
}

#[test]
fn nobody_is_registered() {
    let san = San::new("--paths 2");
    insta::assert_snapshot!(seen(&san, "alice"));
}

/// The holder is dead, a path lost its key, and another one has a wrong one.
#[test]
fn much_is_wrong() {
    let san = shared("");
    san.run("sandbox offline san/alice sda").ok();
    san.run("sandbox disk san/alice -o -I -S 0 sdb").ok();
    san.run("sandbox disk san/alice -o -I -S c3 sdc").ok();
    insta::assert_snapshot!(seen(&san, "alice"));
    for columns in ["60", "80", "100"] {
        let screen = with_columns(&san, "alice", "status mpatha", columns).ok();
        let columns: usize = columns.parse().unwrap();
        for line in screen.lines() {
            assert!(line.chars().count() <= columns, "{line}");
        }
        insta::assert_snapshot!(format!("much_is_wrong_{columns}"), screen);
    }
    let full = with_columns(&san, "alice", "status -v mpatha", "60").ok();
    assert!(full.contains("fcp,10000000c9000101"), "{full}");
}

#[test]
fn sixteen_paths_in_sixty_columns() {
    let san = shared("--paths 16");
    san.run("sandbox hang san/alice sdc").ok();
    san.run("sandbox disk san/alice -o -I -S 0 sdp").ok();
    let screen = with_columns(&san, "alice", "status mpatha", "60").ok();
    insta::assert_snapshot!(screen);
    assert!(screen.lines().all(|line| line.chars().count() <= 60));
}

#[test]
fn many_maps_have_a_line_each() {
    let san = San::new("--luns 16 --paths 2");
    san.on("alice", "-o -G -S a1 mpathb").ok();
    san.on("alice", "-o -R -K a1 -T 7 mpathb").ok();
    san.on("bob", "-o -G -S b2 mpathc").ok();
    san.on("bob", "-o -R -K b2 -T 5 mpathc").ok();
    san.on("alice", "-o -G -S a1 mpathd").ok();
    san.on("bob", "-o -G -S b2 mpathd").ok();
    san.on("bob", "-o -P -K b2 -S a1 -T 6 mpathd").ok();
    san.on("alice", "-o -G -S a1 mpathe").ok();
    san.run("sandbox disk san/alice -o -I -S 0 sdi").ok();
    insta::assert_snapshot!(san.on("alice", "status").ok());
    insta::assert_snapshot!(san.on("alice", "check").to_string());
    let full = san.on("alice", "status --verbose").ok();
    assert_eq!(full.matches("\n  key ").count(), 16, "{full}");
}

#[test]
fn a_node_that_was_shut_out() {
    let san = shared("--paths 2");
    san.on("bob", "-o -P -K b2 -S a1 -T 5 mpatha").ok();
    insta::assert_snapshot!(seen(&san, "alice"));
    check(&san, "bob", &[], 0);
}

#[test]
fn a_node_that_takes_no_part() {
    let san = San::new("--paths 2");
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("bob", "-o -R -K b2 -T 5 mpatha").ok();
    check(&san, "alice", &["shut-out"], 0);
}

#[test]
fn keys_that_were_left_behind() {
    let san = shared("--paths 3");
    san.run("sandbox gone san/alice sda").ok();
    check(&san, "alice", &["leaked-key", "holder-on-lost-path"], 0);
    insta::assert_snapshot!(san.on("alice", "status mpatha").ok());
    san.run("sandbox disk san/alice -o -I -S 0 sdb").ok();
    let san = shared("--paths 3");
    san.run("sandbox disk san/alice -o -I -S 0dd sdc").ok();
    san.run("sandbox gone san/alice sdc").ok();
    check(&san, "alice", &["leaked-key"], 1);
    let lines = san.on("alice", "check mpatha").out;
    assert!(
        lines.contains("the older key 0xdd: run 'mpathpersist repair"),
        "{lines}"
    );
}

#[test]
fn a_path_that_should_have_no_key() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("alice", "-o -G -K a1 mpatha").ok();
    san.run("sandbox disk san/alice -o -I -S a1 sda").ok();
    check(&san, "alice", &["path-with-key"], 1);
}

#[test]
fn two_nodes_with_one_key() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S a1 mpatha").ok();
    check(&san, "alice", &["shared-key"], 1);
}

#[test]
fn configuration_and_registration_differ() {
    let san = shared("--paths 2");
    let config = san.at("san/alice/multipath.conf");
    std::fs::write(&config, "defaults {\n reservation_key 0xa9\n}\n").unwrap();
    check(&san, "alice", &["key-changed"], 1);
    std::fs::write(&config, "defaults {\n reservation_kye 0xa1\n}\n").unwrap();
    std::fs::remove_file(san.at("san/alice/prkeys")).unwrap();
    check(&san, "alice", &["key-not-configured", "config-problem"], 1);
    insta::assert_snapshot!(seen(&san, "alice"));
}

#[test]
fn the_record_and_the_device_differ() {
    let san = shared("--paths 2");
    san.run("sandbox disk san/alice -o -L -K a1 -T 5 sda").ok();
    check(&san, "alice", &["remembers-holding"], 1);
    san.on("alice", "-o -L -K a1 -T 5 mpatha").ok();
    san.run("sandbox disk san/alice -o -R -K a1 -T 5 sda").ok();
    check(&san, "alice", &["forgot-holding"], 0);
    let record = san.at("san/alice/run/360060e80000000000000000000000001.json");
    std::fs::write(record, "{ torn").unwrap();
    check(&san, "alice", &["record-unreadable"], 1);
}

#[test]
fn a_reservation_for_one_path() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 1 mpatha").ok();
    check(&san, "alice", &["single-path-type"], 1);
}

#[test]
fn no_path_works() {
    let san = shared("--paths 2");
    san.run("sandbox offline san/alice sda sdb").ok();
    insta::assert_snapshot!(seen(&san, "alice"));
    check(&san, "alice", &["no-usable-path"], 2);
}

/// A path that hangs costs a second; when all do, five, and nothing is known.
#[test]
fn paths_that_hang_cost_a_bounded_wait() {
    let san = shared("--paths 3");
    san.run("sandbox hang san/alice sda").ok();
    let started = Instant::now();
    check(&san, "alice", &["silent-path"], 1);
    san.run("sandbox hang san/alice sdb sdc").ok();
    check(&san, "alice", &["unreachable"], 3);
    assert!(started.elapsed() < Duration::from_secs(12));
}

#[test]
fn arrays_of_other_kinds() {
    let san = shared("--paths 4 --profile per-initiator-port");
    check(&san, "alice", &[], 0);
    let san = shared("--paths 4 --profile no-full-status");
    check(&san, "alice", &["ports-not-named"], 0);
    insta::assert_snapshot!(seen(&san, "alice"));
    san.run("sandbox disk san/alice -o -I -S 0 sdd").ok();
    check(
        &san,
        "alice",
        &["too-few-registrations", "ports-not-named"],
        1,
    );
    let san = San::new("--paths 2 --profile no-pr");
    insta::assert_snapshot!(san.on("alice", "status mpatha").ok());
    check(&san, "alice", &["invalid-operation"], 0);
    let config = "defaults {\n reservation_key 0xa1\n}\n";
    std::fs::write(san.at("san/alice/multipath.conf"), config).unwrap();
    check(&san, "alice", &["invalid-operation"], 1);
}

/// Without that, all paths but one would be told to have lost their key.
#[test]
fn an_array_that_keeps_one_registration_per_port() {
    let sentence = "keeps one registration for all paths of an initiator port";
    for (profile, is_such) in [("per-initiator-port", true), ("strict", false)] {
        let san = San::new(&format!("--paths 4 --profile {profile}"));
        assert_eq!(san.on("alice", "-o -I -S a1 mpatha").status, 0);
        let screen = san.on("alice", "status mpatha").ok();
        assert_eq!(screen.contains(sentence), is_such, "{screen}");
        let json = san.on("alice", "status --json mpatha").ok();
        let member = format!("\"per_initiator_port\":{is_such}");
        assert!(json.contains(&member), "{json}");
    }
}

/// Each command after the first gives it one registration at a time, also when this node has left.
#[test]
fn an_array_that_takes_one_registration_at_a_time() {
    let san = San::new("--paths 4 --profile one-at-a-time");
    let sentence = "takes one registration at a time";
    assert!(!san.on("alice", "status mpatha").ok().contains(sentence));
    let is_busy = |line: &str| {
        let ran = san.on("alice", &format!("-v 4 {line} mpatha"));
        assert_eq!(ran.status, 0, "{ran}");
        ran.err.contains("Status(8)")
    };
    assert!(is_busy("-o -I -S a1"));
    let screen = san.on("alice", "status mpatha").ok();
    assert!(screen.contains(sentence), "{screen}");
    let json = san.on("alice", "status --json mpatha").ok();
    assert!(json.contains("\"sequential_registrations\":true"), "{json}");
    for next in ["-o -I -S a2", "-o -G -K a2", "-o -I -S a3"] {
        assert!(!is_busy(next), "{next}");
    }
    // The other node does not know yet.
    let screen = san.on("bob", "status mpatha").ok();
    assert!(!screen.contains(sentence), "{screen}");
}

#[test]
fn a_command_that_was_cut_off() {
    let san = shared("--paths 2");
    let journal = "{\"version\":1,\"operation\":\"register\",\"request\":\"REGISTER mpatha\",\
                   \"pid\":999999999}";
    let path = san.at("san/alice/run/360060e80000000000000000000000001.journal");
    std::fs::write(path, journal).unwrap();
    check(&san, "alice", &["command-cut-off"], 1);
}

#[test]
fn objects_for_programs() {
    let san = shared("--paths 2");
    san.run("sandbox offline san/alice sda").ok();
    san.run("sandbox disk san/alice -o -I -S 0 sdb").ok();
    let pretty = |text: String| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    insta::assert_snapshot!("json_status", pretty(san.on("alice", "status --json").ok()));
    let checked = san.on("alice", "check --json");
    assert_eq!(checked.status, 2);
    insta::assert_snapshot!("json_check", pretty(checked.out));
    let code = san.run("explain --json path-without-key").ok();
    insta::assert_snapshot!("json_explain", pretty(code));
    let map: serde_json::Value =
        serde_json::from_str(&san.on("alice", "explain --json mpatha").ok()).unwrap();
    let status = san.on("alice", "status --json mpatha").ok();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    for (name, value) in status["maps"][0].as_object().unwrap() {
        assert_eq!(map[name], *value, "explain has what status has");
    }
    let reasons = serde_json::json!({
        "explained": map["explained"],
        "evidence": map["evidence"],
    });
    insta::assert_snapshot!("json_explain_map", pretty(reasons.to_string()));
}

/// Each piece of evidence, where it tells something else: ports that are not named, a key that
/// another node has as well, a node that does not remember anything.
#[test]
fn evidence_for_programs() {
    let says = |san: &San| -> String {
        let text = san.on("alice", "explain --json mpatha").ok();
        let map: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pieces = map["evidence"].as_array().unwrap().clone();
        let word = |piece: serde_json::Value| format!("{}={}", piece["kind"], piece["says"]);
        let words = pieces.into_iter().map(word).collect::<Vec<_>>();
        words.join(" ").replace('"', "")
    };
    let held = shared("--paths 2");
    assert_eq!(
        says(&held),
        "port=this-node register=unclear count=unclear memory=this-node conclusion=this-node"
    );
    held.on("bob", "-o -P -K b2 -S a1 -T 5 mpatha").ok();
    assert_eq!(
        says(&held),
        "port=other-node register=unclear count=unclear memory=this-node conclusion=other-node"
    );
    let counted = shared("--paths 2 --profile no-full-status");
    counted.on("bob", "-o -I -S a1 mpatha").ok();
    assert_eq!(
        says(&counted),
        "port=unclear register=unclear count=other-node memory=this-node conclusion=unclear"
    );
    let new = San::new("--paths 2");
    assert_eq!(
        says(&new),
        "port=unclear register=unclear count=unclear memory=unclear conclusion=unclear"
    );
}

#[test]
fn what_cannot_be_looked_at() {
    let san = San::new("--paths 2");
    let ran = san.on("alice", "status mpathx");
    assert_eq!(ran.status, 12, "{ran}");
    let ran = san.on("alice", "check mpathx mpatha");
    assert_eq!(ran.status, 3, "{ran}");
    assert!(ran.out.starts_with("UNKNOWN: 2 maps"), "{ran}");
    let failures = san.on("alice", "status --json mpathx");
    assert!(failures.out.contains("device-not-found"), "{failures}");
    assert_eq!(san.on("alice", "check --nonsense").status, 3);
    assert_eq!(san.on("alice", "status --nonsense").status, 1);
    assert_eq!(san.run("--sandbox nowhere/alice check").status, 3);
}

#[test]
fn names_are_explained() {
    let san = San::new("--paths 1");
    insta::assert_snapshot!(san.run("explain [path-without-key]").ok());
    let all = san.run("explain").ok();
    assert!(all.contains("preempted"), "{all}");
    let unknown = san.on("alice", "explain nosuch");
    assert_eq!(unknown.status, 12, "{unknown}");
    assert!(unknown.err.contains("lists the codes"), "{unknown}");
}

/// Reading changes nothing: not the array, not the node's files.
#[test]
fn nothing_is_touched() {
    let san = shared("--paths 2");
    let before = std::fs::read(san.at("san/san.json")).unwrap();
    let files = || {
        let run = std::fs::read_dir(san.at("san/alice/run")).unwrap();
        let mut names: Vec<_> = run.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let names = files();
    for words in ["status", "check mpatha", "explain mpatha", "status --json"] {
        san.on("alice", words).ok();
    }
    let san_after = std::fs::read(san.at("san/san.json")).unwrap();
    assert!(before == san_after, "the array has changed");
    assert_eq!(files(), names);
}

#[test]
fn help_is_there() {
    let san = San::new("--paths 1");
    for words in ["status", "check", "explain", "repair"] {
        insta::assert_snapshot!(
            format!("help_{words}"),
            san.run(&format!("{words} --help")).ok()
        );
    }
}
