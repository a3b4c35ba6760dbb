//! From the paths of a map to its table.

use std::collections::{BTreeMap, BTreeSet};

use dm_multipath::DeviceNumber;
use dm_multipath::table::{Features, HwHandler, MultipathTable, Selector, TableGroup, TablePath};

use super::{Assembly, Member};
use crate::model::Queueing;
use crate::rules::{MapRules, Policy};

/// The table over those of the assembly's paths that `is_wanted` takes.
#[must_use]
pub fn table(assembly: &Assembly, is_wanted: impl Fn(&Member) -> bool) -> MultipathTable {
    let members: Vec<&Member> = assembly
        .paths
        .iter()
        .filter(|member| is_wanted(member))
        .collect();
    let groups = groups(assembly.rules.policy, &members);
    MultipathTable {
        features: features(&assembly.rules),
        hw_handler: assembly.handler.clone().map(|name| HwHandler {
            name,
            args: Vec::new(),
        }),
        next_group: next_group(assembly, &groups),
        groups: groups
            .into_iter()
            .map(|paths| group(&assembly.rules.selector, &paths))
            .collect(),
    }
}

/// Whether two tables make the same map: whatever the kernel adds by itself does not count.
#[must_use]
pub fn is_same(one: &MultipathTable, other: &MultipathTable) -> bool {
    let paths = |table: &MultipathTable| -> Vec<BTreeSet<DeviceNumber>> {
        let group = |group: &TableGroup| group.paths.iter().map(|path| path.device).collect();
        table.groups.iter().map(group).collect()
    };
    let selectors = |table: &MultipathTable| -> Vec<String> {
        let name = |group: &TableGroup| group.selector.name.clone();
        table.groups.iter().map(name).collect()
    };
    let queues = |table: &MultipathTable| table.features.queue_if_no_path();
    paths(one) == paths(other) && selectors(one) == selectors(other) && queues(one) == queues(other)
}

/// The best group, or the one in use where a map does not go back by itself.
fn next_group(assembly: &Assembly, groups: &[Vec<&Member>]) -> u32 {
    let is_used = |group: &Vec<&Member>| {
        let mut devices = group.iter().map(|member| member.device);
        devices.any(|device| assembly.used.contains(&device))
    };
    let used = groups.iter().position(is_used).unwrap_or_default();
    match groups.is_empty() {
        true => 0,
        false => u32::try_from(used + 1).unwrap_or(1),
    }
}

/// The best group first; paths and groups of the same priority in the order they came.
fn groups<'a>(policy: Policy, members: &[&'a Member]) -> Vec<Vec<&'a Member>> {
    match policy {
        _ if members.is_empty() => Vec::new(),
        Policy::Multibus => vec![members.to_vec()],
        Policy::Failover => by(members, |member| member.device),
        Policy::GroupByPrio => by(members, |member| member.priority),
        Policy::GroupByTpg => by(members, |member| member.port_group),
        Policy::GroupByNodeName => by(members, |member| member.node.clone()),
    }
}

fn by<'a, K: Ord>(members: &[&'a Member], key: impl Fn(&Member) -> K) -> Vec<Vec<&'a Member>> {
    let mut groups: BTreeMap<K, Vec<&Member>> = BTreeMap::new();
    for member in members {
        groups.entry(key(member)).or_default().push(member);
    }
    let mut groups: Vec<Vec<&Member>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(mean_priority(group)));
    groups
}

fn mean_priority(group: &[&Member]) -> i32 {
    let sum: i32 = group.iter().map(|member| member.priority).sum();
    sum / i32::try_from(group.len()).unwrap_or(1).max(1)
}

fn features(rules: &MapRules) -> Features {
    let mut words = rules.features.clone();
    let queues = words.iter().any(|word| word == QUEUE);
    match rules.queueing {
        Queueing::Off => words.retain(|word| word != QUEUE),
        Queueing::On | Queueing::Seconds(_) if !queues => words.insert(0, QUEUE.to_owned()),
        Queueing::On | Queueing::Seconds(_) => {}
    }
    Features(words)
}

fn group(selector: &str, members: &[&Member]) -> TableGroup {
    let mut words = selector.split_ascii_whitespace();
    let name = words.next().unwrap_or("service-time");
    // The first of them counts the others.
    let args: Vec<String> = words.skip(1).map(str::to_owned).collect();
    let weights = weights(name);
    let path = |member: &&Member| TablePath {
        device: member.device,
        args: weights.iter().map(|word| (*word).to_owned()).collect(),
    };
    TableGroup {
        selector: Selector {
            name: name.to_owned(),
            args,
        },
        paths: members.iter().map(path).collect(),
    }
}

