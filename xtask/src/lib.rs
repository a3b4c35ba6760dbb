//! The project's tasks as a library: the host's half of the lab ([`lab`]) and the half that runs
//! inside its guest ([`guest`]).

pub mod error;
pub mod guest;
pub mod lab;
pub mod process;
