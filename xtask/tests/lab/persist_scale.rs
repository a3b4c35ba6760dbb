//! Size: batches of commands, more registrations than a response has room for, and a host with
//! many other maps, none of which may be looked at.

use std::collections::BTreeSet;

use xtask::error::{Error, Result};
use xtask::guest::{Answer, Fabric, Finished, Lab, Lun, Map, Nexus, Run, run};

use crate::persist::{OURS, Stage, THEIRS};

/// A batch of twenty lines: everything that reads or changes, comments, empty lines, and two
/// failures in the middle, of which the first decides the exit status.
const BATCH: &str = "\
# the first line is a comment
-i -k DEV
mpathpersist -i -r DEV
-o -G -S a -d DEV
-i -k -d DEV   # four keys

-o -R -K a -T 5 -d DEV
--in --read-reservation --device=DEV
-o -R -K a -T 6 DEV # line 9: a conflict, exit status 11
-i -q DEV
-o -L -K bad -T 5 -d DEV
-i -r -d /dev/nonexistent
-o -G -K a -S c -d DEV
-ik DEV
-o -L -K c -T 5 -d DEV
-i -r DEV
-v 4 -ir DEV
-oCK c DEV

-i -k DEV
";

#[test]
fn a_batch_of_twenty_lines_runs_to_its_end() -> Result {
    let lab = Lab::shared("batch")?;
    let stage = Stage::new(&lab, Fabric::Loop, 4)?;
    let text = BATCH.replace("DEV", stage.map.node());
    assert_eq!(text.lines().count(), 20);
    let file = "/tmp/mpathpersist.batch";
    std::fs::write(file, &text).map_err(|error| Error::unexpected(format!("{file}: {error}")))?;
    let batch = run("mpathpersist", ["-f", file])?.ended_with(11)?;
    let keys = |generation: u32, key: &str| {
        let line = format!("    0x{key}\n").repeat(4);
        format!("  PR generation={generation:#x}, \t4 registered reservation keys follow:\n{line}")
    };
    let none =
        |generation| format!("  PR generation={generation:#x}, there is NO reservation held \n");
    let held = "  PR generation=0x5, Reservation follows:\n   Key = 0xa\n  \
                scope = LU_SCOPE, type = Write Exclusive, registrants only\n";
    let refused = "PR out: command failed\n";
    let expected = [
        "  PR generation=0x0, \t0 registered reservation key.\n",
        &none(0),
        &keys(5, "a"),
        held,
        "persistent reserve out: scsi status: Reservation Conflict\n",
        refused,
        refused,
        &keys(10, "c"),
        &none(10),
        &none(10),
        "  PR generation=0xb, \t0 registered reservation key.\n",
    ];
    assert_eq!(batch.stdout, expected.concat(), "{}", batch.stderr);
    for said in [
        "line 9 in batch file: exit status 11",
        "syntax error on line 10 in batch file",
        "configured reservation key doesn't match: 0xa",
        "line 12 in batch file: exit status 12",
    ] {
        assert!(batch.stderr.contains(said), "{said}\n{}", batch.stderr);
    }
    assert!(!batch.stderr.contains("DEBUG"), "-v counts in no batch");
    assert_eq!(stage.keys()?, [0; 4]);
    Ok(())
}

#[test]
fn thirty_one_and_thirty_two_registrations_are_read() -> Result {
    let lab = Lab::shared("thirty")?;
    let crowd = Crowd::new(&lab)?;
    crowd.register(31)?;
    crowd.check(31)?;
    crowd.register(1)?;
    crowd.check(32)
}

/// The response of READ KEYS is larger than the first allocation length, that of READ FULL STATUS
/// nearly as large as the largest.
#[test]
fn eleven_hundred_registrations_are_read() -> Result {
    let lab = Lab::shared("hundreds")?;
    let crowd = Crowd::new(&lab)?;
    crowd.register(1100)?;
    crowd.check(1100)
}

