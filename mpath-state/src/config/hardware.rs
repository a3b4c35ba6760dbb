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

/// From the vendors' host configuration guides for Linux: NetApp (ONTAP Linux host utilities;
/// E-Series and EF-Series), Dell (host connectivity guide: PowerMax, Unity, PowerStore, SC), Pure
/// Storage (Linux recommended settings), HPE (3PAR, Primera and Alletra 9000; Nimble and Alletra
/// 6000), IBM (SVC, Storwize, FlashSystem).
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
    no_path_retry 6
  }
  device {
    vendor "^DGC"
    product ".*"
    path_grouping_policy group_by_prio
    prio alua
    failback immediate
    no_path_retry 60
  }
  device {
    vendor "^DellEMC"
    product "^PowerStore"
    path_grouping_policy group_by_prio
    path_selector "queue-length 0"
    prio alua
    failback immediate
    no_path_retry 3
    fast_io_fail_tmo 15
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
