//! A sandbox that is damaged says which file it is, and what to do.
use std::fs;

use crate::san::San;

/// What a command says once the state has been changed like this.
fn said(change: impl FnOnce(&str) -> String) -> String {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    let path = san.at("san/san.json");
    let state = fs::read_to_string(&path).unwrap();
    let changed = change(&state);
    assert_ne!(changed, state, "nothing was changed");
    fs::write(&path, &changed).unwrap();
    let err = san.on("alice", "-i -k mpatha").failed(15);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        changed,
        "it was touched"
    );
    let shown = san.run("sandbox show san").failed(1);
    let (first, sentence) = err.split_once('\n').unwrap();
    assert_eq!(first, "Persistent Reserve IN command failed");
    assert_eq!(sentence, format!("mpatha: {} [other]\n", shown.trim_end()));
    shown
}

fn check(change: impl FnOnce(&str) -> String, reason: &str) {
    let expected = format!(
        "san/san.json: not the state of a sandbox ({reason}): put the file back as it was, or \
         remove its folder and make a new sandbox\n"
    );
    assert_eq!(said(change), expected);
}

#[test]
fn what_is_wrong_is_named() {
    check(
        |_| String::new(),
        "EOF while parsing a value at line 1 column 0",
    );
    check(
        |state| state.replace("\"version\": 1", "\"version\": 2"),
        "it has version 2, this program knows 1",
    );
    let cut = said(|state| state[..state.len() / 2].to_owned());
    assert!(
        cut.starts_with("san/san.json: not the state of a sandbox (EOF while"),
        "{cut}"
    );
    for (from, to, reason) in [
        ("\"strict\"", "\"odd\"", "there is no profile 'odd'"),
        ("\"0xa1\"", "\"0xgg\"", "key '0xgg'"),
        (
            "\"0xa1\"",
            "\"0x0\"",
            "registration 0 has no nexus or no key",
        ),
        (
            "\"nexus\": 1",
            "\"nexus\": 99",
            "registration 1 has no nexus or no key",
        ),
        (
            "\"holder\": true",
            "\"holder\": false",
            "reservation and holder do not go together",
        ),
        ("\"fcp,1", "\"tcp,1", "'tcp,1"),
        (
            "\"lun\": 0",
            "\"lun\": 7",
            "path sda leads to no logical unit",
        ),
        ("\"up\"", "\"down\"", "unknown variant `down`"),
        ("\"nodes\"", "\"hosts\"", "unknown field `hosts`"),
    ] {
        let said = said(|state| state.replacen(from, to, 1));
        assert!(said.contains(reason), "{reason}: {said}");
        assert!(said.starts_with("san/san.json: "), "{said}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let san = San::new("--nodes alice --paths 1");
    let path = san.at("san/san.json");
    let state = fs::read(&path).unwrap();
    // The last byte is the line's end.
    for length in (0..state.len() - 1).step_by(97) {
        fs::write(&path, &state[..length]).unwrap();
        let err = san.on("alice", "-o -G -S a1 mpatha").failed(15);
        assert!(
            err.contains("san/san.json: not the state of a sandbox"),
            "{err}"
        );
    }
}

#[test]
fn a_file_that_is_missing_is_told() {
    let san = San::new("");
    fs::remove_file(san.at("san/san.json")).unwrap();
    let err = san.on("alice", "-i -k mpatha").failed(15);
    assert_eq!(
        err.lines().last(),
        Some(
            "mpatha: san/alice: there is no sandbox here: make one with 'mpathpersist sandbox \
             init san/alice' [other]"
        )
    );
    let err = san.run("sandbox init san").failed(1);
    assert!(err.contains("there is something here already"), "{err}");
}
