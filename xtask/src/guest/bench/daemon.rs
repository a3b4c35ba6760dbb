//! A daemon that is measured.

use std::fmt;
use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::ask;
use super::cost::{self, Census, Memory};
use super::stage::Stage;
use crate::error::{Context, Result};
use crate::guest::run;
use crate::guest::wait::until_within;

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// multipath-tools', as the guest's distribution builds them.
    Distribution,
    /// This project's.
    Ours,
}

impl Program {
    fn daemon(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Distribution => ("/usr/sbin/multipathd", &["-d", "-s", "-v2"]),
            Self::Ours => ("multipathd-lite", &["-d", "-v2"]),
        }
    }

    pub(super) fn mpathpersist(self) -> &'static str {
        match self {
            Self::Distribution => "/usr/sbin/mpathpersist",
            Self::Ours => "/usr/local/bin/mpathpersist",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.daemon().0)
    }
}

/// One that runs; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    program: Program,
    process: Child,
}

impl Daemon {
    /// Starts it where there are no maps; how long it took to make them all.
    pub(super) fn start(program: Program, stage: &Stage) -> Result<(Self, Duration)> {
        let (before, uevents) = (Census::take(), cost::uevents());
        let begun = Instant::now();
        let daemon = Self::spawn(program)?;
        until_within(PATIENCE, "all maps", || {
            Ok(stage.is_complete().then_some(()))
        })?;
        let took = begun.elapsed();
        let busy = Census::take().since(&before);
        let (seconds, uevents) = (took.as_secs_f64(), cost::uevents() - uevents);
        daemon.say(&format!(
            "{seconds:.1} s, of which {busy}; {uevents} uevents"
        ));
        daemon.await_all(stage)?;
        // What udev still has to do is nobody's cost.
        stage.settle()?;
        Ok((daemon, took))
    }

    /// Starts it where all maps exist; how long it took to know them.
    pub(super) fn restart(program: Program, stage: &Stage) -> Result<(Self, Duration)> {
        let begun = Instant::now();
        let daemon = Self::spawn(program)?;
        daemon.await_all(stage)?;
        Ok((daemon, begun.elapsed()))
    }

    /// Starts it where there are no maps; the system calls that it took to make them all.
    pub(super) fn trace(program: Program, stage: &Stage) -> Result<String> {
        let (name, arguments) = program.daemon();
        let strace = [&["-f", "-c", "-o", TRACE, name], arguments].concat();
        let mut daemon = Self::spawn_as(program, ("strace", &strace))?;
        daemon.await_all(stage)?;
        stage.settle()?;
        let text = format!("kill $(pgrep -P {})", daemon.process.id());
        run("sh", ["-c", &text])?.succeeded()?;
        let ended = daemon.process.wait();
        ended.context(|| format!("cannot wait for {program}"))?;
        let counted = std::fs::read_to_string(TRACE).context(|| format!("no {TRACE}"))?;
        Ok(format!("{program}\n{counted}"))
    }

    fn spawn(program: Program) -> Result<Self> {
        Self::spawn_as(program, program.daemon())
    }

    fn spawn_as(program: Program, (name, arguments): (&str, &[&str])) -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(LOG);
        let log = log.context(|| format!("cannot write {LOG}"))?;
        let errors = log.try_clone().context(|| format!("cannot share {LOG}"))?;
        let process = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        Ok(Self {
            program,
            process: process.context(|| format!("cannot run {name}"))?,
        })
    }

    /// Until it shows every path in use.
    fn await_all(&self, stage: &Stage) -> Result {
        until_within(PATIENCE, "the daemon to know all maps", || {
            let paths = ask("show paths raw format %m,%t").unwrap_or_default();
            let is_in_use = |line: &&str| {
                line.split_once(',').is_some_and(|(map, state)| {
                    !map.trim().starts_with('[') && state.trim() == "active"
                })
            };
            let used = paths.lines().filter(is_in_use).count();
            Ok((used >= stage.paths()).then_some(()))
        })
    }

    /// The processor time that it takes while nothing happens.
    pub(super) fn cpu_of(&self, time: Duration) -> Result<Duration> {
        let (before, all) = (cost::cpu(self.process.id()), Census::take());
        std::thread::sleep(time);
        let took = cost::cpu(self.process.id()).saturating_sub(before);
        let busy = Census::take().since(&all);
        let seconds = took.as_secs_f64();
        self.say(&format!(
            "{seconds:.2} s of CPU time at rest; everybody: {busy}"
        ));
        Ok(took)
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        cost::memory(self.process.id())
    }

    /// How long it takes to show all maps, again and again for some seconds.
    pub(super) fn show_maps(&self, count: usize) -> Result<Vec<Duration>> {
        let begun = Instant::now();
        let mut times = Vec::new();
        while times.len() < count && (begun.elapsed() < SHOW_TIME || times.len() < FEWEST) {
            let (before, asked) = (Census::take(), Instant::now());
            ask("show maps")?;
            let took = asked.elapsed();
            times.push(took);
            if times.iter().min().is_some_and(|least| took > *least * SLOW) {
                let (at, busy) = (begun.elapsed(), Census::take().since(&before));
                self.say(&format!("show maps took {took:?} after {at:?}: {busy}"));
            }
            std::thread::sleep(BETWEEN);
        }
        Ok(times)
    }

    /// Ends it; how long that took.
    pub(super) fn end(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        run("kill", [self.process.id().to_string()])?;
        let ended = self.process.wait();
        ended.context(|| format!("cannot wait for {}", self.program))?;
        Ok(begun.elapsed())
    }

    pub(super) fn say(&self, what: &str) {
        println!("bench: {}: {what}", self.program);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const TRACE: &str = "/run/bench-trace";

const LOG: &str = "/run/bench-daemon.log";

/// The distribution's daemon has been seen to take two and a half minutes for a thousand paths.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1800), Duration::from_millis(200));

/// Less than the 30 s after which commands that hang time out.
const SHOW_TIME: Duration = Duration::from_secs(20);

/// As many questions at least.
const FEWEST: usize = 5;

/// What took so many times as long as the fastest is explained.
const SLOW: u32 = 4;

const BETWEEN: Duration = Duration::from_millis(50);
