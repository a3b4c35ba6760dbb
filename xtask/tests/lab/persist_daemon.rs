//! `mpathpersist` beside the distribution's multipathd (0.9.4): the daemon knows what is
//! registered, so that a path which returns gets the right key; and whatever the daemon does, the
//! command ends.

use std::time::Duration;

use xtask::error::Result;
use xtask::guest::{DEFAULT_CONFIG, Fabric, Finished, Lab, Lun, Multipathd, Nexus, run, until};

use crate::persist::{NEW, NONE, OURS};

#[test]
fn the_daemon_knows_what_is_registered() -> Result {
    let lab = Lab::alone("daemonknows")?;
    let host = Host::new(&lab, 2)?;
    host.check(None)?;
    host.done("-G -S a")?;
    host.check(Some(OURS))?;
    host.done("-G -K a -S c")?;
    host.check(Some(NEW))?;
    host.done("-R -K c -T 5")?;
    host.done("-L -K c -T 5")?;
    host.check(Some(NEW))?;
    host.done("-I -S a")?;
    host.check(Some(OURS))?;
    host.done("-G -K a -S 0")?;
    host.check(None)?;
    host.done("-I -S a")?;
    host.done("-C -K a")?;
    host.check(None)
}

#[test]
fn a_path_that_returns_gets_the_new_key_from_the_daemon() -> Result {
    let lab = Lab::alone("daemonreturn")?;
    let host = Host::new(&lab, 2)?;
    host.done("-G -S a")?;
    let path = &host.lun.paths()[0];
    path.set_offline()?;
    host.await_paths(1)?;
    host.done("-I -S c")?;
    path.set_running()?;
    host.await_keys(&[NEW, NEW])?;
    // Unregistered meanwhile: it stays out.
    path.set_offline()?;
    host.await_paths(1)?;
    host.done("-G -K c -S 0")?;
    host.check(None)?;
    path.set_running()?;
    host.await_paths(2)?;
    assert_ne!(host.keys()?[1], NEW);
    Ok(())
}

#[test]
fn everything_works_without_the_daemon_and_is_known_to_it_later() -> Result {
    let lab = Lab::alone("daemonstopped")?;
    let mut host = Host::new(&lab, 2)?;
    host.daemon = None;
    assert_eq!(
        host.done("-G -S a")?.stderr,
        "",
        "a host without a daemon is nothing to speak of"
    );
    assert_eq!(host.done("-R -K a -T 5")?.stderr, "");
    host.done("-L -K a -T 5")?;
    let path = host.lun.paths()[0].clone();
    path.set_offline()?;
    host.done("-I -S c")?;
    // It looks at registrations once, by a path that its checker has found to be up by then.
    let config = DEFAULT_CONFIG.replacen("defaults {", "defaults {\n\tforce_sync yes", 1);
    host.daemon = Some(Multipathd::start(&lab, &config)?);
    host.await_paths(1)?;
    // It makes the map first, and looks at registrations then.
    until("the daemon to know of the registration", || {
        let status = host.ask(&format!("getprstatus map {}", host.map))?;
        Ok((status == "1").then_some(()))
    })?;
    host.check(Some(NEW))?;
    path.set_running()?;
    host.await_keys(&[NEW, NEW])
}

#[test]
fn a_daemon_that_hangs_costs_a_note_and_little_time() -> Result {
    let lab = Lab::alone("daemonhangs")?;
    let host = Host::new(&lab, 2)?;
    let signal = |name: &str| {
        run("pkill", [name, "-x", "multipathd"])?
            .succeeded()
            .map(drop)
    };
    signal("-STOP")?;
    let register = host.done("-G -S a");
    let read = host.persist("-i -k");
    signal("-CONT")?;
    let register = register?;
    assert!(
        register.stderr.contains("multipathd"),
        "{}",
        register.stderr
    );
    assert!(
        register.stderr.contains("it was not told"),
        "{}",
        register.stderr
    );
    assert!(
        register.closed_after < PATIENCE,
        "{:?}",
        register.closed_after
    );
    assert_eq!(host.keys()?, [OURS; 2]);
    let read = read?.succeeded()?;
    assert_eq!(read.stderr, "", "reading does not ask the daemon");
    Ok(())
}

