//! A dm-multipath map made by dmsetup, without any daemon: udev makes its node, nobody looks after
//! its paths.

use std::path::Path;

use super::{Lun, Nexus, run, until};
use crate::error::Result;

/// A map; it goes with its [`Lun`].
#[derive(Debug)]
pub struct Map {
    name: String,
    node: String,
}

impl Map {
    /// Makes the map of a LUN over some of its paths.
    ///
    /// # Errors
    /// If device-mapper refuses, or the node does not appear.
    pub fn create(lun: &Lun, paths: &[Nexus]) -> Result<Self> {
        let uuid = format!("mpath-{}", lun.wwid());
        Self::create_as(lun.name(), &uuid, lun.blocks(), paths)
    }

    pub(super) fn create_as(name: &str, uuid: &str, blocks: u64, paths: &[Nexus]) -> Result<Self> {
        let table = table(blocks, paths)?;
        let args = ["create", name, "--uuid", uuid, "--table", &table];
        run("dmsetup", args)?.succeeded()?;
        let map = Self {
            name: name.to_owned(),
            node: format!("/dev/mapper/{name}"),
        };
        until(&map.node, || {
            Ok(Path::new(&map.node).exists().then_some(()))
        })?;
        Ok(map)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its node, `/dev/mapper/NAME`.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its status line.
    ///
    /// # Errors
    /// If there is no such map.
    pub fn status(&self) -> Result<String> {
        Ok(run("dmsetup", ["status", "--noflush", &self.name])?
            .succeeded()?
            .stdout)
    }

    /// How many of its paths the kernel takes for usable.
    ///
    /// # Errors
    /// If there is no such map.
    pub fn active_paths(&self) -> Result<usize> {
        Ok(active_paths(&self.status()?))
    }

    /// Tells the kernel that a path has failed.
    ///
    /// # Errors
    /// If the map has no such path.
    pub fn fail_path(&self, path: &Nexus) -> Result {
        self.message(&format!("fail_path {}", path.number()?))
    }

    /// Tells the kernel that a path may be used again.
    ///
    /// # Errors
    /// If the map has no such path.
    pub fn reinstate_path(&self, path: &Nexus) -> Result {
        self.message(&format!("reinstate_path {}", path.number()?))
    }

    /// Sends the map's target a message.
    ///
    /// # Errors
    /// If it is refused.
    pub fn message(&self, text: &str) -> Result {
        run("dmsetup", ["message", &self.name, "0", text])?
            .succeeded()
            .map(drop)
    }

    /// Loads a table over these paths (none is possible) in place of the present one, as a daemon
    /// does when paths come and go.
    ///
    /// # Errors
    /// If device-mapper refuses.
    pub fn reload(&self, lun: &Lun, paths: &[Nexus]) -> Result {
        let table = table(lun.blocks(), paths)?;
        run("dmsetup", ["load", &self.name, "--table", &table])?.succeeded()?;
        run("dmsetup", ["resume", "--noflush", &self.name])?
            .succeeded()
            .map(drop)
    }
}

/// Removes whatever map has this uuid.
pub(super) fn remove_by_uuid(uuid: &str) {
    if !run("dmsetup", ["info", "--uuid", uuid]).is_ok_and(|info| info.code() == 0) {
        return;
    }
    // A map that queues without paths would never be let go by its last user.
    let _ = run(
        "dmsetup",
        ["message", "--uuid", uuid, "0", "fail_if_no_path"],
    );
    let removed = run("dmsetup", ["remove", "--retry", "--uuid", uuid]);
    if let Err(error) = removed.and_then(|removed| removed.succeeded()) {
        eprintln!("lab: {error}");
    }
}

/// One priority group with all paths, as multipathd makes it with `path_grouping_policy multibus`.
fn table(blocks: u64, paths: &[Nexus]) -> Result<String> {
    let numbers = paths
        .iter()
        .map(|path| Ok(format!(" {} 1", path.number()?)));
    let numbers = numbers.collect::<Result<String>>()?;
    if paths.is_empty() {
        return Ok(format!("0 {blocks} multipath 0 0 0 0"));
    }
    let count = paths.len();
    Ok(format!(
        "0 {blocks} multipath 0 0 1 1 service-time 0 {count} 1{numbers}"
    ))
}

/// How many paths the kernel uses, as a status line says: there a path is its number and `A` or
/// `F`.
#[must_use]
pub fn active_paths(status: &str) -> usize {
    let words: Vec<&str> = status.split_whitespace().collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .filter(|(number, state)| number.contains(':') && **state == "A")
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_paths_are_counted() {
        let status = "0 8192 multipath 2 0 0 0 1 1 A 0 3 2 8:0 A 0 0 1 8:16 F 1 0 1 65:0 A 0 0 1";
        assert_eq!(active_paths(status), 2);
    }
}
