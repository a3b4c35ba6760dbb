//! A path that comes back to multipathd-lite: with the right key, or out of use, and never with
//! a key that this node has not any more.

use std::time::{Duration, Instant};

use xtask::error::Result;
use xtask::guest::{
    Answer, DEFAULT_CONFIG, Fabric, Finished, Lab, Lite, Lun, Nexus, Writer, active_paths, run,
    until,
};

use crate::persist::{NEW, NONE, OURS, THEIRS, is_suspended};

#[test]
fn a_map_is_made_and_lasts_beyond_its_daemon() -> Result {
    let lab = Lab::alone("litemap")?;
    let mut node = Node::new(&lab, 4)?;
    assert_eq!(node.status()?.matches(" A ").count(), 1 + 4);
    let table = run("dmsetup", ["table", &node.map])?.succeeded()?.stdout;
    assert!(
        table.contains(" multipath 0 1 alua 1 1 service-time 0 4 "),
        "{table}"
    );
    node.daemon.kill()?;
    assert_eq!(node.active()?, 4);
    node.daemon.kill_and_restart()?;
    node.daemon.await_map(&node.lun.wwid(), 4)?;
    node.lun.add_path()?;
    node.await_active(5)?;
    assert_eq!(node.keys()?, [NONE; 5]);
    Ok(())
}

#[test]
fn a_path_that_was_offline_returns_with_the_new_key() -> Result {
    let lab = Lab::alone("liteoffline")?;
    let node = Node::new(&lab, 4)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let path = &node.lun.paths()[1];
    let mut times = Vec::new();
    for round in 0..5_u64 {
        path.set_offline()?;
        node.await_active(3)?;
        let key = 0xc0 + round;
        node.persist(&format!("-I -S {key:x}"))?;
        let answers = Instant::now();
        path.set_running()?;
        node.await_active(4)?;
        times.push(answers.elapsed());
        node.assert_keys(&[key; 4])?;
    }
    times.sort_unstable();
    eprintln!("path answers to key registered and reinstated: {times:?}");
    assert!(times[2] <= MEDIAN, "{times:?}");
    Ok(())
}

#[test]
fn a_path_that_was_deleted_returns_with_the_new_key() -> Result {
    let lab = Lab::alone("litedeleted")?;
    let node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    let path = &node.lun.paths()[2];
    path.delete()?;
    node.await_active(2)?;
    node.persist("-I -S c")?;
    path.rescan()?;
    node.await_active(3)?;
    node.assert_keys(&[NEW; 3])
}

/// Under exclusive access the kernel cannot read the size of a disk through a path that is not
/// registered: what comes back has none, until it is registered and looked at again.
#[test]
fn a_path_that_returns_under_exclusive_access_carries_writes() -> Result {
    let lab = Lab::alone("liteexclusive")?;
    let node = Node::new(&lab, 2)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 6")?;
    let [first, path] = node.lun.paths() else {
        panic!("it has two paths");
    };
    let goes: [fn(&Nexus) -> Result; 2] = [Nexus::set_offline, Nexus::delete];
    let returns: [fn(&Nexus) -> Result; 2] = [Nexus::set_running, Nexus::rescan];
    for (key, (goes, returns)) in (0xc0..).zip(goes.into_iter().zip(returns)) {
        goes(path)?;
        node.await_active(1)?;
        // Whatever it had registered is purged.
        node.persist(&format!("-I -S {key:x}"))?;
        returns(path)?;
        node.await_active(2)?;
        node.assert_keys(&[key; 2])?;
        assert!(node.writes_through(path)?, "{}", node.daemon.log());
        first.set_offline()?;
        node.await_active(1)?;
        let map = format!("of=/dev/mapper/{}", node.map);
        let args = ["if=/dev/zero", &map, "bs=4k", "count=1", "oflag=direct"];
        run("dd", args)?.succeeded()?;
        first.set_running()?;
        node.await_active(2)?;
    }
    Ok(())
}

/// However it was away.
#[test]
fn a_path_returns_as_this_node_is_then() -> Result {
    let lab = Lab::alone("litelink")?;
    let node = Node::new(&lab, 2)?;
    go_and_return(&node, Nexus::link_down, Nexus::link_up)?;
    go_and_return(&node, Nexus::set_offline, Nexus::set_running)?;
    go_and_return(&node, Nexus::delete, Nexus::rescan)
}

