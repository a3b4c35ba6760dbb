//! `--dry-run` on the real kernel: sg_persist sees nothing change, and what the plan says is what
//! the command does afterwards.

use std::collections::BTreeMap;

use serde_json::Value;
use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Lab, run};

use crate::persist::{NONE, Stage, THEIRS};

/// What the target says, and what this node has on file.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    state: crate::persist::State,
    generation: u32,
    files: BTreeMap<String, String>,
}

impl Traces {
    fn of(stage: &Stage) -> Result<Self> {
        let wwid = stage.lun.wwid();
        let kinds = ["json", "journal"];
        let paths = kinds.map(|kind| format!("/run/mpath-pr/{wwid}.{kind}"));
        let read = |path: String| Some((path.clone(), std::fs::read_to_string(path).ok()?));
        let mut files: BTreeMap<String, String> = paths.into_iter().filter_map(read).collect();
        let keys = std::fs::read_to_string("/etc/multipath/prkeys").unwrap_or_default();
        let own = keys.lines().filter(|line| line.ends_with(&wwid));
        files.insert("prkeys".to_owned(), own.collect());
        Ok(Self {
            state: stage.state()?,
            generation: stage.other.witness().read_keys()?.generation,
            files,
        })
    }
}

fn planned(stage: &Stage, words: &str) -> Result<Value> {
    let finished = stage.run(&format!("--dry-run --json -o {words}"))?;
    let text = &finished.stdout;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::unexpected(format!("{error}: {}: {text}", finished.command)))?;
    assert_eq!(value["exit_status"], finished.code(), "{text}");
    Ok(value)
}

/// The key that the plan expects on each path of this node, in their order.
fn expected_keys(stage: &Stage, plan: &Value) -> Result<Vec<u64>> {
    let paths = plan["dry_run"]["after"]["paths"].as_array();
    let keys: BTreeMap<&str, u64> = paths
        .into_iter()
        .flatten()
        .filter_map(|path| {
            let key = path["key"].as_str().unwrap_or("0x0");
            let key = u64::from_str_radix(key.trim_start_matches("0x"), 16).ok()?;
            Some((path["device"].as_str()?, key))
        })
        .collect();
    let key = |disk: String| keys.get(disk.trim_start_matches("/dev/")).copied();
    let paths = stage.lun.paths().iter();
    paths
        .map(|path| Ok(key(path.disk()?).unwrap_or(NONE)))
        .collect()
}

/// Plans, sees that nothing has changed, does it, and holds the two against each other.
fn check(stage: &Stage, words: &str, exit: i32) -> Result {
    let before = Traces::of(stage)?;
    let plan = planned(stage, words)?;
    assert_eq!(Traces::of(stage)?, before, "{words}: {plan:#}");
    assert_eq!(plan["exit_status"], exit, "{words}: {plan:#}");
    stage.refused(words, exit)?;
    let now = Traces::of(stage)?;
    if plan["failure"].is_object() {
        // Refused before anything is sent.
        assert_eq!(now, before, "{words}: {plan:#}");
        return Ok(());
    }
    let after = &plan["dry_run"]["after"];
    assert_eq!(
        expected_keys(stage, &plan)?,
        now.state.ours,
        "{words}: {plan:#}"
    );
    assert_eq!(after["generation"], now.generation, "{words}: {plan:#}");
    let told = after["reservation"].as_str();
    match now.state.held {
        None => assert_eq!(told, None, "{words}"),
        Some(held) => {
            let holder = match (held.reservation_type, held.by_us) {
                (7 | 8, _) => "held by all registrants",
                (_, true) => "held by this node",
                _ => "held by another node",
            };
            assert!(
                told.is_some_and(|told| told.contains(holder)),
                "{words}: {plan:#}"
            );
        }
    }
    Ok(())
}

/// A life of a node: everything is planned first, also while the path that holds the reservation
/// is down.
fn told_and_done(name: &str, fabric: Fabric) -> Result {
    let lab = Lab::shared(name)?;
    let stage = Stage::new(&lab, fabric, 3)?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    check(&stage, "-R -K a -T 5", 1)?;
    check(&stage, "-G -S a", 0)?;
    check(&stage, "-R -K a -T 5", 0)?;
    let holder = &stage.lun.paths()[stage.holder()?];
    holder.set_offline()?;
    check(&stage, "-R -K a -T 6", 11)?;
    check(&stage, "-G -K a -S c", 0)?;
    holder.set_running()?;
    check(&stage, "-I -S c", 0)?;
    let holder = &stage.lun.paths()[stage.holder()?];
    holder.set_offline()?;
    check(&stage, "-L -K c -T 5", 0)?;
    holder.set_running()?;
    check(&stage, "-I -S c", 0)?;
    check(&stage, "-R -K c -T 7", 0)?;
    let abort = match fabric {
        // Never returns there.
        Fabric::Loop => "-P -K c -S b -T 7",
        Fabric::Iscsi => "-A -K c -S b -T 7",
    };
    check(&stage, abort, 0)?;
    check(&stage, "-G -K c -S 0", 0)
}

#[test]
fn a_plan_changes_nothing_and_comes_true() -> Result {
    told_and_done("dryloop", Fabric::Loop)
}

#[test]
fn a_plan_over_iscsi_changes_nothing_and_comes_true() -> Result {
    told_and_done("dryiscsi", Fabric::Iscsi)
}

/// One path has failed in a way that only a command finds out: it is found out by reading.
#[test]
fn a_plan_knows_of_paths_that_do_not_answer() -> Result {
    let lab = Lab::shared("drylink")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    check(&stage, "-G -S a", 0)?;
    let path = &stage.lun.paths()[0];
    path.link_down()?;
    let checked = check(&stage, "-R -K a -T 5", 0).and_then(|()| check(&stage, "-L -K a -T 5", 0));
    path.link_up()?;
    checked
}

/// For people: which command goes to which path, and in which words.
#[test]
fn a_plan_is_told_in_words() -> Result {
    let lab = Lab::shared("drywords")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.done("-G -S a")?;
    let words = [
        "--dry-run",
        "-o",
        "-R",
        "-K",
        "a",
        "-T",
        "5",
        stage.map.node(),
    ];
    let told = run("mpathpersist", words)?.succeeded()?.stdout;
    let reserve = told
        .lines()
        .find(|line| line.contains("RESERVE by 0xa, type 5"));
    assert!(
        reserve.is_some_and(|line| line.ends_with(": GOOD")),
        "{told}"
    );
    assert!(told.contains("ends with  exit status 0"), "{told}");
    // The kernel's own target is known: nothing is assumed of it.
    assert!(!told.contains("SPC-4"), "{told}");
    Ok(())
}
