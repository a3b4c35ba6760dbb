//! Commands that nothing can end. They leave something stuck in the guest, which is why this comes
//! last: scenarios start in the order of their names.

use std::time::Duration;

use xtask::error::Result;
use xtask::guest::{Fabric, Lab};

use crate::persist::Stage;

/// On this kernel PREEMPT AND ABORT never returns over tcm_loop: the target waits for the work
/// item that it runs in. Whoever waits for it in the same process could not even be killed; a
/// fence agent that waits for us must not wait for that.
#[test]
fn a_command_that_never_returns_is_given_up_in_time() -> Result {
    let lab = Lab::alone("never")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.done("-G -S a")?;
    stage.other.witness().register_and_ignore(0xb)?;
    let given_up = stage.run("--timeout 8 -o -A -K a -S b -T 5")?;
    let (took, closed) = (given_up.duration, given_up.closed_after);
    println!("{} took {took:?}", given_up.command);
    // Nothing can be removed that a command is stuck in.
    std::mem::forget(stage);
    let given_up = given_up.ended_with(15)?;
    assert!(
        given_up.stderr.contains("may have been carried out or not"),
        "{}",
        given_up.stderr
    );
    assert!(took < LIMIT && closed < LIMIT, "{took:?}, {closed:?}");
    Ok(())
}

/// Half as much again for an emulated guest on a busy machine.
const LIMIT: Duration = Duration::from_secs(12);
