//! How others speak to the loop: snapshots without waiting, and changes with an answer.

use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};

use mpath_state::protocol::{Command, Reply};
use nix::sys::eventfd::EventFd;

use crate::event::Event;
use crate::model::Model;

/// A change that a client wants.
#[derive(Debug)]
pub struct Ask {
    /// What it sent.
    pub command: Command,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

/// Takes the one answer to a question. It is called in the loop's thread and must not wait.
pub struct ReplyTo(Box<dyn FnOnce(Reply) + Send>);

impl ReplyTo {
    /// Calls `answer` with the reply.
    pub fn new(answer: impl FnOnce(Reply) + Send + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Gives the answer.
    pub fn answer(self, reply: Reply) {
        (self.0)(reply);
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// The loop as seen by all others.
#[derive(Debug, Clone)]
pub struct Handle {
    events: Sender<Event>,
    wake: Arc<EventFd>,
    published: Arc<Published>,
}

/// The newest snapshot.
#[derive(Debug)]
pub(crate) struct Published(RwLock<Arc<Model>>);

impl Published {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        Self(RwLock::new(model))
    }

    pub(crate) fn set(&self, model: Arc<Model>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = model;
    }

    fn model(&self) -> Arc<Model> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Handle {
    pub(crate) fn new(
        events: Sender<Event>,
        wake: Arc<EventFd>,
        published: Arc<Published>,
    ) -> Self {
        Self {
            events,
            wake,
            published,
        }
    }

    /// Everything as it stands; never waits.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Model> {
        self.published.model()
    }

    /// Asks for a change; never waits. If the loop has ended, the answer is `fail`, at once.
    pub fn ask(&self, command: Command, reply: ReplyTo) {
        self.send(Event::Asked(Ask { command, reply }));
    }

    /// Reads the configuration and looks at the whole host again.
    pub fn reconfigure(&self) {
        self.send(Event::Reconfigure);
    }

    /// Ends the loop; maps and registrations stay as they are.
    pub fn shutdown(&self) {
        self.send(Event::Shutdown);
    }

    pub(crate) fn send(&self, event: Event) {
        match self.events.send(event) {
            // It fails only if nobody has read for 2^64 events.
            Ok(()) => drop(self.wake.write(1)),
            Err(unsent) => {
                if let Event::Asked(ask) = unsent.0 {
                    let detail = "the daemon is about to end".to_owned();
                    ask.reply.answer(Reply::Fail { detail });
                }
            }
        }
    }
}
