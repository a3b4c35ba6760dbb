//! The kernel's interfaces: the only module of the project with `unsafe` code.
//!
//! Each `unsafe` block does one thing and carries its argument. What the kernel writes is read
//! by offset from plain bytes; no kernel structure is ever cast.

mod abi;
pub mod apart;
pub mod dm;
pub mod sg;

pub use dm::{DmControl, DmError, DmName};
