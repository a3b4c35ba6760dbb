//! The `multipathd-lite` command: daemon, or client of one.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use mpath_state::config::Config;
use mpathpersist::Host;
use multipathd_lite::client::{Client, ClientError, Outcome};
use multipathd_lite::command_line::{Invocation, Mode, parse, usage};
use multipathd_lite::settle::settle_all;
use multipathd_lite::{log, metrics, service};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = name(args.next());
    let done = match parse(args) {
        Ok(invocation) => run(invocation, &program),
        Err(error) => Err(format!("{error}\n\n{}", usage(&program))),
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{program}: {}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run(Invocation { mode, places }: Invocation, program: &str) -> Result<Outcome, String> {
    if mode == Mode::Help {
        let written = io::stdout().write_all(usage(program).as_bytes());
        return written.map_or_else(|error| Err(error.to_string()), |()| Ok(Outcome::Done));
    }
    if let Mode::WriteMetrics(file) = &mode {
        let served = metrics::serve(file, &mut io::stdin().lock(), &mut io::stdout().lock());
        return served.map_or_else(|error| Err(error.to_string()), |()| Ok(Outcome::Done));
    }
    let home = places.home().map_err(|error| error.to_string())?;
    let done = match mode {
        Mode::Daemon(options) => {
            service::run(options, &places, home).map_err(|error| error.to_string())
        }
        Mode::Command(command) => {
            let sent = client(&home.host).send(&command, &mut io::stdout().lock());
            return sent.map_err(|error| error.to_string());
        }
        Mode::Settle => settle(&home.host),
        Mode::Interactive => converse(&home.host).map_err(|error| error.to_string()),
        Mode::WriteMetrics(_) | Mode::Help => Ok(()),
    };
    done.map(|()| Outcome::Done)
}

/// As it was called: `multipathd-lite`, or `multipathd` through a link.
fn name(arg: Option<OsString>) -> String {
    let arg = arg.unwrap_or_default();
    let name = Path::new(&arg)
        .file_name()
        .unwrap_or("multipathd-lite".as_ref());
    name.to_string_lossy().into_owned()
}

fn client(host: &Host) -> Client {
    let config = Config::load(&host.config).config;
    Client {
        addresses: host.daemon.clone(),
        patience: Duration::from_millis(config.uxsock_timeout_ms().value.into()),
    }
}

fn settle(host: &Host) -> Result<(), String> {
    let logged = log::start(log::Sink::of_environment(), log::DEFAULT_VERBOSITY);
    let _log = logged.map_err(|error| error.to_string())?;
    match settle_all(host)? {
        0 => Ok(()),
        left => Err(format!("{left} maps could not be settled")),
    }
}

fn converse(host: &Host) -> Result<(), ClientError> {
    client(host).converse(&mut io::stdin().lock(), &mut io::stdout().lock())
}
