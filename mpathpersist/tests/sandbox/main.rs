//! The real binary in a sandbox: every command with its output and exit status, paths that fail
//! and come back, and a sandbox that is shared, killed or damaged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod commands;
mod cut_off;
mod damage;
mod dry_run;
mod mistakes;
mod parity;
mod paths;
mod repair;
mod san;
mod shared_key;
mod sharing;
mod status;
