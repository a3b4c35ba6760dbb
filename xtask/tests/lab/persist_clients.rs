//! The programs known to call `mpathpersist`: their command lines in the order in which they run
//! them, on a real map, read with their own patterns by the tools that they use.

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Lab, Run, run};

use crate::persist::{NONE, Stage, THEIRS, held_by_us};

/// fence_mpath: `on`, `status`, `off` of another node.
#[test]
fn fence_mpath_fences() -> Result {
    let lab = Lab::shared("fencempath")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 2)?;
    let client = Client {
        stage: &stage,
        device: &["-d"],
    };
    let keys = || -> Result<Vec<String>> {
        let read = client.run("-i -k")?.succeeded()?;
        matches(r"^\s+0x\K(\S+)(?=\s*)", &read)
    };
    let holder = || -> Result<Vec<String>> {
        let read = client.run("-i -r")?.succeeded()?;
        matches(r"(?i)\s+key\s*=\s*0x\K(\S+)(?=\s|$)", &read)
    };
    assert!(keys()?.is_empty() && holder()?.is_empty());
    client.done("-o --register --param-sark=a")?;
    client.done("-o --reserve --prout-type=5 --param-rk=a")?;
    assert_eq!(
        (keys()?, holder()?),
        (vec!["a".to_owned(); 2], vec!["a".to_owned()])
    );
    // "on" again, as a cluster manager does it: the exit status is a hint only, the keys count. A
    // disk refuses a REGISTER without a key from who is registered, so a map does.
    client.run("-o --register --param-sark=a")?.ended_with(11)?;
    assert_eq!(keys()?, ["a", "a"]);
    client.done("-o --reserve --prout-type=5 --param-rk=a")?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    assert_eq!(keys()?, ["a", "a", "b"]);
    client.done("-o --preempt-abort --prout-type=5 --param-rk=a --param-sark=b")?;
    assert_eq!(
        (keys()?, holder()?),
        (vec!["a".to_owned(); 2], vec!["a".to_owned()])
    );
    assert_eq!(stage.state()?.theirs, NONE);
    assert!(!stage.can_other_write()?);
    Ok(())
}

/// LVM2's lvmpersist: `start`, `check`, `remove` of another key, `clear`, `stop`.
#[test]
fn lvmpersist_starts_and_stops() -> Result {
    let lab = Lab::shared("lvmpersist")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 2)?;
    let client = Client {
        stage: &stage,
        device: &[],
    };
    let keys = || client.run("--in --read-keys")?.succeeded();
    let reservation = || client.run("--in --read-reservation")?.succeeded();
    assert!(grep("0 registered reservation key", &keys()?)?);
    assert!(!grep("    0x", &keys()?)?);
    assert!(grep("there is NO reservation held", &reservation()?)?);
    client.done("--out --register-ignore --param-sark=0xa")?;
    client.done("--out --reserve --param-rk=0xa --prout-type=7")?;
    assert!(grep("    0xa", &keys()?)? && !grep("0 registered reservation key", &keys()?)?);
    let held = reservation()?;
    for pattern in [
        r"Key\s*=\s*0x",
        r"LU_SCOPE,\s\+type",
        "Write Exclusive, all registrants",
    ] {
        assert!(grep(pattern, &held)?, "{pattern}: {}", held.stdout);
    }
    stage.other.witness().register_and_ignore(THEIRS)?;
    client.done("--out --preempt-abort --param-sark=0xb --param-rk=0xa --prout-type=7")?;
    assert!(!grep("    0xb", &keys()?)?);
    // No new key: it unregisters, also what a dead path would keep alive.
    stage.lun.paths()[1].set_offline()?;
    client.done("--out --register --param-rk=0xa")?;
    stage.lun.paths()[1].set_running()?;
    assert!(grep("0 registered reservation key", &keys()?)?);
    assert!(grep("there is NO reservation held", &reservation()?)?);
    client.done("--out --register-ignore --param-sark=0xa")?;
    client.done("--out --clear --param-rk=0xa")?;
    assert!(grep("0 registered reservation key", &keys()?)?);
    Ok(())
}

