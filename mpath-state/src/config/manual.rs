//! What a manual page says of the keywords: the places in which one counts, and what is built in,
//! come from what the reader of the configuration itself uses; the words are here.

use super::Config;
use super::keywords::Scope;

/// A keyword that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// What may follow it.
    pub values: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// The sections in which it may stand.
    pub sections: Vec<&'static str>,
    /// What counts if it stands nowhere.
    pub built_in: Option<String>,
}

impl Keyword {
    /// All that count, in the order of a page.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let built_in = Config::default().all_defaults();
        let keyword = |row: &Row| {
            let (name, values, meaning) = *row;
            let found = built_in.iter().find(|(known, _)| *known == name);
            Self {
                name,
                values,
                meaning,
                sections: Scope::of_meant(name).map(Scope::name).collect(),
                built_in: found
                    .map(|(_, value)| value.clone())
                    .filter(|it| !it.is_empty()),
            }
        };
        ROWS.iter().map(keyword).collect()
    }

    /// Keywords of multipath-tools that are accepted and change nothing, each once.
    #[must_use]
    pub fn accepted() -> Vec<&'static str> {
        let mut words: Vec<_> = Scope::all_known().collect();
        words.sort_unstable();
        words.dedup();
        words.retain(|word| Scope::of_meant(word).next().is_none());
        words
    }
}

/// The word, what may follow, what it says.
type Row = (&'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "reservation_key",
        "KEY[:aptpl] | file",
        "the reservation key of this node for the map: up to 16 hex digits, or file: registering \
         writes it to /etc/multipath/prkeys, and everything else takes it from there. With :aptpl \
         registrations survive a loss of power of the array",
    ),
    (
        "all_tg_pt",
        "yes | no",
        "register once for all target ports of an array that wants it so (ALL_TG_PT)",
    ),
    (
        "alias",
        "NAME",
        "the name of the map, if nothing else has it",
    ),
    (
        "wwid",
        "WWID",
        "in a multipath section: the map that it is about; in a blacklist: a pattern",
    ),
    (
        "user_friendly_names",
        "yes | no",
        "name maps by alias_prefix and a letter, kept in /etc/multipath/bindings, and not by WWID",
    ),
    ("alias_prefix", "NAME", "how user-friendly names begin"),
    (
        "find_multipaths",
        "off | on | greedy | strict",
        "which disks become maps. off, greedy: all that are not blacklisted; on: those with two \
         paths and those that were a map before; strict: those that were a map before",
    ),
    (
        "path_grouping_policy",
        "failover | multibus | group_by_prio | group_by_tpg | group_by_node_name",
        "one group for each path, one for all, or one for each priority, target port group, or \
         node of the array",
    ),
    (
        "detect_pgpolicy",
        "yes | no",
        "group by priority where the array has ALUA, whatever path_grouping_policy says",
    ),
    (
        "path_selector",
        "\"NAME COUNT ARGUMENTS\"",
        "how a path is chosen in its group, in the kernel's words",
    ),
    (
        "prio",
        "const | alua",
        "where priorities come from: all equal, or the ALUA state",
    ),
    (
        "detect_prio",
        "yes | no",
        "take alua for arrays that have it, whatever prio says",
    ),
    (
        "failback",
        "manual | immediate | followover | SECONDS",
        "when the map goes back to its best group",
    ),
    (
        "no_path_retry",
        "fail | queue | CHECKS",
        "what happens to I/O while no path works: it fails, waits, or waits for so many polling \
         intervals",
    ),
    (
        "features",
        "\"COUNT WORDS\"",
        "further features of the table; queue_if_no_path means no_path_retry queue",
    ),
    (
        "fast_io_fail_tmo",
        "SECONDS | off",
        "how long a Fibre Channel or iSCSI path that is lost may hold its I/O back; built in: 5",
    ),
    (
        "dev_loss_tmo",
        "SECONDS | infinity",
        "how long a Fibre Channel or SAS path that is lost is kept before it is removed",
    ),
    (
        "type",
        "PROTOCOL",
        "the transport that a protocol section in overrides is about",
    ),
    (
        "verbosity",
        "0 to 6",
        "how much multipathd-lite logs: 0 errors, 1 warnings, 2 what happens, more: details",
    ),
    (
        "polling_interval",
        "SECONDS",
        "the shortest time between two checks of a path",
    ),
    (
        "max_polling_interval",
        "SECONDS",
        "the longest time between two checks of a path that works; built in: four times \
         polling_interval",
    ),
    (
        "checker_timeout",
        "SECONDS",
        "how long a check may take; built in: the timeout of the device",
    ),
    (
        "uxsock_timeout",
        "MILLISECONDS",
        "how long a client waits for the answer of the daemon, 4000 at least",
    ),
    (
        "vendor",
        "PATTERN",
        "whom a device section is about, with product; in a blacklist: whom it excludes",
    ),
    ("product", "PATTERN", "see vendor"),
    (
        "product_blacklist",
        "PATTERN",
        "products of this vendor that are blacklisted",
    ),
    (
        "devnode",
        "PATTERN",
        "excludes, or in blacklist_exceptions admits, disks by their device name",
    ),
    (
        "property",
        "PATTERN",
        "the same by the name of a property that udev has for them",
    ),
    (
        "protocol",
        "PATTERN",
        "the same by transport, such as scsi:iscsi",
    ),
    (
        "metrics_file",
        "FILE",
        "metrics for the textfile collector of Prometheus' node_exporter, written as a whole after \
         a change and every minute",
    ),
    (
        "command",
        "\"PROGRAM ARGUMENTS\"",
        "what is run when something happens, without a shell; variables that begin with MPATH_PR_ \
         tell of it",
    ),
    (
        "events",
        "\"EVENTS\"",
        "what it is run for, of preempted, kept_out, recovered and no_path; built in: preempted",
    ),
    ("timeout", "SECONDS", "when it is ended; built in: 30"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::value::{Attributes, Place, Taken};

    #[test]
    fn every_keyword_that_counts_is_described_and_no_other() {
        let all = Keyword::all();
        let mut described: Vec<_> = all.iter().map(|keyword| keyword.name).collect();
        described.sort_unstable();
        let mut meant: Vec<_> = Scope::all_meant().collect();
        meant.sort_unstable();
        meant.dedup();
        assert_eq!(described, meant);
    }

    #[test]
    fn every_value_that_is_offered_is_taken_as_it_stands() {
        for keyword in Keyword::all() {
            let words = keyword.values.split(" | ");
            for word in
                words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            {
                let place = Place {
                    file: Path::new("f").into(),
                    line: 1,
                };
                let taken = Attributes::default().set(keyword.name, word, place);
                assert!(matches!(taken, Taken::AsIs), "{} {word}", keyword.name);
            }
        }
    }

    #[test]
    fn places_and_defaults_are_those_that_count() {
        let all = Keyword::all();
        let key = &all[0];
        assert_eq!(key.sections, ["defaults", "overrides", "multipath"]);
        assert_eq!(key.built_in.as_deref(), Some("file"));
    }

    #[test]
    fn what_counts_somewhere_is_not_among_the_ignored() {
        let accepted = Keyword::accepted();
        assert!(accepted.contains(&"flush_on_last_del") && !accepted.contains(&"prio"));
    }
}
