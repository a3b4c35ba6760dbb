//! What is answered to whom: from memory, by the core, or not at all.

use std::time::Instant;

use mpath_state::protocol::{Command, CommandError, Reply};

use crate::model::{Map, Model};
use crate::show::Shown;
use crate::tally::Tally;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// May do everything.
    Root,
    /// May only look.
    User,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This is the answer.
    Answer(Reply),
    /// The core has to answer.
    Ask(Command),
}

/// Judges a request as it was received. Waits for nothing.
#[must_use]
pub fn judge(
    text: &str,
    privilege: Privilege,
    model: &Model,
    tally: &Tally,
    now: Instant,
) -> Verdict {
    let parsed: Result<Command, CommandError> = text.parse();
    match parsed {
        Ok(command) if privilege == Privilege::Root || command.is_for_everybody() => {
            answer(command, &Shown { model, tally, now })
        }
        Err(error) if privilege == Privilege::Root || is_question(text) => {
            tracing::debug!("refused: {error}");
            Verdict::Answer(fail())
        }
        _ => Verdict::Answer(Reply::PermissionDenied),
    }
}

fn answer(command: Command, shown: &Shown<'_>) -> Verdict {
    let of_map = |name: &str, value: fn(&Map) -> Reply| {
        let map = shown.model.map(name);
        map.map_or_else(fail, |map| value(map))
    };
    Verdict::Answer(match command {
        Command::Show(show) => not_empty(shown.reply(&show)),
        Command::GetPrStatus(map) => of_map(&map, |map| map.pr.registered.into()),
        Command::GetPrHold(map) => of_map(&map, |map| map.pr.holds.into()),
        Command::GetPrKey(map) => of_map(&map, |map| map.pr.configured.into()),
        Command::Ping => Reply::Ok,
        Command::Help => Reply::Text(HELP.to_owned()),
        command => return Verdict::Ask(command),
    })
}

/// Where there is nothing to show, multipathd says `ok`.
fn not_empty(reply: Reply) -> Reply {
    match reply {
        Reply::Text(text) if text.is_empty() => Reply::Ok,
        reply => reply,
    }
}

/// A request that wants to look, whatever is wrong with it.
fn is_question(text: &str) -> bool {
    let verb = text.split_whitespace().next().unwrap_or_default();
    ["show", "list", "help"].contains(&verb) || verb.starts_with("getpr")
}

fn fail() -> Reply {
    Reply::Fail {
        detail: String::new(),
    }
}

/// The commands, for people.
pub const HELP: &str = "\
multipathd-lite commands (words may be abbreviated as long as they are unambiguous):
 show|list paths [[raw] format FMT | json]
 show|list path PATH
 show|list maps|multipaths [status | stats | topology | json | [raw] format FMT]
 show|list map|multipath MAP [topology | json | [raw] format FMT]
 show|list topology | status | daemon | config | wildcards
 getprstatus|getprhold|getprkey map MAP
 setprstatus map MAP [pathlist \"8:16 8:32\"]
 unsetprstatus|setprhold|unsetprhold|unsetprkey map MAP
 setprkey map MAP key KEY[:aptpl]
 add|remove|del|fail|reinstate path PATH
 add|remove|del|suspend|resume|reload map MAP
 disablequeueing|restorequeueing map MAP | maps
 reconfigure
 shutdown
 ping
 help
MAP is a name, a WWID or dm-N; PATH is sdX or MAJOR:MINOR.
";
