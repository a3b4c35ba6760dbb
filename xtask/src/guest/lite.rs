//! This project's daemon for a scenario, watched from outside: by device-mapper, the target, and
//! what it logs.

use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};

use super::{Finished, Lab, run, until};
use crate::error::{Context, Error, Result};

/// A running multipathd-lite; it ends when this is dropped.
#[derive(Debug)]
pub struct Lite {
    daemon: Child,
}

impl Lite {
    /// Starts the daemon with this configuration.
    ///
    /// # Errors
    /// If others are at work (see [`Lab::alone`]), or it cannot be run.
    pub fn start(lab: &Lab, config: &str) -> Result<Self> {
        lab.write_config(config)?;
        let _ = std::fs::remove_file(LOG);
        Self::spawn()
    }

    fn spawn() -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(LOG);
        let log = log.context(|| format!("cannot write {LOG}"))?;
        let errors = log.try_clone().context(|| format!("cannot share {LOG}"))?;
        let daemon = Command::new("multipathd-lite")
            .args(["-d", "-v5"])
            .env(PAUSE_ENV, PAUSE)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context(|| "cannot run multipathd-lite".to_owned())?;
        Ok(Self { daemon })
    }

    /// Makes the daemon wait before it registers a path that it has found to be a member's, until
    /// this is dropped.
    ///
    /// # Errors
    /// If the mark cannot be made.
    pub fn pause(&self) -> Result<Pause> {
        std::fs::write(PAUSE, "").context(|| format!("cannot write {PAUSE}"))?;
        Ok(Pause)
    }

    /// Changes the configuration and waits until the daemon has looked at everything again.
    ///
    /// # Errors
    /// If it does not take it.
    pub fn reconfigure(&self, lab: &Lab, config: &str) -> Result {
        lab.write_config(config)?;
        self.ask("reconfigure")?.succeeded()?;
        Ok(())
    }

    /// Sends it a command.
    ///
    /// # Errors
    /// If the client cannot be run.
    pub fn ask(&self, command: &str) -> Result<Finished> {
        run("multipathd-lite", [format!("-k{command}")])
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Kills it, so that it can do nothing more, and starts it again.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn kill_and_restart(&mut self) -> Result {
        self.kill()?;
        *self = Self::spawn()?;
        Ok(())
    }

    /// Kills it, so that it can do nothing more.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn kill(&mut self) -> Result {
        let killed = self.daemon.kill().and_then(|()| self.daemon.wait());
        killed
            .map(drop)
            .context(|| "cannot kill multipathd-lite".to_owned())
    }

    /// Waits for a map with this WWID that has so many usable paths, and for its node; returns
    /// its name.
    ///
    /// # Errors
    /// If that does not happen; the daemon's log is in the error.
    pub fn await_map(&self, wwid: &str, paths: usize) -> Result<String> {
        self.explain(until(
            &format!("a map of {wwid} with {paths} paths"),
            || {
                let Some(name) = map_name(wwid)? else {
                    return Ok(None);
                };
                let node = std::path::Path::new("/dev/mapper").join(&name);
                let is_ready = active_paths(&name)? == paths && node.exists();
                Ok(is_ready.then_some(name))
            },
        ))
    }

    /// Adds the daemon's log to an error.
    ///
    /// # Errors
    /// The one it is given.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| eprintln!("multipathd-lite logged:\n{}", self.log()))
    }

    /// The time of day, in seconds, of the first line that was logged after the first `after` bytes
    /// and has these words in this order: what takes long on a slow machine is measured so by the
    /// daemon's own clock.
    ///
    /// # Errors
    /// If there is no such line.
    pub fn logged_at(&self, after: usize, words: &[&str]) -> Result<f64> {
        let log = self.log();
        let mut lines = log.get(after..).unwrap_or_default().lines();
        let has_all = |line: &&str| {
            let mut rest = *line;
            words.iter().all(|word| {
                let found = rest.split_once(word);
                rest = found.map_or("", |(_, rest)| rest);
                found.is_some()
            })
        };
        let line = lines.find(has_all);
        line.and_then(seconds)
            .ok_or_else(|| Error::unexpected(format!("no line with {words:?}:\n{log}")))
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(LOG).unwrap_or_default()
    }
}

/// While it lives, paths wait to be registered.
#[derive(Debug)]
pub struct Pause;

impl Drop for Pause {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(PAUSE);
    }
}

impl Drop for Lite {
    fn drop(&mut self) {
        let _ = run("kill", [self.daemon.id().to_string()]);
        let _ = self.daemon.wait();
    }
}

/// The time of a line of the log: `2026-11-28T10:07:51.037114Z …`.
fn seconds(line: &str) -> Option<f64> {
    let time = line.split_once('T')?.1.split_once('Z')?.0;
    let mut parts = time.split(':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    Some((hours.ok()? * 60.0 + minutes.ok()?) * 60.0 + seconds.ok()?)
}

/// From one time of the log to another, perhaps of the next day.
#[must_use]
pub fn passed(from: f64, to: f64) -> f64 {
    (to - from).rem_euclid(24.0 * 3600.0)
}

/// The name of the map with this WWID.
fn map_name(wwid: &str) -> Result<Option<String>> {
    let uuid = format!("mpath-{wwid}");
    let info = run(
        "dmsetup",
        ["info", "-c", "--noheadings", "-o", "name", "--uuid", &uuid],
    )?;
    let name = info.stdout.trim();
    Ok((info.code() == 0 && !name.is_empty()).then(|| name.to_owned()))
}

/// How many paths of a map the kernel takes for usable.
fn active_paths(map: &str) -> Result<usize> {
    let status = run("dmsetup", ["status", "--noflush", map])?.stdout;
    Ok(super::map::active_paths(&status))
}

const PAUSE_ENV: &str = "MPATH_PR_TEST_PAUSE";
const PAUSE: &str = "/run/multipathd-lite.pause";

const LOG: &str = "/run/multipathd-lite.log";
