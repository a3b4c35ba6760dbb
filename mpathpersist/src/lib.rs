//! The hands.
#![forbid(unsafe_code)]
