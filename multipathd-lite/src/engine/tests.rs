//! The engine without a host: what is found and checked goes in by hand, orders come out.

mod failback;
mod leftovers;
mod looking;
mod maps;

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use dm_multipath::DeviceNumber;
use dm_multipath::map::{Map, MapPath};
use dm_multipath::scsi::{AccessState, ScsiDevice, ScsiState, Transport};
use dm_multipath::table::{MultipathStatus, PathState};
use dm_multipath::udev::UdevView;
use mpath_state::PrStatus;
use mpath_state::StoredKey;
use mpath_state::protocol::{Command, DeviceId, Reply, Verb};
use mpath_state::record::MapRecord;
use mpathpersist::{Settled, Verdict};
use scsi_pr::{ReservationKey, UnitAttention};

use super::Engine;
use crate::ask::{Ask, ReplyTo};
use crate::event::{BooksRead, Checked, Event, MapsRead, Scanned};
use crate::model::{CheckState, Settling};
use crate::rules::Rules;
use crate::tasks::{
    Deed, Fact, FoundMap, FoundPath, Question, ReadOrder, Recover, Task, WorkOrder, WorkReport,
    table,
};

const WWID: &str = "36001405000000000000000000000000";

/// An engine and a clock.
struct Stage {
    engine: Engine,
    now: Instant,
    registered: PrStatus,
    /// Paths that the kernel uses, and does not.
    kernel: Vec<(DeviceNumber, PathState)>,
}

fn path(number: u32) -> DeviceNumber {
    DeviceNumber::new(8, number * 16)
}

fn found(number: u32) -> FoundPath {
    let letter = char::from_u32('a' as u32 + number).unwrap();
    FoundPath {
        scsi: ScsiDevice {
            device: path(number),
            name: format!("sd{letter}"),
            hctl: format!("{number}:0:0:0").parse().unwrap(),
            vendor: "ACME".to_owned(),
            model: "Array".to_owned(),
            rev: "1".to_owned(),
            wwid: Some(WWID.to_owned()),
            state: ScsiState::RUNNING,
            access_state: Some(AccessState::OPTIMIZED),
            preferred: Some(false),
            transport: Transport::Iscsi,
            initiator_port: None,
            target_port: None,
            relative_target_port: None,
            target_port_group: None,
        },
        size: 8192,
        handler: Some("alua".to_owned()),
        node: "iqn.2026-11.test:array".to_owned(),
        udev: UdevView::Absent,
    }
}

impl Stage {
    /// A host with so many paths of one disk, all of them working, in a map.
    fn new(paths: u32, registered: PrStatus) -> Self {
        let mut stage = Self {
            registered,
            ..Self::empty()
        };
        let scanned = Scanned {
            paths: (0..paths).map(found).collect(),
            maps: MapsRead::default(),
            books: Vec::new(),
        };
        stage.handle(Event::Scanned(Box::new(scanned)));
        for number in 0..paths {
            stage.check(number, CheckState::Up);
        }
        let order = stage.order();
        assert_eq!(order.settle.len(), usize::try_from(paths).unwrap());
        stage.carry_out(&order, Verdict::Kept);
        assert_eq!(stage.orders().len(), 0);
        stage
    }

    /// A host that was not looked at yet.
    fn empty() -> Self {
        let now = Instant::now();
        let mut stage = Self {
            engine: Engine::new(rules(""), now),
            now,
            registered: PrStatus::Unset,
            kernel: Vec::new(),
        };
        stage.orders();
        stage
    }

