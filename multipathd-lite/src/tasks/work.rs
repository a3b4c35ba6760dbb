//! Work on one map, under the lock that `mpathpersist` takes as well: paths are settled first,
//! and put to use only then.

use std::time::{Duration, Instant};

use dm_multipath::node::{is_udev_running, link, unlink};
use dm_multipath::sys::dm::{DmName, DmTarget, LoadMode, RemoveMode, SuspendFlags, UdevCookie};
use dm_multipath::sys::{DmControl, DmError};
use dm_multipath::table::{MULTIPATH_TARGET, MultipathTable};
use dm_multipath::{DeviceNumber, Roots};
use mpath_state::PrStatus;
use mpath_state::bindings::BindingsFile;
use mpath_state::wwids::WwidsFile;
use mpathpersist::{Custody, Device, Failure, Host, Settled, Verdict};

use super::errand::LOCK_PATIENCE;
use super::ground::{Ground, UUID_PREFIX};
use super::reader::read_books;
use super::table::{is_same, table};
use super::{
    Assembly, Effort, FoundMap, Health, Member, Recover, Removal, Tools, WorkOrder, WorkReport,
};
use crate::event::Event;
use crate::rules::{Files, Naming};

impl Tools {
    /// Does everything that is ordered; the report is the event.
    #[must_use]
    pub fn work(&self, order: &WorkOrder) -> Event {
        let mut work = Work::new(self, order);
        match Ground::open(&self.host) {
            Ok(ground) => work.run(&ground),
            Err(error) => work.note(&error),
        }
        Event::WorkDone(Box::new(work.report))
    }
}

struct Work<'a> {
    host: &'a Host,
    files: &'a Files,
    order: &'a WorkOrder,
    name: String,
    device: Option<DeviceNumber>,
    report: WorkReport,
}

impl<'a> Work<'a> {
    fn new(tools: &'a Tools, order: &'a WorkOrder) -> Self {
        Self {
            host: &tools.host,
            files: &tools.files,
            order,
            name: order.name.clone(),
            device: order.device,
            report: WorkReport {
                wwid: order.wwid.clone(),
                ..WorkReport::default()
            },
        }
    }

    fn run(&mut self, ground: &Ground<'_>) {
        if self.order.recover != Recover::Nothing {
            self.recover();
        }
        if self.order.recover == Recover::First && !self.report.is_recovered {
            return self.look(ground);
        }
        let name = (self.order.wwid.as_str(), self.order.name.as_str());
        match Custody::take(self.host, name, self.device, LOCK_PATIENCE) {
            Ok(custody) => self.run_locked(ground, custody),
            Err(error) => self.note(&error),
        }
        self.end_superseded();
        self.look(ground);
    }

    /// A path that has been registered may have taken the place of another, which nobody can use
    /// any more.
    fn end_superseded(&mut self) {
        let is_new =
            |(_, settled): &(DeviceNumber, Settled)| settled.verdict == Verdict::Registered;
        let Some(device) = self.device else {
            return;
        };
        if !self.report.settled.iter().any(is_new) {
            return;
        }
        let ended = self.open(device);
        match ended.and_then(|mut device| device.end_superseded(LOCK_PATIENCE)) {
            Ok(Some(sentence)) => tracing::info!("{sentence}"),
            Ok(None) => {}
            Err(error) => self.note(&error),
        }
    }

