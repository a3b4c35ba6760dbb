//! Snapshots of everything that is shown.

use std::time::Instant;

use insta::assert_snapshot;
use mpath_state::protocol::MAX_REPLY_LEN;
use multipathd_lite::answers::{Privilege, Verdict, judge};
use multipathd_lite::model::Model;
use multipathd_lite::tally::Tally;

use crate::host;

fn shown(command: &str) -> String {
    let now = Instant::now();
    answer(&host::model(now), command, now).replace(&std::process::id().to_string(), "PID")
}

fn answer(model: &Model, command: &str, now: Instant) -> String {
    match judge(command, Privilege::User, model, &Tally::default(), now) {
        Verdict::Answer(reply) => reply.to_string(),
        Verdict::Ask(command) => panic!("'{command}' is not answered from memory"),
    }
}

/// Ends of lines are visible.
fn lines(command: &str) -> String {
    shown(command).replace('\n', "$\n")
}

#[test]
fn paths() {
    assert_snapshot!(lines("show paths"));
    assert_snapshot!(lines("show path sdaa"));
}

#[test]
fn paths_in_every_column() {
    let all = "%w|%i|%d|%D|%t|%o|%T|%s|%c|%p|%S|%z|%M|%m|%N|%n|%R|%r|%a|%G|%0|%P|%I|%L|%A";
    assert_snapshot!(lines(&format!("show paths format \"{all}\"")));
}

#[test]
fn paths_raw() {
    assert_snapshot!(lines("show paths raw format \"%d %t %T,%m,%C\""));
}

#[test]
fn maps() {
    assert_snapshot!(lines("show maps"));
    assert_snapshot!(lines("show maps status"));
    assert_snapshot!(lines("show maps stats"));
}

#[test]
fn maps_in_every_column() {
    let all = "%n|%w|%d|%F|%Q|%N|%r|%t|%S|%f|%x|%h|%A|%0|%1|%2|%3|%4|%s|%v|%p|%e|%G";
    assert_snapshot!(lines(&format!("show maps format \"{all}\"")));
}

#[test]
fn maps_raw() {
    assert_snapshot!(lines("show maps raw format \"%n %w\""));
    assert_eq!(shown("show map mpatha raw format %d"), "dm-0\n");
    assert_eq!(shown("show map dm-11 raw format \"%n\""), "my disk\n");
}

#[test]
fn topology() {
    assert_snapshot!(lines("show topology"));
    assert_eq!(shown("show maps topology"), shown("show topology"));
    let one = shown("show map mpatha");
    assert!(shown("show topology").contains(&one));
    assert_eq!(shown("show multipath dm-0 topology"), one);
}

#[test]
fn json() {
    assert_snapshot!(shown("show maps json"));
    assert_snapshot!(shown("show paths json"));
    let one: serde_json::Value = serde_json::from_str(&shown("show map mpatha json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&shown("show maps json")).unwrap();
    assert_eq!(one["map"], all["maps"][0]);
}

#[test]
fn the_daemon() {
    assert_snapshot!(shown("show status"));
    assert_eq!(shown("show daemon"), "pid PID idle\n");
    assert_eq!(
        shown("show config"),
        "defaults {\n\treservation_key \"file\"\n}\n"
    );
    assert_eq!(shown("show config local"), shown("show config"));
    assert_snapshot!(shown("show wildcards"));
}

#[test]
fn what_a_large_host_shows_is_within_what_clients_read() {
    let now = Instant::now();
    let model = host::large_model(now);
    let json = answer(&model, "show maps json", now);
    assert!((json.len() as u64) < MAX_REPLY_LEN, "{}", json.len());
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["maps"].as_array().unwrap().len(), 1024);
    assert_eq!(
        document["maps"][1023]["path_groups"][0]["paths"][15]["dev"],
        "sdxyz"
    );
    let lines = |command: &str| answer(&model, command, now).lines().count();
    assert_eq!(lines("show maps"), 1 + 1024);
    assert_eq!(lines("show paths"), 1 + 1024 * 16);
    assert_eq!(lines("show topology"), 1024 * (2 + 1 + 16));
}

#[test]
fn where_there_is_nothing_the_answer_is_ok() {
    let now = Instant::now();
    let nothing = Model::new(now);
    for command in [
        "show maps",
        "show paths",
        "show topology",
        "show maps raw format %n",
    ] {
        assert_eq!(answer(&nothing, command, now), "ok\n", "{command}");
    }
    let maps = answer(&nothing, "show maps json", now);
    let maps: serde_json::Value = serde_json::from_str(&maps).unwrap();
    assert_eq!(maps["maps"].as_array().unwrap().len(), 0);
}
