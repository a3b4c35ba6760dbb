//! The command line of `mpathpersist`: from arguments to texts and an exit status.
//!
//! Everything that existing users script against is decided below this module, and nothing here
//! touches a device: requests go through a [`Runner`]. One line of arguments or of a batch file
//! runs through [`args`] (what is asked), the runner (what happened), [`verdict`] (how that is
//! to be seen) and [`render`] or [`json`] (how it is said).
//!
//! **Invariant.** stdout carries the contract (responses, fixed failure lines, or one JSON
//! object a command); every sentence for people goes to stderr.
pub mod args;
pub mod batch;
mod console;
pub mod exit;
pub mod json;
pub mod options;
mod plan;
pub mod render;
pub mod response;
pub mod usage;
mod values;
pub mod verdict;

use crate::code::Code;
pub use crate::run::{Doubt, Failure, FanOut, Report, RunOptions, Runner};
pub use args::{sandbox, verbosity};
pub use exit::ExitStatus;
pub use options::command;
pub use values::Verbosity;

use args::{Command, Format, HexDump, Intent, Invocation, Parsed, Place};
use batch::Line;
use console::Console;
use json::{Document, Subject};
use plan::Plan;
use pr_policy::Request;
use response::Response;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use usage::UsageError;
use verdict::Verdict;

/// Whether the process may send the commands at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Effective user id 0, or a runner that needs no privilege.
    Root,
    /// Any other user: help and usage errors only.
    User,
}

/// The command with everything that can be asked of it, for manual pages and shell completions.
#[must_use]
pub fn documented() -> clap::Command {
    let mut looks = crate::overview::command();
    // The options that they share become options of each.
    looks.build();
    command()
        .disable_help_subcommand(true)
        .subcommands(looks.get_subcommands().cloned())
        .subcommand(crate::sandbox::command::command())
}

/// Runs one command line, `args` beginning with the program's name.
///
/// Whatever is to be said is written to `out` and `err`. That their other end is gone is no
/// failure of the command; any other trouble with `out` is.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    runner: &mut dyn Runner,
    privilege: Privilege,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitStatus {
    let words: Vec<OsString> = args.into_iter().skip(1).collect();
    let mut session = Session {
        runner,
        console: Console::new(out, err),
    };
    let status = session.run(words, privilege);
    session.console.close(status)
}

/// One start of the program.
struct Session<'a> {
    runner: &'a mut dyn Runner,
    console: Console<'a>,
}

