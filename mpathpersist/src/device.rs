//! A multipath map as one disk: the operations of the command as a library.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mpath_state::StoredKey;
use mpath_state::config::{Config, KeySetting, Problem, Severity};
use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::{MapLock, RecordDir};
use pr_policy::{
    Before, ConfiguredKey, Effects, KeyPlan, KeyRefusal, Limits, Occasion, Options, Outcome, Path,
    PathId, PathState, Registration, Request, Snapshot, Spared, Transaction, authorise,
};
use scsi_pr::SenseKey;

use crate::books::Books;
use crate::carrier::Carrier;
use crate::code::Code;
use crate::daemon::Daemon;
use crate::host::Host;
use crate::leftover::Leftover;
use crate::map::OpenMap;
use crate::rehearsal::Rehearsal;
use crate::repair::sentence;
use crate::run::{Failure, Report, RunOptions, Runner};
use crate::view::phrases::{listed, path_state};

/// A multipath map, addressed as one disk.
///
/// ```no_run
/// use mpathpersist::{Device, Host};
/// use scsi_pr::{ReservationKey, ReservationType};
///
/// let host = Host::default();
/// let mut disk = Device::open(&host, "/dev/mapper/mpatha")?;
/// let key = ReservationKey(0x123abc);
/// disk.register_and_ignore(key)?;
/// disk.reserve(key, ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY)?;
/// println!("{:?}", disk.read_full_status()?.descriptors);
/// # Ok::<(), mpathpersist::OperationError>(())
/// ```
#[derive(Debug)]
pub struct Device<'a> {
    pub(crate) host: &'a Host,
    pub(crate) carrier: Carrier<'a>,
    pub(crate) map: OpenMap,
    spec: String,
}

impl<'a> Device<'a> {
    /// Opens the map that `name` means: `/dev/mapper/NAME`, `/dev/dm-N`, a symlink, any block
    /// node of it, or its bare name.
    ///
    /// # Errors
    /// There is no such map, or device-mapper does not answer.
    pub fn open(host: &'a Host, name: &str) -> Result<Self, Failure> {
        let carrier = Carrier::open(host, name)?;
        let map = carrier.resolve(name)?;
        Ok(Self {
            host,
            carrier,
            map,
            spec: name.to_owned(),
        })
    }

