//! Tables of commands: as they are sent, read and refused.

use proptest::prelude::*;

use super::*;
use scsi_pr::ReservationKey;

fn check(text: &str, expected: &str) {
    let shown = match text.parse::<Command>() {
        Ok(command) => {
            let again: Command = command.to_string().parse().unwrap();
            assert_eq!(again, command, "what is printed is read back: {text:?}");
            command.to_string()
        }
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(shown, expected, "{text:?}");
}

#[test]
fn every_command_is_read_and_printed() {
    for text in [
        "show paths",
        "show paths format %d",
        "show paths raw format \"%d %t\"",
        "show maps",
        "show maps format \"%n %w\"",
        "show maps raw format \"%n %w\"",
        "show maps json",
        "show maps status",
        "show maps stats",
        "show paths json",
        "show path sda",
        "show map mpatha raw format \"%n %w\"",
        "show map mpatha format %n",
        "show wildcards",
        "help",
        "disablequeueing map mpatha",
        "restorequeueing map mpatha",
        "show topology",
        "show map mpatha topology",
        "show map mpatha json",
        "show status",
        "show daemon",
        "show config",
        "getprstatus map mpatha",
        "setprstatus map mpatha",
        "setprstatus map mpatha pathlist \"8:16 8:32\"",
        "unsetprstatus map mpatha",
        "getprkey map mpatha",
        "setprkey map mpatha key 0x123abc",
        "setprkey map mpatha key 0x123abc:aptpl",
        "unsetprkey map mpatha",
        "getprhold map mpatha",
        "setprhold map mpatha",
        "unsetprhold map mpatha",
        "fail path sda",
        "reinstate path 8:16",
        "add path sda",
        "remove path sda",
        "add map dm-3",
        "remove map dm-3",
        "suspend map mpatha",
        "resume map mpatha",
        "reload map mpatha",
        "reconfigure",
        "shutdown",
        "ping",
    ] {
        check(text, text);
        check(&format!("{text}\n"), text);
    }
}

#[test]
fn other_spellings_are_read() {
    check("list multipaths json", "show maps json");
    check("list multipath mpatha", "show map mpatha topology");
    check("show maps topology", "show topology");
    check("show config local", "show config");
    check("show maps raw fmt %w", "show maps raw format %w");
    check("del path sda", "remove path sda");
    check("reconfigure all", "reconfigure");
    check("reconf", "reconfigure");
    check("lis top", "show topology");
    check("  getprkey   multipath\tmpatha ", "getprkey map mpatha");
    check(
        "setprkey map mpatha key 123ABC:aptpl",
        "setprkey map mpatha key 0x123abc:aptpl",
    );
    check("getprkey map \"my disk\"", "getprkey map \"my disk\"");
    check(
        "setprstatus map a pathlist 8:16",
        "setprstatus map a pathlist \"8:16\"",
    );
}

#[test]
fn what_is_no_command_is_refused() {
    for text in [
        "",
        "bogus",
        "show",
        "show map",
        "getprkey",
        "getprkey map",
        "getprkey map a b",
        "fail map mpatha",
        "suspend path sda",
        "setprkey map a",
        "ping pong",
        "show maps format",
        "Show maps",
    ] {
        check(text, &format!("error: no such command: '{text}'"));
    }
    check("getprkey map \"a", "error: closing quote missing");
    check(
        "setprstatus map a pathlist sda",
        "error: 'sda' is not a device number such as 8:16",
    );
    check(
        "setprstatus map a pathlist +8:1",
        "error: '+8:1' is not a device number such as 8:16",
    );
    assert!("setprkey map a key 0".parse::<Command>().is_err());
}

#[test]
fn only_showing_and_getting_is_for_everybody() {
    let allowed = |text: &str| text.parse::<Command>().unwrap().is_for_everybody();
    for text in [
        "show config",
        "list paths",
        "getprstatus map a",
        "getprhold map a",
    ] {
        assert!(allowed(text), "{text}");
    }
    for text in [
        "setprhold map a",
        "reconfigure",
        "fail path a",
        "ping",
        "shutdown",
    ] {
        assert!(!allowed(text), "{text}");
    }
}

#[test]
fn a_name_cannot_smuggle_words_in() {
    let key = StoredKey::new(ReservationKey(1));
    let command = Command::SetPrKey {
        map: "a\" key 2 #".to_owned(),
        key,
    };
    assert_eq!(command.to_string().parse(), Ok(command));
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_prints_as_itself(text in "\\PC{0,60}") {
        if let Ok(command) = text.parse::<Command>() {
            prop_assert_eq!(command.to_string().parse::<Command>(), Ok(command));
        }
    }

    #[test]
    fn words_in_any_order_are_read_or_refused(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "show", "list", "maps", "paths", "map", "path", "mpatha", "raw", "format",
                "\"%n %w\"",
                "json", "setprkey", "key", "0x1:aptpl", "getprhold", "setprstatus", "pathlist",
                "\"8:0 8:16\"", "topology", "status", "del", "fail", "re", "#", "\"",
            ]),
            0..7,
        )
    ) {
        if let Ok(command) = words.join(" ").parse::<Command>() {
            prop_assert_eq!(command.to_string().parse::<Command>(), Ok(command));
        }
    }

    #[test]
    fn any_name_survives(name in "\\PC{1,40}") {
        let command = Command::GetPrKey(name);
        prop_assert_eq!(command.to_string().parse::<Command>(), Ok(command));
    }
}
