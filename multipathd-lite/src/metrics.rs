//! What the daemon knows, as Prometheus reads it: text for node_exporter's textfile collector.
//!
//! Names follow Prometheus' conventions: base units, `_total` for what only grows. What stands
//! for a map has its name and WWID; what is not known is left out rather than guessed.

mod exposition;
mod file;
mod writer;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dm_multipath::table::PathState;
use mpath_state::PrStatus;
use mpathpersist::Holder;

pub use file::serve;
pub use writer::Metrics;

use crate::model::{CheckState, Map, Model, Path, Settling};
use crate::tally::{LATENCY_BOUNDS_MS, Tally};
use exposition::{Exposition, Kind, Labels};

/// The moment that is described, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub time: SystemTime,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }

    fn seconds(self, at: Instant) -> f64 {
        let ago = self.instant.saturating_duration_since(at);
        let then = self.time.checked_sub(ago).unwrap_or(UNIX_EPOCH);
        let since = then.duration_since(UNIX_EPOCH);
        since.unwrap_or(Duration::ZERO).as_secs_f64()
    }
}

/// Everything as text.
#[must_use]
pub fn render(model: &Model, tally: &Tally, now: Moment) -> String {
    let mut text = Exposition::default();
    about_daemon(&mut text, model, now);
    about_maps(&mut text, model, now);
    about_events(&mut text, model);
    about_commands(&mut text, tally);
    text.into_text()
}

fn about_daemon(text: &mut Exposition, model: &Model, now: Moment) {
    text.family(
        "mpath_pr_build_info",
        Kind::Gauge,
        "The version of multipathd-lite; always 1.",
    );
    let version = Labels::of(&[("version", env!("CARGO_PKG_VERSION"))]);
    text.sample("mpath_pr_build_info", &version, 1);
    text.gauge(
        "mpath_pr_start_time_seconds",
        "When the daemon was started, in seconds since 1970.",
        format!("{:.0}", now.seconds(model.started)),
    );
    text.gauge(
        "mpath_pr_maps",
        "Multipath maps that the daemon looks after.",
        model.maps.len(),
    );
    text.gauge(
        "mpath_pr_stuck_checks",
        "Checks of paths that have not ended in time and are still under way.",
        model.counters.checks_stuck,
    );
}

fn about_maps(text: &mut Exposition, model: &Model, now: Moment) {
    about_paths(text, model);
    for_maps(
        text,
        model,
        "mpath_pr_registered",
        "1: this node is registered on the map, as far as is known.",
        |map| Some(u8::from(map.pr.registered == PrStatus::Set)),
    );
    for_maps(
        text,
        model,
        "mpath_pr_registered_keys",
        "Registrations with this node's key, as last counted on the device.",
        |map| map.pr.registrations,
    );
    for_maps(
        text,
        model,
        "mpath_pr_expected_keys",
        "Paths in use that should be registered with this node's key.",
        |map| Some(expected(model, map)),
    );
    about_holders(text, model);
    for_maps(
        text,
        model,
        "mpath_pr_suspended",
        "1: the I/O of the map is stopped.",
        |map| Some(u8::from(map.suspended)),
    );
    for_maps(
        text,
        model,
        "mpath_pr_last_check_timestamp_seconds",
        "When a check of one of the map's paths ended last, in seconds since 1970.",
        |map| {
            let last = model
                .paths_of(map)
                .filter_map(|path| path.checked_at)
                .max()?;
            Some(format!("{:.3}", now.seconds(last)))
        },
    );
    let name = "mpath_pr_map_preemptions_total";
    text.family(
        name,
        Kind::Counter,
        "Times this node was found to be shut out of the map.",
    );
    for map in model.maps.values() {
        text.sample(name, &of_map(map), map.pr.preemptions);
    }
}

fn about_paths(text: &mut Exposition, model: &Model) {
    let name = "mpath_pr_paths";
    text.family(
        name,
        Kind::Gauge,
        "Paths of the map by what the last check said of them.",
    );
    for map in model.maps.values() {
        for (state, word) in STATES {
            let count = model
                .paths_of(map)
                .filter(|path| path.check == state)
                .count();
            text.sample(name, &of_map(map).and("state", word), count);
        }
    }
    for_maps(
        text,
        model,
        "mpath_pr_paths_in_use",
        "Paths of the map that the kernel sends I/O through.",
        |map| Some(model.paths_of(map).filter(|path| is_in_use(path)).count()),
    );
    for_maps(
        text,
        model,
        "mpath_pr_paths_kept_out",
        "Paths of the map that answer and stay out, since their registration is not settled.",
        |map| Some(model.paths_of(map).filter(|path| is_kept_out(path)).count()),
    );
}

fn about_holders(text: &mut Exposition, model: &Model) {
    let name = "mpath_pr_reservation_holder";
    text.family(
        name,
        Kind::Gauge,
        "1 for who holds the reservation of the map, as it was read last: own, other, none; \
         unknown: it was not read.",
    );
    for map in model.maps.values() {
        for (holder, word) in HOLDERS {
            let labels = of_map(map).and("holder", word);
            text.sample(name, &labels, u8::from(map.pr.holder == holder));
        }
    }
}

