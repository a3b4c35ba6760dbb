//! Paths that answer as scripted, and a clock that jumps to the next thing that happens.
//!
//! A script is one line: what the path answers to PERSISTENT RESERVE OUT, one word per command,
//! the last word for ever; behind a bar what a probe finds; behind another what it answers to
//! PERSISTENT RESERVE IN. `"busy good"`, `"hang | dead"`, `"good | usable | hang"`.
//! The map has a line of its own: what it answers to being suspended, and to being resumed.
//!
//! Every run checks what must hold for every transaction, whatever the answers are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use pr_policy::{
    Action, Answer, Command, Effects, Event, Options, Outcome, PathId, PathState, Request,
    Snapshot, Success, Ticket, Transaction,
};
use scsi_pr::{
    FullStatusDescriptor, InAction, ReadFullStatus, ReadKeys, ReadReservation, Reservation,
    ReservationKey, ReservationType, Scope, Sense, SenseKey, Status,
};

use crate::narrate;

/// How long an answer takes that is not late.
const LATENCY: Duration = Duration::from_millis(5);

/// How much later an echo comes: at a moment when nothing else is due.
const ECHO: Duration = Duration::from_millis(2);

/// How long after the deadline a map that was suspended may take to be resumed.
const RESUME_TIME: Duration = Duration::from_secs(5);

/// More than this many commands and probes on one path in one transaction are a runaway: five
/// states give it a command twice with five unit attentions each at most; and to each second a
/// busy path is asked once.
const MOST_ACTIONS_PER_PATH: u64 = 60;

/// A device and the paths to it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    pub(crate) options: Options,
    scripts: BTreeMap<PathId, Script>,
    map: VecDeque<String>,
    readings: Readings,
    /// Answers that were given up come after all, and every answer comes twice.
    pub(crate) echoes: bool,
}

#[derive(Debug, Clone)]
struct Script {
    out: VecDeque<String>,
    probe: VecDeque<String>,
    read: VecDeque<String>,
}

/// What the device says when it is read, one after the other, the last for ever.
#[derive(Debug, Clone)]
struct Readings {
    reservations: VecDeque<Option<Reservation>>,
    keys: VecDeque<Vec<u64>>,
    /// READ FULL STATUS; a device that does not report it has none.
    registrants: VecDeque<Vec<Registrant>>,
    /// One for each reading, the last for ever.
    generations: VecDeque<u32>,
}

/// A registration as READ FULL STATUS names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registrant {
    /// Its initiator port: those of our paths are numbered as they are.
    pub(crate) port: u64,
    pub(crate) key: u64,
    /// The type it holds, zero for none.
    pub(crate) holds: u8,
}

/// How a transaction went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) trace: String,
    /// The actions alone, with their times.
    pub(crate) actions: String,
    pub(crate) outcome: Outcome,
    pub(crate) effects: Effects,
    /// Whether a path was out of reach from the start.
    pub(crate) has_dead_paths: bool,
    /// The reservation that the transaction heard of last, if of any.
    pub(crate) last_reservation: Option<Option<Reservation>>,
}

/// Who an action is for, or an answer from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Path(PathId),
    Map,
}

/// What has become of the map's I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Flowing,
    Suspended,
    Resumed,
}

struct Stage {
    world: World,
    transaction: Transaction,
    now: Duration,
    due: BTreeMap<(Duration, u32), (Party, String, Event)>,
    sequence: u32,
    /// Actions without an answer: for whom, whether it is a read, when given up.
    outstanding: BTreeMap<Ticket, (Party, bool, Duration)>,
    tickets: BTreeSet<Ticket>,
    per_party: BTreeMap<Party, u64>,
    flow: Flow,
    run: Run,
    /// Reservations on their way, and the state that asked: a read that several paths were asked
    /// for ends with the first answer.
    readings: BTreeMap<Ticket, (&'static str, Option<Reservation>)>,
    shown_state: &'static str,
}

impl World {
    /// Usable paths 1, 2, … with these scripts; one that begins with `doubtful:` or `dead:` is
    /// not usable at the start.
    pub(crate) fn new(request: &Request, scripts: &[&str]) -> Self {
        let state = |script: &&str| match script.split_once(':') {
            Some(("doubtful", _)) => PathState::Doubtful,
            Some(("dead", _)) => PathState::Dead,
            _ => PathState::Usable,
        };
        let states: Vec<PathState> = scripts.iter().map(state).collect();
        let text = |script: &&str| Script::parse(script.split_once(':').map_or(*script, |s| s.1));
        Self {
            snapshot: narrate::map(&states),
            options: Options::for_request(request),
            scripts: (1..).map(PathId).zip(scripts.iter().map(text)).collect(),
            readings: Readings {
                reservations: [None].into(),
                keys: [Vec::new()].into(),
                registrants: VecDeque::new(),
                generations: [7].into(),
            },
            map: words("good"),
            echoes: false,
        }
    }

