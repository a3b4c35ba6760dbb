//! Everything that must hold before a change lands, one step after the other: each is announced,
//! all are run, and the summary says which failed first.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::check::{self, Depth};
use crate::error::{Error, Result};
use crate::lab::{self, Outcome};
use crate::{process, promtool, tidy};

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed(String),
    /// Not on this machine, for this reason: a success, except in CI.
    Skipped(String),
}

/// A step that was run.
#[derive(Debug)]
struct Report {
    name: &'static str,
    verdict: Verdict,
    duration: Duration,
}

/// Something to run.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Verdict>,
}

/// The steps, cheapest first.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        run: |workspace| cargo(workspace, &["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        run: tidy_step,
    },
    Step {
        name: "clippy",
        run: |workspace| cargo(workspace, CLIPPY),
    },
    Step {
        name: "test",
        run: |workspace| cargo(workspace, &["test", "--workspace"]),
    },
    Step {
        name: "metrics",
        run: metrics_step,
    },
    Step {
        name: "world",
        run: |workspace| cargo(workspace, WORLD_TESTS),
    },
    Step {
        name: "check",
        run: |workspace| check::run(workspace, Depth::Usual, &[]).map(|()| Verdict::Passed),
    },
    Step {
        name: "doc",
        run: |workspace| cargo(workspace, &["doc", "--workspace", "--no-deps"]),
    },
    Step {
        name: "lab",
        run: lab_step,
    },
];

const WORLD_TESTS: &[&str] = &[
    "test",
    "--package=pr-policy",
    "--features=world",
    "--test=world",
];

const PROMTOOL_TEST: &[&str] = &[
    "test",
    "--package=multipathd-lite",
    "--test=socket",
    "promtool",
];

const CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--features=xtask/lab,pr-policy/world",
    "--",
    "-Dwarnings",
];

/// Runs all steps and prints a summary.
///
/// # Errors
/// Naming the first step that failed.
pub fn run(workspace: &Path) -> Result {
    let mut reports = Vec::new();
    for Step { name, run } in STEPS {
        println!("\n==> {name}");
        let start = Instant::now();
        let verdict = run(workspace).unwrap_or_else(|error| Verdict::Failed(error.to_string()));
        if let Verdict::Failed(why) = &verdict {
            println!("{why}");
        }
        reports.push(Report {
            name,
            verdict,
            duration: start.elapsed(),
        });
    }
    println!("\n{}", summary(&reports));
    match reports
        .iter()
        .find(|report| matches!(report.verdict, Verdict::Failed(_)))
    {
        Some(first) => Err(Error::unexpected(format!("`{}` failed", first.name))),
        None => Ok(()),
    }
}

/// Prints what [`tidy::check`] finds.
///
/// # Errors
/// If it finds anything.
pub fn run_tidy(workspace: &Path) -> Result {
    match tidy_step(workspace)? {
        Verdict::Failed(why) => Err(Error::Unexpected(why)),
        Verdict::Passed | Verdict::Skipped(_) => Ok(()),
    }
}

/// Whether this is CI, where a lab that cannot start is a failure.
#[must_use]
pub fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

fn tidy_step(workspace: &Path) -> Result<Verdict> {
    let findings = tidy::check(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    Ok(match findings.len() {
        0 => Verdict::Passed,
        count => Verdict::Failed(format!("{count} rules are not kept")),
    })
}

/// The test of the metrics again, with Prometheus' own promtool.
fn metrics_step(workspace: &Path) -> Result<Verdict> {
    let promtool = match promtool::find_or_fetch(workspace) {
        Ok(promtool) => promtool,
        Err(error) if is_ci() => return Err(error),
        Err(error) => return Ok(Verdict::Skipped(format!("there is no promtool: {error}"))),
    };
    let mut cargo = cargo_command(workspace, PROMTOOL_TEST);
    process::run(cargo.env("MPATH_PR_PROMTOOL", promtool)).map(|()| Verdict::Passed)
}

fn lab_step(workspace: &Path) -> Result<Verdict> {
    Ok(lab_verdict(lab::run_tests(workspace, &[])?, is_ci()))
}

fn lab_verdict(outcome: Outcome, in_ci: bool) -> Verdict {
    match outcome {
        Outcome::Ended(0) => Verdict::Passed,
        Outcome::Ended(status) => Verdict::Failed(format!("the scenarios ended with {status}")),
        Outcome::Skipped(why) if in_ci => Verdict::Failed(format!("lab: not run, because {why}")),
        Outcome::Skipped(why) => Verdict::Skipped(why),
    }
}

fn cargo(workspace: &Path, arguments: &[&str]) -> Result<Verdict> {
    process::run(&mut cargo_command(workspace, arguments)).map(|()| Verdict::Passed)
}

fn cargo_command(workspace: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(arguments)
        .current_dir(workspace)
        .env("RUSTDOCFLAGS", "-Dwarnings");
    println!("{}", process::shown(Command::new("cargo").args(arguments)));
    cargo
}

fn summary(reports: &[Report]) -> String {
    let lines = reports.iter().map(
        |Report {
             name,
             verdict,
             duration,
         }| {
            let verdict = match verdict {
                Verdict::Passed => "ok".to_owned(),
                Verdict::Failed(_) => "FAILED".to_owned(),
                Verdict::Skipped(why) => format!("skipped, because {why}"),
            };
            format!("{name:8} {:5.0} s  {verdict}\n", duration.as_secs_f64())
        },
    );
    let total: Duration = reports.iter().map(|report| report.duration).sum();
    let failed = reports
        .iter()
        .find(|report| matches!(report.verdict, Verdict::Failed(_)));
    let last = match failed {
        Some(first) => format!("ci: failed, at `{}` first", first.name),
        None => "ci: passed".to_owned(),
    };
    format!(
        "{}{last}, after {:.0} s",
        lines.collect::<String>(),
        total.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &'static str, verdict: Verdict) -> Report {
        Report {
            name,
            verdict,
            duration: Duration::from_secs(2),
        }
    }

    #[test]
    fn the_summary_names_the_first_failure() {
        let reports = [
            report("fmt", Verdict::Passed),
            report("test", Verdict::Failed("why".to_owned())),
            report("lab", Verdict::Failed("why".to_owned())),
        ];
        let expected = "fmt          2 s  ok\ntest         2 s  FAILED\nlab          2 s  FAILED\n\
                        ci: failed, at `test` first, after 6 s";
        assert_eq!(summary(&reports), expected);
    }

    #[test]
    fn a_skipped_lab_is_not_hidden() {
        let reports = [report(
            "lab",
            Verdict::Skipped("there is no QEMU".to_owned()),
        )];
        let text = summary(&reports);
        assert!(text.contains("skipped, because there is no QEMU"), "{text}");
        assert!(text.ends_with("ci: passed, after 2 s"), "{text}");
    }

    #[test]
    fn a_lab_that_cannot_start_fails_in_ci_only() {
        let skipped = || Outcome::Skipped("no QEMU".to_owned());
        assert_eq!(
            lab_verdict(skipped(), false),
            Verdict::Skipped("no QEMU".to_owned())
        );
        assert!(matches!(lab_verdict(skipped(), true), Verdict::Failed(_)));
        assert!(matches!(
            lab_verdict(Outcome::Ended(101), false),
            Verdict::Failed(_)
        ));
        assert_eq!(lab_verdict(Outcome::Ended(0), true), Verdict::Passed);
    }
}
