//! iSCSI sessions that are set up again: the target takes each for another initiator port, and
//! keeps what the old one has registered.

use xtask::error::Result;
use xtask::guest::{DEFAULT_CONFIG, Fabric, Lab, until};

use crate::daemon_paths::Node;
use crate::persist::OURS;

#[test]
fn a_session_that_is_set_up_again_leaves_no_key_behind() -> Result {
    let lab = Lab::alone("litesession")?;
    let mut node = Node::with_config(&lab, (Fabric::Iscsi, 2), DEFAULT_CONFIG)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    // The holder's session first, then that of the path which does not hold.
    for _ in 0..2 {
        let holder = holder(&node)?;
        log_in_anew(&mut node, holder)?;
        await_registrations(&node, 2)?;
        log_in_anew(&mut node, 1 - holder)?;
        await_registrations(&node, 2)?;
        assert!(node.writes()?);
    }
    // While this node does not hold, its own key is not preempted: who is about to fence it would
    // not find it. The old registration goes with the others.
    node.persist("-L -K a -T 5")?;
    log_in_anew(&mut node, 0)?;
    node.daemon
        .explain(until("the old session to be told of", || {
            let told = "a session that is no more is registered";
            Ok(node.daemon.log().contains(told).then_some(()))
        }))?;
    await_registrations(&node, 3)?;
    node.persist("-G -K a -S 0")?;
    await_registrations(&node, 0)
}

fn log_in_anew(node: &mut Node, path: usize) -> Result {
    node.lun.paths_mut()[path].log_in_anew()?;
    node.await_active(2)?;
    let keys = [OURS; 2];
    node.daemon.explain(until("both paths to have the key", || {
        Ok((node.keys()? == keys).then_some(()))
    }))
}

/// So many have the key, and one of them holds the reservation, as far as there is one.
fn await_registrations(node: &Node, count: usize) -> Result {
    let mut found = Vec::new();
    let waited = until(&format!("{count} registrations"), || {
        found = node.other.witness().read_full_status()?;
        let is_ours = found.iter().all(|it| it.key == OURS);
        Ok((found.len() == count && is_ours).then_some(()))
    });
    node.daemon
        .explain(waited.inspect_err(|_| eprintln!("registered: {found:?}")))
}

/// The path that holds the reservation.
fn holder(node: &Node) -> Result<usize> {
    let status = node.other.witness().read_full_status()?;
    let holder = status.iter().find(|it| it.holder);
    let port = holder.map(|it| it.relative_target_port);
    let mut paths = node.lun.paths().iter();
    let at = paths.position(|path| Some(path.relative_target_port()) == port);
    Ok(at.unwrap_or_default())
}
