//! Target port groups (ALUA): the ports of a LUN that are equally good, and how good they are.

use std::path::{Path, PathBuf};

use super::kernel::{make, names, remove, write};
use super::{Lun, Nexus};
use crate::error::Result;

/// Some of a LUN's ports; whatever is not in one is in group 0, which is active and optimized.
#[derive(Debug)]
pub struct PortGroup {
    folder: PathBuf,
}

/// How the ports of a group can be used (SPC-4 5.15.2.4), by the number that the target knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Best.
    Optimized = 0,
    /// Works, slower.
    NonOptimized = 1,
    /// Takes few commands, persistent reservations among them.
    Standby = 2,
    /// Takes hardly any.
    Unavailable = 3,
    /// Changing from one to another, until the target is told to which.
    Transitioning = 15,
}

impl Lun {
    /// Puts the ports of these paths into a group of their own.
    ///
    /// # Errors
    /// If the target refuses.
    pub fn port_group(&self, id: u16, paths: &[Nexus]) -> Result<PortGroup> {
        let name = format!("group{id}");
        let folder = groups(self.store()).join(&name);
        make(&folder)?;
        write(&folder.join("tg_pt_gp_id"), &id.to_string())?;
        for path in paths {
            path.port.join_group(&name)?;
        }
        Ok(PortGroup { folder })
    }
}

impl PortGroup {
    /// Changes how the ports can be used; initiators are told by a unit attention.
    ///
    /// # Errors
    /// If the target refuses.
    pub fn set_state(&self, state: PortState) -> Result {
        let number = (state as u8).to_string();
        write(&self.folder.join("alua_access_state"), &number)
    }

    /// Initiators may not change the state any more.
    ///
    /// # Errors
    /// If the target refuses.
    pub fn forbid_explicit(&self) -> Result {
        write(&self.folder.join("alua_access_type"), IMPLICIT)
    }

    /// Says whether the array prefers these ports.
    ///
    /// # Errors
    /// If the target refuses.
    pub fn set_preferred(&self, is_preferred: bool) -> Result {
        let number = u8::from(is_preferred).to_string();
        write(&self.folder.join("preferred"), &number)
    }
}

/// Only the target itself changes states (`TPGS_IMPLICIT_ALUA`).
const IMPLICIT: &str = "1";

/// Removes the groups of a LUN, whose ports are gone.
pub(super) fn remove_groups(store: &Path) {
    for name in names(&groups(store)) {
        if name.starts_with("group") {
            remove(&groups(store).join(name));
        }
    }
}

fn groups(store: &Path) -> PathBuf {
    store.join("alua")
}
