//! What maps are called, how they are put together, and what becomes of them.

use super::*;
use crate::model::Queueing;
use crate::rules::Naming;
use crate::tasks::{Effort, Removal};

fn reconfigure(stage: &mut Stage, defaults: &str) {
    stage.handle(Event::RulesRead(Box::new(rules(defaults))));
    let scanned = Scanned {
        paths: stage
            .kernel
            .iter()
            .map(|(device, _)| found(device.minor / 16))
            .collect(),
        maps: MapsRead {
            all: vec![DeviceNumber::new(253, 0)],
            changed: vec![stage.map()],
        },
        books: Vec::new(),
    };
    stage.handle(Event::Scanned(Box::new(scanned)));
}

#[test]
fn another_configuration_is_compared_with_the_kernels_table_once() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    reconfigure(&mut stage, "path_selector \"round-robin 0\"\n");
    let order = stage.order();
    let assembly = order.assemble.clone().unwrap();
    assert_eq!(assembly.rules.selector, "round-robin 0");
    assert_eq!(assembly.effort, Effort::IfDifferent);
    // The bindings file may be another one as well.
    let prefix = "mpath".to_owned();
    assert_eq!(order.rename, Some(Naming::NextFree { prefix }));
    stage.carry_out(&order, Verdict::Kept);
    assert!(stage.orders().is_empty());
}

#[test]
fn a_map_gets_the_name_that_is_configured_now() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    reconfigure(&mut stage, "user_friendly_names no\n");
    let order = stage.order();
    assert_eq!(order.rename, Some(Naming::Fixed(WWID.to_owned())));
    // It did not work: it is tried again when the configuration is read again.
    stage.carry_out(&order, Verdict::Kept);
    stage.pass(Duration::from_secs(60));
    stage.check(0, CheckState::Up);
    assert!(stage.orders().is_empty());
}

#[test]
fn a_map_that_has_lost_all_paths_goes_unless_it_is_in_use() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    stage.handle(Event::PathRead {
        device: path(0),
        found: None,
    });
    let order = stage.order();
    assert_eq!(order.remove, Some(Removal::NoPaths));
    // It is in use.
    stage.carry_out(&order, Verdict::Kept);
    assert!(stage.orders().is_empty());
    stage.pass(Duration::from_secs(5));
    assert_eq!(stage.order().remove, Some(Removal::NoPaths));
}

#[test]
fn a_reload_that_a_client_wants_is_one() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    stage.ask(Command::Map(Verb::Reload, "mpatha".to_owned()));
    let assembly = stage.order().assemble.unwrap();
    assert_eq!(assembly.effort, Effort::Always);
}

/// A map that queues for ten seconds, and whose only path has failed.
fn without_path() -> Stage {
    let mut stage = Stage::new(1, PrStatus::Unset);
    reconfigure(&mut stage, "no_path_retry 2\n");
    let order = stage.order();
    stage.carry_out(&order, Verdict::Kept);
    stage.check(0, CheckState::Down);
    stage.kernel_says(0, PathState::Failed);
    assert_eq!(stage.messages(), ["fail_path 8:0"]);
    stage
}

#[test]
fn a_map_without_a_path_queues_for_as_long_as_it_is_to() {
    let mut stage = without_path();
    stage.pass(Duration::from_secs(9));
    assert!(stage.messages().is_empty());
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.messages(), ["fail_if_no_path"]);
    assert!(stage.engine.model().maps[WWID].is_queueing_stopped);
    stage.pass(Duration::from_secs(60));
    assert!(stage.messages().is_empty());
    stage.check(0, CheckState::Up);
    let order = stage.order();
    stage.carry_out(&order, Verdict::Kept);
    assert_eq!(stage.messages(), ["queue_if_no_path"]);
    assert!(!stage.engine.model().maps[WWID].is_queueing_stopped);
}

#[test]
fn a_table_that_is_loaded_while_queueing_has_stopped_does_not_queue() {
    let mut stage = without_path();
    stage.pass(Duration::from_secs(10));
    stage.tasks();
    stage.ask(Command::Map(Verb::Reload, "mpatha".to_owned()));
    let assembly = stage.order().assemble.unwrap();
    assert_eq!(assembly.rules.queueing, Queueing::Off);
}

#[test]
fn a_client_stops_the_queueing_and_restores_it() {
    let mut stage = without_path();
    stage.ask(Command::Map(Verb::DisableQueueing, "mpatha".to_owned()));
    assert_eq!(stage.messages(), ["fail_if_no_path"]);
    stage.pass(Duration::from_secs(60));
    assert!(stage.messages().is_empty(), "it is stopped already");
    assert_eq!(
        stage.ask(Command::Maps(Verb::RestoreQueueing)),
        Some(Reply::Ok)
    );
    assert_eq!(stage.messages(), ["queue_if_no_path"]);
    stage.pass(Duration::from_secs(9));
    assert!(stage.messages().is_empty(), "the time begins again");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.messages(), ["fail_if_no_path"]);
}

