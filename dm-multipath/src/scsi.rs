//! One SCSI device, from its own folder in sysfs: what it is called, what state it is in, and
//! which ports it is reached through. Nothing is sent to the device, no other device is
//! looked at.

mod port;
mod scan;
mod timeouts;
mod vpd;
mod wwid;

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

pub use port::{IsidOrigin, PortIdentity, Transport, read_target_node};
pub use scan::{read_access, read_handler, read_size, scan};
pub use timeouts::{PortTimeouts, Timeout};
pub use vpd::{Designator, designators};

use crate::sys::sg::{SgCommand, SgData};
use crate::{DeviceNumber, Roots, sysfs};

/// A SCSI device as sysfs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiDevice {
    /// Its block device's number.
    pub device: DeviceNumber,
    /// Its block device's name, such as `sda`.
    pub name: String,
    /// Its address.
    pub hctl: Hctl,
    /// The vendor, from its INQUIRY data.
    pub vendor: String,
    /// The product, from its INQUIRY data.
    pub model: String,
    /// The product's revision, from its INQUIRY data.
    pub rev: String,
    /// The name of its logical unit in the whole world, in the form of udev's `ID_SERIAL` and
    /// of multipath-tools: a digit for the kind, then the name. `None` if it has none.
    pub wwid: Option<String>,
    /// Whether the SCSI layer sends it commands.
    pub state: ScsiState,
    /// How the array says it can be used through this path (ALUA). `None` without a handler.
    pub access_state: Option<AccessState>,
    /// Whether the array prefers this path.
    pub preferred: Option<bool>,
    /// What lies between the two ports.
    pub transport: Transport,
    /// This machine's port.
    pub initiator_port: Option<PortIdentity>,
    /// The array's port.
    pub target_port: Option<PortIdentity>,
    /// The number of the array's port among all its ports (SPC-4 7.8.6.7), as in the answers
    /// of READ FULL STATUS.
    pub relative_target_port: Option<u16>,
    /// The group of the array's port (SPC-4 7.8.6.8).
    pub target_port_group: Option<u16>,
}

/// The address of a SCSI device in Linux, `host:channel:target:lun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hctl {
    /// The adapter's number.
    pub host: u32,
    /// The adapter's channel.
    pub channel: u32,
    /// The target on the channel.
    pub target: u32,
    /// The logical unit of the target.
    pub lun: u64,
}

/// Whether the SCSI layer sends commands to a device (`sdev_states` in
/// `drivers/scsi/scsi_sysfs.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiState(Cow<'static, str>);

impl ScsiState {
    /// It does.
    pub const RUNNING: Self = Self(Cow::Borrowed("running"));
    /// Switched off by the administrator or by error handling.
    pub const OFFLINE: Self = Self(Cow::Borrowed("offline"));
    /// The transport gave the port up.
    pub const TRANSPORT_OFFLINE: Self = Self(Cow::Borrowed("transport-offline"));
    /// Commands wait for the transport.
    pub const BLOCKED: Self = Self(Cow::Borrowed("blocked"));
    /// Only the SCSI layer's own commands are sent.
    pub const QUIESCE: Self = Self(Cow::Borrowed("quiesce"));

    /// The kernel's word for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScsiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An access state of ALUA (`sdev_access_states` in `drivers/scsi/scsi_sysfs.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessState(Cow<'static, str>);

impl AccessState {
    /// Best.
    pub const OPTIMIZED: Self = Self(Cow::Borrowed("active/optimized"));
    /// Works, slower.
    pub const NON_OPTIMIZED: Self = Self(Cow::Borrowed("active/non-optimized"));
    /// Takes few commands, those of persistent reservations among them; no reads, no writes.
    pub const STANDBY: Self = Self(Cow::Borrowed("standby"));
    /// Takes hardly any command.
    pub const UNAVAILABLE: Self = Self(Cow::Borrowed("unavailable"));
    /// Depends on the block.
    pub const LBA_DEPENDENT: Self = Self(Cow::Borrowed("lba-dependent"));
    /// The port is off.
    pub const OFFLINE: Self = Self(Cow::Borrowed("offline"));
    /// Changing from one state to another.
    pub const TRANSITIONING: Self = Self(Cow::Borrowed("transitioning"));

