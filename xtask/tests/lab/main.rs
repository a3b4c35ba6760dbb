//! The scenarios: an ordinary libtest binary that runs as root inside the lab's guest, on the real
//! kernel, by `cargo xtask lab [FILTER…]`. Run anywhere else, every scenario refuses.
//!
//! To add one: a file per theme beside this one with a `mod` line below, and in it
//!
//! ```ignore
//! #[test]
//! fn what_is_shown() -> Result {
//!     let lab = Lab::shared("mytheme")?;           // a name of its own; `alone` for a daemon
//!     let mut lun = lab.lun(Fabric::Loop, 4)?;     // or Fabric::Iscsi
//!     let other = lun.add_nexuses(2, 1)?;          // another node: its witness() is sg_persist
//!     let map = lun.map()?;                        // a map without any daemon
//!     run("mpathpersist", ["-i", "-k", "-d", map.node()])?.succeeded()?;
//!     lun.paths()[0].set_offline()?;               // or delete, link_down, hang, …
//!     assert!(other[0].witness().read_keys()?.keys.is_empty());
//!     Ok(())
//! }
//! ```
//!
//! Scenarios run four at a time. What one makes goes when its `Lun`s are dropped. What must be
//! waited for is waited for by `until`, never by sleeping for a fixed time.

#![cfg_attr(
    test,
    expect(
        clippy::indexing_slicing,
        reason = "a wrong number of paths should end the test"
    )
)]

mod binaries;
mod conformance;
mod daemon_failback;
mod daemon_groups;
mod daemon_hooks;
mod daemon_killed;
mod daemon_maps;
mod daemon_mistakes;
mod daemon_paths;
mod daemon_queueing;
mod daemon_returns;
mod daemon_service;
mod daemon_sessions;
mod daemon_socket;
mod daemon_verbs;
mod dead_holder;
mod distribution;
mod faults;
mod fence_mpath;
mod holder_changes;
mod maps;
mod packages;
mod persist;
mod persist_clients;
mod persist_commands;
mod persist_daemon;
mod persist_dry_run;
mod persist_faults;
mod persist_hangs;
mod persist_killed;
mod persist_output;
mod persist_parity;
mod persist_refusals;
mod persist_repair;
mod persist_scale;
mod persist_status;
mod shared_key;
mod target;
mod upstream_faults;
mod zombies;