    fn handle(&mut self, event: Event) {
        self.engine.handle(self.now, event);
        self.engine.handle_timeout(self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.engine.handle_timeout(self.now);
    }

    fn tasks(&mut self) -> Vec<Task> {
        std::iter::from_fn(|| self.engine.poll_task()).collect()
    }

    fn orders(&mut self) -> Vec<WorkOrder> {
        let orders = self.tasks().into_iter().filter_map(|task| match task {
            Task::Work(order) => Some(*order),
            _ => None,
        });
        orders.collect()
    }

    /// The one order that there is.
    fn order(&mut self) -> WorkOrder {
        let mut orders = self.orders();
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    fn messages(&mut self) -> Vec<String> {
        let texts = self.tasks().into_iter().filter_map(|task| match task {
            Task::Errand(errand) => match errand.deed {
                Deed::Message { text, .. } => Some(text),
                _ => None,
            },
            _ => None,
        });
        texts.collect()
    }

    fn check(&mut self, number: u32, state: CheckState) {
        self.check_with(number, state, None);
    }

    fn check_with(&mut self, number: u32, state: CheckState, attention: Option<UnitAttention>) {
        self.handle(Event::Checked(Checked {
            attention,
            ..checked(number, state)
        }));
    }

    /// Does what is ordered as a kernel would, with this verdict on every path.
    fn carry_out(&mut self, order: &WorkOrder, verdict: Verdict) {
        let settle = order.settle.iter();
        let settled: Vec<(DeviceNumber, Settled)> = settle
            .map(|device| {
                let steps = vec!["Validating"];
                (*device, Settled { verdict, steps })
            })
            .collect();
        if verdict == Verdict::Expelled {
            self.registered = PrStatus::Unset;
        }
        if let Some(assembly) = &order.assemble {
            let is_in =
                |device: DeviceNumber| verdict.is_settled() || !order.settle.contains(&device);
            let table = table::table(assembly, |member| is_in(member.device));
            self.kernel = table
                .paths()
                .map(|path| (path.device, PathState::Active))
                .collect();
        }
        let mut reinstated = Vec::new();
        if verdict.is_settled() {
            for (device, state) in &mut self.kernel {
                if order.reinstate.contains(device) {
                    *state = PathState::Active;
                    reinstated.push(*device);
                }
            }
        }
        let report = WorkReport {
            wwid: WWID.to_owned(),
            settled,
            reinstated,
            is_loaded: order.assemble.is_some(),
            named: Some("mpatha".to_owned()),
            is_recovered: order.recover != Recover::Nothing,
            found: Some(self.map()),
            books: Some(self.books()),
            ..WorkReport::default()
        };
        self.handle(Event::WorkDone(Box::new(report)));
    }

    /// The kernel has another opinion of a path.
    fn kernel_says(&mut self, number: u32, state: PathState) {
        for (device, known) in &mut self.kernel {
            if *device == path(number) {
                *known = state;
            }
        }
        let read = MapsRead {
            all: vec![DeviceNumber::new(253, 0)],
            changed: vec![self.map()],
        };
        self.handle(Event::MapsRead(Box::new(read)));
    }

    fn map(&self) -> FoundMap {
        let device = DeviceNumber::new(253, 0);
        let paths: Vec<MapPath> = self
            .kernel
            .iter()
            .map(|(device, dm_state)| MapPath {
                device: *device,
                group: 1,
                dm_state: *dm_state,
                fail_count: 0,
            })
            .collect();
        let count = paths.len();
        let words: String = paths
            .iter()
            .map(|path| format!(" {} 1", path.device))
            .collect();
        let states: String = paths
            .iter()
            .map(|path| format!(" {} {} 0", path.device, path.dm_state))
            .collect();
        let status: MultipathStatus = format!("2 0 0 0 1 1 A 0 {count} 0{states}")
            .parse()
            .unwrap();
        FoundMap {
            map: Map {
                device,
                name: "mpatha".to_owned(),
                uuid: format!("mpath-{WWID}"),
                size: 8192,
                suspended: false,
                status,
                paths,
            },
            table: format!("0 1 alua 1 1 service-time 0 {count} 1{words}")
                .parse()
                .unwrap(),
            event_nr: 1,
            read_only: false,
        }
    }

    fn books(&self) -> BooksRead {
        let mut record = MapRecord::new(WWID, "mpatha");
        record.registered = self.registered;
        if self.registered == PrStatus::Set {
            record.key = Some(StoredKey::new(ReservationKey(0xa)));
        }
        BooksRead {
            wwid: WWID.to_owned(),
            record: Some(record),
            configured: None,
            has_leftover: false,
        }
    }

    fn settling(&self, number: u32) -> Settling {
        self.engine.model().paths[&path(number)].settling
    }

    fn ask(&mut self, command: Command) -> Option<Reply> {
        self.begin_to_ask(command).try_recv().ok()
    }

    fn begin_to_ask(&mut self, command: Command) -> Receiver<Reply> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply = ReplyTo::new(move |reply| sender.send(reply).unwrap());
        self.handle(Event::Asked(Ask { command, reply }));
        self.answers();
        receiver
    }

    /// The one thing that was told is on the disk.
    fn written(&mut self) {
        self.handle(Event::ErrandDone {
            wwid: Some(WWID.to_owned()),
            deed: Deed::Remember {
                name: "mpatha".to_owned(),
                fact: Fact::NotRegistered,
            },
            reply: Reply::Ok,
            reply_to: None,
        });
    }

    fn answers(&mut self) {
        for (reply_to, reply) in self.engine.take_answers() {
            reply_to.answer(reply);
        }
    }
}

/// The end of a check that has nothing else to say.
fn checked(number: u32, state: CheckState) -> Checked {
    Checked {
        device: path(number),
        state,
        message: String::new(),
        attention: None,
        registrations: None,
        access: (None, None),
        is_pending: false,
    }
}

/// All disks become maps with names; and whatever else is configured.
fn rules(defaults: &str) -> Rules {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("multipath.conf");
    let text =
        format!("defaults {{\n find_multipaths greedy\n user_friendly_names yes\n{defaults}}}\n");
    std::fs::write(&main, text).unwrap();
    let host = mpathpersist::Host {
        config: mpath_state::config::ConfigFiles {
            main,
            dir: dir.path().join("conf.d"),
        },
        ..mpathpersist::Host::default()
    };
    let files = crate::rules::Files {
        bindings: dir.path().join("bindings"),
        wwids: dir.path().join("wwids"),
        ..crate::rules::Files::default()
    };
    Rules::load(&host, &files)
}

#[test]
fn a_path_that_comes_back_is_settled_before_it_is_reinstated() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.check(1, CheckState::Down);
    assert_eq!(stage.messages(), ["fail_path 8:16"]);
    stage.kernel_says(1, PathState::Failed);
    assert!(stage.orders().is_empty());
    stage.check(1, CheckState::Up);
    let order = stage.order();
    assert_eq!(
        (&order.settle, &order.reinstate),
        (&vec![path(1)], &vec![path(1)])
    );
    stage.carry_out(&order, Verdict::Registered);
    assert_eq!(stage.settling(1), Settling::Settled);
    assert_eq!(stage.engine.model().counters.registrations_repaired, 1);
    assert!(stage.orders().is_empty());
}