    fn open(&self, device: DeviceNumber) -> Result<Device<'a>, Failure> {
        let node = format!("dm-{}", device.minor);
        let node = self.host.roots.dev.join(node);
        Device::open(self.host, &node.to_string_lossy())
    }

    fn order(&self) -> &'a WorkOrder {
        self.order
    }

    /// Before anything else: a map that is suspended stops its host.
    fn recover(&mut self) {
        let Some(device) = self.device else {
            return;
        };
        let opened = self.open(device);
        match opened.and_then(|mut device| device.recover(LOCK_PATIENCE)) {
            Ok(report) => {
                self.report.is_recovered = true;
                self.report.has_completed = report.is_some();
                for note in report.iter().flat_map(|report| &report.notes) {
                    tracing::warn!("{note}");
                }
            }
            Err(error) => self.note(&error),
        }
    }

    fn run_locked(&mut self, ground: &Ground<'_>, custody: Custody<'_>) {
        let books = read_books(self.host, &self.order.wwid, &self.order.key);
        let mut custody = custody.with_key(books.configured);
        self.settle(&mut custody);
        let record = custody.record().ok().flatten();
        let is_unknown = record.is_some_and(|record| {
            record.registered == PrStatus::Set && record.holds == PrStatus::Unknown
        });
        if self.order.look_for_holder || is_unknown {
            self.look_for_holder(&mut custody);
        }
        if let Some(naming) = &self.order.rename {
            let dm = ground.dm("be renamed");
            let renamed = dm.and_then(|dm| Ok(self.rename(dm, naming)?));
            self.note_result(renamed);
        }
        if let Some(assembly) = &self.order.assemble {
            let dm = ground.dm("get another table");
            let assembled = dm.and_then(|dm| Ok(self.assemble(dm, assembly)?));
            self.note_result(assembled);
        }
        self.reinstate(ground);
        if let Some(removal) = self.order.remove {
            let dm = ground.dm("be removed");
            let removed = dm.and_then(|dm| Ok(self.remove(dm, removal)?));
            self.note_result(removed);
        }
    }

    /// One path after the other: what the first says of this node is true for the next.
    fn settle(&mut self, custody: &mut Custody<'_>) {
        let started = Instant::now();
        for device in &self.order.settle {
            let left = SETTLE_TIME.saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            match custody.settle(*device, left) {
                Ok(settled) => self.report.settled.push((*device, settled)),
                Err(error) => self.note(&error),
            }
        }
    }

    fn look_for_holder(&mut self, custody: &mut Custody<'_>) {
        match custody.look_for_holder(HOLDER_TIME) {
            Ok(holder) => self.report.holder = Some(holder),
            Err(error) => self.note(&error),
        }
    }

    fn verdict(&self, device: DeviceNumber) -> Option<Verdict> {
        let settled = self.report.settled.iter();
        let mut found = settled.filter(|(path, _)| *path == device);
        found.next().map(|(_, Settled { verdict, .. })| *verdict)
    }

    /// A path that was to be settled and could not be is in no table; one that does not work
    /// neither, where this node's registration is at stake: a new table takes each for working.
    fn is_wanted(&self, member: &Member) -> bool {
        match (member.health, self.verdict(member.device)) {
            (_, Some(verdict)) if !verdict.is_settled() => false,
            (Health::Works, Some(_)) => true,
            (Health::Works, None) => {
                member.is_settled && !self.order.settle.contains(&member.device)
            }
            (Health::Failed, _) => false,
        }
    }

    fn assemble(&mut self, dm: &DmControl, assembly: &Assembly) -> Result<(), DmError> {
        let wanted = table(assembly, |member| self.is_wanted(member));
        match self.device {
            None if wanted.groups.is_empty() => Ok(()),
            None => self.create(dm, assembly, &wanted),
            // Paths that may be wrong are better than none: they are taken out one by one.
            Some(_) if wanted.groups.is_empty() => Ok(()),
            Some(device) => {
                let present = FoundMap::read(&self.host.roots, dm, device);
                let is_present = present.is_ok_and(|found| {
                    is_same(&found.table, &wanted) && found.map.size == assembly.size
                });
                if is_present && assembly.effort == Effort::IfDifferent {
                    return Ok(());
                }
                self.load(dm, device, assembly, &wanted)
            }
        }
    }

    fn create(
        &mut self,
        dm: &DmControl,
        assembly: &Assembly,
        wanted: &MultipathTable,
    ) -> Result<(), DmError> {
        let uuid = format!("{UUID_PREFIX}{}", self.order.wwid);
        self.name = self.name_by(assembly.naming(), None);
        let device = self.create_named(dm, &uuid)?;
        if let Err(error) = self.load(dm, device, assembly, wanted) {
            // What has no table is of no use to anybody.
            let _ = dm.remove(device.into(), RemoveMode::Now, UdevCookie::NONE);
            return Err(error);
        }
        self.device = Some(device);
        let made = link_unless_udev(&self.host.roots, &self.name, device);
        self.note_result(made);
        let on_file = WwidsFile::new(&self.files.wwids).add(&self.order.wwid);
        self.note_result(on_file);
        Ok(())
    }

    /// A name that another map has is no reason to be without this one.
    fn create_named(&mut self, dm: &DmControl, uuid: &str) -> Result<DeviceNumber, DmError> {
        let wwid = &self.order().wwid;
        let created = match dm.create(&self.name, Some(uuid)) {
            Err(error) if self.name != *wwid && dm.info(DmName::Name(&self.name)).is_ok() => {
                tracing::warn!("{wwid}: {} is another device: {error}", self.name);
                self.name.clone_from(wwid);
                dm.create(wwid, Some(uuid))
            }
            created => created,
        };
        Ok(created?.device)
    }

    /// A name that cannot be put on file is no reason to be without a map; `present`: the name
    /// that it has.
    fn name_by(&mut self, naming: &Naming, present: Option<&str>) -> String {
        let prefix = match naming {
            Naming::Fixed(name) => return name.clone(),
            Naming::NextFree { prefix } => prefix,
        };
        let wwid = &self.order().wwid;
        let mapper = self.host.roots.dev.join("mapper");
        let is_taken = |name: &str| mapper.join(name).exists();
        let file = BindingsFile::new(&self.files.bindings);
        let wanted = present.filter(|name| name.starts_with(prefix));
        match file.allocate(wwid, prefix, wanted, is_taken) {
            Ok(name) => {
                self.report.named = Some(name.clone());
                name
            }
            Err(error) => {
                let path = self.files.bindings.display();
                tracing::warn!("{wwid}: no name from {path}: {error}");
                present.unwrap_or(wwid).to_owned()
            }
        }
    }

    fn load(
        &mut self,
        dm: &DmControl,
        device: DeviceNumber,
        assembly: &Assembly,
        wanted: &MultipathTable,
    ) -> Result<(), DmError> {
        let target = DmTarget {
            start: 0,
            length: assembly.size,
            target_type: MULTIPATH_TARGET.to_owned(),
            params: wanted.to_string(),
        };
        dm.load(
            device.into(),
            std::slice::from_ref(&target),
            LoadMode::ReadWrite,
        )?;
        let cookie = match (self.device.is_some(), wanted.groups.is_empty()) {
            (_, true) => UdevCookie::PRIMARY_SOURCE.with(UdevCookie::MULTIPATH_NO_PATHS),
            (true, false) => UdevCookie::PRIMARY_SOURCE.with(UdevCookie::MULTIPATH_RELOAD),
            (false, false) => UdevCookie::PRIMARY_SOURCE,
        };
        let flags = SuspendFlags::NO_FLUSH | SuspendFlags::SKIP_LOCKFS;
        if let Err(error) = dm.resume(device.into(), flags, cookie) {
            let _ = dm.clear(device.into());
            return Err(error);
        }
        self.report.is_loaded = true;
        let verb = if self.device.is_some() {
            "reload"
        } else {
            "create"
        };
        tracing::info!(
            "{}: {verb} [{} {}]",
            self.name,
            assembly.size,
            target.params
        );
        Ok(())
    }

    fn rename(&mut self, dm: &DmControl, naming: &Naming) -> Result<(), DmError> {
        let present = &self.order().name;
        let name = self.name_by(naming, Some(present));
        let Some(device) = self.device.filter(|_| name != *present) else {
            return Ok(());
        };
        dm.rename(present, &name, UdevCookie::PRIMARY_SOURCE)?;
        tracing::info!("{present}: renamed to {name}");
        self.name.clone_from(&name);
        if !is_udev_running() {
            let _ = unlink(&self.host.roots, present);
        }
        let made = link_unless_udev(&self.host.roots, &name, device);
        self.note_result(made);
        Ok(())
    }

    fn reinstate(&mut self, ground: &Ground<'_>) {
        let Some(map) = self.device else {
            return;
        };
        for path in &self.order.reinstate {
            let verdict = self.verdict(*path);
            let must_wait =
                self.order.settle.contains(path) && !verdict.is_some_and(Verdict::is_settled);
            if must_wait {
                continue;
            }
            match ground.message(map, &format!("reinstate_path {path}")) {
                Ok(()) => self.report.reinstated.push(*path),
                Err(error) => self.note(&error),
            }
        }
    }

    /// A map that is in use stays as it is: what it queues must not fail because of this.
    fn remove(&mut self, dm: &DmControl, removal: Removal) -> Result<(), DmError> {
        let Some(device) = self.device else {
            return Ok(());
        };
        let table = dm.table(device.into())?.targets;
        if removal == Removal::Leftover && self.has_devices(&table) {
            let name = &self.name;
            tracing::debug!("{name}: not removed, a device of its table is there");
            return Ok(());
        }
        let users = self.users(dm, device, removal)?;
        if users > 0 {
            let text = format!("in use, {users} have it open: it is not removed");
            match removal {
                Removal::Asked => self.note(&text),
                _ => tracing::debug!("{}: {text}", self.name),
            }
            return Ok(());
        }
        let is_queueing = table.iter().any(|target| target.params.contains(QUEUE));
        // One that queues without paths would keep udev, which has a look at it.
        dm.message(device.into(), 0, "fail_if_no_path")?;
        let cookie = UdevCookie::PRIMARY_SOURCE;
        if let Err(error) = dm.remove(device.into(), RemoveMode::Now, cookie) {
            if is_queueing {
                dm.message(device.into(), 0, QUEUE)?;
            }
            return Err(error);
        }
        self.report.is_removed = true;
        self.device = None;
        tracing::info!("{}: removed", self.name);
        if !is_udev_running() {
            let _ = unlink(&self.host.roots, &self.name);
        }
        Ok(())
    }

    /// Whether any device of a table is there, of whatever kind.
    fn has_devices(&self, table: &[DmTarget]) -> bool {
        let folder = self.host.roots.sys.join("dev/block");
        let words = table.iter().flat_map(|target| target.params.split(' '));
        let mut devices = words.filter_map(|word| word.parse::<DeviceNumber>().ok());
        devices.any(|device| folder.join(device.to_string()).exists())
    }

    /// How many have the map open. udev, which looks at every map that changes, closes it soon.
    fn users(
        &self,
        dm: &DmControl,
        device: DeviceNumber,
        removal: Removal,
    ) -> Result<u32, DmError> {
        let started = Instant::now();
        loop {
            let users = dm.info(device.into())?.open_count;
            if users == 0 || removal != Removal::Asked || started.elapsed() > UDEV_TIME {
                return Ok(users);
            }
            std::thread::sleep(UDEV_PAUSE);
        }
    }

    /// What came of it all.
    fn look(&mut self, ground: &Ground<'_>) {
        self.report.books = Some(read_books(self.host, &self.order.wwid, &self.order.key));
        if let Some(device) = self.device {
            self.report.found = ground.map(device);
        }
    }

    fn note_result<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.note(&error);
        }
    }

    fn note(&mut self, error: &dyn std::fmt::Display) {
        tracing::warn!("{}: {error}", self.order.name);
        self.report.problems.push(error.to_string());
    }
}

fn link_unless_udev(roots: &Roots, name: &str, device: DeviceNumber) -> Result<(), Failure> {
    if is_udev_running() {
        return Ok(());
    }
    link(roots, name, device).map_err(|error| Failure::Other {
        device: name.to_owned(),
        reason: format!("cannot make its link in /dev/mapper: {error}"),
    })
}

/// How long udev may take to look at a map, and how often it is seen whether it has done so.
const UDEV_TIME: Duration = Duration::from_secs(2);
const UDEV_PAUSE: Duration = Duration::from_millis(50);

/// The feature, and the message that sets it.
const QUEUE: &str = "queue_if_no_path";

/// How long the paths of one piece of work may take to be settled. `mpathpersist` waits half of
/// its 18 s for the lock.
const SETTLE_TIME: Duration = Duration::from_secs(6);

/// How long the reservation is read for.
const HOLDER_TIME: Duration = Duration::from_secs(2);
