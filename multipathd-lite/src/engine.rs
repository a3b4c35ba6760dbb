//! The judgement of the daemon: events and the time in, tasks out. No I/O, no waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mpath_state::protocol::{Command, Reply};

use crate::ask::Ask;
use crate::event::Event;
use crate::model::{Activity, Model};
use crate::rules::Rules;
use crate::tasks::Task;

/// The state of the daemon and what it makes of events.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    #[expect(dead_code, reason = "the skeleton assembles no maps yet")]
    rules: Rules,
    tasks: VecDeque<Task>,
    answers: Vec<(crate::ReplyTo, Reply)>,
}

impl Engine {
    /// Knows nothing yet; its first tasks are to look.
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Self {
        Self {
            model: Arc::new(Model::new(now)),
            rules,
            tasks: VecDeque::new(),
            answers: Vec::new(),
        }
    }

    /// The state as it stands.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Takes in what happened.
    pub fn handle(&mut self, _now: Instant, event: Event) {
        match event {
            Event::Asked(ask) => self.asked(ask),
            Event::Checked(_) | Event::Reconfigure => {}
            Event::Shutdown => self.shut_down(),
        }
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Self::handle_timeout`] wants to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What to do next.
    pub fn poll_task(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    /// The answers that are due, once the state is published.
    pub fn take_answers(&mut self) -> Vec<(crate::ReplyTo, Reply)> {
        std::mem::take(&mut self.answers)
    }

    /// Whether the daemon is to end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.model.activity == Activity::ShuttingDown
    }

    fn asked(&mut self, ask: Ask) {
        let reply = match ask.command {
            Command::Shutdown => {
                self.shut_down();
                Reply::Ok
            }
            _ => Reply::Fail {
                detail: String::new(),
            },
        };
        self.answers.push((ask.reply, reply));
    }

    fn shut_down(&mut self) {
        Arc::make_mut(&mut self.model).activity = Activity::ShuttingDown;
    }
}

/// The longest time between two turns of the loop without anything to do.
pub const MAX_REST: Duration = Duration::from_secs(3600);