    /// The kernel's word for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a SCSI device could not be read from sysfs.
#[derive(Debug, thiserror::Error)]
pub enum ScsiError {
    /// There is no such block device, not any more.
    #[error("there is no block device {device}")]
    NotFound {
        /// The number that was looked up.
        device: DeviceNumber,
    },
    /// It is a block device of another kind, such as a partition or NVMe.
    #[error("{device} is not a SCSI disk")]
    NotScsi {
        /// The device.
        device: DeviceNumber,
    },
    /// The kernel does not take a value for an attribute.
    #[error("cannot write '{value}' to {}: {source}", path.display())]
    Write {
        /// The attribute.
        path: PathBuf,
        /// The value.
        value: String,
        /// Why not.
        source: io::Error,
    },
    /// Its folder could not be read, for example since it has just been removed.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ScsiDevice {
    /// Reads the device behind a block device's number.
    pub fn read(roots: &Roots, device: DeviceNumber) -> Result<Self, ScsiError> {
        let block = block_folder(roots, device)?;
        let folder = scsi_folder(&block).ok_or(ScsiError::NotScsi { device })?;
        let hctl = file_name(folder)
            .parse()
            .map_err(|_| ScsiError::NotScsi { device })?;
        let state = required(&folder.join("state"))?;
        let page = sysfs::bytes(&folder.join("vpd_pg83")).unwrap_or_default();
        let ports = port::read(roots, folder, hctl, &page);
        let text = |name: &str| sysfs::text(&folder.join(name));
        Ok(Self {
            device,
            name: file_name(&block).to_owned(),
            hctl,
            vendor: text("vendor").unwrap_or_default(),
            model: text("model").unwrap_or_default(),
            rev: text("rev").unwrap_or_default(),
            wwid: wwid::read(folder, &page),
            state: ScsiState(Cow::Owned(state)),
            access_state: text("access_state").map(|state| AccessState(Cow::Owned(state))),
            preferred: text("preferred_path").map(|text| text == "1"),
            transport: ports.transport,
            initiator_port: ports.initiator,
            target_port: ports.target,
            relative_target_port: vpd::relative_target_port(&page),
            target_port_group: vpd::target_port_group(&page),
        })
    }

    /// The device's node: `/dev/sda`.
    pub fn node(&self, roots: &Roots) -> PathBuf {
        roots.dev.join(&self.name)
    }
}

/// Reads the state alone, for checking a path again.
pub fn read_state(roots: &Roots, device: DeviceNumber) -> Result<ScsiState, ScsiError> {
    let state = attribute(roots, device, "device/state")?;
    Ok(ScsiState(Cow::Owned(state)))
}

/// Reads the kernel's name of a block device alone: `sda`.
pub fn read_name(roots: &Roots, device: DeviceNumber) -> Result<String, ScsiError> {
    let block = block_folder(roots, device)?;
    let name = block.file_name().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// TEST UNIT READY (SPC-4 6.47): whether the device would take I/O through this path. No data.
pub fn tur_command(timeout_ms: u32) -> SgCommand {
    SgCommand {
        cdb: vec![TEST_UNIT_READY, 0, 0, 0, 0, 0],
        data: SgData::None,
        timeout_ms,
    }
}

/// An attribute of a block device, without finding out where its folder really is.
fn attribute(roots: &Roots, device: DeviceNumber, name: &str) -> Result<String, ScsiError> {
    let path = block_link(roots, device).join(name);
    sysfs::required_text(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ScsiError::NotFound { device },
        _ => ScsiError::Read { path, source },
    })
}

fn block_link(roots: &Roots, device: DeviceNumber) -> PathBuf {
    roots.sys.join("dev/block").join(device.to_string())
}

/// The folder of a block device, through the link that sysfs has for its number.
fn block_folder(roots: &Roots, device: DeviceNumber) -> Result<PathBuf, ScsiError> {
    canonical(&block_link(roots, device)).map_err(|error| match error {
        ScsiError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            ScsiError::NotFound { device }
        }
        error => error,
    })
}

/// The folder of the SCSI device behind a disk's: `…/H:C:T:L/block/NAME`.
fn scsi_folder(block: &Path) -> Option<&Path> {
    let folder = block.parent()?.parent()?;
    file_name(folder).parse::<Hctl>().ok().map(|_| folder)
}

/// Where a link of sysfs leads. No folder on the way is a link, so that it need not be asked of
/// each of them.
fn canonical(path: &Path) -> Result<PathBuf, ScsiError> {
    let target = fs::read_link(path).map_err(|source| ScsiError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut folder = path.parent().map(Path::to_owned).unwrap_or_default();
    for part in target.components() {
        match part {
            Component::ParentDir => drop(folder.pop()),
            Component::CurDir => {}
            // An absolute one begins anew.
            part => folder.push(part),
        }
    }
    Ok(folder)
}

fn required(path: &Path) -> Result<String, ScsiError> {
    sysfs::required_text(path).map_err(|source| ScsiError::Read {
        path: path.to_owned(),
        source,
    })
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

impl fmt::Display for Hctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.host, self.channel, self.target, self.lun
        )
    }
}

impl FromStr for Hctl {
    type Err = ParseHctlError;

    fn from_str(text: &str) -> Result<Self, ParseHctlError> {
        let parts: Vec<_> = text.split(':').collect();
        let [host, channel, target, lun] = parts.as_slice() else {
            return Err(ParseHctlError);
        };
        Ok(Self {
            host: number(host)?,
            channel: number(channel)?,
            target: number(target)?,
            lun: number(lun)?,
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, ParseHctlError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseHctlError);
    }
    text.parse().map_err(|_| ParseHctlError)
}

/// A text is not the address of a SCSI device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:CHANNEL:TARGET:LUN in decimal digits")]
pub struct ParseHctlError;

/// SPC-4 6.47.
const TEST_UNIT_READY: u8 = 0x00;
