//! The daemon: not there yet.
fn main() {}
