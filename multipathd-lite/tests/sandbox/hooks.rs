//! Commands of the configuration that are run when something happens.
use std::os::unix::fs::PermissionsExt;

use crate::node::San;

/// A node whose hook for these events says what it was told.
fn with_hook(san: &San, node: &str, events: &str) {
    let program = san.at(node).join("hook");
    let script = "#!/bin/sh\necho \"$MPATH_PR_EVENT $MPATH_PR_MAP $MPATH_PR_WWID $MPATH_PR_PATH \
                  $MPATH_PR_KEY $1\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.display();
    let config = format!("hook {{\n\tcommand \"{program} word\"\n\tevents \"{events}\"\n}}\n");
    std::fs::write(san.at(node).join("mpath-pr.conf"), config).unwrap();
}

#[test]
fn a_hook_is_run_when_this_node_is_shut_out() {
    let san = San::with_reservation("--paths 1");
    with_hook(&san, "bob", "preempted");
    let mut bob = san.daemon("bob");
    bob.until("sda [8:0]: has its key 0xb2");
    san.on("alice", "-o -P -K a1 -S b2 -T 5 mpatha");
    bob.until_all(&[
        "this node was shut out",
        "preempted mpatha 360060e80000000000000000000000001 sda 0xb2 word",
        "for preempted: done",
    ]);
}

#[test]
fn a_hook_is_run_when_no_path_is_left() {
    let san = San::with_reservation("--paths 2");
    with_hook(&san, "alice", "preempted no_path");
    let mut alice = san.daemon("alice");
    alice.until("sdb [8:16]: has its key 0xa1");
    san.sandbox("offline", "alice", "sda sdb");
    alice.until_all(&["mpatha: no usable path any more", "no_path mpatha"]);
    san.sandbox("up", "alice", "sda");
    alice.until("mpatha: has a usable path again");
}

/// The other path hangs, which nobody has noticed yet: none can vouch for the one that returns.
#[test]
fn a_hook_is_run_for_a_path_that_is_kept_out() {
    let san = San::with_reservation("--paths 2 --profile no-full-status");
    with_hook(&san, "alice", "kept_out");
    let config = "defaults {\n\treservation_key file\n}\n";
    std::fs::write(san.at("alice").join("multipath.conf"), config).unwrap();
    let mut alice = san.daemon("alice");
    alice.until("sdb [8:16]: has its key 0xa1");
    san.sandbox("offline", "alice", "sda");
    alice.until("sda: faulty");
    san.on("alice", "-o -G -K a1 -S a3 mpatha");
    san.sandbox("hang", "alice", "sdb");
    san.sandbox("up", "alice", "sda");
    alice.until_all(&["could not be settled", "kept_out mpatha"]);
    san.sandbox("up", "alice", "sdb");
    alice.until("sda [8:0] reinstated");
}

#[test]
fn what_is_wrong_with_the_file_is_said() {
    let san = San::new("--paths 1");
    std::fs::write(san.at("alice").join("mpath-pr.conf"), "hooks {\n}\n").unwrap();
    let mut alice = san.daemon("alice");
    let said = alice.heard("mpath-pr.conf:1: error: unknown section 'hooks'");
    assert!(said.contains("did you mean 'hook'?"), "{said}");
}
