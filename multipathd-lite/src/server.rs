//! The socket server: one thread that waits for clients and never for anybody else.
//!
//! ```text
//!             read                 whole request             answered
//!   Idle ───────────▶ Receiving ─────────────────▶ Waiting ───────────▶ Sending ──▶ Idle …
//!                                (from memory: straight to Sending)
//! ```
//! Each client is in one of these states, and has at most one request under way: what it sends
//! meanwhile stays in the kernel. So memory is bounded by the number of clients, the longest
//! request and [`Limits::unsent_bytes`]. A client that is slow in the middle of a request or of an
//! answer is closed after a while; one that says nothing may stay. Where there are too many, the
//! ones that have said nothing for the longest time go first, and root's last.
//!
//! Root's requests are answered at once. Those of users, who may only look, take turns, and root
//! is looked for again after 20 ms: however much users want to see, root does not wait.

mod client;
mod clients;
mod listener;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mpath_state::protocol::{Command, Reply};
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

pub use listener::Listener;

use crate::answers::{Privilege, Verdict, judge};
use crate::ask::{Handle, ReplyTo};
use crate::model::Model;
use crate::tally::SharedTally;
use client::{ClientId, Progress};
use clients::{Clients, Poll};

/// What the server needs of the daemon's core.
pub trait Core: Send {
    /// Everything as it stands; never waits.
    fn snapshot(&self) -> Arc<Model>;

    /// Asks for a change; never waits.
    fn ask(&self, command: Command, reply: ReplyTo);
}

impl Core for Handle {
    fn snapshot(&self) -> Arc<Model> {
        Self::snapshot(self)
    }

    fn ask(&self, command: Command, reply: ReplyTo) {
        Self::ask(self, command, reply);
    }
}

/// How much clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Clients at a time.
    pub clients: usize,
    /// Bytes of answers that clients have not read yet, all together.
    pub unsent_bytes: usize,
    /// How long a request may take to arrive, from its first byte.
    pub request_patience: Duration,
    /// How long an answer may take to be read.
    pub reply_patience: Duration,
    /// How long the core may take; then the answer is `timeout`.
    pub core_patience: Duration,
    /// The user who may do everything.
    pub root_uid: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 2048,
            unsent_bytes: 128 << 20,
            request_patience: Duration::from_secs(10),
            reply_patience: Duration::from_secs(30),
            core_patience: Duration::from_millis(4000),
            root_uid: 0,
        }
    }
}

/// The server; see [`Server::run`].
#[derive(Debug)]
pub struct Server<C> {
    core: C,
    limits: Limits,
    poll: Poll,
    clients: Clients,
    listeners: Vec<Listener>,
    /// No descriptor was left: until then nobody new is let in.
    paused_until: Option<Instant>,
    signals: Option<SignalFd>,
    remote: Remote,
    messages: Receiver<Message>,
    /// Clients whose next request has arrived already.
    ready: VecDeque<ClientId>,
    tally: SharedTally,
}

/// Reaches the server from other threads.
#[derive(Debug, Clone)]
pub struct Remote {
    messages: Sender<Message>,
    wake: Arc<EventFd>,
}

enum Message {
    /// The core's answer to the request with this number.
    Answer {
        client: ClientId,
        request: u64,
        reply: Reply,
    },
    Stop,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")
    }
}

impl Remote {
    /// Ends the server.
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    fn send(&self, message: Message) {
        // Whoever asks of a server that has ended gets no answer: neither is there a client.
        if self.messages.send(message).is_ok() {
            let _ = self.wake.write(1);
        }
    }
}

/// Whether the server goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Go,
    Stop,
}

