//! One request, carried out on one map: events in, actions out.
//!
//! The methods are of four kinds. *Commands*: [`Transaction::new`]. *Outputs*:
//! [`Transaction::poll_action`], [`Transaction::poll_timeout`]. *Inputs*:
//! [`Transaction::handle_event`], [`Transaction::handle_timeout`]. *Getters*: the rest. Time is
//! what the caller says it is: a [`Duration`] since the transaction was made.
//!
//! ```text
//!   let mut transaction = Transaction::new(request, snapshot, options);
//!   loop {
//!       while let Some(action) = transaction.poll_action() { start(action) }
//!       if let Some(outcome) = transaction.outcome() { break }
//!       match wait_for_event_until(transaction.poll_timeout()) {
//!           Some(event) => transaction.handle_event(now(), event),
//!           None => transaction.handle_timeout(now()),
//!       }
//!   }
//! ```

use core::time::Duration;

use crate::courier::{Courier, Settled};
use crate::job::Job;
use crate::limits::Limits;
use crate::outcome::{Effects, Outcome};
use crate::request::Request;
use crate::snapshot::{Before, Snapshot};
use crate::state::State;
use crate::wire::{Action, Event};

/// A request on its way through the paths of a map.
#[derive(Debug, Clone)]
pub struct Transaction {
    courier: Courier,
    job: Job,
    state: State,
}

/// What the caller chooses beside the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Time limits.
    pub limits: Limits,
    /// How registrations spread over the paths.
    pub fan_out: FanOut,
    /// What to do when it cannot be told whose a registration is.
    pub doubt: Doubt,
    /// Whether somebody asked for it.
    pub occasion: Occasion,
    /// A deliberate mistake, for the world.
    #[cfg(feature = "world")]
    pub mutation: Option<crate::mutation::Mutation>,
}

/// Why a request is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody asked for it.
    #[default]
    Asked,
    /// It was cut off, and is what [`recovery`](crate::recovery()) makes of it.
    Recovery,
}

/// What to do without evidence that a registration or reservation is this node's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Doubt {
    /// Leave it alone and say so.
    #[default]
    Refuse,
    /// Act as if it were ours.
    Override,
}

/// How registrations spread over the paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// All paths at once, after the first has accepted.
    Parallel,
    /// One path after the other, for arrays that cannot take two registrations at once.
    Sequential,
}

impl Options {
    /// What suits the request when nobody says otherwise.
    #[must_use]
    pub fn for_request(request: &Request) -> Self {
        let limits = match request {
            Request::Read(_) => Limits::IN,
            _ => Limits::OUT,
        };
        Self {
            limits,
            fan_out: FanOut::Parallel,
            doubt: Doubt::Refuse,
            occasion: Occasion::Asked,
            #[cfg(feature = "world")]
            mutation: None,
        }
    }
}

impl Transaction {
    /// Begins a request on the map as it stands; its lock must be held from before the snapshot
    /// was taken until the outcome has been recorded.
    #[must_use]
    pub fn new(request: Request, snapshot: Snapshot, options: Options) -> Self {
        let mut courier = Courier::new(options.limits);
        let mut job = Job::new(request, snapshot, options);
        let state = State::start(&mut job, &mut courier);
        let mut transaction = Self {
            courier,
            job,
            state,
        };
        // Without any time to spend, the outcome is there at once.
        transaction.handle_timeout(Duration::ZERO);
        transaction
    }

    /// What to do next; every action is answered by an event, unless the outcome comes first.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.courier.poll_action()
    }

    /// When [`Self::handle_timeout`] wants to be called, if no event comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.courier.poll_timeout()
    }

    /// Takes in what happened. An answer that was given up is ignored; one that is there counts,
    /// although its time may have run out while nobody looked.
    pub fn handle_event(&mut self, now: Duration, event: Event) {
        self.courier.advance_to(now);
        let settled = self.courier.handle_event(event);
        self.settle(settled);
        self.handle_timeout(now);
    }

    /// Takes in that time has passed. Once the deadline is reached there is an outcome, or, where
    /// the map was suspended, nothing left to do but to resume it.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.courier.advance_to(now);
        loop {
            let settled = self.courier.handle_time();
            let is_quiet = settled.is_empty();
            self.settle(settled);
            if self.courier.take_alarm() {
                self.advance(|state, job, courier| state.handle_alarm(job, courier));
            } else if is_quiet {
                break;
            }
        }
    }

    /// How the request ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// What the transaction waits for, in one word: for logs and for tables of its states.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    /// What has changed so far.
    #[must_use]
    pub fn effects(&self) -> &Effects {
        &self.job.effects
    }

    /// What there was before this node began to register, once that is known. The journal has to
    /// say so before the next action is carried out: it tells whoever
    /// [recovers](crate::recovery()) whether another node has taken registrations away since.
    #[must_use]
    pub fn before(&self) -> Option<Before> {
        let before_change = self.job.before_change.as_ref().map(|standing| Before {
            registrations: standing.old.count + standing.new.count,
            generation: standing.generation,
            key: self.job.remembered_key,
        });
        before_change.or(self.job.before_move)
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.job.request
    }

    fn settle(&mut self, settled: impl IntoIterator<Item = Settled>) {
        for settled in settled {
            self.advance(|state, job, courier| state.handle(settled, job, courier));
        }
        self.job.note_news(self.courier.take_news());
        self.job.effects.takes_one_at_a_time = self.courier.takes_one_at_a_time();
    }

    fn advance(&mut self, step: impl FnOnce(State, &mut Job, &mut Courier) -> State) {
        let state = core::mem::replace(&mut self.state, State::Finished(Outcome::NoUsablePath));
        self.state = step(state, &mut self.job, &mut self.courier);
        if matches!(self.state, State::Finished(_)) {
            self.courier.drop_all();
        }
    }
}
