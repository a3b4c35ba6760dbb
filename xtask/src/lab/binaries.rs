//! The static binaries that run in the guest. They are built in a target folder of their own, so
//! that their flags do not invalidate the developer's ordinary build.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::process;

/// A program for the guest: its name there, and where it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The command's name in the guest.
    pub name: String,
    /// The file on the host.
    pub file: PathBuf,
}

/// What the binaries are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The scenarios: quickly, with the checks of a debug build.
    Tests,
    /// Measuring: as they are shipped, without the test binary.
    Bench,
}

/// The name of the guest test binary in the guest.
pub const TESTS: &str = "lab-tests";

/// Builds the project's binaries, this task runner and the guest test binary.
///
/// # Errors
/// If the build fails; cargo has then said why.
pub fn build(workspace: &Path, lab: &Path, profile: Profile) -> Result<Vec<Binary>> {
    eprintln!("lab: building static binaries");
    let programs = [
        "--package=mpathpersist",
        "--package=multipathd-lite",
        "--package=xtask",
    ];
    let mut arguments = [&programs[..], &["--bins"]].concat();
    if profile == Profile::Bench {
        arguments.push("--release");
        return cargo(workspace, lab, "build", &arguments);
    }
    let mut binaries = cargo(workspace, lab, "build", &arguments)?;
    let tests = [
        "--no-run",
        "--package=xtask",
        "--features=lab",
        "--test=lab",
    ];
    // cargo names the package's programs as well, since its tests may want to run them.
    let built = cargo(workspace, lab, "test", &tests)?;
    let test = built.into_iter().find(|binary| binary.name == "lab");
    let test = test.ok_or_else(|| Error::unexpected("cargo built no guest test binary"))?;
    binaries.push(Binary {
        name: TESTS.to_owned(),
        ..test
    });
    Ok(binaries)
}

/// The guest's processor is emulated, and the scenarios start programs by the thousand. The checks
/// are for our own crates, and what is loaded where it was linked for needs no relocations: a third
/// of the instructions of a command that reads keys.
const DEPENDENCIES: &str = "profile.dev.package.\"*\".debug-assertions=false";
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

fn cargo(workspace: &Path, lab: &Path, verb: &str, arguments: &[&str]) -> Result<Vec<Binary>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        verb,
        "--locked",
        "--quiet",
        "--message-format=json-render-diagnostics",
    ]);
    cargo
        .args(["--target=x86_64-unknown-linux-gnu"])
        .args(arguments);
    cargo.arg(process::option("--target-dir=", &lab.join("build")));
    for setting in [
        "profile.dev.opt-level=1",
        "profile.dev.debug=0",
        "profile.dev.strip=true",
        DEPENDENCIES,
    ] {
        cargo.args(["--config", setting]);
    }
    cargo
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", FLAGS);
    cargo
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo.output().context(|| "cannot run cargo".to_owned())?;
    if !output.status.success() {
        let status = output.status;
        return Err(Error::unexpected(format!(
            "`{}`: {status}",
            process::shown(&cargo)
        )));
    }
    Ok(parse_messages(&String::from_utf8_lossy(&output.stdout)))
}

/// The executables named in cargo's JSON messages, one object a line.
pub(crate) fn parse_messages(text: &str) -> Vec<Binary> {
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let file = PathBuf::from(message.get("executable")?.as_str()?);
            let name = message.get("target")?.get("name")?.as_str()?.to_owned();
            Some(Binary { name, file })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let text = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"tool"},"executable":"/t/tool"}"#,
            "\n",
        );
        let tool = Binary {
            name: "tool".to_owned(),
            file: "/t/tool".into(),
        };
        assert_eq!(parse_messages(text), [tool]);
    }
}
