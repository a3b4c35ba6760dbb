//! A multipath daemon for a scenario: the distribution's, or another with the same client.

use std::process::{Child, Command, Stdio};

use super::{Lab, run, until};
use crate::error::{Context, Result};

/// A running daemon; it ends when this is dropped.
#[derive(Debug)]
pub struct Multipathd {
    daemon: Child,
}

impl Multipathd {
    /// Starts the distribution's daemon with this configuration and waits until it is idle.
    ///
    /// # Errors
    /// If others are at work (see [`Lab::alone`]), or it does not get that far.
    pub fn start(lab: &Lab, config: &str) -> Result<Self> {
        lab.write_config(config)?;
        let log = std::fs::File::create(LOG).context(|| format!("cannot write {LOG}"))?;
        let errors = log.try_clone().context(|| format!("cannot share {LOG}"))?;
        let daemon = Command::new("multipathd")
            .args(["-d", "-s", "-v2"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context(|| "cannot run multipathd".to_owned())?;
        let daemon = Self { daemon };
        until("multipathd to be idle", || {
            let answer = daemon.ask("show daemon")?;
            Ok((answer.contains("idle") || answer.contains("running")).then_some(()))
        })?;
        Ok(daemon)
    }

    /// A command to the daemon, and its answer.
    ///
    /// # Errors
    /// If the client cannot be run.
    pub fn ask(&self, command: &str) -> Result<String> {
        Ok(run("multipathd", [format!("-k{command}")])?.stdout)
    }

    /// Waits for the map with this WWID to have that many active paths and a node; returns the
    /// map's name.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn await_map(&self, wwid: &str, paths: usize) -> Result<String> {
        until(&format!("a map of {wwid} with {paths} paths"), || {
            let maps = self.ask("show maps raw format %w,%n,%N")?;
            let line = maps.lines().find(|line| line.trim().starts_with(wwid));
            let mut fields = line
                .into_iter()
                .flat_map(|line| line.split(','))
                .map(str::trim);
            let (Some(_), Some(name), Some(count)) = (fields.next(), fields.next(), fields.next())
            else {
                return Ok(None);
            };
            let node = std::path::Path::new("/dev/mapper").join(name);
            let ready = count.parse() == Ok(paths) && node.exists();
            Ok(ready.then(|| name.to_owned()))
        })
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(LOG).unwrap_or_default()
    }
}

impl Drop for Multipathd {
    fn drop(&mut self) {
        let _ = run("kill", [self.daemon.id().to_string()]);
        let _ = self.daemon.wait();
    }
}

const LOG: &str = "/run/multipathd.log";
