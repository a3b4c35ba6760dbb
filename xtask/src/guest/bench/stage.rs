//! Many maps, cheaply: a ramdisk for each, all of them behind the same four target ports; some by
//! iSCSI sessions of their own, which can be made to hang.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::guest::fabric::Port;
use crate::guest::kernel::names;
use crate::guest::lun::{make_store, wwid};
use crate::guest::wait::until_within;
use crate::guest::{Fabric, Lab, Lun, Nexus, run};

/// The disks that the maps are made of.
#[derive(Debug)]
pub(super) struct Stage {
    maps: usize,
    luns: Vec<Lun>,
    took: Duration,
}

impl Stage {
    /// Makes the disks of so many maps, `hanging` of which can be made to hang.
    pub(super) fn make(lab: &Lab, maps: usize, hanging: usize) -> Result<Self> {
        let begun = Instant::now();
        hurry_udev()?;
        let ports: Vec<Port> = (0..PATHS)
            .map(|_| Port::create(Fabric::Loop, 1))
            .collect::<Result<_>>()?;
        for number in 0..maps - hanging {
            let store = make_store(&name(number), PAGES)?;
            for port in &ports {
                port.add_lun(number, &store)?;
            }
        }
        let luns = (0..hanging).map(|_| lab.lun(Fabric::Iscsi, PATHS));
        let mut stage = Self {
            maps,
            luns: luns.collect::<Result<_>>()?,
            took: Duration::ZERO,
        };
        until_within(PATIENCE, "all disks", || {
            let disks = names(BLOCK.as_ref());
            let disks = disks.iter().filter(|name| name.starts_with("sd"));
            Ok((disks.count() >= stage.paths()).then_some(()))
        })?;
        stage.settle()?;
        stage.took = begun.elapsed();
        Ok(stage)
    }

    pub(super) fn paths(&self) -> usize {
        self.maps * PATHS
    }

    /// Whether every map is there with all its paths.
    pub(super) fn is_complete(&self) -> bool {
        let block = Path::new(BLOCK);
        let maps = names(block);
        let maps = maps.iter().filter(|name| name.starts_with("dm-"));
        let slaves = maps.map(|map| names(&block.join(map).join("slaves")).len());
        slaves.sum::<usize>() >= self.paths()
    }

    /// Removes all maps, and what is on file of them.
    pub(super) fn clear(&self) -> Result {
        until_within(PATIENCE, "no map to be left", || {
            run("dmsetup", ["remove_all"])?;
            self.settle()?;
            let left = names(BLOCK.as_ref());
            let left = left.iter().any(|name| name.starts_with("dm-"));
            Ok((!left).then_some(()))
        })?;
        for file in ["bindings", "wwids", "prkeys"] {
            let _ = fs::remove_file(Path::new("/etc/multipath").join(file));
        }
        Ok(())
    }

    /// The node of a map.
    pub(super) fn node(&self, number: usize) -> Result<String> {
        Self::node_of(&wwid(&name(number)))
    }

    /// The node and paths of a map whose paths can go and return, if there is one.
    pub(super) fn returning(&self) -> Result<Option<(String, &[Nexus])>> {
        let Some(lun) = self.luns.first() else {
            return Ok(None);
        };
        Ok(Some((Self::node_of(&lun.wwid())?, lun.paths())))
    }

    fn node_of(wwid: &str) -> Result<String> {
        let uuid = format!("mpath-{wwid}");
        let arguments = ["info", "-c", "--noheadings", "-o", "name", "--uuid", &uuid];
        let name = run("dmsetup", arguments)?.succeeded()?.stdout;
        Ok(format!("/dev/mapper/{}", name.trim()))
    }

    /// The nodes of all maps.
    pub(super) fn nodes(&self) -> Result<Vec<String>> {
        let arguments = ["ls", "--target", "multipath"];
        let list = run("dmsetup", arguments)?.succeeded()?.stdout;
        let names = list.lines().filter_map(|line| line.split('\t').next());
        Ok(names.map(|name| format!("/dev/mapper/{name}")).collect())
    }

    /// The disks of a map.
    pub(super) fn disks(&self, node: &str) -> Result<Vec<String>> {
        let real = fs::canonicalize(node).unwrap_or_default();
        let name = real.file_name().unwrap_or_default();
        let disks = names(&Path::new(BLOCK).join(name).join("slaves"));
        if disks.len() != PATHS {
            return Err(Error::unexpected(format!("{node} is made of {disks:?}")));
        }
        Ok(disks.iter().map(|disk| format!("/dev/{disk}")).collect())
    }

    /// Until udev has nothing left to do.
    pub(super) fn settle(&self) -> Result {
        until_within(PATIENCE, "udev to be idle", || {
            let settled = run("udevadm", ["settle", "-t", "30"])?;
            Ok((settled.code() == 0).then_some(()))
        })
    }

    /// All paths of some maps hang from now on.
    pub(super) fn hang(&self) -> Result {
        let mut paths = self.luns.iter().flat_map(Lun::paths);
        paths.try_for_each(|path| path.hang())
    }

    /// They go on, all of them.
    pub(super) fn resume(&self) -> Result {
        for path in self.luns.iter().flat_map(Lun::paths) {
            path.resume()?;
        }
        until_within(PATIENCE, "hung paths to answer", || {
            for path in self.luns.iter().flat_map(Lun::paths) {
                let _ = path.set_running();
                if run("sg_turs", [path.sg()?])?.code() != 0 {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (maps, hanging, took) = (self.maps, self.luns.len(), self.took.as_secs());
        write!(
            f,
            "{maps} maps of {PATHS} paths, {hanging} of which hang in the end \
             (the disks took {took} s)"
        )
    }
}

/// Of all that udev finds out about a disk, only what the distribution's daemon needs.
fn hurry_udev() -> Result {
    let folder = Path::new("/run/udev/rules.d");
    let what = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).context(what)?;
    fs::write(folder.join("60-persistent-storage.rules"), UDEV_RULE).context(what)?;
    fs::write(folder.join("60-block.rules"), "").context(what)?;
    run("udevadm", ["control", "--reload"])?
        .succeeded()
        .map(drop)
}

fn name(number: usize) -> String {
    format!("many{number}")
}

const UDEV_RULE: &str = "ACTION!=\"remove\", SUBSYSTEM==\"block\", KERNEL==\"sd*\", \
    IMPORT{program}=\"scsi_id --export --whitelisted -d $devnode\", ENV{ID_BUS}=\"scsi\"\n";

const PATHS: usize = 4;

/// 1 MiB.
const PAGES: u64 = 256;

const BLOCK: &str = "/sys/block";

/// A thousand disks take minutes.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1800), Duration::from_millis(200));
