//! `repair`: the plan first, then the deed.

use std::time::Duration;

use super::Terminal;
use crate::cli::ExitStatus;
use crate::paint::wrapped;
use crate::repair::{Repaired, Step};
use crate::view::View;

/// Whether somebody has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Not yet.
    Ask,
    /// By an option.
    Given,
    /// It is not wanted.
    DryRun,
}

/// What would be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) map: String,
    pub(super) steps: Vec<Step>,
    /// What is left as it is, and why.
    pub(super) left: Vec<String>,
}

impl Consent {
    pub(super) const fn of(yes: bool, dry_run: bool) -> Self {
        match (yes, dry_run) {
            (_, true) => Self::DryRun,
            (true, false) => Self::Given,
            (false, false) => Self::Ask,
        }
    }
}

impl Plan {
    pub(super) fn of(view: &View) -> Self {
        let (steps, left) = view.repair_plan();
        Self {
            map: view.name.clone(),
            steps,
            left,
        }
    }

    /// Of a plan that is not carried out.
    pub(super) fn status(&self) -> ExitStatus {
        if self.left.is_empty() {
            ExitStatus::SUCCESS
        } else {
            ExitStatus::SYNTAX_ERROR
        }
    }

    pub(super) fn text(&self, terminal: Terminal) -> String {
        let Self { map, steps, left } = self;
        if steps.is_empty() && left.is_empty() {
            return format!("{map}: nothing to repair\n");
        }
        let room = terminal.columns.unwrap_or(usize::MAX).saturating_sub(4);
        let item = |mark: String, text: &str| {
            let lines = wrapped(text, room.max(LEAST_ROOM));
            format!("{mark} {}\n", lines.join("\n    "))
        };
        let mut text = match steps.is_empty() {
            true => format!("{map}: nothing that can be repaired\n"),
            false => format!("{map}: to be done\n"),
        };
        for (number, step) in (1..).zip(steps) {
            text += &item(format!("{number:2}."), &step.what);
        }
        if !left.is_empty() {
            text += &format!("{map}: left as it is\n");
        }
        for reason in left {
            text += &item("  -".to_owned(), reason);
        }
        text
    }
}

pub(super) fn report(repaired: &Repaired) -> String {
    let done = repaired.done.iter().map(|line| format!("done: {line}\n"));
    let failed = repaired.failed.iter();
    let failed = failed.map(|line| format!("not done: {line}\n"));
    done.chain(failed).collect()
}

pub(super) fn status(plan: &Plan, repaired: &Repaired) -> ExitStatus {
    match repaired.failed.is_empty() {
        true => plan.status(),
        false => ExitStatus::OTHER,
    }
}

/// For whoever works on the map: a command ends within 18 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const LEAST_ROOM: usize = 24;
