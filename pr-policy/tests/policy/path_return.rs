//! A path that comes back, command by command.

use std::time::Duration;

use pr_policy::{
    Action, Answer, Event, Membership, Options, PathId, PathReturn, PathState, Settlement, Trust,
};
use scsi_pr::InAction;

use crate::narrate::{self, map, read};
use crate::world::answered;

/// Path 1 comes back, path 2 has been there all the time. Each command, with its answer.
fn settle(trust: Trust, script: &[(&str, &str)]) -> Settlement {
    let snapshot = map(&[PathState::Usable, PathState::Usable]);
    let options = Options::for_request(&read(InAction::READ_FULL_STATUS));
    let mut machine = PathReturn::new(PathId(1), Membership::Lasting, trust, snapshot, options);
    for (expected, word) in script {
        let Some(Action::Send {
            ticket,
            path,
            command,
            ..
        }) = machine.poll_action()
        else {
            panic!("no command, but {expected}");
        };
        assert_eq!(
            format!("{} {}", path.0, narrate::command(&command)),
            *expected
        );
        let answer = answered(word).unwrap_or(Answer::Lost);
        machine.handle_event(Duration::ZERO, Event::Answered { ticket, answer });
    }
    machine.settlement().expect("the script goes to the end")
}

/// Some devices keep one registration for all paths of an initiator port: who registers the path
/// anew, because others vouch for this node, may bring all of them back.
#[test]
fn one_whose_return_was_cut_off_is_asked_once_others_have_vouched() {
    let vouched = ("2 REGISTER 0xa to 0xa", "good");
    let kept = [vouched, ("1 REGISTER 0xa to 0xa", "good")];
    assert_eq!(settle(Trust::Suspect, &kept), Settlement::Reinstate);
    let fenced = [
        ("2 REGISTER 0xa to 0xa", "conflict"),
        ("1 REGISTER AND IGNORE to 0x0", "good"),
    ];
    assert_eq!(settle(Trust::Suspect, &fenced), Settlement::Reinstate);
}

/// What it has may be too late, also the next time.
#[test]
fn it_stays_suspect_until_somebody_has_vouched() {
    let again = Settlement::TryAgain(Trust::Suspect);
    assert_eq!(
        settle(Trust::Suspect, &[("2 REGISTER 0xa to 0xa", "broken")]),
        again
    );
    let unheard = [
        ("2 REGISTER 0xa to 0xa", "good"),
        ("1 REGISTER 0xa to 0xa", "broken"),
    ];
    assert_eq!(settle(Trust::Suspect, &unheard), again);
}
