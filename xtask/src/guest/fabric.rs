//! Target ports of the kernel's SCSI target: each path gets one of its own, with one I_T nexus.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::kernel::{link, make, names, read, remove, unlink, write};
use super::{run, until};
use crate::error::{Error, Result};

/// How initiator and target are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fabric {
    /// tcm_loop: quick, SAS identities, a link that can be cut. PREEMPT AND ABORT never returns
    /// over it with Linux 6.1: the command runs in the work item that it then waits for.
    Loop,
    /// iSCSI over the loopback interface: real sessions, which can be made to hang.
    Iscsi,
}

/// One target port with its initiator.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub(super) fabric: Fabric,
    /// The target port group's folder in configfs.
    folder: PathBuf,
    /// The initiator port's (tcm_loop) or node's (iSCSI) name.
    initiator: String,
    /// iSCSI: the portal's address.
    address: String,
}

/// The LUN's number at every port.
const LUN: &str = "lun_0";

const CONFIGFS: &str = "/sys/kernel/config/target";

static PORTS: AtomicU32 = AtomicU32::new(0);

impl Port {
    /// A new target for an initiator of that node.
    pub(super) fn create(fabric: Fabric, node: u8) -> Result<Self> {
        let number = PORTS.fetch_add(1, Ordering::Relaxed) + 1;
        let port = Self::named(fabric, node, number);
        make(&port.folder)?;
        match fabric {
            Fabric::Loop => write(&port.file("nexus"), &port.initiator)?,
            Fabric::Iscsi => port.open_portal()?,
        }
        Ok(port)
    }

    fn named(fabric: Fabric, node: u8, number: u32) -> Self {
        let [_, a, b, c] = number.to_be_bytes();
        match fabric {
            Fabric::Loop => Self {
                fabric,
                folder: format!("{CONFIGFS}/loopback/naa.5f{number:014x}/tpgt_0").into(),
                initiator: format!("naa.5a{node:02x}{number:012x}"),
                address: String::new(),
            },
            Fabric::Iscsi => Self {
                fabric,
                folder: format!("{CONFIGFS}/iscsi/iqn.2024-01.lab:t{number}/tpgt_1").into(),
                initiator: format!("iqn.2024-01.lab:node{node}"),
                address: format!("127.{}.{b}.{c}", u16::from(a) + 1),
            },
        }
    }

    fn open_portal(&self) -> Result {
        self.add_address()?;
        make(&self.file("np").join(format!("{}:{PORTAL}", self.address)))?;
        make(&self.acl())?;
        write(&self.file("attrib/authentication"), "0")?;
        write(&self.file("enable"), "1")
    }

    /// Exports a store; the initiator then has a SCSI device, whose address (H:C:T:L) is returned.
    pub(super) fn export(&self, store: &Path) -> Result<String> {
        let lun = self.add_lun(0, store)?;
        match self.fabric {
            Fabric::Loop => Ok(format!("{}:0", read(&self.file("address"))?)),
            Fabric::Iscsi => {
                let mapped = self.acl().join(LUN);
                make(&mapped)?;
                link(&lun, &mapped.join("lun"))?;
                self.login()
            }
        }
    }

    /// Exports a store by that number; over tcm_loop the initiator has a device then.
    pub(super) fn add_lun(&self, number: usize, store: &Path) -> Result<PathBuf> {
        let lun = self.file("lun").join(format!("lun_{number}"));
        make(&lun)?;
        link(store, &lun.join("store"))?;
        Ok(lun)
    }

    fn login(&self) -> Result<String> {
        let target = self.target();
        let before = session(&target);
        let mut args: Vec<String> = ["-i", &self.initiator, "-t", &target, "-g", "1", "-a"]
            .map(str::to_owned)
            .to_vec();
        args.extend([self.address.clone(), "-p".to_owned(), PORTAL.to_owned()]);
        for parameter in SESSION {
            args.extend(["--param".to_owned(), (*parameter).to_owned()]);
        }
        run("iscsistart", &args)?.succeeded()?;
        let host = until(&format!("a session with {target}"), || {
            let newest = session(&target).filter(|newest| Some(newest) != before.as_ref());
            Ok(newest.and_then(|session| session_host(&session)))
        })?;
        let address = format!("{host}:0:0:0");
        if !Path::new("/sys/class/scsi_device").join(&address).exists() {
            let scan = format!("/sys/class/scsi_host/host{host}/scan");
            write(scan.as_ref(), "0 0 0")?;
        }
        Ok(address)
    }

