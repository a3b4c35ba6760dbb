//! What the keywords of a map can say: one type for each, read and written as in
//! `multipath.conf`.
//!
//! Values that multipath-tools knows and that are not offered here are replaced by the nearest
//! one that is, with a warning; what nobody knows is refused.

use std::fmt;

use super::keyword_value::{KeywordValue, Read};

/// How paths are spread over groups (`path_grouping_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Each path in a group of its own.
    Failover,
    /// All paths in one group.
    Multibus,
    /// Paths of the same priority in one group.
    GroupByPrio,
    /// Paths of the same target port group in one group.
    GroupByTpg,
    /// Paths to the same target node in one group.
    GroupByNodeName,
}

/// What chooses among the paths of a group (`path_selector`): a name, a count of arguments and
/// the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSelector(String);

/// What happens to I/O while no path works (`no_path_retry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPathRetry {
    /// It fails at once.
    Fail,
    /// It waits until a path returns.
    Queue,
    /// It waits for so many polling intervals, then fails.
    Checks(u32),
}

/// Further features of the map's table (`features`), without those that have a keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The words of the table, without their count.
    pub words: Vec<String>,
    /// `queue_if_no_path` was among them; `no_path_retry` counts for more.
    pub queue_if_no_path: bool,
}

/// When the map goes back to its best group (`failback`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// Never by itself.
    Manual,
    /// At once.
    Immediate,
    /// So many seconds after the best group came back.
    Seconds(u32),
    /// When the first path of the best group comes back, but not when another node has moved the
    /// array over.
    Followover,
}

/// Where priorities come from (`prio`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prio {
    /// All paths are equal.
    Const,
    /// The ALUA state that the kernel shows.
    Alua,
}

/// Which devices become maps (`find_multipaths`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindMultipaths {
    /// All that are not blacklisted.
    Off,
    /// Those with two paths, and those that were a map before.
    On,
    /// All that are not blacklisted.
    Greedy,
    /// Those that were a map before.
    Strict,
}

impl FindMultipaths {
    /// Whether so many paths with one WWID become a map; `is_known`: it is in the wwids file, or
    /// a map already.
    #[must_use]
    pub const fn makes_map(self, paths: usize, is_known: bool) -> bool {
        match self {
            Self::Off | Self::Greedy => paths > 0,
            Self::On => paths > 1 || (is_known && paths > 0),
            Self::Strict => is_known && paths > 0,
        }
    }
}

impl KeywordValue for Grouping {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "failover" => Read::as_is(Self::Failover),
            "multibus" => Read::as_is(Self::Multibus),
            "group_by_prio" => Read::as_is(Self::GroupByPrio),
            "group_by_tpg" => Read::as_is(Self::GroupByTpg),
            "group_by_node_name" => Read::as_is(Self::GroupByNodeName),
            // All paths of a map have one serial number.
            "group_by_serial" => Read::instead(Self::Multibus, text),
            _ => Err(format!(
                "'{text}' is none of failover, multibus, group_by_prio, group_by_tpg, \
                 group_by_node_name"
            )),
        }
    }

    fn shown(&self) -> String {
        let text = match self {
            Self::Failover => "failover",
            Self::Multibus => "multibus",
            Self::GroupByPrio => "group_by_prio",
            Self::GroupByTpg => "group_by_tpg",
            Self::GroupByNodeName => "group_by_node_name",
        };
        text.to_owned()
    }
}

impl PathSelector {
    /// multipath-tools' choice as well.
    #[must_use]
    pub fn service_time() -> Self {
        Self("service-time 0".to_owned())
    }
}

