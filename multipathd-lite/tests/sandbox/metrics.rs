//! The file of metrics, and what happens to the daemon when it cannot be written.
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::node::San;

/// Waits until the file has all these lines.
fn await_lines(file: &Path, lines: &[&str]) {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
    let folder = file.parent().unwrap();
    watch.add_watch(folder, AddWatchFlags::IN_MOVED_TO).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if lines
            .iter()
            .all(|line| text.lines().any(|known| known == *line))
        {
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{lines:?} are not all in:\n{text}");
        let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap();
        let _ = watch.read_events();
    }
}

fn line(name: &str, labels: &str, value: u32) -> String {
    let wwid = "360060e80000000000000000000000001";
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{name}{{map=\"mpatha\",wwid=\"{wwid}\"{comma}{labels}}} {value}")
}

#[test]
fn what_happens_is_in_the_file() {
    let san = San::with_reservation("--paths 2");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.prom");
    let option = format!("--metrics={}", file.display());
    let _bob = san.daemon_with("bob", &[&option]);
    await_lines(
        &file,
        &[
            "mpath_pr_maps 1",
            &line("mpath_pr_paths", "state=\"ready\"", 2),
            &line("mpath_pr_expected_keys", "", 2),
            &line("mpath_pr_registered_keys", "", 2),
            "mpath_pr_preemptions_total 0",
        ],
    );
    san.sandbox("offline", "bob", "sda");
    await_lines(
        &file,
        &[
            &line("mpath_pr_paths", "state=\"faulty\"", 1),
            &line("mpath_pr_paths_in_use", "", 1),
        ],
    );
    san.on("alice", "-o -A -K a1 -S b2 -T 5 mpatha");
    await_lines(
        &file,
        &[
            "mpath_pr_preemptions_total 1",
            &line("mpath_pr_registered", "", 0),
            &line("mpath_pr_expected_keys", "", 0),
            &line("mpath_pr_reservation_holder", "holder=\"own\"", 0),
        ],
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The same trouble is told once, and nothing else waits for it.
#[test]
fn a_file_that_cannot_be_written_is_no_matter() {
    let san = San::with_reservation("--paths 2");
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let file = inner.join("m.prom");
    let config = format!("metrics_file \"{}\"\n", file.display());
    std::fs::write(san.at("alice").join("mpath-pr.conf"), config).unwrap();
    let mut alice = san.daemon("alice");
    alice.until("metrics cannot be written to");
    san.sandbox("offline", "alice", "sda");
    alice.until("sda: faulty");
    san.sandbox("up", "alice", "sda");
    alice.until("sda [8:0] reinstated");
    std::fs::create_dir(&inner).unwrap();
    san.sandbox("offline", "alice", "sda");
    alice.until("metrics are written to");
    await_lines(&file, &["mpath_pr_maps 1"]);
}
