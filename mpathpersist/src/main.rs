//! The `mpathpersist` command.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use mpathpersist::cli::{self, ExitStatus, Privilege, Runner, Verbosity};
use mpathpersist::overview::{self, Terminal};
use mpathpersist::sandbox;
use mpathpersist::{Host, HostRunner, Paint};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    start_logging(cli::verbosity(&args));
    if sandbox::command::is_meant(&args) {
        let (mut out, mut err) = (stdout().lock(), stderr().lock());
        return sandbox::command::run(&args, paint(), &mut out, &mut err).into();
    }
    if overview::is_meant(&args) {
        let (mut out, mut err) = (stdout().lock(), stderr().lock());
        return overview::run(&args, terminal(), privilege(), &mut out, &mut err).into();
    }
    match cli::sandbox(&args) {
        Some(dir) => run_in_sandbox(args, &dir),
        None => run(args, &mut HostRunner::new(&Host::default()), privilege()),
    }
    .into()
}

/// Nothing outside the sandbox is touched: no privilege is needed.
fn run_in_sandbox(args: Vec<OsString>, dir: &Path) -> ExitStatus {
    match Host::in_sandbox(dir) {
        Ok(host) => run(args, &mut HostRunner::new(&host), Privilege::Root),
        Err(error) => run(args, &mut sandbox::Unusable(error), Privilege::Root),
    }
}

fn run(args: Vec<OsString>, runner: &mut dyn Runner, privilege: Privilege) -> ExitStatus {
    let (mut out, mut err) = (stdout().lock(), stderr().lock());
    cli::run(args, runner, privilege, &mut out, &mut err)
}

fn privilege() -> Privilege {
    if nix::unistd::geteuid().is_root() {
        Privilege::Root
    } else {
        Privilege::User
    }
}

/// `COLUMNS` is how a person, or a script, asks for a width.
fn terminal() -> Terminal {
    let wanted = std::env::var("COLUMNS").ok();
    let wanted = wanted.and_then(|columns| columns.parse().ok());
    let is_wide = || terminal_size::terminal_size_of(stdout()).map(|(width, _)| width.0.into());
    Terminal {
        paint: paint(),
        columns: wanted.or_else(is_wide).filter(|columns| *columns > 0),
    }
}

/// Colours are for people, and not for all of them: <https://no-color.org>.
fn paint() -> Paint {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stdout().is_terminal() && !is_unwanted {
        Paint::Color
    } else {
        Paint::Plain
    }
}

/// Log lines go to stderr: stdout is read by scripts.
fn start_logging(verbosity: Verbosity) {
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_max_level(level(verbosity))
        .with_target(false)
        .without_time()
        .init();
}

fn level(verbosity: Verbosity) -> LevelFilter {
    match verbosity {
        Verbosity::Critical | Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warning => LevelFilter::WARN,
        Verbosity::Info => LevelFilter::INFO,
        Verbosity::Trace => LevelFilter::TRACE,
    }
}
