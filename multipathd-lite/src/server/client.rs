//! One client and what it is at.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mpath_state::protocol::{FrameDecoder, FrameError, Reply, encode};
use nix::sys::epoll::EpollFlags;

use super::Limits;
use crate::answers::Privilege;

/// Names a client for as long as the server runs; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    privilege: Privilege,
    decoder: FrameDecoder,
    state: State,
    requests: u64,
    /// Its next request may have arrived, and its turn has not come.
    is_queued: bool,
    /// What it is watched for at the moment.
    pub(super) watched: EpollFlags,
}

#[derive(Debug)]
enum State {
    Idle {
        since: Instant,
    },
    Receiving {
        since: Instant,
    },
    Waiting {
        request: u64,
        since: Instant,
    },
    Sending {
        reply: Vec<u8>,
        sent: usize,
        since: Instant,
    },
}

/// How far a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has nothing under way; its next request may be there already.
    Ready,
    /// Something else has to happen first.
    Stuck,
    /// The connection is of no use any more.
    Closed,
}

impl Client {
    pub(super) fn new(stream: UnixStream, privilege: Privilege, now: Instant) -> Self {
        Self {
            stream,
            privilege,
            decoder: FrameDecoder::for_requests(),
            state: State::Idle { since: now },
            requests: 0,
            is_queued: false,
            watched: EpollFlags::empty(),
        }
    }

    pub(super) const fn privilege(&self) -> Privilege {
        self.privilege
    }

    pub(super) const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// What has to happen for it to get on.
    pub(super) fn interest(&self) -> EpollFlags {
        match self.state {
            _ if self.is_queued => EpollFlags::empty(),
            State::Idle { .. } | State::Receiving { .. } => EpollFlags::EPOLLIN,
            State::Waiting { .. } => EpollFlags::empty(),
            State::Sending { .. } => EpollFlags::EPOLLOUT,
        }
    }

    /// Whether it may send something now.
    pub(super) const fn is_listened_to(&self) -> bool {
        let is_free = matches!(self.state, State::Idle { .. } | State::Receiving { .. });
        is_free && !self.is_queued
    }

    /// It has to wait for its turn; says whether it did already.
    pub(super) const fn queue(&mut self) -> bool {
        std::mem::replace(&mut self.is_queued, true)
    }

    /// Its turn has come.
    pub(super) const fn unqueue(&mut self) {
        self.is_queued = false;
    }

    /// Reads once.
    pub(super) fn read(&mut self, now: Instant) -> Progress {
        if !self.is_listened_to() {
            return Progress::Stuck;
        }
        let mut chunk = [0; READ_CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => Progress::Closed,
            Ok(length) => {
                self.decoder.push(chunk.get(..length).unwrap_or_default());
                if let State::Idle { .. } = self.state {
                    self.state = State::Receiving { since: now };
                }
                Progress::Ready
            }
            Err(error) => stuck_or_closed(&error),
        }
    }

    /// The next request, if it has arrived and nothing is under way.
    pub(super) fn poll_request(&mut self, now: Instant) -> Result<Option<String>, FrameError> {
        if !self.is_listened_to() {
            return Ok(None);
        }
        let text = self.decoder.poll_text()?;
        let is_inside = self.decoder.is_inside_message();
        self.state = match self.state {
            State::Receiving { since } if is_inside && text.is_none() => State::Receiving { since },
            _ if is_inside => State::Receiving { since: now },
            State::Idle { since } if text.is_none() => State::Idle { since },
            _ => State::Idle { since: now },
        };
        Ok(text)
    }

    /// A request goes to the core; its number tells its answer from a late one of another.
    pub(super) fn wait(&mut self, now: Instant) -> u64 {
        self.requests += 1;
        let request = self.requests;
        self.state = State::Waiting {
            request,
            since: now,
        };
        request
    }

    /// Since when it has been waiting for the answer to this request.
    pub(super) fn waiting_for(&self, wanted: u64) -> Option<Instant> {
        match self.state {
            State::Waiting { request, since } if request == wanted => Some(since),
            _ => None,
        }
    }

    /// Sends as much of the answer as the client takes now.
    pub(super) fn send(&mut self, reply: &Reply, now: Instant) -> Progress {
        self.state = State::Sending {
            reply: encode(&reply.to_string()),
            sent: 0,
            since: now,
        };
        self.write()
    }

    /// Goes on sending.
    pub(super) fn write(&mut self) -> Progress {
        let State::Sending { reply, sent, since } = &mut self.state else {
            return Progress::Stuck;
        };
        while let Some(rest) = reply.get(*sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Progress::Closed,
                Ok(length) => *sent += length,
                Err(error) => return stuck_or_closed(&error),
            }
        }
        self.state = State::Idle { since: *since };
        Progress::Ready
    }

    /// Bytes that wait to be read by it.
    pub(super) fn unsent(&self) -> usize {
        match &self.state {
            State::Sending { reply, sent, .. } => reply.len().saturating_sub(*sent),
            _ => 0,
        }
    }

    /// How well it can be done without, the least first: users before root, the quiet before the
    /// busy, and among these the one that has been so for the longest time.
    pub(super) const fn rank(&self) -> (bool, bool, Instant) {
        let is_root = matches!(self.privilege, Privilege::Root);
        match self.state {
            State::Idle { since } => (is_root, false, since),
            State::Receiving { since }
            | State::Waiting { since, .. }
            | State::Sending { since, .. } => (is_root, true, since),
        }
    }

    /// Since when it has been at what it is at, and how long that may take.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let (since, patience): (Instant, Duration) = match self.state {
            State::Receiving { .. } if self.is_queued => return None,
            State::Idle { .. } => return None,
            State::Receiving { since } => (since, limits.request_patience),
            State::Waiting { since, .. } => (since, limits.core_patience),
            State::Sending { since, .. } => (since, limits.reply_patience),
        };
        since.checked_add(patience)
    }

    /// The request that the core has under way.
    pub(super) const fn request(&self) -> Option<u64> {
        match self.state {
            State::Waiting { request, .. } => Some(request),
            _ => None,
        }
    }
}

fn stuck_or_closed(error: &io::Error) -> Progress {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Progress::Stuck,
        _ => Progress::Closed,
    }
}

/// Most requests fit in one.
const READ_CHUNK: usize = 4096;
