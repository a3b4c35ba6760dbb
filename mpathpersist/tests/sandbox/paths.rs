//! Paths that die, hang, go and come back.
use std::time::{Duration, Instant};

use crate::san::San;

fn with_reservation(options: &str) -> San {
    let san = San::new(options);
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san
}

/// How things stand, without the line of the generation.
fn standing(san: &San) -> String {
    let table = san.table();
    let (_, rest) = table.split_once('\n').unwrap();
    rest.to_owned()
}

#[test]
fn what_a_dead_path_holds_is_released() {
    for condition in ["offline", "gone"] {
        let san = with_reservation("--paths 3");
        san.run(&format!("sandbox {condition} san/alice sda")).ok();
        san.on("alice", "-o -L -K a1 -T 5 mpatha").ok();
        let expected = format!(
            "no reservation\n        \
             sda{}   sdb   sdc   I/O\n\
             alice   - {condition}   a1    a1    reads and writes\n\
             bob     b2{}   b2    b2    reads and writes\n",
            " ".repeat(condition.len() - 1),
            " ".repeat(condition.len()),
        );
        assert_eq!(standing(&san), expected);
    }
}

/// Nobody knows yet that the path is dead; the command finds out, and ends in time.
#[test]
fn a_path_that_hangs_costs_its_time_and_no_more() {
    let san = with_reservation("--paths 3");
    san.run("sandbox hang san/alice sdb").ok();
    let started = Instant::now();
    san.on("alice", "-i -k mpatha").ok();
    let ran = san.on("alice", "-o -G -K a1 -S a3 --timeout 2 mpatha");
    assert_ne!(ran.status, 0, "a usable path without the new key: {ran}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let all = standing(&san);
    assert!(all.contains("a1 hanging"), "{all}");
}

#[test]
fn without_a_path_there_is_nothing_to_do() {
    let san = with_reservation("--paths 2");
    san.run("sandbox offline san/alice sda sdb").ok();
    for options in ["-i -k mpatha", "-o -L -K a1 -T 5 mpatha"] {
        let err = san.on("alice", options).failed(13);
        assert!(err.contains("mpatha: no usable path"), "{err}");
    }
    san.run("sandbox gone san/bob sda sdb").ok();
    san.on("bob", "-i -k mpatha").failed(13);
}

/// The array tells that the nexus was lost, once, and that does not show.
#[test]
fn a_member_comes_back_with_the_key_of_today() {
    let san = with_reservation("--paths 3");
    san.run("sandbox gone san/alice sdb sdc").ok();
    san.on("alice", "-o -G -K a1 -S a3 mpatha").ok();
    let told = san.run("sandbox up san/alice sdb sdc").ok();
    assert_eq!(
        told,
        "sdb: back in use, registered with 0xa3\nsdc: back in use, registered with 0xa3\n"
    );
    assert_eq!(
        standing(&san),
        "● Write Exclusive, registrants only, held by alice (0xa3) through sda\n        \
         sda    sdb   sdc   I/O\n\
         alice   a3 ●   a3    a3    reads and writes\n\
         bob     b2     b2    b2    reads and writes\n"
    );
    let record = san.at("san/alice/run/360060e80000000000000000000000001.json");
    let record = std::fs::read_to_string(record).unwrap();
    assert_eq!(record.matches("\"initiator_port\"").count(), 3, "{record}");
}

#[test]
fn a_fenced_node_stays_out() {
    let san = with_reservation("--paths 3");
    san.run("sandbox offline san/bob sda sdb").ok();
    san.on("alice", "-o -A -K a1 -S b2 -T 5 mpatha").ok();
    let told = san.run("sandbox up san/bob sda sdb").ok();
    assert_eq!(
        told,
        "sda: back in use, not registered: this node was shut out while the path was away\n\
         sdb: back in use, not registered, as this node is not\n"
    );
    assert!(standing(&san).ends_with("bob     -      -     -     reads only\n"));
    san.on("bob", "-o -R -K b2 -T 5 mpatha").failed(11);
    // Until it registers again itself.
    san.on("bob", "-o -I -S b2 mpatha").ok();
    assert!(standing(&san).ends_with("bob     b2     b2    b2    reads and writes\n"));
}

/// A node that never registered is none of this program's business.
#[test]
fn a_node_that_never_registered_gets_its_paths_back() {
    let san = San::new("--paths 2");
    san.run("sandbox offline san/bob sda").ok();
    let told = san.run("sandbox up san/bob sda sdb").ok();
    assert_eq!(
        told,
        "sda: back in use, not registered, as this node is not\n"
    );
}

/// With all other paths dead nobody can vouch for it: the path has to stay out.
#[test]
fn a_path_that_cannot_be_settled_is_kept_out() {
    let san = with_reservation("--paths 2 --profile no-full-status");
    san.run("sandbox offline san/alice sda").ok();
    san.on("alice", "-o -G -K a1 -S a3 mpatha").ok();
    san.run("sandbox hang san/alice sdb").ok();
    let told = san.run("sandbox up san/alice sda").ok();
    assert!(told.starts_with("sda: kept out"), "{told}");
    assert!(standing(&san).contains("kept out"), "{}", standing(&san));
    san.run("sandbox up san/alice sdb").ok();
    let told = san.run("sandbox up san/alice sda").ok();
    assert_eq!(told, "sda: back in use, registered with 0xa3\n");
}

/// Whoever brought the path back was killed when it had just registered it, and this node had
/// been fenced before: that the path has the key proves nothing.
#[test]
fn a_return_that_was_cut_off_is_begun_again_without_trust() {
    let san = with_reservation("--paths 2");
    san.run("sandbox offline san/bob sdb").ok();
    san.on("alice", "-o -A -K a1 -S b2 -T 5 mpatha").ok();
    let path = san.at("san/san.json");
    let state = std::fs::read_to_string(&path).unwrap();
    let dead = "\"condition\": \"offline\",\n          \"in_map\": \"failed\"";
    let up = "\"condition\": \"up\",\n          \"in_map\": \"failed\"";
    assert!(state.contains(dead), "{state}");
    std::fs::write(&path, state.replacen(dead, up, 1)).unwrap();
    let path = san.at("san/bob/run/360060e80000000000000000000000001.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let nexus = &record["nexuses"][1];
    let port = |name: &str| nexus[name].as_str().unwrap().to_owned();
    let name = format!("{} {}", port("initiator_port"), port("target_port"));
    record["suspects"] = serde_json::json!([name]);
    std::fs::write(&path, record.to_string()).unwrap();
    san.run("sandbox disk san/bob -o -I -S b2 sdb").ok();
    assert!(standing(&san).contains("bob     -      b2 kept out   reads only"));
    san.run("sandbox up san/bob sdb").ok();
    assert!(standing(&san).ends_with("bob     -      -     reads only\n"));
}

/// The last registration says for all nodes whether they outlive a loss of power: what a path that
/// returns gives up must not say no.
#[test]
fn a_late_registration_is_given_up_with_the_power_loss_setting_of_the_others() {
    let san = San::new("--paths 2");
    for (node, key) in [("alice", "a1"), ("bob", "b2")] {
        san.on(node, &format!("-o -G -S {key} -Z mpatha")).ok();
    }
    san.run("sandbox offline san/bob sda sdb").ok();
    san.on("alice", "-o -P -K a1 -S b2 -T 5 mpatha").ok();
    san.run("sandbox up san/bob sda sdb").ok();
    san.run("sandbox disk san/bob -o -I -S b2 -Z sdb").ok();
    san.run("sandbox offline san/bob sdb").ok();
    let told = san.run("sandbox up san/bob sdb").ok();
    let keys = san.on("alice", "-i -k mpatha").ok();
    assert!(!keys.contains("0xb2"), "{told}{keys}");
    let after = san.on("alice", "-i -c mpatha").ok();
    let is_active = "Persist Through Power Loss Active(PTPL_A): 1";
    assert!(after.contains(is_active), "{told}{after}");
}
