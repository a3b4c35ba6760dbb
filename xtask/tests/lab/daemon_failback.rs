//! When multipathd-lite has a map go back to its best group: each map as its own section of the
//! configuration says, all under one daemon that is not told anything else meanwhile.

use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Lab, Lite, Lun, Nexus, active_paths, passed, run, tell, until};

use crate::daemon_groups::{Seen, rank_ports};

#[test]
fn each_map_goes_back_as_it_is_told_to() -> Result {
    let lab = Lab::alone("litefailback")?;
    let maps = Maps::make(&lab)?;
    for name in NAMES {
        maps.fail_over(name)?;
    }
    goes_back_by_itself(&maps, "atonce")?;
    goes_back_by_itself(&maps, "follows")?;
    goes_back_later(&maps)?;
    stays(&maps, "byhand", Maps::bring_back)?;
    stays(&maps, "follows", Maps::switch)
}

fn goes_back_by_itself(maps: &Maps, name: &str) -> Result {
    maps.bring_back(name)?;
    maps.seen(name).await_groups("AE")
}

/// Not before its time: by the daemon's own clock, since this machine may be slow.
fn goes_back_later(maps: &Maps) -> Result {
    let before = maps.daemon.log().len();
    maps.bring_back("later")?;
    maps.seen("later").await_groups("AE")?;
    let returned = maps.daemon.logged_at(before, &["later: ", "reinstated"])?;
    let back = ["later: back to group 1"];
    let passed = passed(returned, maps.daemon.logged_at(before, &back)?);
    tell(&format!(
        "a map that is to wait {LATER_S} s went back after {passed:.3}"
    ));
    assert!(
        passed >= LATER_S - ROUNDING_S,
        "{passed}: {}",
        maps.daemon.log()
    );
    Ok(())
}

/// The one that goes back at once has reason to after it: when that has gone back, this one would
/// have, too.
fn stays(maps: &Maps, name: &str, change: fn(&Maps, &str) -> Result) -> Result {
    change(maps, name)?;
    maps.fail_over("atonce")?;
    goes_back_by_itself(maps, "atonce")?;
    let groups = maps.seen(name).groups()?;
    assert_eq!(groups, "EA", "{name}: {}", maps.daemon.log());
    Ok(())
}

/// Maps that are alike but for when they go back.
struct Maps {
    daemon: Lite,
    luns: Vec<Lun>,
}

impl Maps {
    fn make(lab: &Lab) -> Result<Self> {
        let mut luns = Vec::new();
        let mut sections = String::new();
        for (name, failback) in NAMES.into_iter().zip(FAILBACK) {
            let lun = lab.lun(Fabric::Loop, 4)?;
            rank_ports(&lun)?;
            let wwid = lun.wwid();
            sections +=
                &format!("multipath {{\nwwid {wwid}\nalias {name}\nfailback {failback}\n}}\n");
            luns.push(lun);
        }
        let config = format!(
            "defaults {{\nfind_multipaths greedy\npolling_interval 1\n}}\n\
             overrides {{\nno_path_retry fail\n}}\nmultipaths {{\n{sections}}}\n"
        );
        let daemon = Lite::start(lab, &config)?;
        let maps = Self { daemon, luns };
        for (name, lun) in NAMES.iter().zip(&maps.luns) {
            assert_eq!(maps.daemon.await_map(&lun.wwid(), 4)?, *name);
            maps.seen(name).await_groups("AE")?;
        }
        Ok(maps)
    }

    fn seen<'a>(&'a self, name: &'a str) -> Seen<'a> {
        Seen {
            daemon: &self.daemon,
            map: name,
        }
    }

    fn lun(&self, name: &str) -> Result<&Lun> {
        let at = NAMES.iter().position(|known| *known == name);
        at.and_then(|at| self.luns.get(at))
            .ok_or_else(|| Error::unexpected(format!("there is no map {name}")))
    }

    /// Both paths of the first group go, and I/O makes the kernel use the second.
    fn fail_over(&self, name: &str) -> Result {
        let first = self.lun(name)?.paths().iter().take(2);
        first.into_iter().try_for_each(Nexus::set_offline)?;
        self.await_active(name, 2)?;
        self.seen(name).await_groups("EA")
    }

    /// They work again.
    fn bring_back(&self, name: &str) -> Result {
        let first = self.lun(name)?.paths().iter().take(2);
        first.into_iter().try_for_each(Nexus::set_running)?;
        self.await_active(name, 4)
    }

    /// Somebody has the kernel use the second group, although all paths work: there may be a
    /// reason. Then a path of that group goes and returns.
    fn switch(&self, name: &str) -> Result {
        run("dmsetup", ["message", name, "0", "switch_group 2"])?.succeeded()?;
        self.seen(name).await_groups("EA")?;
        let path = &self.lun(name)?.paths()[3];
        path.set_offline()?;
        self.await_active(name, 3)?;
        path.set_running()?;
        self.await_active(name, 4)
    }

    fn await_active(&self, name: &str, count: usize) -> Result {
        let what = format!("{count} active paths of {name}");
        self.daemon.explain(until(&what, || {
            let status = self.seen(name).status()?;
            Ok((active_paths(&status) == count).then_some(()))
        }))
    }
}

const NAMES: [&str; 4] = ["atonce", "follows", "later", "byhand"];
const FAILBACK: [&str; 4] = ["immediate", "followover", "4", "manual"];

/// As configured.
const LATER_S: f64 = 4.0;

/// The log has the time of day, which may be set a little while it is waited.
const ROUNDING_S: f64 = 0.2;
