//! The loop: waits on descriptors and for messages, feeds the engine, starts its tasks.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::ask::{Handle, Published};
use crate::engine::{Engine, MAX_REST};
use crate::event::Event;
use crate::lock_watch::LockWatch;
use crate::metrics::Metrics;
use crate::sources::{Sources, Tokens};
use crate::tasks::check::Checks;
use crate::tasks::{CheckOrder, Pool, Task, Tools};

/// One thread's work: see [`EventLoop::run`].
#[derive(Debug)]
pub struct EventLoop {
    engine: Engine,
    tools: Tools,
    epoll: Epoll,
    wake: Arc<EventFd>,
    events: Receiver<Event>,
    published: Arc<Published>,
    published_at: Instant,
    handle: Handle,
    heart: Option<Heart>,
    sources: Sources,
    locks: Option<LockWatch>,
    checks: Checks,
    sandbox_checks: Pool,
    reader: Pool,
    workers: Pool,
    errands: Pool,
    hooks: Pool,
    metrics: Option<Metrics>,
}

/// A sign of life, for a watchdog.
pub struct Heart {
    /// The longest time between two beats.
    pub interval: Duration,
    /// Called in the loop's thread; must not wait.
    pub beat: Box<dyn FnMut() + Send>,
}

impl fmt::Debug for Heart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heart")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl EventLoop {
    /// A loop that has not begun; its [`handle`](Self::handle) works from now on.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new(engine: Engine, tools: Tools) -> io::Result<Self> {
        // Before anything is known that their processes would keep pages of.
        let mut checks = Checks::new()?;
        if tools.host.sandbox.is_none() {
            checks.prepare()?;
        }
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_flags(flags)?);
        let (sender, events) = channel();
        let published = Arc::new(Published::new(Arc::clone(engine.model())));
        let handle = Handle::new(sender, Arc::clone(&wake), Arc::clone(&published));
        let sources = Sources::open(&tools.host);
        let locks = LockWatch::open(&tools.host.run_dir)
            .map_err(|error| tracing::error!("nothing will be heard of records: {error}"))
            .ok();
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        epoll.add(&*wake, readable(WAKE))?;
        let (devices, maps) = (DEVICES, MAPS);
        sources.watch(&epoll, Tokens { devices, maps })?;
        if let Some(locks) = &locks {
            epoll.add(locks, readable(LOCKS))?;
        }
        epoll.add(&checks, readable(CHECKS))?;
        Ok(Self {
            engine,
            tools,
            epoll,
            wake,
            events,
            published,
            published_at: Instant::now(),
            handle,
            heart: None,
            sources,
            locks,
            checks,
            sandbox_checks: Pool::new("check", MAX_SANDBOX_CHECKS),
            reader: Pool::new("reader", 1),
            workers: Pool::new("work", MAX_WORKERS),
            errands: Pool::new("errand", MAX_WORKERS),
            hooks: Pool::new("hook", MAX_HOOKS),
            metrics: None,
        })
    }

    /// Another way to reach this loop.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The same loop with a sign of life.
    #[must_use]
    pub fn with_heart(self, heart: Heart) -> Self {
        Self {
            heart: Some(heart),
            ..self
        }
    }

    /// The same loop, which rings for metrics to be written.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        let metrics = Some(metrics);
        Self { metrics, ..self }
    }

    /// Runs until a shutdown.
    ///
    /// # Errors
    /// The kernel does not let it wait any more.
    pub fn run(mut self) -> io::Result<()> {
        while !self.engine.has_ended() {
            self.turn()?;
        }
        // Whoever asked for the end is told of it.
        for (reply_to, reply) in self.engine.take_answers() {
            reply_to.answer(reply);
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        self.act();
        self.wait()?;
        while let Ok(event) = self.events.try_recv() {
            self.engine.handle(Instant::now(), event);
        }
        self.advance_checks();
        Ok(())
    }

    /// What has been decided is done, and can be seen before anybody is answered.
    fn act(&mut self) {
        self.engine.handle_timeout(Instant::now());
        while let Some(task) = self.engine.poll_task() {
            self.start(task);
        }
        self.advance_checks();
        if let Some(model) = self.engine.poll_publication(self.published_at.elapsed()) {
            self.published.set(model);
            self.published_at = Instant::now();
            if let Some(metrics) = &self.metrics {
                metrics.write_to(self.engine.metrics_file());
                metrics.ring();
            }
        }
        for (reply_to, reply) in self.engine.take_answers() {
            reply_to.answer(reply);
        }
        if let Some(heart) = &mut self.heart {
            (heart.beat)();
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); MAX_READY];
        let count = match self.epoll.wait(&mut ready, self.timeout()) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in ready.iter().take(count) {
            match event.data() {
                // Level-triggered: what is not read wakes the loop again.
                WAKE => drop(self.wake.read()),
                DEVICES => self.hear(),
                MAPS => self.engine.handle(Instant::now(), Event::DmChanged),
                LOCKS => self.notice_locks(),
                CHECKS => self.end_checks(),
                _ => {}
            }
        }
        Ok(())
    }

    fn timeout(&self) -> EpollTimeout {
        let now = Instant::now();
        let due = self
            .engine
            .poll_timeout()
            .into_iter()
            .chain(self.checks.next())
            .chain(self.engine.next_publication(self.published_at))
            .min();
        let rest = due.map_or(MAX_REST, |due| due.saturating_duration_since(now));
        let beat = self.heart.as_ref().map_or(MAX_REST, |heart| heart.interval);
        // Rounded up, so as not to spin through the last millisecond.
        let rest_ms = rest.min(beat).as_micros().div_ceil(1000);
        EpollTimeout::try_from(rest_ms).unwrap_or(EpollTimeout::MAX)
    }

    fn hear(&mut self) {
        for event in self.sources.hear() {
            self.engine.handle(Instant::now(), event);
        }
    }

    fn notice_locks(&mut self) {
        let released = self.locks.as_ref().map(LockWatch::released);
        for stem in released.unwrap_or_default() {
            self.engine
                .handle(Instant::now(), Event::LockReleased { stem });
        }
    }

    fn start(&mut self, task: Task) {
        let (tools, handle) = (self.tools.clone(), self.handle.clone());
        match task {
            Task::Check(order) if tools.host.sandbox.is_some() => {
                self.check_in_sandbox(order);
            }
            Task::Check(order) => {
                let ended = self.checks.order(&self.tools.host.roots, order);
                if let Some(checked) = ended {
                    self.handle.send(Event::Checked(checked));
                }
            }
            Task::Forget(device) => self.checks.forget(device),
            Task::Read(order) => self.reader.run(move || handle.send(tools.read(order))),
            Task::Work(order) => self.workers.run(move || handle.send(tools.work(&order))),
            Task::Errand(errand) => {
                let turn = tools.told.turn(&errand);
                let run = move || handle.send(tools.run(errand, turn));
                self.errands.run(run);
            }
            Task::Hook(order) => self.hooks.run(move || {
                handle.send(Event::HookDone(order.run()));
            }),
            Task::ArmDm => self.sources.arm(&self.epoll),
        }
    }

    fn check_in_sandbox(&self, order: CheckOrder) {
        let (tools, handle) = (self.tools.clone(), self.handle.clone());
        self.sandbox_checks.run(move || {
            if let Some(node) = &tools.host.sandbox {
                let tell = |checked| handle.send(Event::Checked(checked));
                tools.check_in_sandbox(node, &order, tell);
            }
        });
    }

    /// Checks go on: what ended is known to the engine.
    fn advance_checks(&mut self) {
        let now = Instant::now();
        for checked in self.checks.advance(&self.tools.host.roots, now) {
            self.engine.handle(now, Event::Checked(checked));
        }
    }

    fn end_checks(&mut self) {
        let now = Instant::now();
        for checked in self.checks.end() {
            self.engine.handle(now, Event::Checked(checked));
        }
    }
}

