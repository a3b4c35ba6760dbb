//! A cluster of two nodes that fence each other with Debian's fence_mpath, over iSCSI, since it
//! sends PREEMPT AND ABORT.

use super::node::{Home, Node, Persist};
use super::{DEFAULT_CONFIG, Fabric, Finished, Lab, Lun, Nexus};
use crate::error::Result;

/// Two nodes that share some disks.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes, with the keys `a1` and `b2`.
    pub members: [Member; 2],
    /// The disks.
    pub luns: Vec<Lun>,
}

/// A node with what it sees of the disks.
#[derive(Debug)]
pub struct Member {
    /// Its key, as fence_mpath wants to have it.
    pub key: &'static str,
    /// Its paths to each disk.
    pub paths: Vec<Vec<Nexus>>,
    /// The nodes of its maps.
    pub devices: Vec<String>,
    node: Node,
}

impl Cluster {
    /// Two nodes without a daemon, with so many disks, so many paths to each, and a map of each.
    ///
    /// # Errors
    /// If something cannot be made.
    pub fn new(lab: &Lab, persist: Persist, disks: usize, paths: usize) -> Result<Self> {
        let mut cluster =
            Self::without_maps(lab, Home::Own(DEFAULT_CONFIG), persist, disks, paths)?;
        for lun in &cluster.luns {
            cluster.members[0]
                .devices
                .push(lun.map()?.node().to_owned());
        }
        Ok(cluster)
    }

    /// The same, but the first node is the guest itself, whose daemon is to make its maps: it has
    /// to be told to keep off the [disks](Member::disks) of the second.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_daemon(lab: &Lab, disks: usize, paths: usize) -> Result<Self> {
        Self::without_maps(lab, Home::Guest, Persist::Ours, disks, paths)
    }

    fn without_maps(
        lab: &Lab,
        first: Home<'_>,
        persist: Persist,
        disks: usize,
        paths: usize,
    ) -> Result<Self> {
        let mut cluster = Self {
            members: [
                Member::new("a1", Node::start(first, persist)?),
                Member::new("b2", Node::start(Home::Own(DEFAULT_CONFIG), persist)?),
            ],
            luns: Vec::new(),
        };
        let [first, second] = &mut cluster.members;
        for _ in 0..disks {
            let mut lun = lab.lun(Fabric::Iscsi, paths)?;
            first.paths.push(lun.paths().to_vec());
            let (map, nexuses) = lun.add_node(2, paths)?;
            second.paths.push(nexuses);
            second.devices.push(map.node().to_owned());
            cluster.luns.push(lun);
        }
        Ok(cluster)
    }
}

impl Member {
    const fn new(key: &'static str, node: Node) -> Self {
        Self {
            key,
            paths: Vec::new(),
            devices: Vec::new(),
            node,
        }
    }

    /// fence_mpath on this node, about the node with `key`.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn fence(&self, action: &str, key: &str) -> Result<Finished> {
        let devices = self.devices.join(",");
        let agent = self.node.command("fence_mpath").args([
            format!("--action={action}"),
            format!("--plug={key}"),
            format!("--devices={devices}"),
        ]);
        agent.run()
    }

    /// fence_mpath_check as the watchdog runs it, which ends with 0 while this node is in, and
    /// with 2 when it is out.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn check(&self) -> Result<Finished> {
        self.node.command(CHECK).run()
    }

    /// The names of its disks.
    ///
    /// # Errors
    /// If one is gone.
    pub fn disks(&self) -> Result<Vec<String>> {
        self.paths.iter().flatten().map(Nexus::disk).collect()
    }
}

pub(super) const CHECK: &str = "/usr/share/cluster/fence_mpath_check";
