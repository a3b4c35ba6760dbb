//! Running a command in the guest: what it wrote, how it ended and how long it took, within a time
//! limit.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

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
        let (sender, events) = mpsc::channel();
        collect(child.stdout.take(), Stream::Out, &sender);
        collect(child.stderr.take(), Stream::Err, &sender);
        drop(sender);
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read it.
            let _ = stdin.write_all(&self.input);
        }
        let mut output = Output::default();
        let ended = output.watch(&mut child, &events, start + self.limit)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
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

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Reads a stream to its end in a thread of its own.
fn collect(
    stream: Option<impl Read + Send + 'static>,
    kind: Stream,
    sender: &Sender<(Stream, Vec<u8>)>,
) {
    let (Some(mut stream), sender) = (stream, sender.clone()) else {
        return;
    };
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let bytes = buffer.get(..length).unwrap_or_default();
            if sender.send((kind, bytes.to_vec())).is_err() {
                return;
            }
        }
    });
}

#[derive(Debug, Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// Collects output until both streams are closed and the child has ended, or until the
    /// deadline; returns how and when the child ended, if it did.
    fn watch(
        &mut self,
        child: &mut Child,
        events: &Receiver<(Stream, Vec<u8>)>,
        deadline: Instant,
    ) -> Result<Option<(ExitStatus, Instant)>> {
        let mut ended = None;
        let mut closed = false;
        while !(closed && ended.is_some()) && Instant::now() < deadline {
            // The end of a child nearly always closes its streams, which wakes us.
            match events.recv_timeout(POLL) {
                Ok((Stream::Out, bytes)) => self.stdout.extend(bytes),
                Ok((Stream::Err, bytes)) => self.stderr.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if closed => std::thread::sleep(NEARLY),
                Err(RecvTimeoutError::Disconnected) => closed = true,
            }
            if ended.is_none() {
                let status = child
                    .try_wait()
                    .context(|| "cannot wait for a child".to_owned())?;
                ended = status.map(|status| (status, Instant::now()));
            }
        }
        Ok(ended)
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// How often the end of a command is looked for while its output is open.
const POLL: Duration = Duration::from_millis(20);

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
