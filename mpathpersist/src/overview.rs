//! `mpathpersist status`, `check`, `explain` and `repair`: how things stand on the maps of this
//! host, what is wrong with that, why, and how to put it right.
//!
//! As a command line of the contract a word without an option is a usage error; so nothing that
//! worked before means something else now. Only `repair` changes anything.

mod arguments;
mod check;
mod explain;
pub mod json;
mod list;
mod repair;
mod screen;

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stdin};
use std::path::Path;

use pr_policy::Severity;

use arguments::{Arguments, Verb};
pub use arguments::{command, is_meant};
use repair::Consent;

use crate::cli::{ExitStatus, Privilege, verdict};
use crate::code::Code;
use crate::device::Device;
use crate::host::Host;
use crate::paint::{Paint, Style};
use crate::run::Failure;
use crate::view::{HostView, Remark, View};

/// What the text is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Whether it has colours.
    pub paint: Paint,
    /// How wide it is; `None`: lines may have any length.
    pub columns: Option<usize>,
}

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What fits.
    Brief,
    /// Everything.
    Full,
}

/// Runs one of the commands, `args` beginning with the program's name.
pub fn run(
    args: &[OsString],
    terminal: Terminal,
    privilege: Privilege,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitStatus {
    let arguments = match arguments::parse(args) {
        Ok(arguments) => arguments,
        Err(help) if !help.use_stderr() => {
            say(out, &help.render().to_string());
            return ExitStatus::SUCCESS;
        }
        Err(error) => {
            say(err, &error.render().to_string());
            say(err, &format!("[{}]\n", Code::SyntaxError));
            return arguments::failure_of(args);
        }
    };
    let mut session = Session { terminal, out, err };
    session.run(&arguments, privilege)
}

/// One start of the program.
struct Session<'a> {
    terminal: Terminal,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Session<'_> {
    fn run(&mut self, arguments: &Arguments, privilege: Privilege) -> ExitStatus {
        if let Verb::Explain {
            subject: Some(word),
        } = &arguments.verb
            && let Ok(code) = word.parse::<Code>()
        {
            return self.explain_code(code, arguments.json);
        }
        let failed = arguments.verb.failed();
        if privilege == Privilege::User && arguments.sandbox.is_none() {
            return self.refuse(Code::NotRoot, "need to be root: run it with sudo", failed);
        }
        let host = match &arguments.sandbox {
            None => Host::default(),
            Some(dir) => match Host::in_sandbox(Path::new(dir)) {
                Ok(host) => host,
                Err(error) => return self.refuse(Code::Other, &error.to_string(), failed),
            },
        };
        let terminal = arguments.terminal(self.terminal);
        self.terminal = terminal;
        match &arguments.verb {
            Verb::Status { maps, verbose } => self.status(&host, maps, *verbose, arguments.json),
            Verb::Check { maps } => self.check(&host, maps, arguments.json),
            Verb::Repair { map, yes, dry_run } => {
                let consent = repair::Consent::of(*yes, *dry_run);
                self.repair(&host, map, consent, arguments.json)
            }
            Verb::Explain { subject } => self.explain(&host, subject.as_deref(), arguments.json),
        }
    }

    fn status(&mut self, host: &Host, maps: &[String], verbose: bool, json: bool) -> ExitStatus {
        let view = match HostView::take(host, maps) {
            Ok(view) => view,
            Err(failure) => return self.fail(&failure, None),
        };
        if json {
            say(self.out, &json::line(&json::Status::of(&view)));
            return self.report_missing(&view, true);
        }
        let is_list = maps.is_empty() && !verbose && view.maps.len() > MOST_SCREENS;
        let detail = if verbose { Detail::Full } else { Detail::Brief };
        let text = if is_list {
            list::text(&view, self.terminal)
        } else {
            screen::text(&view, detail, self.terminal)
        };
        say(self.out, &text);
        self.report_missing(&view, false)
    }

    /// What was asked for and could not be looked at: the first decides the exit status.
    fn report_missing(&mut self, view: &HostView, is_told: bool) -> ExitStatus {
        let missing = view.maps.iter().filter_map(|map| map.as_ref().err());
        let mut status = ExitStatus::SUCCESS;
        for failure in missing {
            let verdict = verdict::of_failure(failure);
            if !is_told {
                say(self.err, &verdict.explained());
            }
            status = status.or(verdict.exit);
        }
        status
    }

    fn check(&mut self, host: &Host, maps: &[String], json: bool) -> ExitStatus {
        let view = match HostView::take(host, maps) {
            Ok(view) => view,
            Err(failure) => return self.fail(&failure, Some(check::UNKNOWN)),
        };
        let checked = check::Checked::of(&view);
        if json {
            say(self.out, &json::line(&json::Check::of(&checked)));
        } else {
            say(self.out, &checked.text(self.terminal.paint));
        }
        checked.status()
    }

    fn explain(&mut self, host: &Host, subject: Option<&str>, json: bool) -> ExitStatus {
        let Some(subject) = subject else {
            for code in Code::ALL {
                let title = code.explanation().title;
                say(self.out, &format!("{code:24}{title}\n"));
            }
            return ExitStatus::SUCCESS;
        };
        let view = match HostView::take(host, &[subject.to_owned()]) {
            Ok(view) => view,
            Err(failure) => return self.fail(&failure, None),
        };
        for map in view.maps.iter().flatten() {
            let text = match json {
                true => json::line(&explain::Explained::of(map, &view)),
                false => explain::text(map, &view, self.terminal),
            };
            say(self.out, &text);
        }
        let status = self.report_missing(&view, false);
        if !status.is_success() && !subject.contains('/') {
            say(
                self.err,
                "'mpathpersist explain' without a name lists the codes\n",
            );
        }
        status
    }

    fn repair(&mut self, host: &Host, map: &str, consent: Consent, json: bool) -> ExitStatus {
        let view = match HostView::take(host, &[map.to_owned()]) {
            Ok(view) => view,
            Err(failure) => return self.fail(&failure, None),
        };
        let view = match view.maps.into_iter().next() {
            Some(Ok(view)) => view,
            Some(Err(failure)) => return self.fail(&failure, None),
            None => return ExitStatus::OTHER,
        };
        let plan = repair::Plan::of(&view);
        if !json {
            say(self.out, &plan.text(self.terminal));
        }
        if plan.steps.is_empty() || consent == Consent::DryRun {
            if json {
                say(self.out, &json::line(&json::Repair::of(&plan, None)));
            }
            return plan.status();
        }
        if consent == Consent::Ask && !self.is_wanted(&view.name) {
            return ExitStatus::SYNTAX_ERROR;
        }
        let opened = Device::open(host, map);
        match opened.and_then(|mut device| device.repair(repair::PATIENCE)) {
            Err(failure) => self.fail(&failure, None),
            Ok(repaired) => {
                let text = match json {
                    true => json::line(&json::Repair::of(&plan, Some(&repaired))),
                    false => repair::report(&repaired),
                };
                say(self.out, &text);
                repair::status(&plan, &repaired)
            }
        }
    }

    /// Nobody is there to be asked where there is no terminal.
    fn is_wanted(&mut self, map: &str) -> bool {
        if !stdin().is_terminal() {
            let message = format!("{map}: nothing was done: add --yes to do this without asking");
            say(self.err, &format!("{message} [{}]\n", Code::NotConfirmed));
            return false;
        }
        say(self.out, "do this? [y/N] ");
        let mut answer = String::new();
        let is_read = stdin().read_line(&mut answer).is_ok();
        is_read && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    fn explain_code(&mut self, code: Code, json: bool) -> ExitStatus {
        let text = match json {
            true => json::line(&json::Explained::of(code)),
            false => code.text(),
        };
        say(self.out, &text);
        ExitStatus::SUCCESS
    }

    fn fail(&mut self, failure: &Failure, status: Option<ExitStatus>) -> ExitStatus {
        let verdict = verdict::of_failure(failure);
        say(self.err, &verdict.explained());
        status.unwrap_or(verdict.exit)
    }

    fn refuse(&mut self, code: Code, message: &str, status: ExitStatus) -> ExitStatus {
        say(self.err, &format!("{message} [{code}]\n"));
        status
    }
}

/// How bad something is, in a word.
pub(crate) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Attention => "attention",
        Severity::Broken => "broken",
    }
}

pub(crate) const fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Info => Style::Faint,
        Severity::Attention => Style::Mark,
        Severity::Broken => Style::Bad,
    }
}

/// A remark as one sentence.
pub(crate) fn sentence(remark: &Remark) -> String {
    let Remark { message, next, .. } = remark;
    match next.is_empty() {
        true => message.clone(),
        false => format!("{message}: {next}"),
    }
}

pub(crate) fn usable(view: &View) -> usize {
    let is_usable = |path: &&crate::view::PathView| path.use_state == pr_policy::PathState::Usable;
    view.paths.iter().filter(is_usable).count()
}

/// If that fails there is nobody to be told.
fn say(stream: &mut dyn Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

/// With more maps than this, each gets a line.
const MOST_SCREENS: usize = 3;