/// As in the table: `service-time 0`.
impl fmt::Display for PathSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeywordValue for PathSelector {
    fn read(text: &str) -> Result<Read<Self>, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some((name, arguments)) = words.split_first() else {
            return Err("an empty path selector".to_owned());
        };
        if !SELECTORS.contains(name) {
            return Err(format!("'{name}' is none of {}", SELECTORS.join(", ")));
        }
        match arguments {
            [] => Read::as_is(Self(format!("{name} 0"))),
            [count, rest @ ..] if count.parse() == Ok(rest.len()) => {
                Read::as_is(Self(words.join(" ")))
            }
            _ => Err(format!("'{text}' does not count its arguments right")),
        }
    }

    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl KeywordValue for NoPathRetry {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "fail" | "0" => Read::as_is(Self::Fail),
            "queue" => Read::as_is(Self::Queue),
            _ => match text.parse() {
                Ok(checks) => Read::as_is(Self::Checks(checks)),
                Err(_) => Err(format!(
                    "'{text}' is none of fail, queue, a number of checks"
                )),
            },
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Fail => "fail".to_owned(),
            Self::Queue => "queue".to_owned(),
            Self::Checks(checks) => checks.to_string(),
        }
    }
}

impl KeywordValue for Features {
    fn read(text: &str) -> Result<Read<Self>, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let counted = match words.split_first() {
            None => Some(&words[..]),
            Some((count, rest)) => (count.parse() == Ok(rest.len())).then_some(rest),
        };
        let Some(counted) = counted else {
            return Err(format!(
                "'{text}' does not begin with the count of its words"
            ));
        };
        let own = |word: &&&str| ![QUEUE, RETAIN].contains(*word);
        Read::as_is(Self {
            words: counted
                .iter()
                .filter(own)
                .map(|word| (*word).to_owned())
                .collect(),
            queue_if_no_path: counted.contains(&QUEUE),
        })
    }

    fn shown(&self) -> String {
        let queue = self.queue_if_no_path.then_some(QUEUE);
        let words: Vec<&str> = queue
            .into_iter()
            .chain(self.words.iter().map(|w| &**w))
            .collect();
        format!("{} {}", words.len(), words.join(" "))
            .trim_end()
            .to_owned()
    }
}

impl KeywordValue for Failback {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "manual" => Read::as_is(Self::Manual),
            "immediate" | "0" => Read::as_is(Self::Immediate),
            "followover" => Read::as_is(Self::Followover),
            _ => match text.parse() {
                Ok(seconds) => Read::as_is(Self::Seconds(seconds)),
                Err(_) => Err(format!(
                    "'{text}' is none of manual, immediate, followover, a number of seconds"
                )),
            },
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Manual => "manual".to_owned(),
            Self::Immediate => "immediate".to_owned(),
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Followover => "followover".to_owned(),
        }
    }
}

impl KeywordValue for Prio {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "const" | "none" => Read::as_is(Self::Const),
            "alua" | "sysfs" => Read::as_is(Self::Alua),
            _ if OTHER_PRIOS.contains(&text) => Read::instead(Self::Const, text),
            _ => Err(format!("'{text}' is none of const, alua")),
        }
    }

    fn shown(&self) -> String {
        let text = match self {
            Self::Const => "const",
            Self::Alua => "alua",
        };
        text.to_owned()
    }
}

impl KeywordValue for FindMultipaths {
    fn read(text: &str) -> Result<Read<Self>, String> {
        match text {
            "off" | "no" => Read::as_is(Self::Off),
            "on" | "yes" => Read::as_is(Self::On),
            "greedy" => Read::as_is(Self::Greedy),
            "strict" => Read::as_is(Self::Strict),
            "smart" => Read::instead(Self::On, text),
            _ => Err(format!("'{text}' is none of off, on, greedy, strict")),
        }
    }

    fn shown(&self) -> String {
        let text = match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Greedy => "greedy",
            Self::Strict => "strict",
        };
        text.to_owned()
    }
}

/// The kernel's path selectors (`drivers/md/dm-ps-*.c`).
const SELECTORS: [&str; 5] = [
    "round-robin",
    "queue-length",
    "service-time",
    "historical-service-time",
    "io-affinity",
];

