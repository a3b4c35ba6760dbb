//! Debian's fence_mpath, unchanged, with the distribution's `mpathpersist` and with ours: every
//! step of a fencing, on the same disks. The node that is fenced is played by sg_persist.

use std::fmt;
use std::time::Duration;

use super::table::{Row, Table, Unit, median};
use crate::error::Result;
use crate::guest::cluster::CHECK;
use crate::guest::{DEFAULT_CONFIG, Fabric, Home, Lab, Lun, Map, Nexus, Node, Persist};

/// Measures the cycle and prints what it found.
pub(super) fn run(lab: &Lab, scales: &[usize], rounds: usize) -> Result {
    for disks in scales {
        println!("bench: fence_mpath, {disks} disks");
        let stage = Stage::make(lab, *disks)?;
        let theirs = stage.measure(Persist::Distribution, rounds)?;
        let ours = stage.measure(Persist::Ours, rounds)?;
        let mut table = Table::new(&stage.to_string(), &["distribution", "ours"]);
        let mut sums = [0.0; 2];
        for ((step, theirs), ours) in CYCLE.iter().zip(theirs).zip(ours) {
            let times = [theirs, ours].map(|times| median(&times).as_secs_f64());
            for (sum, time) in sums.iter_mut().zip(times) {
                *sum += time;
            }
            table.add(Row::new(step.name, Unit::Time, times.map(Some).into()));
        }
        let sums = sums.map(Some).into();
        table.add(Row::new("the whole cycle", Unit::Time, sums));
        println!("\n{table}");
    }
    Ok(())
}

/// A step of the node that fences.
struct Step {
    name: &'static str,
    /// What the agent is to do, and about whose key; nothing: its watchdog's check.
    agent: Option<(&'static str, &'static str)>,
    ends_with: i32,
    /// Whether the other node has joined the cluster before.
    is_other_in: bool,
}

/// From a cluster that nobody has joined to one that the other node has been thrown out of.
const CYCLE: [Step; 7] = [
    Step::of("on", "on", OWN, 0, false),
    Step::of("on, once more", "on", OWN, 0, false),
    Step::of("monitor", "monitor", OWN, 0, true),
    Step::of("status of the other node", "status", OTHER, 0, true),
    Step {
        name: "the watchdog's check",
        agent: None,
        ends_with: 0,
        is_other_in: true,
    },
    Step::of("off, of the other node", "off", OTHER, 0, true),
    Step::of(
        "status of the other node, which is out",
        "status",
        OTHER,
        2,
        false,
    ),
];

impl Step {
    const fn of(
        name: &'static str,
        action: &'static str,
        key: &'static str,
        ends_with: i32,
        is_other_in: bool,
    ) -> Self {
        Self {
            name,
            agent: Some((action, key)),
            ends_with,
            is_other_in,
        }
    }
}

/// Disks that two nodes share.
struct Stage {
    luns: Vec<Lun>,
    maps: Vec<Map>,
    /// The other node's nexus to each.
    others: Vec<Nexus>,
}

impl Stage {
    fn make(lab: &Lab, disks: usize) -> Result<Self> {
        let mut stage = Self {
            luns: Vec::new(),
            maps: Vec::new(),
            others: Vec::new(),
        };
        for _ in 0..disks {
            let mut lun = lab.lun(Fabric::Iscsi, PATHS)?;
            stage.others.append(&mut lun.add_nexuses(2, 1)?);
            stage.maps.push(lun.map()?);
            stage.luns.push(lun);
        }
        Ok(stage)
    }

    /// For each step, how long it took in each round.
    fn measure(&self, persist: Persist, rounds: usize) -> Result<Vec<Vec<Duration>>> {
        println!("bench: with the mpathpersist of {persist}");
        // With the key in the configuration no daemon is needed to keep it.
        let key = format!("reservation_key 0x{OWN}");
        let config = DEFAULT_CONFIG.replace("reservation_key file", &key);
        let node = Node::start(Home::Own(&config), persist)?;
        let mut times = vec![Vec::new(); CYCLE.len()];
        // What has to be read from the guest's disk would count against whoever comes first.
        for program in ["fence_mpath --action=metadata", "mpathpersist --help"] {
            let read = node.command("sh").args(["-c", program]);
            read.limit(LIMIT).run()?.succeeded()?;
        }
        for _ in 0..rounds {
            for (step, times) in CYCLE.iter().zip(&mut times) {
                times.push(self.carry_out(step, &node)?);
            }
            for path in self.luns.iter().filter_map(|lun| lun.paths().first()) {
                path.witness().clear(OWN_KEY)?;
            }
        }
        Ok(times)
    }

    fn carry_out(&self, step: &Step, node: &Node) -> Result<Duration> {
        if step.is_other_in {
            for other in &self.others {
                other.witness().register_and_ignore(OTHER_KEY)?;
            }
        }
        let command = match step.agent {
            None => node.command(CHECK),
            Some((action, key)) => {
                let devices: Vec<&str> = self.maps.iter().map(Map::node).collect();
                node.command("fence_mpath").args([
                    format!("--action={action}"),
                    format!("--plug={key}"),
                    format!("--devices={}", devices.join(",")),
                ])
            }
        };
        let ended = command.limit(LIMIT).run()?.ended_with(step.ends_with)?;
        Ok(ended.duration)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fence_mpath with {} disks of {PATHS} paths",
            self.luns.len()
        )
    }
}

/// Paths to each.
const PATHS: usize = 2;

/// The keys, as the agent takes them and as they are.
const OWN: &str = "a1";
const OWN_KEY: u64 = 0xa1;
const OTHER: &str = "b2";
const OTHER_KEY: u64 = 0xb2;

/// The agent asks one disk after the other.
const LIMIT: Duration = Duration::from_secs(600);
