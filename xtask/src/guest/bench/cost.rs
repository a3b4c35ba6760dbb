//! What a process and its children cost, as the kernel counts it.

use std::fs;
use std::time::Duration;

use crate::error::{Error, Result};

/// Memory of a family of processes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Resident; what they share counts for each.
    pub(super) resident_kib: u64,
    /// Resident; what they share is shared.
    pub(super) proportional_kib: u64,
}

/// The memory of a process and its descendants.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in family(pid) {
        // One that has ended meanwhile has none.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        sum.resident_kib += field(&text, "Rss:");
        sum.proportional_kib += field(&text, "Pss:");
    }
    if sum.resident_kib == 0 {
        return Err(Error::unexpected(format!("process {pid} has no memory")));
    }
    Ok(sum)
}

/// The processor time of a process, its descendants, and those of its children that have ended.
pub(super) fn cpu(pid: u32) -> Duration {
    let stats = family(pid).into_iter().filter_map(stat);
    let ticks: u64 = stats.map(|stat| stat.ticks).sum();
    Duration::from_millis(ticks * MS_PER_TICK)
}

struct Stat {
    parent: u32,
    /// utime, stime, cutime and cstime together.
    ticks: u64,
}

/// proc(5): the second field is a name in parentheses, which may hold anything.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let times = fields.get(11..15)?.iter();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum(),
    })
}

/// A process and its descendants that live.
fn family(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32)> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = all.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// `USER_HZ` is 100 on all but one old architecture.
const MS_PER_TICK: u64 = 10;
