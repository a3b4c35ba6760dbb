//! The wire format against independent witnesses (`fixtures/`: a real target's bytes, another
//! initiator's bytes), and against damage.

mod damage;
mod fixtures;
mod layouts;
mod responses;
mod sense;
mod sent;
mod values;
