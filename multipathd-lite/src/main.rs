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
use multipathd_lite::command_line::{Mode, parse, usage};
use multipathd_lite::settle::settle_all;
use multipathd_lite::{log, service};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = name(args.next());
    let done = match parse(args) {
        Ok(Mode::Daemon(options)) => service::run(options).map_err(|error| error.to_string()),
        Ok(Mode::Command(command)) => match client().send(&command, &mut io::stdout().lock()) {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Refused) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Ok(Mode::Settle) => settle(),
        Ok(Mode::Interactive) => converse().map_err(|error| error.to_string()),
        Ok(Mode::Help) => {
            let written = io::stdout().write_all(usage(&program).as_bytes());
            written.map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("{error}\n\n{}", usage(&program))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{program}: {}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// As it was called: `multipathd-lite`, or `multipathd` through a link.
fn name(arg: Option<OsString>) -> String {
    let arg = arg.unwrap_or_default();
    let name = Path::new(&arg)
        .file_name()
        .unwrap_or("multipathd-lite".as_ref());
    name.to_string_lossy().into_owned()
}

fn client() -> Client {
    let host = Host::default();
    let config = Config::load(&host.config).config;
    Client {
        addresses: host.daemon,
        patience: Duration::from_millis(config.uxsock_timeout_ms().value.into()),
    }
}

fn settle() -> Result<(), String> {
    let logged = log::start(log::Sink::of_environment(), log::DEFAULT_VERBOSITY);
    let _log = logged.map_err(|error| error.to_string())?;
    match settle_all(&Host::default())? {
        0 => Ok(()),
        left => Err(format!("{left} maps could not be settled")),
    }
}

fn converse() -> Result<(), ClientError> {
    client().converse(&mut io::stdin().lock(), &mut io::stdout().lock())
}