impl<C: Core> Server<C> {
    /// A server on `listeners`; clients that connect from now on are served once it runs.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new(core: C, listeners: Vec<Listener>, limits: Limits) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_flags(flags)?);
        let poll = Poll::new()?;
        poll.add(&*wake, WAKE)?;
        for listener in &listeners {
            poll.add(listener, LISTENER)?;
        }
        let (sender, messages) = channel();
        let remote = Remote {
            messages: sender,
            wake,
        };
        Ok(Self {
            core,
            limits,
            poll,
            clients: Clients::default(),
            listeners,
            paused_until: None,
            signals: None,
            remote,
            messages,
            ready: VecDeque::new(),
            tally: SharedTally::default(),
        })
    }

    /// The same server, which also turns SIGHUP into `reconfigure`, SIGTERM and SIGINT into
    /// `shutdown`. The signals must be blocked in all threads.
    ///
    /// # Errors
    /// The kernel has no memory left.
    pub fn with_signals(mut self, signals: SignalFd) -> io::Result<Self> {
        self.poll.add(&signals, SIGNALS)?;
        self.signals = Some(signals);
        Ok(self)
    }

    /// What clients asked and how it ended.
    #[must_use]
    pub fn tally(&self) -> SharedTally {
        self.tally.clone()
    }

    /// Another way to reach the server.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The kernel does not let it wait any more.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            if self.turn()? == Course::Stop {
                return Ok(());
            }
        }
    }

    fn turn(&mut self) -> io::Result<Course> {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        let timeout = self.timeout(Instant::now());
        let count = match self.poll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in events.iter().take(count) {
            match event.data() {
                // Level-triggered: what is not read wakes the thread again.
                WAKE => drop(self.remote.wake.read()),
                SIGNALS => self.take_signals(),
                LISTENER => self.let_in(),
                id => self.serve(ClientId(id), event.events()),
            }
        }
        self.give_turns();
        let course = self.take_messages();
        self.close_the_late(Instant::now());
        Ok(course)
    }

    fn timeout(&self, now: Instant) -> EpollTimeout {
        if !self.ready.is_empty() {
            return EpollTimeout::ZERO;
        }
        let deadline = self.clients.deadline(&self.limits);
        let Some(deadline) = deadline.into_iter().chain(self.paused_until).min() else {
            return EpollTimeout::NONE;
        };
        let rest = deadline.saturating_duration_since(now);
        // Rounded up, so as not to spin through the last millisecond.
        EpollTimeout::try_from(rest.as_micros().div_ceil(1000)).unwrap_or(EpollTimeout::MAX)
    }

    fn take_signals(&mut self) {
        while let Some(Ok(Some(signal))) = self.signals.as_ref().map(SignalFd::read_signal) {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            let (command, name) = match Signal::try_from(number) {
                Ok(Signal::SIGHUP) => (Command::Reconfigure, "SIGHUP"),
                _ => (Command::Shutdown, "a signal to end"),
            };
            tracing::info!("{name}: {command}");
            self.core.ask(command, ReplyTo::new(drop));
        }
    }

    fn let_in(&mut self) {
        for listener in &self.listeners {
            for _ in 0..MAX_ACCEPTS {
                match listener.accept() {
                    Ok(Some(stream)) => {
                        let now = Instant::now();
                        let evicted = self.clients.let_in(stream, &self.poll, &self.limits, now);
                        evicted.unwrap_or_else(|error| tracing::debug!("client lost: {error}"));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!("cannot let a client in: {error}");
                        self.paused_until = Some(Instant::now() + PAUSE);
                        break;
                    }
                }
            }
        }
        self.tally.note_clients(self.clients.len());
        if self.paused_until.is_some() {
            self.clients.close_least(Privilege::User, &self.poll);
            self.listeners
                .iter()
                .for_each(|listener| self.poll.remove(listener));
        }
    }

    fn serve(&mut self, id: ClientId, flags: EpollFlags) {
        let gone = flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let now = Instant::now();
        let progress = match flags {
            // What it sent before it went still counts.
            flags if flags.contains(EpollFlags::EPOLLIN) && client.is_listened_to() => {
                client.read(now)
            }
            _ if gone => Progress::Closed,
            _ => client.write(),
        };
        match progress {
            Progress::Closed => self.close(id),
            Progress::Stuck => self.clients.watch(id, &self.poll),
            Progress::Ready => match client.privilege() {
                Privilege::Root => self.go_on(id),
                Privilege::User => self.queue(id),
            },
        }
    }

    fn queue(&mut self, id: ClientId) {
        let client = self.clients.get_mut(id);
        if client.is_some_and(|client| !client.queue()) {
            self.ready.push_back(id);
        }
    }

    /// Those that have to wait for the next turn are not listened to meanwhile.
    fn give_turns(&mut self) {
        let began = Instant::now();
        while let Some(id) = self.ready.pop_front() {
            self.go_on(id);
            if began.elapsed() >= SLICE {
                break;
            }
        }
        for id in &self.ready {
            self.clients.watch(*id, &self.poll);
        }
    }

    /// Takes requests of a client that has nothing under way; not for ever, as others want their
    /// turn.
    fn go_on(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.unqueue();
        let requests = match client.privilege() {
            Privilege::Root => MAX_REQUESTS,
            Privilege::User => 1,
        };
        for _ in 0..requests {
            match self.take_request(id) {
                Progress::Ready => {}
                Progress::Stuck => return self.clients.watch(id, &self.poll),
                Progress::Closed => return self.close(id),
            }
        }
        self.queue(id);
    }

    fn take_request(&mut self, id: ClientId) -> Progress {
        let now = Instant::now();
        let Some(client) = self.clients.get_mut(id) else {
            return Progress::Stuck;
        };
        let text = match client.poll_request(now) {
            Ok(Some(text)) => text,
            Ok(None) => return Progress::Stuck,
            Err(error) => {
                tracing::debug!("client closed: {error}");
                return Progress::Closed;
            }
        };
        let model = self.core.snapshot();
        match judge(&text, client.privilege(), &model, &self.tally.read(), now) {
            Verdict::Answer(reply) => {
                self.tally.count(&reply, now.elapsed());
                self.send(id, &reply)
            }
            Verdict::Ask(command) => {
                let request = client.wait(now);
                tracing::debug!(%command, "asked");
                let remote = self.remote.clone();
                let answer = move |reply| {
                    remote.send(Message::Answer {
                        client: id,
                        request,
                        reply,
                    });
                };
                self.core.ask(command, ReplyTo::new(answer));
                Progress::Stuck
            }
        }
    }

    fn send(&mut self, id: ClientId, reply: &Reply) -> Progress {
        let Some(client) = self.clients.get_mut(id) else {
            return Progress::Stuck;
        };
        let progress = client.send(reply, Instant::now());
        if progress == Progress::Stuck {
            self.clients.make_room(id, &self.poll, &self.limits);
        }
        progress
    }

    fn take_messages(&mut self) -> Course {
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Stop => return Course::Stop,
                Message::Answer {
                    client,
                    request,
                    reply,
                } => self.take_answer(client, request, &reply),
            }
        }
        Course::Go
    }

    fn take_answer(&mut self, id: ClientId, request: u64, reply: &Reply) {
        let client = self.clients.get_mut(id);
        let Some(since) = client.and_then(|client| client.waiting_for(request)) else {
            return;
        };
        self.tally.count(reply, since.elapsed());
        match self.send(id, &bare(reply)) {
            Progress::Ready => self.queue(id),
            Progress::Stuck => self.clients.watch(id, &self.poll),
            Progress::Closed => self.close(id),
        }
    }

    fn close_the_late(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            for listener in &self.listeners {
                if let Err(error) = self.poll.add(listener, LISTENER) {
                    tracing::error!("nobody can connect any more: {error}");
                }
            }
        }
        for (id, request) in self.clients.late(&self.limits, now) {
            match request {
                Some(request) => self.take_answer(id, request, &Reply::Timeout),
                None => self.close(id),
            }
        }
    }

    fn close(&mut self, id: ClientId) {
        self.clients.close(id, &self.poll);
        self.tally.note_clients(self.clients.len());
    }
}

/// Clients compare with `fail` and nothing behind it: why it failed is for the log.
fn bare(reply: &Reply) -> Reply {
    let Reply::Fail { detail } = reply else {
        return reply.clone();
    };
    if !detail.is_empty() {
        tracing::info!("a client's command failed: {detail}");
    }
    Reply::Fail {
        detail: String::new(),
    }
}

/// What the descriptors are known by; clients have greater numbers.
const WAKE: u64 = 0;
const SIGNALS: u64 = 1;
const LISTENER: u64 = 2;

/// Events of one turn; the others come in the next.
const MAX_EVENTS: usize = 256;
/// New clients of one turn.
const MAX_ACCEPTS: usize = 64;
/// How long users' requests are answered before root is looked for again.
const SLICE: Duration = Duration::from_millis(20);
/// Requests of one of root's clients in one turn.
const MAX_REQUESTS: usize = 16;
/// How long nobody is let in when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
