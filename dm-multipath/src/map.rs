//! From what a user typed to one multipath map and its paths.
//!
//! One device-mapper request for a map given by number, node or name; at most two more for a
//! uuid or WWID. No list of maps is read, so other maps cost nothing.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::sys::dm::{DmControl, DmDevice, DmError, DmName, DmTarget, DmTargets};
use crate::table::{MULTIPATH_TARGET, MultipathStatus, ParseError, PathState};
use crate::{DeviceNumber, Roots};

/// A multipath map as the kernel has it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Its number.
    pub device: DeviceNumber,
    /// Its name, such as `mpatha`.
    pub name: String,
    /// Its uuid, `mpath-` and the WWID if multipath-tools made it; may be empty.
    pub uuid: String,
    /// Its size in sectors of 512 bytes.
    pub size: u64,
    /// Whether its I/O is stopped.
    pub suspended: bool,
    /// What the multipath target says.
    pub status: MultipathStatus,
    /// Its paths, in the table's order; none if the map has none.
    pub paths: Vec<MapPath>,
}

/// A path of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapPath {
    /// Its device.
    pub device: DeviceNumber,
    /// Its group, counted from 1.
    pub group: u32,
    /// What device-mapper thinks of it.
    pub dm_state: PathState,
    /// How often it has failed since the table was loaded.
    pub fail_count: u32,
}