    /// The map's name, as in `/dev/mapper/NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.map.name()
    }

    /// Carries a request out on the map.
    ///
    /// # Errors
    /// The request did not get as far as an answer of the device. What the device answers,
    /// refusals included, is the report's outcome.
    pub fn run(&mut self, request: &Request, options: &RunOptions) -> Result<Report, Failure> {
        let started = Instant::now();
        match request {
            Request::Read(_) => self.read(request, options, started),
            _ => self.change(request, options, started),
        }
    }

    /// Reading needs no lock, no configuration and no record: the fewer things it touches, the
    /// fewer can keep a watchdog from its answer.
    fn read(
        &mut self,
        request: &Request,
        options: &RunOptions,
        started: Instant,
    ) -> Result<Report, Failure> {
        let options = self.options(request, options);
        let (report, _) = self.carry_out(request, self.map.snapshot(), options, started, |_| ())?;
        Ok(report)
    }

    fn change(
        &mut self,
        request: &Request,
        options: &RunOptions,
        started: Instant,
    ) -> Result<Report, Failure> {
        let options = self.options(request, options);
        let patience = options.limits.deadline / 2;
        let lock = self.lock(patience)?;
        self.refresh()?;
        let mut notes = Vec::new();
        let mut open = self.leftover(&lock);
        if let Some(leftover) = &open {
            notes.push(leftover.note(self.name()));
            if leftover.is_superseded_by(request) {
                self.resume_if_suspended()?;
            } else {
                let finished = self.finish(leftover, &lock, patience);
                open = open.filter(|_| !is_settled(&finished));
                let problem = |failure: Failure| vec![failure.to_string()];
                notes.extend(finished.map_or_else(problem, |report| report.notes));
            }
        }
        let result = self.change_locked(request, options, started, &lock, None);
        let is_needed = |leftover: &Leftover| match &result {
            Ok(report) => leftover.outlasts(request, &report.outcome),
            // Unless this one has been cut off itself.
            Err(_) => self.leftover(&lock).is_none(),
        };
        if let Some(leftover) = open.filter(is_needed) {
            // This one has closed its own entry in its place.
            let kept = lock.journal().write(&leftover.0);
            notes.extend(kept.err().map(|error| format!("{}: {error}", self.name())));
        }
        let mut report = result?;
        report.notes.splice(0..0, notes);
        Ok(report)
    }

    /// Completes or ends what a process that was killed has left behind on the map: resumes it
    /// first of all, then does what [`pr_policy::recovery`] says. `None`: nothing was left behind.
    ///
    /// # Errors
    /// Somebody works on the map and does not end within `patience`, or the request could not be
    /// completed; it is then still in the journal.
    pub fn recover(&mut self, patience: Duration) -> Result<Option<Report>, Failure> {
        let lock = self.lock(patience)?;
        self.refresh()?;
        let Some(leftover) = self.leftover(&lock) else {
            return Ok(None);
        };
        let mut report = self.finish(&leftover, &lock, Limits::OUT.deadline)?;
        let note = leftover.note(self.name());
        if report.outcome.is_open() {
            return Err(Failure::Other {
                device: self.name().to_owned(),
                reason: format!(
                    "{note}, and could not be completed: {}; it is in the journal and tried again",
                    sentence(&Ok(report))
                ),
            });
        }
        report.notes.insert(0, note);
        Ok(Some(report))
    }

    pub(crate) fn leftover(&self, lock: &MapLock) -> Option<Leftover> {
        let read = lock.journal().read();
        read.unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", self.name());
            None
        })
        .map(Leftover)
    }

    pub(crate) fn finish(
        &mut self,
        leftover: &Leftover,
        lock: &MapLock,
        deadline: Duration,
    ) -> Result<Report, Failure> {
        self.resume_if_suspended()?;
        let Some(request) = leftover.remedy() else {
            let cleared = lock.journal().clear();
            cleared.map_err(|error| other(self.name(), &error))?;
            return Ok(self.report(Outcome::Done));
        };
        let mut options = Options::for_request(&request);
        options.limits = options.limits.within(deadline);
        options.occasion = Occasion::Recovery;
        let cut_off = Some(leftover);
        let result = self.change_locked(&request, options, Instant::now(), lock, cut_off);
        let noted = if is_settled(&result) {
            lock.journal().clear()
        } else {
            lock.journal().write(&leftover.0)
        };
        noted.map_err(|error| other(self.name(), &error))?;
        result
    }

    pub(crate) fn resume_if_suspended(&self) -> Result<(), Failure> {
        if !self.map.is_suspended() {
            return Ok(());
        }
        let resumed = self.carrier.resume(&self.map);
        resumed.map_err(|error| other(self.name(), &error))
    }

    pub(crate) fn lock(&self, patience: Duration) -> Result<MapLock, Failure> {
        let records = RecordDir::new(&self.host.run_dir);
        let locked = records.lock(self.map.wwid(), patience);
        locked.map_err(|error| other(self.name(), &error))
    }

    pub(crate) fn change_locked(
        &mut self,
        request: &Request,
        options: Options,
        started: Instant,
        lock: &MapLock,
        cut_off: Option<&Leftover>,
    ) -> Result<Report, Failure> {
        let before = cut_off.and_then(Leftover::before);
        let limits = options.limits;
        let loaded = Config::load(&self.host.config);
        let config = loaded.config;
        report_problems(&loaded.problems);
        let prkeys = PrKeysFile::new(&self.host.prkeys);
        let (plan, stored) = self.plan_key(request, &config, &prkeys)?;
        let stored = cut_off.map_or(stored, |cut_off| cut_off.stored_before(stored));
        let request = &self.with_configuration(request, &config);
        let daemon = Daemon::connect(&self.host.daemon, daemon_patience(&config, limits));
        let map = self.map.clone();
        let mut books = Books::open(&map, lock, prkeys, daemon, stored);
        books.announce(request, plan, before);
        if let Err(error) = books.apply(plan, request) {
            books.abandon();
            return Err(other(self.name(), &error));
        }
        let snapshot = books.remembered().onto(&self.map);
        let snapshot = Snapshot { before, ..snapshot };
        let note = |before| books.announce_before(before);
        let result = self.carry_out(request, snapshot, options, started, note);
        let left = limits.deadline.saturating_sub(started.elapsed());
        books.hurry(left.max(LAST_WORD));
        let is_kept = match &result {
            // It goes on with the key that it has stored.
            Ok((report, _)) if cut_off.is_some() && report.outcome.is_open() => true,
            Ok((report, effects)) => is_in_force(plan, report, effects),
            Err(_) => cut_off.is_some(),
        };
        if !is_kept {
            books.undo();
        }
        let (mut report, effects) = result?;
        books.close(&effects, request);
        if report.outcome == Outcome::Done {
            report.notes.extend(self.warn_of_single_nexus(request));
            report
                .notes
                .extend(self.warn_of_shared_key(request, &effects));
            report.notes.extend(self.warn_of_spared(&effects));
        }
        report.notes.extend(hint_at_all_ports(request, &report));
        report.notes.append(&mut books.notes);
        Ok(report)
    }

    /// What was known before the lock was taken may be out of date.
    pub(crate) fn refresh(&mut self) -> Result<(), Failure> {
        self.map = self.carrier.resolve_with_identities(&self.spec)?;
        Ok(())
    }

    /// The deadline counts from when the request was `started`: waiting for the lock takes from
    /// it too.
    fn carry_out(
        &self,
        request: &Request,
        snapshot: Snapshot,
        mut options: Options,
        started: Instant,
        note: impl FnMut(Before),
    ) -> Result<(Report, Effects), Failure> {
        let left = options.limits.deadline.saturating_sub(started.elapsed());
        options.limits = options.limits.within(left);
        let deadline = options.limits.deadline;
        let mut transaction = Transaction::new(request.clone(), snapshot, options);
        let outcome = self
            .carrier
            .carry_out(&self.map, &mut transaction, deadline, note)?;
        Ok((self.report(outcome), transaction.effects().clone()))
    }

    pub(crate) fn report(&self, outcome: Outcome) -> Report {
        Report {
            map: self.name().to_owned(),
            path: named_path(&outcome).and_then(|path| self.describe(path)),
            notes: self.note_of_paths(&outcome).into_iter().collect(),
            outcome,
        }
    }

    /// Why no path can be used.
    fn note_of_paths(&self, outcome: &Outcome) -> Option<String> {
        if *outcome != Outcome::NoUsablePath {
            return None;
        }
        let map = self.carrier.resolve_with_identities(&self.spec).ok()?;
        let state = |path: Path| {
            let name = &map.path(path.id)?.name;
            Some(format!("{name} is {}", path_state(&map, path.id)))
        };
        let states: Vec<String> = map.snapshot().paths.into_iter().filter_map(state).collect();
        Some(match states.is_empty() {
            true => format!("{}: it has no path at all", map.name()),
            false => format!("{}: {}", map.name(), listed(&states)),
        })
    }

    fn describe(&self, path: PathId) -> Option<String> {
        let path = self.map.path(path)?;
        Some(format!("{} ({})", path.name, path.device))
    }

    pub(crate) fn options(&self, request: &Request, options: &RunOptions) -> Options {
        let mut chosen = Options::for_request(request);
        if let Some(timeout) = options.timeout {
            chosen.limits = chosen.limits.within(timeout);
        }
        chosen.fan_out = options.fan_out;
        chosen.doubt = options.doubt;
        chosen
    }

    /// Whether the request may use its keys, what becomes of the stored one, and which that is.
    pub(crate) fn plan_key(
        &self,
        request: &Request,
        config: &Config,
        prkeys: &PrKeysFile,
    ) -> Result<(KeyPlan, Option<StoredKey>), Failure> {
        let (configured, stored) = self.configured_key(config, prkeys)?;
        let refused = |refusal| self.key_failure(refusal, self.key_origin(config, prkeys));
        let plan = authorise(request, configured).map_err(refused)?;
        Ok((plan, stored))
    }

    fn configured_key(
        &self,
        config: &Config,
        prkeys: &PrKeysFile,
    ) -> Result<(ConfiguredKey, Option<StoredKey>), Failure> {
        let wwid = self.map.wwid();
        match config.reservation_key(&self.map.identity()).value {
            KeySetting::Key(stored) => Ok((ConfiguredKey::Fixed(stored.key), None)),
            KeySetting::File => {
                let stored = prkeys
                    .lookup(wwid)
                    .map_err(|error| other(self.name(), &error))?;
                Ok((
                    ConfiguredKey::Stored(stored.map(|stored| stored.key)),
                    stored,
                ))
            }
        }
    }

    /// The line that says which key the map has.
    fn key_origin(&self, config: &Config, prkeys: &PrKeysFile) -> String {
        let setting = config.reservation_key(&self.map.identity());
        match setting.value {
            KeySetting::Key(_) => setting.origin.to_string(),
            KeySetting::File => format!(
                "{}, which --register-ignore changes",
                prkeys.path().display()
            ),
        }
    }

    /// `all_tg_pt` in the configuration stands for `--param-alltgpt` with every registration.
    pub(crate) fn with_configuration(&self, request: &Request, config: &Config) -> Request {
        let mut request = request.clone();
        if let Request::Register(register) = &mut request {
            register.all_tg_pt |= config.all_tg_pt(&self.map.identity()).value;
        }
        request
    }

    /// Types 1 and 3 let one nexus in: the map's other paths cannot write, whoever registered.
    pub(crate) fn warn_of_single_nexus(&self, request: &Request) -> Option<String> {
        let Request::Reserve(reserve) = request else {
            return None;
        };
        let held = reserve.reservation_type;
        let is_single = !held.is_registrants_only() && !held.is_all_registrants();
        let is_usable = |path: &&Path| path.state == PathState::Usable;
        let usable = self.map.snapshot().paths.iter().filter(is_usable).count();
        (is_single && usable > 1).then(|| {
            format!(
                "{}: type '{held}' admits one path only, and this map has {usable}: I/O through \
                 the others will fail; use a registrants-only type (5 or 6)",
                self.name()
            )
        })
    }

    /// Whoever fences one of the nodes that have a key fences all of them.
    pub(crate) fn warn_of_shared_key(
        &self,
        request: &Request,
        effects: &Effects,
    ) -> Option<String> {
        let Request::Register(register) = request else {
            return None;
        };
        effects.shared_with.as_ref().map(|port| {
            format!(
                "{map}: another node ({port}) has the same key {}: neither can be fenced without \
                 the other; give each a key of its own: 'mpathpersist --out --register-ignore \
                 --param-sark KEY {map}' [{}]",
                register.new_key,
                Code::SharedKey,
                map = self.name(),
            )
        })
    }

    /// They may be this node's, and another node may not be fenced by mistake.
    fn warn_of_spared(&self, effects: &Effects) -> Option<String> {
        effects.spared.map(|Spared { key, count }| {
            format!(
                "{map}: left as they are: {count} registrations with key {key}, of paths out of \
                 reach or of another node: the device does not tell; a path of this node that \
                 returns gives its own up, and where no other node has that key it can be \
                 preempted: 'mpathpersist --out --preempt --param-sark {key} …'",
                map = self.name(),
            )
        })
    }

    fn key_failure(&self, refusal: KeyRefusal, origin: String) -> Failure {
        let map = self.name().to_owned();
        match refusal {
            KeyRefusal::Mismatch { configured, .. } => Failure::KeyMismatch {
                map,
                configured,
                origin,
            },
            KeyRefusal::NotConfigured => Failure::NoKey { map },
        }
    }
}

