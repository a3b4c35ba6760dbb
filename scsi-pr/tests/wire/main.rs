//! The wire format against independent witnesses (`fixtures/`: a real target's bytes, another
//! initiator's bytes), and against damage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod damage;
mod fixtures;
mod layouts;
mod responses;
mod sense;
mod sent;
mod values;
