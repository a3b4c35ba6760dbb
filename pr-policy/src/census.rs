//! Taking a census: everything registered, with ports where the device names them.

use scsi_pr::{DecodeError, InAction, ReadFullStatus, ReadKeys, ReadReservation, Status};

use crate::courier::{Courier, Settled};
use crate::evidence::Census;
use crate::job::Job;
use crate::limits::MAX_RECOUNTS;
use crate::outcome::Outcome;
use crate::reading::{Progress, ReadEnd, Reading};
use crate::snapshot::PathId;

/// Waits for READ FULL STATUS; where that is not supported, for READ KEYS and READ RESERVATION.
#[derive(Debug, Clone)]
pub(crate) struct CensusReading {
    reading: Reading,
    part: Part,
    recounts: u32,
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
        Self::ask(Part::FullStatus, 0, job, courier)
    }

    pub(crate) fn handle(
        self,
        settled: Settled,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = self.reading.handle(settled, courier);
        Self::after(progress, self.part, self.recounts, job, courier)
    }

    pub(crate) fn handle_alarm(
        self,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = self.reading.handle_alarm(courier);
        Self::after(progress, self.part, self.recounts, job, courier)
    }

    /// The paths that have not answered yet.
    pub(crate) fn asked(&self) -> &[PathId] {
        self.reading.asked()
    }

    fn ask(
        part: Part,
        recounts: u32,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let progress = Reading::start(courier, job.readable(), part.action(), None);
        Self::after(progress, part, recounts, job, courier)
    }

    fn after(
        progress: Progress<Reading, ReadEnd>,
        part: Part,
        recounts: u32,
        job: &Job,
        courier: &mut Courier,
    ) -> Progress<Self, Result<Census, Outcome>> {
        let end = match progress {
            Progress::Waiting(reading) => {
                return Progress::Waiting(Self {
                    reading,
                    part,
                    recounts,
                });
            }
            Progress::Ended(end) => end,
        };
        match (end, part) {
            (ReadEnd::Response { path, data }, part) => match part.next(&data) {
                Ok(Next::Done(census)) => Progress::Ended(Ok(census)),
                Ok(Next::Ask(part)) => Self::ask(part, recounts, job, courier),
                Ok(Next::Moved(census)) if recounts >= MAX_RECOUNTS => Progress::Ended(Ok(census)),
                Ok(Next::Moved(_)) => Self::ask(Part::Keys, recounts + 1, job, courier),
                Err(_) => Progress::Ended(Err(Outcome::Malformed { path })),
            },
            (ReadEnd::Answered { reply, .. }, Part::FullStatus)
                if reply.status == Status::CHECK_CONDITION =>
            {
                Self::ask(Part::Keys, recounts, job, courier)
            }
            (end, _) => Progress::Ended(Err(end.into_outcome())),
        }
    }
}

/// What follows a response.
enum Next {
    Done(Census),
    Ask(Part),
    /// The two halves of it are not of the same moment.
    Moved(Census),
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
            // Not every device that answers has got the descriptors right.
            Self::FullStatus => match ReadFullStatus::decode(data) {
                Ok(status) => Next::Done(Census::Named(status)),
                Err(_) => Next::Ask(Self::Keys),
            },
            Self::Keys => Next::Ask(Self::Reservation(ReadKeys::decode_partial(data)?)),
            Self::Reservation(keys) => {
                let read = ReadReservation::decode(data)?;
                let is_same_moment = read.generation == keys.generation;
                let census = Census::Counted {
                    keys,
                    reservation: read.reservation,
                };
                if is_same_moment {
                    Next::Done(census)
                } else {
                    Next::Moved(census)
                }
            }
        })
    }
}

fn is_cut(data: &[u8]) -> bool {
    ReadFullStatus::decode_partial(data)
        .is_ok_and(|status| !status.is_complete() || status.may_lack_some(u16::MAX))
}
