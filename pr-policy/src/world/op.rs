//! What happens in a world: operations, one after the other, and faults in the middle of them.

use core::fmt;

use crate::request::Request;

/// Something that starts while its node is at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A node runs a command on its map.
    Ask {
        /// Which node.
        node: usize,
        /// The command.
        request: Request,
    },
    /// Something happens to a path.
    Link {
        /// Whose path.
        node: usize,
        /// Which path.
        path: usize,
        /// Its new state.
        link: Link,
    },
    /// A node's daemon settles a path that came back. Comes by itself after [`Op::Link`].
    Check {
        /// Whose path.
        node: usize,
        /// Which path.
        path: usize,
    },
    /// A node that crashed in the middle of something completes or undoes it. Comes by itself.
    Recover {
        /// Which node.
        node: usize,
    },
}

/// What a path is physically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Commands arrive.
    Up,
    /// Commands fail at once.
    Down,
    /// Commands get no answer.
    Hanging,
    /// It is not in the map any more.
    Gone,
}

/// Something that goes wrong just before the next thing a node would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The map is not suspended, as when I/O hangs on a path.
    NotSuspended,
    /// The command does not arrive, and the transport says so.
    Lost,
    /// The command is executed, and the transport loses the answer.
    Unanswered,
    /// The command does not arrive, and nobody says so.
    Hangs,
    /// The command is executed, and the answer never comes.
    HangsExecuted,
    /// BUSY, this time.
    Busy,
    /// NOT READY, asymmetric access state transition, this time.
    Transition,
    /// Something happens to a path.
    Link {
        /// Whose path.
        node: usize,
        /// Which path.
        path: usize,
        /// Its new state.
        link: Link,
    },
    /// Another node runs a whole command.
    Meddle {
        /// The other node.
        node: usize,
        /// Its command.
        request: Request,
    },
    /// The program is killed.
    Crash,
}

impl Op {
    /// The node that does it.
    #[must_use]
    pub fn node(&self) -> usize {
        match self {
            Self::Ask { node, .. }
            | Self::Link { node, .. }
            | Self::Check { node, .. }
            | Self::Recover { node } => *node,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask { node, request } => write!(f, "node {node}: {}", Shown(request)),
            Self::Link { node, path, link } => write!(f, "node {node}: path {path} {link}"),
            Self::Check { node, path } => write!(f, "node {node}: path {path} is checked"),
            Self::Recover { node } => write!(f, "node {node} recovers"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSuspended => f.write_str("not suspended"),
            Self::Lost => f.write_str("lost"),
            Self::Unanswered => f.write_str("executed, answer lost"),
            Self::Hangs => f.write_str("hangs, not executed"),
            Self::HangsExecuted => f.write_str("executed, answer hangs"),
            Self::Busy => f.write_str("busy"),
            Self::Transition => f.write_str("in transition"),
            Self::Link { node, path, link } => write!(f, "node {node}: path {path} {link}"),
            Self::Meddle { node, request } => write!(f, "node {node}: {}", Shown(request)),
            Self::Crash => f.write_str("killed"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "comes back",
            Self::Down => "goes down",
            Self::Hanging => "hangs",
            Self::Gone => "is removed",
        })
    }
}

/// A request with its operands.
pub(super) struct Shown<'a>(pub(super) &'a Request);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.0;
        write!(f, "{request}")?;
        match request {
            Request::Register(r) => write!(f, " {} -> {}", r.key, r.new_key),
            Request::Reserve(r) => write!(f, " {} type {:x}", r.key, r.reservation_type.0),
            Request::Release(r) => write!(f, " {} type {:x}", r.key, r.reservation_type.0),
            Request::Clear(r) => write!(f, " {}", r.key),
            Request::Preempt(r) => {
                write!(
                    f,
                    " {} of {} type {:x}",
                    r.key, r.victim, r.reservation_type.0
                )
            }
            Request::RegisterAndMove(r) => {
                let unreg = if r.unregister { ", unregistering" } else { "" };
                write!(f, " {} to {} {}{unreg}", r.key, r.transport_id, r.new_key)
            }
            Request::Read(_) => Ok(()),
        }
    }
}
