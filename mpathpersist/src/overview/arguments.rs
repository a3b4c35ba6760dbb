//! The command lines of `status`, `check`, `explain` and `repair`.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use super::{Terminal, check};
use crate::cli::ExitStatus;
use crate::paint::Paint;

/// How things stand on the maps of this host, and what is wrong with that
#[derive(Debug, Parser)]
#[command(
    name = "mpathpersist",
    disable_help_subcommand = true,
    args_override_self = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Print one JSON object; its fields are in docs/json.md
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Whether to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: When,
    /// Look at the simulated SAN in DIR, as the node DIR/NODE; see 'mpathpersist sandbox --help'
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) sandbox: Option<OsString>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show reservation, holder, keys and paths of maps, and what is wrong with them
    ///
    /// For each map: its reservation, who holds it and by what that is known, where its key comes
    /// from, what the daemon and this node remember, each path with the key registered for it,
    /// other nodes' registrations, and what is wrong, with what to do. With more than three maps
    /// and none named, each gets one line. Nothing is changed and no lock is taken.
    Status {
        /// Maps, as in /dev/mapper/NAME; without any, all maps of this host
        #[arg(value_name = "MAP")]
        maps: Vec<String>,
        /// Show every map and every column in full
        #[arg(short, long)]
        verbose: bool,
    },
    /// Say in an exit status whether maps are healthy, with one line for each finding
    ///
    /// For Nagios, Icinga and the like. Exit status: 0 healthy, 1 needs attention (nothing fails
    /// now), 2 broken (I/O fails, or fencing does not work), 3 unknown (a map could not be looked
    /// at). Of several maps the worst counts: broken, then unknown, then attention.
    #[command(after_help = "The names in brackets are stable: 'mpathpersist explain NAME'.")]
    Check {
        /// Maps, as in /dev/mapper/NAME; without any, all maps of this host
        #[arg(value_name = "MAP")]
        maps: Vec<String>,
    },
    /// Settle what is off on a map: a command that was cut off, paths without the key, old keys
    ///
    /// Shows first what it will do. Completes a command that was killed; brings the registration
    /// of each usable path in line with what this node is, as for a path that comes back; removes
    /// registrations of older keys that the device names as this node's. Leaves alone what cannot
    /// be shown to be this node's, and does not let a node in again that was shut out. Exit
    /// status: 0 nothing is left to do, 1 refused or not wanted, 15 something could not be settled.
    Repair {
        /// The map, as in /dev/mapper/NAME
        #[arg(value_name = "MAP")]
        map: String,
        /// Do it without asking
        #[arg(short, long)]
        yes: bool,
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Explain a message by its name, or where the key of a map comes from and what tells whose
    ///
    /// With the name that stands in brackets behind a message: its cause, what it means for the
    /// data, and what to do. With a map: which line of the configuration gave its key, what this
    /// node remembers, and each piece of evidence with what it says. With neither: all names.
    Explain {
        /// The name of a message, such as path-without-key; or a map
        #[arg(value_name = "NAME|MAP")]
        subject: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    /// On a terminal
    Auto,
    /// Yes
    Always,
    /// No
    Never,
}

impl Arguments {
    pub(super) fn terminal(&self, automatic: Terminal) -> Terminal {
        let paint = match self.color {
            When::Auto => automatic.paint,
            When::Always => Paint::Color,
            When::Never => Paint::Plain,
        };
        Terminal { paint, ..automatic }
    }
}

impl Verb {
    /// The exit status of a command that could not even begin.
    pub(super) const fn failed(&self) -> ExitStatus {
        match self {
            Self::Check { .. } => check::UNKNOWN,
            Self::Status { .. } | Self::Explain { .. } | Self::Repair { .. } => {
                ExitStatus::SYNTAX_ERROR
            }
        }
    }
}

/// The commands as clap knows them, for help texts, manual pages and shell completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Whether a command line, `args` beginning with the program's name, is one of these.
#[must_use]
pub fn is_meant(args: &[OsString]) -> bool {
    let mut words = args.iter().skip(1).filter_map(|word| word.to_str());
    let verb = loop {
        match words.next() {
            Some("--sandbox" | "--color") => drop(words.next()),
            Some(word) if word.starts_with("--sandbox=") || word.starts_with("--color=") => {}
            Some("--json") => {}
            other => break other,
        }
    };
    verb.is_some_and(|verb| VERBS.contains(&verb)) && !words.any(is_of_the_contract)
}

/// A map may have one of these names, too: then an option says what is wanted of it.
fn is_of_the_contract(word: &str) -> bool {
    let is_short = |rest: &str| rest.starts_with(['i', 'o', 'f', 'd']);
    match word.strip_prefix('-') {
        Some(rest) if rest.starts_with('-') => {
            ["--in", "--out", "--batch-file", "--device"].contains(&word)
        }
        Some(rest) => is_short(rest),
        None => false,
    }
}

pub(super) fn parse(args: &[OsString]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(args)
}

/// The exit status of a command line that cannot be parsed.
pub(super) fn failure_of(args: &[OsString]) -> ExitStatus {
    if args.iter().any(|word| word == OsStr::new("check")) {
        check::UNKNOWN
    } else {
        ExitStatus::SYNTAX_ERROR
    }
}

const VERBS: [&str; 4] = ["status", "check", "explain", "repair"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: bool) {
        let words = std::iter::once("mpathpersist").chain(line.split_whitespace());
        let words: Vec<OsString> = words.map(OsString::from).collect();
        assert_eq!(is_meant(&words), expected, "{line}");
    }

    #[test]
    fn a_map_may_be_called_status() {
        check("status", true);
        check("--sandbox dir/alice --json check mpatha", true);
        check("--sandbox=dir/alice explain", true);
        check("status --json -v", true);
        check("status -i -k", false);
        check("-i -k status", false);
        check("check -oG -S 1", false);
        check("status --in -k", false);
        check("mpatha status", false);
        check("", false);
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_commands() {
        command().debug_assert();
    }
}
