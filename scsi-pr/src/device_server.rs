//! A simulated logical unit with persistent reservations (SPC-4 5.12): the target that tests,
//! model checkers and sandboxes run against. A CDB and its parameter list go in, status, sense
//! and data come out, as bytes.
//!
//! It is pure and deterministic: no clock, no I/O, nothing lost, late or hung; whoever owns one
//! injects the faults around it. A [`LogicalUnit`] is small, cheap to clone and to hash.
//!
//! What it does beyond or against the standard is a [`Profile`]: a set of [`Quirks`], each seen
//! in a real array. [`Profile::lio`] is Linux' own target; a test compares the two, command by
//! command.
//!
//! ```
//! use scsi_pr::device_server::{LogicalUnit, Nexus, Profile};
//! use scsi_pr::{BasicParameters, OutAction, PrOutCdb, ReservationKey, ReservationType, Scope};
//! use scsi_pr::{Status, TransportId};
//!
//! let mut unit = LogicalUnit::new(Profile::strict());
//! let nexus = Nexus {
//!     initiator_port: TransportId::Sas { address: 0x5a01_0000_0000_0001 },
//!     relative_target_port: 1,
//! };
//! let cdb = PrOutCdb {
//!     action: OutAction::REGISTER,
//!     scope: Scope::LOGICAL_UNIT,
//!     reservation_type: ReservationType(0),
//!     parameter_list_length: 24,
//! };
//! let parameters = BasicParameters {
//!     service_action_reservation_key: ReservationKey(0x123abc),
//!     ..BasicParameters::default()
//! };
//! let answer = unit.execute(&nexus, &cdb.encode(), &parameters.encode());
//! assert_eq!(answer.status, Status::GOOD);
//! assert_eq!(unit.registered_key(&nexus), Some(ReservationKey(0x123abc)));
//! assert_eq!(unit.generation(), 1);
//! ```

mod access;
mod attention;
mod commands;
mod memory;
mod move_reservation;
mod nexus;
mod out;
mod preempt;
mod profile;
mod reach;
mod reading;
mod register;
mod registrants;
mod reserve;
mod response;
mod state;

pub use attention::{Attention, Attentions};
pub use memory::{KeptRegistration, KnownNexus, Memory, MemoryError};
pub use nexus::Nexus;
pub use profile::{Profile, Quirks};
pub use response::Response;
pub use state::{LogicalUnit, Registration};