    /// What READ RESERVATION says, one reading after the other: key and type, a zero type for
    /// no reservation.
    pub(crate) fn reservations(mut self, readings: &[(u64, u8)]) -> Self {
        let reservation = |(key, reservation_type): &(u64, u8)| {
            (*reservation_type != 0).then_some(Reservation {
                key: ReservationKey(*key),
                scope: Scope::LOGICAL_UNIT,
                reservation_type: ReservationType(*reservation_type),
            })
        };
        self.readings.reservations = readings.iter().map(reservation).collect();
        self
    }

    /// What READ KEYS says.
    pub(crate) fn keys(mut self, keys: &[u64]) -> Self {
        self.readings.keys = [keys.to_vec()].into();
        self
    }

    /// What READ KEYS says, one reading after the other.
    pub(crate) fn keys_in_turn(mut self, readings: &[&[u64]]) -> Self {
        self.readings.keys = readings.iter().map(|keys| keys.to_vec()).collect();
        self
    }

    /// What READ FULL STATUS says, one reading after the other: port, key, type held.
    pub(crate) fn registrants(mut self, readings: &[&[(u64, u64, u8)]]) -> Self {
        let registrant = |(port, key, holds): &(u64, u64, u8)| Registrant {
            port: *port,
            key: *key,
            holds: *holds,
        };
        self.readings.registrants = readings
            .iter()
            .map(|reading| reading.iter().map(registrant).collect())
            .collect();
        self
    }

    /// PRGENERATION of each reading.
    pub(crate) fn generations(mut self, generations: &[u32]) -> Self {
        self.readings.generations = generations.iter().copied().collect();
        self
    }

    /// What comes of suspending the map, then of resuming it.
    pub(crate) fn map(mut self, script: &str) -> Self {
        self.map = words(script);
        self
    }

    fn has_dead_paths(&self) -> bool {
        let mut paths = self.snapshot.paths.iter();
        paths.any(|path| path.state == PathState::Dead)
    }

    pub(crate) fn run(self, request: Request) -> Run {
        let transaction = Transaction::new(request, self.snapshot.clone(), self.options);
        let has_dead_paths = self.has_dead_paths();
        Stage {
            world: self,
            transaction,
            now: Duration::ZERO,
            due: BTreeMap::new(),
            sequence: 0,
            outstanding: BTreeMap::new(),
            tickets: BTreeSet::new(),
            per_party: BTreeMap::new(),
            flow: Flow::Flowing,
            run: Run {
                trace: String::new(),
                actions: String::new(),
                outcome: Outcome::NoUsablePath,
                effects: Effects::default(),
                has_dead_paths,
                last_reservation: None,
            },
            readings: BTreeMap::new(),
            shown_state: "",
        }
        .play()
    }
}

impl Script {
    fn parse(text: &str) -> Self {
        let mut parts = text.split('|').map(words);
        Self {
            out: parts.next().expect("a script"),
            probe: parts.next().unwrap_or_else(|| words("usable")),
            read: parts.next().unwrap_or_else(|| words("good")),
        }
    }
}

impl Stage {
    fn play(mut self) -> Run {
        loop {
            while let Some(action) = self.transaction.poll_action() {
                self.begin(&action);
            }
            if let Some(outcome) = self.transaction.outcome() {
                self.run.outcome = outcome.clone();
                break;
            }
            assert!(
                self.now < self.latest(),
                "no outcome at the deadline\n{}",
                self.run.trace
            );
            self.step();
        }
        assert_ne!(
            self.flow,
            Flow::Suspended,
            "the map stays suspended\n{}",
            self.run.trace
        );
        assert!(
            self.now <= self.latest(),
            "ended too late\n{}",
            self.run.trace
        );
        self.run.effects = self.transaction.effects().clone();
        let end = format!(
            "= {}{}\n",
            narrate::outcome(&self.run.outcome),
            narrate::effects(&self.run.effects)
        );
        self.note(&end);
        self.run
    }

