//! What udev has found out about a device: its database in `/run/udev/data`, a file for each
//! device, as libudev reads it.

use std::fs;
use std::path::Path;

use crate::DeviceNumber;
use crate::node::is_udev_running;

/// How far udev has got with a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UdevView {
    /// There is no udev.
    #[default]
    Absent,
    /// It has not looked at the device yet.
    Pending,
    /// It has; these are the names of the properties that it has given to the device.
    Done(Vec<String>),
}

impl UdevView {
    /// Reads what there is of a block device.
    #[must_use]
    pub fn read(device: DeviceNumber) -> Self {
        Self::read_in(Path::new(DATA), device).unwrap_or(match is_udev_running() {
            true => Self::Pending,
            false => Self::Absent,
        })
    }

    fn read_in(folder: &Path, device: DeviceNumber) -> Option<Self> {
        let text = fs::read_to_string(folder.join(format!("b{device}"))).ok()?;
        let names = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("E:")?.split_once('=')?.0.to_owned()));
        Some(Self::Done(names.collect()))
    }
}

const DATA: &str = "/run/udev/data";

#[cfg(test)]
mod tests {
    use super::*;

    /// As udev 252 writes it.
    const ENTRY: &str = "S:disk/by-id/scsi-36001405\nW:12\nI:4711\nE:ID_SCSI=1\nE:ID_WWN=0x6001=5\n\
                         E:ID_EMPTY=\nG:systemd\nQ:systemd\nV:1\n";

    #[test]
    fn names_of_properties_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let device = DeviceNumber::new(8, 16);
        assert_eq!(UdevView::read_in(dir.path(), device), None);
        fs::write(dir.path().join("b8:16"), ENTRY).unwrap();
        let names = ["ID_SCSI", "ID_WWN", "ID_EMPTY"].map(str::to_owned);
        let expected = UdevView::Done(names.to_vec());
        assert_eq!(UdevView::read_in(dir.path(), device), Some(expected));
    }
}