    /// iSCSI: ends the session, as when its network is gone, and makes another, which the target
    /// knows by another ISID. Returns the address of its device; that of the old one has to be
    /// gone.
    pub(super) fn log_in_anew(&mut self) -> Result<String> {
        self.require_session()?;
        write(&self.file("enable"), "0")?;
        self.remove_address()?;
        // This side keeps its end of the session, and would not make another to that address.
        let count = names(&self.file("np")).len();
        let (_, rest) = self.address.split_once('.').unwrap_or_default();
        let (_, rest) = rest.split_once('.').unwrap_or_default();
        self.address = format!("127.{}.{rest}", 100 + count);
        self.add_address()?;
        make(&self.file("np").join(format!("{}:{PORTAL}", self.address)))?;
        write(&self.file("enable"), "1")?;
        self.login()
    }

    /// Puts the port into a group of the LUN's.
    pub(super) fn join_group(&self, name: &str) -> Result {
        write(&self.file("lun").join(LUN).join("alua_tg_pt_gp"), name)
    }

    /// tcm_loop: whether commands reach the target.
    pub(super) fn set_link(&self, status: &str) -> Result {
        if self.fabric != Fabric::Loop {
            return Err(Error::unexpected("only tcm_loop has a link to cut"));
        }
        write(&self.file("transport_status"), status)
    }

    /// iSCSI: takes the portal's address away; what is sent to it waits.
    pub(super) fn remove_address(&self) -> Result {
        self.require_session()?;
        let address = format!("{}/32", self.address);
        run("ip", ["address", "del", &address, "dev", "lo"])?
            .succeeded()
            .map(drop)
    }

    /// iSCSI: brings the portal's address (back).
    pub(super) fn add_address(&self) -> Result {
        self.require_session()?;
        let address = format!("{}/32", self.address);
        run("ip", ["address", "replace", &address, "dev", "lo"])?
            .succeeded()
            .map(drop)
    }

    fn require_session(&self) -> Result {
        match self.fabric {
            Fabric::Iscsi => Ok(()),
            Fabric::Loop => Err(Error::unexpected("only an iSCSI session can hang")),
        }
    }

    /// Undoes everything; a session without target is left to itself, since nothing but a daemon
    /// could end it.
    pub(super) fn destroy(&self) {
        if self.fabric == Fabric::Iscsi {
            let _ = write(&self.file("enable"), "0");
            unlink(&self.acl().join(LUN).join("lun"));
            remove(&self.acl().join(LUN));
            remove(&self.acl());
            for portal in names(&self.file("np")) {
                remove(&self.file("np").join(portal));
            }
            let _ = self.remove_address();
        }
        let lun = self.file("lun").join(LUN);
        unlink(&lun.join("store"));
        remove(&lun);
        if self.fabric == Fabric::Loop {
            let _ = write(&self.file("nexus"), "NULL");
        }
        remove(&self.folder);
        if let Some(target) = self.folder.parent() {
            remove(target);
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn acl(&self) -> PathBuf {
        self.file("acls").join(&self.initiator)
    }

    /// The target's name: the folder above the port group's.
    fn target(&self) -> String {
        let name = self.folder.parent().and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// The name of the newest session with that target.
fn session(target: &str) -> Option<String> {
    let sessions = Path::new(SESSIONS);
    let is_it = |name: &String| {
        read(&sessions.join(name).join("targetname")).is_ok_and(|name| name == target)
    };
    let number = |name: &String| name.trim_start_matches("session").parse::<u32>().ok();
    let all = names(sessions).into_iter().filter(is_it);
    all.max_by_key(number)
}

/// The number of a session's SCSI host.
fn session_host(session: &str) -> Option<String> {
    let device = std::fs::canonicalize(Path::new(SESSIONS).join(session)).ok()?;
    let mut parts = device.iter().filter_map(|part| part.to_str());
    parts
        .find_map(|part| part.strip_prefix("host"))
        .map(str::to_owned)
}

const SESSIONS: &str = "/sys/class/iscsi_session";

const PORTAL: &str = "3260";

/// No pings, so that a session that hangs is not given up before the scenario lets it go on;
/// bounded error recovery once a command has timed out.
const SESSION: &[&str] = &[
    "node.conn[0].timeo.noop_out_interval=0",
    "node.conn[0].timeo.noop_out_timeout=0",
    "node.session.err_timeo.abort_timeout=5",
    "node.session.err_timeo.lu_reset_timeout=5",
    "node.session.err_timeo.tgt_reset_timeout=5",
];