fn go_and_return(
    node: &Node,
    lose: fn(&Nexus) -> Result,
    bring_back: fn(&Nexus) -> Result,
) -> Result {
    let path = &node.lun.paths()[0];
    let away_and_back = |meanwhile: &dyn Fn() -> Result| -> Result {
        lose(path)?;
        node.await_active(1)?;
        meanwhile()?;
        bring_back(path)?;
        node.await_active(2)
    };
    // Not registered: nothing is anybody's business.
    away_and_back(&|| Ok(()))?;
    node.assert_keys(&[NONE; 2])?;
    node.persist("-G -S a")?;
    away_and_back(&|| node.persist("-I -S c").map(drop))?;
    node.assert_keys(&[NEW; 2])?;
    // Unregistered meanwhile: the path comes back without a key.
    away_and_back(&|| node.persist("-G -K c -S 0").map(drop))?;
    node.assert_keys(&[NONE; 2])
}

/// Its paths are away, each in its own way, and come back one by one.
#[test]
fn a_node_that_was_preempted_stays_out() -> Result {
    let lab = Lab::alone("litepreempted")?;
    let node = Node::new(&lab, 4)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let writer = Writer::start(&format!("/dev/mapper/{}", node.map), Duration::ZERO)?;
    let paths = node.lun.paths();
    paths[1].set_offline()?;
    paths[2].delete()?;
    paths[3].link_down()?;
    node.await_active(1)?;
    assert!(writer.done()? > 0);
    let other = node.other.witness();
    assert_eq!(other.register_and_ignore(THEIRS)?, Answer::Done);
    assert_eq!(other.preempt(THEIRS, OURS, 5)?, Answer::Done);
    let preempted = Instant::now();
    let written = writer.done()?;
    node.daemon.explain(until("the preemption to be seen", || {
        Ok(node.daemon.log().contains("shut out").then_some(()))
    }))?;
    eprintln!("preempted to told: {:?}", preempted.elapsed());
    let returns: [&dyn Fn() -> Result; 3] =
        [&|| paths[1].set_running(), &|| paths[2].rescan(), &|| {
            paths[3].link_up()
        }];
    for (returned, path_returns) in (2..).zip(returns) {
        path_returns()?;
        node.await_active(returned)?;
        node.assert_keys(&[NONE; 4])?;
        writer.await_failure()?;
    }
    for path in paths {
        let disk = path.disk()?;
        assert!(!node.writes_through(path)?, "{disk} lets it write");
    }
    assert_eq!(writer.done()?, written, "writes after the preemption");
    Ok(())
}

/// The destination of a migration has the same key, and has preempted it with itself: that the key
/// is on the list proves nothing. Nobody tells the source.
#[test]
fn a_node_whose_guest_has_moved_away_stays_out() -> Result {
    let lab = Lab::alone("litemigration")?;
    let node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let path = &node.lun.paths()[2];
    path.set_offline()?;
    node.await_active(2)?;
    let destination = node.other.witness();
    assert_eq!(destination.register_and_ignore(OURS)?, Answer::Done);
    assert_eq!(destination.preempt(OURS, OURS, 5)?, Answer::Done);
    node.daemon.explain(until("the preemption to be seen", || {
        Ok(node.daemon.log().contains("shut out").then_some(()))
    }))?;
    path.set_running()?;
    node.await_active(3)?;
    node.assert_keys(&[NONE; 3])?;
    let status = destination.read_full_status()?;
    let held: Vec<_> = status.iter().map(|it| (it.key, it.holder)).collect();
    assert_eq!(held, [(OURS, true)]);
    Ok(())
}

#[test]
fn a_preemption_between_looking_and_registering_is_respected() -> Result {
    let lab = Lab::alone("literace")?;
    let node = Node::new(&lab, 3)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let path = &node.lun.paths()[2];
    path.set_offline()?;
    node.await_active(2)?;
    // It loses its key, so that it has to be registered again.
    node.persist("-I -S c")?;
    let pause = node.daemon.pause()?;
    path.set_running()?;
    node.daemon.explain(until("the daemon to pause", || {
        Ok(node.daemon.log().contains("paused while").then_some(()))
    }))?;
    let other = node.other.witness();
    assert_eq!(other.register_and_ignore(THEIRS)?, Answer::Done);
    assert_eq!(other.preempt(THEIRS, NEW, 5)?, Answer::Done);
    drop(pause);
    node.await_active(3)?;
    node.assert_keys(&[NONE; 3])?;
    for path in node.lun.paths() {
        assert!(!node.writes_through(path)?);
    }
    Ok(())
}

