//! A map in one pair of hands, while its paths are settled: the daemon's side of the lock.
//!
//! From taking custody until it is dropped nobody else on this node changes the map's
//! registrations. What [`pr_policy::PathReturn`] decides is carried out, what comes of it entered
//! into the record, and only then may the caller put the path to use.

use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use mpath_state::record::{MapLock, MapRecord, Nexus, RecordDir};
use mpath_state::{PrStatus, StoredKey};
use pr_policy::{
    Effects, Limits, Membership, Options, Outcome, PathId, PathReturn, PathState, Read,
    Registration, Request, Settlement, Transaction, Trust,
};
use scsi_pr::{InAction, ReadReservation, Reservation};

use crate::books::{Remembered, enter_holding, name_of, remember};
use crate::carrier::Carrier;
use crate::device::other;
use crate::host::Host;
use crate::map::OpenMap;
use crate::run::Failure;

/// A locked map.
#[derive(Debug)]
pub struct Custody<'a> {
    carrier: Carrier<'a>,
    device: Option<DeviceNumber>,
    map: OpenMap,
    view: View,
    lock: MapLock,
    configured: Option<StoredKey>,
}

/// Whether the map's paths have been looked at since the lock was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// There was no need to.
    Closed,
    Open,
}

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// In one word.
    pub verdict: Verdict,
    /// What the machine went through, for people.
    pub steps: Vec<&'static str>,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This node never registered: there is nothing to settle.
    Unconcerned,
    /// It had the key, and still has.
    Kept,
    /// It has been registered, as this node's others are.
    Registered,
    /// This node was shut out; the path carries no key of ours.
    Expelled,
    /// This node is not registered; the path carries no key of ours.
    Unregistered,
    /// It could not be settled, and must not be used.
    Unsettled,
}

/// Who holds the reservation, as seen from this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Holder {
    /// This node.
    Us,
    /// Another node.
    Another,
    /// There is no reservation.
    Nobody,
    /// It was not read, or no path could say.
    #[default]
    Unknown,
}

impl Verdict {
    /// Whether the path may carry I/O.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Unsettled)
    }
}

impl<'a> Custody<'a> {
    /// Takes the map's lock, waiting at most `patience`; its paths are looked at when there is
    /// something to settle. Without a device the kernel has no such map (yet); its paths are those
    /// that are settled.
    ///
    /// # Errors
    /// Somebody else held the lock all the time.
    pub fn take(
        host: &'a Host,
        (wwid, name): (&str, &str),
        device: Option<DeviceNumber>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let carrier = Carrier::open(host, name)?;
        let locked = RecordDir::new(&host.run_dir).lock(wwid, patience);
        let lock = locked.map_err(|error| other(name, &error))?;
        Ok(Self {
            carrier,
            device,
            map: OpenMap::unmade(wwid, name),
            view: View::Closed,
            lock,
            configured: None,
        })
    }

    /// Looks at the map's paths, once.
    fn open(&mut self) -> Result<(), Failure> {
        if let (View::Closed, Some(device)) = (self.view, self.device) {
            let spec = device.to_string();
            self.map = self.carrier.resolve_with_identities(&spec)?;
        }
        self.view = View::Open;
        Ok(())
    }

    /// The same, with the key that is configured or stored for the map: where there is no record,
    /// as after a boot, registrations with it are this node's.
    #[must_use]
    pub fn with_key(self, configured: Option<StoredKey>) -> Self {
        Self { configured, ..self }
    }

