//! The project's tasks as a library: the host's half of the lab ([`lab`]) and the half that runs
//! inside its guest ([`guest`]), the story on a simulated array ([`demo`]), the house rules
//! ([`tidy`]), the search through a simulated world ([`check`]), and everything together ([`ci`]);
//! and what people install and read: packages ([`dist`]), manual pages ([`man`]) and
//! [`completions`].

pub mod check;
pub mod ci;
pub mod completions;
pub mod demo;
pub mod dist;
pub mod error;
pub mod guest;
pub mod lab;
pub mod man;
pub mod process;
pub mod promtool;
pub mod tidy;
