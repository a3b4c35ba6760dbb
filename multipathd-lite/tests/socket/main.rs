//! The socket as clients see it, with a core that is filled by hand.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod answers;
mod clients;
mod command_line;
mod fake;
mod host;
mod manual;
mod shown;
