//! Back to the best group: when, and when not.

use super::*;
use crate::tasks::Health;

/// A host with a map of two groups, of which the first is the better one.
fn two_groups(failback: &str) -> Stage {
    let mut stage = Stage::empty();
    let configured = format!("path_grouping_policy group_by_prio\n failback {failback}\n");
    stage.handle(Event::RulesRead(Box::new(rules(&configured))));
    let mut other = found(1);
    other.scsi.access_state = Some(AccessState::NON_OPTIMIZED);
    let scanned = Scanned {
        paths: vec![found(0), other],
        maps: read(1, PathState::Active),
        books: Vec::new(),
    };
    stage.handle(Event::Scanned(Box::new(scanned)));
    stage.check(0, CheckState::Up);
    stage.check(1, CheckState::Up);
    let order = stage.order();
    report(&mut stage, &order, map(1, PathState::Active));
    assert!(stage.messages().is_empty());
    stage
}

/// The map as the kernel has it: which group is in use, and what it thinks of the first one's path.
fn map(used: u32, first: PathState) -> FoundMap {
    let paths = [(path(0), first), (path(1), PathState::Active)];
    let groups = (1..).zip(&paths).map(|(number, (device, state))| {
        let letter = if number == used { 'A' } else { 'E' };
        format!(" {letter} 0 1 0 {device} {state} 0")
    });
    let groups: String = groups.collect();
    let known = |(number, (device, dm_state)): (u32, (DeviceNumber, PathState))| MapPath {
        device,
        group: number,
        dm_state,
        fail_count: 0,
    };
    FoundMap {
        map: Map {
            device: DeviceNumber::new(253, 0),
            name: "mpatha".to_owned(),
            uuid: format!("mpath-{WWID}"),
            size: 8192,
            suspended: false,
            status: format!("2 0 0 0 2 {used}{groups}").parse().unwrap(),
            paths: (1..).zip(paths).map(known).collect(),
        },
        table: "0 1 alua 2 1 service-time 0 1 1 8:0 1 service-time 0 1 1 8:16 1"
            .parse()
            .unwrap(),
        event_nr: 1,
        read_only: false,
    }
}

fn read(used: u32, first: PathState) -> MapsRead {
    MapsRead {
        all: vec![DeviceNumber::new(253, 0)],
        changed: vec![map(used, first)],
    }
}

/// The kernel's event, and what was read for it.
fn kernel_tells(stage: &mut Stage, used: u32, first: PathState) {
    stage.handle(Event::MapsRead(Box::new(read(used, first))));
}

/// The work is done, and this is how it found the map in the end.
fn report(stage: &mut Stage, order: &WorkOrder, found: FoundMap) {
    let settled = |device: &DeviceNumber| {
        let (verdict, steps) = (Verdict::Unconcerned, Vec::new());
        (*device, Settled { verdict, steps })
    };
    stage.handle(Event::WorkDone(Box::new(WorkReport {
        wwid: WWID.to_owned(),
        settled: order.settle.iter().map(settled).collect(),
        reinstated: order.reinstate.clone(),
        found: Some(found),
        books: Some(stage.books()),
        ..WorkReport::default()
    })));
}

/// The path of the first group has failed, I/O goes through the second, and it works again: what
/// is ordered for that.
fn fail_over(stage: &mut Stage) -> WorkOrder {
    stage.check(0, CheckState::Down);
    kernel_tells(stage, 2, PathState::Failed);
    assert_eq!(stage.messages(), ["fail_path 8:0"]);
    stage.check(0, CheckState::Up);
    let order = stage.order();
    assert_eq!(order.reinstate, [path(0)]);
    order
}

/// Once the map stayed where it was if the kernel's event had it read before the work that had
/// reinstated the path was reported.
#[test]
fn a_group_that_returns_is_followed_however_that_is_heard() {
    for is_event_first in [true, false] {
        let mut stage = two_groups("followover");
        let order = fail_over(&mut stage);
        if is_event_first {
            kernel_tells(&mut stage, 2, PathState::Active);
        }
        report(&mut stage, &order, map(2, PathState::Active));
        kernel_tells(&mut stage, 2, PathState::Active);
        assert_eq!(stage.messages(), ["switch_group 1"], "{is_event_first}");
        kernel_tells(&mut stage, 1, PathState::Active);
        assert!(stage.messages().is_empty());
    }
}

/// Whoever has the map use another group has a reason to.
#[test]
fn without_a_group_that_returns_there_is_nothing_to_follow() {
    let switched = |failback| {
        let mut stage = two_groups(failback);
        kernel_tells(&mut stage, 2, PathState::Active);
        stage.pass(Duration::from_secs(60));
        stage.messages()
    };
    assert_eq!(switched("immediate"), ["switch_group 1"]);
    assert!(switched("followover").is_empty());
    assert!(switched("manual").is_empty());
}

#[test]
fn a_map_goes_back_when_it_is_to() {
    let mut stage = two_groups("30");
    let order = fail_over(&mut stage);
    report(&mut stage, &order, map(2, PathState::Active));
    stage.pass(Duration::from_secs(29));
    assert!(stage.messages().is_empty());
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.messages(), ["switch_group 1"]);
    let mut stage = two_groups("manual");
    let order = fail_over(&mut stage);
    report(&mut stage, &order, map(2, PathState::Active));
    stage.pass(Duration::from_secs(3600));
    assert!(stage.messages().is_empty());
}

/// One path said that the array was changing over, the other of its group did not yet: so they
/// were taken for two groups, and the table that was loaded had neither.
#[test]
fn paths_are_not_grouped_anew_while_the_array_changes_over() {
    let mut stage = two_groups("manual");
    let changing = Some(AccessState::TRANSITIONING);
    stage.handle(Event::Checked(Checked {
        access: (changing.clone(), Some(false)),
        ..checked(1, CheckState::Transition)
    }));
    let mut found = found(1);
    found.scsi.access_state = changing;
    stage.handle(Event::PathRead {
        device: path(1),
        found: Some(Box::new(found)),
    });
    let known = &stage.engine.model().paths[&path(1)];
    assert_eq!(known.priority, 10);
    assert!(stage.orders().is_empty());
    // Nor is it left out of a table that is loaded for another reason.
    stage.ask(Command::Map(Verb::Reload, "mpatha".to_owned()));
    let order = stage.order();
    let assembly = order.assemble.as_ref().unwrap();
    let health = assembly.paths.iter().map(|member| member.health);
    assert_eq!(health.collect::<Vec<_>>(), [Health::Works; 2]);
    report(&mut stage, &order, map(1, PathState::Active));
    stage.handle(Event::Checked(Checked {
        access: (Some(AccessState::OPTIMIZED), None),
        ..checked(1, CheckState::Up)
    }));
    assert_eq!(stage.engine.model().paths[&path(1)].priority, 50);
}