/// Whether the stored key that was planned is the right one to keep: also after a failure, if
/// paths are left that carry it.
pub(crate) fn is_in_force(plan: KeyPlan, report: &Report, effects: &Effects) -> bool {
    match (plan, &effects.registration) {
        _ if report.outcome == Outcome::Done => true,
        (KeyPlan::Store { key: planned }, Some(Registration::Registered { key, .. })) => {
            planned == *key
        }
        (KeyPlan::Forget, Some(Registration::Unregistered)) => true,
        _ => false,
    }
}

/// Whether what was cut off need not be tried again.
fn is_settled(finished: &Result<Report, Failure>) -> bool {
    match finished {
        Ok(report) => !report.outcome.is_open(),
        Err(failure) => is_refusal(failure),
    }
}

/// Whether the configuration forbids it by now.
fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::KeyMismatch { .. } | Failure::NoKey { .. })
}

/// Keywords without meaning here are normal in a file that multipath-tools reads as well.
fn report_problems(problems: &[Problem]) {
    for problem in problems {
        match problem.severity {
            Severity::Notice => tracing::info!("{problem}"),
            _ => tracing::warn!("{problem}"),
        }
    }
}

/// Some arrays (CLARiiON, VNX) take registrations for all target ports or none at all.
fn hint_at_all_ports(request: &Request, report: &Report) -> Option<String> {
    let is_for_one = matches!(request, Request::Register(register)
        if !register.all_tg_pt && !register.is_unregister());
    let Outcome::Answered {
        sense: Some(sense), ..
    } = &report.outcome
    else {
        return None;
    };
    let is_refused = sense.key == SenseKey::ILLEGAL_REQUEST && (sense.asc, sense.ascq) == (0x26, 0);
    (is_for_one && is_refused).then(|| {
        format!(
            "{}: if the array wants registrations for all its target ports: add --param-alltgpt, \
             or set 'all_tg_pt yes' in multipath.conf",
            report.map
        )
    })
}

