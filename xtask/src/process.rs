//! Running the host's tools: each call either succeeds or says which command failed and why.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Context, Error, Result};

/// A command line as a person would type it.
#[must_use]
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word, quoted for a POSIX shell where that is needed.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command that must succeed, with the task's own standard streams.
///
/// # Errors
/// [`Error::Command`] if it does not succeed, [`Error::Io`] if it cannot be started.
pub fn run(command: &mut Command) -> Result {
    let status = command
        .status()
        .context(|| format!("cannot run `{}`", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: shown(command),
        outcome: status.to_string(),
        output: String::new(),
    })
}

/// Runs a command that must succeed and returns its standard output; what it wrote to both
/// streams is part of the error if it fails.
///
/// # Errors
/// As [`run`].
pub fn output(command: &mut Command) -> Result<String> {
    output_of_pipe(command.stdin(Stdio::null()))
}

/// As [`output`], for a command that reads what another one writes.
///
/// # Errors
/// As [`run`].
pub fn output_of_pipe(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .context(|| format!("cannot run `{}`", shown(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: shown(command),
        outcome: output.status.to_string(),
        output: tail(&output),
    })
}

/// Whether a program of this name is in PATH or in one of the folders that only root's PATH has.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    folders
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// [`Command::new`] for a program found by [`find_program`].
#[must_use]
pub fn tool(name: &str) -> Command {
    Command::new(find_program(name).unwrap_or_else(|| PathBuf::from(name)))
}

/// `Command::arg` for a `name=value` option whose value is a path.
#[must_use]
pub fn option(name: &str, value: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(AsRef::<OsStr>::as_ref(value));
    option
}

/// The last lines of both streams.
fn tail(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(TAIL_LINES))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Lines of a failed command's output that are shown: apt's errors come last.
const TAIL_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted_into_a_shell() {
        let mut command = Command::new("echo");
        command.args(["a b", "it's", "plain-1.0", ""]);
        assert_eq!(shown(&command), r"echo 'a b' 'it'\''s' plain-1.0 ''");
    }

    #[test]
    fn a_failing_command_says_what_it_wrote() {
        let error = output(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]))
            .expect_err("exit 3 is a failure");
        let text = error.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("\n    out\n    err"), "{text}");
    }
}
