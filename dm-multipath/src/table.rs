//! The grammar of the multipath target's lines: the table it is loaded with and tells on
//! request, and its status (`multipath_ctr()` and `multipath_status()` in
//! `drivers/md/dm-mpath.c`). Both parse without any I/O; both print as the kernel prints.

mod groups;
mod status;
mod words;

use std::fmt;

pub use groups::{Features, HwHandler, MultipathTable, Selector, TableGroup, TablePath};
pub use status::{GroupState, MultipathStatus, PathState, StatusGroup, StatusPath};

/// The target type of multipath maps in device-mapper's tables.
pub const MULTIPATH_TARGET: &str = "multipath";

/// Where a line leaves the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The line ends too early.
    #[error("at byte {at}: the line ends where {expected} should be")]
    Missing {
        /// Byte offset, here the line's length.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Something else is there.
    #[error("at byte {at}: {found:?} is not {expected}")]
    Unexpected {
        /// Byte offset of the word.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// The word, or its beginning.
        found: String,
    },
    /// A count says that more follows than there is.
    #[error("at byte {at}: {count} {what} cannot be in {words} words")]
    TooMany {
        /// Byte offset of the count.
        at: usize,
        /// What is counted.
        what: &'static str,
        /// The count.
        count: usize,
        /// How many words are left.
        words: usize,
    },
    /// The line goes on behind its end.
    #[error("at byte {at}: {found:?} is too much")]
    Trailing {
        /// Byte offset of the word.
        at: usize,
        /// The word, or its beginning.
        found: String,
    },
}

/// Prints a list as the kernel does: its length and its words.
fn write_counted(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    write!(f, "{}", words.len())?;
    write_words(f, words)
}