#[test]
fn registrations_from_before_are_taken_over_at_the_start() -> Result {
    let lab = Lab::alone("litestart")?;
    let mut node = Node::new(&lab, 4)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    node.daemon.kill()?;
    // As after a boot: registrations stand, the folder of records is empty, one path has no key.
    let record = format!("/run/mpath-pr/{}.json", node.lun.wwid());
    run("rm", [&record])?.succeeded()?;
    node.lun.paths()[3].witness().register(OURS, NONE)?;
    node.assert_keys(&[OURS, OURS, OURS, NONE])?;
    node.daemon.kill_and_restart()?;
    node.daemon
        .explain(until("all paths to carry the key", || {
            Ok((node.keys()? == [OURS; 4]).then_some(()))
        }))?;
    node.daemon.explain(until("the record to be right", || {
        let text = std::fs::read_to_string(&record).unwrap_or_default();
        let words = [
            "\"registered\": \"set\"",
            "\"holds\": \"set\"",
            "\"key\": \"0xa\"",
        ];
        let bare = text.replace(": ", ":");
        Ok(words
            .iter()
            .all(|word| bare.contains(&word.replace(": ", ":")))
            .then_some(()))
    }))
}

/// From when a path answers to when it has its key and is in use. A second is aimed at, and printed
/// above; whoever waits for the next polling of healthy paths takes this long.
const MEDIAN: Duration = Duration::from_secs(5);

/// A node with multipathd-lite, which made the map.
pub(crate) struct Node {
    pub(crate) daemon: Lite,
    pub(crate) map: String,
    pub(crate) other: Nexus,
    pub(crate) lun: Lun,
}

impl Node {
    pub(crate) fn new(lab: &Lab, paths: usize) -> Result<Self> {
        Self::with_config(lab, (Fabric::Loop, paths), DEFAULT_CONFIG)
    }

    pub(crate) fn with_config(
        lab: &Lab,
        (fabric, paths): (Fabric, usize),
        config: &str,
    ) -> Result<Self> {
        Self::on(lab, lab.lun(fabric, paths)?, config)
    }

    pub(crate) fn on(lab: &Lab, mut lun: Lun, config: &str) -> Result<Self> {
        let paths = lun.paths().len();
        let other = lun.add_nexuses(2, 1)?.remove(0);
        let daemon = Lite::start(lab, config)?;
        let map = daemon.await_map(&lun.wwid(), paths)?;
        Ok(Self {
            daemon,
            map,
            other,
            lun,
        })
    }

    pub(crate) fn persist(&self, words: &str) -> Result<Finished> {
        let node = format!("/dev/mapper/{}", self.map);
        let words = format!("-o {words} -d {node}");
        run("mpathpersist", words.split(' '))?.succeeded()
    }

    pub(crate) fn status(&self) -> Result<String> {
        Ok(run("dmsetup", ["status", "--noflush", &self.map])?
            .succeeded()?
            .stdout)
    }

    pub(crate) fn is_suspended(&self) -> Result<bool> {
        is_suspended(&self.map)
    }

    /// How many paths the kernel uses.
    pub(crate) fn active(&self) -> Result<usize> {
        Ok(active_paths(&self.status()?))
    }

    pub(crate) fn await_active(&self, count: usize) -> Result {
        self.daemon
            .explain(until(&format!("{count} active paths"), || {
                Ok((self.active()? == count).then_some(()))
            }))
    }

    pub(crate) fn assert_keys(&self, keys: &[u64]) -> Result {
        let found = self.keys()?;
        assert_eq!(
            found,
            keys,
            "multipathd-lite logged:\n{}",
            self.daemon.log()
        );
        Ok(())
    }

    /// The key of each path, by the other node.
    pub(crate) fn keys(&self) -> Result<Vec<u64>> {
        let registered = self.other.witness().read_keys_by_port()?;
        let key = |path: &Nexus| {
            let port = path.relative_target_port();
            let found = registered.iter().find(|(at, _)| *at == port);
            found.map_or(NONE, |(_, key)| *key)
        };
        Ok(self.lun.paths().iter().map(key).collect())
    }

    /// Whether the target takes a write from this path, by a command of its own.
    pub(crate) fn writes_through(&self, path: &Nexus) -> Result<bool> {
        let node = format!("of=/dev/{}", path.disk()?);
        let args = ["if=/dev/zero", &node, "bs=512", "count=1", "oflag=direct"];
        Ok(run("dd", args)?.code() == 0)
    }
}
