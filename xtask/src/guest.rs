//! The half of the lab that runs inside the guest: SCSI disks with persistent reservations from
//! the kernel's own target, maps over them, faults, and sg_persist as the independent witness.
//!
//! ```no_run
//! use xtask::guest::{Fabric, Lab, run};
//!
//! # fn scenario() -> xtask::error::Result {
//! let lab = Lab::shared("example")?;
//! let mut lun = lab.lun(Fabric::Loop, 4)?;      // four paths of this node
//! let other = lun.add_nexuses(2, 1)?;           // node 2: sg only
//! let map = lun.map()?;                         // /dev/mapper/example1
//! run("mpathpersist", ["-o", "-G", "-S", "0x1", "-d", map.node()])?.succeeded()?;
//! assert_eq!(other[0].witness().read_keys()?.keys.len(), 4);
//! # Ok(())
//! # }
//! ```
//!
//! A scenario claims the guest by [`Lab::shared`] and then runs beside others, on LUNs of its own;
//! whoever runs a daemon or changes `/etc/multipath.conf` claims it by [`Lab::alone`]. What a
//! scenario made goes when its [`Lun`]s are dropped, so that one boot serves many.

pub mod bench;
mod cluster;
mod command;
pub mod demo;
mod fabric;
mod kernel;
mod lite;
mod lun;
mod map;
mod multipathd;
mod nexus;
mod node;
mod port_group;
pub mod shell;
mod systemd;
mod udev;
mod wait;
mod witness;
mod witness_text;
mod writer;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Context, Error, Result};

pub use cluster::{Cluster, Member};
pub use command::{Finished, Run, run};
pub use fabric::Fabric;
pub use lite::{Lite, passed};
pub use lun::Lun;
pub use map::{Map, active_paths};
pub use multipathd::Multipathd;
pub use nexus::Nexus;
pub use node::{Home, Node, Persist};
pub use port_group::{PortGroup, PortState};
pub use systemd::Systemd;
pub use udev::WithoutUdev;
pub use wait::until;
pub use witness::{Answer, Keys, Registration, Reservation, Witness};
pub use writer::{Writer, Written};

/// A scenario's claim on the guest.
#[derive(Debug)]
pub struct Lab {
    name: String,
    luns: AtomicU32,
    claim: Claim,
}

#[derive(Debug)]
enum Claim {
    Shared(#[expect(dead_code, reason = "held for its drop")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] RwLockWriteGuard<'static, ()>),
}

/// Scenarios beside each other, or one that has the guest to itself.
static CLAIMS: RwLock<()> = RwLock::new(());

/// Says what a scenario has measured, also if it succeeds: cargo's tests keep what they print to
/// themselves then.
pub fn tell(seen: &str) {
    let _ = writeln!(std::io::stderr(), "seen: {seen}");
}

impl Lab {
    /// Claims the guest together with other scenarios. `name` is the scenario's own (letters and
    /// digits): LUNs and maps are named after it.
    ///
    /// # Errors
    /// Outside the guest.
    pub fn shared(name: &str) -> Result<Self> {
        require_guest()?;
        let guard = CLAIMS.read().unwrap_or_else(PoisonError::into_inner);
        udev::set_rules(udev::Rules::Links)?;
        Ok(Self::new(name, Claim::Shared(guard)))
    }

    /// Claims the whole guest, as a daemon or a change of `/etc/multipath.conf` needs it: both
    /// concern all disks.
    ///
    /// # Errors
    /// Outside the guest.
    pub fn alone(name: &str) -> Result<Self> {
        require_guest()?;
        let guard = CLAIMS.write().unwrap_or_else(PoisonError::into_inner);
        udev::set_rules(udev::Rules::All)?;
        Ok(Self::new(name, Claim::Alone(guard)))
    }

    fn new(name: &str, claim: Claim) -> Self {
        Self {
            name: name.to_owned(),
            luns: AtomicU32::new(0),
            claim,
        }
    }

    /// A new LUN with that many paths of this node, named after the scenario.
    ///
    /// # Errors
    /// If the kernel refuses, or a path does not appear.
    pub fn lun(&self, fabric: Fabric, paths: usize) -> Result<Lun> {
        let number = self.luns.fetch_add(1, Ordering::Relaxed) + 1;
        self.lun_named(&format!("{}{number}", self.name), fabric, paths)
    }

    /// As [`lun`](Self::lun), with a name that no other scenario uses.
    ///
    /// # Errors
    /// As [`lun`](Self::lun).
    pub fn lun_named(&self, name: &str, fabric: Fabric, paths: usize) -> Result<Lun> {
        let mut lun = Lun::create(name, fabric)?;
        for _ in 0..paths {
            lun.add_path()?;
        }
        Ok(lun)
    }

    /// Writes `/etc/multipath.conf` until the end of the scenario, which must have the guest
    /// [alone](Self::alone).
    ///
    /// # Errors
    /// If others are at work, or the file cannot be written.
    pub fn write_config(&self, text: &str) -> Result {
        if !self.is_alone() {
            return Err(Error::unexpected(
                "a configuration concerns all: claim the lab alone",
            ));
        }
        std::fs::write(CONFIG, text).context(|| format!("cannot write {CONFIG}"))
    }

    fn is_alone(&self) -> bool {
        matches!(self.claim, Claim::Alone(_))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.is_alone() {
            let _ = std::fs::write(CONFIG, DEFAULT_CONFIG);
            let _ = std::fs::remove_file("/etc/multipath/prkeys");
        }
    }
}

/// Where multipath-tools reads its configuration.
const CONFIG: &str = "/etc/multipath.conf";

/// The configuration that the guest starts with and returns to. LIO's built-in settings queue for
/// ever without paths, and read the disk to check it, which fails under some reservations.
pub const DEFAULT_CONFIG: &str = "\
defaults {
	user_friendly_names yes
	find_multipaths greedy
	reservation_key file
	polling_interval 1
}
overrides {
	no_path_retry fail
	path_grouping_policy multibus
	path_checker tur
}
";

/// Made by the guest's init.
const MARK: &str = "/run/mpath-lab";

fn require_guest() -> Result {
    if Path::new(MARK).is_dir() {
        return Ok(());
    }
    Err(Error::unexpected(
        "this is not the lab's guest, and the scenarios change disks and kernel settings: \
         run them by `cargo xtask lab`",
    ))
}
