//! When metrics are written: after a change, at most once a second, and every minute.
//!
//! A thread of its own waits for that, and for the process that writes ([`super::file`]). The
//! loop only rings a bell; whatever happens to file and folder, it never waits.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Moment, render};
use crate::ask::Handle;
use crate::model::Model;
use crate::tally::SharedTally;
use crate::tasks::hook::be_ordinary;

/// The bell of the thread that writes metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    file: Option<PathBuf>,
    is_changed: bool,
}

impl Metrics {
    /// Starts the thread; it writes nothing until it is told where.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(handle: Handle, tally: SharedTally) -> io::Result<Self> {
        let metrics = Self::default();
        let shared = Arc::clone(&metrics.shared);
        let thread = thread::Builder::new().name("metrics".to_owned());
        thread.spawn(move || write_for_ever(&shared, &handle, &tally))?;
        Ok(metrics)
    }

    /// Where they are written from now on; `None`: nowhere.
    pub fn write_to(&self, file: Option<PathBuf>) {
        let mut wanted = self.lock();
        if wanted.file != file {
            wanted.file = file;
            wanted.is_changed = true;
            self.shared.bell.notify_one();
        }
    }

    /// Something has changed.
    pub fn ring(&self) {
        let mut wanted = self.lock();
        if !wanted.is_changed {
            wanted.is_changed = true;
            self.shared.bell.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.shared
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_for_ever(shared: &Shared, handle: &Handle, tally: &SharedTally) {
    let mut state = State::default();
    loop {
        let file = shared.await_change(state.due());
        let model = handle.snapshot();
        let text = || render(&model, &tally.read(), Moment::now());
        state.take(file, digest(&model), text);
    }
}

impl Shared {
    /// Waits for the bell, or until then; says where to write.
    fn await_change(&self, due: Instant) -> Option<PathBuf> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rest = due.saturating_duration_since(Instant::now());
            let is_on = wanted.file.is_some();
            if wanted.is_changed || (is_on && rest.is_zero()) {
                wanted.is_changed = false;
                return wanted.file.clone();
            }
            wanted = if is_on {
                let waited = self.bell.wait_timeout(wanted, rest);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let waited = self.bell.wait(wanted);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}

/// What was written last.
#[derive(Debug, Default)]
struct State {
    file: Option<PathBuf>,
    process: Option<Process>,
    written_at: Option<Instant>,
    digest: u64,
    trouble: String,
    /// Processes that are of no use any more, until they have ended.
    retired: Vec<Child>,
}

impl State {
    fn due(&self) -> Instant {
        self.written_at.unwrap_or_else(Instant::now) + EVERY
    }

    fn take(&mut self, file: Option<PathBuf>, digest: u64, text: impl FnOnce() -> String) {
        if self.file != file {
            self.retire();
            *self = Self {
                file,
                retired: std::mem::take(&mut self.retired),
                ..Self::default()
            };
        }
        let Some(file) = self.file.clone() else {
            return;
        };
        let is_due = self.written_at.is_none_or(|at| at.elapsed() >= EVERY);
        if !is_due && self.digest == digest {
            // Only what changes with every check: that can wait.
            return;
        }
        self.digest = digest;
        let result = self.write(&file, &text());
        self.note(&file, result);
        self.written_at = Some(Instant::now());
        // At most once a second; the bell rings on meanwhile.
        thread::park_timeout(PAUSE);
    }

    fn write(&mut self, file: &Path, text: &str) -> Result<(), String> {
        let process = match &mut self.process {
            Some(process) => process,
            none => {
                let started = Process::start(file);
                none.insert(started.map_err(|error| format!("no process for it: {error}"))?)
            }
        };
        match process.write(file, text) {
            Ok(result) if result.is_empty() => Ok(()),
            Ok(trouble) => Err(trouble),
            Err(error) => {
                self.retire();
                Err(format!("the process for it ended: {error}"))
            }
        }
    }

    /// Without its stdin the process ends; it is not waited for.
    fn retire(&mut self) {
        self.retired
            .extend(self.process.take().map(|process| process.child));
        self.retired
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// The same trouble is told once.
    fn note(&mut self, file: &Path, result: Result<(), String>) {
        let file = file.display();
        let trouble = result.err().unwrap_or_default();
        if trouble != self.trouble {
            match trouble.as_str() {
                "" => tracing::info!("metrics are written to {file} again"),
                trouble => tracing::warn!(
                    "metrics cannot be written to {file}: {trouble}; tried again with every change"
                ),
            }
            self.trouble = trouble;
        }
    }
}

/// The process that writes. It ends when its stdin does.
#[derive(Debug)]
struct Process {
    child: Child,
    stdin: ChildStdin,
    results: Receiver<String>,
}

impl Process {
    fn start(file: &Path) -> io::Result<Self> {
        // This very program, also when another has taken its place on disk.
        let mut command = Command::new("/proc/self/exe");
        let mut option = OsString::from("--write-metrics=");
        option.push(file);
        let child = command
            .arg(option)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut child = child?;
        be_ordinary(&child);
        let (stdin, stdout) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, results) = channel();
        thread::Builder::new()
            .name("metrics results".to_owned())
            .spawn(move || {
                let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
                lines.try_for_each(|line| sender.send(line))
            })?;
        Ok(Self {
            child,
            stdin,
            results,
        })
    }

    /// What came of it, as a line; empty if it was written.
    fn write(&mut self, file: &Path, text: &str) -> io::Result<String> {
        let length = text.len() as u64;
        self.stdin.write_all(&length.to_le_bytes())?;
        self.stdin.write_all(text.as_bytes())?;
        match self.results.recv_timeout(PATIENCE) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                let (file, seconds) = (file.display(), PATIENCE.as_secs());
                tracing::warn!("metrics: writing {file} has taken {seconds} s, and goes on");
                self.results.recv().map_err(io::Error::other)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// What is worth being told at once: everything but what each check changes.
fn digest(model: &Model) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (wwid, map) in &model.maps {
        let pr = &map.pr;
        (
            wwid,
            &map.name,
            map.suspended,
            pr.registrations,
            pr.preemptions,
        )
            .hash(&mut hasher);
        (pr.registered.to_string(), format!("{:?}", pr.holder)).hash(&mut hasher);
        map.groups
            .iter()
            .for_each(|group| group.paths.hash(&mut hasher));
    }
    for (device, path) in &model.paths {
        device.hash(&mut hasher);
        let state = (path.check, path.dm_state, path.settling);
        std::mem::discriminant(&state.0).hash(&mut hasher);
        state
            .1
            .map(|state| std::mem::discriminant(&state))
            .hash(&mut hasher);
        std::mem::discriminant(&state.2).hash(&mut hasher);
    }
    let counters = &model.counters;
    let rare = [
        counters.preemptions_seen,
        counters.registrations_repaired,
        counters.journals_recovered,
        counters.checks_stuck,
        counters.paths_reinstated,
        counters.hooks_run,
        counters.hooks_failed,
        counters.hooks_dropped,
    ];
    rare.hash(&mut hasher);
    hasher.finish()
}

/// node_exporter shows how old the file is: a daemon that hangs is seen within minutes.
const EVERY: Duration = Duration::from_secs(60);

/// At most one file a second, however much happens.
const PAUSE: Duration = Duration::from_secs(1);

/// A disk that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
