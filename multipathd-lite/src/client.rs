//! Client of the daemon that runs, ours or another: sends what it is given, prints what comes.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use mpath_state::protocol::{Reply, SocketAddress};
use mpathpersist::{Daemon, DaemonError};

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the daemon may be listening.
    pub addresses: Vec<SocketAddress>,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no multipath daemon is running: start one: 'systemctl start multipathd-lite'")]
    NobodyListens,
    /// It listens and does not answer as it should.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// What it said cannot be printed.
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    /// Commands cannot be read.
    #[error("cannot read commands: {0}")]
    Input(#[source] io::Error),
}

/// What the daemon made of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done or answered.
    Done,
    /// It failed, took too long, or is not allowed.
    Refused,
}

impl Client {
    /// Sends one command and prints its answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn send(&self, command: &str, output: &mut impl Write) -> Result<Outcome, ClientError> {
        let text = self.connect()?.ask_text(command)?;
        print(&text, output)?;
        Ok(outcome(&text))
    }

    /// Sends each line of `input`, until it ends or says `quit` or `exit`.
    ///
    /// # Errors
    /// See [`ClientError`]; a command that fails does not end it.
    pub fn converse(
        &self,
        input: &mut impl BufRead,
        output: &mut impl Write,
    ) -> Result<(), ClientError> {
        let mut line = String::new();
        loop {
            print(PROMPT, output)?;
            line.clear();
            if input.read_line(&mut line).map_err(ClientError::Input)? == 0 {
                return print("\n", output);
            }
            match line.trim() {
                "" => {}
                "quit" | "exit" => return Ok(()),
                // A connection for each: a daemon may be restarted between two.
                command => print(&self.connect()?.ask_text(command)?, output)?,
            }
        }
    }

    fn connect(&self) -> Result<Daemon, ClientError> {
        Daemon::connect(&self.addresses, self.patience).ok_or(ClientError::NobodyListens)
    }
}

fn print(text: &str, output: &mut impl Write) -> Result<(), ClientError> {
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        // Who reads the beginning only has seen what it wants.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ClientError::Output),
    }
}

fn outcome(text: &str) -> Outcome {
    match Reply::parse(text) {
        Reply::Ok | Reply::Text(_) => Outcome::Done,
        Reply::Fail { .. } | Reply::Timeout | Reply::PermissionDenied => Outcome::Refused,
    }
}

/// As multipathd's.
const PROMPT: &str = "multipathd> ";