/// What the selector wants to know of each path: all are alike.
fn weights(selector: &str) -> &'static [&'static str] {
    match selector {
        // How many I/Os before the next path.
        "round-robin" | "queue-length" | "service-time" => &["1"],
        _ => &[],
    }
}

const QUEUE: &str = "queue_if_no_path";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Failback, Naming};
    use crate::tasks::{Effort, Health};

    fn assembly(policy: Policy, queueing: Queueing, priorities: &[i32]) -> Assembly {
        let member = |(minor, priority): (u32, &i32)| Member {
            device: DeviceNumber::new(8, minor * 16),
            priority: *priority,
            port_group: Some(u16::try_from(minor % 2).unwrap_or_default()),
            node: format!("node{}", minor / 2),
            health: Health::Works,
            is_settled: true,
        };
        Assembly {
            size: 8192,
            rules: MapRules {
                naming: Naming::Fixed("mpatha".to_owned()),
                policy,
                selector: "service-time 0".to_owned(),
                queueing,
                features: Vec::new(),
                failback: Failback::Manual,
            },
            handler: Some("alua".to_owned()),
            effort: Effort::IfDifferent,
            used: BTreeSet::new(),
            paths: (0..).zip(priorities).map(member).collect(),
        }
    }

    fn check(policy: Policy, queueing: Queueing, priorities: &[i32], expected: &str) {
        let table = table(&assembly(policy, queueing, priorities), |_| true);
        assert_eq!(table.to_string(), expected);
        assert!(is_same(&expected.parse().unwrap(), &table));
    }

    #[test]
    fn paths_are_grouped() {
        use Policy::{Failover, GroupByNodeName, GroupByPrio, GroupByTpg, Multibus};
        let (off, on) = (Queueing::Off, Queueing::On);
        check(
            Multibus,
            off,
            &[1, 50],
            "0 1 alua 1 1 service-time 0 2 1 8:0 1 8:16 1",
        );
        check(
            Failover,
            on,
            &[1, 50],
            "1 queue_if_no_path 1 alua 2 1 service-time 0 1 1 8:16 1 service-time 0 1 1 8:0 1",
        );
        check(
            GroupByPrio,
            Queueing::Seconds(5),
            &[10, 50, 10],
            "1 queue_if_no_path 1 alua 2 1 \
             service-time 0 1 1 8:16 1 service-time 0 2 1 8:0 1 8:32 1",
        );
        check(
            GroupByTpg,
            off,
            &[10, 50, 10],
            "0 1 alua 2 1 service-time 0 1 1 8:16 1 service-time 0 2 1 8:0 1 8:32 1",
        );
        check(
            GroupByNodeName,
            off,
            &[50, 10, 10],
            "0 1 alua 2 1 service-time 0 2 1 8:0 1 8:16 1 service-time 0 1 1 8:32 1",
        );
        check(Multibus, on, &[], "1 queue_if_no_path 1 alua 0 0");
    }

    #[test]
    fn the_group_in_use_stays_in_use() {
        let next = |used: &[u32]| {
            let used = used.iter().map(|minor| DeviceNumber::new(8, *minor));
            let assembly = Assembly {
                used: used.collect(),
                ..assembly(Policy::GroupByPrio, Queueing::Off, &[10, 50])
            };
            table(&assembly, |_| true).next_group
        };
        assert_eq!(
            [next(&[]), next(&[0]), next(&[16]), next(&[96])],
            [1, 2, 1, 1]
        );
    }

    #[test]
    fn a_changed_table_is_told_from_the_same() {
        let same = "3 queue_if_no_path queue_mode mq 1 alua 1 1 service-time 0 1 2 8:0 1 1";
        let parse = |line: &str| line.parse::<MultipathTable>().unwrap();
        let check = |line: &str, expected: bool| {
            assert_eq!(is_same(&parse(same), &parse(line)), expected, "{line}");
        };
        check("1 queue_if_no_path 0 1 1 service-time 0 1 1 8:0 1", true);
        check("0 0 1 1 service-time 0 1 1 8:0 1", false);
        check("1 queue_if_no_path 0 1 1 queue-length 0 1 1 8:0 1", false);
        check("1 queue_if_no_path 0 1 1 service-time 0 1 1 8:16 1", false);
        check("1 queue_if_no_path 0 0 0", false);
    }
}