impl Session<'_> {
    fn run(&mut self, words: Vec<OsString>, privilege: Privilege) -> ExitStatus {
        let format = format_of(&words);
        if words.is_empty() {
            return self.refuse_arguments(&UsageError::NoParameter, format);
        }
        match args::parse(words, Place::Process) {
            Err(error) => self.refuse_arguments(&error, format),
            Ok(Parsed::Help(text)) => {
                self.console.out(&text);
                ExitStatus::SUCCESS
            }
            Ok(Parsed::Run(_)) if privilege == Privilege::User => {
                let status = self.refuse(Code::NotRoot, "need to be root", format);
                self.console.err(usage::ROOT_HINT);
                status
            }
            Ok(Parsed::Run(invocation)) => self.run_invocation(&invocation),
        }
    }

    fn run_invocation(&mut self, invocation: &Invocation) -> ExitStatus {
        let mut status = ExitStatus::SUCCESS;
        if let Some(command) = &invocation.command {
            status = self.run_command(command);
        }
        if let Some(file) = &invocation.batch_file {
            status = status.or(self.run_batch(file, invocation.format));
        }
        status
    }

    fn run_batch(&mut self, file: &Path, format: Format) -> ExitStatus {
        match batch::read_lines(file) {
            Ok(lines) => lines
                .iter()
                .map(|line| self.run_line(line, format))
                .fold(ExitStatus::SUCCESS, ExitStatus::or),
            Err(error) => {
                let status = self.refuse(Code::BatchFile, &error.to_string(), format);
                self.console.err(usage::BATCH_HINT);
                status
            }
        }
    }

    fn run_line(&mut self, line: &Line, format: Format) -> ExitStatus {
        let words = match &line.words {
            Ok(words) => words,
            Err(error) => return self.refuse_line(line, &error.to_string(), format),
        };
        let format = if format == Format::Json {
            format
        } else {
            format_of(words)
        };
        match args::parse(words.iter().cloned(), Place::BatchFile) {
            Err(error) => self.refuse_line(line, &usage_text(&error), format),
            Ok(Parsed::Help(text)) => {
                self.console.out(&text);
                ExitStatus::SUCCESS
            }
            Ok(Parsed::Run(invocation)) => {
                let Some(mut command) = invocation.command else {
                    return ExitStatus::SUCCESS;
                };
                command.format = format;
                self.run_line_command(line, &command)
            }
        }
    }

    fn run_line_command(&mut self, line: &Line, command: &Command) -> ExitStatus {
        let status = self.run_command(command);
        if !status.is_success() {
            let number = line.number;
            self.console.err(&format!(
                "line {number} in batch file: exit status {status}\n"
            ));
        }
        status
    }

    fn run_command(&mut self, command: &Command) -> ExitStatus {
        for warning in &command.warnings {
            self.console.err(&format!("{warning}\n"));
        }
        if command.intent == Intent::Rehearse {
            return self.rehearse(command);
        }
        let result = self
            .runner
            .run(&command.device, &command.request, &command.options);
        if let Ok(report) = &result {
            for note in &report.notes {
                self.console.err(&format!("{note}\n"));
            }
        }
        match verdict::judge(&command.request, &result) {
            Ok(bytes) => self.show(command, &result, bytes),
            Err(verdict) => self.fail(command, &result, &verdict),
        }
    }

    /// The exit status is the one that the command itself would end with.
    fn rehearse(&mut self, command: &Command) -> ExitStatus {
        let (device, request) = (&command.device, &command.request);
        let rehearsal = match self.runner.rehearse(device, request, &command.options) {
            Ok(rehearsal) => rehearsal,
            Err(failure) => {
                let verdict = verdict::of_failure(&failure);
                return self.fail(command, &Err(failure), &verdict);
            }
        };
        let plan = Plan::of(request, &rehearsal);
        let exit = plan.exit;
        match command.format {
            Format::Text => self.console.out(&plan.text(&rehearsal)),
            Format::Json => {
                let result = Ok(rehearsal.report.clone());
                let body = plan.body(&rehearsal);
                let document = Document::plan(subject(command, &result), exit, body);
                self.console.out(&document.line());
            }
        }
        exit
    }

    /// Prints the response to a read; a PERSISTENT RESERVE OUT that succeeds prints nothing.
    fn show(
        &mut self,
        command: &Command,
        result: &Result<Report, Failure>,
        bytes: &[u8],
    ) -> ExitStatus {
        let (Request::Read(read), Ok(report)) = (&command.request, result) else {
            return ExitStatus::SUCCESS;
        };
        let response = match Response::decode(read, bytes) {
            Ok(response) => response,
            Err(error) => {
                let verdict = verdict::judge_malformed(report, &error.to_string());
                self.dump(command, bytes);
                return self.fail(command, result, &verdict);
            }
        };
        match command.format {
            Format::Text => self.console.out(&render::text(&response)),
            Format::Json => {
                let document = Document::answer(subject(command, result), &response);
                self.console.out(&document.line());
            }
        }
        self.dump(command, bytes);
        if !response.is_complete() {
            let map = &report.map;
            self.console
                .err(&format!("{map}: --alloc-length cut the response short\n"));
        }
        ExitStatus::SUCCESS
    }

    fn dump(&mut self, command: &Command, bytes: &[u8]) {
        if command.hex == HexDump::Stderr {
            self.console.err(&render::hex_dump(bytes));
        }
    }

    fn fail(
        &mut self,
        command: &Command,
        result: &Result<Report, Failure>,
        verdict: &Verdict,
    ) -> ExitStatus {
        match command.format {
            Format::Text => self.console.out(&verdict.stdout(&command.request)),
            Format::Json => {
                let document = Document::failure(subject(command, result), verdict);
                self.console.out(&document.line());
            }
        }
        self.console.err(&verdict.stderr(&command.request));
        verdict.exit
    }

    /// The process' own arguments are wrong: what, and where to read on.
    fn refuse_arguments(&mut self, error: &UsageError, format: Format) -> ExitStatus {
        let status = self.refuse(Code::SyntaxError, &usage_text(error), format);
        self.console.err(usage::HINT);
        status
    }

    /// A line of a batch file is wrong: what, and which.
    fn refuse_line(&mut self, line: &Line, message: &str, format: Format) -> ExitStatus {
        let status = self.refuse(Code::SyntaxError, message, format);
        let number = line.number;
        self.console
            .err(&format!("syntax error on line {number} in batch file\n"));
        status
    }

    fn refuse(&mut self, kind: Code, message: &str, format: Format) -> ExitStatus {
        let status = ExitStatus::SYNTAX_ERROR;
        if format == Format::Json {
            self.console
                .out(&Document::refusal(status, kind, message).line());
        }
        self.console.err(&format!("{message}\n"));
        status
    }
}

fn subject<'a>(command: &'a Command, result: &'a Result<Report, Failure>) -> Subject<'a> {
    let map = match result {
        Ok(report) => Some(report.map.as_str()),
        Err(failure) => failure.map(),
    };
    Subject {
        request: &command.request,
        device: &command.device,
        map,
    }
}

fn usage_text(error: &UsageError) -> String {
    match error.expected() {
        Some(expected) => format!("{error}\n  expected {expected}"),
        None => error.to_string(),
    }
}

/// The format that words ask for which may not even parse.
fn format_of(words: &[OsString]) -> Format {
    if args::is_json_wanted(words) {
        Format::Json
    } else {
        Format::Text
    }
}
