//! Daemons that are killed, and what killed commands leave behind.
use std::time::Duration;

use mpath_state::StoredKey;
use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::{Intent, RecordDir};
use scsi_pr::ReservationKey;

use crate::node::San;

const WWID: &str = "360060e80000000000000000000000001";

/// It remembers nothing that is not on file: the next one knows all that it knew.
#[test]
fn a_daemon_that_is_killed_is_followed_by_one_that_knows() {
    let san = San::with_reservation("--paths 3");
    let mut alice = san.daemon("alice");
    alice.until("sdc [8:32]: has its key 0xa1");
    san.sandbox("offline", "alice", "sda");
    alice.until("sda: faulty");
    alice.kill();
    san.on("alice", "-o -G -K a1 -S a4 mpatha");
    let mut alice = san.daemon("alice");
    alice.until("sda: faulty");
    san.until_answered("alice", "getprkey map mpatha", "0xa4\n");
    san.sandbox("up", "alice", "sda");
    alice.until("sda [8:0] reinstated");
    assert_eq!(san.row("alice"), "alice a4 a4 a4 ● reads and writes");
}

/// Its socket is still there, and nobody listens: paths are looked after without it.
#[test]
fn without_a_daemon_a_path_is_settled_by_whoever_brings_it_back() {
    let san = San::with_reservation("--paths 2");
    let mut alice = san.daemon("alice");
    alice.until("sdb [8:16]: has its key 0xa1");
    alice.kill();
    assert!(san.at("alice").join("multipathd.socket").exists());
    san.sandbox("offline", "alice", "sda");
    let told = san.sandbox("up", "alice", "sda");
    assert_eq!(told, "sda: back in use, registered with 0xa1\n");
}

#[test]
fn one_daemon_runs_on_a_node() {
    let san = San::new("--paths 1");
    let alice = san.daemon("alice");
    let _bob = san.daemon("bob");
    let second = san.lite("alice").arg("-d").output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success());
    let running = format!("is running already (process {})", alice.id());
    assert!(said.contains(&running), "{said}");
}

/// The lock of whoever is killed is let go: that is noticed, and what it began is completed.
#[test]
fn what_a_killed_command_left_behind_is_completed() {
    let san = San::with_reservation("--paths 2");
    let mut alice = san.daemon("alice");
    alice.until("sdb [8:16]: has its key 0xa1");
    leave_a_release(&san);
    alice.until("was cut off before it was done");
    let table = san.sandbox("show", "", "");
    assert!(table.contains("no reservation"), "{table}");
    assert!(!journal(&san).exists());
}

#[test]
fn what_was_left_behind_before_the_daemon_is_completed_when_it_starts() {
    let san = San::with_reservation("--paths 2");
    leave_a_release(&san);
    assert!(journal(&san).exists());
    let output = san.lite("alice").arg("--settle").output().unwrap();
    assert!(output.status.success());
    assert!(!journal(&san).exists());
    let table = san.sandbox("show", "", "");
    assert!(table.contains("no reservation"), "{table}");
}

/// It cannot be completed while no path is there. The first one that returns has the old key, and
/// would be told to go by what the record says: that is not looked at before.
#[test]
fn a_change_of_key_that_was_cut_off_comes_before_the_paths_that_return() {
    let san = San::with_reservation("--paths 2");
    leave_a_change_of_key(&san);
    san.sandbox("offline", "alice", "sda");
    san.sandbox("offline", "alice", "sdb");
    let mut alice = san.daemon("alice");
    alice.until("and could not be completed");
    assert!(journal(&san).exists());
    san.sandbox("up", "alice", "sdb");
    alice.until("sdb [8:16] reinstated");
    assert!(!journal(&san).exists());
    san.sandbox("up", "alice", "sda");
    alice.until("sda [8:0] reinstated");
    assert_eq!(san.row("alice"), "alice a4 ● a4 reads and writes");
    assert_eq!(san.ask("alice", "getprkey map mpatha"), "0xa4\n");
}

fn journal(san: &San) -> std::path::PathBuf {
    RecordDir::journal_path(&san.at("alice").join("run"), WWID).unwrap()
}

/// As `mpathpersist` would leave it, if it were killed before it sent anything.
fn leave_a_release(san: &San) {
    let arguments = r#"{"action":"release","key":161,"reservation_type":5}"#;
    leave(san, [("arguments", arguments)]);
}

/// The same of a change of key from 0xa1 to 0xa4, killed after the first path.
fn leave_a_change_of_key(san: &San) {
    san.sandbox("disk", "alice", "-o -G -K a1 -S a4 sda");
    let key = StoredKey {
        key: ReservationKey(0xa4),
        aptpl: false,
    };
    let keys = PrKeysFile::new(san.at("alice").join("prkeys"));
    keys.set(WWID, key).unwrap();
    let arguments = r#"{"action":"register","new_key":164,"aptpl":false,"all_tg_pt":false}"#;
    let before = r#"{"registrations":2,"generation":2,"key":161}"#;
    leave(san, [("arguments", arguments), ("before", before)]);
}

fn leave<const COUNT: usize>(san: &San, extra: [(&str, &str); COUNT]) {
    let lock = RecordDir::new(san.at("alice").join("run"));
    // A process that another test is just starting may still have a copy of what was open here when
    // the lock was taken last.
    let lock = lock.lock(WWID, Duration::from_secs(10)).unwrap();
    let mut intent = Intent::new("mpathpersist");
    for (name, value) in extra {
        let value = serde_json::from_str(value).unwrap();
        intent.extra.insert(name.to_owned(), value);
    }
    lock.journal().write(&intent).unwrap();
}
