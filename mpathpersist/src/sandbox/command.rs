//! `mpathpersist sandbox …`: makes a sandbox, shows it, and lets paths fail and come back.
//!
//! As a command line of the contract, two words without an option are a usage error; so nothing
//! that worked before means something else now.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use super::{Condition, Disk, Folder, Node, Paint, Plan, SandboxError, Table};
use crate::cli::{self, ExitStatus, Privilege};

/// A simulated SAN in a folder, to try mpathpersist on
#[derive(Debug, Parser)]
#[command(
    name = "mpathpersist sandbox",
    bin_name = "mpathpersist sandbox",
    disable_help_subcommand = true,
    after_help = AFTER_HELP
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a sandbox in DIR: a folder for each node, and one array that all of them reach
    Init {
        /// A folder that is empty or not there yet
        dir: PathBuf,
        /// The nodes' names
        #[arg(
            long,
            value_name = "NAMES",
            value_delimiter = ',',
            default_value = "alice,bob"
        )]
        nodes: Vec<String>,
        /// Paths of each node to each logical unit
        #[arg(long, value_name = "NUMBER", default_value_t = 4)]
        paths: usize,
        /// Logical units: mpatha, mpathb and so on
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        luns: usize,
        /// The array's kind: strict (as SPC-4 says), lio (as Linux' target does),
        /// per-initiator-port, no-full-status, one-at-a-time, needs-all-tg-pt or no-pr
        #[arg(long, value_name = "NAME", default_value = "strict")]
        profile: String,
    },
    /// Show who is registered by which path, who holds the reservation, and who can write
    Show {
        /// The sandbox, or a node of it
        dir: PathBuf,
        /// Whether to use colours
        #[arg(long, value_name = "WHEN", default_value = "auto")]
        color: When,
    },
    /// Bring paths back, and do for them what multipathd does: settle their registration, then
    /// use them again
    Up(Paths),
    /// Let paths die: commands fail at once
    Offline(Paths),
    /// Remove paths from the node
    Gone(Paths),
    /// Let paths hang: commands get no answer, and nobody has noticed yet
    Hang(Paths),
    /// Let the array lose its power for a moment: it forgets what was registered without APTPL
    PowerCycle {
        /// The sandbox
        dir: PathBuf,
    },
    /// Send a command through one path, as it is: DEVICE is the path, and no policy is applied
    Disk {
        /// The node's folder
        node: PathBuf,
        /// Options of mpathpersist
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        options: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct Paths {
    /// The node's folder, such as DIR/alice
    node: PathBuf,
    /// The paths' devices, such as sda
    #[arg(required = true)]
    paths: Vec<String>,
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

/// The command as clap knows it.
pub(crate) fn command() -> clap::Command {
    Arguments::command().name("sandbox")
}

/// Whether a command line, `args` beginning with the program's name, is one of these.
#[must_use]
pub fn is_meant(args: &[OsString]) -> bool {
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    word(1) == Some("sandbox") && word(2).is_none_or(|verb| VERBS.contains(&verb))
}

/// Runs one. What is shown has the colours of a terminal if `out` is one.
pub fn run(
    args: &[OsString],
    paint: Paint,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitStatus {
    let words = args.iter().skip(1).map(OsString::as_os_str);
    let verb = match Arguments::try_parse_from(words) {
        Ok(Arguments { verb }) => verb,
        Err(error) if error.use_stderr() => {
            say(err, &error.render().to_string());
            return ExitStatus::SYNTAX_ERROR;
        }
        Err(help) => {
            say(out, &help.render().to_string());
            return ExitStatus::SUCCESS;
        }
    };
    let result = match verb {
        Verb::Disk { node, options } => Node::locate(&node).map(|node| {
            let name = OsStr::new("mpathpersist").to_owned();
            let args = std::iter::once(name).chain(options);
            cli::run(args, &mut Disk::new(&node), Privilege::Root, out, err)
        }),
        verb => verb.run(paint).map(|text| {
            say(out, &text);
            ExitStatus::SUCCESS
        }),
    };
    result.unwrap_or_else(|error| {
        say(err, &format!("{error}\n"));
        ExitStatus::SYNTAX_ERROR
    })
}

impl Verb {
    fn run(self, paint: Paint) -> Result<String, SandboxError> {
        match self {
            Self::Init {
                dir,
                nodes,
                paths,
                luns,
                profile,
            } => {
                let plan = Plan {
                    nodes,
                    paths,
                    luns,
                    profile,
                };
                Folder::create(&dir, &plan.san()?).map(|_| String::new())
            }
            Self::Show { dir, color } => show(&dir, color.paint(paint)),
            Self::Up(paths) => paths.bring_back(),
            Self::Offline(paths) => paths.set(Condition::Offline),
            Self::Gone(paths) => paths.set(Condition::Gone),
            Self::Hang(paths) => paths.set(Condition::Hanging),
            Self::PowerCycle { dir } => power_cycle(&dir),
            Self::Disk { .. } => Ok(String::new()),
        }
    }
}

impl Paths {
    fn bring_back(&self) -> Result<String, SandboxError> {
        let told = Node::locate(&self.node)?.bring_back(&self.paths)?;
        Ok(told.into_iter().map(|line| line + "\n").collect())
    }

    fn set(&self, condition: Condition) -> Result<String, SandboxError> {
        let node = Node::locate(&self.node)?;
        node.set_condition(&self.paths, condition)?;
        Ok(String::new())
    }
}

impl When {
    const fn paint(self, automatic: Paint) -> Paint {
        match self {
            Self::Auto => automatic,
            Self::Always => Paint::Color,
            Self::Never => Paint::Plain,
        }
    }
}

fn show(dir: &Path, paint: Paint) -> Result<String, SandboxError> {
    let folder = match Folder::open(dir) {
        Ok(folder) => folder,
        Err(_) => Node::locate(dir)?.folder().clone(),
    };
    let san = folder.read()?;
    let tables: Vec<String> = Table::all(&san).map(|table| table.render(paint)).collect();
    Ok(tables.join("\n"))
}

fn power_cycle(dir: &Path) -> Result<String, SandboxError> {
    Folder::open(dir)?.change(|san| {
        for lun in &mut san.luns {
            lun.unit.power_cycle();
        }
        Ok(String::new())
    })
}

/// If that fails there is nobody to be told.
fn say(stream: &mut dyn Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

const VERBS: [&str; 10] = [
    "init",
    "show",
    "up",
    "offline",
    "gone",
    "hang",
    "power-cycle",
    "disk",
    "-h",
    "--help",
];

const AFTER_HELP: &str = "\
A node's folder stands for the node: 'mpathpersist --sandbox DIR/alice -i -k mpatha' is the command
on it. No root is needed, and nothing outside DIR is touched.";
