//! SCSI persistent reservations on the wire: what an initiator sends, what a target answers,
//! as plain values with `encode` and `decode`. No I/O, no clock, no allocation but `Vec` and
//! `String`; the same types serve initiators, targets and tests.
//!
//! Clause numbers cite SPC-4 (ISO/IEC 14776-454, T10/BSR INCITS 513). All integers on the wire
//! are big-endian; in the types they are native.
//!
//! **Open values.** What the standard numbers (actions, scopes, types, status, sense keys) is a
//! newtype over the integer with named constants: a value nobody has named yet survives a
//! round trip and prints in hex. Enums are used only for what this crate invents.
//!
//! **Errors name the field.** A message that is cut short is refused with the name of the first
//! field that is not whole; nothing here panics on any input.
//!
//! ```
//! use scsi_pr::{BasicParameters, OutAction, PrOutCdb, ReservationKey, ReservationType, Scope};
//!
//! let parameters = BasicParameters {
//!     service_action_reservation_key: "0x123abc".parse()?,
//!     aptpl: true,
//!     ..BasicParameters::default()
//! };
//! let list = parameters.encode();
//! let cdb = PrOutCdb {
//!     action: OutAction::REGISTER,
//!     scope: Scope::LOGICAL_UNIT,
//!     reservation_type: ReservationType(0),
//!     parameter_list_length: 24,
//! };
//! assert_eq!(cdb.encode(), [0x5f, 0x00, 0, 0, 0, 0, 0, 0, 0x18, 0]);
//! assert_eq!(list.len(), 24);
//! assert_eq!(BasicParameters::decode(&list)?, parameters);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod action;
mod answer;
mod capabilities;
mod cdb;
#[cfg(feature = "device-server")]
pub mod device_server;
mod error;
mod full_status;
mod iscsi;
mod key;
mod parameters;
mod read_keys;
mod read_reservation;
mod reader;
mod reservation;
mod sense;
mod status;
mod transport_id;
mod transport_text;

pub use action::{InAction, OutAction};
pub use answer::{AnswerClass, Refusal, UnitAttention, classify, classify_for};
pub use capabilities::{Capabilities, TypeMask};
pub use cdb::{PrInCdb, PrOutCdb};
pub use error::{DecodeError, ParseKeyError, ParseTransportIdError};
pub use full_status::{FullStatusDescriptor, ReadFullStatus};
pub use iscsi::IscsiTransportId;
pub use key::ReservationKey;
pub use parameters::{BasicParameters, RegisterAndMoveParameters};
pub use read_keys::ReadKeys;
pub use read_reservation::ReadReservation;
pub use reservation::{Reservation, ReservationType, Scope};
pub use sense::{FieldPointer, Sense, SenseFormat, SenseKey};
pub use status::Status;
pub use transport_id::{ProtocolId, TransportId};