    /// When there must be an outcome: a map that was suspended is resumed whatever the time.
    fn latest(&self) -> Duration {
        let deadline = self.world.options.limits.deadline;
        match self.flow {
            Flow::Resumed => deadline + RESUME_TIME,
            Flow::Flowing | Flow::Suspended => deadline,
        }
    }

    /// The next answer, or the time the transaction asked to be woken.
    fn step(&mut self) {
        let timeout = self.transaction.poll_timeout();
        assert!(timeout >= self.now, "asked to be woken in the past");
        match self.due.first_key_value() {
            Some((at, _)) if at.0 <= timeout => {
                let ((at, _), (party, word, event)) = self.due.pop_first().expect("it is there");
                self.now = self.now.max(at);
                self.deliver(party, &word, event);
            }
            _ => {
                assert!(timeout > self.now, "woken without anything to do");
                self.now = timeout;
                self.transaction.handle_timeout(self.now);
            }
        }
    }

    fn deliver(&mut self, party: Party, word: &str, event: Event) {
        let ticket = match &event {
            Event::Answered { ticket, .. }
            | Event::Probed { ticket, .. }
            | Event::Suspended { ticket, .. }
            | Event::Resumed { ticket } => *ticket,
        };
        let is_awaited = self.outstanding.remove(&ticket).is_some();
        let mark = if is_awaited { "" } else { " (again)" };
        self.note(&format!("  {party} ► {word}{mark}\n"));
        if self.world.echoes && is_awaited {
            let at = self.now + ECHO;
            self.schedule(at, party, word.to_owned(), event.clone());
        }
        if let Some((asked_by, found)) = self.readings.remove(&ticket)
            && asked_by == self.transaction.state_name()
        {
            self.run.last_reservation = Some(found);
        }
        self.transaction.handle_event(self.now, event);
    }

    fn begin(&mut self, action: &Action) {
        let text = narrate::action(action);
        self.note(&format!("  {text}\n"));
        self.run.actions += &format!("{} {text}\n", self.now.as_millis());
        self.check(action);
        self.check_flow(action);
        let party = party_of(action);
        let (word, event) = match party {
            Party::Path(path) => self.answer(path, action),
            Party::Map => self.answer_for_map(action),
        };
        if let Some((event, latency)) = event {
            self.schedule(self.now + latency, party, word, event);
        }
    }

