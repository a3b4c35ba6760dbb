//! Reading a line word by word, remembering where it is.

use std::str::FromStr;

use super::ParseError;

/// A line cut into words, and how far it has been read.
pub(super) struct Words<'a> {
    words: std::vec::IntoIter<(usize, &'a str)>,
    /// The length of the line, where a missing word would be.
    end: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        let start = line.as_ptr().addr();
        let words: Vec<_> = line
            .split_ascii_whitespace()
            .map(|word| (word.as_ptr().addr().saturating_sub(start), word))
            .collect();
        Self {
            words: words.into_iter(),
            end: line.len(),
        }
    }

    /// The next word and where it is.
    fn next(&mut self, expected: &'static str) -> Result<(usize, &'a str), ParseError> {
        self.words.next().ok_or(ParseError::Missing {
            at: self.end,
            expected,
        })
    }

    pub(super) fn word(&mut self, expected: &'static str) -> Result<String, ParseError> {
        self.next(expected).map(|(_, word)| word.to_owned())
    }

    /// The next word as a value that is written without a sign.
    pub(super) fn value<T: FromStr>(&mut self, expected: &'static str) -> Result<T, ParseError> {
        let (at, word) = self.next(expected)?;
        let unsigned = !word.starts_with(['+', '-']);
        let value = word.parse().ok().filter(|_| unsigned);
        value.ok_or_else(|| ParseError::Unexpected {
            at,
            expected,
            found: beginning(word),
        })
    }

    /// The next word through a table of words.
    pub(super) fn choice<T>(
        &mut self,
        expected: &'static str,
        choose: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let (at, word) = self.next(expected)?;
        choose(word).ok_or_else(|| ParseError::Unexpected {
            at,
            expected,
            found: beginning(word),
        })
    }

    /// A count of things that take at least one word each, which are still to come.
    pub(super) fn count(&mut self, what: &'static str) -> Result<usize, ParseError> {
        let at = self
            .words
            .as_slice()
            .first()
            .map_or(self.end, |(at, _)| *at);
        let count: usize = self.value(what)?;
        let words = self.words.len();
        if count > words {
            Err(ParseError::TooMany {
                at,
                what,
                count,
                words,
            })
        } else {
            Ok(count)
        }
    }

    /// So many words.
    pub(super) fn words(
        &mut self,
        count: usize,
        expected: &'static str,
    ) -> Result<Vec<String>, ParseError> {
        (0..count).map(|_| self.word(expected)).collect()
    }

    /// A count and so many words.
    pub(super) fn counted(&mut self, what: &'static str) -> Result<Vec<String>, ParseError> {
        let count = self.count(what)?;
        self.words(count, what)
    }

    /// That nothing is left.
    pub(super) fn end(mut self) -> Result<(), ParseError> {
        match self.words.next() {
            None => Ok(()),
            Some((at, word)) => Err(ParseError::Trailing {
                at,
                found: beginning(word),
            }),
        }
    }
}

/// As much of a word as belongs into a message.
fn beginning(word: &str) -> String {
    word.chars().take(MAX_QUOTED).collect()
}

/// Longer than any word of a sound line.
const MAX_QUOTED: usize = 40;
