//! What clients asked and how it ended: numbers for `show status` and for metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpath_state::protocol::Reply;

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Clients that are connected.
    pub clients: u64,
    /// Commands that were done or answered.
    pub ok: u64,
    /// Commands that failed.
    pub failed: u64,
    /// Commands that took too long.
    pub timed_out: u64,
    /// Commands of clients that may not.
    pub denied: u64,
    /// How long the slowest command took, in milliseconds.
    pub slowest_ms: u64,
    /// How long all of them took together.
    pub waited: Duration,
    /// Commands by the first of [`LATENCY_BOUNDS_MS`] that they did not exceed.
    pub latencies: [u64; LATENCY_BOUNDS_MS.len()],
}

impl Tally {
    /// Counts one command.
    pub fn count(&mut self, reply: &Reply, took: Duration) {
        let counter = match reply {
            Reply::Ok | Reply::Text(_) => &mut self.ok,
            Reply::Fail { .. } => &mut self.failed,
            Reply::Timeout => &mut self.timed_out,
            Reply::PermissionDenied => &mut self.denied,
        };
        *counter += 1;
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.slowest_ms = self.slowest_ms.max(took_ms);
        self.waited = self.waited.saturating_add(took);
        let bounds = LATENCY_BOUNDS_MS.into_iter().map(Duration::from_millis);
        let fits = bounds.zip(&mut self.latencies);
        if let Some((_, count)) = fits.into_iter().find(|(bound, _)| took <= *bound) {
            *count += 1;
        }
    }

    /// All commands together.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.ok + self.failed + self.timed_out + self.denied
    }
}

/// The same for several threads.
#[derive(Debug, Clone, Default)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// As it stands.
    #[must_use]
    pub fn read(&self) -> Tally {
        *self.lock()
    }

    pub(crate) fn count(&self, reply: &Reply, took: Duration) {
        self.lock().count(reply, took);
    }

    pub(crate) fn note_clients(&self, clients: usize) {
        self.lock().clients = clients as u64;
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From an answer out of memory to the patience of a client.
pub const LATENCY_BOUNDS_MS: [u64; 8] = [1, 5, 20, 100, 500, 1000, 5000, 20_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_where_it_fits() {
        let mut tally = Tally::default();
        for took_ms in [0, 1, 2, 5000, 60_000] {
            tally.count(&Reply::Ok, Duration::from_millis(took_ms));
        }
        assert_eq!(tally.latencies, [2, 1, 0, 0, 0, 0, 1, 0]);
        assert_eq!(tally.answered(), 5);
        assert_eq!(tally.slowest_ms, 60_000);
        assert_eq!(tally.waited, Duration::from_millis(65_003));
    }
}
