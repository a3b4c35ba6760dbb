//! `repair`: what it settles, what it leaves alone, and that it asks first.
use crate::san::San;

fn shared(options: &str) -> San {
    let san = San::new(options);
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san
}

fn repair(san: &San, node: &str) -> String {
    let ran = [
        san.on(node, "repair --dry-run mpatha"),
        san.on(node, "repair mpatha"),
        san.on(node, "repair --yes mpatha"),
        san.on(node, "check mpatha"),
    ];
    ran.map(|ran| ran.to_string()).concat() + &san.table()
}

#[test]
fn paths_without_the_key_get_it() {
    let san = shared("");
    san.run("sandbox disk san/alice -o -I -S 0 sdb").ok();
    san.run("sandbox disk san/alice -o -I -S c3 sdc").ok();
    let before = san.table();
    san.on("alice", "repair --dry-run mpatha").ok();
    san.on("alice", "repair mpatha").failed(1);
    assert_eq!(san.table(), before, "nothing is done unasked");
    insta::assert_snapshot!(repair(&san, "alice"));
}

#[test]
fn a_key_that_should_not_be_there_goes() {
    let san = shared("--paths 2");
    san.on("bob", "-o -G -K b2 mpatha").ok();
    san.run("sandbox disk san/bob -o -I -S b2 sda").ok();
    insta::assert_snapshot!(repair(&san, "bob"));
}

#[test]
fn older_keys_that_were_left_behind_go() {
    let san = shared("--paths 3");
    san.run("sandbox disk san/alice -o -I -S 0dd sdc").ok();
    san.run("sandbox gone san/alice sdc").ok();
    insta::assert_snapshot!(repair(&san, "alice"));
}

/// Bob uses the key that alice has left behind: a preemption would hit him.
#[test]
fn what_is_not_only_ours_stays() {
    let san = shared("--paths 3");
    san.run("sandbox disk san/alice -o -I -S b2 sdc").ok();
    san.run("sandbox gone san/alice sdc").ok();
    insta::assert_snapshot!(repair(&san, "alice"));
}

#[test]
fn a_node_that_was_shut_out_stays_out() {
    let san = shared("--paths 2");
    san.on("bob", "-o -P -K b2 -S a1 -T 5 mpatha").ok();
    insta::assert_snapshot!(repair(&san, "alice"));
}

#[test]
fn a_command_that_was_cut_off_is_completed() {
    let san = shared("--paths 2");
    let journal = "{\"version\":1,\"operation\":\"RELEASE\",\"request\":\"RELEASE mpatha\",\
                   \"pid\":999999999,\"arguments\":{\"action\":\"release\",\"key\":161,\
                   \"reservation_type\":5}}";
    let path = san.at("san/alice/run/360060e80000000000000000000000001.journal");
    std::fs::write(&path, journal).unwrap();
    insta::assert_snapshot!(repair(&san, "alice"));
    assert!(!path.exists());
}

#[test]
fn nothing_to_do() {
    let san = shared("--paths 2");
    insta::assert_snapshot!(repair(&san, "alice"));
    let json = san.on("alice", "repair --json --yes mpatha").ok();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["steps"], serde_json::json!([]));
    san.run("sandbox disk san/alice -o -I -S 0 sdb").ok();
    let json = san.on("alice", "repair --json --yes mpatha").ok();
    insta::assert_snapshot!("json_repair", json);
}