/// Prints words, a space before each.
fn write_words(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    words.iter().try_for_each(|word| write!(f, " {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceNumber;

    /// As printed by `dmsetup table` on Linux 6.1, without the target's name.
    const TABLES: [&str; 13] = [
        "0 0 1 1 round-robin 0 1 1 8:0 1 ",
        "0 0 1 1 service-time 0 4 2 8:0 1 1 8:16 1 1 8:32 1 1 8:48 1 1 ",
        "0 0 2 1 round-robin 0 2 1 8:0 1 8:16 1 round-robin 0 2 1 8:32 1 8:48 1 ",
        "1 queue_if_no_path 0 2 2 queue-length 0 2 1 8:0 1 8:16 1 \
         queue-length 0 2 1 8:32 1 8:48 1 ",
        "2 queue_if_no_path retain_attached_hw_handler 1 alua 2 1 \
         service-time 0 2 2 8:0 1 1 8:16 1 1 service-time 0 2 2 8:32 1 1 8:48 1 1 ",
        "3 pg_init_retries 50 retain_attached_hw_handler 1 alua 1 1 service-time 0 1 2 8:0 1 1 ",
        "6 queue_if_no_path pg_init_delay_msecs 100 retain_attached_hw_handler queue_mode bio \
         1 alua 1 1 round-robin 0 1 1 8:0 1 ",
        "0 0 0 0 ",
        "1 queue_if_no_path 0 0 0 ",
        // From the kernel's documentation and source: arguments of handlers and selectors.
        "0 2 hp_sw 1 1 1 round-robin 0 1 1 8:0 1000",
        "0 0 1 1 historical-service-time 2 5 20000000 2 1 8:0 1 8:16 2",
        "0 0 1 1 io-affinity 0 2 1 259:0 1 259:1 2",
        "0 0 1 1 queue-length 0 2 0 8:0 8:16",
    ];

    /// As printed by `dmsetup status` on Linux 6.1, without the target's name.
    const STATUS: [&str; 13] = [
        "2 0 0 0 1 1 A 0 1 0 8:0 A 0 ",
        "2 1 0 0 1 1 E 0 1 0 8:0 F 1 ",
        "2 0 0 0 1 1 A 0 4 2 8:0 A 0 0 1 8:16 A 0 0 1 8:32 A 0 0 1 8:48 A 0 0 1 ",
        "2 0 0 0 1 1 A 0 4 2 8:0 A 0 0 1 8:16 F 1 0 1 8:32 A 0 0 1 8:48 A 0 0 1 ",
        "2 0 0 0 2 1 A 0 2 0 8:0 A 0 8:16 A 0 E 0 2 0 8:32 A 0 8:48 A 0 ",
        "2 1 0 0 2 2 E 0 2 1 8:0 F 1 0 8:16 F 1 0 E 0 2 1 8:32 F 1 0 8:48 F 1 0 ",
        "2 0 0 0 2 2 E 0 2 1 8:0 A 0 0 8:16 A 0 0 A 0 2 1 8:32 A 0 0 8:48 A 0 0 ",
        "2 0 0 0 2 1 D 0 2 1 8:0 A 0 0 8:16 A 0 0 E 0 2 1 8:32 A 0 0 8:48 A 0 0 ",
        "2 0 1 0 2 1 A 0 2 2 8:0 A 0 0 1 8:16 A 0 0 1 E 0 2 2 8:32 A 0 0 1 8:48 A 0 0 1 ",
        "2 0 1 0 1 1 A 0 1 2 8:0 A 0 0 1 ",
        "2 0 0 0 0 0 ",
        "2 1 0 0 0 0 ",
        // Not seen: a selector that speaks of itself too, and at length of its path.
        "2 0 0 0 1 1 A 2 5 0 1 3 8:0 A 0 100 0 0 ",
    ];

    fn table(line: &str) -> MultipathTable {
        line.parse().unwrap()
    }

    fn status(line: &str) -> MultipathStatus {
        line.parse().unwrap()
    }

    #[test]
    fn lines_of_the_kernel_print_as_they_came() {
        for line in TABLES {
            assert_eq!(table(line).to_string(), line.trim_end());
        }
        for line in STATUS {
            assert_eq!(status(line).to_string(), line.trim_end());
        }
    }

    #[test]
    fn a_table_is_understood() {
        let table = table(TABLES[4]);
        assert!(table.features.queue_if_no_path());
        assert!(table.features.retain_attached_hw_handler());
        assert_eq!(table.features.pg_init_retries(), None);
        assert_eq!(
            table.hw_handler,
            Some(HwHandler {
                name: "alua".into(),
                args: vec![]
            })
        );
        assert_eq!((table.next_group, table.groups.len()), (1, 2));
        assert_eq!(table.groups[1].selector.name, "service-time");
        let path = TablePath {
            device: DeviceNumber::new(8, 32),
            args: vec!["1".into(); 2],
        };
        assert_eq!(table.groups[1].paths[0], path);
        let devices: Vec<_> = table.paths().map(|path| path.device.to_string()).collect();
        assert_eq!(devices, ["8:0", "8:16", "8:32", "8:48"]);
    }

    #[test]
    fn features_have_values() {
        let six = table(TABLES[6]).features;
        assert_eq!(six.pg_init_delay_msecs(), Some(100));
        assert_eq!(six.queue_mode(), Some("bio"));
        assert_eq!(table(TABLES[5]).features.pg_init_retries(), Some(50));
        let none = table(TABLES[0]).features;
        assert!(!none.queue_if_no_path() && none.queue_mode().is_none());
        assert_eq!(table(TABLES[9]).hw_handler.unwrap().args, ["1"]);
        assert_eq!(table(TABLES[10]).groups[0].selector.args, ["5", "20000000"]);
    }

    #[test]
    fn a_status_is_understood() {
        let failed = status(STATUS[3]);
        assert!(!failed.queues_io());
        let states: Vec<_> = failed
            .paths()
            .map(|path| (path.state, path.fail_count))
            .collect();
        let (active, failed) = ((PathState::Active, 0), (PathState::Failed, 1));
        assert_eq!(states, [active, failed, active, active]);

        let bypassed = status(STATUS[7]);
        let states: Vec<_> = bypassed.groups.iter().map(|group| group.state).collect();
        assert_eq!(states, [GroupState::Disabled, GroupState::Enabled]);
        assert_eq!(status(STATUS[6]).groups[1].state, GroupState::Active);
        assert_eq!(status(STATUS[8]).pg_init_count(), Some(1));
        assert!(status(STATUS[11]).queues_io());
        assert_eq!(status(STATUS[10]).paths().count(), 0);
        assert_eq!(
            status(STATUS[12]).groups[0].paths[0].args,
            ["100", "0", "0"]
        );
    }

    #[test]
    fn errors_name_the_position() {
        fn check(line: &str, expected: &str) {
            let error = line.parse::<MultipathStatus>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{line:?}");
        }
        check("", "at byte 0: the line ends where features should be");
        check(
            "2 0 0 0 0",
            "at byte 9: the line ends where the number of the next group should be",
        );
        check("2 0 0 0 x 1", "at byte 8: \"x\" is not groups");
        check("2 0 0 0 9 1 A", "at byte 8: 9 groups cannot be in 2 words");
        check(
            "2 0 0 0 1 1 X 0 0 0",
            "at byte 12: \"X\" is not a group's state (A, E or D)",
        );
        check(
            "2 0 0 0 1 1 A 0 1 0 8 A 0",
            "at byte 20: \"8\" is not a path's device number",
        );
        check(
            "2 0 0 0 1 1 A 0 1 0 8:0 B 0",
            "at byte 24: \"B\" is not a path's state (A or F)",
        );
        check(
            "2 0 0 0 1 1 A 0 1 0 8:0 A -1",
            "at byte 26: \"-1\" is not a path's fail count",
        );
        check("2 0 0 0 0 0 0", "at byte 12: \"0\" is too much");
        check("+2 0 0 0 0 0", "at byte 0: \"+2\" is not features");
        let long = format!("2 0 0 0 0 0 {}", "y".repeat(10_000));
        assert!(
            long.parse::<MultipathStatus>()
                .unwrap_err()
                .to_string()
                .len()
                < 100
        );
    }

    #[test]
    fn counts_do_not_allocate() {
        for line in [
            "18446744073709551615 0 0 0",
            "0 18446744073709551615 0 0",
            "0 0 18446744073709551615 0",
            "2 0 0 0 1 1 A 0 18446744073709551615 0 8:0",
            "2 0 0 0 1 1 A 0 1 18446744073709551615 8:0 A 0",
            "0 0 1 1 round-robin 0 1 18446744073709551615 8:0",
        ] {
            line.parse::<MultipathStatus>().unwrap_err();
            line.parse::<MultipathTable>().unwrap_err();
        }
    }

    #[test]
    fn every_cut_line_is_refused() {
        fn check<T: std::str::FromStr<Err = ParseError>>(line: &str) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            for cut in 0..words.len() {
                assert!(
                    words[..cut].join(" ").parse::<T>().is_err(),
                    "{line:?} cut at {cut}"
                );
            }
        }
        TABLES.iter().for_each(|line| check::<MultipathTable>(line));
        STATUS
            .iter()
            .for_each(|line| check::<MultipathStatus>(line));
    }

    #[test]
    fn no_changed_byte_panics() {
        for line in TABLES.iter().chain(&STATUS) {
            for position in 0..line.len() {
                for byte in *b" 0129:AEFx-+\0\x7f" {
                    let mut bytes = line.as_bytes().to_vec();
                    bytes[position] = byte;
                    let changed = String::from_utf8(bytes).unwrap();
                    // What is accepted prints as something that means the same.
                    if let Ok(table) = changed.parse::<MultipathTable>() {
                        assert_eq!(
                            table.to_string().parse().as_ref(),
                            Ok(&table),
                            "{changed:?}"
                        );
                    }
                    if let Ok(status) = changed.parse::<MultipathStatus>() {
                        assert_eq!(
                            status.to_string().parse().as_ref(),
                            Ok(&status),
                            "{changed:?}"
                        );
                    }
                }
            }
        }
    }
}
