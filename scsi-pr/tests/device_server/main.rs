//! The simulated logical unit, one row for each sentence that describes it: what SPC-4 says,
//! what Linux' target does instead, what other arrays do, and what the bytes look like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod access;
mod bytes;
mod events;
mod lio;
mod memory;
mod ports;
mod preempt;
mod profiles;
mod registering;
mod reserving;
mod script;
