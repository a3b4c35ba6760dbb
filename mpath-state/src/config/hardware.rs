//! What the vendors of widespread arrays ask of a host, as far as it differs from what is built in
//! anyway: paths of an array with ALUA are grouped by priority, and it is gone back at once,
//! without an entry here. `device` sections of the administrator count for more.

use std::path::Path;

use super::Config;
use super::file::Reader;
use super::value::DeviceEntry;

/// The built-in `device` sections.
pub(super) fn devices() -> Vec<DeviceEntry> {
    let mut reader = Reader::default();
    reader.read(Path::new("built in"), HARDWARE);
    let Config { devices, .. } = reader.finish().config;
    devices
}

/// Each from what its vendor publishes, as looked up in November 2026:
///
/// | entry | document |
/// |---|---|
/// | `NETAPP LUN` | NetApp, ONTAP Linux Host Utilities, recommended host settings |
/// | `NETAPP\|LSI INF-01-00` | NetApp, E-Series and EF-Series express guide for Linux |
/// | `EMC SYMMETRIX` | Dell, PowerMax driver for OpenStack, multipath configuration file |
/// | `DGC` | Dell, Unity driver for OpenStack, configure multipath |
/// | `DellEMC PowerStore` | Dell, Container Storage Modules, prerequisites of PowerStore |
/// | `COMPELNT` | Dell, SC Series with Red Hat Enterprise Linux (CML1071) |
/// | `PURE FlashArray` | Pure Storage, Linux recommended settings |
/// | `3PARdata VV` | HPE, 3PAR Red Hat Enterprise Linux implementation guide, host persona 2 |
/// | `Nimble Server` | HPE, `tunelinux` of the storage toolkit, recommendations |
/// | `IBM 2145`, `FlashSystem-9840` | IBM, Spectrum Virtualize, settings for Linux hosts |
const HARDWARE: &str = r#"
devices {
  device {
    vendor "NETAPP"
    product "LUN"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry queue
    features "2 pg_init_retries 50"
  }
  device {
    vendor "^(NETAPP|LSI)$"
    product "^INF-01-00"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 30
    features "2 pg_init_retries 50"
  }
  device {
    vendor "^EMC"
    product "^SYMMETRIX"
    path_grouping_policy multibus
  }
  device {
    vendor "^DGC"
    product ".*"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 12
  }
  device {
    vendor "^DellEMC"
    product "^PowerStore"
    path_grouping_policy group_by_prio
    path_selector "queue-length 0"
    prio alua
    failback immediate
    no_path_retry 3
    fast_io_fail_tmo 5
    dev_loss_tmo 10
  }
  device {
    vendor "^COMPELNT"
    product "^Compellent Vol"
    path_grouping_policy multibus
    no_path_retry queue
  }
  device {
    vendor "^PURE"
    product "^FlashArray"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 0
    fast_io_fail_tmo 10
    dev_loss_tmo 600
  }
  device {
    vendor "^3PARdata"
    product "^VV"
    path_grouping_policy group_by_prio
    path_selector "round-robin 0"
    prio alua
    failback immediate
    no_path_retry 18
    fast_io_fail_tmo 10
    dev_loss_tmo infinity
  }
  device {
    vendor "^Nimble"
    product "^Server"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 30
    fast_io_fail_tmo 5
    dev_loss_tmo infinity
  }
  device {
    vendor "^IBM"
    product "^2145"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 5
    fast_io_fail_tmo 5
    dev_loss_tmo 120
  }
  device {
    vendor "^IBM"
    product "^FlashSystem-9840"
    path_grouping_policy multibus
    failback immediate
    no_path_retry fail
    fast_io_fail_tmo 5
    dev_loss_tmo 300
  }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_built_in_is_understood() {
        let mut reader = Reader::default();
        reader.read(Path::new("built in"), HARDWARE);
        let loaded = reader.finish();
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        assert_eq!(
            loaded.config.devices.len(),
            HARDWARE.matches(" device {").count()
        );
    }
}
