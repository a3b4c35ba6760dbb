//! The command line, as multipathd takes it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::places::Places;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What is to be done.
    pub mode: Mode,
    /// Where.
    pub places: Places,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Be the daemon.
    Daemon(DaemonOptions),
    /// Send one command to the daemon that runs.
    Command(String),
    /// Send commands that are typed in.
    Interactive,
    /// Finish what killed commands have left behind, and end.
    Settle,
    /// Write the texts that come in to this file: the daemon starts that for itself.
    WriteMetrics(PathBuf),
    /// Tell how it is used.
    Help,
}

/// How to be the daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DaemonOptions {
    /// Stay in the foreground and log to stderr (`-d`).
    pub is_foreground: bool,
    /// Log lines without time (`-s`).
    pub is_timeless: bool,
    /// How much is logged, from 0 to 6 (`-v`); otherwise as configured.
    pub verbosity: Option<u8>,
}

/// The command line cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// There is no such option.
    #[error("unknown option '{option}'")]
    Unknown {
        /// The option.
        option: String,
    },
    /// `-v` wants a level.
    #[error("-v wants a level from 0 to {MAX_VERBOSITY}")]
    Verbosity,
    /// An option wants a path.
    #[error("{option} wants {what}")]
    Path {
        /// The option.
        option: String,
        /// What is to follow it.
        what: &'static str,
    },
    /// An argument is no text.
    #[error("an argument is not UTF-8")]
    NotText,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// See [`UsageError`].
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut places = Places::default();
    let mode = mode(args, &mut places)?;
    Ok(Invocation { mode, places })
}

fn mode(args: impl IntoIterator<Item = OsString>, places: &mut Places) -> Result<Mode, UsageError> {
    let texts = args.into_iter().map(OsString::into_string);
    let args: Vec<String> = texts
        .collect::<Result<_, _>>()
        .map_err(|_| UsageError::NotText)?;
    let mut options = DaemonOptions::default();
    let mut is_settling = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            None => return Ok(Mode::Command(joined(std::iter::once(arg).chain(rest)))),
            Some("-") => return Ok(Mode::Command(joined(rest))),
            Some("-help") => return Ok(Mode::Help),
            Some("-settle") => is_settling = true,
            Some(long) if let Some(file) = long.strip_prefix("-write-metrics=") => {
                return Ok(Mode::WriteMetrics(file.into()));
            }
            Some(long) if long.starts_with('-') => take_place(arg, &mut rest, places)?,
            Some(letters) => {
                if let Some(mode) = take_letters(letters, &mut rest, &mut options)? {
                    return Ok(mode);
                }
            }
        }
    }
    Ok(if is_settling {
        Mode::Settle
    } else {
        Mode::Daemon(options)
    })
}

/// A long option with a path, behind it or behind `=`.
fn take_place<'a>(
    arg: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    places: &mut Places,
) -> Result<(), UsageError> {
    let (option, attached) = match arg.split_once('=') {
        Some((option, value)) => (option, Some(value)),
        None => (arg, None),
    };
    let (place, what) = match option {
        "--sandbox" => (&mut places.sandbox, "the folder of a node, as in DIR/NODE"),
        "--config" => (&mut places.settings, "a file"),
        "--metrics" => (&mut places.metrics, "a file"),
        _ => {
            let option = option.to_owned();
            return Err(UsageError::Unknown { option });
        }
    };
    let value = attached.or_else(|| rest.next().map(String::as_str));
    let value = value.filter(|value| !value.is_empty());
    let option = option.to_owned();
    *place = Some(value.ok_or(UsageError::Path { option, what })?.into());
    Ok(())
}

/// Options that are bundled behind one dash.
fn take_letters<'a>(
    letters: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    options: &mut DaemonOptions,
) -> Result<Option<Mode>, UsageError> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let behind = letters.as_str();
        match letter {
            'd' => options.is_foreground = true,
            's' => options.is_timeless = true,
            'h' => return Ok(Some(Mode::Help)),
            'k' if behind.trim().is_empty() => return Ok(Some(Mode::Interactive)),
            'k' => return Ok(Some(Mode::Command(behind.trim().to_owned()))),
            'v' => {
                let level = match behind {
                    "" => rest.next().map(String::as_str),
                    attached => Some(attached),
                };
                options.verbosity = Some(level.and_then(verbosity).ok_or(UsageError::Verbosity)?);
                return Ok(None);
            }
            _ => {
                return Err(UsageError::Unknown {
                    option: format!("-{letter}"),
                });
            }
        }
    }
    Ok(None)
}

fn verbosity(text: &str) -> Option<u8> {
    text.parse().ok().filter(|level| *level <= MAX_VERBOSITY)
}