#[test]
fn a_path_that_cannot_be_settled_stays_out_and_is_tried_again() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.check(1, CheckState::Down);
    stage.kernel_says(1, PathState::Failed);
    stage.check(1, CheckState::Up);
    let order = stage.orders().remove(0);
    stage.carry_out(&order, Verdict::Unsettled);
    assert_eq!(stage.settling(1), Settling::Unsettled);
    assert!(stage.orders().is_empty());
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.order().reinstate, [path(1)]);
}

#[test]
fn a_path_that_dies_again_while_it_is_settled_is_not_taken_for_settled() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.check(1, CheckState::Down);
    stage.kernel_says(1, PathState::Failed);
    stage.check(1, CheckState::Up);
    let order = stage.orders().remove(0);
    stage.check(1, CheckState::Down);
    stage.tasks();
    stage.carry_out(&order, Verdict::Kept);
    assert_eq!(stage.settling(1), Settling::Pending);
    assert_eq!(stage.messages(), ["fail_path 8:16"]);
}

#[test]
fn one_piece_of_work_at_a_time() {
    let mut stage = Stage::new(3, PrStatus::Set);
    for number in [1, 2] {
        stage.check(number, CheckState::Down);
        stage.kernel_says(number, PathState::Failed);
    }
    stage.check(1, CheckState::Up);
    let first = stage.orders().remove(0);
    stage.check(2, CheckState::Up);
    assert!(stage.orders().is_empty());
    stage.carry_out(&first, Verdict::Registered);
    assert_eq!(stage.order().settle, [path(2)]);
}

#[test]
fn news_of_a_preemption_is_followed_up_at_once() {
    let mut stage = Stage::new(2, PrStatus::Set);
    let news = UnitAttention::RegistrationsPreempted;
    stage.check_with(0, CheckState::Up, Some(news));
    let order = stage.order();
    assert!(order.look_for_holder);
    assert_eq!(order.settle, [path(0)]);
    stage.carry_out(&order, Verdict::Expelled);
    let map = &stage.engine.model().maps[WWID];
    assert_eq!(
        (map.pr.preemptions, map.pr.registered),
        (1, PrStatus::Unset)
    );
    assert!(map.pr.preempted_at.is_some());
    // The others are told to drop what they may still carry.
    assert_eq!(stage.order().settle, [path(0), path(1)]);
}

