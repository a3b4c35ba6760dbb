//! Everything that can be said of a map without touching it: the device, the kernel, the daemon,
//! the configuration, what this node remembers, and what is wrong with all that.
//!
//! No lock is taken and nothing is written. Maps are looked at side by side, each within
//! [`PATIENCE`], so that a map that hangs costs the others nothing.

mod daemons;
pub(crate) mod findings;
pub(crate) mod phrases;

use std::sync::Mutex;
use std::time::Duration;

use mpath_state::config::{self, Config, KeySetting, Loaded, Origin, Problem};
use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::{ArrayTraits, Intent, MapRecord, RecordDir};
use mpath_state::{PrStatus, StoredKey};
use pr_policy::{
    Appraisal, Counting, Holding, Limits, Look, Membership, Outcome, PathId, PathState, Severity,
    Snapshot, Standing,
};
use scsi_pr::{ReservationKey, ReservationType};

pub use self::daemons::{Answering, DaemonKind, DaemonMemory, Daemons};
pub use self::findings::Remark;
use crate::books::Remembered;
use crate::carrier::{Carrier, Listed};
use crate::code::Code;
use crate::host::Host;
use crate::map::OpenMap;
use crate::run::Failure;

/// A host, or a node of a sandbox, at one moment.
#[derive(Debug)]
pub struct HostView {
    /// The daemons that run; `None` in a sandbox, which has none.
    pub daemons: Option<Daemons>,
    /// What is wrong with multipath.conf.
    pub problems: Vec<Problem>,
    /// The maps that were asked for, or all.
    pub maps: Vec<Result<View, Failure>>,
}

/// One map.
#[derive(Debug)]
pub struct View {
    /// Its name, as in `/dev/mapper/NAME`.
    pub name: String,
    /// Its WWID.
    pub wwid: String,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// Whether its I/O is stopped.
    pub is_suspended: bool,
    /// Where its key comes from.
    pub key: KeySource,
    /// What this node remembers of it.
    pub record: Result<Option<MapRecord>, String>,
    /// What is under way on it, or was cut off.
    pub journal: Result<Option<Intent>, String>,
    /// What the daemon remembers of it, if it answers.
    pub daemon: Option<DaemonMemory>,
    /// Its paths, in the map's order.
    pub paths: Vec<PathView>,
    /// What stands on the device, or why that is not known.
    pub seen: Result<Appraisal, Unseen>,
    /// What is wrong, or worth knowing, the worst first.
    pub remarks: Vec<Remark>,
}

/// Where a map's key comes from.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// What is configured.
    pub setting: KeySetting,
    /// By which line.
    pub origin: Origin,
    /// The prkeys file.
    pub prkeys: String,
    /// What the prkeys file has for the map.
    pub stored: Result<Option<StoredKey>, String>,
}

/// Why nothing is known of what stands on the device.
#[derive(Debug, Clone)]
pub enum Unseen {
    /// The device answered, or kept silent, like this.
    Outcome {
        /// How the reading ended.
        outcome: Outcome,
        /// The path that it speaks of.
        path: Option<String>,
    },
    /// It could not be asked.
    Failure(Failure),
}

/// One path.
#[derive(Debug, Clone)]
pub struct PathView {
    /// Which, in the appraisal.
    pub id: PathId,
    /// Its device, `sdb`.
    pub device: String,
    /// Its numbers, `8:16`.
    pub number: String,
    /// Its address, if its device is there.
    pub address: Option<String>,
    /// Its state in a word: `active`, `standby`, `failed`, `offline`, `gone`, …
    pub state: String,
    /// What it is good for.
    pub use_state: PathState,
    /// Its initiator port.
    pub initiator_port: Option<String>,
    /// Its target port.
    pub target_port: Option<String>,
    /// The number of its target port.
    pub relative_target_port: Option<u16>,
}

impl KeySource {
    /// The key that the map is to have.
    #[must_use]
    pub fn key(&self) -> Option<StoredKey> {
        match &self.setting {
            KeySetting::Key(key) => Some(*key),
            KeySetting::File => self.stored.as_ref().ok().copied().flatten(),
        }
    }
}

