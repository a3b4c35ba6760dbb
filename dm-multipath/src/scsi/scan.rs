//! All SCSI disks of the host, and the attributes of one that change while it is in use.

use std::fs;
use std::io;
use std::path::Path;

use super::{AccessState, Hctl, ScsiError, attribute, block_link};
use crate::{DeviceNumber, Roots, sysfs};

/// The block devices that are whole SCSI disks, by number; partitions are not among them. Costs
/// one `readlink` for each block device of the host.
///
/// # Errors
/// sysfs cannot be read.
pub fn scan(roots: &Roots) -> io::Result<Vec<DeviceNumber>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(roots.sys.join("dev/block"))? {
        let entry = entry?;
        let number: Option<DeviceNumber> = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // One that goes away meanwhile is none.
        let target = fs::read_link(entry.path()).unwrap_or_default();
        found.extend(number.filter(|_| is_scsi_disk(&target)));
    }
    found.sort_unstable();
    Ok(found)
}

/// `…/H:C:T:L/block/NAME`.
fn is_scsi_disk(link: &Path) -> bool {
    let mut words = link.iter().rev().skip(1);
    let is_block = words.next().is_some_and(|word| word == "block");
    let address = words.next().and_then(|word| word.to_str());
    is_block && address.is_some_and(|address| address.parse::<Hctl>().is_ok())
}

/// The size of a block device, in sectors of 512 bytes.
///
/// # Errors
/// There is no such device.
pub fn read_size(roots: &Roots, device: DeviceNumber) -> Result<u64, ScsiError> {
    let invalid = |_| ScsiError::Read {
        path: block_link(roots, device).join("size"),
        source: io::ErrorKind::InvalidData.into(),
    };
    let size = attribute(roots, device, "size")?;
    size.parse().map_err(invalid)
}

/// The hardware handler that the SCSI layer has attached to a disk, such as `alua`.
pub fn read_handler(roots: &Roots, device: DeviceNumber) -> Option<String> {
    sysfs::text(&block_link(roots, device).join("device/dh_state"))
        .filter(|state| state != "detached")
}

/// How the array says now that a disk can be used through this path, and whether it prefers it:
/// that is not read of a path that is optimized, which is as good as they get.
pub fn read_access(roots: &Roots, device: DeviceNumber) -> (Option<AccessState>, Option<bool>) {
    let folder = block_link(roots, device).join("device");
    let text = |name: &str| sysfs::text(&folder.join(name));
    let Some(state) = text("access_state").map(|state| AccessState(state.into())) else {
        return (None, None);
    };
    let is_asked = state != AccessState::OPTIMIZED;
    let preferred = is_asked.then(|| text("preferred_path")).flatten();
    (Some(state), preferred.map(|text| text == "1"))
}
