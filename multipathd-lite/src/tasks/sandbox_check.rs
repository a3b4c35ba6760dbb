//! Checking a path of a sandbox: the same question, sent to the simulated array.
//!
//! A command to a path that hangs has no answer: the thread that sent it waits until the sandbox
//! changes, as on a host a process would wait for the kernel.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use mpathpersist::sandbox::Node;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::Inotify;
use pr_policy::Answer;

use super::check::{KEYS_LENGTH, command, down, judge_answer, late};
use super::{CheckOrder, Tools};
use crate::event::Checked;
use crate::sources::watch_folder;

impl Tools {
    /// Checks a path of a sandbox; `tell` hears that it is late, and how it ended.
    pub fn check_in_sandbox(&self, node: &Node, order: &CheckOrder, tell: impl Fn(Checked)) {
        let checked = check(node, order, &tell);
        tell(checked.unwrap_or_else(|error| down(order.device, &error)));
    }
}

fn check(node: &Node, order: &CheckOrder, tell: &impl Fn(Checked)) -> Result<Checked, String> {
    // Before the first try: a change between the two is not missed.
    let watch = watch_folder(node).map_err(|error| error.to_string())?;
    let mut give_up = Some(Instant::now() + order.timeout);
    loop {
        let answer = node.send(&order.name, &command(order, KEYS_LENGTH).cdb);
        match answer.map_err(|error| error.to_string())? {
            Some(Answer::Status {
                status,
                sense,
                data,
            }) => {
                let (device, question) = (order.device, order.question);
                return Ok(judge_answer(
                    device,
                    question,
                    (status, sense.as_ref()),
                    &data,
                ));
            }
            Some(_) => return Ok(down(order.device, "path offline")),
            None => {}
        }
        while !has_changed(&watch, give_up).map_err(|error| error.to_string())? {
            give_up = None;
            tell(late(order.device, (None, None)));
        }
    }
}

/// Waits until the sandbox is changed, or until then.
fn has_changed(watch: &Inotify, until: Option<Instant>) -> io::Result<bool> {
    let timeout = until.map_or(Ok(PollTimeout::NONE), |until| {
        let left = until.saturating_duration_since(Instant::now());
        PollTimeout::try_from(left.as_micros().div_ceil(1000))
    });
    let timeout = timeout.unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(false),
            Ok(_) => {
                // What it says does not matter: the path is asked again.
                let _ = watch.read_events();
                return Ok(true);
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
