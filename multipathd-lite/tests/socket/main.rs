//! The socket as clients see it, with a core that is filled by hand.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod answers;
mod clients;
mod command_line;
mod fake;
mod host;
mod metrics;
mod shown;
mod units;
