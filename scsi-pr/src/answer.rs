//! What an answer means for the one who asked: done, refused, try again, try elsewhere.

use crate::{OutAction, Sense, SenseKey, Status};

/// The class of a completed command's answer.
///
/// A command that did not complete (the transport failed, the node could not be opened, time
/// ran out) has no status; it is [`AnswerClass::Unreachable`] by the caller's knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerClass {
    /// The target did it.
    Done,
    /// RESERVATION CONFLICT: an outcome, not an error.
    Conflict,
    /// Not done; ask again at once on the same path. What happened may be news.
    UnitAttention(UnitAttention),
    /// Not done; ask again on the same path after a while.
    Busy,
    /// Not done; another path may do.
    Unreachable,
    /// Not done, and no path will do it.
    Refused(Refusal),
    /// Anything else. Whether it was done is unknown.
    Failed,
}

/// What a unit attention tells (SPC-4 5.13.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitAttention {
    /// 2A/03: another nexus took the reservation away.
    ReservationsPreempted,
    /// 2A/04: the reservation under which this nexus had access is gone.
    ReservationsReleased,
    /// 2A/05: another nexus took this one's registration away.
    RegistrationsPreempted,
    /// Anything else.
    Other,
}

/// Why a target refuses for good: ILLEGAL REQUEST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 20/00: it has no persistent reservations.
    NoPersistentReservations,
    /// 26/04: RELEASE with another scope or type than the reservation has.
    InvalidRelease,
    /// 55/04: no room for another registration.
    InsufficientResources,
    /// Anything else.
    Other,
}

/// The class of an answer.
///
/// ```
/// use scsi_pr::{AnswerClass, Sense, SenseKey, Status, UnitAttention, classify};
/// assert_eq!(classify(Status::RESERVATION_CONFLICT, None), AnswerClass::Conflict);
/// let sense = Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, 0x05);
/// assert_eq!(
///     classify(Status::CHECK_CONDITION, Some(&sense)),
///     AnswerClass::UnitAttention(UnitAttention::RegistrationsPreempted),
/// );
/// ```
#[must_use]
pub fn classify(status: Status, sense: Option<&Sense>) -> AnswerClass {
    match (status, sense) {
        (Status::GOOD, _) => AnswerClass::Done,
        (Status::RESERVATION_CONFLICT, _) => AnswerClass::Conflict,
        (Status::BUSY | Status::TASK_SET_FULL, _) => AnswerClass::Busy,
        (Status::CHECK_CONDITION, Some(sense)) => classify_sense(sense),
        _ => AnswerClass::Failed,
    }
}

/// The class of the answer to a PERSISTENT RESERVE OUT action.
///
/// As [`classify`], but knows one habit: Linux' target answers RESERVE, RELEASE, CLEAR and
/// REGISTER AND MOVE of a nexus that is not registered, while no reservation stands, with NOT
/// READY 08/00 (`drivers/target/target_core_pr.c`) where the standard wants a conflict.
///
/// ```
/// use scsi_pr::{AnswerClass, OutAction, Sense, SenseKey, Status, classify_for};
/// let sense = Sense::new(SenseKey::NOT_READY, 0x08, 0x00);
/// let class = classify_for(OutAction::RELEASE, Status::CHECK_CONDITION, Some(&sense));
/// assert_eq!(class, AnswerClass::Conflict);
/// ```
#[must_use]
pub fn classify_for(action: OutAction, status: Status, sense: Option<&Sense>) -> AnswerClass {
    let is_habit = matches!(
        action,
        OutAction::RESERVE | OutAction::RELEASE | OutAction::CLEAR | OutAction::REGISTER_AND_MOVE
    );
    match sense {
        Some(sense)
            if is_habit
                && status == Status::CHECK_CONDITION
                && !sense.deferred
                && sense.key == SenseKey::NOT_READY
                && sense.is_code(0x08, 0x00) =>
        {
            AnswerClass::Conflict
        }
        _ => classify(status, sense),
    }
}

fn classify_sense(sense: &Sense) -> AnswerClass {
    if sense.deferred {
        // About an earlier command; this one was not done (SPC-4 4.5.5).
        return AnswerClass::Busy;
    }
    match sense.key {
        SenseKey::RECOVERED_ERROR => AnswerClass::Done,
        SenseKey::NOT_READY => classify_not_ready(sense),
        SenseKey::ILLEGAL_REQUEST => AnswerClass::Refused(classify_refusal(sense)),
        SenseKey::UNIT_ATTENTION => AnswerClass::UnitAttention(classify_attention(sense)),
        _ => AnswerClass::Failed,
    }
}

/// Busy while it formats, works, or changes its access state; else this path is of no use.
const fn classify_not_ready(sense: &Sense) -> AnswerClass {
    match (sense.asc, sense.ascq) {
        (0x04, 0x04 | 0x07 | 0x0a) => AnswerClass::Busy,
        _ => AnswerClass::Unreachable,
    }
}

