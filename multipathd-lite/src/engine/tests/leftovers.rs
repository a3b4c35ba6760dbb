//! What killed commands have left behind.

use super::*;

/// Two paths, both in use, and somebody has died at work on the map.
fn interrupted() -> Stage {
    let mut stage = Stage::new(2, PrStatus::Set);
    stage.handle(Event::LockReleased {
        stem: WWID.to_owned(),
    });
    let tasks = stage.tasks();
    let is_books =
        |task: &Task| matches!(task, Task::Read(ReadOrder::Books { wwid, .. }) if wwid == WWID);
    assert!(tasks.iter().any(is_books), "{tasks:?}");
    let books = BooksRead {
        has_leftover: true,
        ..stage.books()
    };
    stage.handle(Event::BooksRead(Box::new(books)));
    stage
}

/// What was to be recovered could not be.
fn report_in_vain(stage: &mut Stage) {
    let books = BooksRead {
        has_leftover: true,
        ..stage.books()
    };
    let report = WorkReport {
        wwid: WWID.to_owned(),
        problems: vec!["mpatha: no path answers".to_owned()],
        found: Some(stage.map()),
        books: Some(books),
        ..WorkReport::default()
    };
    stage.handle(Event::WorkDone(Box::new(report)));
}

#[test]
fn a_leftover_is_recovered_before_anything_else() {
    let mut stage = interrupted();
    let order = stage.order();
    assert_eq!(order.recover, Recover::First);
    stage.carry_out(&order, Verdict::Kept);
    let orders = stage.orders();
    assert!(orders.iter().all(|order| order.recover == Recover::Nothing));
}

/// Three times, with a pause, it comes before the paths; a path that could carry I/O does not wait
/// for ever.
#[test]
fn what_cannot_be_recovered_is_tried_again_and_does_not_stop_everything() {
    let mut stage = interrupted();
    for _ in 0..3 {
        let order = stage.order();
        assert_eq!(order.recover, Recover::First);
        report_in_vain(&mut stage);
        assert!(stage.orders().is_empty(), "not at once");
        stage.pass(Duration::from_secs(5));
    }
    let order = stage.order();
    assert_eq!(order.recover, Recover::IfPossible);
    stage.carry_out(&order, Verdict::Kept);
    // The paths are looked at anew.
    let order = stage.order();
    assert_eq!(order.recover, Recover::Nothing);
    stage.carry_out(&order, Verdict::Kept);
    let books = BooksRead {
        has_leftover: true,
        ..stage.books()
    };
    stage.handle(Event::BooksRead(Box::new(books)));
    let order = stage.order();
    assert_eq!(order.recover, Recover::First, "another one");
}
