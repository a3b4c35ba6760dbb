//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// Text that grows by families of samples.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// What tells the samples of a family apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(String);

impl Exposition {
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(super) fn sample(&mut self, name: &str, Labels(labels): &Labels, value: impl Display) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    /// A family of one gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, &Labels::default(), value);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Writing to a string does not fail.
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{line}");
    }
}

impl Labels {
    pub(super) fn of(labels: &[(&str, &str)]) -> Self {
        labels
            .iter()
            .fold(Self::default(), |labels, (name, value)| {
                labels.and(name, value)
            })
    }

    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        let value = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', r"\n");
        let _ = write!(self.0, "{name}=\"{value}\"");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_may_hold_anything() {
        let mut text = Exposition::default();
        text.sample("a", &Labels::of(&[("b", "x\"y\\z\n"), ("c", "")]), 1.5);
        assert_eq!(text.into_text(), "a{b=\"x\\\"y\\\\z\\n\",c=\"\"} 1.5\n");
    }
}
