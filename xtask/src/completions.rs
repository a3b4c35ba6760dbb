//! Completions for bash, zsh and fish: what clap_complete makes of the programs' options and
//! commands, and around it the names of the maps, which a shell reads in sysfs without root.

pub mod daemon;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use clap_complete::{Generator, Shell};
use mpathpersist::cli;

use crate::error::{Context, Error, Result};

/// A completion script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its file, named as its shell wants to find it.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// The shells that there are scripts for.
pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// The script of a program (`mpathpersist` or `multipathd-lite`) for a shell; `sysfs` is `/sys`.
///
/// # Errors
/// If clap_complete's script is not as expected.
pub fn script(program: &str, shell: Shell, sysfs: &str) -> Result<Script> {
    let command = if program == "mpathpersist" {
        cli::documented()
    } else {
        daemon::command()
    };
    let mut built = command.clone();
    let mut bytes = Vec::new();
    // clap_complete's script for bash loses the commands of a program with a dash in its name.
    let name = match shell {
        Shell::Bash => program.trim_end_matches("-lite"),
        _ => program,
    };
    clap_complete::generate(shell, &mut built, name, &mut bytes);
    let text = String::from_utf8(bytes).map_err(|_| Error::unexpected("a script is no text"))?;
    let text = match shell {
        Shell::Bash => bash(program, &text, &command),
        Shell::Zsh => zsh(&text),
        _ => fish(program, &text),
    };
    let file = match shell {
        // bash-completion and fish load by name, zsh with an underscore before it.
        Shell::Bash => program.to_owned(),
        Shell::Zsh => format!("_{program}"),
        shell => shell.file_name(program),
    };
    Ok(Script {
        file,
        text: text.replace("@SYSFS@", sysfs),
    })
}

/// Writes all scripts below a folder, by shell.
///
/// # Errors
/// If one cannot be made or written.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for shell in SHELLS {
        let below = folder.join(shell.to_string());
        fs::create_dir_all(&below).context(|| format!("cannot make {}", below.display()))?;
        for program in ["mpathpersist", "multipathd-lite"] {
            let Script { file, text } = script(program, shell, "/sys")?;
            let path = below.join(file);
            fs::write(&path, text).context(|| format!("cannot write {}", path.display()))?;
            paths.push(path);
        }
    }
    Ok(paths)
}

fn bash(program: &str, generated: &str, command: &Command) -> String {
    // The last lines register the function, which is ours here.
    let until = generated.find("\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4");
    let generated = until
        .and_then(|at| generated.get(..at))
        .unwrap_or(generated);
    let with_values = command.get_arguments().filter(|arg| takes_value(arg));
    let names: Vec<String> = with_values.flat_map(names).collect();
    let template = if program == "mpathpersist" {
        BASH_PERSIST
    } else {
        BASH_DAEMON
    };
    format!("{generated}\n{BASH_MAPS}{template}").replace("@VALUES@", &names.join("|"))
}

fn takes_value(arg: &Arg) -> bool {
    !arg.is_positional() && arg.get_action().takes_values()
}

/// As they stand on a command line.
fn names(arg: &Arg) -> Vec<String> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    short.into_iter().chain(long).collect()
}

fn zsh(generated: &str) -> String {
    let maps = [
        (":DEVICE:_default", ":DEVICE:_mpath_pr_maps"),
        (
            "The same as --device:_default",
            "The same as --device:_mpath_pr_maps",
        ),
        (":MAP:_default", ":MAP:_mpath_pr_maps"),
        ("a WWID or dm-N:_default", "a WWID or dm-N:_mpath_pr_maps"),
    ];
    let text = maps.iter().fold(generated.to_owned(), |text, (from, to)| {
        text.replace(from, to)
    });
    // Behind the first line, which tells zsh whom it is for.
    let (head, rest) = text.split_once('\n').unwrap_or(("", &text));
    format!("{head}\n{ZSH_MAPS}{rest}")
}

fn fish(program: &str, generated: &str) -> String {
    let more = if program == "mpathpersist" {
        FISH_PERSIST
    } else {
        FISH_DAEMON
    };
    format!("{generated}\n{FISH_MAPS}{more}")
}

const BASH_MAPS: &str = include_str!("completions/maps.bash");
const BASH_PERSIST: &str = include_str!("completions/mpathpersist.bash");
const BASH_DAEMON: &str = include_str!("completions/multipathd-lite.bash");
const ZSH_MAPS: &str = include_str!("completions/maps.zsh");
const FISH_MAPS: &str = include_str!("completions/maps.fish");
const FISH_PERSIST: &str = include_str!("completions/mpathpersist.fish");
const FISH_DAEMON: &str = include_str!("completions/multipathd-lite.fish");

#[cfg(test)]
mod tests;
