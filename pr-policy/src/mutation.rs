//! Deliberate mistakes, so that tests can show that the checker finds them. Outside of the world
//! nobody can ask for one.

#![cfg_attr(
    not(feature = "world"),
    expect(
        dead_code,
        unreachable_pub,
        reason = "only the checker makes mutations"
    )
)]

use crate::job::Job;

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// RELEASE does not look whether the reservation is gone.
    SkipReread,
    /// Whoever has our key is us.
    CountKeys,
    /// A reservation that no usable path released was somebody else's.
    ForgetDeadHolder,
    /// The map carries I/O while its paths lose their registrations.
    NoSuspend,
    /// The map is resumed before its paths are registered again.
    ResumeTooEarly,
    /// What the old key left behind stays.
    LeaveOldKey,
    /// A registration has spread, and nobody asks whether this node was shut out meanwhile.
    TrustTheFanOut,
    /// A path that came back is registered without a look at who else is.
    RegisterBeforeCheck,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SkipReread,
        Self::CountKeys,
        Self::ForgetDeadHolder,
        Self::NoSuspend,
        Self::ResumeTooEarly,
        Self::LeaveOldKey,
        Self::TrustTheFanOut,
        Self::RegisterBeforeCheck,
    ];
}

impl Job {
    /// Whether this mistake is to be made.
    #[cfg(feature = "world")]
    pub(crate) fn makes(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Never.
    #[cfg(not(feature = "world"))]
    #[expect(clippy::unused_self, reason = "as with the feature `world`")]
    pub(crate) const fn makes(&self, _: Mutation) -> bool {
        false
    }
}
