//! All clients: who is watched for what, who has to go when there are too many.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use super::Limits;
use super::client::{Client, ClientId};
use crate::answers::Privilege;

/// The kernel's list of what is waited for.
#[derive(Debug)]
pub(super) struct Poll(Epoll);

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches for something to read.
    pub(super) fn add(&self, fd: impl AsFd, id: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, id);
        Ok(self.0.add(fd, event)?)
    }

    pub(super) fn remove(&self, fd: impl AsFd) {
        // What is not watched needs not be removed.
        let _ = self.0.delete(fd);
    }

    pub(super) fn wait(
        &self,
        events: &mut [EpollEvent],
        timeout: EpollTimeout,
    ) -> Result<usize, Errno> {
        self.0.wait(events, timeout)
    }
}

/// The clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    clients: HashMap<ClientId, Client>,
    let_in: u64,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    /// Takes a new client; if there are too many, one that can better be done without goes, or
    /// this one.
    pub(super) fn let_in(
        &mut self,
        stream: UnixStream,
        poll: &Poll,
        limits: &Limits,
        now: Instant,
    ) -> io::Result<()> {
        let privilege = match getsockopt(&stream, PeerCredentials)?.uid() {
            uid if uid == limits.root_uid => Privilege::Root,
            _ => Privilege::User,
        };
        if self.clients.len() >= limits.clients && !self.close_least(privilege, poll) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.let_in += 1;
        let id = ClientId(FIRST_ID + self.let_in);
        let mut client = Client::new(stream, privilege, now);
        client.watched = client.interest();
        poll.add(client.stream(), id.0)?;
        self.clients.insert(id, client);
        Ok(())
    }

    /// Watches a client for what it needs next.
    pub(super) fn watch(&mut self, id: ClientId, poll: &Poll) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let interest = client.interest();
        if interest == client.watched {
            return;
        }
        client.watched = interest;
        let mut event = EpollEvent::new(interest, id.0);
        if poll.0.modify(client.stream(), &mut event).is_err() {
            self.close(id, poll);
        }
    }

    pub(super) fn close(&mut self, id: ClientId, poll: &Poll) {
        if let Some(client) = self.clients.remove(&id) {
            poll.remove(client.stream());
        }
    }

    /// Closes the client that can best be done without, for the sake of one with this privilege;
    /// no user is worth one of root's.
    pub(super) fn close_least(&mut self, privilege: Privilege, poll: &Poll) -> bool {
        let ranks = self.clients.iter().map(|(id, client)| (client.rank(), *id));
        let Some(((is_root, ..), id)) = ranks.min() else {
            return false;
        };
        let may_go = !is_root || privilege == Privilege::Root;
        if may_go {
            self.close(id, poll);
        }
        may_go
    }

    /// Closes clients that do not read their answers, as long as all answers together take too
    /// much memory: the largest first, the one of `id` last.
    pub(super) fn make_room(&mut self, id: ClientId, poll: &Poll, limits: &Limits) {
        loop {
            let unsent = self
                .clients
                .iter()
                .map(|(id, client)| (*id, client.unsent()));
            let unsent: Vec<_> = unsent.filter(|(_, unsent)| *unsent > 0).collect();
            let total: usize = unsent.iter().map(|(_, unsent)| unsent).sum();
            let others = unsent.iter().filter(|(other, _)| *other != id);
            let Some((largest, _)) = others.max_by_key(|(_, unsent)| *unsent) else {
                return;
            };
            if total <= limits.unsent_bytes {
                return;
            }
            tracing::warn!("a client that does not read its answer is closed");
            self.close(*largest, poll);
        }
    }

    /// When the first of them is late.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let deadlines = self
            .clients
            .values()
            .filter_map(|client| client.deadline(limits));
        deadlines.min()
    }

    /// Those that are late, with the request that the core has not answered.
    pub(super) fn late(&self, limits: &Limits, now: Instant) -> Vec<(ClientId, Option<u64>)> {
        let is_late = |client: &Client| client.deadline(limits).is_some_and(|at| at <= now);
        let late = self.clients.iter().filter(|(_, client)| is_late(client));
        late.map(|(id, client)| (*id, client.request())).collect()
    }
}

/// Smaller numbers are the server's own descriptors.
const FIRST_ID: u64 = 16;
