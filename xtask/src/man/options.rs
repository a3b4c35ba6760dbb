//! The options of a command as a manual page shows them, from what its help text is made of.

use clap::{Arg, Command};
use clap_mangen::Man;

use crate::error::{Context, Error, Result};

/// The options of a command, those with a heading of their own behind the others.
///
/// # Errors
/// If they cannot be rendered.
pub(super) fn of(command: &Command) -> Result<String> {
    let shown = || command.get_arguments().filter(|it| !it.is_hide_set());
    let mut headings: Vec<&str> = shown().filter_map(Arg::get_help_heading).collect();
    headings.dedup();
    let mut text = render(shown().filter(|it| it.get_help_heading().is_none()))?;
    for heading in headings {
        text.push_str(&format!(".SS {}\n", super::escaped(heading)));
        let args = shown().filter(|it| it.get_help_heading() == Some(heading));
        text.push_str(&render(args)?);
    }
    Ok(text)
}

/// The commands of a command, and theirs.
///
/// # Errors
/// If they cannot be rendered.
pub(super) fn of_commands(command: &Command) -> Result<String> {
    let mut text = String::new();
    for command in commands(command) {
        text.push_str(&describe(command, &[])?);
    }
    Ok(text)
}

fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| !it.is_hide_set())
}

/// A command with its options; those below it follow with theirs.
fn describe(command: &Command, above: &[&str]) -> Result<String> {
    let names = [above, &[command.get_name()]].concat();
    let mut text = String::new();
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let positionals = command.get_positionals().map(placeholder);
    let words: Vec<String> = positionals.collect();
    let name = super::escaped(&names.join(" "));
    text.push_str(&format!(
        ".SS {name} {}\n{}.\n",
        super::escaped(&words.join(" ")),
        super::escaped(about.trim_end_matches('.'))
    ));
    text.push_str(&render(
        command.get_arguments().filter(|it| !it.is_hide_set()),
    )?);
    for below in commands(command) {
        text.push_str(&describe(below, &names)?);
    }
    Ok(text)
}

fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let name = names
        .iter()
        .map(|name| name.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    let many = arg
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1);
    format!("{name}{}", if many { "…" } else { "" })
}

/// As clap_mangen renders options, without the heading of a section.
fn render<'a>(args: impl Iterator<Item = &'a Arg>) -> Result<String> {
    let args: Vec<Arg> = args.cloned().map(|arg| arg.help_heading(None)).collect();
    if args.is_empty() {
        return Ok(String::new());
    }
    let command = Command::new("options")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(args);
    let mut bytes = Vec::new();
    let rendered = Man::new(command).render_options_section(&mut bytes);
    rendered.context(|| "cannot render options".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| Error::unexpected("options are no text"))?;
    let lines = text.lines().skip_while(|line| !line.starts_with(".TP"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    // An apostrophe is a string that the lines skipped would define; pages are ASCII.
    Ok(text.replace("\\*(Aq", "\\(aq").replace('…', "\\&..."))
}
