//! Tables by format: text with wildcards such as `%n`, one line for each map or path.

use super::Style;

/// Something that has columns.
pub(super) trait Row {
    /// What the rows are, for `show wildcards`.
    const KIND: &'static str;

    /// The wildcard of each column and its heading.
    const COLUMNS: &'static [(char, &'static str)];

    /// The text in the column of this wildcard, one of [`COLUMNS`](Self::COLUMNS).
    fn cell(&self, wildcard: char) -> String;
}

/// One line for each row. A table without rows has no header line either.
pub(super) fn render<R: Row>(
    format: &str,
    style: Style,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let pieces = parse::<R>(format);
    let cells = |row: R| -> Vec<String> { wanted(&pieces).map(|(c, _)| row.cell(c)).collect() };
    let mut lines: Vec<Vec<String>> = rows.into_iter().map(cells).collect();
    if style == Style::Table && !lines.is_empty() {
        lines.insert(
            0,
            wanted(&pieces).map(|(_, name)| name.to_owned()).collect(),
        );
    }
    let widths = match style {
        Style::Table => widths(&lines),
        Style::Raw => Vec::new(),
    };
    let mut text = String::new();
    for line in &lines {
        write_line(&mut text, &pieces, line, &widths);
    }
    text
}

/// The wildcards of one kind of rows with their headings.
pub(super) fn wildcards<R: Row>() -> String {
    let mut text = format!("{} format wildcards:\n", R::KIND);
    for (wildcard, name) in R::COLUMNS {
        text.push_str(&format!("%{wildcard}  {name}\n"));
    }
    text
}

/// A part of a format.
enum Piece<'a> {
    Text(&'a str),
    Column(char, &'static str),
}

/// An unknown wildcard stands for nothing.
fn parse<R: Row>(format: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some((text, behind)) = rest.split_once('%') {
        pieces.push(Piece::Text(text));
        let mut letters = behind.chars();
        let wildcard = letters.next();
        let column = R::COLUMNS
            .iter()
            .find(|(known, _)| Some(*known) == wildcard);
        pieces.extend(column.map(|(wildcard, name)| Piece::Column(*wildcard, name)));
        rest = letters.as_str();
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn wanted<'a>(pieces: &'a [Piece<'_>]) -> impl Iterator<Item = (char, &'static str)> + 'a {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Column(wildcard, name) => Some((*wildcard, *name)),
        Piece::Text(_) => None,
    })
}

fn widths(lines: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(line.len(), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn write_line(text: &mut String, pieces: &[Piece<'_>], cells: &[String], widths: &[usize]) {
    let mut cells = cells.iter();
    let mut widths = widths.iter();
    for piece in pieces {
        match piece {
            Piece::Text(between) => text.push_str(between),
            Piece::Column(..) => {
                let cell = cells.next().map_or("", String::as_str);
                let width = widths.next().copied().unwrap_or_default();
                text.push_str(&format!("{cell:width$}"));
            }
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(&'static str, &'static str);

    impl Row for Pair {
        const KIND: &'static str = "pair";
        const COLUMNS: &'static [(char, &'static str)] = &[('a', "first"), ('ß', "2nd")];

        fn cell(&self, wildcard: char) -> String {
            match wildcard {
                'a' => self.0.to_owned(),
                _ => self.1.to_owned(),
            }
        }
    }

    fn check(format: &str, style: Style, expected: &str) {
        let rows = [Pair("x", "longer"), Pair("ä", "")];
        assert_eq!(render(format, style, rows), expected, "{format:?}");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        check(
            "%a|%ß|",
            Style::Table,
            "first|2nd   |\nx    |longer|\nä    |      |\n",
        );
        check(
            "%a %a",
            Style::Table,
            "first first\nx     x    \nä     ä    \n",
        );
    }

    #[test]
    fn raw_lines_are_bare() {
        check("%a|%ß|", Style::Raw, "x|longer|\nä||\n");
        check("no wildcard", Style::Raw, "no wildcard\nno wildcard\n");
        check("", Style::Raw, "\n\n");
    }

    #[test]
    fn unknown_wildcards_stand_for_nothing() {
        check("<%z%%%a%", Style::Raw, "<x\n<ä\n");
    }

    #[test]
    fn without_rows_there_is_nothing() {
        assert_eq!(render::<Pair>("%a", Style::Table, []), "");
        assert_eq!(
            wildcards::<Pair>(),
            "pair format wildcards:\n%a  first\n%ß  2nd\n"
        );
    }
}
