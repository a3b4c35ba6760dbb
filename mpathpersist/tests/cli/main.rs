//! The command line as others use it: against outputs that were observed, against the patterns
//! of known clients, and whole runs against a runner that touches nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod abbreviations;
mod batch;
mod clients;
mod fake;
mod fixtures;
mod json;
mod rendering;
mod requests;
mod streams;
mod usage;
mod verdicts;