/// Arguments with blanks are one word of the command each.
fn joined<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let quoted = words.map(|word| match word.contains(char::is_whitespace) {
        true => format!("\"{}\"", word.replace('"', "\"\"")),
        false => word.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// How it is used.
#[must_use]
pub fn usage(program: &str) -> String {
    let option = |(option, help): &(&str, &str)| format!("      {option:14}  {help}\n");
    let options: String = OPTIONS.iter().map(option).collect();
    let mode = |(mode, help): &(&str, &str)| {
        let line = format!("{program} {mode}");
        format!("  {line:32} {help}\n")
    };
    let modes: Vec<String> = MODES.iter().map(mode).collect();
    format!(
        "{program}: {ABOUT}\n\n{}{options}{}\n{SANDBOX}\n\n\
         The daemon's commands: {program} help\n",
        modes.first().map_or("", String::as_str),
        modes.get(1..).unwrap_or_default().concat(),
    )
}

/// What the program is, in a line.
pub const ABOUT: &str = "multipath daemon for hosts that use persistent reservations";

/// How it can be called, and what for; first of all as the daemon.
pub const MODES: &[(&str, &str)] = &[
    ("[-d] [-s] [-v LEVEL]", "be the daemon"),
    (
        "COMMAND …",
        "send a command to the daemon, such as: show maps",
    ),
    ("-k\"COMMAND\"", "the same"),
    ("-k", "send commands that are typed in; quit ends"),
    (
        "--settle",
        "finish what killed commands have left behind, and end",
    ),
    ("-h", "this text"),
];

/// What the option is for that may stand before all others.
pub const SANDBOX: &str = "With --sandbox DIR/NODE before all that, on a node of a simulated SAN \
                           ('mpathpersist sandbox').";

/// The daemon's options.
pub const OPTIONS: &[(&str, &str)] = &[
    ("-d", "stay in the foreground, log to stderr"),
    ("-s", "log without time"),
    (
        "-v LEVEL",
        "how much is logged: 0 errors, 1 warnings, 2 what happens, 3 and more details",
    ),
    (
        "--config FILE",
        "settings of our own (metrics, hooks), instead of /etc/mpath-pr.conf",
    ),
    (
        "--metrics FILE",
        "write metrics for Prometheus to it; -FILE: only if its folder is there",
    ),
];

/// multipathd has levels up to 4 and takes higher ones.
const MAX_VERBOSITY: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[&str], expected: Result<Mode, UsageError>) {
        let parsed = parse(line.iter().map(OsString::from));
        assert_eq!(parsed.map(|line| line.mode), expected, "{line:?}");
    }

    fn daemon(
        is_foreground: bool,
        is_timeless: bool,
        verbosity: Option<u8>,
    ) -> Result<Mode, UsageError> {
        Ok(Mode::Daemon(DaemonOptions {
            is_foreground,
            is_timeless,
            verbosity,
        }))
    }

    #[test]
    fn the_daemon_is_started() {
        check(&[], daemon(false, false, None));
        check(&["-d"], daemon(true, false, None));
        check(&["-d", "-s", "-v2"], daemon(true, true, Some(2)));
        check(&["-dsv", "3"], daemon(true, true, Some(3)));
        check(&["-v", "7"], Err(UsageError::Verbosity));
        check(&["-v"], Err(UsageError::Verbosity));
        check(
            &["-x"],
            Err(UsageError::Unknown {
                option: "-x".into(),
            }),
        );
        check(&["-dh"], Ok(Mode::Help));
        check(&["--help"], Ok(Mode::Help));
        check(&["--settle"], Ok(Mode::Settle));
    }

    #[test]
    fn places_are_named() {
        let line = ["--sandbox", "san/alice", "--metrics=m.prom", "-d"];
        let parsed = parse(line.map(OsString::from)).unwrap();
        assert_eq!(Ok(parsed.mode), daemon(true, false, None));
        assert_eq!(parsed.places.sandbox, Some("san/alice".into()));
        assert_eq!(parsed.places.metrics, Some("m.prom".into()));
        let parsed = parse(["--sandbox=san/bob", "show", "maps"].map(OsString::from)).unwrap();
        assert_eq!(parsed.mode, Mode::Command("show maps".to_owned()));
        check(&["--sandbox", "d/n", "--settle"], Ok(Mode::Settle));
        check(&["--settle", "--sandbox", "d/n"], Ok(Mode::Settle));
        let unknown = |option: &str| UsageError::Unknown {
            option: option.into(),
        };
        check(&["--sandbx=d/n"], Err(unknown("--sandbx")));
        let option = "--config".to_owned();
        let what = "a file";
        check(&["--config"], Err(UsageError::Path { option, what }));
    }

    #[test]
    fn commands_are_sent() {
        let command = |text: &str| Ok(Mode::Command(text.to_owned()));
        check(&["-kshow maps"], command("show maps"));
        check(&["-k show maps "], command("show maps"));
        check(&["-k"], Ok(Mode::Interactive));
        check(&["-k", "show", "maps"], Ok(Mode::Interactive));
        check(&["show", "maps"], command("show maps"));
        check(
            &["show", "maps", "raw", "format", "%n %w"],
            command("show maps raw format \"%n %w\""),
        );
        check(
            &["getprkey", "map", "a \"b"],
            command("getprkey map \"a \"\"b\""),
        );
        check(&["--", "show", "paths"], command("show paths"));
        check(&["show", "maps", "-k"], command("show maps -k"));
        check(&["-d", "show", "maps"], command("show maps"));
    }

    #[test]
    fn the_usage_names_the_program() {
        let expected = "\
multipathd: multipath daemon for hosts that use persistent reservations

  multipathd [-d] [-s] [-v LEVEL]  be the daemon
      -d              stay in the foreground, log to stderr
      -s              log without time
      -v LEVEL        how much is logged: 0 errors, 1 warnings, 2 what happens, 3 and more details
      --config FILE   settings of our own (metrics, hooks), instead of /etc/mpath-pr.conf
      --metrics FILE  write metrics for Prometheus to it; -FILE: only if its folder is there
  multipathd COMMAND …             send a command to the daemon, such as: show maps
  multipathd -k\"COMMAND\"           the same
  multipathd -k                    send commands that are typed in; quit ends
  multipathd --settle              finish what killed commands have left behind, and end
  multipathd -h                    this text

With --sandbox DIR/NODE before all that, on a node of a simulated SAN ('mpathpersist sandbox').

The daemon's commands: multipathd help
";
        assert_eq!(usage("multipathd"), expected);
    }
}
