//! Two nodes with one key on an array that does not say whose a registration is: what may be
//! another node's is not touched, unless by force.
use crate::san::San;

/// What alice asks: to release, to change her key, to unregister.
const ACTS: [&str; 5] = [
    "-L -K a1 -T 5",
    "-G -K a1 -S a3",
    "-I -S a3",
    "-G -K a1 -S 0",
    "-I -S 0",
];

/// Bob holds with the key that alice has too.
fn bob_holds(profile: &str) -> San {
    let san = San::new(&format!("--paths 2 --profile {profile}"));
    san.on("bob", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -R -K a1 -T 5 mpatha").ok();
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san
}

fn is_bobs(san: &San) -> bool {
    let table = san.table();
    let line = table.lines().find(|line| line.starts_with("bob"));
    table.contains("held by bob (0xa1)") && line.is_some_and(|line| line.matches("a1").count() == 2)
}

#[test]
fn what_another_node_holds_with_our_key_stays() {
    for profile in ["strict", "no-full-status", "lio"] {
        for act in ACTS {
            let san = bob_holds(profile);
            let ran = san.on("alice", &format!("-o {act} mpatha"));
            println!("{profile}: {act}\n{ran}{}", san.table());
            assert!(is_bobs(&san), "{profile}: {act}\n{ran}{}", san.table());
            ran.ok();
        }
    }
}

/// Alice's dead path may be the holder, or bob.
#[test]
fn what_nobody_can_tell_is_refused_unless_by_force() {
    for act in ACTS {
        let san = bob_holds("no-full-status");
        san.run("sandbox offline san/alice sda").ok();
        let err = san.on("alice", &format!("-o {act} mpatha")).failed(15);
        assert!(err.contains("--force"), "{act}: {err}");
        assert!(is_bobs(&san), "{act}: {}", san.table());

        let san = bob_holds("no-full-status");
        san.run("sandbox offline san/alice sda").ok();
        san.on("alice", &format!("-o {act} --force mpatha")).ok();
        let table = san.table();
        assert!(!table.contains("held by bob"), "{act}: {table}");
        let alice = table.lines().find(|line| line.starts_with("alice"));
        let is_left = act.starts_with("-L");
        assert_eq!(alice.unwrap().contains("a1"), is_left, "{act}: {table}");
    }
}

/// Nobody holds, so that nothing is in the way of it; but it is not quiet about it.
#[test]
fn what_is_left_registered_since_nobody_can_tell_is_said() {
    for act in ["-G -K a1 -S a3", "-I -S a3", "-G -K a1 -S 0", "-I -S 0"] {
        let san = bob_holds("no-full-status");
        san.on("bob", "-o -L -K a1 -T 5 mpatha").ok();
        san.run("sandbox offline san/alice sda").ok();
        let ran = san.on("alice", &format!("-o {act} mpatha"));
        let told = ran.to_string();
        assert!(
            told.contains("left as they are: 3 registrations with key 0xa1"),
            "{act}: {told}{}",
            san.table()
        );
        ran.ok();
        let keys = san.on("bob", "-i -k mpatha").ok();
        assert_eq!(keys.matches("0xa1").count(), 3, "{act}: {keys}");
    }
}
