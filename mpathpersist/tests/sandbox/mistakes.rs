//! Mistakes that people make: the message alone has to lead to the fix, and its name to more.
use std::ffi::OsString;

use mpathpersist::Paint;
use mpathpersist::cli::Privilege;
use mpathpersist::overview::{self, Terminal};

use crate::san::{Ran, San};

/// Says what was said, and follows the name in brackets.
#[track_caller]
fn followed(san: &San, ran: &Ran, code: &str) -> String {
    let text = ran.to_string();
    assert_ne!(ran.status, 0, "{text}");
    assert!(text.contains(&format!("[{code}]")), "{text}");
    let more = san.run(&format!("explain {code}")).ok();
    assert!(more.starts_with(code), "{more}");
    text
}

#[test]
fn wrong_keys() {
    let san = San::new("--paths 2");
    let mut said = String::new();
    let never = san.on("alice", "-o -R -K a1 -T 5 mpatha");
    said += &followed(&san, &never, "no-key");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    let mistyped = san.on("alice", "-o -R -K a11 -T 5 mpatha");
    said += &followed(&san, &mistyped, "key-mismatch");
    let other_nodes = san.on("alice", "-o -R -K b2 -T 5 mpatha");
    said += &followed(&san, &other_nodes, "key-mismatch");
    let config = "defaults {\n reservation_key 0xb2\n}\n";
    std::fs::write(san.at("san/alice/multipath.conf"), config).unwrap();
    let configured = san.on("alice", "-o -I -S a1 mpatha");
    said += &followed(&san, &configured, "key-mismatch");
    san.on("alice", "-o -I -S b2 mpatha").ok();
    said += &followed(&san, &san.on("alice", "check mpatha"), "shared-key");
    insta::assert_snapshot!(said);
}

#[test]
fn a_name_that_is_misspelt() {
    let san = San::new("--paths 2 --luns 3");
    let mut said = String::new();
    for words in [
        "-i -k mpathd",
        "-o -C -K 1 /dev/mapper/mptahb",
        "status mpath-c",
    ] {
        said += &followed(&san, &san.on("alice", words), "device-not-found");
    }
    said += &followed(&san, &san.on("alice", "-i -k root"), "device-not-found");
    insta::assert_snapshot!(said);
}

#[test]
fn paths_that_are_gone() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.run("sandbox offline san/alice sda sdb").ok();
    let mut said = followed(
        &san,
        &san.on("alice", "-o -R -K a1 -T 5 mpatha"),
        "no-usable-path",
    );
    san.run("sandbox gone san/alice sda sdb").ok();
    said += &followed(&san, &san.on("alice", "check"), "no-usable-path");
    insta::assert_snapshot!(said);
}

#[test]
fn an_array_without_persistent_reservations() {
    let san = San::new("--paths 2 --profile no-pr");
    let ran = san.on("alice", "-o -G -S a1 mpatha");
    insta::assert_snapshot!(followed(&san, &ran, "invalid-operation"));
}

#[test]
fn a_journal_that_was_left_over() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    let journal = "{\"version\":1,\"operation\":\"CLEAR\",\"request\":\"CLEAR mpatha\",\
                   \"pid\":999999999}";
    let path = san.at("san/alice/run/360060e80000000000000000000000001.journal");
    std::fs::write(path, journal).unwrap();
    let ran = san.on("alice", "check mpatha");
    insta::assert_snapshot!(followed(&san, &ran, "command-cut-off"));
    san.on("alice", "repair --yes mpatha").ok();
    san.on("alice", "check mpatha").ok();
}

#[test]
fn not_root() {
    let terminal = Terminal {
        paint: Paint::Plain,
        columns: None,
    };
    for (verb, expected) in [("status", 1), ("check", 3), ("repair mpatha", 1)] {
        let words = std::iter::once("mpathpersist").chain(verb.split(' '));
        let args: Vec<OsString> = words.map(OsString::from).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = overview::run(&args, terminal, Privilege::User, &mut out, &mut err);
        assert_eq!((status.0, out.len()), (expected, 0));
        let said = String::from_utf8(err).unwrap();
        assert_eq!(said, "need to be root: run it with sudo [not-root]\n");
    }
}
