//! A map of several paths next to one disk with one path: the same commands, sent to the disk as
//! they are, while the map's paths come and go. Exit status, reservation, its holder and the
//! registered keys stay the same.
use std::collections::BTreeSet;
use std::ffi::OsString;

use mpath_state::prkeys::PrKeysFile;
use mpathpersist::cli::{self, ExitStatus, Privilege, Runner};
use mpathpersist::sandbox::{Condition, Disk, Folder, Node, Plan};
use mpathpersist::{Host, HostRunner};
use tempfile::TempDir;

/// Two nodes, twice: with a map each, and with a disk each.
struct Pair {
    folder: TempDir,
    /// What was done, for whoever reads a failure.
    story: Vec<String>,
    random: u64,
    /// Of Linux' target, for which the first of all registrants is the holder.
    has_a_first: bool,
    /// Whether it registers for all target ports or not at all.
    needs_all_ports: bool,
    /// Which commands the disk has carried out.
    succeeded: BTreeSet<String>,
}

const NAMES: [&str; 2] = ["alice", "bob"];
/// Keys of one node begin with the same digit, and no other node has them.
const NUMBERS: [u64; 2] = [0x100, 0x200];
const PATHS: usize = 3;

impl Pair {
    fn new(profile: &str, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, paths) in [("map", PATHS), ("disk", 1)] {
            let plan = Plan {
                paths,
                profile: profile.to_owned(),
                ..Plan::default()
            };
            Folder::create(&folder.path().join(name), &plan.san().unwrap()).unwrap();
        }
        Self {
            folder,
            story: vec![format!("profile {profile}, seed {seed}")],
            has_a_first: profile == "lio",
            needs_all_ports: profile == "needs-all-tg-pt",
            succeeded: BTreeSet::new(),
            random: seed.wrapping_mul(2).wrapping_add(1),
        }
    }

    fn dir(&self, san: &str, node: usize) -> std::path::PathBuf {
        self.folder.path().join(san).join(NAMES[node])
    }

    /// A number below `limit` (a linear congruential generator, its upper bits).
    fn below(&mut self, limit: u64) -> usize {
        let factor = 6_364_136_223_846_793_005;
        self.random = self
            .random
            .wrapping_mul(factor)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.random >> 33) % limit).unwrap()
    }

    fn step(&mut self) {
        let node = self.below(2);
        match self.below(10) {
            0..=2 => self.move_path(node),
            _ => self.command(node),
        }
        let [map, disk] = ["map", "disk"].map(|san| self.standing(san));
        assert_eq!(map, disk, "map and disk after\n{}", self.story.join("\n"));
    }

    /// Lets a path of the map die or come back; one always stays.
    fn move_path(&mut self, node: usize) {
        let device = [["sda", "sdb", "sdc"][self.below(PATHS as u64)].to_owned()];
        let name = Node::locate(&self.dir("map", node)).unwrap();
        let san = name.folder().read().unwrap();
        let paths = &san.nodes[node].paths;
        let is_up = |path: &&mpathpersist::sandbox::SanPath| path.carries_io();
        let alive: Vec<&str> = paths
            .iter()
            .filter(is_up)
            .map(|path| path.device.as_str())
            .collect();
        if alive == device {
            return;
        }
        let told = if alive.contains(&device[0].as_str()) {
            let condition = [Condition::Offline, Condition::Gone][self.below(2)];
            name.set_condition(&device, condition).unwrap();
            condition.word().to_owned()
        } else {
            name.bring_back(&device).unwrap().join("; ")
        };
        self.story
            .push(format!("{}: {}: {told}", NAMES[node], device[0]));
    }

    fn command(&mut self, node: usize) {
        let keys = [0, 1].map(|node| self.stored_key(node));
        let (key, other) = (keys[node], keys[1 - node]);
        // Types 1 and 3 let one nexus in: a map cannot be like a disk with them.
        let types: &[u8] = if self.has_a_first {
            &[5, 6]
        } else {
            &[5, 6, 7, 8]
        };
        let held = types[self.below(types.len() as u64)];
        let new = NUMBERS[node] + self.below(3) as u64 + 1;
        let ports = if self.needs_all_ports { " -Y" } else { "" };
        let register = format!("-o -I -S {new:x}{ports}");
        let options = match self.below(12) {
            // Without a key there is nothing else to do.
            _ if key == 0 => register,
            0..=1 => register,
            2 => format!("-o -G -K {key:x} -S {new:x}{ports}"),
            3 => format!("-o -G -K {key:x}{ports}"),
            4..=6 => format!("-o -R -K {key:x} -T {held}"),
            7..=8 => format!("-o -L -K {key:x} -T {held}"),
            9 => format!("-o -P -K {key:x} -S {other:x} -T {held}"),
            10 => format!("-o -P -K {key:x} -S {key:x} -T {held}"),
            _ => format!("-o -C -K {key:x}"),
        };
        let (map, said) = self.on_map(node, &format!("{options} mpatha"));
        let (disk, _) = self.on_disk(node, &format!("{options} sda"));
        if disk == ExitStatus::SUCCESS {
            self.succeeded.extend(options.get(..5).map(str::to_owned));
        }
        let told = format!("{}: {options}: {map} {}", NAMES[node], said.trim());
        self.story.push(told);
        let story = self.story.join("\n");
        assert_eq!(
            map, disk,
            "exit status of map and disk at the end of\n{story}"
        );
    }

    /// The key that the map may use, as its prkeys file says.
    fn stored_key(&self, node: usize) -> u64 {
        let prkeys = PrKeysFile::new(self.dir("map", node).join("prkeys"));
        let stored = prkeys.lookup("360060e80000000000000000000000001").unwrap();
        stored.map_or(0, |stored| stored.key.0)
    }

    fn on_map(&self, node: usize, line: &str) -> (ExitStatus, String) {
        let host = Host::in_sandbox(&self.dir("map", node)).unwrap();
        run(&mut HostRunner::new(&host), line)
    }

    fn on_disk(&self, node: usize, line: &str) -> (ExitStatus, String) {
        let node = Node::locate(&self.dir("disk", node)).unwrap();
        run(&mut Disk::new(&node), line)
    }

    /// The reservation, who holds it, which node has which keys registered on whatever path, and
    /// whether its I/O may write by each path that carries any.
    fn standing(&self, san: &str) -> (Option<scsi_pr::Reservation>, BTreeSet<String>) {
        let folder = Folder::open(&self.folder.path().join(san)).unwrap();
        let san = folder.read().unwrap();
        let unit = &san.luns[0].unit;
        let mut facts = BTreeSet::new();
        for node in &san.nodes {
            for path in &node.paths {
                let nexus = path.nexus();
                if path.carries_io() {
                    let may = unit.may_write(&nexus);
                    facts.insert(format!("{} may write: {may}", node.name));
                }
                let Some(key) = unit.registered_key(&nexus) else {
                    continue;
                };
                facts.insert(format!("{} {key}", node.name));
                if unit.is_holder(&nexus) {
                    facts.insert(format!("{} holds", node.name));
                }
            }
        }
        (unit.reservation(), facts)
    }
}

