//! A simulated world for the policy: nodes with paths to one simulated logical unit, faults at
//! every point, a clock that jumps; and next to it the *reference*, the same commands on a disk
//! with one I_T nexus per node. What the policy promises is checked at every step.
//!
//! ```text
//!   Op ──► World::begin ──► step, step, … (a fault may be injected before each) ──► at rest
//!            │                 │ P2, P3, P6: after every step                │
//!            └─ reference: "may have been executed from now on"              └─ P1, P4, P5, P7
//! ```
//!
//! The reference is a set of candidates, since a command on a map takes its time: while it runs,
//! one disk may or may not have executed it. What another node does meanwhile is applied to all
//! candidates; when the command ends, those that contradict its outcome are dropped. A promise is
//! broken when no candidate is left that agrees with the simulated unit.
//!
//! [`search`] walks through every history within bounds, [`random`] through few very long ones.
#![allow(
    clippy::indexing_slicing,
    reason = "nodes and paths are numbered by the world itself"
)]

mod alphabet;
mod books;
mod delivery;
mod ending;
mod exclusion;
mod machine;
mod op;
mod promise;
pub mod random;
mod reference;
pub mod search;
mod setting;
mod stage;
mod trace;

pub use alphabet::Alphabet;
pub use books::Record;
pub use exclusion::Exclusion;
pub use op::{Fault, Link, Op};
pub use promise::{Promise, Violation};
pub use setting::{Setting, Wiring};
pub use stage::{Progress, World};