/// Prioritizers of multipath-tools that ask the array in its own language.
const OTHER_PRIOS: [&str; 11] = [
    "ana",
    "datacore",
    "emc",
    "hds",
    "hp_sw",
    "iet",
    "ontap",
    "path_latency",
    "random",
    "rdac",
    "weightedpath",
];

/// `no_path_retry` is its keyword.
const QUEUE: &str = "queue_if_no_path";
/// What the kernel has attached stays anyway.
const RETAIN: &str = "retain_attached_hw_handler";

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, and how it is shown again; `~` marks one that stands in for another.
    fn check<T: KeywordValue>(text: &str, expected: &str) {
        let shown = match T::read(text) {
            Ok(Read { value, note: None }) => value.shown(),
            Ok(Read { value, .. }) => format!("~{}", value.shown()),
            Err(message) => message,
        };
        assert_eq!(shown, expected, "{text:?}");
    }

    #[test]
    fn values_are_read_and_shown() {
        for same in ["failover", "multibus", "group_by_prio", "group_by_tpg"] {
            check::<Grouping>(same, same);
        }
        check::<Grouping>("group_by_node_name", "group_by_node_name");
        check::<Grouping>("group_by_serial", "~multibus");
        check::<Grouping>(
            "multi",
            "'multi' is none of failover, multibus, group_by_prio, group_by_tpg, \
             group_by_node_name",
        );
        for same in ["fail", "queue", "12"] {
            check::<NoPathRetry>(same, same);
        }
        check::<NoPathRetry>("0", "fail");
        check::<NoPathRetry>("-1", "'-1' is none of fail, queue, a number of checks");
        for same in ["manual", "immediate", "30", "followover"] {
            check::<Failback>(same, same);
        }
        check::<Failback>(
            "soon",
            "'soon' is none of manual, immediate, followover, a number of seconds",
        );
        check::<Prio>("const", "const");
        check::<Prio>("sysfs", "alua");
        check::<Prio>("rdac", "~const");
        check::<Prio>("best", "'best' is none of const, alua");
        for same in ["off", "on", "greedy", "strict"] {
            check::<FindMultipaths>(same, same);
        }
        check::<FindMultipaths>("yes", "on");
        check::<FindMultipaths>("no", "off");
        check::<FindMultipaths>("smart", "~on");
        check::<FindMultipaths>("maybe", "'maybe' is none of off, on, greedy, strict");
    }

    #[test]
    fn counted_words_must_be_counted_right() {
        check::<PathSelector>("service-time 0", "service-time 0");
        check::<PathSelector>("round-robin", "round-robin 0");
        check::<PathSelector>("queue-length 1 8", "queue-length 1 8");
        check::<PathSelector>(
            "service-time 1",
            "'service-time 1' does not count its arguments right",
        );
        check::<PathSelector>(
            "fastest 0",
            "'fastest' is none of round-robin, queue-length, service-time, \
             historical-service-time, io-affinity",
        );
        check::<Features>("0", "0");
        check::<Features>("", "0");
        check::<Features>("1 queue_if_no_path", "1 queue_if_no_path");
        check::<Features>(
            "3 retain_attached_hw_handler pg_init_retries 50",
            "2 pg_init_retries 50",
        );
        check::<Features>(
            "2 pg_init_retries",
            "'2 pg_init_retries' does not begin with the count of its words",
        );
        check::<Features>(
            "queue_if_no_path",
            "'queue_if_no_path' does not begin with the count of its words",
        );
    }

    #[test]
    fn maps_are_found_as_asked() {
        let made = |choice: FindMultipaths| {
            [(0, true), (1, false), (1, true), (2, false), (2, true)]
                .map(|(paths, is_known)| choice.makes_map(paths, is_known))
        };
        assert_eq!(made(FindMultipaths::Off), [false, true, true, true, true]);
        assert_eq!(
            made(FindMultipaths::Greedy),
            [false, true, true, true, true]
        );
        assert_eq!(made(FindMultipaths::On), [false, false, true, true, true]);
        assert_eq!(
            made(FindMultipaths::Strict),
            [false, false, true, false, true]
        );
    }
}
