//! What a process and its children cost, as the kernel counts it.

use std::collections::BTreeMap;
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

/// How many uevents the kernel has sent since it started.
pub(super) fn uevents() -> u64 {
    let count = fs::read_to_string("/sys/kernel/uevent_seqnum").unwrap_or_default();
    count.trim().parse().unwrap_or(0)
}

/// Who has taken how much processor time, by the names of programs and of the kernel's threads.
#[derive(Debug, Default)]
pub(super) struct Census(BTreeMap<String, u64>);

impl Census {
    /// As it is now.
    pub(super) fn take() -> Self {
        let mut census = BTreeMap::new();
        for stat in processes().into_iter().filter_map(stat) {
            // kworker/0:1-events, kworker/u4:2: all the same.
            let name = stat.name.split(['/', ':']).next().unwrap_or_default();
            *census.entry(name.to_owned()).or_default() += stat.ticks;
        }
        Self(census)
    }

    /// Who has taken most since, in seconds.
    pub(super) fn since(&self, before: &Self) -> String {
        let took = |(name, ticks): (&String, &u64)| {
            let ticks = ticks.saturating_sub(before.0.get(name).copied().unwrap_or(0));
            (ticks, name.clone())
        };
        let mut took: Vec<(u64, String)> = self.0.iter().map(took).collect();
        took.sort_unstable_by(|a, b| b.cmp(a));
        let shown = took.iter().take(MOST).filter(|(ticks, _)| *ticks > 0);
        let shown: Vec<String> = shown
            .map(|(ticks, name)| format!("{name} {:.2}", (ticks * MS_PER_TICK) as f64 / 1000.0))
            .collect();
        shown.join(", ")
    }
}

struct Stat {
    name: String,
    parent: u32,
    /// utime, stime, cutime and cstime together.
    ticks: u64,
}

/// proc(5): the second field is a name in parentheses, which may hold anything.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = after.split(' ').collect();
    let times = fields.get(11..15)?.iter();
    Some(Stat {
        name: before.split_once('(')?.1.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum(),
    })
}

/// A process and its descendants that live.
fn family(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = processes()
        .into_iter()
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

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.collect()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// So many are named.
const MOST: usize = 6;

/// `USER_HZ` is 100 on all but one old architecture.
const MS_PER_TICK: u64 = 10;
