//! Reads the lines of configuration files into a [`Config`].

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use super::blacklist::{DeviceRule, Rule, RuleSet};
use super::keywords::{Meaning, Scope};
use super::pattern::Pattern;
use super::settings::{HookEntry, Settings};
use super::value::{Attributes, DeviceEntry, MultipathEntry, Place, ProtocolEntry, Taken};
use super::{Config, Loaded, Problem, Severity};
use crate::words::{Word, split};

/// Takes file after file, in the order in which they count.
#[derive(Default)]
pub(super) struct Reader {
    config: Config,
    settings: Settings,
    problems: Vec<Problem>,
    /// What means nothing here: one notice each.
    noticed: BTreeSet<String>,
}

impl Reader {
    pub(super) fn read(&mut self, path: &Path, text: &str) {
        self.read_as(Scope::Top, path, text);
    }

    /// A file in which `top` is what stands outside of all sections.
    pub(super) fn read_as(&mut self, top: Scope, path: &Path, text: &str) {
        let mut file = FileReader {
            reader: self,
            top,
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

    pub(super) fn finish_settings(self) -> (Settings, Vec<Problem>) {
        (self.settings, self.problems)
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
    top: Scope,
    path: Arc<Path>,
    line: usize,
    /// The sections that this line is in, from the outermost.
    open: Vec<Open>,
    /// The `device`, `multipath` or `protocol` section that this line is in.
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

/// What a `device` or `multipath` section has said so far; also that of a blacklist.
#[derive(Default)]
struct Entry {
    wwid: Option<String>,
    protocol: Option<String>,
    vendor: Option<Pattern>,
    product: Option<Pattern>,
    product_blacklist: Option<Rule>,
    attributes: Attributes,
    hook: HookEntry,
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
        self.open.last().map_or(Some(self.top), |open| open.scope)
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
        let scope = self.scope().unwrap_or(self.top);
        let keyword = first.text.as_str();
        if first.is_open() {
            return self.error("'{' must follow the name of its section on the same line".into());
        }
        match scope.meaning(keyword) {
            Meaning::Section(inner) => self.open_section(keyword, inner, rest),
            Meaning::Unknown => self.refuse_keyword(scope, keyword, rest),
            Meaning::Known => self.notice(&format!("'{keyword}' has no effect here")),
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
        if scope.is_entry() {
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

    /// The same is said once.
    fn notice(&mut self, message: &str) {
        if self.reader.noticed.insert(message.to_owned()) {
            self.problem(Severity::Notice, message.to_owned());
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
        if !scope.is_list() {
            self.warn_if_repeated(scope, keyword);
        }
        match self.take(scope, keyword, value) {
            Taken::AsIs => {}
            Taken::Changed(Severity::Notice, message) => self.notice(&message),
            Taken::Changed(severity, message) => self.problem(severity, message),
            Taken::Refused(message) => {
                self.entry.is_reported |= matches!(keyword, "vendor" | "product");
                self.error(format!("{message}; '{keyword}' ignored"));
            }
        }
    }

    fn warn_if_repeated(&mut self, scope: Scope, keyword: &str) {
        let open = self.open.last_mut();
        let is_first = open.is_none_or(|open| open.seen.insert(keyword.to_owned()));
        if !is_first {
            let section = scope.name();
            self.warning(format!(
                "'{keyword}' stands twice in one {section} section, the last counts"
            ));
        }
    }

    fn take(&mut self, scope: Scope, keyword: &str, value: &str) -> Taken {
        let place = self.place();
        let config = &mut self.reader.config;
        let entry = &mut self.entry;
        match (scope, keyword) {
            (Scope::Multipath, "wwid") => {
                entry.wwid = Some(value.to_owned());
                Taken::AsIs
            }
            (Scope::Protocol, "type") => {
                entry.protocol = Some(value.to_owned());
                Taken::AsIs
            }
            (Scope::Device, "vendor") => keep(&mut entry.vendor, Pattern::new(value)),
            (Scope::Device, "product") => keep(&mut entry.product, Pattern::new(value)),
            (Scope::Device, "product_blacklist") => {
                keep(&mut entry.product_blacklist, rule(value, place))
            }
            (Scope::BlacklistDevice | Scope::ExceptionsDevice, "vendor") => {
                keep(&mut entry.vendor, Pattern::rule(value))
            }
            (Scope::BlacklistDevice | Scope::ExceptionsDevice, _) => {
                keep(&mut entry.product, Pattern::rule(value))
            }
            (Scope::Settings, _) => self.reader.settings.take(value),
            (Scope::Hook, _) => entry.hook.take(keyword, value),
            (Scope::Blacklist, _) => append(&mut config.lists.blacklist, keyword, value, place),
            (Scope::Exceptions, _) => append(&mut config.lists.exceptions, keyword, value, place),
            (Scope::Overrides, _) => config.overrides.set(keyword, value, place),
            (Scope::Defaults, _) => config.defaults.set(keyword, value, place),
            _ => entry.attributes.set(keyword, value, place),
        }
    }

    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.path),
            line: self.line,
        }
    }

    fn finish_entry(&mut self, open: &Open) {
        let Some(scope) = open.scope.filter(|scope| scope.is_entry()) else {
            return;
        };
        let entry = mem::take(&mut self.entry);
        match scope {
            Scope::Multipath => self.finish_multipath(entry, open.line),
            Scope::Device => self.finish_device(entry, open.line),
            Scope::Hook => self.finish_hook(entry, open.line),
            Scope::Protocol => self.finish_protocol(entry, open.line),
            _ => self.finish_blacklist_device(scope, entry, open.line),
        }
    }

    fn finish_multipath(&mut self, entry: Entry, line: usize) {
        let attributes = entry.attributes;
        match entry.wwid {
            Some(wwid) => {
                let entry = MultipathEntry { wwid, attributes };
                self.reader.config.multipaths.push(entry);
            }
            None => self.error(format!("multipath of line {line} has no wwid, ignored")),
        }
    }

    fn finish_hook(&mut self, entry: Entry, line: usize) {
        match entry.hook.finish() {
            Ok(hook) => self.reader.settings.hooks.extend(hook),
            Err(lack) => self.error(format!("hook of line {line} {lack}, ignored")),
        }
    }

    fn finish_protocol(&mut self, entry: Entry, line: usize) {
        let attributes = entry.attributes;
        match entry.protocol {
            Some(protocol) => {
                let entry = ProtocolEntry {
                    protocol,
                    attributes,
                };
                self.reader.config.protocols.push(entry);
            }
            None => self.error(format!("protocol of line {line} has no type, ignored")),
        }
    }

    fn finish_device(&mut self, entry: Entry, line: usize) {
        let missing = match (entry.vendor, entry.product) {
            (Some(vendor), Some(product)) => {
                if let Some(rule) = entry.product_blacklist {
                    self.reader.config.lists.blacklist.device.push(DeviceRule {
                        vendor: Some(vendor.clone()),
                        product: Some(rule.pattern),
                        place: rule.place,
                    });
                }
                return self.reader.config.devices.push(DeviceEntry {
                    vendor,
                    product,
                    attributes: entry.attributes,
                });
            }
            (None, _) => "vendor",
            (Some(_), None) => "product",
        };
        if !entry.is_reported {
            self.error(format!("device of line {line} has no {missing}, ignored"));
        }
    }

    fn finish_blacklist_device(&mut self, scope: Scope, entry: Entry, line: usize) {
        if entry.is_reported {
            return;
        }
        if entry.vendor.is_none() && entry.product.is_none() {
            let message = format!("device of line {line} has no vendor and no product, ignored");
            return self.error(message);
        }
        let mut place = self.place();
        place.line = line;
        let rule = DeviceRule {
            vendor: entry.vendor,
            product: entry.product,
            place: Some(place),
        };
        let lists = &mut self.reader.config.lists;
        match scope {
            Scope::ExceptionsDevice => lists.exceptions.device.push(rule),
            _ => lists.blacklist.device.push(rule),
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

/// Takes what was read; what was refused leaves nothing.
fn keep<T>(slot: &mut Option<T>, read: Result<T, String>) -> Taken {
    match read {
        Ok(value) => {
            *slot = Some(value);
            Taken::AsIs
        }
        Err(message) => {
            *slot = None;
            Taken::Refused(message)
        }
    }
}

/// Adds a line to a list of the blacklist or its exceptions.
fn append(set: &mut RuleSet, keyword: &str, text: &str, place: Place) -> Taken {
    let list = match keyword {
        "devnode" => &mut set.devnode,
        "wwid" => &mut set.wwid,
        "property" => &mut set.property,
        "protocol" => &mut set.protocol,
        _ => return Taken::Refused(format!("'{keyword}' is not understood here")),
    };
    match rule(text, place) {
        Ok(rule) => {
            list.push(rule);
            Taken::AsIs
        }
        Err(message) => Taken::Refused(message),
    }
}

fn rule(text: &str, place: Place) -> Result<Rule, String> {
    let pattern = Pattern::rule(text)?;
    Ok(Rule {
        pattern,
        place: Some(place),
    })
}
