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
use crate::tasks::Task;

/// One thread's work: see [`EventLoop::run`].
#[derive(Debug)]
pub struct EventLoop {
    engine: Engine,
    epoll: Epoll,
    wake: Arc<EventFd>,
    events: Receiver<Event>,
    published: Arc<Published>,
    handle: Handle,
    heart: Option<Heart>,
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
    pub fn new(engine: Engine) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_flags(flags)?);
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (sender, events) = channel();
        let published = Arc::new(Published::new(Arc::clone(engine.model())));
        let handle = Handle::new(sender, Arc::clone(&wake), Arc::clone(&published));
        Ok(Self {
            engine,
            epoll,
            wake,
            events,
            published,
            handle,
            heart: None,
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

    /// Runs until a shutdown.
    ///
    /// # Errors
    /// The kernel does not let it wait any more.
    pub fn run(mut self) -> io::Result<()> {
        while !self.engine.has_ended() {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        while let Ok(event) = self.events.try_recv() {
            self.engine.handle(Instant::now(), event);
        }
        self.engine.handle_timeout(Instant::now());
        while let Some(task) = self.engine.poll_task() {
            self.start(task);
        }
        self.published.set(Arc::clone(self.engine.model()));
        for (reply_to, reply) in self.engine.take_answers() {
            reply_to.answer(reply);
        }
        if let Some(heart) = &mut self.heart {
            (heart.beat)();
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); MAX_READY];
        let count = match self.epoll.wait(&mut ready, self.timeout()) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in ready.iter().take(count) {
            if event.data() == WAKE {
                // Level-triggered: what is not read wakes the loop again.
                let _ = self.wake.read();
            }
        }
        Ok(())
    }

    fn timeout(&self) -> EpollTimeout {
        let now = Instant::now();
        let due = self.engine.poll_timeout();
        let rest = due.map_or(MAX_REST, |due| due.saturating_duration_since(now));
        let beat = self.heart.as_ref().map_or(MAX_REST, |heart| heart.interval);
        // Rounded up, so as not to spin through the last millisecond.
        let rest_ms = rest.min(beat).as_micros().div_ceil(1000);
        EpollTimeout::try_from(rest_ms).unwrap_or(EpollTimeout::MAX)
    }

    fn start(&mut self, task: Task) {
        match task {}
    }
}

/// What the wake-up descriptor is known by.
const WAKE: u64 = 0;

/// Descriptors looked at in one turn; the others come in the next.
const MAX_READY: usize = 64;
