//! Where the story is played: a sandbox with four paths a node, and one with a single path, on
//! which every command is sent as it is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Programs;
use super::daemon::Daemon;
use super::story::{Scene, Step};
use crate::error::{Context, Error, Result};
use crate::guest::demo::Color;

/// The two sandboxes, and who is told.
pub(super) struct Stage<'a> {
    programs: &'a Programs,
    daemon: Option<Daemon>,
    folder: PathBuf,
    color: Color,
    out: &'a mut dyn Write,
    played: usize,
}

/// A command that ended.
#[derive(Debug)]
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        programs: &'a Programs,
        folder: &Path,
        color: Color,
        out: &'a mut dyn Write,
    ) -> Result<Self> {
        let mut stage = Self {
            programs,
            daemon: None,
            folder: folder.to_owned(),
            color,
            out,
            played: 0,
        };
        stage.say(
            "One disk, mpatha, and two nodes with four paths to it: they are simulated, \
             mpathpersist and multipathd-lite are the real programs.\nThe tables show which \
             key the array has for which path; ● holds the reservation.\n\n",
        )?;
        stage.show("mpathpersist sandbox init san")?;
        stage.run("mpathpersist sandbox init one --paths 1")?;
        Ok(stage)
    }

    pub(super) fn play(&mut self, scene: &Scene) -> Result {
        self.played += 1;
        let sentence = wrapped(scene.sentence);
        let sentence = self.paint("1", &format!("{}. {sentence}", self.played));
        self.say(&format!("\n{sentence}\n\n"))?;
        let mut compared = 0;
        for step in scene.steps {
            compared += self.step(step)?;
        }
        let colored = match self.color {
            Color::On => "always",
            Color::Off => "never",
        };
        let table = self.run(&format!("mpathpersist sandbox show san --color {colored}"))?;
        self.say("\n")?;
        for line in table.stdout.lines() {
            self.say(&format!("   {line}\n"))?;
        }
        self.compare(compared)
    }

    /// Does a step; says how many commands were compared with one disk.
    fn step(&mut self, step: &Step) -> Result<usize> {
        match *step {
            Step::Run(line) => {
                let ended = self.show(line)?;
                let Some(line) = on_one_disk(line) else {
                    return Ok(0);
                };
                let alone = self.run(&line)?;
                require_same(&line, ended.status, alone.status)?;
                return Ok(1);
            }
            Step::Start(line) => {
                self.daemon = Some(Daemon::start(&mut self.command(line))?);
                let outcome = self.paint("2", "in the background");
                self.say(&format!("   $ {line:WIDTH$}  {outcome}\n"))?;
            }
            Step::Await(all) => {
                if let Some(daemon) = &mut self.daemon {
                    daemon.await_all(all)?;
                }
                for said in all {
                    let said = self.paint("2", &format!("multipathd-lite: {said}"));
                    self.say(&format!("     {said}\n"))?;
                }
            }
            Step::End(line) => {
                self.show(line)?;
                self.daemon.take().map_or(Ok(()), Daemon::await_end)?;
            }
        }
        Ok(0)
    }

    pub(super) fn close(&mut self) -> Result {
        self.say(
            "\nAt every step the map answered like one disk, whatever happened to its paths.\n",
        )
    }

    /// The reservation as one disk with one path has it after the same commands.
    fn compare(&mut self, commands: usize) -> Result {
        let line = "mpathpersist --sandbox san/alice -i -r mpatha";
        let alone = on_one_disk(line).map(|line| self.run(&line)).transpose()?;
        let map = reservation(&self.run(line)?);
        let disk = alone.map(|alone| reservation(&alone)).unwrap_or_default();
        require_same("the reservation", &map, &disk)?;
        let statuses = match commands {
            0 => "",
            1 => "same exit status, ",
            _ => "same exit statuses, ",
        };
        let text = format!("one disk with one path: {statuses}same reservation");
        let text = self.paint("2", &text);
        self.say(&format!("   {text}\n"))
    }

    /// Runs a command and shows it, what it wrote, and how it ended.
    fn show(&mut self, line: &str) -> Result<Ended> {
        let ended = self.run(line)?;
        let outcome = match ended.status {
            0 => self.paint("32", "exit status 0"),
            status => self.paint("31", &format!("exit status {status}")),
        };
        self.say(&format!("   $ {line:WIDTH$}  {outcome}\n"))?;
        for said in ended.stdout.lines().chain(ended.stderr.lines()) {
            for part in wrapped(said).lines() {
                self.say(&format!("     {}\n", part.trim()))?;
            }
        }
        Ok(ended)
    }

    fn run(&self, line: &str) -> Result<Ended> {
        let output = self
            .command(line)
            .stdin(Stdio::null())
            .output()
            .context(|| format!("cannot run '{line}'"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended {
            status: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        if line.contains(" sandbox ") && !line.contains(" disk ") && ended.status != 0 {
            let (stdout, stderr) = (ended.stdout, ended.stderr);
            return Err(Error::Command {
                command: line.to_owned(),
                outcome: output.status.to_string(),
                output: stdout + &stderr,
            });
        }
        Ok(ended)
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.trim_end_matches(" &").split_whitespace();
        let mut command = Command::new(match words.next() {
            Some("multipathd-lite") => &self.programs.multipathd_lite,
            _ => &self.programs.mpathpersist,
        });
        command.args(words).current_dir(&self.folder);
        command
    }

    fn paint(&self, escape: &str, text: &str) -> String {
        match self.color {
            Color::On => format!("\x1b[{escape}m{text}\x1b[0m"),
            Color::Off => text.to_owned(),
        }
    }

    fn say(&mut self, text: &str) -> Result {
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .context(|| "cannot write the demo".to_owned())
    }
}

/// The same command for one path that is the whole disk; what is done to paths has none.
fn on_one_disk(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("--sandbox san/")?;
    let (node, options) = rest.split_once(' ')?;
    let options = options.strip_suffix("mpatha")?;
    Some(format!("mpathpersist sandbox disk one/{node} {options}sda"))
}

/// A response to READ RESERVATION without the generation, which counts paths.
fn reservation(read: &Ended) -> String {
    let text = read.stdout.split_once(", ");
    text.map(|(_, text)| text.to_owned()).unwrap_or_default()
}

fn require_same<T: PartialEq + std::fmt::Display>(what: &str, map: T, disk: T) -> Result {
    if map == disk {
        return Ok(());
    }
    Err(Error::unexpected(format!(
        "{what}: the map says '{map}' and one disk says '{disk}': they must be the same"
    )))
}

/// Lines of at most [`TEXT_WIDTH`] columns.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > TEXT_WIDTH {
            lines.push_str("\n   ");
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

/// The longest command line of the story.
const WIDTH: usize = 67;
const TEXT_WIDTH: usize = 88;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_on_the_map_has_its_like_on_one_disk() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(on_one_disk(line).as_deref(), expected);
        };
        check(
            "mpathpersist --sandbox san/alice -o -L -K 1 -T 5 mpatha",
            Some("mpathpersist sandbox disk one/alice -o -L -K 1 -T 5 sda"),
        );
        check("mpathpersist sandbox offline san/alice sda", None);
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("a  b"), "a b");
        let long = "x".repeat(TEXT_WIDTH);
        assert_eq!(wrapped(&format!("{long} y z")), format!("{long}\n   y z"));
    }
}
