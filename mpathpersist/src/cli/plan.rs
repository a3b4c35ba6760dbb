//! How a dry run is told: to people as a page, to programs as an object.
//!
//! What would be done comes from [`Rehearsal`]; how a command ends, in exit status and words,
//! from the same match as for one that was carried out.

use pr_policy::{PathState, Request};
use scsi_pr::ReservationKey;
use serde::Serialize;

use super::exit::ExitStatus;
use super::verdict::{self, Verdict};
use crate::paint::wrapped;
use crate::rehearsal::{Branch, Condition, Picture, Rehearsal, RehearsedStep};
use crate::run::Report;

/// A dry run with its verdicts.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the command would end with.
    pub(super) exit: ExitStatus,
    request: Request,
    verdict: Option<Box<Verdict>>,
    branches: Vec<(Condition, Vec<End>)>,
}

/// How a command may end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// Its exit status.
    exit_status: u8,
    /// The name of the failure, if it is one.
    kind: Option<&'static str>,
    /// What it would say.
    message: Option<String>,
}

/// How a command would go.
#[derive(Debug, Clone, Serialize)]
pub struct PlanBody {
    before: Option<PictureBody>,
    steps: Vec<StepBody>,
    after: Option<PictureBody>,
    ends: Option<End>,
    notes: Vec<String>,
    what_if: Vec<BranchBody>,
    assumed: Vec<String>,
}

/// What stands at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct PictureBody {
    generation: u32,
    reservation: Option<String>,
    paths: Vec<PathBody>,
    left_behind: Vec<KeyBody>,
    others: Vec<KeyBody>,
}

#[derive(Debug, Clone, Serialize)]
struct PathBody {
    device: String,
    key: Option<String>,
    usable: bool,
}

#[derive(Debug, Clone, Serialize)]
struct KeyBody {
    key: String,
    count: usize,
}

#[derive(Debug, Clone, Serialize)]
struct StepBody {
    what: String,
    paths: Vec<String>,
    answer: Option<String>,
    changes: bool,
}

#[derive(Debug, Clone, Serialize)]
struct BranchBody {
    event: &'static str,
    paths: Vec<String>,
    same_end: bool,
    ends: Vec<End>,
}

impl Plan {
    pub(super) fn of(request: &Request, rehearsal: &Rehearsal) -> Self {
        let verdict = judged(request, &rehearsal.report);
        let branch = |Branch { condition, ends }: &Branch| {
            let ends = ends.iter().map(|report| End::of(request, report));
            (condition.clone(), ends.collect())
        };
        Self {
            exit: verdict
                .as_ref()
                .map_or(ExitStatus::SUCCESS, |verdict| verdict.exit),
            request: request.clone(),
            branches: rehearsal.branches.iter().map(branch).collect(),
            verdict,
        }
    }

    /// A page, with its last line feed.
    pub(super) fn text(&self, rehearsal: &Rehearsal) -> String {
        let map = &rehearsal.report.map;
        let mut rows = picture("now", rehearsal.before.as_ref());
        rows.push(Row::gap());
        let steps = rehearsal.steps.iter().zip(1..);
        rows.extend(steps.map(|(step, number)| Row::of("steps", step_line(step, number))));
        rows.push(Row::gap());
        rows.extend(picture("then", rehearsal.after.as_ref()));
        rows.push(Row::gap());
        rows.push(Row::of("ends with", self.end_line()));
        let notes = rehearsal.report.notes.iter();
        rows.extend(notes.map(|note| Row::of("note", note.clone())));
        for (condition, ends) in &self.branches {
            rows.extend(branch_lines(condition, ends));
        }
        let assumed = rehearsal.assumptions.iter();
        rows.extend(assumed.map(|line| Row::of("provided", line.clone())));
        let head = format!(
            "{map}: dry run of {}: nothing was changed\n\n",
            self.request
        );
        head + &Row::lay_out(&rows)
    }

    fn end_line(&self) -> String {
        match &self.verdict {
            None => "exit status 0".to_owned(),
            Some(verdict) => format!("exit status {}: {}", verdict.exit, told(verdict)),
        }
    }

    /// The same for programs.
    pub(super) fn body(&self, rehearsal: &Rehearsal) -> PlanBody {
        let step = |step: &RehearsedStep| StepBody {
            what: step.what.clone(),
            paths: step.paths.clone(),
            answer: step.answer.clone(),
            changes: step.changes,
        };
        let branch = |(condition, ends): &(Condition, Vec<End>)| {
            let (event, paths) = match condition {
                Condition::PathLost(paths) => ("path-lost", paths.clone()),
                Condition::ShutOut => ("shut-out", Vec::new()),
            };
            BranchBody {
                event,
                paths,
                same_end: ends.is_empty(),
                ends: ends.clone(),
            }
        };
        PlanBody {
            before: rehearsal.before.as_ref().map(PictureBody::from),
            steps: rehearsal.steps.iter().map(step).collect(),
            after: rehearsal.after.as_ref().map(PictureBody::from),
            ends: self.verdict.as_deref().map(End::of_verdict),
            notes: rehearsal.report.notes.clone(),
            what_if: self.branches.iter().map(branch).collect(),
            assumed: rehearsal.assumptions.clone(),
        }
    }
}