impl HostView {
    /// Looks at these maps, or at all of the host.
    ///
    /// # Errors
    /// The maps cannot be listed. What is wrong with one map stands in its place.
    pub fn take(host: &Host, specs: &[String]) -> Result<Self, Failure> {
        let is_listed = specs.is_empty();
        let specs: Vec<String> = if is_listed {
            let listed = Carrier::of(host, "device-mapper")?.list()?;
            listed.into_iter().map(|Listed { spec, .. }| spec).collect()
        } else {
            specs.to_vec()
        };
        let daemons = host.sandbox.is_none().then(|| Daemons::look(host));
        let Loaded { config, problems } = Config::load(&host.config);
        let look = |spec: &String| View::take(host, &config, daemons.as_ref(), spec);
        let mut maps = side_by_side(&specs, look);
        if is_listed {
            maps.retain(|map| !matches!(map, Err(Failure::NotMultipath { .. })));
        }
        Ok(Self {
            daemons,
            problems,
            maps,
        })
    }
}

impl HostView {
    /// What is wrong with the host as a whole, or worth knowing.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = self
            .daemons
            .as_ref()
            .map(Daemons::remarks)
            .unwrap_or_default();
        let errors = self.problems.iter();
        let errors = errors.filter(|problem| problem.severity == config::Severity::Error);
        remarks.extend(errors.map(|problem| {
            Remark::new(
                Code::ConfigProblem,
                Severity::Attention,
                problem.to_string(),
            )
            .next("correct that line, then 'multipathd reconfigure'")
        }));
        remarks
    }
}

impl View {
    /// Looks at one map.
    ///
    /// # Errors
    /// There is no such map.
    pub fn take(
        host: &Host,
        config: &Config,
        daemons: Option<&Daemons>,
        spec: &str,
    ) -> Result<Self, Failure> {
        let carrier = Carrier::open(host, spec)?;
        let map = carrier.resolve_with_identities(spec)?;
        let records = RecordDir::new(&host.run_dir);
        let record = records.peek(map.wwid()).map_err(|it| it.to_string());
        let journal = records.peek_journal(map.wwid());
        let key = key_source(host, config, &map);
        let standing = standing(&map, record.as_ref().ok().and_then(Option::as_ref), &key);
        let snapshot = snapshot(&map, &record);
        let mut look = Look::new(snapshot, Limits::IN.within(PATIENCE));
        let looked = carrier.look(&map, &mut look, PATIENCE);
        let seen = match looked {
            Err(failure) => Err(Unseen::Failure(failure)),
            Ok(()) => look
                .appraise(&standing)
                .map_err(|outcome| unseen(outcome, &map)),
        };
        let mut view = Self {
            name: map.name().to_owned(),
            wwid: map.wwid().to_owned(),
            sectors: map.kernel_map().size,
            is_suspended: map.is_suspended(),
            key,
            record,
            journal: journal.map_err(|error| error.to_string()),
            daemon: daemons.and_then(|daemons| daemons.memory_of(host, map.name())),
            paths: paths(&map),
            seen,
            remarks: Vec::new(),
        };
        view.remarks = findings::of(&view, look.silent(), host);
        Ok(view)
    }

    /// How bad the worst of it is; `None`: nobody knows, since the device could not be read.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        let worst = self.remarks.iter().map(|remark| remark.severity).max();
        match worst {
            Some(Severity::Broken) => Some(Severity::Broken),
            _ if self.seen.is_err() => None,
            worst => Some(worst.unwrap_or(Severity::Info)),
        }
    }

    /// What was learnt of the array's ways.
    #[must_use]
    pub fn traits(&self) -> ArrayTraits {
        let record = self.record.as_ref().ok().and_then(Option::as_ref);
        record.map_or_else(ArrayTraits::default, |record| record.traits.clone())
    }

    /// The path by this number.
    #[must_use]
    pub fn path(&self, id: PathId) -> Option<&PathView> {
        self.paths.iter().find(|path| path.id == id)
    }

    /// The name of a path's device.
    #[must_use]
    pub fn device(&self, id: PathId) -> String {
        self.path(id)
            .map_or_else(|| id.to_string(), |path| path.device.clone())
    }
}

