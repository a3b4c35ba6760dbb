//! `cargo xtask check`: the policy against its promises, in a simulated world.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What CI has time for: about two minutes on one core.
    Usual,
    /// As long as it takes.
    Deep,
}

/// Runs the checker, optimised: it walks through millions of states. `arguments` go to it.
///
/// # Errors
/// If a promise is broken, after the histories that break it were printed.
pub fn run(workspace: &Path, depth: Depth, arguments: &[String]) -> Result {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(CHECKER).current_dir(workspace);
    if depth == Depth::Deep {
        cargo.arg("--deep");
    }
    process::run(cargo.args(arguments))
}

const CHECKER: &[&str] = &[
    "run",
    "--release",
    "--quiet",
    "--package=pr-policy",
    "--features=world",
    "--example=check",
    "--",
];
