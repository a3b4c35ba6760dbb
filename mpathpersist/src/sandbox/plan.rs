//! A SAN to be made: how many of everything.

use scsi_pr::device_server::{LogicalUnit, Profile};

use super::san::{Condition, InMap, Lun, San, SanNode, SanPath};
use super::{PROFILES, SandboxError};

/// The shape of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The names of the nodes.
    pub nodes: Vec<String>,
    /// Paths of each node to each logical unit.
    pub paths: usize,
    /// Logical units, which are `mpatha`, `mpathb` and so on.
    pub luns: usize,
    /// The array's kind, one of [`PROFILES`].
    pub profile: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: vec!["alice".to_owned(), "bob".to_owned()],
            paths: 4,
            luns: 1,
            profile: "strict".to_owned(),
        }
    }
}

impl Plan {
    /// The SAN, all paths up and nobody registered.
    ///
    /// # Errors
    /// There is no such SAN.
    pub fn san(&self) -> Result<San, SandboxError> {
        let profile = self.check()?;
        let nodes = self.nodes.iter().zip(1..);
        let mut san = San {
            version: San::VERSION,
            luns: (0..self.luns).map(|lun| new_lun(lun, profile)).collect(),
            nodes: nodes
                .map(|(name, number)| self.node(name, number))
                .collect(),
        };
        for path in san.nodes.iter().flat_map(|node| &node.paths) {
            if let Some(lun) = san.luns.get_mut(path.lun) {
                lun.unit.connect(&path.nexus());
            }
        }
        Ok(san)
    }

    fn check(&self) -> Result<Profile, SandboxError> {
        let refused = |what: String, expected: String| Err(SandboxError::Plan { what, expected });
        for (what, count, most) in [
            ("nodes", self.nodes.len(), MAX_NODES),
            ("paths", self.paths, MAX_PATHS),
            ("logical units", self.luns, MAX_LUNS),
        ] {
            if !(1..=most).contains(&count) {
                return refused(format!("{count} {what}"), format!("1 to {most}"));
            }
        }
        for (at, name) in self.nodes.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            let is_repeated = self.nodes.iter().take(at).any(|other| other == name);
            if name.is_empty() || !name.chars().all(is_plain) || name == "lock" || is_repeated {
                let expected = "letters, digits, - and _, each name once, and not 'lock'";
                return refused(format!("a node '{name}'"), expected.to_owned());
            }
        }
        let known = PROFILES.iter().find(|(name, _)| *name == self.profile);
        match known {
            Some((_, profile)) => Ok(*profile),
            None => {
                let names = PROFILES.map(|(name, _)| name).join(", ");
                refused(format!("the profile '{}'", self.profile), names)
            }
        }
    }

    fn node(&self, name: &str, number: u64) -> SanNode {
        let to_lun = |lun| (0..self.paths).map(move |path| (lun, path));
        let paths = (0..self.luns).flat_map(to_lun).enumerate();
        SanNode {
            name: name.to_owned(),
            paths: paths
                .map(|(at, (lun, path))| new_path(at, lun, path, number))
                .collect(),
        }
    }
}

fn new_lun(lun: usize, profile: Profile) -> Lun {
    Lun {
        map: format!("mpath{}", letters(lun)),
        wwid: format!("3{:032x}", WWID + lun as u128 + 1),
        unit: LogicalUnit::new(profile),
    }
}

/// Each initiator port reaches both target ports of the array.
fn new_path(at: usize, lun: usize, path: usize, node: u64) -> SanPath {
    let number = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
    let initiator = number(path / TARGET_PORTS + 1);
    let target = number(path % TARGET_PORTS + 1);
    SanPath {
        lun,
        device: format!("sd{}", letters(at)),
        initiator_port: INITIATOR_PORTS | node << 8 | u64::from(initiator),
        target_port: FIRST_TARGET_PORT | u64::from(target),
        relative_target_port: target,
        condition: Condition::Up,
        in_map: InMap::Active,
    }
}

/// `a` to `z`, `aa` and so on, as the kernel counts disks.
fn letters(at: usize) -> String {
    let letter = u8::try_from(at % 26).unwrap_or_default();
    let last = char::from(b'a' + letter);
    match at / 26 {
        0 => last.to_string(),
        more => letters(more - 1) + &last.to_string(),
    }
}

/// Enough for any cluster; each node is a folder, and its number a byte of its ports' names.
const MAX_NODES: usize = 64;
/// As many as a host has in practice.
const MAX_PATHS: usize = 32;
/// With the most nodes and paths the file stays below 20 MiB.
const MAX_LUNS: usize = 26;
const TARGET_PORTS: usize = 2;

/// A name of the form NAA 6.
const WWID: u128 = 0x6006_0e80 << 96;
/// N_Port names of no vendor in particular.
const INITIATOR_PORTS: u64 = 0x1000_0000_c900_0000;
const FIRST_TARGET_PORT: u64 = 0x5006_0e80_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_counted_in_letters() {
        let counted = [0, 25, 26, 51, 52, 701, 702].map(letters);
        assert_eq!(counted, ["a", "z", "aa", "az", "ba", "zz", "aaa"]);
    }

    #[test]
    fn no_two_paths_are_the_same_nexus() {
        let plan = Plan {
            paths: MAX_PATHS,
            ..Plan::default()
        };
        let san = plan.san().unwrap();
        let paths = san.nodes.iter().flat_map(|node| &node.paths);
        let mut nexuses: Vec<_> = paths.map(SanPath::nexus).collect();
        nexuses.sort();
        nexuses.dedup();
        assert_eq!(nexuses.len(), 2 * MAX_PATHS);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |change: fn(&mut Plan)| {
            let mut plan = Plan::default();
            change(&mut plan);
            plan.san().unwrap_err().to_string()
        };
        assert_eq!(
            refused(|plan| plan.paths = 0),
            "a sandbox cannot have 0 paths: 1 to 32"
        );
        assert_eq!(
            refused(|plan| plan.profile = "ibm".to_owned()),
            "a sandbox cannot have the profile 'ibm': strict, lio, per-initiator-port, \
             no-full-status, one-at-a-time, needs-all-tg-pt, no-pr"
        );
        for name in ["", "a/b", "..", "lock", "alice"] {
            let mut plan = Plan::default();
            plan.nodes.push(name.to_owned());
            assert!(plan.san().is_err(), "{name}");
        }
    }
}
