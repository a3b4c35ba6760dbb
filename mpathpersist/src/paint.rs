//! Text for a terminal: styles, and tables whose columns line up.

use std::fmt::Write as _;

/// With or without the colours of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// With escape sequences.
    Color,
}

/// A text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Style, pub(crate) String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Good,
    Bad,
    Mark,
    Faint,
}

/// A cell, or a line, of one text.
pub(crate) fn cell(style: Style, text: impl Into<String>) -> Vec<Span> {
    vec![Span(style, text.into())]
}

/// Rows whose cells stand below each other, each line ended.
pub(crate) fn table(rows: &[Vec<Vec<Span>>], gap: usize, paint: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(|column| widest(rows, column)).collect();
    let mut text = String::new();
    for row in rows {
        text += &line(row, &widths, gap, paint);
        text.push('\n');
    }
    text
}

/// How many columns of a terminal the cells of one column take.
pub(crate) fn widest(rows: &[Vec<Vec<Span>>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    cells.map(|cell| width(cell)).max().unwrap_or_default()
}

pub(crate) fn shown(spans: &[Span], paint: Paint) -> String {
    let mut text = String::new();
    for Span(style, span) in spans {
        // Writing to a string does not fail.
        let _ = match (paint, style.escape()) {
            (Paint::Color, Some(escape)) => write!(text, "\x1b[{escape}m{span}\x1b[0m"),
            _ => write!(text, "{span}"),
        };
    }
    text
}

/// Lines of at most `columns`, broken between words; a longer word stands alone.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn line(row: &[Vec<Span>], widths: &[usize], gap: usize, paint: Paint) -> String {
    let mut text = String::new();
    for (cell, widest) in row.iter().zip(widths) {
        let padding = widest.saturating_sub(width(cell)) + gap;
        text += &shown(cell, paint);
        text += &" ".repeat(padding);
    }
    text.truncate(text.trim_end().len());
    text
}

fn width(spans: &[Span]) -> usize {
    spans.iter().map(|Span(_, text)| text.chars().count()).sum()
}

impl Style {
    const fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Mark => Some("33"),
            Self::Faint => Some("2"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let lines = |text, columns| wrapped(text, columns).join("|");
        assert_eq!(lines("one two three", 7), "one two|three");
        assert_eq!(lines("one two three", 13), "one two three");
        assert_eq!(lines("a verylongword b", 4), "a|verylongword|b");
        assert_eq!(lines("", 4), "");
    }
}
