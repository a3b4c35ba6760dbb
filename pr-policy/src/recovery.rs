//! What to run first on a map whose last command was cut off, as its journal tells.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use crate::request::{Register, RegisterMode, Request};

/// The request that completes one which was killed in the middle; `None` where the device has
/// either executed it or not, and nothing is left to do but to settle every path.
///
/// A registration is completed, whatever each path has by now: the caller saw no answer, so one
/// disk may have executed it. RESERVE and RELEASE change nothing if they were executed. CLEAR and
/// the preemptions are not repeated: they would hit who has registered since.
#[must_use]
pub fn recovery(interrupted: &Request) -> Option<Request> {
    match interrupted {
        Request::Register(register) => Some(Request::Register(Register {
            mode: RegisterMode::Ignore,
            key: ReservationKey::NONE,
            transport_ids: Vec::new(),
            ..register.clone()
        })),
        Request::Reserve(_) | Request::Release(_) => Some(interrupted.clone()),
        Request::Clear(_)
        | Request::Preempt(_)
        | Request::RegisterAndMove(_)
        | Request::Read(_) => None,
    }
}
