//! Reads the lines of configuration files into a [`Config`].

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use super::keywords::{Meaning, Scope};
use super::value::{Attributes, DeviceEntry, MultipathEntry, Pattern, Place, Taken};
use super::{Config, Loaded, Problem, Severity};
use crate::words::{Word, split};

/// Takes file after file, in the order in which they count.
#[derive(Default)]
pub(super) struct Reader {
    config: Config,
    problems: Vec<Problem>,
    /// Keywords that mean nothing here: one notice each.
    noticed: BTreeSet<String>,
}

impl Reader {
    pub(super) fn read(&mut self, path: &Path, text: &str) {
        let mut file = FileReader {
            reader: self,
            path: Arc::from(path),
            line: 0,
            open: Vec::new(),
            entry: Entry::default(),
        };
        for line in text.lines() {
            file.line += 1;
            file.take_line(line);
        }
        file.end();
    }

    /// The file cannot be read.
    pub(super) fn refuse(&mut self, path: &Path, error: &io::Error) {
        self.problems.push(Problem {
            file: path.to_owned(),
            line: None,
            severity: Severity::Error,
            message: format!("cannot be read: {error}"),
        });
    }

    pub(super) fn finish(self) -> Loaded {
        Loaded {
            config: self.config,
            problems: self.problems,
        }
    }
}

/// One file.
struct FileReader<'a> {
    reader: &'a mut Reader,
    path: Arc<Path>,
    line: usize,
    /// The sections that this line is in, from the outermost.
    open: Vec<Open>,
    /// The `device` or `multipath` section that this line is in.
    entry: Entry,
}

/// An open section.
struct Open {
    /// `None`: an unknown one, whose content is skipped.
    scope: Option<Scope>,
    line: usize,
    /// Keywords that stood in it already.
    seen: BTreeSet<String>,
}

/// What a `device` or `multipath` section has said so far.
#[derive(Default)]
struct Entry {
    wwid: Option<String>,
    vendor: Option<Pattern>,
    product: Option<Pattern>,
    attributes: Attributes,
    /// Something that says what the section is for was refused, and that was reported.
    is_reported: bool,
}

