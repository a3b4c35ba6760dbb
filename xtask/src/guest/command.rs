//! Running a command in the guest: what it wrote, how it ended and how long it took, within a time
//! limit.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
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
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read it.
            let _ = stdin.write_all(&self.input);
        }
        let Some(status) = wait(&mut child, start + self.limit)? else {
            let _ = child.kill();
            let output = [stdout.taken(), stderr.taken()].concat();
            let outcome = format!("no end after {} s", self.limit.as_secs());
            return Err(Error::Command {
                command: line,
                outcome,
                output,
            });
        };
        let duration = start.elapsed();
        let (stdout, stderr) = (
            stdout.wait(start + self.limit),
            stderr.wait(start + self.limit),
        );
        let closed_after = start.elapsed();
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

/// The end of a child, or `None` at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        let ended = child
            .try_wait()
            .context(|| "cannot wait for a child".to_owned())?;
        if ended.is_some() || Instant::now() > deadline {
            return Ok(ended);
        }
        std::thread::sleep(POLL);
    }
}

/// A stream that is being read to its end.
struct Collected(Receiver<Vec<u8>>);

fn collect(stream: Option<impl Read + Send + 'static>) -> Collected {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stream) = stream {
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                if sender.send(bytes.to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    Collected(receiver)
}

impl Collected {
    /// Everything until the stream's end, or until the deadline.
    fn wait(&self, deadline: Instant) -> String {
        let mut bytes = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(more) => bytes.extend(more),
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What has come so far.
    fn taken(&self) -> String {
        String::from_utf8_lossy(&self.0.try_iter().flatten().collect::<Vec<u8>>()).into_owned()
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// How often the end of a command is looked for: much less than a command takes here.
const POLL: Duration = Duration::from_millis(2);

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
