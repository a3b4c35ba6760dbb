//! A logical unit of the kernel's SCSI target, with paths of this node and nexuses of others.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::fabric::Port;
use super::kernel::{make, remove, write};
use super::{Fabric, Map, Nexus, map, port_group};
use crate::error::{Error, Result};

/// A logical unit; when it is dropped, its map, paths and target ports go.
#[derive(Debug)]
pub struct Lun {
    name: String,
    fabric: Fabric,
    store: PathBuf,
    paths: Vec<Nexus>,
    others: Vec<Nexus>,
    /// Further maps than that of this node.
    maps: Vec<String>,
}

/// Devices appear one builder at a time: whether sd binds to new devices is a setting of the whole
/// guest, and iscsistart cannot run twice at once.
pub(super) static BUILDING: Mutex<()> = Mutex::new(());

impl Lun {
    pub(super) fn create(name: &str, fabric: Fabric) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            fabric,
            store: make_store(name, PAGES)?,
            paths: Vec::new(),
            others: Vec::new(),
            maps: Vec::new(),
        })
    }

    /// Its name, which is also that of its [`map`](Self::map).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its WWID as multipath-tools says it.
    #[must_use]
    pub fn wwid(&self) -> String {
        wwid(&self.name)
    }

    /// This node's paths, in the order of their relative target ports.
    #[must_use]
    pub fn paths(&self) -> &[Nexus] {
        &self.paths
    }

    /// The same, to be changed.
    pub fn paths_mut(&mut self) -> &mut [Nexus] {
        &mut self.paths
    }

    /// One more path of this node.
    ///
    /// # Errors
    /// If the kernel refuses or the disk does not appear.
    pub fn add_path(&mut self) -> Result<&Nexus> {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let nexus = self.connect(1)?;
        self.paths.push(nexus.clone());
        nexus.await_device("block")?;
        nexus.await_device("scsi_generic")?;
        self.paths
            .last()
            .ok_or_else(|| Error::unexpected("no path was added"))
    }

    /// Nexuses of another node (2 and up): only generic devices, so that nothing here takes them
    /// for paths of its own.
    ///
    /// # Errors
    /// If the kernel refuses or a device does not appear.
    pub fn add_nexuses(&mut self, node: u8, count: usize) -> Result<Vec<Nexus>> {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let _unbound = Unbound::begin()?;
        let first = self.others.len();
        for _ in 0..count {
            let nexus = self.connect(node)?;
            self.others.push(nexus.clone());
            nexus.await_device("scsi_generic")?;
        }
        Ok(self.others.iter().skip(first).cloned().collect())
    }

    /// Another node (2 and up) with a map of its own over its own paths. The guest has one
    /// device-mapper, which takes a WWID once, and whose maps every daemon takes for its own: the
    /// node's map has none, and so goes by its name.
    ///
    /// # Errors
    /// If the kernel refuses or a device does not appear.
    pub fn add_node(&mut self, node: u8, count: usize) -> Result<(Map, Vec<Nexus>)> {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.others.len();
        for _ in 0..count {
            let nexus = self.connect(node)?;
            self.others.push(nexus.clone());
            nexus.await_device("block")?;
            nexus.await_device("scsi_generic")?;
        }
        let paths: Vec<Nexus> = self.others.iter().skip(first).cloned().collect();
        let uuid = format!("node{node}-{}", self.wwid());
        self.maps.push(uuid.clone());
        let name = format!("{}node{node}", self.name);
        Ok((Map::create_as(&name, &uuid, self.blocks(), &paths)?, paths))
    }

    /// The map over all paths, made without any daemon.
    ///
    /// # Errors
    /// If device-mapper refuses.
    pub fn map(&self) -> Result<Map> {
        Map::create(self, &self.paths)
    }

    /// Another map over all paths, with that uuid.
    ///
    /// # Errors
    /// If device-mapper refuses.
    pub fn map_as(&mut self, uuid: &str) -> Result<Map> {
        self.maps.push(uuid.to_owned());
        let name = format!("{}as{}", self.name, self.maps.len());
        Map::create_as(&name, uuid, self.blocks(), &self.paths)
    }

    /// The number of 512-byte blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        PAGES * 4096 / 512
    }

    /// Its folder in configfs.
    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    fn connect(&self, node: u8) -> Result<Nexus> {
        let port = Port::create(self.fabric, node)?;
        let address = port.export(&self.store).inspect_err(|_| port.destroy())?;
        // Counted by the target, per LUN and in the order of export.
        let number = self.paths.len() + self.others.len() + 1;
        let number = u16::try_from(number).map_err(|_| Error::unexpected("too many ports"))?;
        Ok(Nexus::new(port, address, number))
    }
}

impl Drop for Lun {
    fn drop(&mut self) {
        let mut maps = std::mem::take(&mut self.maps);
        maps.push(format!("mpath-{}", self.wwid()));
        let nexuses: Vec<Nexus> = self.paths.drain(..).chain(self.others.drain(..)).collect();
        let store = self.store.clone();
        let (done, waiting) = mpsc::channel();
        // In a thread of its own: a device with a stuck command cannot be removed, and must not
        // keep the other scenarios from running.
        std::thread::spawn(move || {
            nexuses.iter().for_each(Nexus::heal);
            maps.iter().for_each(|uuid| map::remove_by_uuid(uuid));
            for nexus in &nexuses {
                if nexus.exists() {
                    let _ = nexus.delete();
                }
                nexus.port.destroy();
            }
            port_group::remove_groups(&store);
            remove(&store);
            let _ = done.send(());
        });
        if waiting.recv_timeout(CLEANUP_LIMIT).is_err() {
            eprintln!(
                "lab: {} cannot be removed, something in it is stuck",
                self.name
            );
        }
    }
}

/// What a LUN of that name keeps its blocks in: so many pages of the guest's memory.
pub(super) fn make_store(name: &str, pages: u64) -> Result<PathBuf> {
    let store = Path::new(STORES).join(name);
    if store.exists() {
        return Err(Error::unexpected(format!(
            "two scenarios have a LUN named {name}"
        )));
    }
    make(&store)?;
    write(&store.join("control"), &format!("rd_pages={pages}"))?;
    write(&store.join("wwn/vpd_unit_serial"), &serial(name))?;
    write(&store.join("enable"), "1")?;
    Ok(store)
}

/// The WWID of a LUN of that name: "3" and the NAA identifier, which LIO makes of its vendor's
/// number and the first 25 digits of the serial number.
pub(super) fn wwid(name: &str) -> String {
    let digits: String = serial(name).chars().take(25).collect();
    format!("36001405{digits}")
}

/// While it lives, new devices get no driver.
struct Unbound;

impl Unbound {
    fn begin() -> Result<Self> {
        write(AUTOPROBE.as_ref(), "0").map(|()| Self)
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = write(AUTOPROBE.as_ref(), "1");
    }
}

/// 32 hex digits that depend on the name only: FNV-1a, twice.
fn serial(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}{:016x}", hash.rotate_left(23))
}

const AUTOPROBE: &str = "/sys/bus/scsi/drivers_autoprobe";

const STORES: &str = "/sys/kernel/config/target/core/rd_mcp_0";

/// Pages of 4 KiB of a LUN: 4 MiB.
const PAGES: u64 = 1024;

const CLEANUP_LIMIT: Duration = Duration::from_secs(60);