fn run(runner: &mut dyn Runner, line: &str) -> (ExitStatus, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words = std::iter::once("mpathpersist").chain(line.split_whitespace());
    let words = words.map(OsString::from);
    let status = cli::run(words, runner, Privilege::Root, &mut out, &mut err);
    let said = String::from_utf8(err).unwrap();
    let is_conflict = CONFLICTS.iter().any(|sense| said.contains(sense));
    let conflict = ExitStatus::RESERVATION_CONFLICT;
    (if is_conflict { conflict } else { status }, said)
}

/// Where one disk says this another says RESERVATION CONFLICT: Linux' target, to who is not
/// registered while no reservation stands; others, to RELEASE of another type than is held.
const CONFLICTS: [&str; 2] = ["02/08/00", "05/26/04"];

fn check(profile: &str, seeds: std::ops::Range<u64>) {
    let mut succeeded = BTreeSet::new();
    for seed in seeds {
        let mut pair = Pair::new(profile, seed);
        for _ in 0..STEPS {
            pair.step();
        }
        succeeded.append(&mut pair.succeeded);
    }
    let all = ["-o -C", "-o -G", "-o -I", "-o -L", "-o -P", "-o -R"];
    assert!(succeeded.iter().eq(&all), "{profile}: only {succeeded:?}");
}

const STEPS: usize = 60;

#[test]
fn strict() {
    check("strict", 0..4);
}

#[test]
fn no_full_status() {
    check("no-full-status", 0..2);
}

#[test]
fn per_initiator_port() {
    check("per-initiator-port", 0..2);
}

#[test]
fn one_at_a_time() {
    check("one-at-a-time", 0..2);
}

#[test]
fn needs_all_target_ports() {
    check("needs-all-tg-pt", 0..2);
}

#[test]
fn linux() {
    check("lio", 0..2);
}
