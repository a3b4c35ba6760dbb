//! How soon: from when a path answers again to when it has its key and is in use, and from when
//! this node was shut out to when it says so, at default settings.

use std::time::{Duration, Instant};

use xtask::error::Result;
use xtask::guest::{Answer, DEFAULT_CONFIG, Fabric, Lab, Nexus, run, tell, until};

use crate::daemon_paths::Node;
use crate::persist::{NONE, OURS, THEIRS};

#[test]
fn paths_return_soon_at_default_settings() -> Result {
    let lab = Lab::alone("litereturns")?;
    let node = Node::with_config(&lab, (Fabric::Loop, 4), &default_settings())?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let mut returns = Returns {
        node: &node,
        key: OURS,
    };
    returns.measure("offline to running", Nexus::set_offline, Nexus::set_running)?;
    returns.measure("deleted to scanned again", Nexus::delete, Nexus::rescan)?;
    returns.measure("link down to link up", Nexus::link_down, Nexus::link_up)
}

struct Returns<'a> {
    node: &'a Node,
    key: u64,
}

impl Returns<'_> {
    fn measure(
        &mut self,
        what: &str,
        lose: fn(&Nexus) -> Result,
        bring_back: fn(&Nexus) -> Result,
    ) -> Result {
        let node = self.node;
        let path = &node.lun.paths()[1];
        let mut times = Vec::new();
        let read = || -> Result {
            let from = format!("if=/dev/mapper/{}", node.map);
            let read = ["of=/dev/null", "bs=4k", "count=64", "iflag=direct", &from];
            run("dd", read)?.succeeded().map(drop)
        };
        for _ in 0..ROUNDS {
            // The first I/O on a table that was loaded makes the kernel ask one path how the
            // array's ports are grouped: if that one fails, all do.
            read()?;
            lose(path)?;
            node.daemon.explain(until("the kernel to notice", || {
                // I/O finds out at once, a check in its time.
                read()?;
                Ok((node.active()? == 3).then_some(()))
            }))?;
            self.key += 0x100;
            node.persist(&format!("-I -S {:x}", self.key))?;
            let answers = Instant::now();
            bring_back(path)?;
            node.await_active(4)?;
            times.push(answers.elapsed());
            node.assert_keys(&[self.key; 4])?;
        }
        times.sort_unstable();
        let median = times[ROUNDS / 2];
        tell(&format!(
            "{what}: key registered and reinstated after {median:?} of {times:?}"
        ));
        assert!(median <= LATE, "{what}: {times:?}");
        Ok(())
    }
}

/// Over tcm_loop and iSCSI: whether a unit attention tells the checker, or only the count of
/// registrations does, is the fabric's affair.
#[test]
fn a_preemption_is_told_at_default_settings() -> Result {
    for (name, fabric) in [
        ("litetoldloop", Fabric::Loop),
        ("litetoldiscsi", Fabric::Iscsi),
    ] {
        let lab = Lab::alone(name)?;
        let node = Node::with_config(&lab, (fabric, 2), &default_settings())?;
        node.persist("-G -S a")?;
        node.persist("-R -K a -T 5")?;
        let other = node.other.witness();
        assert_eq!(other.register_and_ignore(THEIRS)?, Answer::Done);
        assert_eq!(other.preempt(THEIRS, OURS, 5)?, Answer::Done);
        let preempted = Instant::now();
        let evidence = node
            .daemon
            .explain(until("the preemption to be noticed", || {
                let log = node.daemon.log();
                let signs = ["told of RegistrationsPreempted", "0 registrations with"];
                Ok(signs.into_iter().find(|sign| log.contains(sign)))
            }))?;
        let noticed = Instant::now();
        node.daemon.explain(until("this node to say so", || {
            Ok(node.daemon.log().contains("shut out").then_some(()))
        }))?;
        let (seen, said) = (noticed - preempted, noticed.elapsed());
        eprintln!("{fabric:?}: \"{evidence}\" {seen:?} after the preemption, told {said:?} later");
        assert!(said <= LATE, "{said:?}");
        node.assert_keys(&[NONE; 2])?;
    }
    Ok(())
}

/// The lab's own, but for the interval of the checker: 5 s, growing to 20.
fn default_settings() -> String {
    let own = "\tpolling_interval 1\n";
    assert!(DEFAULT_CONFIG.contains(own));
    DEFAULT_CONFIG.replace(own, "")
}

const ROUNDS: usize = 5;

/// A second is aimed at, and printed; whoever waits for the next check of a healthy path takes
/// longer than this.
const LATE: Duration = Duration::from_secs(5);
