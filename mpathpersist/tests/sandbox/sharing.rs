//! Several processes on one sandbox, and processes that are killed.
use std::fs;
use std::process::{Child, Stdio};

use crate::san::San;

/// Commands in one batch: enough to overlap, and to be killed in the middle of.
const COMMANDS: u64 = 40;

/// A process that registers again and again, by one path; each time moves the generation by one.
fn start_on_disk(san: &San, node: &str) -> Child {
    start(san, &format!("sandbox disk san/{node}"), "-o -I -S 1 sda")
}

/// The same on a map, by all its paths.
fn start_on_map(san: &San, node: &str, key: &str) -> Child {
    let line = format!("-o -I -S {key} mpatha");
    start(san, &format!("--sandbox san/{node}"), &line)
}

fn start(san: &San, prefix: &str, line: &str) -> Child {
    let batch = san.at(&prefix.replace([' ', '/'], "_"));
    let lines = format!("{line}\n").repeat(usize::try_from(COMMANDS).unwrap());
    fs::write(&batch, lines).unwrap();
    let mut command = san.command(&format!("{prefix} -f {}", batch.display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn generation(san: &San) -> u64 {
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(san.at("san/san.json")).unwrap()).unwrap();
    state["luns"][0]["unit"]["generation"].as_u64().unwrap()
}

#[test]
fn two_processes_lose_no_update() {
    let san = San::new("--paths 1");
    let mut children = ["alice", "bob"].map(|node| start_on_disk(&san, node));
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(generation(&san), 2 * COMMANDS);
    let keys = san.on("bob", "-i -k mpatha").ok();
    assert_eq!(keys.matches("0x1\n").count(), 2, "{keys}");
}

#[test]
fn two_nodes_register_at_once() {
    let san = San::new("--paths 3");
    let mut children = [("alice", "a1"), ("bob", "b2")].map(|(node, key)| {
        let child = start_on_map(&san, node, key);
        (node, child)
    });
    for (node, child) in &mut children {
        assert!(child.wait().unwrap().success(), "{node}");
    }
    assert!(generation(&san) >= 2 * 3 * COMMANDS);
    let table = san.table();
    assert!(table.contains("alice   a1    a1    a1 "), "{table}");
    assert!(table.contains("bob     b2    b2    b2 "), "{table}");
}

/// Every moment at which another process can look is one at which this one may be killed.
fn kill_at(san: &San, child: &mut Child, at: u64) {
    while generation(san) < at && child.try_wait().unwrap().is_none() {}
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn whoever_is_killed_leaves_a_usable_sandbox() {
    let san = San::new("--paths 1");
    for round in 0..8 {
        let before = generation(&san);
        kill_at(&san, &mut start_on_disk(&san, "alice"), before + round * 3);
        let after = generation(&san);
        assert!(after <= before + COMMANDS);
        san.on("bob", "-o -I -S b2 mpatha").ok();
        assert_eq!(generation(&san), after + 1, "{}", san.table());
    }
}

/// Whoever comes next on that node is told of what was cut off, and can do it again.
#[test]
fn a_command_that_is_killed_can_be_done_again() {
    let san = San::new("--paths 4");
    for round in 0..8 {
        let before = generation(&san);
        kill_at(&san, &mut start_on_map(&san, "alice", "a1"), before + round);
        let ran = san.on("alice", "-o -I -S a2 mpatha");
        let is_told = ran.err.is_empty() || ran.err.contains("was cut off before it was done");
        assert!(is_told && ran.status == 0, "{ran}");
        let table = san.table();
        assert!(table.contains("alice   a2    a2    a2    a2 "), "{table}");
    }
}

#[test]
fn what_a_killed_process_left_beside_is_no_matter() {
    let san = San::new("--paths 1");
    fs::write(san.at("san/san.json.new"), "{ \"version\": 1, \"lu").unwrap();
    san.on("alice", "-o -G -S a1 mpatha").ok();
    assert_eq!(generation(&san), 1);
}

/// A read of one node does not wait for a command of another.
#[test]
fn a_sandbox_is_read_without_waiting() {
    let san = San::new("--paths 1");
    let lock = fs::File::create(san.at("san/lock")).unwrap();
    lock.lock().unwrap();
    assert!(san.table().starts_with("mpatha"));
}
