//! A runner that touches nothing: it answers from a script and remembers what it was asked.
use mpathpersist::cli::{ExitStatus, Failure, Privilege, Report, RunOptions, Runner, run};
use pr_policy::{Outcome, Request};
use scsi_pr::{Capabilities, InAction};
use std::collections::VecDeque;
use std::ffi::OsString;

/// What came in and what is to go out.
#[derive(Debug, Default)]
pub(crate) struct FakeRunner {
    /// Answers, first one first; after the last, everything is done and reads are of no keys.
    pub(crate) answers: VecDeque<Result<Report, Failure>>,
    /// Every request that came, with the device and the options.
    pub(crate) seen: Vec<(String, Request, RunOptions)>,
}

impl FakeRunner {
    /// A runner that gives these answers.
    pub(crate) fn new(answers: impl IntoIterator<Item = Result<Report, Failure>>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
            seen: Vec::new(),
        }
    }
}

impl Runner for FakeRunner {
    fn run(
        &mut self,
        device: &str,
        request: &Request,
        options: &RunOptions,
    ) -> Result<Report, Failure> {
        self.seen
            .push((device.to_owned(), request.clone(), *options));
        self.answers.pop_front().unwrap_or_else(|| {
            Ok(report(match request {
                Request::Read(read) if read.action == InAction::REPORT_CAPABILITIES => {
                    Outcome::Read(Capabilities::default().encode())
                }
                Request::Read(_) => Outcome::Read(vec![0; 8]),
                _ => Outcome::Done,
            }))
        })
    }
}

/// A report of the map mpatha on which nothing else happened.
pub(crate) fn report(outcome: Outcome) -> Report {
    Report {
        map: "mpatha".to_owned(),
        outcome,
        path: None,
        notes: Vec::new(),
    }
}

/// What a whole run came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    /// Exit status.
    pub(crate) status: ExitStatus,
    /// Everything on stdout.
    pub(crate) out: String,
    /// Everything on stderr.
    pub(crate) err: String,
}

/// Runs a command line, its words separated by blanks, with these answers.
pub(crate) fn run_line(
    line: &str,
    answers: impl IntoIterator<Item = Result<Report, Failure>>,
) -> (Ran, FakeRunner) {
    let words: Vec<&str> = line.split_whitespace().collect();
    run_words(&words, Privilege::Root, answers)
}

/// Runs a command line, the program's name not among its words.
pub(crate) fn run_words(
    words: &[&str],
    privilege: Privilege,
    answers: impl IntoIterator<Item = Result<Report, Failure>>,
) -> (Ran, FakeRunner) {
    let mut runner = FakeRunner::new(answers);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("mpathpersist")
        .chain(words.iter().copied())
        .map(OsString::from);
    let status = run(args, &mut runner, privilege, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        Ran {
            status,
            out: text(out),
            err: text(err),
        },
        runner,
    )
}

/// Runs one read that is answered with these bytes.
pub(crate) fn read(line: &str, bytes: &[u8]) -> Ran {
    run_line(line, [Ok(report(Outcome::Read(bytes.to_vec())))]).0
}
