//! `mpath-pr.conf`: settings that are not multipath-tools'. They have a file of their own, since
//! multipath-tools would complain of them in multipath.conf; it is read by the same reader.
//!
//! ```text
//! metrics_file "/var/lib/prometheus/node-exporter/mpath-pr.prom"
//!
//! hook {
//!         command "/usr/local/sbin/tell-on-call"
//!         events  "preempted no_path"
//!         timeout 30
//! }
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::file::Reader;
use super::keywords::{Scope, did_you_mean};
use super::value::Taken;
use super::{Problem, read};

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file that metrics are written to (`metrics_file`).
    pub metrics_file: Option<PathBuf>,
    /// Commands that are run when something happens, in the order of the file (`hook`).
    pub hooks: Vec<Hook>,
}

/// A command that is run when something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program, by its whole path, and its arguments; no shell sees them.
    pub command: Vec<String>,
    /// What it is run for.
    pub events: Vec<HookEvent>,
    /// It is ended after that time.
    pub timeout: Duration,
}

/// Something that a person should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookEvent {
    /// This node was shut out of a map.
    Preempted,
    /// A path answers, and stays out since its registration cannot be settled.
    KeptOut,
    /// What a killed command had left behind was completed.
    Recovered,
    /// A map has no usable path any more.
    NoPath,
}

/// A `hook` section as far as it was read.
#[derive(Default)]
pub(super) struct HookEntry {
    command: Option<Vec<String>>,
    events: Option<Vec<HookEvent>>,
    timeout: Option<Duration>,
    /// Its command was refused, and that was reported.
    is_reported: bool,
}

impl Settings {
    /// Reads the file. What is missing is fine; what is wrong with it comes beside.
    #[must_use]
    pub fn load(path: &Path) -> (Self, Vec<Problem>) {
        let mut reader = Reader::default();
        match read(path) {
            Ok(Some(text)) => reader.read_as(Scope::Settings, path, &text),
            Ok(None) => {}
            Err(error) => reader.refuse(path, &error),
        }
        reader.finish_settings()
    }

    pub(super) fn take(&mut self, value: &str) -> Taken {
        if !value.starts_with('/') {
            return Taken::Refused(format!("'{value}' is no path that begins with '/'"));
        }
        self.metrics_file = Some(value.into());
        Taken::AsIs
    }
}

impl HookEntry {
    pub(super) fn take(&mut self, keyword: &str, value: &str) -> Taken {
        let taken = match keyword {
            "command" => {
                let read = command(value);
                self.is_reported |= read.is_err();
                read.map(|words| self.command = Some(words))
            }
            "events" => events(value).map(|events| self.events = Some(events)),
            _ => timeout(value).map(|timeout| self.timeout = Some(timeout)),
        };
        taken.map_or_else(Taken::Refused, |()| Taken::AsIs)
    }

    /// Without a command there is no hook; says whether that has to be reported.
    pub(super) fn finish(self) -> Result<Option<Hook>, &'static str> {
        match self.command {
            Some(command) => Ok(Some(Hook {
                command,
                events: self.events.unwrap_or_else(|| vec![HookEvent::Preempted]),
                timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
            })),
            None if self.is_reported => Ok(None),
            None => Err("has no command"),
        }
    }
}

fn command(value: &str) -> Result<Vec<String>, String> {
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    match words.first() {
        Some(program) if program.starts_with('/') => Ok(words),
        Some(program) => Err(format!(
            "'{program}' is no path that begins with '/': no shell looks for it"
        )),
        None => Err("an empty command".to_owned()),
    }
}

fn events(value: &str) -> Result<Vec<HookEvent>, String> {
    value.split_whitespace().map(str::parse).collect()
}

fn timeout(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(seconds @ 1..=MAX_TIMEOUT_S) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "'{value}' is no number of seconds from 1 to {MAX_TIMEOUT_S}"
        )),
    }
}

impl HookEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Preempted,
        Self::KeptOut,
        Self::Recovered,
        Self::NoPath,
    ];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::KeptOut => "kept_out",
            Self::Recovered => "recovered",
            Self::NoPath => "no_path",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for HookEvent {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|event| event.word() == word);
        found.ok_or_else(|| {
            let hint = did_you_mean(Self::ALL.map(Self::word).into_iter(), word);
            format!("there is no event '{word}'{hint}")
        })
    }
}

/// A hook that takes longer is stuck.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_TIMEOUT_S: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> (Settings, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mpath-pr.conf");
        std::fs::write(&path, text).unwrap();
        let (settings, problems) = Settings::load(&path);
        let shown = problems.iter().map(|problem| {
            let text = problem.to_string();
            let name = text.strip_prefix(&format!("{}/", dir.path().display()));
            name.unwrap().to_owned()
        });
        (settings, shown.collect())
    }

    #[test]
    fn settings_are_read() {
        let (settings, problems) = load(
            "# ours\nmetrics_file \"/var/lib/m.prom\"\nhook {\n\tcommand \"/bin/tell a b\"\n\
             \tevents \"no_path kept_out\"\n\ttimeout 5\n}\nhook {\n\tcommand /bin/other\n}\n",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(settings.metrics_file, Some("/var/lib/m.prom".into()));
        let hook = |command: &[&str], events: &[HookEvent], seconds| Hook {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            events: events.to_vec(),
            timeout: Duration::from_secs(seconds),
        };
        let several = [HookEvent::NoPath, HookEvent::KeptOut];
        assert_eq!(
            settings.hooks,
            [
                hook(&["/bin/tell", "a", "b"], &several, 5),
                hook(&["/bin/other"], &[HookEvent::Preempted], 30)
            ]
        );
    }

    fn check(text: &str, problem: &str) {
        let (settings, problems) = load(text);
        assert_eq!(problems, [problem], "{text}");
        assert_eq!(settings, Settings::default(), "{text}");
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        check(
            "\nmetric_file /a\n",
            "mpath-pr.conf:2: error: unknown keyword 'metric_file' in mpath-pr.conf, ignored; did \
             you mean 'metrics_file'?",
        );
        check(
            "metrics_file a.prom\n",
            "mpath-pr.conf:1: error: 'a.prom' is no path that begins with '/'; 'metrics_file' \
             ignored",
        );
        check(
            "hook {\n\tcommand tell\n}\n",
            "mpath-pr.conf:2: error: 'tell' is no path that begins with '/': no shell looks for \
             it; 'command' ignored",
        );
        check(
            "hook {\n}\n",
            "mpath-pr.conf:2: error: hook of line 1 has no command, ignored",
        );
        check(
            "reservation_key 0x1\n",
            "mpath-pr.conf:1: error: unknown keyword 'reservation_key' in mpath-pr.conf, ignored; \
             it belongs to defaults, overrides, multipath",
        );
    }

    #[test]
    fn a_wrong_event_is_not_taken_for_another() {
        let (settings, problems) = load("hook {\n\tcommand /a\n\tevents \"premepted\"\n}\n");
        assert_eq!(
            problems,
            [
                "mpath-pr.conf:3: error: there is no event 'premepted'; did you mean 'preempted'?; \
             'events' ignored"
            ]
        );
        assert_eq!(settings.hooks.len(), 1);
    }

    #[test]
    fn no_file_is_fine() {
        let (settings, problems) = Settings::load("/nowhere/mpath-pr.conf".as_ref());
        assert_eq!(settings, Settings::default());
        assert!(problems.is_empty());
    }
}
