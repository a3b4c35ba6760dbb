//! The `mpathpersist` command.
fn main() {}
