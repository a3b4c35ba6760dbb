//! `cargo xtask TASK`: checks the project and shows it at work.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::error::Result;
use xtask::lab::{self, Outcome};

/// The project's tasks
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the scenarios on a real kernel, in a QEMU guest (no root, no KVM needed)
    Lab {
        /// Arguments of the test binary: names to filter by, `--list`, `--nocapture`, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
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
        Task::Lab { arguments } => finish(lab::run_tests(&workspace(), &arguments)?),
    }
}

/// A lab that cannot start is a success on a developer's machine and a failure in CI.
fn finish(outcome: Outcome) -> Result<ExitCode> {
    match outcome {
        Outcome::Ended(status) => Ok(ExitCode::from(status)),
        Outcome::Skipped(reason) => {
            println!("lab: skipped, because {reason}");
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            Ok(if in_ci {
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
