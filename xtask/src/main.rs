//! `cargo xtask TASK`: checks the project and shows it at work.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use xtask::check::{self, Depth};
use xtask::ci;
use xtask::completions;
use xtask::demo;
use xtask::dist;
use xtask::error::Result;
use xtask::guest::{self, bench::Scale, demo::Color};
use xtask::lab::{self, Outcome, qemu::Clock};
use xtask::man;

/// The project's tasks
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show what the project is for, in a minute, on a simulated array (nothing is needed)
    Demo {
        /// Draw it anew as the picture of the README, and show nothing
        #[arg(long)]
        picture: bool,
    },
    /// Run everything that must hold before a change lands
    Ci,
    /// Make the packages, the tarball and their checksums, in target/dist
    Dist,
    /// Write the manual pages and the shells' completions to target/man and target/completions
    Man,
    /// Check the house rules that no compiler checks
    Tidy,
    /// Walk through the histories of a simulated world, with paths, nodes and faults, and check
    /// what the policy promises
    Check {
        /// Much further, for an hour
        #[arg(long)]
        deep: bool,
        /// Arguments of the checker: `--seed N`, `--only exhaustive`, `--only random`, `--type N`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the scenarios on a real kernel, in a QEMU guest (no root, no KVM needed)
    ///
    /// `lab demo` shows the main job there, `lab shell` gives a prompt with a map to try things
    /// on, `lab exec COMMAND…` runs a command.
    Lab {
        /// Arguments of the test binary: names to filter by, `--list`, `--nocapture`, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure the programs beside the distribution's, in one guest: ratios count, not seconds
    Bench(BenchOptions),
    /// What `lab demo`, `lab shell` and `bench` run inside the guest
    #[command(hide = true, subcommand)]
    InGuest(InGuest),
}

#[derive(Debug, Subcommand)]
enum InGuest {
    Shell,
    Bench {
        #[command(flatten)]
        scale: Scale,
    },
    Demo {
        #[arg(long)]
        color: bool,
        #[arg(long)]
        no_color: bool,
        program: String,
    },
}

#[derive(Debug, Args)]
struct BenchOptions {
    #[command(flatten)]
    scale: Scale,
    /// Let the guest's clock count instructions: slow, but what else runs here does not matter
    #[arg(long)]
    instructions: bool,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    run(task).unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo { picture: false } => demo::run(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Demo { picture: true } => demo::draw(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Ci => ci::run(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Dist => dist::run(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Man => write_texts(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Tidy => ci::run_tidy(&workspace()).map(|()| ExitCode::SUCCESS),
        Task::Check { deep, arguments } => {
            let depth = if deep { Depth::Deep } else { Depth::Usual };
            check::run(&workspace(), depth, &arguments).map(|()| ExitCode::SUCCESS)
        }
        Task::Lab { arguments } => finish(run_lab(&workspace(), &arguments)?),
        Task::Bench(BenchOptions {
            scale,
            instructions,
        }) => {
            let clock = if instructions {
                Clock::Instructions
            } else {
                Clock::Real
            };
            finish(lab::run_bench(&workspace(), &scale.arguments(), clock)?)
        }
        Task::InGuest(InGuest::Bench { scale }) => {
            guest::bench::run(&scale).map(|()| ExitCode::SUCCESS)
        }
        Task::InGuest(InGuest::Shell) => guest::shell::run().map(|()| ExitCode::SUCCESS),
        Task::InGuest(InGuest::Demo { color, program, .. }) => {
            let color = if color { Color::On } else { Color::Off };
            guest::demo::run(&program, color).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn write_texts(workspace: &Path) -> Result {
    let mut written = man::write(&workspace.join("target/man"))?;
    written.extend(completions::write(&workspace.join("target/completions"))?);
    for path in written {
        println!("{}", path.display());
    }
    Ok(())
}

fn run_lab(workspace: &Path, arguments: &[String]) -> Result<Outcome> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shell"] => lab::run_shell(workspace),
        ["demo"] => lab::run_demo(workspace, "mpathpersist"),
        // Another implementation, to compare with.
        ["demo", program] => lab::run_demo(workspace, program),
        ["exec", _, ..] => lab::run_command(workspace, arguments.get(1..).unwrap_or_default()),
        _ => lab::run_tests(workspace, arguments),
    }
}

/// A lab that cannot start is a success on a developer's machine and a failure in CI.
fn finish(outcome: Outcome) -> Result<ExitCode> {
    match outcome {
        Outcome::Ended(status) => Ok(ExitCode::from(status)),
        Outcome::Skipped(reason) => {
            println!("lab: skipped, because {reason}");
            Ok(if ci::is_ci() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

/// The workspace's folder: cargo names this package's when it runs a task.
fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), PathBuf::from)
}
