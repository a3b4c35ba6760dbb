//! A path that hangs in the kernel, against a real one: the program that gave up on it can end
//! and be reaped, and its output ends, while its worker still sleeps uninterruptibly.
//!
//! `MPATH_LAB_HANG` names two disks of one logical unit in a throw-away machine; the first
//! never works again. Over `tcm_loop` a PREEMPT AND ABORT never returns (the command runs in
//! the work item that it waits for); over iSCSI through the loopback interface the test takes
//! that down.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dm_multipath::scsi::{ScsiDevice, Transport, tur_command};
use dm_multipath::sys::sg::{SgCommand, SgData, SgError, SgWorker, abandoned_workers, wait};
use dm_multipath::{DeviceNumber, Roots};

const DISKS: &str = "MPATH_LAB_HANG";
const CHILD: &str = "MPATH_LAB_HANG_CHILD";

#[test]
fn a_hanging_path_holds_nobody() {
    let Ok(disks) = std::env::var(DISKS) else {
        println!("skipped, because {DISKS} names no disks of a throw-away machine");
        return;
    };
    let disks: Vec<_> = disks.split_whitespace().collect();
    if std::env::var_os(CHILD).is_some() {
        return give_up(disks[0]);
    }
    if transport(disks[0]) == Transport::Loopback {
        register(disks[0], 1);
        register(disks[1], 2);
    } else {
        let down = Command::new("ip")
            .args(["link", "set", "lo", "down"])
            .status()
            .unwrap();
        assert!(down.success());
    }
    let start = Instant::now();
    let mut program = Command::new(std::env::current_exe().unwrap());
    program
        .args(["--exact", "a_hanging_path_holds_nobody", "--nocapture"])
        .env(CHILD, "1");
    // Waits until the program is reaped and nobody holds its output open any more.
    let output = program.output().unwrap();
    let elapsed = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(elapsed < Duration::from_secs(5), "took {elapsed:?}");
    let worker = text
        .lines()
        .find_map(|line| line.split_once("worker "))
        .unwrap()
        .1;
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    println!(
        "after {elapsed:?} the worker is in state {}, its parent {}",
        fields[0], fields[1]
    );
    assert_eq!(fields[0], "D");
    let parent = fields[1].parse::<u32>().unwrap();
    assert_ne!(parent, std::process::id());
}

/// The program: sends a command that does not return, waits a second, gives up.
fn give_up(disk: &str) {
    let worker = SgWorker::spawn(&node(disk), &hanging_command(disk)).unwrap();
    println!("\nworker {}", worker.id());
    assert_eq!(wait(&[&worker], Some(Duration::from_secs(1))).unwrap(), []);
    let start = Instant::now();
    assert_eq!(worker.finish(), Err(SgError::Unanswered));
    assert_eq!(abandoned_workers(), 1);
    assert!(start.elapsed() < Duration::from_secs(1));
}

fn hanging_command(disk: &str) -> SgCommand {
    if transport(disk) != Transport::Loopback {
        return tur_command(60_000);
    }
    let mut list = vec![0; 24];
    list[7] = 1;
    list[15] = 2;
    SgCommand {
        cdb: vec![0x5f, 0x05, 0x05, 0, 0, 0, 0, 0, 24, 0],
        data: SgData::Out(list),
        timeout_ms: 60_000,
    }
}

/// PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY, again while there is news.
fn register(disk: &str, key: u8) {
    let mut list = vec![0; 24];
    list[15] = key;
    let cdb = vec![0x5f, 0x06, 0, 0, 0, 0, 0, 0, 24, 0];
    let command = SgCommand {
        cdb,
        data: SgData::Out(list),
        timeout_ms: 60_000,
    };
    let status = || {
        let worker = SgWorker::spawn(&node(disk), &command).unwrap();
        assert_eq!(
            wait(&[&worker], Some(Duration::from_secs(60))).unwrap(),
            [0]
        );
        worker.finish().unwrap().status
    };
    assert!((0..5).any(|_| status() == 0));
}

fn transport(disk: &str) -> Transport {
    let number = std::fs::read_to_string(format!("/sys/class/block/{disk}/dev")).unwrap();
    let number: DeviceNumber = number.trim().parse().unwrap();
    ScsiDevice::read(&Roots::default(), number)
        .unwrap()
        .transport
}

fn node(disk: &str) -> PathBuf {
    Path::new("/dev").join(disk)
}
