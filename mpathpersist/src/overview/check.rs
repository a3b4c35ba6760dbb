//! `check`: one exit status, and a line for each finding.

use pr_policy::Severity;

use super::{sentence, severity_style, severity_word};
use crate::cli::{ExitStatus, verdict};
use crate::code::Code;
use crate::paint::{Paint, Span, Style, shown};
use crate::view::{HostView, Remark, View};

/// What a check came to.
#[derive(Debug)]
pub(super) struct Checked {
    /// How many maps were looked at, or should have been.
    pub(super) maps: usize,
    pub(super) lines: Vec<Line>,
}

/// One finding.
#[derive(Debug)]
pub(super) struct Line {
    /// The map; `None`: the host.
    pub(super) map: Option<String>,
    /// `None`: unknown, since it could not be looked at.
    pub(super) severity: Option<Severity>,
    pub(super) code: Code,
    pub(super) paths: Vec<String>,
    pub(super) message: String,
    pub(super) next: String,
}

impl Checked {
    pub(super) fn of(view: &HostView) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        for map in &view.maps {
            match map {
                Ok(map) => lines.extend(of_map(map)),
                Err(failure) => {
                    let verdict = verdict::of_failure(failure);
                    lines.push(Line {
                        map: failure.map().map(str::to_owned),
                        severity: None,
                        code: verdict.kind,
                        paths: Vec::new(),
                        message: verdict.sentence,
                        next: String::new(),
                    });
                }
            }
        }
        lines.extend(view.remarks().iter().map(|remark| Line::of(None, remark)));
        lines.sort_by_key(|line| std::cmp::Reverse(rank(line.severity)));
        Self {
            maps: view.maps.len(),
            lines,
        }
    }

    /// The exit status, as monitoring wants it.
    pub(super) fn status(&self) -> ExitStatus {
        match self.lines.first().map(|line| line.severity) {
            None | Some(Some(Severity::Info)) => HEALTHY,
            Some(Some(Severity::Attention)) => ATTENTION,
            Some(None) => UNKNOWN,
            Some(Some(Severity::Broken)) => BROKEN,
        }
    }

    /// The status in the word that monitoring shows.
    pub(super) fn word(&self) -> &'static str {
        match self.status() {
            HEALTHY => "OK",
            ATTENTION => "WARNING",
            BROKEN => "CRITICAL",
            _ => "UNKNOWN",
        }
    }

    /// The summary first, since many a monitor shows one line only.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = format!("{}: {}\n", self.word(), self.summary());
        for line in &self.lines {
            text += &line.text(paint);
        }
        text
    }

    fn summary(&self) -> String {
        let count = |severity| {
            let mut maps: Vec<&Option<String>> = self
                .lines
                .iter()
                .filter(|line| line.severity == severity)
                .map(|line| &line.map)
                .collect();
            maps.dedup();
            maps.len()
        };
        let counts = [
            (count(Some(Severity::Broken)), "broken"),
            (count(None), "could not be looked at"),
            (count(Some(Severity::Attention)), "needing attention"),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let maps = match self.maps {
            0 => "no multipath map".to_owned(),
            1 => "1 map".to_owned(),
            maps => format!("{maps} maps"),
        };
        match counts.is_empty() {
            true if self.maps > 0 => format!("{maps}, nothing wrong"),
            true => maps,
            false => format!("{maps}, {}", counts.join(", ")),
        }
    }
}

fn of_map(map: &View) -> Vec<Line> {
    let is_unknown = map.seen.is_err() && !map.is_without_reservations();
    let line = |remark: &Remark| {
        let mut line = Line::of(Some(&map.name), remark);
        // That nothing could be read is the finding here.
        if is_unknown && line.severity == Some(Severity::Attention) && is_blind(line.code) {
            line.severity = None;
        }
        line
    };
    map.remarks.iter().map(line).collect()
}

fn is_blind(code: Code) -> bool {
    !matches!(
        code,
        Code::MapSuspended
            | Code::CommandCutOff
            | Code::RecordUnreadable
            | Code::DaemonDisagrees
            | Code::NoUsablePath
    )
}

impl Line {
    fn of(map: Option<&str>, remark: &Remark) -> Self {
        Self {
            map: map.map(str::to_owned),
            severity: Some(remark.severity),
            code: remark.code,
            paths: remark.paths.clone(),
            message: remark.message.clone(),
            next: remark.next.clone(),
        }
    }

    pub(super) fn word(&self) -> &'static str {
        self.severity.map_or("unknown", severity_word)
    }

    fn text(&self, paint: Paint) -> String {
        let style = self.severity.map_or(Style::Bad, severity_style);
        let remark = Remark {
            code: self.code,
            severity: self.severity.unwrap_or(Severity::Attention),
            paths: Vec::new(),
            message: self.message.clone(),
            next: self.next.clone(),
        };
        let subject = match (&self.map, self.severity) {
            (Some(map), _) => format!("{map}: "),
            (None, None) => String::new(),
            (None, _) => "host: ".to_owned(),
        };
        let line = [
            Span(Style::Bold, subject),
            Span(style, self.word().to_owned()),
            Span(Style::Plain, format!(": {} ", sentence(&remark))),
            Span(Style::Faint, format!("[{}]", self.code)),
        ];
        shown(&line, paint) + "\n"
    }
}

/// Broken, unknown, attention, info: what cannot be looked at may be broken.
fn rank(severity: Option<Severity>) -> u8 {
    match severity {
        Some(Severity::Info) => 0,
        Some(Severity::Attention) => 1,
        None => 2,
        Some(Severity::Broken) => 3,
    }
}

/// Nothing is wrong.
pub(super) const HEALTHY: ExitStatus = ExitStatus(0);
/// Nothing fails now.
pub(super) const ATTENTION: ExitStatus = ExitStatus(1);
/// I/O fails, or fencing does not work.
pub(super) const BROKEN: ExitStatus = ExitStatus(2);
/// It could not be looked at.
pub(super) const UNKNOWN: ExitStatus = ExitStatus(3);
