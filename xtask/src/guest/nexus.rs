//! One I_T nexus of the lab as its initiator sees it: the device's names, and what can befall it.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::fabric::Port;
use super::kernel::{names, read, write};
use super::lun::BUILDING;
use super::{Fabric, Witness, until};
use crate::error::{Error, Result};

/// A path of this node, or a nexus of another node (which has no block device).
#[derive(Debug, Clone)]
pub struct Nexus {
    pub(super) port: Port,
    address: String,
    relative_target_port: u16,
}

impl Nexus {
    pub(super) fn new(port: Port, address: String, relative_target_port: u16) -> Self {
        Self {
            port,
            address,
            relative_target_port,
        }
    }

    /// The SCSI address H:C:T:L.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The number by which READ FULL STATUS names the target port: registrations of a LUN are told
    /// apart by it.
    #[must_use]
    pub fn relative_target_port(&self) -> u16 {
        self.relative_target_port
    }

    /// The fabric that it is on.
    #[must_use]
    pub fn fabric(&self) -> Fabric {
        self.port.fabric
    }

    /// The block device's name now, such as `sda`: a path that returns may get another.
    ///
    /// # Errors
    /// If there is none.
    pub fn disk(&self) -> Result<String> {
        self.device("block")
            .ok_or_else(|| Error::unexpected(format!("{} is gone", self.address)))
    }

    /// The block device's number, such as `8:16`.
    ///
    /// # Errors
    /// If there is none.
    pub fn number(&self) -> Result<String> {
        read(&Path::new("/sys/block").join(self.disk()?).join("dev"))
    }

    /// The generic device's node, such as `/dev/sg3`.
    ///
    /// # Errors
    /// If there is none.
    pub fn sg(&self) -> Result<String> {
        let name = self.device("scsi_generic");
        let name = name.ok_or_else(|| Error::unexpected(format!("{} is gone", self.address)))?;
        Ok(format!("/dev/{name}"))
    }

    /// Whether the initiator has a device for it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.folder().exists()
    }

    /// sg_persist by this nexus.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness::new(self.clone())
    }

    /// The device's state as sysfs says it (`running`, `offline`, …).
    ///
    /// # Errors
    /// If there is no device.
    pub fn state(&self) -> Result<String> {
        read(&self.folder().join("state"))
    }

    /// Takes the device offline: opening it fails, commands on open descriptors fail at once.
    ///
    /// # Errors
    /// If there is no device.
    pub fn set_offline(&self) -> Result {
        write(&self.folder().join("state"), "offline")
    }

    /// Undoes [`set_offline`](Self::set_offline).
    ///
    /// # Errors
    /// If there is no device.
    pub fn set_running(&self) -> Result {
        write(&self.folder().join("state"), "running")
    }

    /// Removes the device from the initiator, as when a cable is pulled: the target keeps its
    /// registration.
    ///
    /// # Errors
    /// If there is no device.
    pub fn delete(&self) -> Result {
        write(&self.folder().join("delete"), "1")?;
        until(&format!("{} to go", self.address), || {
            Ok((!self.exists()).then_some(()))
        })
    }

    /// Brings the device back after [`delete`](Self::delete), perhaps with another name.
    ///
    /// # Errors
    /// If it does not appear.
    pub fn rescan(&self) -> Result {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, _) = self.address.split_once(':').unwrap_or_default();
        // Everything, since tcm_loop's hosts refuse to be asked for LUN 0 (their max_lun is 0).
        write(
            format!("/sys/class/scsi_host/host{host}/scan").as_ref(),
            "- - -",
        )?;
        self.await_device("block")
    }

    /// iSCSI: the device goes, its session ends, and another session takes its place, which the
    /// target takes for another initiator port.
    ///
    /// # Errors
    /// On another fabric, or if the device does not appear.
    pub fn log_in_anew(&mut self) -> Result {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        self.delete()?;
        self.address = self.port.log_in_anew()?;
        self.await_device("block")
    }

    /// Makes the initiator ask the device again what it is and how its ports are grouped.
    ///
    /// # Errors
    /// If there is no device.
    pub fn refresh(&self) -> Result {
        write(&self.folder().join("rescan"), "1")
    }

    /// Cuts the link (tcm_loop): the device can be opened and says `running`, but commands fail.
    ///
    /// # Errors
    /// On another fabric.
    pub fn link_down(&self) -> Result {
        self.port.set_link("offline")
    }

    /// Mends the link (tcm_loop); a unit attention tells of it.
    ///
    /// # Errors
    /// On another fabric.
    pub fn link_up(&self) -> Result {
        self.port.set_link("online")
    }

    /// Makes every command hang (iSCSI) until [`resume`](Self::resume) or its time-out.
    ///
    /// # Errors
    /// On another fabric.
    pub fn hang(&self) -> Result {
        self.port.remove_address()
    }

    /// Lets what hangs go on; TCP may take as long again as it has hung.
    ///
    /// # Errors
    /// On another fabric.
    pub fn resume(&self) -> Result {
        self.port.add_address()
    }

    /// Waits until the device of that kind (`block`, `scsi_generic`) and its node are there.
    pub(super) fn await_device(&self, kind: &str) -> Result {
        until(&format!("a {kind} device of {}", self.address), || {
            let name = self.device(kind);
            // A node of that name may be left of a device that went; links come after it.
            let mut places = vec![
                Path::new("/dev").to_owned(),
                Path::new("/sys/class").join(kind),
            ];
            if kind == "block" {
                places.push("/sys/block".into());
            }
            let is_there = |name: &String| places.iter().all(|place| place.join(name).exists());
            Ok(name.filter(is_there).map(drop))
        })
    }

    /// Undoes faults, so that the device can be removed.
    pub(super) fn heal(&self) {
        match self.fabric() {
            Fabric::Loop => drop(self.link_up()),
            Fabric::Iscsi => drop(self.resume()),
        }
        if self.exists() {
            let _ = self.set_running();
        }
    }

    fn device(&self, kind: &str) -> Option<String> {
        names(&self.folder().join(kind)).pop()
    }

    fn folder(&self) -> PathBuf {
        Path::new("/sys/class/scsi_device")
            .join(&self.address)
            .join("device")
    }
}
