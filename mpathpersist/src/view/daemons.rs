//! Which multipath daemon runs on this host, and what it remembers of a map.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mpath_state::protocol::Command;
use mpath_state::{PrStatus, StoredKey};
use pr_policy::Severity;

use super::findings::Remark;
use super::phrases::listed;
use crate::code::Code;
use crate::daemon::Daemon;
use crate::host::Host;

/// The daemons of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemons {
    /// The one behind the socket, and how it answers.
    pub answering: Option<Answering>,
    /// Every process that looks like one: id and name.
    pub processes: Vec<(u32, String)>,
}

/// How the daemon behind the socket answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// In time.
    InTime {
        /// Its process, as it says.
        pid: u32,
        /// Which it is.
        kind: DaemonKind,
    },
    /// Not in time, or not in words of the protocol.
    Not,
}

/// Which program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonKind {
    /// This project's.
    Lite,
    /// multipath-tools'.
    Multipathd,
    /// One whose process cannot be looked at.
    Unknown,
}

/// What a daemon remembers of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaemonMemory {
    /// Whether this node is registered.
    pub registered: Option<PrStatus>,
    /// Whether it holds the reservation.
    pub holds: Option<PrStatus>,
    /// The key that is configured or stored. The outer `None`: it does not say.
    pub key: Option<Option<StoredKey>>,
}

impl Daemons {
    pub(super) fn look(host: &Host) -> Self {
        let processes = processes(&host.roots.proc);
        let answering = Daemon::connect(&host.daemon, PATIENCE).map(|mut daemon| {
            let said = daemon.ask_text("show daemon");
            let pid = said.ok().and_then(|said| pid_in(&said));
            pid.map_or(Answering::Not, |pid| Answering::InTime {
                pid,
                kind: kind(&host.roots.proc, pid),
            })
        });
        Self {
            answering,
            processes,
        }
    }

    /// What it remembers of a map; `None` if it does not answer.
    pub(super) fn memory_of(&self, host: &Host, map: &str) -> Option<DaemonMemory> {
        let Some(Answering::InTime { .. }) = self.answering else {
            return None;
        };
        let mut daemon = Daemon::connect(&host.daemon, PATIENCE)?;
        let map = || map.to_owned();
        let registered = daemon.ask(&Command::GetPrStatus(map())).ok()?;
        let holds = daemon.ask(&Command::GetPrHold(map())).ok()?;
        let key = daemon.ask(&Command::GetPrKey(map())).ok()?;
        Some(DaemonMemory {
            registered: registered.pr_status().ok(),
            holds: holds.pr_status().ok(),
            key: key.stored_key().ok(),
        })
    }

    /// What is wrong with them, or worth knowing.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let lite_or_not = "start one: 'systemctl start multipathd-lite', or multipathd";
        let mut remarks = Vec::new();
        match self.answering {
            None => {
                let message = "no multipath daemon is running: a path that returns gets no key";
                let remark = Remark::new(Code::DaemonNotRunning, Severity::Attention, message);
                remarks.push(remark.next(lite_or_not));
            }
            Some(Answering::Not) => {
                let message = "the multipath daemon does not answer within a second";
                let remark = Remark::new(Code::DaemonSilent, Severity::Attention, message);
                remarks.push(remark.next("look at its log, and restart it"));
            }
            Some(Answering::InTime {
                pid,
                kind: DaemonKind::Multipathd,
            }) => {
                let message = format!(
                    "multipath-tools' multipathd (process {pid}) looks after the paths, not \
                     multipathd-lite"
                );
                remarks.push(Remark::new(Code::OtherDaemon, Severity::Info, message));
            }
            Some(Answering::InTime { .. }) => {}
        }
        if self.processes.len() > 1 {
            let all = self.processes.iter();
            let all: Vec<String> = all.map(|(pid, name)| format!("{name} ({pid})")).collect();
            let message = format!("several multipath daemons are running: {}", listed(&all));
            let remark = Remark::new(Code::TwoDaemons, Severity::Attention, message);
            remarks.push(remark.next(
                "stop all but one: 'systemctl disable --now multipathd.service multipathd.socket' \
                 stops that of multipath-tools",
            ));
        }
        remarks
    }
}

/// `pid 123 idle`
fn pid_in(text: &str) -> Option<u32> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "pid")?;
    words.next()?.parse().ok()
}

fn kind(proc: &Path, pid: u32) -> DaemonKind {
    let folder = proc.join(pid.to_string());
    let program = fs::read_link(folder.join("exe")).ok();
    let program = program.as_deref().and_then(Path::file_name);
    let name = program.map(|name| name.to_string_lossy().into_owned());
    match name.or_else(|| read(&folder.join("comm"))).as_deref() {
        Some(name) if name.starts_with(LITE) => DaemonKind::Lite,
        Some(name) if name.starts_with(MULTIPATHD) => DaemonKind::Multipathd,
        _ => DaemonKind::Unknown,
    }
}

/// Those that no other daemon has started: a daemon's own children have its name too.
fn processes(proc: &Path) -> Vec<(u32, String)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let named = |pid: u32| {
        let name = read(&proc.join(pid.to_string()).join("comm"))?;
        [LITE, MULTIPATHD]
            .contains(&name.as_str())
            .then_some((pid, name))
    };
    let found: Vec<(u32, String)> = ids.filter_map(named).collect();
    let is_child = |pid: u32| {
        let parent = parent(proc, pid);
        found.iter().any(|(other, _)| Some(*other) == parent)
    };
    let mut leaders: Vec<_> = found
        .iter()
        .filter(|(pid, _)| !is_child(*pid))
        .cloned()
        .collect();
    leaders.sort_unstable();
    leaders
}

/// The line `PPid:`, a tab and the number.
fn parent(proc: &Path, pid: u32) -> Option<u32> {
    let status = read(&proc.join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

pub(super) fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

/// Names as the kernel keeps them, 15 bytes at most.
const LITE: &str = "multipathd-lite";
const MULTIPATHD: &str = "multipathd";

/// It answers from memory.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_says_who_it_is() {
        assert_eq!(pid_in("pid 812 idle\n"), Some(812));
        assert_eq!(pid_in("pid x idle\n"), None);
        assert_eq!(pid_in("fail\n"), None);
    }

    #[test]
    fn children_of_a_daemon_are_no_daemons() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, name, parent) in [
            (10, "multipathd", 1),
            (11, "multipathd", 10),
            (12, "sshd", 1),
            (13, "multipathd-lite", 1),
        ] {
            let folder = dir.path().join(pid.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
            fs::write(
                folder.join("status"),
                format!("Name:\t{name}\nPPid:\t{parent}\n"),
            )
            .unwrap();
        }
        let found = processes(dir.path());
        let expected = [(10, "multipathd"), (13, "multipathd-lite")];
        assert_eq!(found, expected.map(|(pid, name)| (pid, name.to_owned())));
        assert_eq!(kind(dir.path(), 13), DaemonKind::Lite);
        assert_eq!(kind(dir.path(), 10), DaemonKind::Multipathd);
        assert_eq!(kind(dir.path(), 12), DaemonKind::Unknown);
    }
}
