//! The rules for one source file.

use super::Finding;

/// Checks a file by its path (relative to the workspace) and text.
#[must_use]
pub fn check(file: &str, text: &str) -> Vec<Finding> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let finding = |line, what: String| Finding {
        file: file.to_owned(),
        line,
        what,
    };
    let mut findings = Vec::new();
    if FORBIDDEN_NAMES.contains(&name) {
        findings.push(finding(
            0,
            format!("no {name}: name files by the noun inside"),
        ));
    }
    if !text.starts_with("//!") {
        findings.push(finding(
            1,
            "begin with `//!`: what it is and why it is there".to_owned(),
        ));
    }
    let lines = non_test_lines(file, text);
    if lines > MAX_LINES {
        findings.push(finding(
            0,
            format!("{lines} lines that are not tests, over {MAX_LINES}"),
        ));
    }
    let mut snapshot = Snapshot::Outside;
    for (index, line) in text.lines().enumerate() {
        snapshot = snapshot.follow(line);
        if snapshot == Snapshot::Inside {
            continue;
        }
        let faults = line_faults(file, line);
        findings.extend(faults.into_iter().map(|what| finding(index + 1, what)));
    }
    findings
}

/// Whether a line belongs to an inline snapshot: what a program printed is no source text, and
/// keeps its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    Outside,
    Inside,
}

impl Snapshot {
    fn follow(self, line: &str) -> Self {
        let opens = ["@r\"", "@r#\"", "@\""]
            .iter()
            .any(|mark| line.ends_with(mark));
        let closes = line.trim_start().strip_prefix('"');
        let closes = closes.is_some_and(|rest| rest.trim_matches(['#', ')', ';', ',']).is_empty());
        match self {
            Self::Outside if opens => Self::Inside,
            Self::Inside if closes => Self::Outside,
            same => same,
        }
    }
}

/// What is wrong with a line.
fn line_faults(file: &str, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let columns = line.chars().count();
    if columns > MAX_COLUMNS {
        faults.push(format!("{columns} columns, over {MAX_COLUMNS}"));
    }
    for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
        faults.push(format!("`{mark}`: finish it, or leave it out"));
    }
    if is_unsafe_code(line) && !file.starts_with(UNSAFE_FOLDER) {
        faults.push(format!("unsafe code lives in {UNSAFE_FOLDER} only"));
    }
    faults
}

/// Files of tests have none; in others the tests are last.
fn non_test_lines(file: &str, text: &str) -> usize {
    if file.contains("/tests/") || file.ends_with("/tests.rs") {
        return 0;
    }
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}

/// Whether the line's code (not its comment) has the keyword in front of a block or an item.
fn is_unsafe_code(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words: Vec<&str> = code.split_whitespace().collect();
    words.iter().enumerate().any(|(index, word)| {
        let follows = words.get(index + 1).copied().unwrap_or("{");
        let item = ["{", "fn", "impl", "trait", "extern"]
            .iter()
            .any(|it| follows.starts_with(it));
        let last = word
            .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        item && last == Some(KEYWORD)
    })
}

const FORBIDDEN_NAMES: &[&str] = &["mod.rs", "utils.rs"];

/// The keyword, not as a word of this file.
const KEYWORD: &str = concat!("un", "safe");

/// Where system calls are made.
const UNSAFE_FOLDER: &str = "dm-multipath/src/sys";

/// Marks of what is not finished, split so that this file does not have them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
];

const MAX_LINES: usize = 600;

const MAX_COLUMNS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of a file with a proper head and these lines, as `line: what`.
    fn check_lines(file: &str, lines: &str) -> Vec<(usize, String)> {
        let findings = check(file, &format!("//! Head.\n{lines}"));
        findings
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(check_lines("a/src/lib.rs", "fn f() {}\n"), []);
    }

    #[test]
    fn a_file_begins_with_its_purpose() {
        let findings = check("a/src/lib.rs", "fn f() {}\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 1);
    }

    #[test]
    fn some_names_say_nothing() {
        for file in ["a/src/x/mod.rs", "a/src/utils.rs"] {
            assert_eq!(check_lines(file, "").len(), 1, "{file}");
        }
        assert_eq!(check_lines("a/src/model.rs", ""), []);
    }

    #[test]
    fn files_are_short_not_counting_tests() {
        let lines = "x\n".repeat(MAX_LINES - 1);
        assert_eq!(check_lines("a/src/lib.rs", &lines), []);
        let what = "601 lines that are not tests, over 600".to_owned();
        assert_eq!(
            check_lines("a/src/lib.rs", &(lines.clone() + "x\n")),
            [(0, what)]
        );
        let tests = "x\n".repeat(MAX_LINES);
        assert_eq!(
            check_lines("a/src/lib.rs", &format!("{lines}#[cfg(test)]\n{tests}")),
            []
        );
        assert_eq!(check_lines("a/tests/it.rs", &format!("{lines}{tests}")), []);
        assert_eq!(
            check_lines("a/src/record/tests.rs", &format!("{lines}{tests}")),
            []
        );
    }

    #[test]
    fn what_a_program_printed_keeps_its_width() {
        let wide = "x".repeat(101);
        let text = format!("assert_snapshot!(shown, @r\"\n{wide}\n\");\n{wide}");
        let faults = check_lines("a.rs", &text);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }

    #[test]
    fn lines_are_short_in_characters() {
        assert_eq!(check_lines("a.rs", &"ä".repeat(100)), []);
        let what = "101 columns, over 100".to_owned();
        assert_eq!(
            check_lines("a.rs", &format!("x\n{}", "ä".repeat(101))),
            [(3, what)]
        );
    }

    #[test]
    fn nothing_is_left_unfinished() {
        for mark in UNFINISHED {
            let found = check_lines("a.rs", &format!("// {mark}"));
            assert_eq!(
                found,
                [(2, format!("`{mark}`: finish it, or leave it out"))]
            );
        }
    }

    #[test]
    fn unsafe_code_is_in_one_folder() {
        let code = [
            "{ f() }",
            "fn f() {}",
            "impl A for B {}",
            "extern \"C\" {",
            "",
        ];
        for rest in code.map(|rest| format!("let x = {KEYWORD} {rest}")) {
            assert_eq!(check_lines("a/src/lib.rs", &rest).len(), 1, "{rest}");
            assert_eq!(check_lines("dm-multipath/src/sys/sg.rs", &rest), []);
        }
        assert_eq!(
            check_lines("a.rs", &format!("f({KEYWORD} {{ g() }})")).len(),
            1
        );
        let harmless = [
            format!("// {KEYWORD} {{"),
            format!("#![forbid({KEYWORD}_code)]"),
            format!("let is_{KEYWORD} = 1;"),
        ];
        for line in harmless {
            assert_eq!(check_lines("a.rs", &line), [], "{line}");
        }
    }
}