/// A disk with as many registrations as are wanted: initiator ports of one iSCSI node that has an
/// access control list at the target but no session. One nexus registers them in their name
/// (SPEC_I_PT).
struct Crowd {
    registered: std::cell::Cell<usize>,
    // Dropped before the target ports that it is at.
    #[expect(dead_code, reason = "held for its drop")]
    acl: Acl,
    registrar: Nexus,
    map: Map,
    #[expect(dead_code, reason = "held for its drop")]
    lun: Lun,
}

impl Crowd {
    fn new(lab: &Lab) -> Result<Self> {
        let mut lun = lab.lun(Fabric::Iscsi, 2)?;
        let registrar = lun.add_nexuses(2, 1)?.remove(0);
        let map = lun.map()?;
        let acl = Acl::new(lun.name())?;
        Ok(Self {
            registered: std::cell::Cell::new(0),
            acl,
            registrar,
            map,
            lun,
        })
    }

    /// Registers so many more ports, by one command: sg_persist takes 31 at most.
    fn register(&self, count: usize) -> Result {
        let first = self.registered.get();
        let list = parameter_list(THEIRS, first..first + count);
        let length = list.len().to_string();
        let node = self.registrar.sg()?;
        let (high, low) = (list.len() >> 8, list.len() & 0xff);
        let cdb = format!("5f 0 0 0 0 0 0 {high:x} {low:x} 0");
        Run::new("sg_raw")
            .args(["-s", &length, &node])
            .args(cdb.split(' '))
            .input(list)
            .run()?
            .succeeded()?;
        // It registers the registrar as well, which may do so only while it is not registered.
        assert_eq!(self.registrar.witness().register(THEIRS, 0)?, Answer::Done);
        self.registered.set(first + count);
        Ok(())
    }

    /// Reads everything by the map and compares with what sg_raw reads.
    fn check(&self, count: usize) -> Result {
        let keys = self.registrar.witness().read_all_keys()?;
        assert_eq!(keys.keys, vec![THEIRS; count]);
        let read = |action| run("mpathpersist", ["-i", action, "-d", self.map.node()]);
        let generation = keys.generation;
        let heading = format!(
            "  PR generation={generation:#x}, \t{count} registered reservation keys follow:\n"
        );
        let printed = read("-k")?.succeeded()?;
        assert_eq!(printed.stdout, heading + &"    0xb\n".repeat(count));
        assert_eq!(printed.stderr, "");

        let status = read("-s")?.succeeded()?;
        assert_eq!(status.stderr, "");
        let lines: Vec<&str> = status.stdout.lines().collect();
        assert_eq!(
            lines.first(),
            Some(&&*format!("  PR generation={generation:#x} "))
        );
        let ports = lines
            .iter()
            .filter_map(|line| line.strip_prefix("   iSCSI world wide unique port id: "));
        let ports: BTreeSet<&str> = ports.collect();
        let expected: Vec<String> = (0..count).map(port_name).collect();
        assert!(ports.iter().eq(&expected), "{} ports", ports.len());
        assert_eq!(lines.len(), 1 + 5 * count, "five lines each");
        Ok(())
    }
}

/// An access control list of [`NODE`] at one of a LUN's target ports.
struct Acl {
    folder: String,
}