/// What the daemon is given to hear the result when the time is up. Agents kill at 20 s, which is
/// two more than there are.
const LAST_WORD: Duration = Duration::from_secs(1);

/// All that is asked of the daemon may take a quarter of the time, and no longer than
/// multipath-tools would wait for it.
fn daemon_patience(config: &Config, limits: Limits) -> Duration {
    let configured = Duration::from_millis(config.uxsock_timeout_ms().value.into());
    configured.min(limits.deadline / 4)
}

/// The path that an outcome speaks of.
pub(crate) fn named_path(outcome: &Outcome) -> Option<PathId> {
    match outcome {
        Outcome::Answered { path, .. }
        | Outcome::Unreachable { path }
        | Outcome::Unknown { path }
        | Outcome::Incomplete { path }
        | Outcome::Malformed { path } => Some(*path),
        Outcome::Read(_)
        | Outcome::Done
        | Outcome::Conflict
        | Outcome::NoUsablePath
        | Outcome::NotSuspended
        | Outcome::HolderUnreachable { .. } => None,
    }
}

pub(crate) fn other(device: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Other {
        device: device.to_owned(),
        reason: error.to_string(),
    }
}

/// Runs the command line's requests on a host, and keeps the maps open between them.
#[derive(Debug)]
pub struct HostRunner<'a> {
    host: &'a Host,
    open: BTreeMap<String, Device<'a>>,
}

impl<'a> HostRunner<'a> {
    /// A runner without open maps.
    #[must_use]
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            open: BTreeMap::new(),
        }
    }

    /// Opens a map, or takes the one that is open as it stands now.
    fn with_device<T>(
        &mut self,
        device: &str,
        act: impl FnOnce(&mut Device<'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let known = self.open.remove(device);
        let mut opened = match known {
            Some(mut known) => {
                known.refresh()?;
                known
            }
            None => Device::open(self.host, device)?,
        };
        let result = act(&mut opened);
        self.open.insert(device.to_owned(), opened);
        result
    }
}

impl Runner for HostRunner<'_> {
    fn run(
        &mut self,
        device: &str,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Report, Failure> {
        self.with_device(device, |opened| opened.run(request, options))
    }

    fn rehearse(
        &mut self,
        device: &str,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Rehearsal, Failure> {
        self.with_device(device, |opened| opened.rehearse(request, options))
    }
}
