//! `cargo xtask demo`: what the project is for, in a minute, on any machine: the real programs on
//! a simulated array, and next to it the same commands on one disk with one path.

mod daemon;
mod picture;
mod stage;
mod story;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::guest::demo::Color;
use crate::lab::binaries;
use crate::process;
use stage::Stage;

/// The programs that the story is about.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The command.
    pub mpathpersist: PathBuf,
    /// The daemon.
    pub multipathd_lite: PathBuf,
}

/// Builds the programs and tells the story on standard output. The sandbox stays, to go on with.
///
/// # Errors
/// If something cannot be built or run, or ends otherwise than on one disk.
pub fn run(workspace: &Path) -> Result {
    let programs = build(workspace)?;
    let folder = workspace.join("target/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).context(|| format!("cannot make {}", folder.display()))?;
    let mut out = io::stdout().lock();
    tell(&programs, &folder, color(), &mut out)?;
    let (here, program) = (folder.display(), programs.mpathpersist.display());
    writeln!(
        out,
        "\nGo on yourself:\n  cd {here}\n  {program} sandbox show san\n  {program} sandbox --help"
    )
    .context(|| "cannot write to standard output".to_owned())
}

/// Draws the story anew for the README.
///
/// # Errors
/// As [`run`].
pub fn draw(workspace: &Path) -> Result {
    let file = workspace.join(PICTURE);
    let picture = picture(workspace)?;
    std::fs::write(&file, picture).context(|| format!("cannot write {}", file.display()))
}

/// The picture as it is to be.
///
/// # Errors
/// As [`run`].
pub fn picture(workspace: &Path) -> Result<String> {
    let programs = build(workspace)?;
    let folder = tempfile::tempdir().context(|| "cannot make a folder".to_owned())?;
    let mut told = Vec::new();
    tell(&programs, folder.path(), Color::On, &mut told)?;
    Ok(picture::draw(&String::from_utf8_lossy(&told)))
}

/// Where the README's picture is.
pub const PICTURE: &str = "docs/demo.svg";

/// Tells the story with these programs, in a folder that is empty.
///
/// # Errors
/// As [`run`].
pub fn tell(programs: &Programs, folder: &Path, color: Color, out: &mut dyn Write) -> Result {
    let mut stage = Stage::new(programs, folder, color, out)?;
    for scene in story::SCENES {
        stage.play(scene)?;
    }
    stage.close()
}

/// On a terminal, unless its owner does not want any: <https://no-color.org>.
fn color() -> Color {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !is_unwanted {
        Color::On
    } else {
        Color::Off
    }
}

/// Builds the programs and says where they are.
///
/// # Errors
/// If they cannot be built; cargo has then said why.
pub fn build(workspace: &Path) -> Result<Programs> {
    eprintln!("demo: building mpathpersist and multipathd-lite");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args([
        "build",
        "--quiet",
        "--package=mpathpersist",
        "--bin=mpathpersist",
        "--package=multipathd-lite",
        "--bin=multipathd-lite",
        "--message-format=json-render-diagnostics",
    ]);
    let messages = process::output(&mut cargo)?;
    let built = binaries::parse_messages(&messages);
    let file = |name: &str| {
        let program = built.iter().find(|built| built.name == name);
        program
            .map(|program| program.file.clone())
            .ok_or_else(|| Error::unexpected(format!("cargo built no {name}")))
    };
    Ok(Programs {
        mpathpersist: file("mpathpersist")?,
        multipathd_lite: file("multipathd-lite")?,
    })
}