/// OpenSVC: register, reserve, preempt; then release and unregister, which must both succeed with
/// a path away.
#[test]
fn opensvc_takes_over_and_leaves() -> Result {
    let lab = Lab::shared("opensvc")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 3)?;
    let client = Client {
        stage: &stage,
        device: &[],
    };
    let keys = || -> Result<usize> {
        let read = client.run("--in --read-keys")?.succeeded()?;
        Ok(read
            .stdout
            .lines()
            .filter(|line| line.strip_prefix("    0x") == Some("a"))
            .count())
    };
    let holder = || -> Result<Option<String>> {
        let read = client.run("--in --read-reservation")?.succeeded()?;
        let line = read
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("   Key = 0x"));
        Ok(line.map(str::to_owned))
    };
    let theirs = stage.other.witness();
    theirs.register_and_ignore(THEIRS)?;
    theirs.reserve(THEIRS, 5)?;
    client.done("--out --register-ignore --param-sark 0xa")?;
    assert_eq!(
        (keys()?, holder()?.as_deref()),
        (3, Some("b")),
        "as many keys as paths"
    );
    client.done("--out --preempt --param-sark 0xb --param-rk 0xa --prout-type 5")?;
    assert_eq!(holder()?.as_deref(), Some("a"));
    client.done("--out --reserve --param-rk 0xa --prout-type 5")?;
    theirs.register_and_ignore(THEIRS)?;
    client.done("--out --preempt-abort --param-sark 0xb --param-rk 0xa --prout-type 5")?;
    assert_eq!(stage.state()?.held, held_by_us(5));
    // A path that does not hold it goes.
    let status = theirs.read_full_status()?;
    let idle = status.iter().find(|it| !it.holder && it.key == 0xa);
    let idle = idle
        .map(|it| usize::from(it.relative_target_port) - 1)
        .unwrap_or_default();
    stage.lun.paths()[idle].set_offline()?;
    // Registered again, as at every start of a service: it counts as many keys as paths.
    client.done("--out --register-ignore --param-sark 0xa")?;
    assert_eq!(keys()?, 3);
    client.done("--out --release --param-rk 0xa --prout-type 5")?;
    client.done("--out --register-ignore --param-rk 0xa")?;
    assert_eq!((keys()?, holder()?), (0, None));
    stage.lun.paths()[idle].set_running()?;
    // Then the one that holds it goes, and another.
    client.done("--out --register-ignore --param-sark 0xa")?;
    client.done("--out --reserve --param-rk 0xa --prout-type 5")?;
    let holding = stage.holder()?;
    let gone = [holding, (holding + 1) % 3];
    for at in gone {
        stage.lun.paths()[at].set_offline()?;
    }
    client.done("--out --release --param-rk 0xa --prout-type 5")?;
    client.done("--out --register-ignore --param-rk 0xa")?;
    assert_eq!((keys()?, holder()?), (0, None));
    for at in gone {
        stage.lun.paths()[at].set_running()?;
    }
    client.done("--out --register-ignore --param-sark 0xa")?;
    assert_eq!(keys()?, 3);
    client.done("--out --clear --param-rk 0xa")?;
    assert_eq!(keys()?, 0);
    Ok(())
}

/// ActionTech: everything up to three times; holder and type by one pattern over all lines.
#[test]
fn actiontech_reads_holder_and_type() -> Result {
    let lab = Lab::shared("actiontech")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let client = Client {
        stage: &stage,
        device: &["-d"],
    };
    client.done("-o -I -S 0xa")?;
    let pattern = r"(?s)Key\s*=\s*(0x\w+)\s.*type\s*[:=]\s*(.*)";
    for (number, name) in [
        ("1", "Write Exclusive"),
        ("6", "Exclusive Access, registrants only"),
    ] {
        client.done(&format!("-o -R -T {number} -K 0xa"))?;
        client.done(&format!("-o -R -T {number} -K 0xa"))?;
        let read = client.run("-i -r")?.succeeded()?;
        let found = matches(pattern, &read)?.concat();
        assert!(
            found.starts_with("Key = 0xa") && found.trim_end().ends_with(name),
            "{found}"
        );
        client.done(&format!("-o -L -T {number} -K 0xa"))?;
        assert!(matches(pattern, &client.run("-i -r")?.succeeded()?)?.is_empty());
    }
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.other.witness().reserve(THEIRS, 6)?;
    client.done("-o -P -T 6 -K 0xa -S 0xb")?;
    assert_eq!(stage.state()?.held, held_by_us(6));
    client.run("-i -k")?.succeeded().map(drop)
}

/// One program's way of naming the map.
struct Client<'a> {
    stage: &'a Stage,
    /// Before the device: `-d` or nothing.
    device: &'a [&'a str],
}

impl Client<'_> {
    fn run(&self, words: &str) -> Result<Finished> {
        let device = self.device.iter().copied().chain([self.stage.map.node()]);
        run("mpathpersist", words.split(' ').chain(device))
    }

    fn done(&self, words: &str) -> Result {
        let finished = self.run(words)?.succeeded()?;
        assert_eq!(finished.stdout, "", "{words}");
        Ok(())
    }
}

/// Whether grep finds its kind of pattern.
fn grep(pattern: &str, read: &Finished) -> Result<bool> {
    let grep = Run::new("grep").args(["-q", "--", pattern]);
    Ok(grep.input(read.stdout.as_str()).run()?.code() == 0)
}

/// What a Perl-like pattern matches, in a text that may have several lines.
fn matches(pattern: &str, read: &Finished) -> Result<Vec<String>> {
    let is_whole = pattern.starts_with("(?s)");
    let options = if is_whole { "-zoP" } else { "-oP" };
    let grep = Run::new("grep").args([options, "--", pattern]);
    let found = grep.input(read.stdout.as_str()).run()?;
    assert!(found.code() < 2, "{}", found.stderr);
    let separator = if is_whole { '\0' } else { '\n' };
    let found = found.stdout.split(separator).filter(|it| !it.is_empty());
    Ok(found.map(str::to_owned).collect())
}
