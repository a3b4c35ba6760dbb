//! What is due when, so that nobody has to look through all paths and maps to find it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dm_multipath::DeviceNumber;

/// Something that is to be done at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A path is to be checked.
    Check(DeviceNumber),
    /// A path is to be read again: udev had not looked at it.
    Look(DeviceNumber),
    /// The registrations of a map are to be counted.
    Count(String),
    /// A map was left alone for a while.
    Plan(String),
    /// A map without paths has queued for long enough.
    Stop(String),
    /// The list of maps is to be read.
    List,
}

/// Each thing has one time at most.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    times: BTreeMap<Due, Instant>,
    queue: BTreeSet<(Instant, Due)>,
}

impl Agenda {
    /// From now on something is due then, or not at all.
    pub(super) fn set(&mut self, what: Due, at: Option<Instant>) {
        if self.times.get(&what).copied() == at {
            return;
        }
        if let Some(before) = self.times.remove(&what) {
            self.queue.remove(&(before, what.clone()));
        }
        if let Some(at) = at {
            self.queue.insert((at, what.clone()));
            self.times.insert(what, at);
        }
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out what is due, what has waited longest first.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Due> {
        let mut taken = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((_, what)) = self.queue.pop_first() else {
                break;
            };
            self.times.remove(&what);
            taken.push(what);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_has_its_last_time_and_the_first_comes_first() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let path = |minor| Due::Check(DeviceNumber::new(8, minor));
        let mut agenda = Agenda::default();
        for (what, time) in [
            (path(0), at(3)),
            (path(16), at(2)),
            (path(0), at(1)),
            (path(32), at(1)),
            (path(32), None),
            (Due::List, at(5)),
        ] {
            agenda.set(what, time);
        }
        assert_eq!(agenda.next(), at(1));
        assert_eq!(
            agenda.take(start + Duration::from_secs(2)),
            [path(0), path(16)]
        );
        assert_eq!(agenda.next(), at(5));
        agenda.set(path(0), at(4));
        assert_eq!(agenda.next(), at(4));
    }
}
