//! What clients asked and how it ended: numbers for `show status`.

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
    }
}
