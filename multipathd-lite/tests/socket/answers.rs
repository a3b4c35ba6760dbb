//! Every command and its answer, by who asks.

use std::time::Instant;

use multipathd_lite::answers::{Privilege, Verdict, judge};
use multipathd_lite::tally::Tally;

use crate::host;

/// The answer; `ask` and the command if the core has to give it.
fn answered(command: &str, privilege: Privilege) -> String {
    let now = Instant::now();
    match judge(
        command,
        privilege,
        &host::model(now),
        &Tally::default(),
        now,
    ) {
        Verdict::Answer(reply) => reply.to_string(),
        Verdict::Ask(command) => format!("ask {command}"),
    }
}

/// The answers to root and to others.
fn check(command: &str, root: &str, user: &str) {
    assert_eq!(
        answered(command, Privilege::Root),
        root,
        "root: {command:?}"
    );
    assert_eq!(
        answered(command, Privilege::User),
        user,
        "user: {command:?}"
    );
}

const DENIED: &str = "permission deny: need to be root\n";

#[test]
fn everybody_may_get() {
    for (command, answer) in [
        ("getprstatus map mpatha", "set\n"),
        ("getprstatus map dm-0", "set\n"),
        (
            "getprstatus multipath 3600140535d6d33467aae9a2e30000000",
            "set\n",
        ),
        ("getprstatus map \"my disk\"", "unknown\n"),
        ("getprhold map mpatha", "unset\n"),
        ("getprhold map dm-11", "unknown\n"),
        ("getprkey map mpatha", "0x123abc:aptpl\n"),
        ("getprkey map dm-11", "none\n"),
        ("getprkey map mpathz", "fail\n"),
        ("getprstatus map sda", "fail\n"),
        ("getprhold map dm-7", "fail\n"),
        ("show map mpathz", "fail\n"),
        ("show map mpathz json", "fail\n"),
        ("show map mpathz raw format %n", "fail\n"),
        ("show path sdz", "fail\n"),
        ("show", "fail\n"),
        ("show nothing", "fail\n"),
        ("list map", "fail\n"),
        ("getprkey map", "fail\n"),
        ("getprkey map \"mpatha", "fail\n"),
    ] {
        check(command, answer, answer);
    }
}

#[test]
fn only_root_may_change_and_the_core_answers() {
    for command in [
        "setprstatus map mpatha",
        "setprstatus map mpatha pathlist \"8:0 8:16\"",
        "unsetprstatus map mpatha",
        "setprkey map mpatha key 0x123abc:aptpl",
        "unsetprkey map mpatha",
        "setprhold map mpatha",
        "unsetprhold map mpatha",
        "fail path sda",
        "reinstate path 8:16",
        "add path sda",
        "remove path sda",
        "add map dm-3",
        "remove map mpatha",
        "suspend map dm-0",
        "resume map dm-0",
        "reload map mpatha",
        "disablequeueing map mpatha",
        "restorequeueing map mpatha",
        "reconfigure",
        "shutdown",
    ] {
        check(command, &format!("ask {command}"), DENIED);
    }
    check("ping", "ok\n", DENIED);
}

#[test]
fn what_is_no_command_fails_or_is_denied() {
    for command in [
        "",
        "bogus",
        "setprkey map a",
        "switch map a group 1",
        "\"",
        "fail map a",
    ] {
        check(command, "fail\n", DENIED);
    }
}

#[test]
fn help_names_every_verb() {
    let help = answered("help", Privilege::User);
    for verb in [
        "show",
        "list",
        "getprstatus",
        "setprstatus",
        "unsetprstatus",
        "getprkey",
        "setprkey",
        "unsetprkey",
        "getprhold",
        "setprhold",
        "unsetprhold",
        "fail",
        "reinstate",
        "add",
        "remove",
        "suspend",
        "resume",
        "reload",
        "reconfigure",
        "shutdown",
        "ping",
    ] {
        assert!(help.contains(verb), "{verb}");
    }
}
