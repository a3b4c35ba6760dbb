//! The real daemon on a node of a sandbox: paths that come back while it watches, nodes that are
//! fenced, and a daemon that is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod hooks;
mod metrics;
mod node;
mod recovery;
mod returns;
