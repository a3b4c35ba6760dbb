//! Runs a command of the configuration for something that happened, in a thread of the pool.
//!
//! It is a process group of its own, which is ended when its time is up and when its first
//! process has ended: nothing of it goes on for ever. No shell is involved.

use std::fmt;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mpath_state::config::{Hook, HookEvent};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use scsi_pr::ReservationKey;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What.
    pub event: HookEvent,
    /// To which map, by name.
    pub map: String,
    /// The same, by WWID.
    pub wwid: String,
    /// To which path, if it is about one.
    pub path: Option<String>,
    /// The key that this node was registered with.
    pub key: Option<ReservationKey>,
    /// How that is known.
    pub evidence: String,
    /// When.
    pub time: SystemTime,
}

/// A hook that is to be run for an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOrder {
    /// The command.
    pub hook: Hook,
    /// What it is run for.
    pub incident: Incident,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOutcome {
    /// It ended with exit status 0.
    Done,
    /// It did not, or was ended.
    Failed,
}

impl HookOrder {
    /// Runs it to its end.
    #[must_use]
    pub fn run(&self) -> HookOutcome {
        match self.try_run() {
            Ok(Some(status)) if status.success() => {
                tracing::info!("{self}: done");
                HookOutcome::Done
            }
            Ok(Some(status)) => {
                tracing::warn!("{self}: {status}");
                HookOutcome::Failed
            }
            Ok(None) => {
                let seconds = self.hook.timeout.as_secs();
                tracing::warn!("{self}: took more than {seconds} s and was ended");
                HookOutcome::Failed
            }
            Err(error) => {
                tracing::warn!("{self}: cannot be run: {error}");
                HookOutcome::Failed
            }
        }
    }

    /// `None`: it took too long.
    fn try_run(&self) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + self.hook.timeout;
        let (output, child) = self.start()?;
        let name = self.to_string();
        let reader = thread::Builder::new().name("hook output".to_owned());
        reader.spawn(move || log_lines(&name, output, deadline + FAREWELL))?;
        end(child, deadline)
    }

    fn start(&self) -> io::Result<(PipeReader, Child)> {
        let (output, writer) = io::pipe()?;
        let mut words = self.hook.command.iter();
        let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(self.incident.variables())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        be_ordinary(&child);
        Ok((output, child))
    }
}

impl Incident {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let since = self.time.duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let mut variables = vec![
            ("MPATH_PR_EVENT", self.event.to_string()),
            ("MPATH_PR_MAP", self.map.clone()),
            ("MPATH_PR_WWID", self.wwid.clone()),
            ("MPATH_PR_EVIDENCE", self.evidence.clone()),
            ("MPATH_PR_TIME", seconds.to_string()),
        ];
        variables.extend(self.path.clone().map(|path| ("MPATH_PR_PATH", path)));
        variables.extend(self.key.map(|key| ("MPATH_PR_KEY", key.to_string())));
        variables
    }
}

/// As log lines name it.
impl fmt::Display for HookOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.hook.command.first().map_or("", String::as_str);
        write!(
            f,
            "{}: hook {program} for {}",
            self.incident.map, self.incident.event
        )
    }
}

/// The out-of-memory killer spares the daemon, and whoever is its child for nothing more.
pub(crate) fn be_ordinary(child: &Child) {
    // One that has ended already needs nothing.
    let _ = std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), "0");
}

/// Waits for the end of the first process, and sees to it that nothing of its group is left. It
/// is reaped last: until then its number is nobody else's.
fn end(mut child: Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (sender, ended) = channel();
    let waiter = thread::Builder::new().name("hook end".to_owned());
    waiter.spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(group), flags) == Err(Errno::EINTR) {}
        sender.send(())
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    let is_late = ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
    let _ = killpg(group, Signal::SIGKILL);
    if is_late {
        let _ = ended.recv();
        let _ = killpg(group, Signal::SIGKILL);
    }
    let status = child.wait()?;
    Ok((!is_late).then_some(status))
}

/// Logs what a hook says, as long as it is not too much.
fn log_lines(name: &str, mut output: PipeReader, deadline: Instant) {
    let mut pending = Vec::new();
    let mut said = 0;
    let mut chunk = [0; 4096];
    while await_readable(&output, deadline) {
        let Ok(length @ 1..) = output.read(&mut chunk) else {
            break;
        };
        said += length;
        if said <= MAX_OUTPUT {
            pending.extend_from_slice(chunk.get(..length).unwrap_or_default());
        }
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            tracing::info!("{name}: {}", String::from_utf8_lossy(&line).trim_end());
        }
    }
    if !pending.is_empty() {
        tracing::info!("{name}: {}", String::from_utf8_lossy(&pending));
    }
    if said > MAX_OUTPUT {
        tracing::info!("{name}: said {said} bytes, not all of it is here");
    }
}

fn await_readable(output: &PipeReader, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// What may come out of the pipe after the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a hook says is for a person.
const MAX_OUTPUT: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, timeout: Duration) -> HookOutcome {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hook");
        std::fs::write(&program, script).unwrap();
        let hook = Hook {
            command: vec!["/bin/sh".to_owned(), program.display().to_string()],
            events: vec![HookEvent::Preempted],
            timeout,
        };
        let incident = Incident {
            event: HookEvent::Preempted,
            map: "mpatha".to_owned(),
            wwid: "36001405".to_owned(),
            path: None,
            key: Some(ReservationKey(0xa1)),
            evidence: "for a test".to_owned(),
            time: UNIX_EPOCH + Duration::from_secs(7),
        };
        HookOrder { hook, incident }.run()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_hook_is_told_what_happened_and_nothing_else() {
        let script = "test \"$MPATH_PR_EVENT $MPATH_PR_MAP $MPATH_PR_WWID $MPATH_PR_KEY \
                      $MPATH_PR_TIME\" = 'preempted mpatha 36001405 0xa1 7' && \
                      test -z \"$MPATH_PR_PATH$HOME$USER\"";
        assert_eq!(run(script, LONG), HookOutcome::Done);
        assert_eq!(run("exit 3", LONG), HookOutcome::Failed);
    }

    #[test]
    fn a_hook_that_takes_too_long_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (fifo, started) = (fifo.display(), Instant::now());
        // Both wait for somebody to write.
        let script = format!("cat {fifo} & cat {fifo}");
        assert_eq!(run(&script, Duration::from_millis(50)), HookOutcome::Failed);
        assert!(started.elapsed() < LONG);
    }

    /// Its child has the other end of the pipe.
    #[test]
    fn what_a_hook_leaves_behind_is_ended_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let started = Instant::now();
        let script = format!("exec 3>{}; sleep 60 & exit 0", fifo.display());
        let hook = thread::spawn(move || run(&script, LONG));
        let mut left = std::fs::File::open(&fifo).unwrap();
        assert_eq!(hook.join().unwrap(), HookOutcome::Done);
        assert_eq!(left.read(&mut [0]).unwrap(), 0);
        assert!(started.elapsed() < LONG);
    }
}
