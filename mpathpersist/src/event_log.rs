//! What happened to a transaction in another process, as bytes: replayed, it brings a copy of the
//! transaction to the same state, since a transaction depends on nothing but what it is told.

use std::time::Duration;

use pr_policy::{Answer, Event, PathState, Success, Ticket, Transaction};
use scsi_pr::{Sense, Status};

/// Everything a transaction was told, in order.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    bytes: Vec<u8>,
}

impl EventLog {
    /// Tells the transaction, and notes it. Nothing but the time is told without an event.
    pub(crate) fn tell(
        &mut self,
        transaction: &mut Transaction,
        now: Duration,
        event: Option<Event>,
    ) {
        self.write(now, event.as_ref());
        match event {
            Some(event) => transaction.handle_event(now, event),
            None => transaction.handle_timeout(now),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn write(&mut self, now: Duration, event: Option<&Event>) {
        self.bytes.extend(now.as_secs().to_be_bytes());
        self.bytes.extend(now.subsec_nanos().to_be_bytes());
        match event {
            None => self.bytes.push(TIME),
            Some(Event::Answered { ticket, answer }) => self.write_answer(*ticket, answer),
            Some(Event::Probed { ticket, state }) => self.write_tagged(probed_tag(*state), *ticket),
            Some(Event::Suspended {
                ticket,
                success: Success::Yes,
            }) => {
                self.write_tagged(SUSPENDED, *ticket);
            }
            Some(Event::Suspended {
                ticket,
                success: Success::No,
            }) => {
                self.write_tagged(NOT_SUSPENDED, *ticket);
            }
            Some(Event::Resumed { ticket }) => self.write_tagged(RESUMED, *ticket),
        }
    }

    fn write_answer(&mut self, ticket: Ticket, answer: &Answer) {
        match answer {
            Answer::NotSent => self.write_tagged(NOT_SENT, ticket),
            Answer::Lost => self.write_tagged(LOST, ticket),
            Answer::Status {
                status,
                sense,
                data,
            } => {
                self.write_tagged(STATUS, ticket);
                self.bytes.push(status.0);
                self.write_block(&sense.as_ref().map(Sense::encode).unwrap_or_default());
                self.write_block(data);
            }
        }
    }

    fn write_tagged(&mut self, tag: u8, ticket: Ticket) {
        self.bytes.push(tag);
        self.bytes.extend(ticket.0.to_be_bytes());
    }

    fn write_block(&mut self, block: &[u8]) {
        let length = u32::try_from(block.len()).unwrap_or_default();
        self.bytes.extend(length.to_be_bytes());
        self.bytes
            .extend(block.iter().take(block.len().min(u32::MAX as usize)));
    }
}

/// Tells a transaction what is in the bytes of a log. What it wants done was done where the log
/// was written.
///
/// `None`: the bytes end in the middle of an entry, or are none; what came before was told.
pub(crate) fn replay(bytes: &[u8], transaction: &mut Transaction) -> Option<()> {
    let mut reader = Reader { bytes };
    while !reader.bytes.is_empty() {
        let (now, event) = reader.entry()?;
        while transaction.poll_action().is_some() {}
        match event {
            Some(event) => transaction.handle_event(now, event),
            None => transaction.handle_timeout(now),
        }
    }
    Some(())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn entry(&mut self) -> Option<(Duration, Option<Event>)> {
        let seconds = u64::from_be_bytes(self.array()?);
        let nanoseconds = u32::from_be_bytes(self.array()?);
        let now = Duration::new(seconds, nanoseconds);
        let [tag] = self.array()?;
        if tag == TIME {
            return Some((now, None));
        }
        let ticket = Ticket(u32::from_be_bytes(self.array()?));
        let event = match tag {
            STATUS => Event::Answered {
                ticket,
                answer: self.status()?,
            },
            NOT_SENT => Event::Answered {
                ticket,
                answer: Answer::NotSent,
            },
            LOST => Event::Answered {
                ticket,
                answer: Answer::Lost,
            },
            PROBED_USABLE => Event::Probed {
                ticket,
                state: PathState::Usable,
            },
            PROBED_DOUBTFUL => Event::Probed {
                ticket,
                state: PathState::Doubtful,
            },
            PROBED_DEAD => Event::Probed {
                ticket,
                state: PathState::Dead,
            },
            SUSPENDED => Event::Suspended {
                ticket,
                success: Success::Yes,
            },
            NOT_SUSPENDED => Event::Suspended {
                ticket,
                success: Success::No,
            },
            RESUMED => Event::Resumed { ticket },
            _ => return None,
        };
        Some((now, Some(event)))
    }

    fn status(&mut self) -> Option<Answer> {
        let [status] = self.array()?;
        let sense = self.block()?;
        let data = self.block()?;
        Some(Answer::Status {
            status: Status(status),
            sense: Sense::decode_partial(&sense).ok(),
            data,
        })
    }

    fn block(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        let (block, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(block.to_vec())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }
}

fn probed_tag(state: PathState) -> u8 {
    match state {
        PathState::Usable => PROBED_USABLE,
        PathState::Doubtful => PROBED_DOUBTFUL,
        PathState::Dead => PROBED_DEAD,
    }
}

const TIME: u8 = 0;
const STATUS: u8 = 1;
const NOT_SENT: u8 = 2;
const LOST: u8 = 3;
const PROBED_USABLE: u8 = 4;
const PROBED_DOUBTFUL: u8 = 5;
const PROBED_DEAD: u8 = 6;
const SUSPENDED: u8 = 7;
const NOT_SUSPENDED: u8 = 8;
const RESUMED: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn every_event() -> Vec<Option<Event>> {
        let ticket = Ticket(0x0102_0304);
        let sense = scsi_pr::Sense::new(scsi_pr::SenseKey::UNIT_ATTENTION, 0x2a, 0x05);
        let answered = |answer| Some(Event::Answered { ticket, answer });
        let status = |sense, data| Answer::Status {
            status: Status::CHECK_CONDITION,
            sense,
            data,
        };
        vec![
            None,
            answered(status(Some(sense), Vec::new())),
            answered(status(None, vec![1, 2, 3])),
            answered(Answer::NotSent),
            answered(Answer::Lost),
            Some(Event::Probed {
                ticket,
                state: PathState::Usable,
            }),
            Some(Event::Probed {
                ticket,
                state: PathState::Doubtful,
            }),
            Some(Event::Probed {
                ticket,
                state: PathState::Dead,
            }),
            Some(Event::Suspended {
                ticket,
                success: Success::Yes,
            }),
            Some(Event::Suspended {
                ticket,
                success: Success::No,
            }),
            Some(Event::Resumed { ticket }),
        ]
    }

    #[test]
    fn every_event_comes_back_and_no_cut_one_does() {
        for event in every_event() {
            let mut log = EventLog::default();
            let now = Duration::new(17, 999_999_999);
            log.write(now, event.as_ref());
            let bytes = log.into_bytes();
            let mut reader = Reader { bytes: &bytes };
            assert_eq!(reader.entry(), Some((now, event)));
            assert!(reader.bytes.is_empty());
            for length in 0..bytes.len() {
                assert_eq!(
                    Reader {
                        bytes: &bytes[..length]
                    }
                    .entry(),
                    None,
                    "{length}"
                );
            }
        }
    }
}
