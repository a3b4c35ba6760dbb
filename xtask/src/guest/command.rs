//! Running a command in the guest: what it wrote, how it ended and how long it took, within a time
//! limit.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::error::{Context, Error, Result};
use crate::process;

/// Runs a command with these arguments; see [`Run`] for more.
///
/// # Errors
/// If it cannot be started or reaches the time limit. How it ended is the caller's matter.
pub fn run(program: &str, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<Finished> {
    Run::new(program).args(args).run()
}

/// A command to be run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub duration: Duration,
    /// From its start until nobody could write to its output any more: a process that it left
    /// behind with its descriptors keeps a caller waiting who reads to the end.
    pub closed_after: Duration,
}

impl Run {
    /// A command by this name, with an empty standard input.
    #[must_use]
    pub fn new(program: &str) -> Self {
        Self {
            command: Command::new(program),
            input: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = text.into();
        self
    }

    /// Changes the time limit of a minute.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it cannot be started, or is killed at the time limit.
    pub fn run(mut self) -> Result<Finished> {
        let line = process::shown(&self.command);
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = self
            .command
            .spawn()
            .context(|| format!("cannot run `{line}`"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read it.
            let _ = stdin.write_all(&self.input);
        }
        let mut output = Output::of(&mut child);
        let ended = output.watch(&mut child, start + self.limit);
        let ended = ended.context(|| format!("cannot watch `{line}`"))?;
        let [stdout, stderr] = output.streams.map(Stream::into_text);
        let Some((status, end)) = ended else {
            // Of use only where the kernel lets nobody but root look.
            let stack = std::fs::read_to_string(format!("/proc/{}/stack", child.id()));
            let _ = child.kill();
            let _ = child.wait();
            let limit = self.limit.as_secs();
            let stack = stack.unwrap_or_default();
            let outcome = format!("no end after {limit} s; in the kernel: {}", stack.trim());
            return Err(Error::Command {
                command: line,
                outcome,
                output: stdout + &stderr,
            });
        };
        let (duration, closed_after) = (end.duration_since(start), start.elapsed());
        Ok(Finished {
            command: line,
            status,
            stdout,
            stderr,
            duration,
            closed_after,
        })
    }
}

impl Finished {
    /// The exit status; 128 and the signal's number for one that a signal ended, as a shell says
    /// it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// This, if it succeeded.
    ///
    /// # Errors
    /// With everything it wrote, if it did not.
    pub fn succeeded(self) -> Result<Self> {
        self.ended_with(0)
    }

    /// This, if its exit status was `code`.
    ///
    /// # Errors
    /// With everything it wrote, if it was another.
    pub fn ended_with(self, code: i32) -> Result<Self> {
        if self.code() == code {
            return Ok(self);
        }
        let outcome = format!("{}, not {code}", self.code());
        let output = format!("{}{}", self.stdout, self.stderr);
        Err(Error::Command {
            command: self.command,
            outcome,
            output,
        })
    }
}

/// What a command writes to one of its descriptors.
#[derive(Debug)]
struct Stream {
    /// `None` once nobody can write to it any more.
    pipe: Option<File>,
    written: Vec<u8>,
}

impl Stream {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> Self {
        Self {
            pipe: pipe.map(|pipe| File::from(pipe.into())),
            written: Vec::new(),
        }
    }

    /// Takes in what is there, or the end.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let length = pipe.read(&mut buffer)?;
        if length == 0 {
            self.pipe = None;
        }
        self.written
            .extend(buffer.get(..length).unwrap_or_default());
        Ok(())
    }

    fn into_text(self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }
}

/// Standard output and standard error.
#[derive(Debug)]
struct Output {
    streams: [Stream; 2],
}

impl Output {
    fn of(child: &mut Child) -> Self {
        Self {
            streams: [
                Stream::new(child.stdout.take()),
                Stream::new(child.stderr.take()),
            ],
        }
    }

    /// Collects output until both streams are closed and the child has ended, or until the
    /// deadline; returns how and when the child ended, if it did.
    fn watch(
        &mut self,
        child: &mut Child,
        deadline: Instant,
    ) -> io::Result<Option<(ExitStatus, Instant)>> {
        let mut ended = None;
        while Instant::now() < deadline {
            let is_open = self.read_ready()?;
            if ended.is_none() {
                ended = child.try_wait()?.map(|status| (status, Instant::now()));
            }
            match (is_open, ended.is_some()) {
                (false, true) => break,
                (false, false) => std::thread::sleep(NEARLY),
                (true, _) => {}
            }
        }
        Ok(ended)
    }

    /// Waits a moment for something to read; `false` once both streams are closed.
    fn read_ready(&mut self) -> io::Result<bool> {
        let mut open: Vec<&mut Stream> = { &mut self.streams }
            .iter_mut()
            .filter(|it| it.pipe.is_some())
            .collect();
        let pipes = open.iter().filter_map(|stream| stream.pipe.as_ref());
        let mut waits: Vec<PollFd<'_>> = pipes
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
            .collect();
        if waits.is_empty() {
            return Ok(false);
        }
        match poll(&mut waits, POLL) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Also what tells no more than that it was closed.
        let ready: Vec<bool> = waits.iter().map(|it| it.any() == Some(true)).collect();
        for (stream, _) in open.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            stream.read()?;
        }
        Ok(true)
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// How often the end of a command is looked for while its output is open, in milliseconds.
const POLL: u16 = 20;

/// And when its output is closed, which is nearly its end.
const NEARLY: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_kept_apart() {
        let finished = Run::new("sh")
            .args(["-c", "read line; echo out $line $A; echo err >&2; exit 3"])
            .env("A", "b")
            .input("in\n")
            .run()
            .expect("sh runs");
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("out in b\n", "err\n")
        );
        assert_eq!(finished.code(), 3);
        let error = finished.succeeded().expect_err("3 is not success");
        assert!(
            error
                .to_string()
                .contains("ended with 3, not 0\n    out in b\n    err")
        );
    }

    #[test]
    fn a_process_that_is_left_behind_keeps_the_output_open() {
        let finished = run("sh", ["-c", "echo a; sleep 0.3 & exit 0"]).expect("sh runs");
        assert_eq!(finished.stdout, "a\n");
        assert!(finished.duration < finished.closed_after, "{finished:?}");
        assert!(
            finished.closed_after >= Duration::from_millis(300),
            "{finished:?}"
        );
    }

    #[test]
    fn a_signal_is_a_status_as_in_a_shell() {
        let finished = run("sh", ["-c", "kill -9 $$"]).expect("sh runs");
        assert_eq!(finished.code(), 137);
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_at_its_limit() {
        let limit = Duration::from_millis(100);
        let error = Run::new("cat").args(["/dev/zero"]).limit(limit).run();
        assert!(
            error
                .expect_err("it never ends")
                .to_string()
                .contains("no end after")
        );
    }
}
