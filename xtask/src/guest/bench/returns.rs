//! A path that comes back to a map that is registered with another key by then: how long it takes
//! from when it answers to when it has the key and is in use.

use std::time::{Duration, Instant};

use super::daemon::Program;
use super::stage::Stage;
use crate::error::Result;
use crate::guest::map::active_paths;
use crate::guest::wait::until;
use crate::guest::{Nexus, run};

/// How a path goes and comes back.
struct Way {
    name: &'static str,
    lose: fn(&Nexus) -> Result,
    bring_back: fn(&Nexus) -> Result,
}

const WAYS: [Way; 2] = [
    Way {
        name: "a path, offline to running and in use",
        lose: Nexus::set_offline,
        bring_back: Nexus::set_running,
    },
    Way {
        name: "a path, deleted to found and in use",
        lose: Nexus::delete,
        bring_back: Nexus::rescan,
    },
];

/// For each way, its name and how long it took in every round.
pub(super) fn measure(
    program: Program,
    stage: &Stage,
    rounds: usize,
) -> Result<Vec<(&'static str, Vec<Duration>)>> {
    let Some((node, paths)) = stage.returning()? else {
        return Ok(Vec::new());
    };
    let mut map = Registered {
        program,
        node,
        paths,
        key: FIRST_KEY,
    };
    map.register()?;
    let mut measured = Vec::new();
    for way in &WAYS {
        let times = (0..rounds).map(|_| map.lose_and_bring_back(way));
        measured.push((way.name, times.collect::<Result<_>>()?));
    }
    map.key = 0;
    map.register()?;
    Ok(measured)
}

/// A map on which this node is registered.
struct Registered<'a> {
    program: Program,
    node: String,
    paths: &'a [Nexus],
    key: u64,
}

impl Registered<'_> {
    fn lose_and_bring_back(&mut self, way: &Way) -> Result<Duration> {
        let [witness, path, ..] = self.paths else {
            return Ok(Duration::ZERO);
        };
        (way.lose)(path)?;
        self.await_active(self.paths.len() - 1)?;
        self.key += 1;
        self.register()?;
        let answers = Instant::now();
        (way.bring_back)(path)?;
        self.await_active(self.paths.len())?;
        until("all paths to have the key", || {
            let keys = witness.witness().read_keys()?.keys;
            let registered = keys.iter().filter(|key| **key == self.key).count();
            Ok((registered == self.paths.len()).then_some(()))
        })?;
        Ok(answers.elapsed())
    }

    fn register(&self) -> Result {
        let key = format!("{:x}", self.key);
        let words = ["-o", "-I", "-S", &key, "-d", &self.node];
        run(self.program.mpathpersist(), words)?
            .succeeded()
            .map(drop)
    }

    fn await_active(&self, count: usize) -> Result {
        until(&format!("{count} paths of {}", self.node), || {
            let status = run("dmsetup", ["status", "--noflush", &self.node])?.succeeded()?;
            Ok((active_paths(&status.stdout) == count).then_some(()))
        })
    }
}

const FIRST_KEY: u64 = 0xb00;