/// Each with the same function, some at a time, in their order.
fn side_by_side<T: Send>(specs: &[String], look: impl Fn(&String) -> T + Sync) -> Vec<T> {
    let next = Mutex::new(specs.iter().enumerate());
    let found = Mutex::new(Vec::new());
    let work = || loop {
        let task = next.lock().ok().and_then(|mut next| next.next());
        let Some((at, spec)) = task else { return };
        let seen = look(spec);
        if let Ok(mut found) = found.lock() {
            found.push((at, seen));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..specs.len().min(MAX_AT_ONCE) {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, seen)| seen).collect()
}

pub(crate) fn key_source(host: &Host, config: &Config, map: &OpenMap) -> KeySource {
    let setting = config.reservation_key(&map.identity());
    let prkeys = PrKeysFile::new(&host.prkeys).with_lock_timeout(LOCK_PATIENCE);
    KeySource {
        setting: setting.value,
        origin: setting.origin,
        prkeys: host.prkeys.display().to_string(),
        stored: prkeys.lookup(map.wwid()).map_err(|error| error.to_string()),
    }
}

/// What is remembered counts as in a command: only where this node is registered.
fn snapshot(map: &OpenMap, record: &Result<Option<MapRecord>, String>) -> Snapshot {
    let record = record.as_ref().ok().and_then(Option::as_ref);
    let registered = record.filter(|record| record.registered == PrStatus::Set);
    match registered {
        Some(record) => Remembered::of(record.clone()).onto(map),
        None => map.snapshot(),
    }
}

pub(crate) fn standing(map: &OpenMap, record: Option<&MapRecord>, key: &KeySource) -> Standing {
    let paths = map.snapshot().paths;
    let port = |id: PathId| Some((id, map.scsi_device(id)?.relative_target_port?));
    Standing {
        membership: match record.map(|record| record.registered) {
            Some(PrStatus::Set) => Membership::Lasting,
            Some(PrStatus::Unset) => Membership::Ended,
            Some(PrStatus::Unknown) | None => Membership::Never,
        },
        holding: record.and_then(|record| match record.holds {
            PrStatus::Set => Some(Holding::Held(ReservationType(
                record.reservation_type.unwrap_or_default(),
            ))),
            PrStatus::Unset => Some(Holding::NotHeld),
            PrStatus::Unknown => None,
        }),
        configured: key
            .key()
            .map(|stored: StoredKey| -> ReservationKey { stored.key }),
        target_ports: paths.iter().filter_map(|path| port(path.id)).collect(),
        counting: match record {
            Some(record) if record.traits.per_initiator_port => Counting::PerInitiatorPort,
            _ => Counting::PerNexus,
        },
    }
}

fn unseen(outcome: Outcome, map: &OpenMap) -> Unseen {
    let path = crate::device::named_path(&outcome).and_then(|id| map.path(id));
    let path = path.map(|path| path.name.clone());
    Unseen::Outcome { outcome, path }
}

fn paths(map: &OpenMap) -> Vec<PathView> {
    let paths = map.snapshot().paths.into_iter();
    paths
        .filter_map(|path| {
            let known = map.path(path.id)?;
            let device = map.scsi_device(path.id);
            let nexus = map.nexus(path.id).unwrap_or_default();
            Some(PathView {
                id: path.id,
                device: known.name.clone(),
                number: known.device.to_string(),
                address: device.map(|device| device.hctl.to_string()),
                state: phrases::path_state(map, path.id),
                use_state: path.state,
                initiator_port: nexus.initiator_port,
                target_port: nexus.target_port,
                relative_target_port: device.and_then(|device| device.relative_target_port),
            })
        })
        .collect()
}

/// For one map, whatever hangs: a path that is silent for a second is gone around.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever edits the prkeys file needs a moment for it.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Maps looked at side by side. Each needs a thread and one worker process.
const MAX_AT_ONCE: usize = 16;
