//! Carries commands to paths and brings back one settled verdict for each.
//!
//! Retries that the standard or experience asks for happen here, so that the states of a
//! transaction see an answer only when nothing but a decision is left:
//!
//! ```text
//!   send ──► sent ── GOOD, conflict, refusal, failure ──────────────► settled
//!             │ ▲ ── unit attention (≤ 5) ──► sent again at once
//!             │ └─── busy, ALUA transition ──► resting ──► sent again
//!             └───── time is up ─────────────────────────────────────► settled: unreachable
//! ```
//!
//! An answer counts only for the sending that it answers: what is resting or given up has no
//! ticket any more.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use scsi_pr::{AnswerClass, Refusal, Sense, Status, UnitAttention};

use crate::limits::{
    FIRST_BACK_OFF, INSTANT, Limits, MAX_BACK_OFF, MAX_UNIT_ATTENTIONS, PROBE_PATIENCE,
    RESUME_PATIENCE, REVERSAL_SHARE, SLOW_BESIDE,
};
use crate::outcome::Outcome;
use crate::snapshot::{PathId, PathState};
use crate::task::{Company, Errand, Phase, Task};
use crate::wire::{Action, Answer, Command, Event, Success, Ticket};

/// Commands on their way.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    limits: Limits,
    now: Duration,
    actions: VecDeque<Action>,
    tasks: Vec<Task>,
    next_ticket: u32,
    alarm: Option<Duration>,
    news: Vec<News>,
    /// Set by the first BUSY: some arrays cannot take two registrations at once.
    one_at_a_time: bool,
    /// A registration was answered with BUSY while another was under way.
    is_busy_beside: bool,
    /// One was although no other was: it is busy with something else.
    is_busy_alone: bool,
    /// The longest that a registration took which was under way alone.
    longest_alone: Option<Duration>,
    /// The longest that one took beside another.
    longest_beside: Duration,
    /// How many took an instant beside another.
    quick_beside: u32,
}

/// What a unit attention said on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    /// The path that said so, if the answer was not late.
    pub(crate) path: Option<PathId>,
    pub(crate) attention: UnitAttention,
}

/// A path's last word on one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) path: PathId,
    pub(crate) verdict: Verdict,
}

/// What came of a command or a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// GOOD, with the data sent.
    Done(Vec<u8>),
    /// RESERVATION CONFLICT.
    Conflict,
    /// Another path may do.
    Unreachable(Silence),
    /// Every path would answer the same.
    Refused(Refusal, Reply),
    /// An answer that allows no conclusion.
    Failed(Reply),
    /// The state found by a probe; doubtful if the deadline came first.
    Probed(PathState),
    /// What became of the map.
    Map(MapChange),
}

/// What became of the map as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapChange {
    /// It is suspended.
    Suspended,
    /// It is not, or nobody knows.
    NotSuspended,
    /// It is not: there was no time left to ask.
    NotAsked,
    /// It was resumed.
    Resumed,
}

/// Why a path is unreachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The command was not executed; the answer that said so, if there was one.
    NotExecuted(Option<Reply>),
    /// The command may have been executed.
    Unknown,
}

/// Status and sense of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) sense: Option<Sense>,
}

/// How long a path that keeps asking for patience is sent the same command again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// As long as one silent sending would take: something else can be done then.
    Patience,
    /// As [`Self::Patience`], but no longer than [`Self::Reversible`].
    ReversiblePatience,
    /// Until just enough time is left to put back what was changed.
    Reversible,
    /// To the deadline: nothing is left to do without this path.
    Deadline,
}

impl Reply {
    /// Whether it says that the command was not executed and never will be.
    pub(crate) fn is_refusal(&self) -> bool {
        let class = scsi_pr::classify(self.status, self.sense.as_ref());
        matches!(class, AnswerClass::Refused(_))
    }

    /// Whether it says that the holder's reservation is of another type.
    pub(crate) fn is_invalid_release(&self) -> bool {
        let class = scsi_pr::classify(self.status, self.sense.as_ref());
        class == AnswerClass::Refused(Refusal::InvalidRelease)
    }

    /// The outcome of a request that ends with this answer.
    pub(crate) fn into_outcome(self, path: PathId) -> Outcome {
        Outcome::Answered {
            path,
            status: self.status,
            sense: self.sense,
        }
    }
}