impl Acl {
    fn new(lun: &str) -> Result<Self> {
        let script = r#"
            cd /sys/kernel/config/target
            # The first one: the target looks no further than there.
            for at in $(ls -dv iscsi/*/tpgt_1); do
                [ "$(readlink -f $at/lun/lun_0/store)" = "$PWD/core/rd_mcp_0/$0" ] || continue
                acl=$PWD/$at/acls/$1
                mkdir $acl $acl/lun_0 && ln -s $PWD/$at/lun/lun_0 $acl/lun_0/lun && echo $acl
                exit
            done; exit 1"#;
        let made = run("bash", ["-c", script, lun, NODE])?.succeeded()?;
        let folder = made.stdout.trim().to_owned();
        Ok(Self { folder })
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        let script = "rm $0/lun_0/lun && rmdir $0/lun_0 $0";
        if let Err(error) = run("bash", ["-c", script, &self.folder]).and_then(Finished::succeeded)
        {
            eprintln!("lab: {error}");
        }
    }
}

/// Short, so that 1100 descriptors fit into the 65535 bytes of one response: a TransportID of 28
/// bytes, a descriptor of 52.
const NODE: &str = "iqn.a1";

/// By an ISID that counts.
fn port_name(number: usize) -> String {
    format!("{NODE},i,0x00023d{number:06x}")
}

/// REGISTER with SPEC_I_PT (SPC-4 6.16.3): the key, then a TransportID for each port.
fn parameter_list(key: u64, ports: std::ops::Range<usize>) -> Vec<u8> {
    let mut ids = Vec::new();
    for port in ports {
        let mut name = port_name(port).into_bytes();
        name.resize(name.len() / 4 * 4 + 4, 0);
        ids.extend([0x45, 0]);
        ids.extend(u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
        ids.extend(name);
    }
    let mut list = [0_u64.to_be_bytes(), key.to_be_bytes()].concat();
    list.extend([0, 0, 0, 0, 0x08, 0, 0, 0]);
    list.extend(u32::try_from(ids.len()).unwrap_or(0).to_be_bytes());
    list.extend(ids);
    list
}

/// The host has 64 other maps: whoever scans takes long there, and hangs with the first path of
/// them that does.
#[test]
fn no_other_map_or_path_is_looked_at() -> Result {
    let lab = Lab::shared("neighbours")?;
    let _neighbours = Neighbours::new(&lab)?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 4)?;
    let allowed = Allowed::new(&stage)?;
    let read = trace(&["-i", "-k", "-d", stage.map.node()])?;
    allowed.check(&read);
    read.check_size(Size {
        files: 40,
        dm: 1,
        sg: 1,
    });
    let register = trace(&["-o", "-G", "-S", "a", "-d", stage.map.node()])?;
    allowed.check(&register);
    register.check_size(Size {
        files: 300,
        dm: 2,
        sg: 12,
    });
    assert_eq!(stage.keys()?, [OURS; 4]);
    Ok(())
}

/// 64 maps over the two paths of one disk.
struct Neighbours {
    #[expect(dead_code, reason = "held for its drop")]
    lun: Lun,
}

impl Neighbours {
    fn new(lab: &Lab) -> Result<Self> {
        let lun = lab.lun(Fabric::Loop, 2)?;
        let (a, b) = (lun.paths()[0].number()?, lun.paths()[1].number()?);
        let map = |number| {
            let table = format!("multipath 0 0 1 1 service-time 0 2 1 {a} 1 {b} 1");
            let blocks = lun.blocks();
            format!("neighbour{number},neighbour-{number},,rw,0 {blocks} {table}")
        };
        let maps: Vec<String> = (1..=NEIGHBOURS).map(map).collect();
        let neighbours = Self { lun };
        // udev has no part in them: it would take longer than everything else here.
        let quietly = ["create", "--noudevsync", "--noudevrules", "--concise"];
        run(
            "dmsetup",
            quietly.into_iter().chain([maps.join(";").as_str()]),
        )?
        .succeeded()?;
        Ok(neighbours)
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        let names = (1..=NEIGHBOURS).map(|number| format!("neighbour{number}"));
        let args = ["remove".to_owned(), "--retry".to_owned()]
            .into_iter()
            .chain(names);
        if let Err(error) = run("dmsetup", args).and_then(Finished::succeeded) {
            eprintln!("lab: {error}");
        }
    }
}

const NEIGHBOURS: usize = 64;

/// What a command did, from strace: calls that name a file, and ioctls.
struct Trace(Vec<String>);

/// How many calls of which kind are enough.
struct Size {
    /// Calls that name a file.
    files: usize,
    /// ioctls of device-mapper.
    dm: usize,
    /// SCSI commands.
    sg: usize,
}

fn trace(args: &[&str]) -> Result<Trace> {
    let strace = [
        "-f",
        "-qq",
        "-s",
        "256",
        "-e",
        "trace=%file,ioctl",
        "-e",
        "signal=none",
    ];
    let traced = Run::new("strace")
        .args(strace)
        .args(["-o", "|cat >&2", "mpathpersist"])
        .args(args)
        .run()?
        .succeeded()?;
    Ok(Trace(traced.stderr.lines().map(str::to_owned).collect()))
}

impl Trace {
    fn count(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        self.0.iter().filter(|line| is_meant(line)).count()
    }

    /// Without links that lead nowhere, which is how a name is made canonical.
    fn check_size(&self, most: Size) {
        let text = self.0.join("\n");
        let dm = self.count(|line| line.contains("ioctl(") && line.contains("DM_"));
        let sg = self.count(|line| line.contains("ioctl(") && line.contains("SG_IO"));
        let ioctls = self.count(|line| line.contains("ioctl("));
        let files = self.count(|line| file(line).is_some() && !line.contains("EINVAL"));
        assert_eq!(dm + sg, ioctls, "{text}");
        assert!(dm >= 1 && dm <= most.dm, "{dm} of device-mapper\n{text}");
        assert!(sg >= 1 && sg <= most.sg, "{sg} SCSI commands\n{text}");
        assert!(files <= most.files, "{files} files\n{text}");
    }
}

/// What a command may look at below `/dev` and `/sys`.
struct Allowed {
    map: String,
    device: String,
    nodes: Vec<String>,
    folders: Vec<String>,
}

impl Allowed {
    fn new(stage: &Stage) -> Result<Self> {
        let map = stage.map.node().to_owned();
        let mut allowed = Self {
            device: makedev(&map)?,
            nodes: vec![map.clone(), "/dev/mapper/control".to_owned()],
            map,
            folders: Vec::new(),
        };
        for path in stage.lun.paths() {
            let disk = path.disk()?;
            allowed.nodes.push(format!("/dev/{disk}"));
            allowed
                .nodes
                .push(format!("/sys/dev/block/{}", path.number()?));
            let script = "readlink -f /sys/block/$0 /sys/block/$0/device \
                          /sys/class/iscsi_host/host$1 /sys/class/scsi_host/host$1; \
                          for s in /sys/class/iscsi_session/* /sys/class/iscsi_connection/*; do \
                          readlink -f $s; done | grep /host$1/";
            let host = path.address().split(':').next().unwrap_or_default();
            let folders = run("bash", ["-c", script, &disk, host])?.succeeded()?;
            allowed
                .folders
                .extend(folders.stdout.lines().map(str::to_owned));
        }
        Ok(allowed)
    }

    fn check(&self, trace: &Trace) {
        for line in &trace.0 {
            assert!(
                self.allows(line),
                "{} was not to do this:\n{line}\n{:?}",
                self.map,
                self.folders
            );
        }
    }

    fn allows(&self, line: &str) -> bool {
        match file(line) {
            None if line.contains("DM_") => line.contains(&self.device),
            None => true,
            Some(file) if file.starts_with("/dev/") => self.nodes.iter().any(|node| node == file),
            Some(file) if file.starts_with("/sys") => self.allows_sysfs(file),
            Some(_) => true,
        }
    }

    /// A folder that leads to one of a path of the map, that folder, or something in it.
    fn allows_sysfs(&self, file: &str) -> bool {
        let is_at = |allowed: &String| {
            let is_in = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|it| it.starts_with('/'));
            file == allowed || is_in(allowed, file) || is_in(file, allowed)
        };
        self.folders.iter().chain(&self.nodes).any(is_at)
    }
}

/// The file that a call names.
fn file(line: &str) -> Option<&str> {
    if line.contains("ioctl(") {
        return None;
    }
    line.split('"').nth(1)
}

/// A map's number in strace's words.
fn makedev(node: &str) -> Result<String> {
    let numbers = run("stat", ["-L", "-c", "makedev(0x%t, 0x%T)", node])?.succeeded()?;
    Ok(numbers.stdout.trim().replace(" 0x0)", " 0)"))
}
