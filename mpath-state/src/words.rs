//! One line of multipath-tools' text split into words: `multipath.conf` and the commands
//! of the multipathd socket share these rules.
//!
//! Blanks separate; `"…"` keeps blanks and special characters, `""` inside it is one quote
//! mark; `{` and `}` are words of their own; `#` and `!` begin a comment, also behind a word.

/// One word and whether it stood in quotes (a quoted brace is not a brace).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Word {
    pub(crate) fn is_open(&self) -> bool {
        !self.quoted && self.text == "{"
    }

    pub(crate) fn is_close(&self) -> bool {
        !self.quoted && self.text == "}"
    }
}

/// A quoted word that the end of the line cuts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingQuote;

/// Splits a line that holds no line feed.
pub(crate) fn split(line: &str) -> Result<Vec<Word>, MissingQuote> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = match first {
            '#' | '!' => break,
            '{' | '}' => plain(rest, first.len_utf8()),
            '"' => quoted(rest)?,
            _ => plain(rest, rest.find(ends_plain_word).unwrap_or(rest.len())),
        };
        words.push(word.0);
        rest = word.1.trim_start();
    }
    Ok(words)
}

/// `text` as one word that [`split`] gives back, in quotes where it needs them.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/%+=@,-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn plain(text: &str, len: usize) -> (Word, &str) {
    let (word, rest) = text.split_at(len);
    (
        Word {
            text: word.to_owned(),
            quoted: false,
        },
        rest,
    )
}

/// `text` begins with the opening quote.
fn quoted(text: &str) -> Result<(Word, &str), MissingQuote> {
    let mut word = String::new();
    let mut rest = text.strip_prefix('"').unwrap_or(text);
    loop {
        let (part, behind) = rest.split_once('"').ok_or(MissingQuote)?;
        word.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => rest = more,
            None => {
                return Ok((
                    Word {
                        text: word,
                        quoted: true,
                    },
                    behind,
                ));
            }
        }
        word.push('"');
    }
}

fn ends_plain_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '#' | '!' | '{' | '}' | '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let words = split(line).unwrap();
        let texts: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, expected, "{line:?}");
    }

    #[test]
    fn lines_are_split() {
        check("", &[]);
        check("  \t ", &[]);
        check("# comment", &[]);
        check("  ! comment", &[]);
        check(
            "user_friendly_names yes # why",
            &["user_friendly_names", "yes"],
        );
        check("verbosity 2!loud", &["verbosity", "2"]);
        check("defaults{", &["defaults", "{"]);
        check("  }  ", &["}"]);
        check("product \"2.5\"\" SSD # !\"", &["product", "2.5\" SSD # !"]);
        check("product \"\"", &["product", ""]);
        check("a \"b\"c", &["a", "b", "c"]);
        check("a \"\"\"\"", &["a", "\""]);
        check(
            "\tpath_selector\t\"service-time 0\"\r",
            &["path_selector", "service-time 0"],
        );
    }

    #[test]
    fn a_quoted_brace_is_a_word() {
        let words = split("product \"{\" {").unwrap();
        assert_eq!(
            words.iter().map(Word::is_open).collect::<Vec<_>>(),
            [false, false, true]
        );
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(split("product \"abc"), Err(MissingQuote));
        assert_eq!(split("product \"abc\"\""), Err(MissingQuote));
    }

    #[test]
    fn quoting_is_undone_by_splitting() {
        for text in [
            "mpatha", "%n %w", "", "a\"b", "\"", "{", "a#b", "x!y", "ä ö", " ",
        ] {
            let words = split(&quote(text)).unwrap();
            assert_eq!(words.len(), 1, "{text:?}");
            assert_eq!(words[0].text, text);
        }
        assert_eq!(quote("3600140-a.b:1"), "3600140-a.b:1");
    }
}