/// fence agents kill after 20 s.
const PATIENCE: Duration = Duration::from_secs(18);

/// A node with multipathd, which made the map.
struct Host {
    daemon: Option<Multipathd>,
    map: String,
    other: Nexus,
    lun: Lun,
}

impl Host {
    fn new(lab: &Lab, paths: usize) -> Result<Self> {
        let mut lun = lab.lun(Fabric::Loop, paths)?;
        let other = lun.add_nexuses(2, 1)?.remove(0);
        let daemon = Multipathd::start(lab, DEFAULT_CONFIG)?;
        let map = daemon.await_map(&lun.wwid(), paths)?;
        Ok(Self {
            daemon: Some(daemon),
            map,
            other,
            lun,
        })
    }

    fn persist(&self, words: &str) -> Result<Finished> {
        let node = format!("/dev/mapper/{}", self.map);
        run("mpathpersist", words.split(' ').chain(["-d", &node]))
    }

    fn done(&self, words: &str) -> Result<Finished> {
        let finished = self.persist(&format!("-o {words}"))?.succeeded()?;
        assert_eq!(finished.stdout, "", "{words}");
        Ok(finished)
    }

    fn ask(&self, question: &str) -> Result<String> {
        let Some(daemon) = &self.daemon else {
            panic!("the scenario has no daemon to ask");
        };
        Ok(daemon.ask(question)?.trim().to_owned())
    }

    /// The daemon's flag and key, and the stored key, must say that this key is registered.
    fn check(&self, key: Option<u64>) -> Result {
        let status = self.ask(&format!("getprstatus map {}", self.map))?;
        let is_set = ["1", "set"].contains(&&*status);
        assert_eq!(is_set, key.is_some(), "getprstatus: {status}");
        let said = self.ask(&format!("getprkey map {}", self.map))?;
        assert_eq!(
            said,
            key.map_or("none".to_owned(), |key| format!("{key:#x}"))
        );
        let text = std::fs::read_to_string("/etc/multipath/prkeys").unwrap_or_default();
        let entry = format!(" {}", self.lun.wwid());
        let line = text
            .lines()
            .find(|line| line.ends_with(&entry))
            .unwrap_or_default();
        let stored = key.map(|key| format!("0x{key:016x}{entry}"));
        match stored {
            Some(stored) => assert_eq!(line, stored),
            None => assert!(line.is_empty() || line.starts_with('#'), "{line}"),
        }
        Ok(())
    }

    /// Waits until the daemon takes that many paths for usable.
    fn await_paths(&self, count: usize) -> Result {
        let what = format!("multipathd to see {count} paths");
        until(&what, || {
            let paths = self.ask("show paths raw format %t,%T,%m")?;
            let active = paths
                .lines()
                .filter(|line| line.starts_with("active,ready,"));
            let map = format!(",{}", self.map);
            Ok((active.filter(|line| line.ends_with(&map)).count() == count).then_some(()))
        })
    }

    fn await_keys(&self, keys: &[u64]) -> Result {
        until(&format!("the keys {keys:x?}"), || {
            Ok((self.keys()? == keys).then_some(()))
        })
    }

    /// The key of each path, by the other node.
    fn keys(&self) -> Result<Vec<u64>> {
        let registered = self.other.witness().read_keys_by_port()?;
        let key = |path: &Nexus| {
            let port = path.relative_target_port();
            registered
                .iter()
                .find(|(at, _)| *at == port)
                .map_or(NONE, |(_, key)| *key)
        };
        Ok(self.lun.paths().iter().map(key).collect())
    }
}
