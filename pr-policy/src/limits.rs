//! The bounds of a transaction, each with its reason.

use core::time::Duration;

/// Time limits of one transaction, measured from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The whole transaction ends by then.
    pub deadline: Duration,
    /// How long one path may take for one command before it counts as unreachable.
    pub path_patience: Duration,
    /// How long a read waits for a path before it asks the next one as well.
    pub read_patience: Duration,
}

impl Limits {
    /// For PERSISTENT RESERVE OUT. fence agents kill after 20 s: everything ends before.
    pub const OUT: Self = Self {
        deadline: Duration::from_secs(18),
        path_patience: Duration::from_secs(5),
        read_patience: Duration::from_secs(1),
    };

    /// For PERSISTENT RESERVE IN. Watchdogs give a read 5 s: a path that hangs costs 1 s, and
    /// a slow array still gets its time where nobody is in a hurry.
    pub const IN: Self = Self {
        deadline: Duration::from_secs(30),
        path_patience: Duration::from_secs(30),
        read_patience: Duration::from_secs(1),
    };

    /// The same limits inside a deadline given by the caller.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self {
            deadline,
            path_patience: self.path_patience.min(deadline / 2),
            read_patience: self.read_patience.min(deadline / 4),
        }
    }
}

/// Unit attentions answered in a row before a path is given up: a device queues a handful at
/// most, one for each thing that happened to it.
pub(crate) const MAX_UNIT_ATTENTIONS: u32 = 5;

/// First pause before a busy path is asked again.
pub(crate) const FIRST_BACK_OFF: Duration = Duration::from_millis(100);

/// Longest pause before a busy path is asked again.
pub(crate) const MAX_BACK_OFF: Duration = Duration::from_secs(1);

/// How long a path may take to show that it is alive. Healthy paths answer TEST UNIT READY in
/// milliseconds.
pub(crate) const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// The part of the time to the deadline that is kept for putting things back: a sixth, 3 s of
/// 18. Paths that have just accepted a command take the next one in milliseconds.
pub(crate) const REVERSAL_SHARE: u32 = 6;

/// How long resuming a map is waited for. The kernel does it at once, but not before it is done
/// with a request to suspend that nobody waits for any more; whoever carries the action out goes
/// on trying.
pub(crate) const RESUME_PATIENCE: Duration = Duration::from_secs(5);

/// Times the reservation is taken over in one request: once, and again for each of two paths that
/// die while they hold it. A third is a host that loses everything.
pub(crate) const MAX_TAKEOVERS: u32 = 3;

/// Times registrations of the old key are preempted in one request: once, and again, twice, where
/// nobody answered.
pub(crate) const MAX_PURGES: u32 = 3;

/// Times keys and reservation are read again because registrations changed between the two.
pub(crate) const MAX_RECOUNTS: u32 = 3;

/// Times a path that is alive, but did not answer, is given the same command again.
pub(crate) const MAX_REPEATS: u32 = 1;

/// A registration that is answered within this has not waited for another one.
pub(crate) const INSTANT: Duration = Duration::from_millis(100);

/// One that takes this long beside another has: some arrays answer the second of two after 5 s.
pub(crate) const SLOW_BESIDE: Duration = Duration::from_secs(2);

/// Allocation length of a first read, as multipath-tools sends it: enough for a thousand keys.
pub(crate) const FIRST_ALLOCATION: u16 = 8192;

/// Bytes of the last page of 4 KiB that the allocation length of READ FULL STATUS leaves free.
///
/// Linux' target checks the room for a descriptor's TransportID, but neither for the 24 bytes
/// before it nor for the response's header, and so writes up to 32 bytes more than were asked for
/// (`drivers/target/target_core_pr.c`, `core_scsi3_pri_read_full_status`). At the end of a page
/// that stops its kernel.
pub(crate) const FULL_STATUS_SLACK: u16 = 32;

/// The page that the slack is of.
pub(crate) const PAGE: usize = 4096;

/// Times a response that did not fit is read again with more room: it may grow meanwhile.
pub(crate) const MAX_GROWTHS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_shrinks_with_the_deadline() {
        let seconds = |limits: Limits| {
            let Limits {
                deadline,
                path_patience,
                read_patience,
            } = limits;
            [deadline, path_patience, read_patience].map(|time| time.as_millis())
        };
        for (deadline, expected) in [
            (60, [60_000, 5_000, 1_000]),
            (18, [18_000, 5_000, 1_000]),
            (2, [2_000, 1_000, 500]),
            (0, [0, 0, 0]),
        ] {
            let limits = Limits::OUT.within(Duration::from_secs(deadline));
            assert_eq!(seconds(limits), expected);
        }
    }
}
