//! Regular expressions of the configuration.

use std::fmt;

use regex_lite::Regex;

/// An extended regular expression that may match anywhere in the text, as multipath-tools has
/// it. In blacklists a `!` before it turns it round.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    sense: Sense,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Matches,
    MatchesNot,
}

impl Pattern {
    /// Of a `device` section: a `!` is a character like others.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        Self::with_sense(text, Sense::Matches)
    }

    /// Of a blacklist.
    pub(super) fn rule(text: &str) -> Result<Self, String> {
        match text.strip_prefix('!') {
            Some(text) => Self::with_sense(text, Sense::MatchesNot),
            None => Self::new(text),
        }
    }

    fn with_sense(text: &str, sense: Sense) -> Result<Self, String> {
        let regex = Regex::new(text);
        let regex =
            regex.map_err(|error| format!("'{text}' is not a regular expression: {error}"))?;
        Ok(Self { regex, sense })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text) == (self.sense == Sense::Matches)
    }
}

/// As in the file.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.sense {
            Sense::Matches => "",
            Sense::MatchesNot => "!",
        };
        write!(f, "{mark}{}", self.regex.as_str())
    }
}
