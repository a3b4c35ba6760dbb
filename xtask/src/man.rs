//! The manual pages: what people wrote, around what the programs themselves say of their options,
//! exit statuses and keywords.

mod options;

use std::fs;
use std::path::{Path, PathBuf};

use mpath_state::config::Keyword;
use mpathpersist::cli::{self, ExitStatus};
use multipathd_lite::answers::HELP;
use multipathd_lite::command_line::{MODES, OPTIONS, SANDBOX};

use crate::error::{Context, Error, Result};

/// A manual page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its file, such as `mpathpersist.8`.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// All pages.
///
/// # Errors
/// If a page asks for something that there is not.
pub fn pages() -> Result<Vec<Page>> {
    TEMPLATES.iter().map(Template::fill).collect()
}

/// Writes all pages into a folder.
///
/// # Errors
/// If a page cannot be made or written.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
    let write = |page: Page| {
        let path = folder.join(page.name);
        fs::write(&path, page.text).context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    pages()?.into_iter().map(write).collect()
}

/// A page with comments where something is to be filled in.
struct Template {
    name: &'static str,
    text: &'static str,
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "mpathpersist.8",
        text: include_str!("../../mpathpersist/man/mpathpersist.8.in"),
    },
    Template {
        name: "multipathd-lite.8",
        text: include_str!("../../multipathd-lite/man/multipathd-lite.8.in"),
    },
    Template {
        name: "mpath-pr.conf.5",
        text: include_str!("../../mpath-state/man/mpath-pr.conf.5.in"),
    },
];

impl Template {
    fn fill(&self) -> Result<Page> {
        let lines = self.text.lines().map(|line| self.fill_line(line));
        let text = lines.collect::<Result<String>>()?;
        Ok(Page {
            name: self.name,
            text,
        })
    }

    fn fill_line(&self, line: &str) -> Result<String> {
        let mark = line
            .strip_prefix(".\\\"@")
            .and_then(|it| it.strip_suffix('@'));
        let filled = match (mark, self.name) {
            (None, _) => return Ok(format!("{line}\n")),
            (Some("OPTIONS"), "mpathpersist.8") => options::of(&cli::documented())?,
            (Some("COMMANDS"), "mpathpersist.8") => options::of_commands(&cli::documented())?,
            (Some("STATUSES"), _) => statuses(),
            (Some("MODES"), _) => modes(),
            (Some("OPTIONS"), _) => daemon_options(),
            (Some("SANDBOX"), _) => escaped(&format!("{SANDBOX}\n")),
            (Some("COMMANDS"), _) => escaped_lines(HELP),
            (Some("KEYWORDS"), _) => keywords(),
            (Some("ACCEPTED"), _) => escaped(&(Keyword::accepted().join(", ") + ".\n")),
            (Some(mark), name) => {
                return Err(Error::unexpected(format!("{name} has nothing for {mark}")));
            }
        };
        Ok(filled)
    }
}

fn statuses() -> String {
    let line = |(status, meaning): (ExitStatus, &str)| entry(&status.to_string(), meaning);
    ExitStatus::MEANINGS.into_iter().map(line).collect()
}

fn modes() -> String {
    let mode = |(mode, _): &(&str, &str)| format!(".B multipathd-lite\n{}\n", escaped(mode));
    MODES.iter().map(mode).collect::<Vec<_>>().join(".br\n")
}

fn daemon_options() -> String {
    let mine = OPTIONS.iter();
    // The first mode is what these options are for.
    let all = mine.chain(MODES.iter().skip(1));
    all.map(|(option, help)| entry(option, help)).collect()
}

fn keywords() -> String {
    let keyword = |keyword: Keyword| {
        let head = format!("{} {}", keyword.name, keyword.values);
        let built_in = keyword.built_in.map(|it| format!(" Built in: {it}."));
        let body = format!(
            "In {}: {}.{}",
            keyword.sections.join(", "),
            keyword.meaning,
            built_in.unwrap_or_default()
        );
        entry(&head, &body)
    };
    Keyword::all().into_iter().map(keyword).collect()
}

/// A term and what it means.
fn entry(term: &str, meaning: &str) -> String {
    format!(
        ".TP\n.B {}\n{}\n",
        escaped(&term.replace('"', "\\(dq")),
        escaped(meaning)
    )
}

/// Text as roff takes it: dashes that can be copied, no line that begins with a request.
fn escaped(text: &str) -> String {
    let text = text.replace("\\(dq", "\u{0}").replace('\\', "\\e");
    let text = text.replace('-', "\\-").replace('…', "\\&...");
    text.replace('\u{0}', "\\(dq")
}

fn escaped_lines(text: &str) -> String {
    let line = |line: &str| format!("\\&{}\n", escaped(line));
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::process::find_program;

    fn page(name: &str) -> String {
        let pages = pages().expect("all can be filled in");
        let page = pages.into_iter().find(|page| page.name == name);
        page.expect("it is one of them").text
    }

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for page in pages().expect("all can be filled in") {
            assert!(!page.text.contains("\"@"), "{}", page.text);
        }
    }

    #[test]
    fn every_option_is_there() {
        let text = page("mpathpersist.8");
        let command = cli::documented();
        let longs = command.get_arguments().filter(|it| !it.is_hide_set());
        for long in longs.filter_map(|it| it.get_long()) {
            let shown = format!("\\-\\-{}", long.replace('-', "\\-"));
            assert!(text.contains(&shown), "{long}");
        }
        for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            assert!(text.contains(command.get_name()), "{}", command.get_name());
        }
    }

    /// A page is also what its formatter makes of it.
    #[test]
    fn groff_has_nothing_to_complain_of() {
        if find_program("groff").is_none() {
            eprintln!("skipped, because groff is not installed");
            return;
        }
        let folder = tempfile::tempdir().expect("temp is writable");
        for path in write(folder.path()).expect("temp is writable") {
            let mut groff = Command::new("groff");
            groff.args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path);
            let output = groff.stdin(Stdio::null()).output().expect("it is there");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
    }

    #[test]
    fn the_keywords_as_they_are_printed() {
        insta::assert_snapshot!(page("mpath-pr.conf.5"));
    }
}
