//! What a multipath node remembers.
#![forbid(unsafe_code)]