#[test]
fn dead_paths_of_a_registered_map_are_checked_within_a_second() {
    let mut stage = Stage::new(1, PrStatus::Set);
    stage.check(0, CheckState::Down);
    let schedule = stage.engine.model().paths[&path(0)].schedule;
    assert!(schedule.interval <= Duration::from_secs(1), "{schedule:?}");
    let mut stage = Stage::new(1, PrStatus::Unset);
    stage.check(0, CheckState::Down);
    let schedule = stage.engine.model().paths[&path(0)].schedule;
    assert_eq!(schedule.interval, Duration::from_secs(5));
}

#[test]
fn healthy_paths_are_checked_for_ever_at_growing_intervals() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let due = stage.engine.poll_timeout().unwrap();
        waits.push((due - stage.now).as_secs());
        stage.now = due;
        stage.pass(Duration::ZERO);
        let is_check = |task: &Task| matches!(task, Task::Check(_));
        assert!(stage.tasks().iter().any(is_check));
        stage.check(0, CheckState::Up);
    }
    // Up to 5, 10 and 20 s, at the path's own place among all others.
    let growing = waits.iter().zip([5, 10, 20, 20, 20, 20]);
    assert!(
        growing.clone().all(|(wait, most)| *wait <= most),
        "{waits:?}"
    );
    assert_eq!(waits[4..], [20, 20]);
}

#[test]
fn a_path_that_mpathpersist_did_not_reach_is_kept_from_io() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    let command = Command::SetPrStatus {
        map: "mpatha".to_owned(),
        paths: vec![DeviceId { major: 8, minor: 0 }],
    };
    assert_eq!(stage.ask(command), Some(Reply::Ok));
    assert_eq!(stage.messages(), ["fail_path 8:16"]);
    assert_eq!(stage.settling(0), Settling::Settled);
    assert_eq!(stage.settling(1), Settling::Pending);
    assert_eq!(stage.engine.model().maps[WWID].pr.registered, PrStatus::Set);
}

#[test]
fn a_client_waits_for_the_end_of_the_work() {
    let mut stage = Stage::new(2, PrStatus::Set);
    let reload = || Command::Map(Verb::Reload, "dm-0".to_owned());
    let receiver = stage.begin_to_ask(reload());
    assert!(receiver.try_recv().is_err());
    let order = stage.order();
    stage.carry_out(&order, Verdict::Kept);
    stage.answers();
    assert_eq!(receiver.try_recv(), Ok(Reply::Ok));
    let unknown = stage.ask(Command::Map(Verb::Reload, "nobody".to_owned()));
    assert!(matches!(unknown, Some(Reply::Fail { .. })), "{unknown:?}");
}

#[test]
fn a_path_that_is_gone_leaves_the_table_and_a_new_one_joins_it() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.handle(Event::PathRead {
        device: path(1),
        found: None,
    });
    let order = stage.order();
    let assembly = order.assemble.clone().unwrap();
    assert_eq!(assembly.paths.len(), 1);
    stage.carry_out(&order, Verdict::Kept);
    stage.handle(Event::PathRead {
        device: path(2),
        found: Some(Box::new(found(2))),
    });
    assert!(stage.orders().is_empty(), "it is checked first");
    stage.check(2, CheckState::Up);
    let order = stage.order();
    assert_eq!(order.settle, [path(2)]);
    assert_eq!(order.assemble.unwrap().paths.len(), 2);
}

#[test]
fn registrations_are_counted_and_missing_ones_looked_into() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.pass(Duration::from_secs(6));
    let counts: Vec<DeviceNumber> = stage
        .tasks()
        .into_iter()
        .filter_map(|task| match task {
            Task::Check(order) if order.question != Question::Ready => Some(order.device),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [], "both paths are being checked");
    stage.check(0, CheckState::Up);
    let is_count = |task: &Task| {
        let expected = Question::Registrations(ReservationKey(0xa));
        matches!(task, Task::Check(order) if order.question == expected)
    };
    assert_eq!(
        stage.tasks().iter().filter(|task| is_count(task)).count(),
        1
    );
    let mut counted = |registrations| {
        stage.handle(Event::Checked(Checked {
            registrations: Some(registrations),
            ..checked(0, CheckState::Up)
        }));
        stage.orders()
    };
    assert!(counted(2).is_empty());
    let orders = counted(1);
    assert_eq!(orders[0].settle, [path(0)]);
    assert!(orders[0].look_for_holder);
}

