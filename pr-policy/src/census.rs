//! Taking a census: everything registered, with ports where the device names them.

use scsi_pr::{DecodeError, InAction, ReadFullStatus, ReadKeys, ReadReservation, Status};

use crate::courier::{Courier, Settled};
use crate::evidence::Census;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};

/// Waits for READ FULL STATUS; where that is not supported, for READ KEYS and READ RESERVATION.
#[derive(Debug, Clone)]
pub(crate) struct CensusReading {
    reading: Reading,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    FullStatus,
    Keys,
    Reservation(ReadKeys),
}

impl CensusReading {
    pub(crate) fn start(
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        Self::ask(Part::FullStatus, job, courier)
    }

    pub(crate) fn handle(
        self,
        settled: Settled,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.part, job, courier)
    }

    pub(crate) fn handle_alarm(
        self,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.part, job, courier)
    }

    fn ask(
        part: Part,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = Reading::start(courier, job.readable(), part.action(), None);
        Self::after(progress, part, job, courier)
    }

    fn after(
        progress: Progress<Reading, ReadEnd>,
        part: Part,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let end = match progress {
            Progress::Waiting(reading) => return Progress::Waiting(Self { reading, part }),
            Progress::Ended(end) => end,
        };
        match (end, part) {
            (ReadEnd::Response { path, data }, part) => match part.next(&data) {
                Ok(Next::Done(census)) => Progress::Ended(Ok(census)),
                Ok(Next::Ask(part)) => Self::ask(part, job, courier),
                Err(_) => Progress::Ended(Err(Outcome::Malformed { path })),
            },
            (ReadEnd::Answered { reply, .. }, Part::FullStatus)
                if reply.status == Status::CHECK_CONDITION =>
            {
                Self::ask(Part::Keys, job, courier)
            }
            (end, _) => Progress::Ended(Err(end.into_outcome())),
        }
    }
}

/// What follows a response.
enum Next {
    Done(Census),
    Ask(Part),
}

impl Part {
    fn action(&self) -> InAction {
        match self {
            Self::FullStatus => InAction::READ_FULL_STATUS,
            Self::Keys => InAction::READ_KEYS,
            Self::Reservation(_) => InAction::READ_RESERVATION,
        }
    }

    fn next(self, data: &[u8]) -> Result<Next, DecodeError> {
        Ok(match self {
            // Cut, because there are more registrations than fit: then the keys have to do.
            Self::FullStatus if is_cut(data) => Next::Ask(Self::Keys),
            Self::FullStatus => Next::Done(Census::Named(ReadFullStatus::decode(data)?)),
            Self::Keys => Next::Ask(Self::Reservation(ReadKeys::decode_partial(data)?)),
            Self::Reservation(keys) => Next::Done(Census::Counted {
                keys,
                reservation: ReadReservation::decode(data)?.reservation,
            }),
        })
    }
}

fn is_cut(data: &[u8]) -> bool {
    ReadFullStatus::decode_partial(data)
        .is_ok_and(|status| !status.is_complete() || status.may_lack_some(u16::MAX))
}
