//! A minimal multipathd: it owns a host's multipath maps as far as persistent reservations need
//! it, so that a path which returns has its key before it carries I/O, or stays out.
//!
//! # How it is built
//! ```text
//!   uevents ─┐   dm events ─┐   files of mpathpersist ─┐    (descriptors in one epoll)
//!   checks ──┴──────────────┴──────────┬───────────────┘
//!                                      ▼
//!   workers ── Event ──▶  EventLoop: one thread, owns everything  ── Task ──▶ workers
//!                                      ▲    │
//!                     Ask and its reply│    │publishes Arc<Model> after every change
//!                                      │    ▼
//!                               Handle (any number of clones, any thread)
//! ```
//! [`engine::Engine`] is the judgement of the daemon: events and the time in, tasks out, no I/O.
//! [`event_loop::EventLoop`] waits, feeds it, and starts its tasks; whatever can wait for a device
//! runs in [`tasks`], in threads that only send an [`event::Event`] when they are done. SCSI
//! commands run in processes of their own.
//!
//! # For the socket server, signals and the service
//! [`Handle`] is all there is:
//! - [`Handle::snapshot`] gives the whole [`model::Model`] as it stands, without waiting for
//!   anything: every `show` and `get…` is answered from it.
//! - [`Handle::ask`] asks for a change (any other [`Command`](mpath_state::protocol::Command));
//!   the closure it takes gets the answer, sooner or later, in the loop's thread: it must only
//!   pass it on. What an `ok` answers is in the snapshot before the answer comes.
//! - [`Handle::reconfigure`], [`Handle::shutdown`] are what signals want.
//!
//! [`event_loop::EventLoop::run`] runs in the main thread until a shutdown; its
//! [`Heart`](event_loop::Heart) is called at least that often as it says, for a watchdog.
#![forbid(unsafe_code)]

pub mod answers;
pub mod ask;
pub mod client;
pub mod command_line;
pub mod engine;
pub mod event;
pub mod event_loop;
mod lock_watch;
pub mod log;
pub mod metrics;
pub mod model;
pub mod pid_file;
pub mod places;
pub mod rules;
pub mod server;
pub mod service;
pub mod settle;
pub mod show;
mod sources;
pub mod tally;
pub mod tasks;

pub use ask::{Ask, Handle, ReplyTo};
