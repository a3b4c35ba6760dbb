//! What multipath-tools of other versions says to multipathd-lite, and what it leaves in files: the
//! verbs of 0.14 by the distribution's client, and keys that its 0.9.4 has stored.

use xtask::error::Result;
use xtask::guest::{DEFAULT_CONFIG, Fabric, Lab, Lite, Multipathd, Nexus, run, until};

use crate::daemon_paths::Node;
use crate::persist::{NEW, NONE, OURS};

#[test]
fn the_verbs_of_a_newer_mpathpersist_are_taken() -> Result {
    let lab = Lab::alone("liteverbs")?;
    let node = Node::new(&lab, 3)?;
    let map = node.map.clone();
    let ask = |question: &str| -> Result<String> {
        let question = question.replace("MAP", &map);
        Ok(run("multipathd", [format!("-k{question}")])?.stdout)
    };
    let check = |steps: &[(&str, &str)]| -> Result {
        for (question, answer) in steps {
            assert_eq!(ask(question)?, format!("{answer}\n"), "{question}");
        }
        Ok(())
    };
    check(&[
        ("getprhold map nowhere", "fail"),
        ("setprkey map MAP key 0xa", "ok"),
        ("getprkey map MAP", "0xa"),
        ("getprstatus map MAP", "unset"),
    ])?;
    // As its mpathpersist does it: two paths were reached, of the third it is not known.
    let paths = node.lun.paths();
    for path in &paths[..2] {
        path.witness().register(NONE, OURS)?;
    }
    let numbers: Vec<String> = paths.iter().map(Nexus::number).collect::<Result<_>>()?;
    let named = format!("{} {}", numbers[0], numbers[1]);
    let set = format!("setprstatus map MAP pathlist \"{named}\"");
    check(&[(&set, "ok"), ("getprstatus map MAP", "set")])?;
    node.daemon
        .explain(until("the third path to have the key", || {
            Ok((node.keys()? == [OURS; 3]).then_some(()))
        }))?;
    node.await_active(3)?;
    let kept_out = format!("[{}]: failed in the kernel", numbers[2]);
    assert!(
        node.daemon.log().contains(&kept_out),
        "{}",
        node.daemon.log()
    );
    check(&[
        ("getprhold map MAP", "unset"),
        ("setprhold map MAP", "ok"),
        ("getprhold map MAP", "set"),
        ("unsetprhold map MAP", "ok"),
        ("getprhold map MAP", "unset"),
        ("unsetprstatus map MAP", "ok"),
        ("getprstatus map MAP", "unset"),
    ])?;
    node.daemon.explain(until("no path to have a key", || {
        Ok((node.keys()? == [NONE; 3]).then_some(()))
    }))
}

/// A host changes over from multipath-tools: what its daemon and its mpathpersist have left is what
/// ours goes on with.
#[test]
fn what_the_distribution_has_stored_counts() -> Result {
    let lab = Lab::alone("litestored")?;
    let mut lun = lab.lun(Fabric::Loop, 2)?;
    let other = lun.add_nexuses(2, 1)?.remove(0);
    let theirs = Multipathd::start(&lab, DEFAULT_CONFIG)?;
    let map = theirs.await_map(&lun.wwid(), 2)?;
    let device = format!("/dev/mapper/{map}");
    let persist = ["-o", "-I", "-S", "c", "-d", &device];
    run("/usr/sbin/mpathpersist", persist)?.succeeded()?;
    drop(theirs);
    // While no daemon runs a path goes, and another loses its key.
    lun.paths()[0].delete()?;
    lun.paths()[1].witness().register(NEW, NONE)?;
    let daemon = Lite::start(&lab, DEFAULT_CONFIG)?;
    assert_eq!(daemon.await_map(&lun.wwid(), 1)?, map, "it keeps its name");
    let node = Node {
        daemon,
        map,
        other,
        lun,
    };
    // It reads what is stored after it has found the map.
    let question = format!("getprkey map {}", node.map);
    node.daemon
        .explain(until("the stored key to be known", || {
            Ok((node.daemon.ask(&question)?.stdout == "0xc\n").then_some(()))
        }))?;
    node.lun.paths()[0].rescan()?;
    node.await_active(2)?;
    node.daemon.explain(until("both paths to have the key", || {
        Ok((node.keys()? == [NEW; 2]).then_some(()))
    }))
}
