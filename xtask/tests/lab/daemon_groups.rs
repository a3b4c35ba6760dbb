//! How multipathd-lite groups paths and moves between groups, by what the target says of its
//! ports (ALUA).

use xtask::error::Result;
use xtask::guest::{Fabric, Lab, Lite, Lun, Nexus, PortGroup, PortState, run, until};

use crate::daemon_paths::Node;
use crate::persist::OURS;

#[test]
fn paths_in_standby_carry_registrations_and_take_over() -> Result {
    let lab = Lab::alone("litestandby")?;
    let (node, group) = two_groups(&lab, PortState::Standby, "")?;
    node.await_checks("ghost", 2)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    node.assert_keys(&[OURS; 4])?;
    assert_eq!(node.active()?, 4);
    assert!(node.writes()?);
    let (first, second) = node.lun.paths().split_at(2);
    first.iter().try_for_each(Nexus::set_offline)?;
    node.await_active(2)?;
    assert!(node.writes()?, "the target lets the others take over");
    first.iter().try_for_each(Nexus::set_running)?;
    node.await_active(4)?;
    node.assert_keys(&[OURS; 4])?;
    // While the array changes over its paths are neither good nor bad.
    group.set_state(PortState::Transitioning)?;
    node.await_checks("i/o pending", 2)?;
    assert_eq!(node.active()?, 4, "{}", node.daemon.log());
    group.set_state(PortState::NonOptimized)?;
    node.await_checks("ready", 4)?;
    assert_eq!(node.active()?, 4, "{}", node.daemon.log());
    for path in second {
        assert!(node.writes_through(path)?);
    }
    Ok(())
}

#[test]
fn paths_are_grouped_as_configured() -> Result {
    let lab = Lab::alone("litegroups")?;
    let lun = lab.lun(Fabric::Loop, 4)?;
    rank_ports(&lun)?;
    let node = Node::on(&lab, lun, &config(""))?;
    node.seen().await_groups("AE")?;
    let configure = |lines: &str| node.daemon.reconfigure(&lab, &config(lines));
    group_as_configured(&node, &configure)
}

/// Of the first two paths the target says that they are the best.
///
/// It alone says so: the kernel's ALUA handler would tell it to make those the best to which the
/// map moves.
pub(crate) fn rank_ports(lun: &Lun) -> Result {
    let (first, second) = lun.paths().split_at(2);
    for (id, paths, state) in [
        (1, first, PortState::Optimized),
        (2, second, PortState::NonOptimized),
    ] {
        // Before its ports are asked: what they say of that then stays with the group.
        let group = lun.port_group(id, paths)?;
        group.forbid_explicit()?;
        group.set_state(state)?;
        paths.iter().try_for_each(Nexus::refresh)?;
    }
    Ok(())
}

/// Paths of one node, of one priority, alone, all together.
fn group_as_configured(node: &Node, configure: &impl Fn(&str) -> Result) -> Result {
    for (policy, groups) in [
        ("failover", 4),
        ("multibus", 1),
        ("group_by_prio", 2),
        ("group_by_tpg", 2),
    ] {
        configure(&format!("path_grouping_policy {policy}\n"))?;
        node.await_table(&format!(" 1 alua {groups} 1 service-time 0 "))?;
        assert_eq!(node.active()?, 4);
    }
    Ok(())
}

/// A map of four paths, the last two of which are in a group of their own.
fn two_groups(lab: &Lab, second: PortState, lines: &str) -> Result<(Node, PortGroup)> {
    let lun = lab.lun(Fabric::Loop, 4)?;
    let group = lun.port_group(1, &lun.paths()[2..])?;
    group.set_state(second)?;
    lun.paths().iter().try_for_each(Nexus::refresh)?;
    Ok((Node::on(lab, lun, &config(lines))?, group))
}

/// Nothing that would keep the daemon from following the array, but for these lines.
fn config(lines: &str) -> String {
    format!(
        "defaults {{\nuser_friendly_names yes\nfind_multipaths greedy\npolling_interval 1\n}}\n\
         overrides {{\nno_path_retry fail\n{lines}}}\n"
    )
}

impl Node {
    /// Waits for a table with these words.
    pub(crate) fn await_table(&self, words: &str) -> Result {
        let what = format!("a table with '{words}'");
        let mut table = String::new();
        let found = until(&what, || {
            table = run("dmsetup", ["table", &self.map])?.stdout;
            Ok(table.contains(words).then_some(()))
        });
        self.daemon
            .explain(found.inspect_err(|_| eprintln!("the table is {table}")))
    }

    /// Waits until the checker says this of so many paths.
    fn await_checks(&self, state: &str, count: usize) -> Result {
        let format = "show paths raw format %T,%m";
        let expected = format!("{state},{}", self.map);
        self.daemon
            .explain(until(&format!("{count} paths {state}"), || {
                let paths = self.daemon.ask(format)?.stdout;
                let found = paths.lines().filter(|line| **line == expected).count();
                Ok((found == count).then_some(()))
            }))
    }

    /// Its map.
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen {
            daemon: &self.daemon,
            map: &self.map,
        }
    }

    /// Whether a write through the map succeeds.
    pub(crate) fn writes(&self) -> Result<bool> {
        self.seen().writes()
    }
}

/// A map of a daemon, seen through the kernel.
pub(crate) struct Seen<'a> {
    pub(crate) daemon: &'a Lite,
    pub(crate) map: &'a str,
}

impl Seen<'_> {
    /// Waits until the kernel's groups are in these states: it moves with the next I/O.
    pub(crate) fn await_groups(&self, states: &str) -> Result {
        let mut status = String::new();
        let what = format!("the groups of {} to be {states}", self.map);
        let waited = until(&what, || {
            assert!(self.writes()?, "{}: {}", self.map, self.daemon.log());
            status = self.status()?;
            Ok((groups(&status) == states).then_some(()))
        });
        self.daemon
            .explain(waited.inspect_err(|_| eprintln!("the status is {status}")))
    }

    /// The kernel's state of each group: `A` for the one in use.
    pub(crate) fn groups(&self) -> Result<String> {
        Ok(groups(&self.status()?))
    }

    /// Its status line.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(run("dmsetup", ["status", "--noflush", self.map])?
            .succeeded()?
            .stdout)
    }

    fn writes(&self) -> Result<bool> {
        let node = format!("of=/dev/mapper/{}", self.map);
        let args = ["if=/dev/zero", &node, "bs=4096", "count=1", "oflag=direct"];
        Ok(run("dd", args)?.code() == 0)
    }
}

fn groups(status: &str) -> String {
    let words: Vec<&str> = status.split_whitespace().collect();
    // A path has such a letter as well, behind its number.
    let is_group = |window: &&[&str]| {
        matches!(window, [_, "A" | "E" | "D", "0", _, _, path] if path.contains(':'))
            && !window[0].contains(':')
    };
    let groups = words.windows(6).filter(is_group);
    groups.map(|window| window[1]).collect()
}
