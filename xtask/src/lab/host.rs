//! What the host must have to run the lab: programs that are installed by root, named to anybody
//! else.

use std::env::consts::ARCH;

use crate::error::{Error, Result};
use crate::process::{self, find_program};

/// Whether the lab can run here.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Everything is there.
    Ready,
    /// Something is missing that the user may install; the text says what and how.
    Missing(String),
}

/// A program and the Debian package that it is in.
#[derive(Debug, Clone, Copy)]
struct Tool {
    program: &'static str,
    package: &'static str,
}

/// Checks the host, and installs what is missing if this is root on a system with apt.
///
/// # Errors
/// If root's installation fails.
pub fn prepare() -> Result<Readiness> {
    if ARCH != "x86_64" {
        let why = format!("its guest is x86_64 and runs binaries that are built here, on {ARCH}");
        return Ok(Readiness::Missing(why));
    }
    let missing = missing_tools();
    if missing.is_empty() {
        return Ok(Readiness::Ready);
    }
    let is_root = process::output(process::tool("id").arg("-u"))?.trim() == "0";
    if is_root && find_program("apt-get").is_some() {
        install(&missing)?;
    }
    let missing = missing_tools();
    Ok(advice(&missing).map_or(Readiness::Ready, Readiness::Missing))
}

fn missing_tools() -> Vec<Tool> {
    TOOLS
        .iter()
        .copied()
        .filter(|tool| find_program(tool.program).is_none())
        .collect()
}

/// "NAME is not installed (sudo apt-get install PACKAGE)", if anything is missing.
fn advice(missing: &[Tool]) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let packages = packages(missing).join(" ");
    let names = names.join(", ");
    Some(format!(
        "{names} {verb} not installed (sudo apt-get install {packages})"
    ))
}

fn packages(missing: &[Tool]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

fn install(missing: &[Tool]) -> Result {
    let packages = packages(missing);
    eprintln!("lab: installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = process::tool("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        process::output(command.args(["-q", "-y"]).args(arguments))
    };
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(&packages);
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    // The package lists are missing or old. One source of many may be out of order, so that what
    // counts is the second attempt.
    let updated = apt(&["update"]);
    apt(&arguments).map(drop).map_err(|error| match updated {
        Ok(_) => error,
        Err(update) => Error::unexpected(format!("{error}\n{update}")),
    })
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// All but the first are in every Debian; they are named for other systems.
const TOOLS: &[Tool] = &[
    tool("qemu-system-x86_64", "qemu-system-x86"),
    tool("mkfs.ext4", "e2fsprogs"),
    tool("apt-get", "apt"),
    tool("dpkg-deb", "dpkg"),
    tool("tar", "tar"),
    tool("setpriv", "util-linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_missing_needs_no_advice() {
        assert_eq!(advice(&[]), None);
    }

    #[test]
    fn the_advice_is_a_line_to_paste() {
        assert_eq!(
            advice(&[tool("qemu-system-x86_64", "qemu-system-x86")]).as_deref(),
            Some("qemu-system-x86_64 is not installed (sudo apt-get install qemu-system-x86)")
        );
        assert_eq!(
            advice(&[tool("apt-get", "apt"), tool("tar", "tar")]).as_deref(),
            Some("apt-get, tar are not installed (sudo apt-get install apt tar)")
        );
    }
}
