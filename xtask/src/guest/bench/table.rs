//! Figures side by side; the last column is the last one in parts of the one before.

use std::fmt;
use std::time::Duration;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds, shown in the unit that fits.
    Time,
    /// MiB.
    Mebibytes,
}

/// One line.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    unit: Unit,
    values: Vec<Option<f64>>,
}

impl Row {
    pub(super) fn new(name: &str, unit: Unit, values: Vec<Option<f64>>) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            values,
        }
    }

    fn ratio(&self) -> Option<f64> {
        let [.., Some(before), Some(last)] = self.values.as_slice() else {
            return None;
        };
        Some(last / before)
    }

    fn shown(&self, value: Option<f64>) -> String {
        match (self.unit, value) {
            (_, None) => "-".to_owned(),
            (Unit::Mebibytes, Some(value)) => format!("{value:.1} MiB"),
            (Unit::Time, Some(value)) if value < 1.0 => format!("{:.1} ms", value * 1000.0),
            (Unit::Time, Some(value)) => format!("{value:.2} s"),
        }
    }
}

/// A table with a title.
#[derive(Debug)]
pub(super) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(title: &str, columns: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        write!(f, "{:44}", "")?;
        for column in &self.columns {
            write!(f, " {column:>13}")?;
        }
        writeln!(f, " {:>7}", "ratio")?;
        for row in &self.rows {
            write!(f, "{:44}", row.name)?;
            for value in &row.values {
                write!(f, " {:>13}", row.shown(*value))?;
            }
            let ratio = row
                .ratio()
                .map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(f, " {ratio:>7}")?;
        }
        Ok(())
    }
}

/// Half of them took no longer.
pub(super) fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

/// That many of a hundred took no longer.
pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&times), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn a_line_ends_with_its_ratio() {
        let mut table = Table::new("title", &["theirs", "ours"]);
        table.add(Row::new("time", Unit::Time, vec![Some(2.0), Some(0.5)]));
        table.add(Row::new("size", Unit::Mebibytes, vec![None, Some(4.25)]));
        let text = table.to_string();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        let expected = [
            "title",
            "theirs ours ratio",
            "time 2.00 s 500.0 ms 0.25",
            "size - 4.2 MiB -",
        ];
        assert_eq!(lines, expected);
    }
}