/// Whether the array prefers a path is not read where it does not matter.
#[test]
fn what_was_not_read_of_a_path_is_as_before() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    let mut after = |access| {
        stage.handle(Event::Checked(Checked {
            access,
            ..checked(0, CheckState::Up)
        }));
        let path = &stage.engine.model().paths[&path(0)];
        (path.scsi.access_state.clone(), path.scsi.preferred)
    };
    let (best, other) = (Some(AccessState::OPTIMIZED), Some(AccessState::STANDBY));
    assert_eq!(after((best.clone(), None)), (best.clone(), Some(false)));
    assert_eq!(
        after((other.clone(), Some(true))),
        (other.clone(), Some(true))
    );
    assert_eq!(after((best.clone(), None)), (best.clone(), Some(true)));
    assert_eq!(after((None, None)), (best, Some(true)));
}

/// When paths are checked, and this process is awake anyway.
#[test]
fn registrations_are_counted_at_whole_seconds() {
    let mut stage = Stage::new(2, PrStatus::Set);
    let counts = |stage: &mut Stage| {
        let is_count =
            |task: &Task| matches!(task, Task::Check(order) if order.question != Question::Ready);
        stage.tasks().iter().filter(|task| is_count(task)).count()
    };
    stage.pass(Duration::from_millis(5600));
    stage.check(0, CheckState::Up);
    assert_eq!(counts(&mut stage), 1);
    stage.check(0, CheckState::Up);
    stage.check(1, CheckState::Up);
    stage.pass(Duration::from_millis(4399));
    assert_eq!(counts(&mut stage), 0);
    stage.check(0, CheckState::Up);
    stage.pass(Duration::from_millis(1));
    assert_eq!(counts(&mut stage), 1);
}

/// While all its paths are being checked there is none to ask, and the first that is free is asked.
#[test]
fn a_count_waits_for_a_path() {
    let mut stage = Stage::new(1, PrStatus::Set);
    let questions = |stage: &mut Stage| {
        let question = |task| match task {
            Task::Check(order) => Some(order.question),
            _ => None,
        };
        let tasks = stage.tasks().into_iter();
        tasks.filter_map(question).collect::<Vec<_>>()
    };
    let count = Question::Registrations(ReservationKey(0xa));
    // Its check is due before the registrations are to be counted, and takes longer than that.
    stage.pass(Duration::from_millis(4999));
    assert_eq!(questions(&mut stage), [Question::Ready]);
    stage.pass(Duration::from_millis(1));
    assert!(questions(&mut stage).is_empty());
    stage.pass(Duration::from_secs(7));
    stage.check(0, CheckState::Up);
    assert_eq!(questions(&mut stage), [count]);
}

#[test]
fn a_path_in_use_that_cannot_be_settled_is_taken_out_if_there_is_another() {
    let mut stage = Stage::new(2, PrStatus::Set);
    for number in [0, 1] {
        let news = UnitAttention::RegistrationsPreempted;
        stage.check_with(number, CheckState::Up, Some(news));
    }
    let first = stage.orders().remove(0);
    assert_eq!(first.settle, [path(0)]);
    stage.carry_out(&first, Verdict::Kept);
    let second = stage.orders().remove(0);
    assert_eq!(second.settle, [path(1)]);
    stage.carry_out(&second, Verdict::Unsettled);
    assert_eq!(stage.messages(), ["fail_path 8:16"]);
}

#[test]
fn a_path_that_a_client_removed_is_added_by_a_client_only() {
    let mut stage = Stage::new(3, PrStatus::Set);
    let command = |verb| Command::Path(verb, "sdb".to_owned());
    assert_eq!(stage.ask(command(Verb::Remove)), Some(Reply::Ok));
    let order = stage.order();
    assert_eq!(order.assemble.as_ref().unwrap().paths.len(), 2);
    stage.carry_out(&order, Verdict::Kept);
    let found_again = |number| Event::PathRead {
        device: path(number),
        found: Some(Box::new(found(number))),
    };
    stage.handle(found_again(0));
    stage.handle(found_again(1));
    assert!(stage.orders().is_empty());
    assert_eq!(stage.ask(command(Verb::Add)), Some(Reply::Ok));
    stage.handle(found_again(1));
    assert_eq!(stage.order().settle, [path(1)]);
}

