//! I/O of a map without a working path: it waits as long as it is configured to, or until a client
//! of multipathd-lite says otherwise.

use std::thread::JoinHandle;

use xtask::error::{Error, Result};
use xtask::guest::{DEFAULT_CONFIG, Fabric, Finished, Lab, Nexus, passed, run, until};

use crate::daemon_paths::Node;

#[test]
fn io_waits_as_long_as_configured_or_wanted() -> Result {
    let lab = Lab::alone("litequeue")?;
    let retry = |value: &str| {
        DEFAULT_CONFIG.replace("no_path_retry fail", &format!("no_path_retry {value}"))
    };
    let node = Node::on(&lab, lab.lun(Fabric::Loop, 2)?, &retry("2"))?;
    node.await_table(QUEUES)?;
    assert_eq!(queueing(&node)?, "2 sec");
    // Two checks of one second each, by the daemon's own clock: this machine may be slow.
    let before = node.daemon.log().len();
    let write = lose_all_paths_and_write(&node)?;
    assert_ne!(end(write)?.code(), 0);
    assert_eq!(queueing(&node)?, "off");
    let lost = node.daemon.logged_at(before, &["no usable path"])?;
    let over = node.daemon.logged_at(before, &["no path for 2 s"])?;
    let waited = passed(lost, over);
    assert!(
        waited >= 2.0 - ROUNDING_S,
        "{waited}: {}",
        node.daemon.log()
    );
    get_them_back(&node)?;
    node.await_table(QUEUES)?;
    // For ever, unless somebody cannot wait.
    node.daemon.reconfigure(&lab, &retry("queue"))?;
    until("the new setting", || {
        Ok((queueing(&node)? == "on").then_some(()))
    })?;
    let write = lose_all_paths_and_write(&node)?;
    let done = node
        .daemon
        .ask(&format!("disablequeueing map {}", node.map))?;
    assert_eq!(done.stdout, "ok\n");
    assert_ne!(end(write)?.code(), 0);
    assert_eq!(queueing(&node)?, "off");
    assert_eq!(node.daemon.ask("restorequeueing maps")?.stdout, "ok\n");
    node.await_table(QUEUES)?;
    let write = start_to_write(&node);
    get_them_back(&node)?;
    assert_eq!(end(write)?.code(), 0, "what has waited is written");
    Ok(())
}

fn lose_all_paths_and_write(node: &Node) -> Result<JoinHandle<Result<Finished>>> {
    node.lun.paths().iter().try_for_each(Nexus::set_offline)?;
    node.await_active(0)?;
    Ok(start_to_write(node))
}

fn get_them_back(node: &Node) -> Result {
    node.lun.paths().iter().try_for_each(Nexus::set_running)?;
    node.await_active(2)
}

fn start_to_write(node: &Node) -> JoinHandle<Result<Finished>> {
    let device = format!("of=/dev/mapper/{}", node.map);
    std::thread::spawn(move || {
        let args = [
            "if=/dev/zero",
            &device,
            "bs=4096",
            "count=1",
            "oflag=direct",
        ];
        run("dd", args)
    })
}

fn end(write: JoinHandle<Result<Finished>>) -> Result<Finished> {
    let ended = write.join();
    ended.map_err(|_| Error::unexpected("the writer panicked"))?
}

fn queueing(node: &Node) -> Result<String> {
    let shown = node.daemon.ask("show maps raw format %Q")?.succeeded()?;
    Ok(shown.stdout.trim().to_owned())
}

/// The log has the time of day, which may be set a little while it is waited.
const ROUNDING_S: f64 = 0.2;

const QUEUES: &str = " multipath 1 queue_if_no_path ";
