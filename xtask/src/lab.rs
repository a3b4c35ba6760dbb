//! The lab: a throw-away QEMU guest with the kernel's own SCSI target (LIO), its SCSI initiator
//! stack and dm-multipath, in which the project's binaries meet the real thing. This half runs on
//! the host: it makes the guest from Debian packages, builds static binaries for it and boots it.

pub mod binaries;
pub mod bzimage;
pub mod cpio;
pub mod dpkg;
pub mod host;
pub mod image;
pub mod modules;
pub mod packages;
pub mod qemu;
pub mod root;

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dist::{self, Compression, Programs};
use crate::error::{Context, Error, Result};
use crate::process;
use binaries::{Binary, Profile};
use host::Readiness;
use image::Image;
use qemu::{Boot, Clock, Console, Ended, Machine, Parts};

/// How a use of the lab ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit status of what ran in the guest.
    Ended(u8),
    /// It could not start, and why.
    Skipped(String),
}

/// Runs the guest test binary with these arguments; without any, all scenarios, in two guests at
/// once.
///
/// # Errors
/// If the image or the binaries cannot be made, or a guest fails.
pub fn run_tests(workspace: &Path, arguments: &[String]) -> Result<Outcome> {
    let jobs = match arguments {
        [] => vec![tests(&second_guest("")), tests(&second_guest("--skip="))],
        some => vec![tests(some)],
    };
    let setting = (Machine::default(), Profile::Tests);
    boot_all(workspace, &jobs, Console::Stream, setting)
}

fn tests(arguments: &[String]) -> Vec<String> {
    let mut job = vec![binaries::TESTS.to_owned()];
    let is_number = |argument: &String| argument.starts_with("--test-threads");
    if !arguments.iter().any(is_number) {
        // Scenarios wait more than they work.
        job.push("--test-threads=4".to_owned());
    }
    job.extend_from_slice(arguments);
    job
}

/// What the scenarios of the second guest are called, each behind `prefix`.
fn second_guest(prefix: &str) -> Vec<String> {
    let names = ALONE.iter().chain(AFTER_THOSE);
    names.map(|name| format!("{prefix}{name}")).collect()
}

/// Gives the person at this terminal a prompt in the guest.
///
/// # Errors
/// As [`run_tests`].
pub fn run_shell(workspace: &Path) -> Result<Outcome> {
    let mut job = in_guest(&["shell"]);
    if let Some((rows, columns)) = terminal_size() {
        // A serial port does not know the size of the terminal at its other end.
        let script = format!("stty rows {rows} cols {columns}; exec \"$@\"");
        job.splice(0..0, ["bash", "-c", &script, "bash"].map(str::to_owned));
    }
    run(workspace, &job, Console::Terminal)
}

/// Shows the main job of the project on the real kernel.
///
/// # Errors
/// As [`run_tests`].
pub fn run_demo(workspace: &Path, program: &str) -> Result<Outcome> {
    let color = if std::io::stdout().is_terminal() {
        "--color"
    } else {
        "--no-color"
    };
    run(
        workspace,
        &in_guest(&["demo", color, program]),
        Console::Stream,
    )
}

/// Measures this project's programs beside the distribution's.
///
/// # Errors
/// As [`run_tests`].
pub fn run_bench(workspace: &Path, arguments: &[String], clock: Clock) -> Result<Outcome> {
    let mut job = in_guest(&["bench"]);
    job.extend_from_slice(arguments);
    let machine = Machine {
        clock,
        memory_mib: BENCH_MEMORY_MIB,
        limit: BENCH_LIMIT,
    };
    boot(workspace, &job, Console::Stream, (machine, Profile::Bench))
}

/// Runs any command in the guest.
///
/// # Errors
/// As [`run_tests`].
pub fn run_command(workspace: &Path, command: &[String]) -> Result<Outcome> {
    run(workspace, command, Console::Stream)
}

/// This program, inside.
fn in_guest(arguments: &[&str]) -> Vec<String> {
    ["xtask", "in-guest"]
        .iter()
        .chain(arguments)
        .map(|word| (*word).to_owned())
        .collect()
}