#[test]
fn paths_are_equal_if_the_configuration_says_so() {
    let priority = |defaults: &str| {
        let mut stage = Stage::new(1, PrStatus::Unset);
        stage.handle(Event::RulesRead(Box::new(rules(defaults))));
        stage.engine.model().paths[&path(0)].priority
    };
    assert_eq!(priority(""), 50);
    assert_eq!(priority("detect_prio no\n"), 1);
    assert_eq!(priority("detect_prio no\n prio alua\n"), 50);
}

#[test]
fn where_properties_count_udev_is_waited_for() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    reconfigure(&mut stage, "}\nblacklist {\n property ID_USB\n");
    stage.tasks();
    let found = |udev: UdevView| Event::PathRead {
        device: path(1),
        found: Some(Box::new(FoundPath { udev, ..found(1) })),
    };
    let done = |name: &str| UdevView::Done(vec!["ID_WWN".to_owned(), name.to_owned()]);
    let in_map = |stage: &Stage| stage.engine.model().paths[&path(1)].map().is_some();
    stage.handle(found(UdevView::Pending));
    assert!(!in_map(&stage));
    stage.pass(Duration::from_millis(200));
    let is_read = |task: &Task| matches!(task, Task::Read(ReadOrder::Path(it)) if *it == path(1));
    assert!(stage.tasks().iter().any(is_read));
    stage.handle(found(done("ID_USB")));
    assert!(!in_map(&stage));
    stage.handle(found(done("ID_SCSI")));
    assert!(in_map(&stage));
}

/// A map whose uuid is of multipath-tools' form was removed as soon as nobody had it open, whoever
/// had made it, and whatever it was made of.
#[test]
fn maps_of_disks_that_are_nobodys_business_here_are_left_alone() {
    let mut stage = Stage::new(1, PrStatus::Unset);
    reconfigure(&mut stage, "}\nblacklist {\n wwid 36001405\n");
    assert_eq!(stage.engine.model().paths[&path(0)].map(), None);
    assert!(stage.orders().is_empty(), "its disk is excluded now");
    assert_eq!(stage.engine.model().maps.len(), 1);
    // Once the disk is gone, nobody can want the map that was made here.
    stage.handle(Event::PathRead {
        device: path(0),
        found: None,
    });
    assert_eq!(stage.order().remove, Some(Removal::NoPaths));
}

#[test]
fn a_map_that_was_never_ours_is_left_alone() {
    let mut stage = Stage::empty();
    let disk = DeviceNumber::new(259, 0);
    stage.kernel = vec![(disk, PathState::Active)];
    let scanned = Scanned {
        maps: MapsRead {
            all: vec![DeviceNumber::new(253, 0)],
            changed: vec![stage.map()],
        },
        ..Scanned::default()
    };
    stage.handle(Event::Scanned(Box::new(scanned)));
    assert_eq!(stage.engine.model().maps.len(), 1);
    assert!(stage.orders().is_empty());
}

/// With a thousand new paths maps were made of those that had been checked within a second, and
/// loaded again for each of the others.
#[test]
fn a_map_waits_for_the_checks_of_its_paths_while_checks_go_on() {
    let mut stage = Stage::empty();
    let scanned = Scanned {
        paths: (0..3).map(found).collect(),
        ..Scanned::default()
    };
    stage.handle(Event::Scanned(Box::new(scanned)));
    stage.check(0, CheckState::Up);
    stage.pass(Duration::from_millis(900));
    stage.check(1, CheckState::Up);
    stage.pass(Duration::from_millis(900));
    assert!(stage.orders().is_empty());
    stage.check(2, CheckState::Up);
    assert_eq!(stage.order().settle.len(), 3);
}

#[test]
fn a_path_that_hangs_from_the_start_is_not_waited_for_long() {
    let mut stage = Stage::empty();
    let scanned = Scanned {
        paths: (0..2).map(found).collect(),
        ..Scanned::default()
    };
    stage.handle(Event::Scanned(Box::new(scanned)));
    stage.check(0, CheckState::Up);
    stage.pass(Duration::from_millis(999));
    assert!(stage.orders().is_empty());
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.order().settle, [path(0)]);
}

/// Of two paths that came back together the one that answered waited for the other, which hung:
/// for ten seconds, on a host on which all the time some check ended.
#[test]
fn a_path_that_returns_waits_for_no_other_that_hangs() {
    let mut stage = Stage::new(1, PrStatus::Set);
    for number in [1, 2] {
        stage.handle(Event::PathRead {
            device: path(number),
            found: Some(Box::new(found(number))),
        });
    }
    stage.check(1, CheckState::Up);
    stage.pass(Duration::from_millis(299));
    stage.check(0, CheckState::Up);
    assert!(stage.orders().is_empty());
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.order().settle, [path(1)]);
}
