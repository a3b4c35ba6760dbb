//! What is read when something was heard: the map it is about, not all of them.

use dm_multipath::uevent::Uevent;

use super::*;
use crate::event::MapLook;

fn uevent(action: &str) -> Event {
    let devpath = "/devices/virtual/block/dm-0";
    let message = format!(
        "{action}@{devpath}\0ACTION={action}\0DEVPATH={devpath}\0SUBSYSTEM=block\0\
         MAJOR=253\0MINOR=0\0DEVTYPE=disk\0"
    );
    Event::Uevent(Uevent::parse(message.as_bytes()).unwrap())
}

fn reads(stage: &mut Stage) -> Vec<String> {
    let reads = stage.tasks().into_iter().filter_map(|task| match task {
        Task::Read(ReadOrder::Map(device)) => Some(device.to_string()),
        Task::Read(ReadOrder::Maps(_)) => Some("all".to_owned()),
        _ => None,
    });
    reads.collect()
}

fn look(stage: &mut Stage, look: MapLook) {
    let device = DeviceNumber::new(253, 0);
    stage.handle(Event::MapRead { device, look });
}

#[test]
fn a_map_that_changes_is_read_alone_and_once_at_a_time() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    stage.tasks();
    stage.handle(uevent("change"));
    stage.handle(uevent("change"));
    stage.handle(uevent("change"));
    assert_eq!(reads(&mut stage), ["253:0"]);
    let found = MapLook::Found(Box::new(stage.map()));
    look(&mut stage, found);
    assert_eq!(reads(&mut stage), ["253:0"], "what was heard since");
    look(&mut stage, MapLook::Failed);
    assert!(reads(&mut stage).is_empty());
    assert_eq!(stage.engine.model().maps.len(), 1);
    stage.handle(uevent("remove"));
    assert_eq!(reads(&mut stage), ["253:0"]);
    look(&mut stage, MapLook::Gone);
    assert!(stage.engine.model().maps.is_empty());
}

/// Many maps that change at once were each followed by a reading of all.
#[test]
fn the_list_of_maps_is_read_some_times_a_second_at_most() {
    let mut stage = Stage::new(2, PrStatus::Unset);
    stage.tasks();
    stage.handle(Event::DmChanged);
    assert_eq!(reads(&mut stage), ["all"]);
    let listed = |stage: &mut Stage| stage.kernel_says(0, PathState::Active);
    listed(&mut stage);
    stage.handle(Event::DmChanged);
    stage.handle(Event::DmChanged);
    assert!(reads(&mut stage).is_empty());
    let due = stage.engine.poll_timeout().unwrap();
    assert_eq!(due - stage.now, Duration::from_millis(200));
    stage.pass(Duration::from_millis(200));
    assert_eq!(reads(&mut stage), ["all"]);
    // It may be out of date when it comes.
    stage.handle(Event::DmChanged);
    listed(&mut stage);
    stage.pass(Duration::from_millis(200));
    assert_eq!(reads(&mut stage), ["all"]);
    listed(&mut stage);
    stage.pass(Duration::from_millis(200));
    assert!(reads(&mut stage).is_empty());
}