impl End {
    fn of(request: &Request, report: &Report) -> Self {
        judged(request, report).as_deref().map_or(
            Self {
                exit_status: ExitStatus::SUCCESS.0,
                kind: None,
                message: None,
            },
            Self::of_verdict,
        )
    }

    fn of_verdict(verdict: &Verdict) -> Self {
        Self {
            exit_status: verdict.exit.0,
            kind: Some(verdict.kind.slug()),
            message: Some(verdict.sentence.clone()),
        }
    }
}

fn judged(request: &Request, report: &Report) -> Option<Box<Verdict>> {
    verdict::judge(request, &Ok(report.clone())).err()
}

fn told(verdict: &Verdict) -> String {
    verdict.explained().trim_end().replace('\n', " ")
}

fn step_line(step: &RehearsedStep, number: usize) -> String {
    let RehearsedStep {
        what,
        paths,
        answer,
        ..
    } = step;
    let mut line = format!("{number:2}. {what}");
    if !paths.is_empty() {
        line += &format!(" -> {}", paths.join(", "));
    }
    if let Some(answer) = answer {
        line += &format!(": {answer}");
    }
    line
}

fn branch_lines(condition: &Condition, ends: &[End]) -> Vec<Row> {
    let what = match condition {
        Condition::PathLost(paths) => match paths.as_slice() {
            [path] => format!("{path} stops answering, at any step"),
            paths => format!("one of {} stops answering, at any step", paths.join(", ")),
        },
        Condition::ShutOut => "another node shuts this one out before".to_owned(),
    };
    if ends.is_empty() {
        return vec![Row::of("what if", format!("{what}: it ends the same"))];
    }
    let mut words: Vec<String> = ends.iter().map(end_words).collect();
    words.dedup();
    let may = match condition {
        Condition::PathLost(_) => "it may end with",
        Condition::ShutOut => "it ends with",
    };
    let line = format!("{what}: {may} {}", words.join(", or with "));
    vec![Row::of("what if", line)]
}

fn end_words(end: &End) -> String {
    match end.kind {
        None => "exit status 0, but another reservation than above".to_owned(),
        Some(kind) => format!("exit status {} [{kind}]", end.exit_status),
    }
}

fn picture(when: &'static str, picture: Option<&Picture>) -> Vec<Row> {
    let Some(picture) = picture else {
        let unknown = "not known: the device could not be read".to_owned();
        return vec![Row::of(when, unknown)];
    };
    let reservation = picture.reservation.clone();
    let none = || "no reservation".to_owned();
    let mut rows = vec![
        Row::of(when, reservation.unwrap_or_else(none)),
        Row::of(when, format!("this node: {}", picture.own_keys())),
    ];
    if !picture.left_behind.is_empty() {
        let keys = keys(&picture.left_behind);
        rows.push(Row::of(
            when,
            format!("this node, on paths that are gone: {keys}"),
        ));
    }
    let others = match picture.others.is_empty() {
        true => "none".to_owned(),
        false => keys(&picture.others),
    };
    rows.push(Row::of(when, format!("other nodes: {others}")));
    rows
}

fn keys(counted: &[(ReservationKey, usize)]) -> String {
    let told = counted.iter().map(|(key, count)| match count {
        1 => format!("{key} (1 registration)"),
        _ => format!("{key} ({count} registrations)"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// A line with a heading, which is shown once for all lines that have the same.
struct Row {
    heading: &'static str,
    text: String,
}

impl Row {
    const fn of(heading: &'static str, text: String) -> Self {
        Self { heading, text }
    }

    const fn gap() -> Self {
        Self::of("", String::new())
    }

    fn lay_out(rows: &[Self]) -> String {
        let mut last = "";
        let mut page = String::new();
        for Self { heading, text } in rows {
            let shown = if *heading == last { "" } else { heading };
            let line = format!("  {shown:HEADING_COLUMNS$}{}", folded(text));
            page += line.trim_end();
            page.push('\n');
            last = heading;
        }
        page
    }
}

/// What goes on stands below the words, not below the number before them.
fn folded(text: &str) -> String {
    let (number, words) = match text.split_once(". ") {
        Some((number, words)) if number.trim().parse::<usize>().is_ok() => {
            (format!("{number}. "), words)
        }
        _ => (String::new(), text),
    };
    let indent = " ".repeat(2 + HEADING_COLUMNS + number.len());
    let lines = wrapped(words, COLUMNS.saturating_sub(indent.len()));
    number + &lines.join(&format!("\n{indent}"))
}

impl From<&Picture> for PictureBody {
    fn from(picture: &Picture) -> Self {
        let key = |(key, count): &(ReservationKey, usize)| KeyBody {
            key: key.to_string(),
            count: *count,
        };
        let paths = picture.paths.iter().map(|path| PathBody {
            device: path.device.clone(),
            key: path.key.map(|key| key.to_string()),
            usable: path.use_state == PathState::Usable,
        });
        Self {
            generation: picture.generation,
            reservation: picture.reservation.clone(),
            paths: paths.collect(),
            left_behind: picture.left_behind.iter().map(key).collect(),
            others: picture.others.iter().map(key).collect(),
        }
    }
}

const HEADING_COLUMNS: usize = 11;

/// Wide enough for most steps, and still to be read in a mail.
const COLUMNS: usize = 100;