    fn schedule(&mut self, at: Duration, party: Party, word: String, event: Event) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), (party, word, event));
    }

    /// What must hold for every action of every transaction.
    fn check(&mut self, action: &Action) {
        let trace = &self.run.trace;
        let deadline = self.world.options.limits.deadline;
        let (ticket, is_read, give_up) = match action {
            Action::Send {
                ticket,
                command,
                give_up,
                ..
            } => (*ticket, matches!(command, Command::In(_)), *give_up),
            Action::Probe {
                ticket, give_up, ..
            } => (*ticket, false, *give_up),
            Action::Suspend { ticket } | Action::Resume { ticket } => (*ticket, false, deadline),
        };
        let party = party_of(action);
        let may_be_late = matches!(action, Action::Resume { .. });
        let now = self.now;
        assert!(may_be_late || now < deadline, "after the deadline\n{trace}");
        assert!(may_be_late || give_up > now, "given up too early\n{trace}");
        assert!(give_up <= deadline, "given up after the deadline\n{trace}");
        assert!(self.tickets.insert(ticket), "a ticket twice\n{trace}");
        let blocks = |(other, other_is_read, until): &(Party, bool, Duration)| {
            matches!(other, Party::Path(_))
                && *other == party
                && !other_is_read
                && !is_read
                && *until > now
        };
        assert!(
            !self.outstanding.values().any(blocks),
            "two commands at once on {party}\n{trace}"
        );
        self.outstanding.insert(ticket, (party, is_read, give_up));
        let count = self.per_party.entry(party).or_default();
        *count += 1;
        let most = MOST_ACTIONS_PER_PATH + deadline.as_secs();
        assert!(*count <= most, "a runaway\n{trace}");
    }

    /// The map is suspended once at most, and resumed once, as the last thing that is done.
    fn check_flow(&mut self, action: &Action) {
        let trace = &self.run.trace;
        self.flow = match (self.flow, action) {
            (Flow::Resumed, _) => panic!("something after the map was resumed\n{trace}"),
            (Flow::Flowing, Action::Suspend { .. }) => Flow::Suspended,
            (Flow::Suspended, Action::Suspend { .. }) => panic!("suspended twice\n{trace}"),
            (Flow::Flowing, Action::Resume { .. }) => panic!("resumed by mistake\n{trace}"),
            (Flow::Suspended, Action::Resume { .. }) => Flow::Resumed,
            (flow, Action::Send { .. } | Action::Probe { .. }) => flow,
        };
    }

    fn answer_for_map(&mut self, action: &Action) -> (String, Option<(Event, Duration)>) {
        let word = next(&mut self.world.map);
        let success = match word.as_str() {
            "good" | "slow" | "late" => Success::Yes,
            "no" => Success::No,
            "hang" => return (word, None),
            other => panic!("no such word: {other}"),
        };
        let event = match action {
            Action::Suspend { ticket } => Event::Suspended {
                ticket: *ticket,
                success,
            },
            Action::Resume { ticket } => Event::Resumed { ticket: *ticket },
            _ => panic!("not for the map"),
        };
        let latency = latency(&word);
        (word, Some((event, latency)))
    }

    fn answer(&mut self, path: PathId, action: &Action) -> (String, Option<(Event, Duration)>) {
        let script = self
            .world
            .scripts
            .get_mut(&path)
            .expect("a path with a script");
        match action {
            Action::Send {
                ticket, command, ..
            } => {
                let word = match command {
                    Command::In(_) => next(&mut script.read),
                    Command::Out { .. } => next(&mut script.out),
                };
                let latency = latency(&word);
                let answer = match (command, word.as_str()) {
                    (Command::In(cdb), "good" | "slow" | "late") => {
                        Some(self.read(*ticket, cdb.action, cdb.allocation_length))
                    }
                    _ => answered(&word),
                };
                let ticket = *ticket;
                let event = answer.map(|answer| Event::Answered { ticket, answer });
                (word, event.map(|event| (event, latency)))
            }
            Action::Probe { ticket, .. } => {
                let word = next(&mut script.probe);
                let event = probed(*ticket, &word).map(|event| (event, LATENCY));
                (word, event)
            }
            Action::Suspend { .. } | Action::Resume { .. } => panic!("not for a path"),
        }
    }

    fn read(&mut self, ticket: Ticket, action: InAction, room: u16) -> Answer {
        let readings = &mut self.world.readings;
        if action == InAction::READ_FULL_STATUS && readings.registrants.is_empty() {
            return answered("invalid").expect("it answers");
        }
        let asked_by = self.transaction.state_name();
        let generation = next(&mut readings.generations);
        let mut data = match action {
            InAction::READ_KEYS => {
                let keys = next(&mut readings.keys);
                let keys = keys.into_iter().map(ReservationKey).collect();
                ReadKeys::new(generation, keys).encode()
            }
            InAction::READ_RESERVATION => {
                let found = next(&mut readings.reservations);
                self.readings.insert(ticket, (asked_by, found));
                ReadReservation::new(generation, found).encode()
            }
            InAction::READ_FULL_STATUS => {
                let found = next(&mut readings.registrants);
                let reservation = held_by(&found);
                self.readings.insert(ticket, (asked_by, reservation));
                full_status(generation, &found)
            }
            other => panic!("{other} is not scripted"),
        };
        data.truncate(usize::from(room));
        good(data)
    }

    fn note(&mut self, line: &str) {
        let state = self.transaction.state_name();
        let shown = if state == self.shown_state { "" } else { state };
        self.shown_state = state;
        let line = format!("{:>6} {shown:<11}{line}", self.now.as_millis());
        self.run.trace += &line;
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.0.fmt(f),
            Self::Map => f.write_str("map"),
        }
    }
}

fn party_of(action: &Action) -> Party {
    match action {
        Action::Send { path, .. } | Action::Probe { path, .. } => Party::Path(*path),
        Action::Suspend { .. } | Action::Resume { .. } => Party::Map,
    }
}

