//! The daemon of a node, for a part of the story: it is started, what it says is waited for, and
//! it ends at the latest with the story.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};

/// A running daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: String,
}

impl Daemon {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let cannot = || "cannot run multipathd-lite".to_owned();
        let child = command
            .arg("-s")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.context(cannot)?;
        let log = child
            .stderr
            .take()
            .ok_or_else(|| Error::unexpected("no log"))?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(log).lines().map_while(|line| line.ok());
            lines.try_for_each(|line| sender.send(line))
        });
        let log = String::new();
        Ok(Self { child, lines, log })
    }

    /// Waits until it has said all that, in whatever order.
    pub(super) fn await_all(&mut self, all: &[&str]) -> Result {
        let mut missing = all.to_vec();
        let deadline = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let log = &self.log;
                let what = format!("multipathd-lite did not say {missing:?}, but:\n{log}");
                return Err(Error::unexpected(what));
            };
            missing.retain(|what| !line.contains(what));
            self.log += &line;
            self.log.push('\n');
        }
        Ok(())
    }

    /// Waits for its end, which somebody has asked for.
    pub(super) fn await_end(mut self) -> Result {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let ended = self.child.wait();
        ended.map(drop).context(|| "multipathd-lite".to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
