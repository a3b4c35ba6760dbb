//! How long I/O waits for a port that is lost: attributes of the transports in sysfs
//! (`drivers/scsi/scsi_transport_{fc,iscsi,sas}.c`). Another path is tried when the time is up, so
//! a map is as quick as these are.

use std::fs;
use std::io;
use std::path::Path;

use super::{ScsiError, block_folder, scsi_folder};
use crate::{DeviceNumber, Roots, sysfs};

/// What is to be set; `None` leaves what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortTimeouts {
    /// When I/O to a lost port fails.
    pub fast_io_fail: Option<Timeout>,
    /// When a lost port is given up and its devices are removed.
    pub dev_loss: Option<Timeout>,
}

/// A time, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds.
    Seconds(u32),
    /// For ever.
    Never,
}

impl PortTimeouts {
    /// Sets them for the port behind a disk. Fibre Channel has both, iSCSI the first, SAS the
    /// second; other transports have none, and nothing is done.
    ///
    /// # Errors
    /// There is no such disk, or the kernel takes a value for none.
    pub fn write(&self, roots: &Roots, device: DeviceNumber) -> Result<(), ScsiError> {
        let block = block_folder(roots, device)?;
        let folder = scsi_folder(&block).ok_or(ScsiError::NotScsi { device })?;
        let attribute = |parent: &str, class: &str, name: &str| {
            let parent = sysfs::ancestor(folder, parent)?;
            Some(sysfs::class_folder(parent, class)?.join(name))
        };
        if let Some(fast) = attribute("rport-", "fc_remote_ports", "fast_io_fail_tmo") {
            let loss = fast.with_file_name("dev_loss_tmo");
            // Each must fit the other: the first is shorter, and without it the second is limited.
            let first = set(&fast, self.fast_io_fail, "off");
            set(&loss, self.dev_loss, FOREVER)?;
            return first.or_else(|_| set(&fast, self.fast_io_fail, "off"));
        }
        if let Some(recovery) = attribute("session", "iscsi_session", "recovery_tmo") {
            return set(&recovery, self.fast_io_fail, "0");
        }
        if let Some(loss) = attribute("end_device-", "sas_end_device", "I_T_nexus_loss_timeout") {
            return set(&loss, self.dev_loss, SAS_FOREVER);
        }
        Ok(())
    }
}

fn set(path: &Path, timeout: Option<Timeout>, never: &str) -> Result<(), ScsiError> {
    let text = match timeout {
        None => return Ok(()),
        Some(Timeout::Never) => never.to_owned(),
        Some(Timeout::Seconds(seconds)) => seconds.to_string(),
    };
    if sysfs::text(path).as_deref() == Some(text.as_str()) {
        return Ok(());
    }
    let written = fs::write(path, &text);
    written.map_err(|source: io::Error| ScsiError::Write {
        path: path.to_owned(),
        value: text,
        source,
    })
}

/// The longest that Fibre Channel takes: 68 years.
const FOREVER: &str = "2147483647";

/// 16 bits, in milliseconds.
const SAS_FOREVER: &str = "65535";

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk in such a folder, with a file for the attribute.
    fn check(folder: &str, attributes: &[(&str, &str)], timeouts: PortTimeouts) {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..Roots::default()
        };
        let device = DeviceNumber::new(8, 0);
        let disk = dir.path().join(folder).join("1:0:0:0");
        fs::create_dir_all(disk.join("block/sda")).unwrap();
        fs::create_dir_all(dir.path().join("dev/block")).unwrap();
        let link = dir.path().join("dev/block/8:0");
        std::os::unix::fs::symlink(disk.join("block/sda"), link).unwrap();
        std::os::unix::fs::symlink(&disk, disk.join("block/sda/device")).unwrap();
        for (name, _) in attributes {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "1").unwrap();
        }
        timeouts.write(&roots, device).unwrap();
        for (name, expected) in attributes {
            let found = fs::read_to_string(dir.path().join(name)).unwrap();
            assert_eq!(&found, expected, "{name}");
        }
    }

    #[test]
    fn each_transport_has_attributes_of_its_own() {
        let both = PortTimeouts {
            fast_io_fail: Some(Timeout::Seconds(5)),
            dev_loss: Some(Timeout::Never),
        };
        let rport = "host1/rport-1:0-0/fc_remote_ports/rport-1:0-0";
        check(
            "host1/rport-1:0-0/target1:0:0",
            &[
                (&format!("{rport}/fast_io_fail_tmo"), "5"),
                (&format!("{rport}/dev_loss_tmo"), FOREVER),
            ],
            both,
        );
        let session = "host1/session3/iscsi_session/session3/recovery_tmo";
        check("host1/session3/target1:0:0", &[(session, "5")], both);
        let unset = PortTimeouts::default();
        check("host1/session3/target1:0:0", &[(session, "1")], unset);
        let end = "end_device-1:0/sas_end_device/end_device-1:0/I_T_nexus_loss_timeout";
        let end = format!("host1/port-1:0/{end}");
        check(
            "host1/port-1:0/end_device-1:0/target1:0:0",
            &[(&end, SAS_FOREVER)],
            both,
        );
        check("tcm_loop_adapter_0/host1/target1:0:0", &[], both);
    }
}