    /// The record as it stands.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn record(&self) -> Result<Option<MapRecord>, Failure> {
        self.lock.read().map_err(|error| self.failure(&error))
    }

    /// Changes the record; one that does not exist is made.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn enter(&self, change: impl FnOnce(&mut MapRecord)) -> Result<MapRecord, Failure> {
        let known = self.record()?;
        let before = known.clone();
        let fresh = || MapRecord::new(self.map.wwid(), self.map.name());
        let mut record = known.unwrap_or_else(fresh);
        self.map.name().clone_into(&mut record.name);
        change(&mut record);
        if before.as_ref() != Some(&record) {
            let written = self.lock.write(&record);
            written.map_err(|error| self.failure(&error))?;
        }
        Ok(record)
    }

    /// Brings a path's registration in line with what this node is, within `budget`. It may be in
    /// the map's table or not (yet), and must be kept from I/O until then.
    ///
    /// # Errors
    /// The record cannot be read or written, the kernel's map is not what was said, or no worker
    /// can be started: the path is not settled.
    pub fn settle(&mut self, path: DeviceNumber, budget: Duration) -> Result<Settled, Failure> {
        let record = self.record()?;
        let membership = self.membership(record.as_ref());
        // Nothing is sent, whatever the paths are: most maps of most hosts end here.
        if membership == Membership::Never {
            return Ok(Settled {
                verdict: Verdict::Unconcerned,
                steps: Vec::new(),
            });
        }
        self.open()?;
        let id = self.carrier.include(&mut self.map, path)?;
        let was_known = record
            .as_ref()
            .is_some_and(|it| it.registered == PrStatus::Set);
        let nexus = self.map.nexus(id).map(|nexus| name_of(&nexus));
        let trust = trust_in(record.as_ref(), nexus.as_deref());
        let remembered = self.remembered(record);
        let snapshot = remembered.onto(&self.map);
        let mut options = Options::for_request(&census());
        options.limits = Limits::OUT.within(budget);
        let started = Instant::now();
        let machine = PathReturn::new(id, membership, trust, snapshot, options);
        let (machine, steps) = self.run(machine, id, trust, budget)?;
        let settlement = machine.settlement();
        self.enter_effects(machine.effects(), id, settlement)?;
        let mut verdict = verdict(settlement, membership, was_known, machine.effects(), &steps);
        let left = budget.saturating_sub(started.elapsed());
        if matches!(verdict, Verdict::Kept | Verdict::Registered)
            && let Err(reason) = self.carrier.refresh(path, left)
        {
            let map = self.map.name();
            tracing::warn!(
                "{map}: {path} has no size, and reading it again did not help: {reason}"
            );
            verdict = Verdict::Unsettled;
        }
        if verdict.is_settled() {
            self.map.note_state(id, PathState::Usable);
        }
        Ok(Settled { verdict, steps })
    }

    /// Reads the reservation, and enters whether this node holds it.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn look_for_holder(&mut self, budget: Duration) -> Result<Holder, Failure> {
        let record = self.record()?;
        let Some(key) = self.key(record.as_ref()) else {
            return Ok(Holder::Unknown);
        };
        // A node that is out holds nothing, even if another one holds with its key.
        let is_member = self.membership(record.as_ref()) == Membership::Lasting;
        self.open()?;
        let mut options = Options::for_request(&census());
        options.limits = Limits::IN.within(budget);
        let request = Request::Read(Read {
            action: InAction::READ_RESERVATION,
            allocation_length: None,
        });
        let mut transaction = Transaction::new(request, self.map.snapshot(), options);
        let outcome = self
            .carrier
            .carry_out(&self.map, &mut transaction, budget, |_| ())?;
        let Outcome::Read(data) = outcome else {
            return Ok(Holder::Unknown);
        };
        let Ok(answer) = ReadReservation::decode(&data) else {
            return Ok(Holder::Unknown);
        };
        let reservation = answer.reservation;
        let is_ours = |held: &Reservation| {
            is_member && (held.key == key.key || held.reservation_type.is_all_registrants())
        };
        let held = reservation.filter(is_ours);
        self.enter(|record| match held {
            Some(held) => {
                record.holds = PrStatus::Set;
                record.reservation_type = Some(held.reservation_type.0);
            }
            None => {
                record.holds = PrStatus::Unset;
                record.reservation_type = None;
            }
        })?;
        Ok(match (held, reservation) {
            (Some(_), _) => Holder::Us,
            (None, Some(_)) => Holder::Another,
            (None, None) => Holder::Nobody,
        })
    }

    /// What this node is on the map. Without a record it is what the key says that is configured
    /// or stored, until the device says otherwise.
    fn membership(&self, record: Option<&MapRecord>) -> Membership {
        let registered = record.map_or(PrStatus::Unknown, |record| record.registered);
        match registered {
            PrStatus::Set => Membership::Lasting,
            PrStatus::Unset => Membership::Ended,
            PrStatus::Unknown if self.key(record).is_some() => Membership::Lasting,
            PrStatus::Unknown => Membership::Never,
        }
    }

    fn key(&self, record: Option<&MapRecord>) -> Option<StoredKey> {
        record.and_then(|record| record.key).or(self.configured)
    }

    fn remembered(&self, record: Option<MapRecord>) -> Remembered {
        let key = self.key(record.as_ref());
        let fresh = || MapRecord::new(self.map.wwid(), self.map.name());
        let mut record = record.unwrap_or_else(fresh);
        record.key = key;
        Remembered::of(record)
    }

    fn run(
        &self,
        mut machine: PathReturn,
        path: PathId,
        trust: Trust,
        budget: Duration,
    ) -> Result<(PathReturn, Vec<&'static str>), Failure> {
        let mut noted = trust;
        let mut steps = Vec::new();
        let watch = |machine: &PathReturn| {
            if steps.last() != Some(&machine.state_name()) {
                steps.push(machine.state_name());
                if machine.state_name() == "Joining" {
                    pause_for_a_test();
                }
            }
            self.note_trust(&mut noted, machine.trust(), path)
        };
        self.carrier
            .settle(&self.map, &mut machine, budget, watch)?;
        Ok((machine, steps))
    }

    /// Before the next command is sent: if this process were killed after it, the path would not
    /// be what it seems.
    fn note_trust(&self, noted: &mut Trust, trust: Trust, path: PathId) -> Result<(), Failure> {
        if *noted == trust {
            return Ok(());
        }
        *noted = trust;
        let nexus = self.map.nexus(path);
        self.enter(|record| {
            if let Some(nexus) = nexus {
                suspect(record, &nexus, trust);
            }
        })
        .map(drop)
    }

    fn enter_effects(
        &self,
        effects: &Effects,
        path: PathId,
        settlement: Option<Settlement>,
    ) -> Result<(), Failure> {
        let key = self.key(self.record()?.as_ref());
        let nexus = self.map.nexus(path);
        self.enter(|record| {
            match &effects.registration {
                Some(Registration::Registered { .. }) => {
                    record.registered = PrStatus::Set;
                    record.key = key;
                    if let Some(nexus) = &nexus {
                        remember(&mut record.nexuses, nexus.clone());
                    }
                }
                Some(Registration::Unregistered) => {
                    record.registered = PrStatus::Unset;
                    record.key = None;
                    record.nexuses.clear();
                    record.holds = PrStatus::Unset;
                    record.reservation_type = None;
                }
                None => {}
            }
            if let Some(holding) = effects.holding {
                enter_holding(record, holding);
            }
            if let Some(nexus) = &nexus {
                let trust = match settlement {
                    Some(Settlement::TryAgain(trust)) => trust,
                    _ => Trust::Trusted,
                };
                suspect(record, nexus, trust);
            }
        })
        .map(drop)
    }

    fn failure(&self, error: &dyn std::error::Error) -> Failure {
        other(self.map.name(), error)
    }
}

