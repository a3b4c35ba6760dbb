//! multipathd-lite's command line as clap would describe it: its options, and the words of the
//! commands for its socket. The program itself reads neither with clap.

use clap::{Arg, ArgAction, Command, ValueHint};
use multipathd_lite::command_line::{ABOUT, OPTIONS};

/// The command for clap_complete.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("multipathd-lite")
        .about(ABOUT)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .args(OPTIONS.iter().filter_map(option))
        .arg(
            Arg::new("settle")
                .long("settle")
                .action(ArgAction::SetTrue)
                .help("Finish what killed commands have left behind, and end"),
        );
    WORDS.iter().fold(command, |command, (verb, objects)| {
        command.subcommand(objects.iter().fold(plain(verb), |verb, object| {
            let (word, behind) = object.split_once(' ').unwrap_or((object, ""));
            verb.subcommand(with_name(plain(word), behind))
        }))
    })
}

fn plain(word: &'static str) -> Command {
    Command::new(word)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
}

fn with_name(command: Command, behind: &'static str) -> Command {
    let help = match behind {
        "MAP" => "A name, a WWID or dm-N",
        "PATH" => "sdX or MAJOR:MINOR",
        _ => return command,
    };
    command.arg(Arg::new(behind).help(help))
}

/// `-v LEVEL` and what it means.
fn option((option, help): &(&'static str, &'static str)) -> Option<Arg> {
    let (name, value) = option.split_once(' ').unwrap_or((option, ""));
    let arg = Arg::new(name).help(*help);
    let arg = match name.strip_prefix("--") {
        Some(long) => arg.long(long),
        None => arg.short(name.strip_prefix('-')?.chars().next()?),
    };
    Some(match value {
        "" => arg.action(ArgAction::SetTrue),
        "FILE" => arg.value_name("FILE").value_hint(ValueHint::FilePath),
        value => arg.value_name(value),
    })
}

/// The first word of a command, and what may follow it.
pub const WORDS: &[(&str, &[&str])] = &[
    (
        "show",
        &[
            "paths",
            "path PATH",
            "maps",
            "map MAP",
            "topology",
            "status",
            "daemon",
            "config",
            "wildcards",
        ],
    ),
    ("getprstatus", &["map MAP"]),
    ("setprstatus", &["map MAP"]),
    ("unsetprstatus", &["map MAP"]),
    ("getprhold", &["map MAP"]),
    ("setprhold", &["map MAP"]),
    ("unsetprhold", &["map MAP"]),
    ("getprkey", &["map MAP"]),
    ("unsetprkey", &["map MAP"]),
    ("add", &["path PATH", "map MAP"]),
    ("remove", &["path PATH", "map MAP"]),
    ("fail", &["path PATH"]),
    ("reinstate", &["path PATH"]),
    ("suspend", &["map MAP"]),
    ("resume", &["map MAP"]),
    ("reload", &["map MAP"]),
    ("disablequeueing", &["map MAP"]),
    ("restorequeueing", &["map MAP"]),
    ("reconfigure", &[]),
    ("shutdown", &[]),
    ("ping", &[]),
    ("help", &[]),
];

#[cfg(test)]
mod tests {
    use mpath_state::protocol::Command as Asked;

    use super::*;

    #[test]
    fn the_daemon_understands_every_line() {
        for (verb, objects) in WORDS {
            let nothing: &[&str] = &[""];
            let objects = if objects.is_empty() { nothing } else { objects };
            for object in objects {
                let line = format!("{verb} {object}");
                let line = line.replace("MAP", "mpatha").replace("PATH", "sda");
                assert!(line.parse::<Asked>().is_ok(), "{line}");
            }
        }
    }
}
