//! Paths that come back while the daemon watches.
use crate::node::San;

/// The key is there before the path is in use: the log has it in that order.
#[test]
fn a_members_path_comes_back_with_its_key() {
    for condition in ["offline", "gone"] {
        let san = San::new("--paths 3");
        san.sandbox(condition, "alice", "sdb");
        san.on("alice", "-o -G -S a1 mpatha");
        let mut alice = san.daemon("alice");
        alice.until_all(&[
            "sda [8:0]: has its key 0xa1",
            "sdc [8:32]: has its key 0xa1",
        ]);
        let row = san.row("alice");
        assert_eq!(row, format!("alice a1 - {condition} a1 reads and writes"));
        let told = san.sandbox("up", "alice", "sdb");
        assert_eq!(
            told,
            "sdb: up; multipathd-lite, which runs on this node, sees to it\n"
        );
        alice.until("mpatha: sdb [8:16]: registered with 0xa1");
        alice.until("mpatha: sdb [8:16] reinstated");
        assert_eq!(san.row("alice"), "alice a1 a1 a1 reads and writes");
        san.until_answered("alice", "getprstatus map mpatha", "set\n");
    }
}

#[test]
fn a_key_that_changed_meanwhile_is_the_one_that_counts() {
    let san = San::with_reservation("--paths 3");
    let mut alice = san.daemon("alice");
    alice.until("sdc [8:32]: has its key 0xa1");
    // The path that holds the reservation dies, too.
    san.sandbox("offline", "alice", "sda sdb");
    alice.until_all(&["sda: faulty", "sdb: faulty"]);
    san.on("alice", "-o -G -K a1 -S a3 mpatha");
    san.until_answered("alice", "getprkey map mpatha", "0xa3\n");
    san.sandbox("up", "alice", "sda sdb");
    alice.until_all(&["sda [8:0] reinstated", "sdb [8:16] reinstated"]);
    assert_eq!(san.row("alice"), "alice a3 a3 a3 ● reads and writes");
    san.until_answered("alice", "getprhold map mpatha", "set\n");
}

/// As when a guest has moved away: the other node has the key that this one remembers, and holds.
#[test]
fn a_node_that_was_shut_out_does_not_hold_what_another_holds_with_its_key() {
    let san = San::with_reservation("--paths 3");
    let mut alice = san.daemon("alice");
    alice.until("sdc [8:32]: has its key 0xa1");
    san.until_answered("alice", "getprhold map mpatha", "set\n");
    san.on("bob", "-o -I -S a1 mpatha");
    san.on("bob", "-o -P -K a1 -S a1 -T 5 mpatha");
    san.until_answered("alice", "getprstatus map mpatha", "unset\n");
    san.until_answered("alice", "getprhold map mpatha", "unset\n");
    // Looked at once more, after it has settled what is left.
    san.sandbox("gone", "alice", "sdb");
    san.sandbox("up", "alice", "sdb");
    alice.until("sdb [8:16] reinstated");
    san.until_answered("alice", "getprhold map mpatha", "unset\n");
}

/// Two nodes, each with its daemon: one fences the other, whose paths are away.
#[test]
fn a_fenced_nodes_paths_come_back_without_a_key() {
    let san = San::with_reservation("--paths 3");
    let (mut alice, mut bob) = (san.daemon("alice"), san.daemon("bob"));
    alice.until("sdc [8:32]: has its key 0xa1");
    bob.until("sdc [8:32]: has its key 0xb2");
    san.sandbox("offline", "bob", "sda sdb sdc");
    bob.until_all(&["sda: faulty", "sdb: faulty", "sdc: faulty"]);
    san.on("alice", "-o -A -K a1 -S b2 -T 5 mpatha");
    san.sandbox("up", "bob", "sda sdb sdc");
    bob.until_all(&[
        "this node was shut out",
        "sda [8:0] reinstated",
        "sdb [8:16] reinstated",
        "sdc [8:32] reinstated",
    ]);
    assert_eq!(san.row("bob"), "bob - - - reads only");
    assert_eq!(san.row("alice"), "alice a1 ● a1 a1 reads and writes");
    san.until_answered("bob", "getprstatus map mpatha", "unset\n");
    san.until_answered("alice", "getprstatus map mpatha", "set\n");
    // Until it registers again itself; then its paths are looked after as before.
    san.on("bob", "-o -I -S b2 mpatha");
    san.sandbox("gone", "bob", "sdc");
    bob.until("sdc [8:32]: gone");
    san.sandbox("up", "bob", "sdc");
    bob.until("sdc [8:32] reinstated");
    assert_eq!(san.row("bob"), "bob b2 b2 b2 reads and writes");
}

/// Nobody tells a node that it was fenced: the checker finds out.
#[test]
fn being_fenced_is_noticed_on_paths_that_work() {
    let san = San::with_reservation("--paths 2");
    let mut bob = san.daemon("bob");
    bob.until("sdb [8:16]: has its key 0xb2");
    san.on("alice", "-o -P -K a1 -S b2 -T 5 mpatha");
    let line = bob.until("this node was shut out");
    assert!(line.starts_with("warn"), "{line}");
    san.until_answered("bob", "getprstatus map mpatha", "unset\n");
}

/// Nobody knows that a path hangs until a check is late; the check ends when the path is back.
#[test]
fn a_path_that_hangs_is_found_out_and_comes_back() {
    let san = San::with_reservation("--paths 2");
    let mut alice = san.daemon("alice");
    alice.until("sdb [8:16]: has its key 0xa1");
    san.sandbox("hang", "alice", "sda");
    alice.until("sda: i/o timeout");
    alice.until("sda [8:0]: failed in the kernel");
    assert!(san.row("alice").contains("hanging"));
    san.sandbox("up", "alice", "sda");
    alice.until("sda [8:0] reinstated");
    assert_eq!(san.row("alice"), "alice a1 ● a1 reads and writes");
}

/// A node that never registered gets its paths back as they are.
#[test]
fn a_node_that_never_registered_gets_its_paths_back() {
    let san = San::new("--paths 2");
    let mut bob = san.daemon("bob");
    bob.until("never registered");
    san.sandbox("offline", "bob", "sda");
    bob.until("sda: faulty");
    san.sandbox("up", "bob", "sda");
    bob.until("sda [8:0] reinstated");
    assert_eq!(san.row("bob"), "bob - - reads and writes");
}