#[test]
fn a_node_that_unregisters_takes_the_keys_off_all_paths() {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.registered = PrStatus::Unset;
    let unset = Command::UnsetPrStatus("mpatha".to_owned());
    assert_eq!(stage.ask(unset), Some(Reply::Ok));
    assert_eq!(
        stage.engine.model().maps[WWID].pr.registered,
        PrStatus::Unset
    );
    assert_eq!(stage.orders().len(), 0, "before it is written down");
    stage.written();
    assert_eq!(stage.order().settle, [path(0), path(1)]);
}

/// Who works on the map reads what is written down, not what was told.
#[test]
fn what_was_told_is_written_down_before_anybody_acts_on_it() {
    let mut stage = Stage::new(2, PrStatus::Set);
    let reinstate = Command::Path(Verb::Reinstate, "8:16".to_owned());
    let first = stage.begin_to_ask(reinstate.clone());
    let early = stage.order();
    stage.registered = PrStatus::Unset;
    let unset = Command::UnsetPrStatus("mpatha".to_owned());
    assert_eq!(stage.ask(unset), Some(Reply::Ok));
    stage.registered = PrStatus::Set;
    stage.carry_out(&early, Verdict::Kept);
    assert_eq!(stage.settling(1), Settling::Pending);
    stage.answers();
    assert_eq!(first.try_recv(), Ok(Reply::Ok));
    let second = stage.begin_to_ask(reinstate);
    assert_eq!(stage.orders().len(), 0, "before it is written down");
    stage.registered = PrStatus::Unset;
    stage.written();
    let order = stage.order();
    assert_eq!(order.settle, [path(0), path(1)]);
    assert!(second.try_recv().is_err());
    stage.carry_out(&order, Verdict::Unregistered);
    stage.answers();
    assert_eq!(second.try_recv(), Ok(Reply::Ok));
    assert_eq!(stage.settling(1), Settling::Settled);
}

/// A scan that ended at the same moment made the daemon idle again, and it never ended.
#[test]
fn the_end_is_the_end() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    stage.handle(Event::Reconfigure);
    stage.handle(Event::Shutdown);
    stage.handle(Event::Scanned(Box::default()));
    assert!(stage.engine.has_ended());
}

/// A thousand maps are not looked at again because one path is as it was.
#[test]
fn a_check_without_news_asks_for_nothing_but_the_next() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    stage.pass(Duration::from_secs(6));
    assert_eq!(stage.tasks().len(), 2);
    let shown = Duration::from_secs(60);
    stage.engine.poll_publication(shown);
    let next = |stage: &Stage| stage.engine.poll_timeout();
    stage.handle(up(0));
    assert_eq!(stage.tasks().len(), 0);
    assert!(next(&stage).is_some_and(|next| next > stage.now));
    assert!(stage.engine.poll_publication(Duration::ZERO).is_none());
    assert!(stage.engine.poll_publication(shown).is_some());
    // Whatever is not as it was is seen soon, and before anybody is answered.
    stage.check(1, CheckState::Down);
    let soon = Duration::from_millis(20);
    assert_eq!(
        stage.engine.next_publication(stage.now),
        Some(stage.now + soon)
    );
    assert!(stage.engine.poll_publication(Duration::ZERO).is_none());
    assert!(stage.engine.poll_publication(soon).is_some());
    stage.handle(Event::Asked(Ask {
        command: Command::Maps(Verb::DisableQueueing),
        reply: ReplyTo::new(|_| {}),
    }));
    assert!(stage.engine.poll_publication(Duration::ZERO).is_some());
}

/// Too many others hang, or the process that asked was killed: that says nothing of the path, and
/// the kernel has the word.
#[test]
fn a_path_that_cannot_be_asked_stays_what_it_was() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    let state = |stage: &Stage| stage.engine.model().paths[&path(0)].check;
    stage.check(0, CheckState::Unchecked);
    assert_eq!(state(&stage), CheckState::Up);
    stage.kernel_says(0, PathState::Failed);
    stage.check(0, CheckState::Unchecked);
    assert_eq!(state(&stage), CheckState::Down);
}

fn up(number: u32) -> Event {
    Event::Checked(checked(number, CheckState::Up))
}
