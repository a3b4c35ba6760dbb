//! The simulated logical unit, one row for each sentence that describes it: what SPC-4 says,
//! what Linux' target does instead, what other arrays do, and what the bytes look like.

mod access;
mod bytes;
mod events;
mod lio;
mod ports;
mod preempt;
mod profiles;
mod registering;
mod reserving;
mod script;
