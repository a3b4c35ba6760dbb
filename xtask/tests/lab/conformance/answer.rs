//! How a command ended, as far as it must be the same.

use std::fmt;

use scsi_pr::Status;

/// The end of a command: what must be the same.
#[derive(PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) sense: Option<(u8, u8, u8)>,
    pub(super) data: Vec<u8>,
}

impl Answer {
    pub(super) const fn good(data: Vec<u8>) -> Self {
        Self {
            status: Status::GOOD,
            sense: None,
            data,
        }
    }
}

impl Answer {
    /// Status and sense.
    pub(super) fn end(&self) -> String {
        let sense = self
            .sense
            .map(|(key, asc, ascq)| format!(" {key:x}/{asc:02x}/{ascq:02x}"));
        format!("{}{}", self.status, sense.unwrap_or_default())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.end())?;
        let end = self.data.iter().rposition(|byte| *byte != 0);
        for byte in &self.data[..end.map_or(0, |end| end + 1)] {
            write!(f, " {byte:02x}")?;
        }
        Ok(())
    }
}
