//! A look at everything registered on a map, which changes nothing: what a person or a monitor
//! wants to know between the commands.
//!
//! The machine is driven like a [`Transaction`](crate::Transaction), but needs no lock: it only
//! reads. A path that keeps silent is gone around, and asked last from then on.

use alloc::vec::Vec;
use core::time::Duration;

use crate::appraisal::{Appraisal, Standing};
use crate::census::CensusReading;
use crate::courier::{Courier, Settled};
use crate::evidence::Census;
use crate::job::Job;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::reading::Progress;
use crate::request::census_request;
use crate::snapshot::{PathId, Snapshot};
use crate::transaction::Options;
use crate::wire::{Action, Event};

/// Waits for the registrations and the reservation.
#[derive(Debug, Clone)]
pub struct Look {
    courier: Courier,
    job: Job,
    step: Step,
    silent: Vec<PathId>,
}

#[derive(Debug, Clone)]
enum Step {
    Reading(CensusReading),
    Seen(Census),
    Failed(Outcome),
}

impl Look {
    /// Begins to read, through the best paths first.
    #[must_use]
    pub fn new(snapshot: Snapshot, limits: Limits) -> Self {
        let request = census_request();
        let options = Options {
            limits,
            ..Options::for_request(&request)
        };
        let job = Job::new(request, snapshot, options);
        let mut courier = Courier::new(limits);
        let step = Step::of(CensusReading::start(&job, &mut courier));
        Self {
            courier,
            job,
            step,
            silent: Vec::new(),
        }
    }

    /// What to do next; every action is answered by an event, unless the end comes first.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.courier.poll_action()
    }

    /// When [`Self::handle_timeout`] wants to be called, if no event comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.courier.poll_timeout()
    }

    /// Takes in what happened.
    pub fn handle_event(&mut self, now: Duration, event: Event) {
        self.courier.advance_to(now);
        if let Some(settled) = self.courier.handle_event(event) {
            self.settle(settled);
        }
        self.handle_timeout(now);
    }

    /// Takes in that time has passed. Once the deadline is reached it is over.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.courier.advance_to(now);
        loop {
            let settled = self.courier.handle_time();
            let is_quiet = settled.is_empty();
            for settled in settled {
                self.settle(settled);
            }
            if self.courier.take_alarm() {
                self.lose_patience();
            } else if is_quiet {
                break;
            }
        }
    }

    /// What it waits for, or how it ended, in one word.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match self.step {
            Step::Reading(_) => "Reading",
            Step::Seen(_) => "Seen",
            Step::Failed(_) => "Failed",
        }
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.step, Step::Reading(_))
    }

    /// Paths that let others answer first.
    #[must_use]
    pub fn silent(&self) -> &[PathId] {
        &self.silent
    }

    /// What was seen, held against what this node is and is to be.
    ///
    /// # Errors
    /// Nothing could be read: why not.
    pub fn appraise(&self, standing: &Standing) -> Result<Appraisal, Outcome> {
        match &self.step {
            Step::Seen(census) => Ok(Appraisal::new(census, &self.job, standing)),
            Step::Failed(outcome) => Err(outcome.clone()),
            Step::Reading(_) => Err(Outcome::NoUsablePath),
        }
    }

    fn settle(&mut self, settled: Settled) {
        self.advance(|reading, job, courier| reading.handle(settled, job, courier));
    }

    fn lose_patience(&mut self) {
        if let Step::Reading(reading) = &self.step {
            let silent = reading.asked().to_vec();
            self.job.demote(&silent);
            let new = silent.iter().filter(|path| !self.silent.contains(path));
            let new: Vec<PathId> = new.copied().collect();
            self.silent.extend(new);
        }
        self.advance(CensusReading::handle_alarm);
    }

    fn advance(
        &mut self,
        step: impl FnOnce(
            CensusReading,
            &Job,
            &mut Courier,
        ) -> Progress<CensusReading, Result<Census, Outcome>>,
    ) {
        let before = core::mem::replace(&mut self.step, Step::Failed(Outcome::NoUsablePath));
        self.step = match before {
            Step::Reading(reading) => Step::of(step(reading, &self.job, &mut self.courier)),
            over => over,
        };
        if self.is_over() {
            self.courier.drop_all();
        }
    }
}

impl Step {
    fn of(progress: Progress<CensusReading, Result<Census, Outcome>>) -> Self {
        match progress {
            Progress::Waiting(reading) => Self::Reading(reading),
            Progress::Ended(Ok(census)) => Self::Seen(census),
            Progress::Ended(Err(outcome)) => Self::Failed(outcome),
        }
    }
}
