//! Which command it is, and the commands that are not about reservations.

use alloc::vec::Vec;

use super::access::MediumAccess;
use super::nexus::NexusId;
use super::response::{Denial, Response};
use super::{LogicalUnit, Nexus, Quirks};
use crate::{PrInCdb, PrOutCdb, Sense, SenseFormat, SenseKey};

impl LogicalUnit {
    /// Carries a command out: its CDB, and the bytes that the initiator sends with it.
    ///
    /// Knows PERSISTENT RESERVE IN and OUT, TEST UNIT READY, INQUIRY, REQUEST SENSE, REPORT
    /// LUNS, and READ and WRITE (10 and 16), which are checked against the reservation but
    /// transfer nothing: there is no medium.
    pub fn execute(&mut self, nexus: &Nexus, cdb: &[u8], data_out: &[u8]) -> Response {
        let sender = self.connect_id(nexus);
        self.carry_out(sender, cdb, data_out)
            .unwrap_or_else(Response::from)
    }

    fn carry_out(
        &mut self,
        sender: NexusId,
        cdb: &[u8],
        data_out: &[u8],
    ) -> Result<Response, Denial> {
        let command = Command::decode(cdb)?;
        let is_pr = matches!(command, Command::PrIn(_) | Command::PrOut(_));
        if is_pr && self.profile.has(Quirks::NO_PR) {
            return Err(Denial::OPERATION_CODE);
        }
        if command.minds_attentions()
            && let Some(attention) = self.take_attention(sender)
        {
            return Ok(Response::check_condition(attention.sense()));
        }
        let data = match command {
            Command::TestUnitReady => Vec::new(),
            Command::Inquiry { allocation_length } => cut(inquiry(), allocation_length.into()),
            Command::RequestSense { format, room } => {
                cut(self.request_sense(sender, format), room.into())
            }
            Command::ReportLuns { allocation_length } => cut(
                report_luns(),
                usize::try_from(allocation_length).unwrap_or(usize::MAX),
            ),
            Command::Medium(access) if self.admits(Some(sender), access) => Vec::new(),
            Command::Medium(_) => return Err(Denial::Conflict),
            Command::PrIn(cdb) => self.persistent_reserve_in(cdb)?,
            Command::PrOut(cdb) => {
                self.persistent_reserve_out(sender, cdb, data_out)?;
                Vec::new()
            }
        };
        Ok(Response::good(data))
    }

    /// The first pending unit attention, which thereby is no more.
    fn request_sense(&mut self, sender: NexusId, format: SenseFormat) -> Vec<u8> {
        let nothing = Sense::new(SenseKey::NO_SENSE, 0, 0);
        let attention = self.take_attention(sender);
        let sense = attention.map_or(nothing, super::Attention::sense);
        Sense { format, ..sense }.encode()
    }
}

#[derive(Debug, Clone, Copy)]
enum Command {
    TestUnitReady,
    Inquiry { allocation_length: u16 },
    RequestSense { format: SenseFormat, room: u8 },
    ReportLuns { allocation_length: u32 },
    Medium(MediumAccess),
    PrIn(PrInCdb),
    PrOut(PrOutCdb),
}

impl Command {
    fn decode(cdb: &[u8]) -> Result<Self, Denial> {
        let field = |_| Denial::CDB_FIELD;
        Ok(match cdb {
            [0x00, ..] => Self::TestUnitReady,
            [0x03, flags, _, _, room, ..] => Self::RequestSense {
                format: if flags & DESC == 0 {
                    SenseFormat::Fixed
                } else {
                    SenseFormat::Descriptor
                },
                room: *room,
            },
            [0x12, 0, _, high, low, ..] => Self::Inquiry {
                allocation_length: u16::from_be_bytes([*high, *low]),
            },
            [0xa0, _, _, _, _, _, a, b, c, d, ..] => Self::ReportLuns {
                allocation_length: u32::from_be_bytes([*a, *b, *c, *d]),
            },
            [0x28 | 0x88, ..] => Self::Medium(MediumAccess::Read),
            [0x2a | 0x8a, ..] => Self::Medium(MediumAccess::Write),
            [PrInCdb::OPERATION_CODE, ..] => Self::PrIn(PrInCdb::decode(cdb).map_err(field)?),
            [PrOutCdb::OPERATION_CODE, ..] => Self::PrOut(PrOutCdb::decode(cdb).map_err(field)?),
            [0x03 | 0x12 | 0xa0, ..] => return Err(Denial::CDB_FIELD),
            _ => return Err(Denial::OPERATION_CODE),
        })
    }

    /// Whether a pending unit attention is reported instead of its result (SAM-5 5.14).
    const fn minds_attentions(self) -> bool {
        !matches!(
            self,
            Self::Inquiry { .. } | Self::RequestSense { .. } | Self::ReportLuns { .. }
        )
    }
}

pub(super) fn cut(mut data: Vec<u8>, room: usize) -> Vec<u8> {
    data.truncate(room);
    data
}

/// Standard INQUIRY data (SPC-4 6.6.2): a disk that claims SPC-4.
fn inquiry() -> Vec<u8> {
    let mut data = Vec::from([0x00, 0x00, 0x06, 0x02, 31, 0, 0, 0]);
    data.extend(b"MPATH-PRSIMULATED DISK  0001");
    data
}

/// One logical unit, number 0 (SPC-4 6.33).
fn report_luns() -> Vec<u8> {
    let mut data = Vec::from([0, 0, 0, 8, 0, 0, 0, 0]);
    data.extend([0; 8]);
    data
}

const DESC: u8 = 0x01;
