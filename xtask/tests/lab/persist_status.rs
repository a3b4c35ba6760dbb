//! `mpathpersist status` and `check` on the real kernel: each path's key is the one that sg_persist
//! sees, and what is wrong with a map is found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Lab, Nexus, Run, run};

use crate::persist::{NEW, NONE, OURS, Stage, THEIRS};

/// What `status --json` says of one map.
struct Seen(Value);

impl Seen {
    fn of(stage: &Stage) -> Result<Self> {
        let words = ["status", "--json", stage.map.node()];
        let text = run("mpathpersist", words)?.succeeded()?.stdout;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::unexpected(format!("{error}: {text}")))?;
        Ok(Self(value["maps"][0].clone()))
    }

    /// The keys of the paths in use, by the number of their target port.
    fn keys(&self) -> BTreeMap<u64, u64> {
        let paths = self.0["paths"].as_array().into_iter().flatten();
        let key = |path: &Value| {
            let text = path["registered_key"].as_str().unwrap_or("0x0");
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(u64::MAX)
        };
        paths
            .filter_map(|path| Some((path["relative_target_port"].as_u64()?, key(path))))
            .collect()
    }

    fn codes(&self) -> Vec<&str> {
        let findings = self.0["findings"].as_array().into_iter().flatten();
        findings
            .filter_map(|found| found["code"].as_str())
            .collect()
    }

    fn verdicts(&self) -> Vec<&str> {
        let paths = self.0["paths"].as_array().into_iter().flatten();
        paths.filter_map(|path| path["verdict"].as_str()).collect()
    }
}

/// What sg_persist says of this node's paths, in the same form.
fn witnessed(stage: &Stage) -> Result<BTreeMap<u64, u64>> {
    let found: BTreeMap<u16, u64> = stage
        .other
        .witness()
        .read_keys_by_port()?
        .into_iter()
        .collect();
    let paths = stage.lun.paths().iter();
    let key = |path: &Nexus| {
        let port = path.relative_target_port();
        (u64::from(port), found.get(&port).copied().unwrap_or(NONE))
    };
    Ok(paths.map(key).collect())
}

/// This node is registered and holds the reservation; another node is registered.
pub(crate) fn shared(lab: &Lab, fabric: Fabric, paths: usize) -> Result<Stage> {
    let stage = Stage::new(lab, fabric, paths)?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-I -S a")?;
    stage.done("-R -K a -T 5")?;
    Ok(stage)
}

/// Exit status of `check` on the map, and what it prints.
fn check(stage: &Stage, expected: i32) -> Result<String> {
    let finished = run("mpathpersist", ["check", stage.map.node()])?;
    Ok(finished.ended_with(expected)?.stdout)
}

fn healthy(name: &str, fabric: Fabric) -> Result {
    let lab = Lab::shared(name)?;
    let stage = shared(&lab, fabric, 4)?;
    let seen = Seen::of(&stage)?;
    assert_eq!(seen.keys(), witnessed(&stage)?, "{}", seen.0);
    assert_eq!(seen.codes(), [""; 0], "{}", seen.0);
    assert_eq!(seen.verdicts(), ["right"; 4]);
    assert_eq!(seen.0["holder"]["owner"], "this-node");
    assert_eq!(seen.0["others"][0]["key"], "0xb");
    // Paths by paths, so that a mistake does not pass for chance.
    stage.lun.paths()[1].witness().register_and_ignore(NEW)?;
    stage.lun.paths()[3].witness().register_and_ignore(NONE)?;
    let generation = stage.other.witness().read_keys()?.generation;
    let seen = Seen::of(&stage)?;
    assert_eq!(seen.keys(), witnessed(&stage)?, "{}", seen.0);
    assert_eq!(seen.verdicts(), ["right", "other", "right", "missing"]);
    assert_eq!(seen.codes(), ["path-without-key", "path-with-other-key"]);
    let told = check(&stage, 2)?;
    assert!(told.starts_with("CRITICAL: 1 map, 1 broken"), "{told}");
    let now = stage.other.witness().read_keys()?.generation;
    assert_eq!(now, generation, "looking changes nothing");
    Ok(())
}

#[test]
fn keys_are_those_that_sg_persist_sees() -> Result {
    healthy("statusloop", Fabric::Loop)
}

#[test]
fn keys_of_iscsi_sessions_are_those_that_sg_persist_sees() -> Result {
    healthy("statusiscsi", Fabric::Iscsi)
}