fn terminal_size() -> Option<(u16, u16)> {
    let mut stty = process::tool("stty");
    let size = stty
        .arg("size")
        .stdin(std::process::Stdio::inherit())
        .output()
        .ok()?;
    let text = String::from_utf8(size.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    Some((rows.parse().ok()?, columns.parse().ok()?))
}

/// Boots the guest and runs a job in it.
fn run(workspace: &Path, job: &[String], console: Console) -> Result<Outcome> {
    boot(
        workspace,
        job,
        console,
        (Machine::default(), Profile::Tests),
    )
}

fn boot(
    workspace: &Path,
    job: &[String],
    console: Console,
    setting: (Machine, Profile),
) -> Result<Outcome> {
    boot_all(workspace, &[job.to_vec()], console, setting)
}

/// Boots a guest for each of these jobs, all at once; how the first of them failed, if any did.
fn boot_all(
    workspace: &Path,
    jobs: &[Vec<String>],
    console: Console,
    (machine, profile): (Machine, Profile),
) -> Result<Outcome> {
    if let Readiness::Missing(what) = host::prepare()? {
        return Ok(Outcome::Skipped(what));
    }
    let lab = target_folder(workspace).join("lab");
    let (image, parts) = prepare(workspace, &lab, profile)?;
    let prepare = |(number, job): (usize, &Vec<String>)| {
        let share = format!("{}-{number}", std::process::id());
        let boot = Boot::prepare(&image, &lab.join("runs").join(share), &parts, job, console);
        Ok(boot?.with_machine(machine))
    };
    let boots: Result<Vec<Boot>> = jobs.iter().enumerate().map(prepare).collect();
    eprintln!(
        "lab: booting {}",
        if jobs.len() == 1 {
            "the guest"
        } else {
            "guests"
        }
    );
    let ended: Result<Vec<Ended>> = std::thread::scope(|scope| {
        let run = |boot: Boot| scope.spawn(move || boot.run());
        let running: Vec<_> = boots?.into_iter().map(run).collect();
        let panicked = |_| Err(Error::unexpected("a boot panicked"));
        let all = running.into_iter().map(|guest| guest.join());
        all.map(|ended| ended.unwrap_or_else(panicked)).collect()
    });
    let ended = ended?;
    for Ended { boot_time, .. } in &ended {
        eprintln!("lab: booted in {:.1} s", boot_time.as_secs_f64());
    }
    let failed = ended.iter().find(|ended| ended.status != 0);
    Ok(Outcome::Ended(failed.map_or(0, |ended| ended.status)))
}

/// Makes image, binaries and packages, one caller at a time.
fn prepare(workspace: &Path, lab: &Path, profile: Profile) -> Result<(Image, Parts)> {
    fs::create_dir_all(lab).context(|| format!("cannot make {}", lab.display()))?;
    let file = lab.join("lock");
    let what = || format!("cannot lock {}", file.display());
    let lock = File::create(&file).context(what)?;
    lock.lock().context(what)?;
    let image = Image::ensure(lab)?;
    let binaries = binaries::build(workspace, lab, profile)?;
    let packages = package(workspace, lab, &binaries)?;
    Ok((image, Parts { binaries, packages }))
}

/// The packages that people get, but with the lab's binaries in them.
fn package(workspace: &Path, lab: &Path, binaries: &[Binary]) -> Result<Vec<PathBuf>> {
    let file = |name: &str| {
        let found = binaries.iter().find(|binary| binary.name == name);
        let found = found.map(|binary| binary.file.clone());
        found.ok_or_else(|| Error::unexpected(format!("cargo built no {name}")))
    };
    let programs = Programs {
        mpathpersist: file("mpathpersist")?,
        multipathd_lite: file("multipathd-lite")?,
    };
    let folder = lab.join("packages");
    dist::packages(workspace, &folder, &programs, Compression::None)
}

/// Where cargo builds.
fn target_folder(workspace: &Path) -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    chosen.map_or_else(|| workspace.join("target"), |folder| workspace.join(folder))
}

/// Scenarios that want a guest to themselves, one after the other: a daemon concerns all disks.
/// They wait more than they work, beside a guest in which the others run.
const ALONE: &[&str] = &[
    "daemon_",
    "distribution::",
    "fence_mpath::",
    "persist_daemon::",
    "persist_repair::",
    "zombies::",
];

/// Others that run there when those are done (they are taken in the order of their names), so that
/// both guests end at about the same time.
const AFTER_THOSE: &[&str] = &["shared_key::", "upstream_faults::"];

/// A thousand disks and what udev keeps of them.
const BENCH_MEMORY_MIB: u32 = 4096;

/// Counting instructions makes an hour of a minute.
const BENCH_LIMIT: Duration = Duration::from_secs(6 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    /// One of them among the others would stop those each time.
    #[test]
    fn whoever_wants_a_guest_alone_is_in_that_guest() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab");
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.is_dir() {
                continue;
            }
            let module = file.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).unwrap();
            let is_alone = text
                .lines()
                .any(|line| line.contains("Lab::alone(") && !line.trim_start().starts_with("//"));
            let name = format!("{module}::");
            let is_listed = ALONE.iter().any(|listed| name.contains(listed));
            assert_eq!(is_alone, is_listed, "{module}");
        }
    }
}