fn about_events(text: &mut Exposition, model: &Model) {
    let counters = &model.counters;
    let all: [(&str, &str, u64); 11] = [
        (
            "mpath_pr_preemptions_total",
            "Times this node was found to be shut out of a map.",
            counters.preemptions_seen,
        ),
        (
            "mpath_pr_repairs_total",
            "Paths that the daemon has registered when they returned.",
            counters.registrations_repaired,
        ),
        (
            "mpath_pr_journal_recoveries_total",
            "Commands that were killed, and completed or ended by the daemon.",
            counters.journals_recovered,
        ),
        (
            "mpath_pr_checks_total",
            "Checks of paths that have ended.",
            counters.checks,
        ),
        (
            "mpath_pr_checks_late_total",
            "Checks of paths that did not end in time.",
            counters.checks_late,
        ),
        (
            "mpath_pr_path_failures_total",
            "Paths that failed.",
            counters.paths_failed,
        ),
        (
            "mpath_pr_path_reinstatements_total",
            "Paths that were put to use again.",
            counters.paths_reinstated,
        ),
        (
            "mpath_pr_uevents_lost_total",
            "Times the kernel's uevents came too fast.",
            counters.uevents_lost,
        ),
        (
            "mpath_pr_hooks_total",
            "Hooks that were run.",
            counters.hooks_run,
        ),
        (
            "mpath_pr_hooks_failed_total",
            "Hooks that failed, or were ended since they took too long.",
            counters.hooks_failed,
        ),
        (
            "mpath_pr_hooks_dropped_total",
            "Hooks that were not run, since too many were waiting.",
            counters.hooks_dropped,
        ),
    ];
    for (name, help, value) in all {
        text.family(name, Kind::Counter, help);
        text.sample(name, &Labels::default(), value);
    }
}

fn about_commands(text: &mut Exposition, tally: &Tally) {
    text.gauge(
        "mpath_pr_clients",
        "Clients that are connected to the socket.",
        tally.clients,
    );
    let name = "mpath_pr_commands_total";
    text.family(
        name,
        Kind::Counter,
        "Commands of clients by how they ended.",
    );
    let outcomes = [
        ("ok", tally.ok),
        ("failed", tally.failed),
        ("timed_out", tally.timed_out),
        ("denied", tally.denied),
    ];
    for (outcome, count) in outcomes {
        text.sample(name, &Labels::of(&[("outcome", outcome)]), count);
    }
    let name = "mpath_pr_command_duration_seconds";
    text.family(
        name,
        Kind::Histogram,
        "How long clients waited for an answer.",
    );
    let mut below = 0;
    for (bound_ms, count) in LATENCY_BOUNDS_MS.into_iter().zip(tally.latencies) {
        below += count;
        let bound = Duration::from_millis(bound_ms).as_secs_f64().to_string();
        text.sample(
            &format!("{name}_bucket"),
            &Labels::of(&[("le", &bound)]),
            below,
        );
    }
    let all = tally.answered();
    text.sample(
        &format!("{name}_bucket"),
        &Labels::of(&[("le", "+Inf")]),
        all,
    );
    let sum = tally.waited.as_secs_f64();
    text.sample(&format!("{name}_sum"), &Labels::default(), sum);
    text.sample(&format!("{name}_count"), &Labels::default(), all);
}

fn for_maps<T: std::fmt::Display>(
    text: &mut Exposition,
    model: &Model,
    name: &str,
    help: &str,
    value: impl Fn(&Map) -> Option<T>,
) {
    text.family(name, Kind::Gauge, help);
    for map in model.maps.values() {
        if let Some(value) = value(map) {
            text.sample(name, &of_map(map), value);
        }
    }
}

fn of_map(map: &Map) -> Labels {
    Labels::of(&[("map", &map.name), ("wwid", &map.wwid)])
}

fn expected(model: &Model, map: &Map) -> usize {
    let is_member = map.pr.registered == PrStatus::Set;
    let paths = model.paths_of(map);
    let is_expected =
        |path: &&std::sync::Arc<Path>| is_in_use(path) && path.settling == Settling::Settled;
    if is_member {
        paths.filter(is_expected).count()
    } else {
        0
    }
}

fn is_in_use(path: &Path) -> bool {
    path.dm_state == Some(PathState::Active) && !path.check.is_dead()
}

fn is_kept_out(path: &Path) -> bool {
    path.check.is_usable() && path.settling == Settling::Unsettled
}

const STATES: [(CheckState, &str); 7] = [
    (CheckState::Up, "ready"),
    (CheckState::Ghost, "ghost"),
    (CheckState::Transition, "transition"),
    (CheckState::Down, "faulty"),
    (CheckState::Timeout, "timeout"),
    (CheckState::Wild, "wild"),
    (CheckState::Unchecked, "unchecked"),
];

const HOLDERS: [(Holder, &str); 4] = [
    (Holder::Us, "own"),
    (Holder::Another, "other"),
    (Holder::Nobody, "none"),
    (Holder::Unknown, "unknown"),
];