#[test]
fn the_holder_is_dead() -> Result {
    let lab = Lab::shared("statusdead")?;
    let stage = shared(&lab, Fabric::Loop, 3)?;
    for path in stage.lun.paths() {
        path.set_offline()?;
        let is_holder = Seen::of(&stage)?.codes() == ["holder-on-dead-path"];
        let seen = Seen::of(&stage)?;
        assert_eq!(seen.0["holder"]["owner"], "this-node", "{}", seen.0);
        assert_eq!(seen.keys(), witnessed(&stage)?);
        path.set_running()?;
        if is_holder {
            return stage.done("-L -K a -T 5").map(drop);
        }
    }
    Err(Error::unexpected("none of the paths holds"))
}

#[test]
fn a_node_that_was_shut_out() -> Result {
    let lab = Lab::shared("statusout")?;
    let stage = shared(&lab, Fabric::Loop, 2)?;
    stage.other.witness().preempt(THEIRS, OURS, 5)?;
    let seen = Seen::of(&stage)?;
    assert_eq!(
        seen.codes(),
        ["preempted", "remembers-holding"],
        "{}",
        seen.0
    );
    assert_eq!(seen.0["holder"]["owner"], "other-node");
    let told = check(&stage, 2)?;
    assert!(told.contains("[preempted]"), "{told}");
    // It gets in again when it is asked to, and not before.
    assert!(!stage.can_write()?);
    stage.done("-I -S a")?;
    assert!(!Seen::of(&stage)?.codes().contains(&"preempted"));
    assert!(stage.can_write()?);
    Ok(())
}

#[test]
fn sixteen_paths_on_a_narrow_terminal() -> Result {
    let lab = Lab::shared("status16")?;
    let stage = shared(&lab, Fabric::Loop, 16)?;
    let seen = Seen::of(&stage)?;
    assert_eq!(seen.keys(), witnessed(&stage)?, "{}", seen.0);
    assert_eq!(seen.verdicts(), ["right"; 16]);
    for columns in [60_usize, 80] {
        let finished = Run::new("mpathpersist")
            .args(["status", stage.map.node()])
            .env("COLUMNS", columns.to_string())
            .run()?
            .succeeded()?;
        let rows = finished.stdout.lines().filter(|line| line.ends_with(" ok"));
        assert_eq!(rows.count(), 16, "{}", finished.stdout);
        for line in finished.stdout.lines().skip(1) {
            assert!(line.chars().count() <= columns, "{line}");
        }
    }
    Ok(())
}

#[test]
fn a_map_that_is_suspended_is_looked_at_all_the_same() -> Result {
    let lab = Lab::shared("statussusp")?;
    let stage = shared(&lab, Fabric::Loop, 2)?;
    run("dmsetup", ["suspend", "--noflush", stage.map.name()])?.succeeded()?;
    let seen = Seen::of(&stage);
    let told = check(&stage, 2);
    run("dmsetup", ["resume", "--noflush", stage.map.name()])?.succeeded()?;
    assert_eq!(seen?.codes(), ["map-suspended"]);
    let told = told?;
    assert!(told.contains("dmsetup resume"), "{told}");
    Ok(())
}

/// Five seconds for a map, and as much again for a guest that is busy with other scenarios.
const BOUND: Duration = Duration::from_secs(12);

/// One path that hangs costs a second; a map of which all paths hang costs five, and does not keep
/// the others waiting.
#[test]
fn paths_that_hang_cost_a_bounded_wait() -> Result {
    let lab = Lab::shared("statushang")?;
    let stage = shared(&lab, Fabric::Iscsi, 2)?;
    let paths = stage.lun.paths();
    paths[0].hang()?;
    let words = ["status", stage.map.node()];
    let finished = run("mpathpersist", words);
    paths[1].hang()?;
    let all = run("mpathpersist", ["check", stage.map.node()]);
    for path in paths {
        path.resume()?;
    }
    let (finished, all) = (finished?.succeeded()?, all?.ended_with(3)?);
    assert!(
        finished.stdout.contains("[silent-path]"),
        "{}",
        finished.stdout
    );
    assert!(finished.duration < BOUND, "{:?}", finished.duration);
    assert!(all.stdout.contains("[unreachable]"), "{}", all.stdout);
    assert!(all.duration < BOUND, "{:?}", all.duration);
    Ok(())
}