/// What the loop's own descriptors are known by.
const WAKE: u64 = 0;
const DEVICES: u64 = 1;
const MAPS: u64 = 2;
const LOCKS: u64 = 3;
const CHECKS: u64 = 4;

/// Descriptors looked at in one turn; the others come in the next.
const MAX_READY: usize = 64;

/// Commands of the configuration that run at once.
const MAX_HOOKS: usize = 4;

/// Paths of a sandbox that may hang at once before others wait for a thread to be checked.
const MAX_SANDBOX_CHECKS: usize = 256;

/// Maps worked on at once, and as many errands. A map whose paths hang keeps a thread for seconds:
/// more than the ten maps of an array that dies.
const MAX_WORKERS: usize = 32;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use dm_multipath::Roots;
    use mpath_state::protocol::{Command, Reply};
    use mpathpersist::Host;

    use super::*;
    use crate::ReplyTo;
    use crate::rules::{Files, Rules};

    /// Once the answer was left behind in a loop that had ended, and the client saw its connection
    /// close.
    #[test]
    fn whoever_asks_for_the_end_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let host = Host {
            roots: Roots {
                sys: at("sys"),
                dev: at("dev"),
                ..Roots::default()
            },
            config: mpath_state::config::ConfigFiles {
                main: at("multipath.conf"),
                dir: at("conf.d"),
            },
            run_dir: at("run"),
            ..Host::default()
        };
        let files = Files {
            bindings: at("bindings"),
            wwids: at("wwids"),
            settings: at("mpath-pr.conf"),
            metrics: None,
        };
        let rules = Rules::load(&host, &files);
        let tools = Tools {
            host: Arc::new(host),
            files: Arc::new(files),
            told: Arc::default(),
        };
        let event_loop = EventLoop::new(Engine::new(rules, Instant::now()), tools).unwrap();
        let (sender, receiver) = channel();
        let answer = move |reply| sender.send(reply).unwrap();
        event_loop
            .handle()
            .ask(Command::Shutdown, ReplyTo::new(answer));
        event_loop.run().unwrap();
        assert_eq!(receiver.try_recv(), Ok(Reply::Ok));
    }
}
