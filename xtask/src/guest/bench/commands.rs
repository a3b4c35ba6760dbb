//! Single commands: reading keys and registering, by the map and by the bare disks.

use std::time::Duration;

use super::daemon::Program;
use super::stage::Stage;
use super::table::median;
use crate::error::Result;
use crate::guest::{Run, run};

/// How long commands took, of which `NAMES` has the names.
#[derive(Debug, Default)]
pub(super) struct Commands {
    by_map: Vec<Vec<Duration>>,
    by_disk: Vec<Vec<Duration>>,
}

impl Commands {
    pub(super) const NAMES: &[&str] = &["read keys", "register a key on 4 paths"];

    pub(super) fn measure(program: Program, stage: &Stage, rounds: usize) -> Result<Self> {
        let node = stage.node(0)?;
        let disks = stage.disks(&node)?;
        let by_map = |action: &[&str]| by_map(program, action, &node, rounds);
        let by_disk = |action: &[&str], disks: &[String]| by_disk(action, disks, rounds);
        let one = disks.get(..1).unwrap_or_default();
        let commands = Self {
            by_map: vec![by_map(READ)?, by_map(REGISTER)?],
            by_disk: vec![by_disk(READ, one)?, by_disk(REGISTER, &disks)?],
        };
        let unregister = ["-o", "-I", "-S", "0", "-d", &node];
        run(Program::Ours.mpathpersist(), unregister)?.succeeded()?;
        Ok(commands)
    }

    pub(super) fn median(&self, at: usize) -> Option<f64> {
        self.by_map.get(at).map(|times| median(times).as_secs_f64())
    }

    pub(super) fn bare_median(&self, at: usize) -> Option<f64> {
        self.by_disk
            .get(at)
            .map(|times| median(times).as_secs_f64())
    }
}

fn by_map(program: Program, action: &[&str], node: &str, rounds: usize) -> Result<Vec<Duration>> {
    let arguments = [action, &["-d", node]].concat();
    let once = |_| {
        let ended = Run::new(program.mpathpersist()).args(&arguments).run()?;
        Ok(ended.succeeded()?.duration)
    };
    (0..rounds).map(once).collect()
}

/// One command for each disk, one after the other.
fn by_disk(action: &[&str], disks: &[String], rounds: usize) -> Result<Vec<Duration>> {
    let once = |_| {
        let mut sum = Duration::ZERO;
        for disk in disks {
            let arguments = [&["-n"], action, &[disk.as_str()]].concat();
            sum += run("sg_persist", arguments)?.succeeded()?.duration;
        }
        Ok(sum)
    };
    (0..rounds).map(once).collect()
}

/// Does something while this node is registered on all maps.
pub(super) fn while_registered<T>(stage: &Stage, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let nodes = stage.nodes()?;
    let all = |action: &str| {
        let lines = nodes.iter().map(|node| format!("{action} -d {node}\n"));
        std::fs::write(BATCH, lines.collect::<String>())
            .map_err(crate::error::Error::unexpected)?;
        let batch = Run::new(Program::Ours.mpathpersist()).args(["-f", BATCH]);
        batch.limit(BATCH_LIMIT).run()?.succeeded().map(drop)
    };
    all("-o -I -S a")?;
    let done = work()?;
    all("-o -I -S 0")?;
    Ok(done)
}

const READ: &[&str] = &["-i", "-k"];
const REGISTER: &[&str] = &["-o", "-I", "-S", "0xa"];

const BATCH: &str = "/tmp/bench.batch";
const BATCH_LIMIT: Duration = Duration::from_secs(1800);