/// The moment that everything depends on is too short to be met by a test: between seeing that
/// this node is a member and registering a path. While the file exists that this variable names,
/// it lasts, within bounds.
fn pause_for_a_test() {
    let Some(file) = std::env::var_os(PAUSE_ENV) else {
        return;
    };
    let started = Instant::now();
    if std::fs::exists(&file).unwrap_or(false) {
        tracing::info!("paused while {} exists", file.display());
    }
    while std::fs::exists(&file).unwrap_or(false) && started.elapsed() < MAX_PAUSE {
        std::thread::sleep(Duration::from_millis(10));
    }
}

const PAUSE_ENV: &str = "MPATH_PR_TEST_PAUSE";
const MAX_PAUSE: Duration = Duration::from_secs(3);

fn verdict(
    settlement: Option<Settlement>,
    membership: Membership,
    was_known: bool,
    effects: &Effects,
    steps: &[&str],
) -> Verdict {
    match (settlement, membership, &effects.registration) {
        (Some(Settlement::TryAgain(_)) | None, _, _) => Verdict::Unsettled,
        (_, Membership::Never, _) => Verdict::Unconcerned,
        (_, _, Some(Registration::Unregistered)) if was_known => Verdict::Expelled,
        (_, Membership::Ended, _) | (_, _, Some(Registration::Unregistered)) => {
            Verdict::Unregistered
        }
        _ if steps.contains(&"Joining") => Verdict::Registered,
        _ => Verdict::Kept,
    }
}

fn census() -> Request {
    Request::Read(Read {
        action: InAction::READ_FULL_STATUS,
        allocation_length: None,
    })
}

fn trust_in(record: Option<&MapRecord>, nexus: Option<&str>) -> Trust {
    let suspects = record.map(|record| record.suspects.as_slice());
    let is_suspect = |name: &str| suspects.is_some_and(|names| names.iter().any(|it| it == name));
    match nexus {
        Some(name) if is_suspect(name) => Trust::Suspect,
        _ => Trust::Trusted,
    }
}

fn suspect(record: &mut MapRecord, nexus: &Nexus, trust: Trust) {
    let name = name_of(nexus);
    record.suspects.retain(|known| *known != name);
    if trust == Trust::Suspect {
        record.suspects.push(name);
    }
}
