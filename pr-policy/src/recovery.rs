//! What to run first on a map whose last command was cut off, as its journal tells.

use alloc::vec::Vec;

use scsi_pr::ReservationKey;

use crate::request::{Register, RegisterMode, Request};

/// The request that completes one which was killed in the middle; `None` where the device has
/// either executed it or not, and nothing is left to do but to settle every path.
///
/// It runs with [`Occasion::Recovery`](crate::Occasion::Recovery). A registration is completed if
/// one of this node's nexuses has taken the new key and none was taken away since: the caller saw
/// no answer, so one disk may have executed it. RESERVE and RELEASE change nothing if they were
/// executed. CLEAR and the preemptions are not repeated: they would hit who has registered since;
/// after a preemption it is only looked what is left, and whether this node holds.
/// Nor is REGISTER AND MOVE; but where the reservation is seen to have been moved, a sender that is
/// to be unregistered is.
#[must_use]
pub fn recovery(interrupted: &Request) -> Option<Request> {
    match interrupted {
        Request::Register(register) if register.is_unregister() => {
            // With the key that the device was to compare: one that is not this node's was refused.
            let key = match register.mode {
                RegisterMode::Compare => register.key,
                RegisterMode::Ignore => ReservationKey::NONE,
            };
            Some(Request::Register(Register {
                mode: RegisterMode::Ignore,
                key,
                transport_ids: Vec::new(),
                ..register.clone()
            }))
        }
        Request::Register(register) => Some(Request::Register(Register {
            mode: RegisterMode::Compare,
            key: register.new_key,
            transport_ids: Vec::new(),
            ..register.clone()
        })),
        Request::Reserve(_)
        | Request::Release(_)
        | Request::Preempt(_)
        | Request::RegisterAndMove(_) => Some(interrupted.clone()),
        Request::Clear(_) | Request::Read(_) => None,
    }
}
