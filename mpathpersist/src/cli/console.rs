//! The two streams of the command.
//!
//! Here because a reader that goes away (`mpathpersist … | head -1`) is ordinary and must not
//! stop a batch half-way, while a full disk behind stdout must not look like success.
use super::exit::ExitStatus;
use std::fmt;
use std::io::{ErrorKind, Write};

/// stdout and stderr, or what stands in for them.
pub(super) struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    state: State,
}

/// What has become of stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything has been written.
    Open,
    /// Nobody reads it any more.
    Gone,
    /// Something could not be written.
    Failed,
}

impl<'a> Console<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self {
            out,
            err,
            state: State::Open,
        }
    }

    /// Writes to stdout, at once: whoever reads along sees a command's answer when it is there.
    pub(super) fn out(&mut self, text: &str) {
        if self.state != State::Open || text.is_empty() {
            return;
        }
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        match written.map_err(|error| error.kind()) {
            Ok(()) => {}
            Err(ErrorKind::BrokenPipe) => self.state = State::Gone,
            Err(kind) => {
                self.state = State::Failed;
                self.err(&format!("cannot write to standard output: {kind}\n"));
            }
        }
    }

    /// Writes to stderr. If that fails there is nobody left to tell.
    pub(super) fn err(&mut self, text: &str) {
        let _ = self
            .err
            .write_all(text.as_bytes())
            .and_then(|()| self.err.flush());
    }

    /// The exit status, given that of the commands.
    pub(super) fn close(&self, status: ExitStatus) -> ExitStatus {
        match self.state {
            State::Open | State::Gone => status,
            State::Failed => status.or(ExitStatus::OTHER),
        }
    }
}

impl fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
