//! The `mpathpersist` command.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{stderr, stdout};
use std::process::ExitCode;

use mpathpersist::cli::{self, Privilege, Verbosity};
use mpathpersist::{Host, HostRunner};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    start_logging(cli::verbosity(&args));
    let host = Host::default();
    let mut runner = HostRunner::new(&host);
    cli::run(
        args,
        &mut runner,
        privilege(),
        &mut stdout().lock(),
        &mut stderr().lock(),
    )
    .into()
}

fn privilege() -> Privilege {
    if nix::unistd::geteuid().is_root() {
        Privilege::Root
    } else {
        Privilege::User
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
