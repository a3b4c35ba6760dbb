//! Judgement: what to send to which path of a multipath map, so that the map answers persistent
//! reservation commands as one disk with one I_T nexus would.
//!
//! SCSI keeps registrations and the reservation per I_T nexus, and a map is many of them, some
//! of which may be down. A [`Transaction`] takes a [`Request`] and a [`Snapshot`] of the map and
//! turns them into [`Action`]s; the caller carries those out and feeds back [`Event`]s until
//! there is an [`Outcome`]. There is no I/O here, no clock and no thread: what runs on a kernel
//! runs unchanged in a simulation.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
// For the world alone; without it the compiler vouches for the purity of the rest.
#[cfg(feature = "world")]
extern crate std;

mod appraisal;
mod ask;
mod attempt;
mod broadcast;
mod census;
mod courier;
mod evidence;
mod holder;
mod inspect;
mod job;
mod keys;
mod learn;
mod limits;
mod look;
mod mutation;
mod outcome;
mod path_return;
mod purge;
mod read;
mod reading;
mod recovery;
mod register;
mod release;
mod remnant;
mod request;
mod restore;
mod snapshot;
mod state;
mod survey;
mod takeover;
mod task;
mod transaction;
mod undo;
mod verify;
mod weigh;
mod wire;
#[cfg(feature = "world")]
pub mod world;

pub use appraisal::{
    Appraisal, Counting, Evidence, Finding, Holder, Naming, PathAppraisal, PathVerdict, Registered,
    Reluctance, Remedy, Severity, Standing, Stranger,
};
pub use evidence::Ownership;
pub use keys::{ConfiguredKey, KeyPlan, KeyRefusal, authorise};
pub use limits::Limits;
pub use look::Look;
#[cfg(feature = "world")]
pub use mutation::Mutation;
pub use outcome::{Effects, Holding, Others, Outcome, Registration, Spared};
pub use path_return::{Membership, PathReturn, Settlement, Trust};
pub use recovery::recovery;
pub use request::{
    Clear, Preempt, Read, Register, RegisterAndMove, RegisterMode, Release, Request, Reserve,
    VictimCommands,
};
pub use snapshot::{Before, Path, PathId, PathState, Snapshot};
pub use transaction::{Doubt, FanOut, Occasion, Options, Transaction};
pub use wire::{Action, Answer, Command, Event, Parameters, Success, Ticket};