/// The reservation that these registrations say.
pub(crate) fn held_by(registrants: &[Registrant]) -> Option<Reservation> {
    let holder = registrants.iter().find(|found| found.holds != 0)?;
    let reservation_type = ReservationType(holder.holds);
    let is_shared = reservation_type.is_all_registrants();
    Some(Reservation {
        key: ReservationKey(if is_shared { 0 } else { holder.key }),
        scope: Scope::LOGICAL_UNIT,
        reservation_type,
    })
}

/// What a device with these registrations answers to a read.
pub(crate) fn response(action: InAction, generation: u32, registrants: &[Registrant]) -> Vec<u8> {
    match action {
        InAction::READ_KEYS => {
            let keys = registrants.iter().map(|found| narrate::key(found.key));
            ReadKeys::new(generation, keys.collect()).encode()
        }
        InAction::READ_RESERVATION => {
            ReadReservation::new(generation, held_by(registrants)).encode()
        }
        _ => full_status(generation, registrants),
    }
}

/// READ FULL STATUS of these.
fn full_status(generation: u32, registrants: &[Registrant]) -> Vec<u8> {
    let descriptor = |found: &Registrant| FullStatusDescriptor {
        key: ReservationKey(found.key),
        all_tg_pt: false,
        holder: found.holds != 0,
        scope: Scope::LOGICAL_UNIT,
        reservation_type: ReservationType(found.holds),
        relative_target_port: 1,
        transport_id: narrate::port(found.port),
    };
    let descriptors = registrants.iter().map(descriptor).collect();
    ReadFullStatus::new(generation, descriptors).encode()
}

pub(crate) fn good(data: Vec<u8>) -> Answer {
    Answer::Status {
        status: Status::GOOD,
        sense: None,
        data,
    }
}

/// The answer a word stands for; `None` for one that never comes.
pub(crate) fn answered(word: &str) -> Option<Answer> {
    let status = |status| Answer::Status {
        status,
        sense: None,
        data: Vec::new(),
    };
    let check = |key, asc, ascq| Answer::Status {
        status: Status::CHECK_CONDITION,
        sense: Some(Sense::new(key, asc, ascq)),
        data: Vec::new(),
    };
    Some(match word {
        "good" | "slow" | "late" => status(Status::GOOD),
        "conflict" => status(Status::RESERVATION_CONFLICT),
        "busy" => status(Status::BUSY),
        "transition" => check(SenseKey::NOT_READY, 0x04, 0x0a),
        "standby" => check(SenseKey::NOT_READY, 0x04, 0x0b),
        "reset" => check(SenseKey::UNIT_ATTENTION, 0x29, 0x00),
        "preempted" | "late-preempted" => check(SenseKey::UNIT_ATTENTION, 0x2a, 0x05),
        "released" => check(SenseKey::UNIT_ATTENTION, 0x2a, 0x04),
        "invalid" => check(SenseKey::ILLEGAL_REQUEST, 0x24, 0x00),
        "wrong-type" => check(SenseKey::ILLEGAL_REQUEST, 0x26, 0x04),
        "full" => check(SenseKey::ILLEGAL_REQUEST, 0x55, 0x04),
        "lio-not-registered" => check(SenseKey::NOT_READY, 0x08, 0x00),
        "broken" => check(SenseKey::HARDWARE_ERROR, 0x44, 0x00),
        "not-sent" => Answer::NotSent,
        "lost" => Answer::Lost,
        "nonsense" => good(vec![0; 3]),
        "hang" => return None,
        other => panic!("no such word: {other}"),
    })
}

pub(crate) fn probed(ticket: Ticket, word: &str) -> Option<Event> {
    let state = match word {
        "usable" => PathState::Usable,
        "doubtful" => PathState::Doubtful,
        "dead" => PathState::Dead,
        "hang" => return None,
        other => panic!("no such word: {other}"),
    };
    Some(Event::Probed { ticket, state })
}

fn latency(word: &str) -> Duration {
    match word {
        "slow" => Duration::from_secs(3),
        "late" | "late-preempted" => Duration::from_secs(8),
        _ => LATENCY,
    }
}

fn words(text: &str) -> VecDeque<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The next in line; the last stays for ever.
fn next<T: Clone>(line: &mut VecDeque<T>) -> T {
    if line.len() > 1 {
        line.pop_front().expect("it has several")
    } else {
        line.front().expect("it has one").clone()
    }
}