const fn classify_refusal(sense: &Sense) -> Refusal {
    match (sense.asc, sense.ascq) {
        (0x20, 0x00) => Refusal::NoPersistentReservations,
        (0x26, 0x04) => Refusal::InvalidRelease,
        (0x55, 0x04) => Refusal::InsufficientResources,
        _ => Refusal::Other,
    }
}

const fn classify_attention(sense: &Sense) -> UnitAttention {
    match (sense.asc, sense.ascq) {
        (0x2a, 0x03) => UnitAttention::ReservationsPreempted,
        (0x2a, 0x04) => UnitAttention::ReservationsReleased,
        (0x2a, 0x05) => UnitAttention::RegistrationsPreempted,
        _ => UnitAttention::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: SenseKey, asc: u8, ascq: u8, expected: AnswerClass) {
        let sense = Sense::new(key, asc, ascq);
        assert_eq!(
            classify(Status::CHECK_CONDITION, Some(&sense)),
            expected,
            "{sense}"
        );
        let deferred = Sense {
            deferred: true,
            ..sense
        };
        let class = classify(Status::CHECK_CONDITION, Some(&deferred));
        assert_eq!(class, AnswerClass::Busy, "{deferred}");
    }

    #[test]
    fn every_status() {
        for number in 0..=u8::MAX {
            let expected = match number {
                0x00 => AnswerClass::Done,
                0x18 => AnswerClass::Conflict,
                0x08 | 0x28 => AnswerClass::Busy,
                _ => AnswerClass::Failed,
            };
            assert_eq!(classify(Status(number), None), expected, "{number:#x}");
        }
    }

    #[test]
    fn sense_counts_with_check_condition_only() {
        let sense = Sense::new(SenseKey::UNIT_ATTENTION, 0x2a, 0x03);
        assert_eq!(classify(Status::GOOD, Some(&sense)), AnswerClass::Done);
        assert_eq!(
            classify(Status::RESERVATION_CONFLICT, Some(&sense)),
            AnswerClass::Conflict
        );
        assert_eq!(
            classify(Status::TASK_ABORTED, Some(&sense)),
            AnswerClass::Failed
        );
    }

    #[test]
    fn not_ready() {
        check(SenseKey::NOT_READY, 0x04, 0x04, AnswerClass::Busy);
        check(SenseKey::NOT_READY, 0x04, 0x07, AnswerClass::Busy);
        check(SenseKey::NOT_READY, 0x04, 0x0a, AnswerClass::Busy);
        check(SenseKey::NOT_READY, 0x04, 0x0b, AnswerClass::Unreachable);
        check(SenseKey::NOT_READY, 0x04, 0x0c, AnswerClass::Unreachable);
        check(SenseKey::NOT_READY, 0x04, 0x01, AnswerClass::Unreachable);
        check(SenseKey::NOT_READY, 0x3a, 0x00, AnswerClass::Unreachable);
        check(SenseKey::NOT_READY, 0x08, 0x00, AnswerClass::Unreachable);
    }

    #[test]
    fn unit_attention() {
        let class = AnswerClass::UnitAttention;
        let key = SenseKey::UNIT_ATTENTION;
        check(key, 0x2a, 0x03, class(UnitAttention::ReservationsPreempted));
        check(key, 0x2a, 0x04, class(UnitAttention::ReservationsReleased));
        check(
            key,
            0x2a,
            0x05,
            class(UnitAttention::RegistrationsPreempted),
        );
        check(key, 0x2a, 0x06, class(UnitAttention::Other));
        check(key, 0x29, 0x03, class(UnitAttention::Other));
    }

    #[test]
    fn illegal_request() {
        let class = AnswerClass::Refused;
        let key = SenseKey::ILLEGAL_REQUEST;
        check(key, 0x20, 0x00, class(Refusal::NoPersistentReservations));
        check(key, 0x26, 0x04, class(Refusal::InvalidRelease));
        check(key, 0x55, 0x04, class(Refusal::InsufficientResources));
        check(key, 0x26, 0x00, class(Refusal::Other));
        check(key, 0x20, 0x01, class(Refusal::Other));
    }

    #[test]
    fn other_keys() {
        for number in 0x0..=0xf {
            let key = SenseKey(number);
            match key {
                SenseKey::RECOVERED_ERROR => check(key, 0x2a, 0x03, AnswerClass::Done),
                SenseKey::NOT_READY | SenseKey::ILLEGAL_REQUEST | SenseKey::UNIT_ATTENTION => {}
                // The codes of a unit attention mean nothing under these.
                _ => check(key, 0x2a, 0x03, AnswerClass::Failed),
            }
        }
    }
}