/// Why something is not a multipath map.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such file, device or name.
    #[error("{spec}: there is no such device")]
    NotFound {
        /// As the user gave it.
        spec: String,
    },
    /// It is a file, but not a block device.
    #[error("{}: not a block device", path.display())]
    NotBlockDevice {
        /// The file.
        path: PathBuf,
    },
    /// It could not be looked at.
    #[error("{}: {source}", path.display())]
    Stat {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is a block device, but not one of device-mapper's.
    #[error("{spec} ({device}): not a device-mapper device")]
    NotDeviceMapper {
        /// As the user gave it.
        spec: String,
        /// Its number.
        device: DeviceNumber,
    },
    /// It is a device-mapper device, but its table is not one multipath target.
    #[error("{name} ({device}): not a multipath map, but {}", target_text(target.as_deref()))]
    NotMultipath {
        /// Its number.
        device: DeviceNumber,
        /// Its name.
        name: String,
        /// The type of its first target, and whether there are more; `None` if it has no
        /// table.
        target: Option<String>,
    },
    /// The kernel's status of the map cannot be understood.
    #[error("{name} ({device}): status of the multipath target: {source}")]
    Status {
        /// Its number.
        device: DeviceNumber,
        /// Its name.
        name: String,
        /// Where and why.
        source: ParseError,
    },
    /// Device-mapper could not be asked.
    #[error(transparent)]
    Dm(#[from] DmError),
}

/// Where the status of one device comes from: [`DmControl`], or a test.
pub trait StatusSource {
    /// See [`DmControl::status`].
    fn status(&self, device: DmName<'_>) -> Result<DmTargets, DmError>;
}

impl StatusSource for DmControl {
    fn status(&self, device: DmName<'_>) -> Result<DmTargets, DmError> {
        Self::status(self, device)
    }
}

impl Map {
    /// Finds the map that `spec` names: a number (`253:0`), a path to a block node or to a
    /// link to one (`/dev/mapper/mpatha`, `/dev/dm-0`), or, without a slash, a map's name,
    /// its uuid, its WWID, or a node's name below `/dev`, in this order.
    pub fn resolve(
        roots: &Roots,
        dm: &impl StatusSource,
        spec: &str,
    ) -> Result<Self, ResolveError> {
        if spec.contains('/') {
            return Self::from_node(roots, dm, spec, &rooted(roots, spec));
        }
        if let Ok(device) = spec.parse() {
            return Self::from_number(roots, dm, spec, device);
        }
        if spec.is_empty() {
            return Err(ResolveError::NotFound {
                spec: String::new(),
            });
        }
        let uuid = format!("{UUID_PREFIX}{spec}");
        for name in [DmName::Name(spec), DmName::Uuid(spec), DmName::Uuid(&uuid)] {
            match dm.status(name) {
                Err(error) if error.is_no_such_device() => {}
                found => return Self::from_targets(found?),
            }
        }
        Self::from_node(roots, dm, spec, &roots.dev.join(spec))
    }

    /// Reads a map again, by its number.
    pub fn read(dm: &impl StatusSource, device: DeviceNumber) -> Result<Self, ResolveError> {
        match dm.status(DmName::Device(device)) {
            Err(error) if error.is_no_such_device() => Err(ResolveError::NotFound {
                spec: device.to_string(),
            }),
            found => Self::from_targets(found?),
        }
    }

    /// The WWID of the logical unit, if the uuid tells.
    pub fn wwid(&self) -> Option<&str> {
        self.uuid
            .strip_prefix(UUID_PREFIX)
            .filter(|wwid| !wwid.is_empty())
    }

    fn from_node(
        roots: &Roots,
        dm: &impl StatusSource,
        spec: &str,
        path: &Path,
    ) -> Result<Self, ResolveError> {
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ResolveError::NotFound {
                spec: spec.to_owned(),
            },
            _ => ResolveError::Stat {
                path: path.to_owned(),
                source,
            },
        })?;
        if !metadata.file_type().is_block_device() {
            return Err(ResolveError::NotBlockDevice {
                path: path.to_owned(),
            });
        }
        Self::from_number(roots, dm, spec, DeviceNumber::from_rdev(metadata.rdev()))
    }

    fn from_number(
        roots: &Roots,
        dm: &impl StatusSource,
        spec: &str,
        device: DeviceNumber,
    ) -> Result<Self, ResolveError> {
        let spec = || spec.to_owned();
        match dm.status(DmName::Device(device)) {
            Err(error) if error.is_no_such_device() => {
                let folder = roots.sys.join("dev/block").join(device.to_string());
                if folder.exists() {
                    Err(ResolveError::NotDeviceMapper {
                        spec: spec(),
                        device,
                    })
                } else {
                    // A node that has outlived its device.
                    Err(ResolveError::NotFound { spec: spec() })
                }
            }
            found => Self::from_targets(found?),
        }
    }

    fn from_targets(found: DmTargets) -> Result<Self, ResolveError> {
        let DmTargets {
            device: dm,
            targets,
        } = found;
        let target = match targets.as_slice() {
            [target] if target.target_type == MULTIPATH_TARGET => target,
            others => return Err(not_multipath(dm, others)),
        };
        let status: MultipathStatus = match target.params.parse() {
            Ok(status) => status,
            Err(source) => {
                return Err(ResolveError::Status {
                    device: dm.device,
                    name: dm.name,
                    source,
                });
            }
        };
        Ok(Self {
            device: dm.device,
            suspended: dm.is_suspended(),
            name: dm.name,
            uuid: dm.uuid,
            size: target.length,
            paths: paths(&status),
            status,
        })
    }
}

fn paths(status: &MultipathStatus) -> Vec<MapPath> {
    let groups = (1..).zip(&status.groups);
    let paths =
        groups.flat_map(|(number, group)| group.paths.iter().map(move |path| (number, path)));
    paths
        .map(|(group, path)| MapPath {
            device: path.device,
            group,
            dm_state: path.state,
            fail_count: path.fail_count,
        })
        .collect()
}

fn not_multipath(dm: DmDevice, targets: &[DmTarget]) -> ResolveError {
    let more = if targets.len() > 1 { " and more" } else { "" };
    let target = targets
        .first()
        .map(|target| format!("{}{more}", target.target_type));
    ResolveError::NotMultipath {
        device: dm.device,
        name: dm.name,
        target,
    }
}

/// A path as given, but `/dev` below the root that stands for it.
fn rooted(roots: &Roots, spec: &str) -> PathBuf {
    match Path::new(spec).strip_prefix("/dev") {
        Ok(rest) => roots.dev.join(rest),
        Err(_) => PathBuf::from(spec),
    }
}

fn target_text(target: Option<&str>) -> &str {
    target.unwrap_or("a device without a table")
}

/// What multipath-tools puts before the WWID in a map's uuid (`libmultipath/devmapper.h`).
const UUID_PREFIX: &str = "mpath-";
