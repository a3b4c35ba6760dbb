//! Locks between processes: this test program starts itself again as the other process.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::env;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mpath_state::StoredKey;
use mpath_state::prkeys::{PrKeysError, PrKeysFile};
use mpath_state::record::{Intent, LockError, MapRecord, RecordDir};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

/// Another process that does `role` in `dir`, says that it has, and waits to be killed.
struct Other(Child);

impl Other {
    fn start(role: &str, dir: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "other_process", "--nocapture"])
            .env("OTHER_PROCESS", role)
            .env("OTHER_PROCESS_DIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines
            .map(Result::unwrap)
            .any(|line| line.ends_with("at work"));
        assert!(found, "the other process ended early");
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What the other process does; without its variables, the proof that they are needed.
#[test]
fn other_process() {
    let Some(role) = env::var_os("OTHER_PROCESS") else {
        assert!(env::var_os("OTHER_PROCESS_DIR").is_none());
        return;
    };
    let dir = env::var_os("OTHER_PROCESS_DIR").unwrap();
    let dir = Path::new(&dir);
    match role.to_str().unwrap() {
        "map" => {
            let lock = RecordDir::new(dir).lock("w", LONG).unwrap();
            lock.write(&MapRecord::new("w", "by the other")).unwrap();
            lock.journal().write(&Intent::new("register")).unwrap();
            wait_to_be_killed();
            drop(lock);
        }
        "prkeys" => {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(dir.join("prkeys"))
                .unwrap();
            let lock = libc::flock {
                l_type: i16::try_from(libc::F_WRLCK).unwrap(),
                l_whence: 0,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            fcntl(&file, FcntlArg::F_SETLK(&lock)).unwrap();
            wait_to_be_killed();
        }
        role => panic!("{role}"),
    }
}

fn wait_to_be_killed() {
    println!("at work");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
}

#[test]
fn a_map_locked_by_another_process_is_told_and_free_when_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start("map", dir.path());
    let records = RecordDir::new(dir.path());
    let error = records.lock("w", SHORT).unwrap_err();
    let LockError::Held {
        holder: Some(holder),
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(holder.pid, other.0.id());
    assert!(
        holder
            .command
            .as_deref()
            .is_some_and(|name| name.starts_with("contention"))
    );
    other.kill();
    let lock = records.lock("w", LONG).unwrap();
    assert_eq!(lock.read().unwrap().unwrap().name, "by the other");
    let intent = lock
        .journal()
        .read()
        .unwrap()
        .expect("what the dead process left behind");
    assert_eq!(
        (intent.operation.as_str(), intent.pid),
        ("register", holder.pid)
    );
}

#[test]
fn the_lock_of_multipath_tools_is_respected_and_its_holder_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys")).with_lock_timeout(SHORT);
    let key: StoredKey = "0x123abc".parse().unwrap();
    file.set("w", key).unwrap();
    let other = Other::start("prkeys", dir.path());
    for error in [file.lookup("w").unwrap_err(), file.remove("w").unwrap_err()] {
        let PrKeysError::Locked { holder, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*holder, Some(other.0.id()), "{error}");
    }
    other.kill();
    assert_eq!(file.lookup("w").unwrap(), Some(key));
}
