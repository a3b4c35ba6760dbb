//! `show status`: paths by what their check says, as multipathd counts them, and the daemon's own
//! counters behind it.

use std::collections::BTreeMap;
use std::fmt::Write;

use mpath_state::PrStatus;

use crate::model::{Activity, Model};
use crate::tally::Tally;

pub(super) fn of(model: &Model, tally: &Tally) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_paths(&mut text, model).and_then(|()| write_counters(&mut text, model, tally));
    text
}

fn write_paths(text: &mut String, model: &Model) -> std::fmt::Result {
    let mut states = BTreeMap::new();
    for path in model.paths.values() {
        let count: &mut u32 = states.entry(word(&path.check.to_string())).or_default();
        *count = count.saturating_add(1);
    }
    text.push_str("path checker states:\n");
    for (state, count) in states {
        writeln!(text, "{state:20}{count}")?;
    }
    let busy = match model.activity {
        Activity::Configuring => "True",
        Activity::Running | Activity::Idle | Activity::ShuttingDown => "False",
    };
    writeln!(text, "\npaths: {}\nbusy: {busy}", model.paths.len())
}

/// multipathd counts by the checker's own words.
fn word(state: &str) -> String {
    match state {
        "ready" => "up",
        "faulty" => "down",
        other => other,
    }
    .to_owned()
}

fn write_counters(text: &mut String, model: &Model, tally: &Tally) -> std::fmt::Result {
    let registered = |status: PrStatus| {
        let maps = model.maps.values();
        maps.filter(|map| map.pr.registered == status).count()
    };
    let counters = &model.counters;
    let lines = [
        ("maps", model.maps.len() as u64),
        ("maps registered", registered(PrStatus::Set) as u64),
        (
            "maps of unknown registration",
            registered(PrStatus::Unknown) as u64,
        ),
        ("registrations repaired", counters.registrations_repaired),
        ("preemptions seen", counters.preemptions_seen),
        ("paths failed", counters.paths_failed),
        ("paths reinstated", counters.paths_reinstated),
        ("checks", counters.checks),
        ("checks late", counters.checks_late),
        ("uevents", counters.uevents),
        ("uevents lost", counters.uevents_lost),
        ("clients", tally.clients),
        ("commands ok", tally.ok),
        ("commands failed", tally.failed),
        ("commands timed out", tally.timed_out),
        ("commands denied", tally.denied),
        ("slowest command in ms", tally.slowest_ms),
    ];
    lines
        .iter()
        .try_for_each(|(name, count)| writeln!(text, "{name}: {count}"))
}
