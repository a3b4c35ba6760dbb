//! Two of the mistakes that everybody makes once, where they are made: no daemon runs, or another
//! one does. The message alone has to lead on.

use xtask::error::Result;
use xtask::guest::{DEFAULT_CONFIG, Fabric, Finished, Lab, Lite, Multipathd, Run, run, until};

/// A daemon in the foreground, which is to end at once.
fn start_another() -> Result<Finished> {
    Run::new("multipathd-lite")
        .args(["-d"])
        .run()?
        .ended_with(1)
}

fn check(node: &str, exit: i32) -> Result<String> {
    let finished = run("mpathpersist", ["check", node])?;
    Ok(finished.ended_with(exit)?.stdout)
}

#[test]
fn no_daemon_is_running() -> Result {
    let lab = Lab::alone("nodaemon")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    {
        let map = lun.map()?;
        let told = check(map.node(), 1)?;
        assert!(told.contains("no multipath daemon is running"), "{told}");
        assert!(told.contains("'systemctl start multipathd-lite'"), "{told}");
        assert!(told.contains("[daemon-not-running]"), "{told}");
        let client = run("multipathd-lite", ["show", "daemon"])?.ended_with(1)?;
        let told = "multipathd-lite: no multipath daemon is running: start one: \
                    'systemctl start multipathd-lite'\n";
        assert_eq!(client.stderr, told);
    }
    let daemon = Lite::start(&lab, DEFAULT_CONFIG)?;
    let map = daemon.await_map(&lun.wwid(), 2)?;
    check(&format!("/dev/mapper/{map}"), 0).map(drop)
}

#[test]
fn the_distributions_daemon_is_running() -> Result {
    let lab = Lab::alone("otherdaemon")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let daemon = Multipathd::start(&lab, DEFAULT_CONFIG)?;
    let map = daemon.await_map(&lun.wwid(), 2)?;
    let said = daemon.ask("show daemon")?;
    let pid = said.split_whitespace().nth(1).unwrap_or_default();
    let refused = start_another()?.stderr;
    let told = format!(
        "multipathd is running already (process {pid}): stop it first: \
         'systemctl disable --now multipathd.service multipathd.socket'"
    );
    assert!(refused.contains(&told), "{refused}");
    // Nothing is wrong with that.
    let node = format!("/dev/mapper/{map}");
    check(&node, 0)?;
    let status = run("mpathpersist", ["status", &node])?.succeeded()?.stdout;
    assert!(status.contains(&format!("(process {pid})")), "{status}");
    assert!(status.contains("[other-daemon]"), "{status}");
    Ok(())
}

#[test]
fn our_own_daemon_is_running() -> Result {
    let lab = Lab::alone("samedaemon")?;
    let daemon = Lite::start(&lab, DEFAULT_CONFIG)?;
    until("the daemon to answer", || {
        Ok((daemon.ask("show daemon")?.code() == 0).then_some(()))
    })?;
    let refused = start_another()?.stderr;
    let told = format!(
        "multipathd-lite is running already (process {}): stop it first: \
         'systemctl disable --now multipathd-lite.service'",
        daemon.id()
    );
    assert!(refused.contains(&told), "{refused}");
    Ok(())
}