impl FileReader<'_> {
    fn take_line(&mut self, line: &str) {
        let Ok(words) = split(line) else {
            return self.error("closing quote missing, line ignored".to_owned());
        };
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        if first.is_close() {
            self.close(rest);
        } else if self.is_skipping() {
            self.skip(rest);
        } else {
            self.take_words(first, rest);
        }
    }

    fn scope(&self) -> Option<Scope> {
        self.open.last().map_or(Some(Scope::Top), |open| open.scope)
    }

    fn is_skipping(&self) -> bool {
        self.scope().is_none()
    }

    /// Inside an unknown section only the braces count.
    fn skip(&mut self, rest: &[Word]) {
        if rest.first().is_some_and(Word::is_open) {
            self.push(None);
        }
    }

    fn take_words(&mut self, first: &Word, rest: &[Word]) {
        let scope = self.scope().unwrap_or(Scope::Top);
        let keyword = first.text.as_str();
        if first.is_open() {
            return self.error("'{' must follow the name of its section on the same line".into());
        }
        match scope.meaning(keyword) {
            Meaning::Section(inner) => self.open_section(keyword, inner, rest),
            Meaning::Unknown => self.refuse_keyword(scope, keyword, rest),
            Meaning::Known => self.notice(scope, keyword),
            Meaning::Meant => {
                if let Some(value) = self.value(keyword, rest) {
                    self.set(scope, keyword, &value);
                }
            }
        }
    }

    fn open_section(&mut self, name: &str, scope: Scope, rest: &[Word]) {
        match rest {
            [brace] if brace.is_open() => {}
            [brace, extra, ..] if brace.is_open() => self.error(format!(
                "'{}' behind '{{' ignored: the content of {name} begins on the next line",
                extra.text
            )),
            _ => self.error(format!("'{{' missing behind {name}")),
        }
        self.push(Some(scope));
        if matches!(scope, Scope::Device | Scope::Multipath) {
            self.entry = Entry::default();
        }
    }

    fn push(&mut self, scope: Option<Scope>) {
        self.open.push(Open {
            scope,
            line: self.line,
            seen: BTreeSet::new(),
        });
    }

    fn close(&mut self, rest: &[Word]) {
        if let Some(extra) = rest.first() {
            self.warning(format!("'{}' behind '}}' ignored", extra.text));
        }
        match self.open.pop() {
            Some(open) => self.finish_entry(&open),
            None => self.error("'}' closes nothing".to_owned()),
        }
    }

    /// At the end of the file sections that are open count as closed.
    fn end(&mut self) {
        while let Some(open) = self.open.pop() {
            let name = open.scope.map_or("the section", Scope::name);
            let line = open.line;
            self.error(format!("'}}' missing: {name} of line {line} is not closed"));
            self.finish_entry(&open);
        }
    }

    fn refuse_keyword(&mut self, scope: Scope, keyword: &str, rest: &[Word]) {
        let known_in = scope.name();
        let hint = scope.suggestion(keyword);
        if rest.first().is_some_and(Word::is_open) {
            self.push(None);
            self.error(format!(
                "unknown section '{keyword}' in {known_in}, skipped{hint}"
            ));
        } else {
            self.error(format!(
                "unknown keyword '{keyword}' in {known_in}, ignored{hint}"
            ));
        }
    }

    fn notice(&mut self, scope: Scope, keyword: &str) {
        // Blacklists are for whoever makes maps: a map that is there was not blacklisted.
        let silent = matches!(scope, Scope::Blacklist | Scope::BlacklistDevice);
        if !silent && self.reader.noticed.insert(keyword.to_owned()) {
            self.problem(Severity::Notice, format!("'{keyword}' has no effect here"));
        }
    }

    fn value(&mut self, keyword: &str, rest: &[Word]) -> Option<String> {
        let Some((value, extra)) = rest.split_first() else {
            self.error(format!("'{keyword}' has no value, ignored"));
            return None;
        };
        if let Some(extra) = extra.first() {
            self.warning(format!(
                "'{}' behind the value of '{keyword}' ignored: a value with blanks needs quotes",
                extra.text
            ));
        }
        Some(value.text.clone())
    }

    fn set(&mut self, scope: Scope, keyword: &str, value: &str) {
        let first = self
            .open
            .last_mut()
            .is_none_or(|open| open.seen.insert(keyword.to_owned()));
        if !first {
            let section = scope.name();
            self.warning(format!(
                "'{keyword}' stands twice in one {section} section, the last counts"
            ));
        }
        let place = Place {
            file: Arc::clone(&self.path),
            line: self.line,
        };
        let taken = match (scope, keyword) {
            (Scope::Multipath, "wwid") => {
                self.entry.wwid = Some(value.to_owned());
                Taken::AsIs
            }
            (Scope::Device, "vendor") => take_pattern(&mut self.entry.vendor, value),
            (Scope::Device, "product") => take_pattern(&mut self.entry.product, value),
            (Scope::Overrides, _) => self.reader.config.overrides.set(keyword, value, place),
            (Scope::Defaults, _) => self.reader.config.defaults.set(keyword, value, place),
            _ => self.entry.attributes.set(keyword, value, place),
        };
        match taken {
            Taken::AsIs => {}
            Taken::Changed(message) => self.warning(message),
            Taken::Refused(message) => {
                self.entry.is_reported |= matches!(keyword, "vendor" | "product");
                self.error(format!("{message}; '{keyword}' ignored"));
            }
        }
    }

    fn finish_entry(&mut self, open: &Open) {
        match open.scope {
            Some(Scope::Multipath) => self.finish_multipath(open.line),
            Some(Scope::Device) => self.finish_device(open.line),
            _ => {}
        }
    }

    fn finish_multipath(&mut self, line: usize) {
        let Entry {
            wwid, attributes, ..
        } = mem::take(&mut self.entry);
        match wwid {
            Some(wwid) => {
                self.reader
                    .config
                    .multipaths
                    .push(MultipathEntry { wwid, attributes });
            }
            None => self.error(format!("multipath of line {line} has no wwid, ignored")),
        }
    }

    fn finish_device(&mut self, line: usize) {
        let Entry {
            vendor,
            product,
            attributes,
            is_reported,
            ..
        } = mem::take(&mut self.entry);
        let missing = match (vendor, product) {
            (Some(vendor), Some(product)) => {
                let entry = DeviceEntry {
                    vendor,
                    product,
                    attributes,
                };
                return self.reader.config.devices.push(entry);
            }
            (None, _) => "vendor",
            (Some(_), None) => "product",
        };
        if !is_reported {
            self.error(format!("device of line {line} has no {missing}, ignored"));
        }
    }

    fn error(&mut self, message: String) {
        self.problem(Severity::Error, message);
    }

    fn warning(&mut self, message: String) {
        self.problem(Severity::Warning, message);
    }

    fn problem(&mut self, severity: Severity, message: String) {
        let (file, line) = (self.path.to_path_buf(), Some(self.line));
        self.reader.problems.push(Problem {
            file,
            line,
            severity,
            message,
        });
    }
}

fn take_pattern(slot: &mut Option<Pattern>, text: &str) -> Taken {
    match Pattern::new(text) {
        Ok(pattern) => {
            *slot = Some(pattern);
            Taken::AsIs
        }
        Err(message) => {
            *slot = None;
            Taken::Refused(message)
        }
    }
}