impl Courier {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now: Duration::ZERO,
            actions: VecDeque::new(),
            tasks: Vec::new(),
            next_ticket: 0,
            alarm: None,
            news: Vec::new(),
            one_at_a_time: false,
            is_busy_beside: false,
            is_busy_alone: false,
            longest_alone: None,
            longest_beside: Duration::ZERO,
            quick_beside: 0,
        }
    }

    /// Sends a command; its verdict comes from one of the `handle_` methods.
    pub(crate) fn send(&mut self, path: PathId, command: Command, persistence: Persistence) {
        let patience = match command {
            Command::In(_) => self.limits.deadline,
            Command::Out { .. } => self.limits.path_patience,
        };
        self.begin(path, Errand::Command(command), patience, persistence);
    }

    /// Looks at a path; its verdict is [`Verdict::Probed`].
    pub(crate) fn probe(&mut self, path: PathId) {
        let patience = PROBE_PATIENCE.min(self.limits.path_patience);
        self.begin(path, Errand::Probe, patience, Persistence::Patience);
    }

    /// Suspends the map; the verdict is [`MapChange::Suspended`] or not.
    pub(crate) fn suspend(&mut self) {
        let patience = self.limits.path_patience;
        self.begin(THE_MAP, Errand::Suspend, patience, Persistence::Reversible);
    }

    /// Resumes the map, whatever the time; the verdict is [`MapChange::Resumed`].
    pub(crate) fn resume(&mut self) {
        let give_up = self.now.saturating_add(RESUME_PATIENCE);
        let ticket = self.next_ticket();
        let task = Task {
            ticket,
            path: THE_MAP,
            errand: Errand::Resume,
            phase: Phase::Sent,
            patience: RESUME_PATIENCE,
            give_up,
            sent_at: self.now,
            stop: give_up,
            company: Company::Alone,
            attentions: 0,
            back_off: FIRST_BACK_OFF,
        };
        self.actions.push_back(task.action());
        self.tasks.push(task);
    }

    /// Asks for an alarm after `delay`; only the last one asked for counts.
    pub(crate) fn set_alarm(&mut self, delay: Duration) {
        self.alarm = Some(self.now.saturating_add(delay));
    }

    pub(crate) fn clear_alarm(&mut self) {
        self.alarm = None;
    }

    /// Whether the alarm has gone off; it does so once.
    pub(crate) fn take_alarm(&mut self) -> bool {
        self.alarm.take_if(|at| *at <= self.now).is_some()
    }

    /// Forgets everything under way: late answers are ignored.
    pub(crate) fn drop_all(&mut self) {
        self.tasks.clear();
        self.actions.clear();
        self.alarm = None;
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a path has said that it cannot take so much at once.
    pub(crate) fn is_one_at_a_time(&self) -> bool {
        self.one_at_a_time
    }

    /// Whether that is the device's way: it was busy where it was given two registrations, and
    /// never where it was given one; or it took an instant for each that it was given alone, and
    /// seconds for all but one that it was given at once. Where more of those were quick, it takes
    /// several, and a path is slow.
    pub(crate) fn takes_one_at_a_time(&self) -> bool {
        let is_quick_alone = self.longest_alone.is_some_and(|took| took <= INSTANT);
        let is_slow_beside = self.longest_beside >= SLOW_BESIDE && self.quick_beside <= 1;
        self.is_busy_beside && !self.is_busy_alone || is_quick_alone && is_slow_beside
    }

    pub(crate) fn is_over_deadline(&self) -> bool {
        self.now >= self.limits.deadline
    }

    /// Takes note of the time; it never goes back.
    pub(crate) fn advance_to(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        core::mem::take(&mut self.news)
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_time`] has something to do next.
    pub(crate) fn poll_timeout(&self) -> Duration {
        let deadline = self.limits.deadline;
        let alarm = self.alarm.map(|alarm| alarm.min(deadline));
        let tasks = self.tasks.iter().map(Task::wakes_at);
        tasks.chain(alarm).min().unwrap_or(deadline)
    }

    /// Wakes what is due at the time last noted.
    pub(crate) fn handle_time(&mut self) -> Vec<Settled> {
        let (due, waiting) = core::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| task.wakes_at() <= self.now);
        self.tasks = waiting;
        let due: Vec<Task> = due;
        due.into_iter().filter_map(|task| self.wake(task)).collect()
    }

    pub(crate) fn handle_event(&mut self, event: Event) -> Option<Settled> {
        match event {
            Event::Answered { ticket, answer } => {
                match self.take(ticket, |errand| matches!(errand, Errand::Command(_))) {
                    Some(task) => self.judge(task, answer),
                    None => self.skim(&answer),
                }
            }
            Event::Probed { ticket, state } => {
                let task = self.take(ticket, |errand| matches!(errand, Errand::Probe))?;
                Some(Settled {
                    path: task.path,
                    verdict: Verdict::Probed(state),
                })
            }
            Event::Suspended { ticket, success } => {
                let task = self.take(ticket, |errand| matches!(errand, Errand::Suspend))?;
                let verdict = match success {
                    Success::Yes => Verdict::Map(MapChange::Suspended),
                    Success::No => Verdict::Map(MapChange::NotSuspended),
                };
                Some(Settled {
                    path: task.path,
                    verdict,
                })
            }
            Event::Resumed { ticket } => {
                let task = self.take(ticket, |errand| matches!(errand, Errand::Resume))?;
                Some(Settled {
                    path: task.path,
                    verdict: Verdict::Map(MapChange::Resumed),
                })
            }
        }
    }

    fn begin(
        &mut self,
        path: PathId,
        errand: Errand,
        patience: Duration,
        persistence: Persistence,
    ) {
        let deadline = self.limits.deadline;
        let reversible = deadline.saturating_sub(deadline / REVERSAL_SHARE);
        let stop = match persistence {
            Persistence::Patience => self.now.saturating_add(patience).min(deadline),
            Persistence::ReversiblePatience => self.now.saturating_add(patience).min(reversible),
            Persistence::Reversible => reversible,
            Persistence::Deadline => deadline,
        };
        self.dispatch(Task {
            ticket: Ticket(0),
            path,
            errand,
            phase: Phase::TooLate,
            patience,
            give_up: self.now,
            sent_at: self.now,
            stop,
            company: Company::Alone,
            attentions: 0,
            back_off: FIRST_BACK_OFF,
        });
    }

    fn dispatch(&mut self, mut task: Task) {
        if self.now >= task.stop {
            task.phase = Phase::TooLate;
            self.tasks.push(task);
            return;
        }
        task.ticket = self.next_ticket();
        task.phase = Phase::Sent;
        task.give_up = self.now.saturating_add(task.patience).min(task.stop);
        task.sent_at = self.now;
        self.actions.push_back(task.action());
        self.note_company(&mut task);
        self.tasks.push(task);
    }

    fn note_company(&mut self, task: &mut Task) {
        task.company = Company::Alone;
        if task.is_registering() {
            for other in self.tasks.iter_mut().filter(|other| other.is_registering()) {
                other.company = Company::Beside;
                task.company = Company::Beside;
            }
        }
    }

    fn note_pace(&mut self, task: &Task) {
        if !task.is_registering() {
            return;
        }
        let took = self.now.saturating_sub(task.sent_at);
        match task.company {
            Company::Alone => self.longest_alone = self.longest_alone.max(Some(took)),
            Company::Beside => {
                self.longest_beside = self.longest_beside.max(took);
                self.quick_beside += u32::from(took <= INSTANT);
            }
        }
    }

    fn next_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        ticket
    }

    fn take(&mut self, ticket: Ticket, is_kind: impl Fn(&Errand) -> bool) -> Option<Task> {
        let awaits = |task: &Task| {
            matches!(task.phase, Phase::Sent) && task.ticket == ticket && is_kind(&task.errand)
        };
        let at = self.tasks.iter().position(awaits)?;
        Some(self.tasks.swap_remove(at))
    }

    /// Nobody waits for this answer any more, but a unit attention is reported only once.
    fn skim(&mut self, answer: &Answer) -> Option<Settled> {
        if let Answer::Status { status, sense, .. } = answer
            && let AnswerClass::UnitAttention(news) = scsi_pr::classify(*status, sense.as_ref())
        {
            self.note_news(None, news);
        }
        None
    }

    fn note_news(&mut self, path: Option<PathId>, attention: UnitAttention) {
        if attention != UnitAttention::Other {
            self.news.push(News { path, attention });
        }
    }

    fn wake(&mut self, task: Task) -> Option<Settled> {
        let verdict = match (&task.phase, &task.errand) {
            (Phase::TooLate, Errand::Suspend) => Verdict::Map(MapChange::NotAsked),
            (_, Errand::Suspend) => Verdict::Map(MapChange::NotSuspended),
            (_, Errand::Resume) => Verdict::Map(MapChange::Resumed),
            // A probe that the deadline cut short says nothing about the path.
            (Phase::Sent | Phase::TooLate, Errand::Probe) if self.is_over_deadline() => {
                Verdict::Probed(PathState::Doubtful)
            }
            (Phase::Sent | Phase::TooLate, Errand::Probe) => Verdict::Probed(PathState::Dead),
            (Phase::TooLate, Errand::Command(_)) => {
                Verdict::Unreachable(Silence::NotExecuted(None))
            }
            (Phase::Sent, Errand::Command(_)) => Verdict::Unreachable(Silence::Unknown),
            (Phase::Resting { last, .. }, _) if task.stop <= self.now => {
                Verdict::Unreachable(Silence::NotExecuted(Some(last.clone())))
            }
            (Phase::Resting { .. }, _) => {
                self.wake_rested(task);
                return None;
            }
        };
        Some(Settled {
            path: task.path,
            verdict,
        })
    }

    fn wake_rested(&mut self, mut task: Task) {
        if task.is_out() && self.one_at_a_time && self.tasks.iter().any(Task::is_out_under_way) {
            let until = self.now.saturating_add(FIRST_BACK_OFF).min(task.stop);
            if let Phase::Resting { until: rest, .. } = &mut task.phase {
                *rest = until;
            }
            self.tasks.push(task);
        } else {
            self.dispatch(task);
        }
    }

    fn judge(&mut self, task: Task, answer: Answer) -> Option<Settled> {
        let path = task.path;
        let settle = |verdict| Some(Settled { path, verdict });
        let (status, sense, data) = match answer {
            Answer::Status {
                status,
                sense,
                data,
            } => (status, sense, data),
            Answer::NotSent => {
                return settle(Verdict::Unreachable(Silence::NotExecuted(None)));
            }
            Answer::Lost => return settle(Verdict::Unreachable(Silence::Unknown)),
        };
        let class = task.errand.classify(status, sense.as_ref());
        let reply = Reply { status, sense };
        match class {
            AnswerClass::Done => {
                self.note_pace(&task);
                settle(Verdict::Done(data))
            }
            AnswerClass::Conflict => settle(Verdict::Conflict),
            AnswerClass::UnitAttention(news) => {
                self.note_news(Some(path), news);
                self.repeat_at_once(task, reply)
            }
            AnswerClass::Busy => self.rest(task, reply),
            AnswerClass::Unreachable => {
                settle(Verdict::Unreachable(Silence::NotExecuted(Some(reply))))
            }
            AnswerClass::Refused(refusal) => settle(Verdict::Refused(refusal, reply)),
            AnswerClass::Failed => settle(Verdict::Failed(reply)),
        }
    }

    fn repeat_at_once(&mut self, mut task: Task, reply: Reply) -> Option<Settled> {
        task.attentions += 1;
        if task.attentions > MAX_UNIT_ATTENTIONS {
            return Some(Settled {
                path: task.path,
                verdict: Verdict::Failed(reply),
            });
        }
        self.dispatch(task);
        None
    }

    fn rest(&mut self, mut task: Task, last: Reply) -> Option<Settled> {
        self.one_at_a_time |= task.is_out() && last.status != Status::CHECK_CONDITION;
        if task.is_registering() && last.status == Status::BUSY {
            match task.company {
                Company::Beside => self.is_busy_beside = true,
                Company::Alone => self.is_busy_alone = true,
            }
        }
        let until = self.now.saturating_add(task.back_off).min(task.stop);
        task.back_off = (task.back_off * 2).min(MAX_BACK_OFF);
        task.phase = Phase::Resting { until, last };
        self.tasks.push(task);
        None
    }
}

/// Stands for the map itself where a path is named.
const THE_MAP: PathId = PathId(u32::MAX);
