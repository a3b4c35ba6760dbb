//! Framing: a native-endian 64-bit length, then that many bytes of text, the last a NUL.

use super::{MAX_REPLY_LEN, MAX_REQUEST_LEN};

/// Size of the length field: `size_t` of a 64-bit machine, in native byte order.
pub const LENGTH_BYTES: usize = 8;

/// The bytes that carry `text`: length, text, NUL. A NUL inside `text` ends it early for
/// the receiver, as in C.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    let mut frame = Vec::with_capacity(LENGTH_BYTES + text.len() + 1);
    frame.extend_from_slice(&(text.len() as u64 + 1).to_ne_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame.push(0);
    frame
}

/// Takes bytes as they arrive and gives out whole messages.
///
/// Inputs: [`push`](Self::push). Outputs: [`poll_text`](Self::poll_text). After an error the
/// stream has no known boundary any more: close the connection.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: u64,
    buffer: Vec<u8>,
}

impl FrameDecoder {
    /// For a server: messages up to [`MAX_REQUEST_LEN`].
    #[must_use]
    pub const fn for_requests() -> Self {
        Self {
            limit: MAX_REQUEST_LEN,
            buffer: Vec::new(),
        }
    }

    /// For a client: messages up to [`MAX_REPLY_LEN`].
    #[must_use]
    pub const fn for_replies() -> Self {
        Self {
            limit: MAX_REPLY_LEN,
            buffer: Vec::new(),
        }
    }

    /// Bytes that were received. Memory grows with what really arrives, never by what a
    /// length field promises.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if it has arrived. Its text ends at the first NUL; bytes that
    /// are no UTF-8 (a vendor's string) become U+FFFD.
    ///
    /// # Errors
    /// The length field is zero or above the limit.
    pub fn poll_text(&mut self) -> Result<Option<String>, FrameError> {
        let Some((length, behind)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = check_length(u64::from_ne_bytes(*length), self.limit)?;
        let Some(body) = behind.get(..length) else {
            return Ok(None);
        };
        let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        self.buffer.drain(..LENGTH_BYTES + length);
        Ok(Some(text))
    }

    /// Whether a message has begun and not ended: a connection that closes now was cut off.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// The length field cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Even an empty text has its NUL.
    #[error("message of length 0")]
    Empty,
    /// More than this side reads.
    #[error("message of {length} bytes, more than the limit of {limit}")]
    TooLong {
        /// What the length field says, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
}

fn check_length(length: u64, limit: u64) -> Result<usize, FrameError> {
    let too_long = FrameError::TooLong { length, limit };
    match length {
        0 => Err(FrameError::Empty),
        _ if length > limit => Err(too_long),
        _ => usize::try_from(length).map_err(|_| too_long),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(bytes: &[u8], step: usize) -> Result<Vec<String>, FrameError> {
        let mut decoder = FrameDecoder::for_requests();
        let mut texts = Vec::new();
        for chunk in bytes.chunks(step) {
            decoder.push(chunk);
            while let Some(text) = decoder.poll_text()? {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    #[test]
    fn a_message_has_length_text_and_nul() {
        let frame = encode("ok\n");
        assert_eq!(frame[..8], 4u64.to_ne_bytes());
        assert_eq!(frame[8..], *b"ok\n\0");
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let stream = [encode("show daemon"), encode(""), encode("ping")].concat();
        for step in 1..=stream.len() {
            assert_eq!(
                decode_all(&stream, step).unwrap(),
                ["show daemon", "", "ping"]
            );
        }
    }

    #[test]
    fn every_truncation_is_incomplete() {
        let frame = encode("getprkey map mpatha");
        for len in 0..frame.len() {
            let mut decoder = FrameDecoder::for_requests();
            decoder.push(&frame[..len]);
            assert_eq!(decoder.poll_text(), Ok(None), "{len}");
            assert_eq!(decoder.is_inside_message(), len > 0);
        }
    }

    #[test]
    fn no_byte_flip_panics_or_takes_memory() {
        let frame = encode("getprstatus map mpatha");
        for position in 0..frame.len() {
            for bit in 0..8 {
                let mut bytes = frame.clone();
                bytes[position] ^= 1 << bit;
                let mut decoder = FrameDecoder::for_requests();
                decoder.push(&bytes);
                let _ = decoder.poll_text();
                assert!(decoder.buffer.capacity() < 4 * frame.len());
            }
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let check = |length: u64, expected| {
            let mut decoder = FrameDecoder::for_requests();
            decoder.push(&length.to_ne_bytes());
            assert_eq!(decoder.poll_text(), expected);
        };
        check(0, Err(FrameError::Empty));
        check(MAX_REQUEST_LEN, Ok(None));
        let limit = MAX_REQUEST_LEN;
        check(
            limit + 1,
            Err(FrameError::TooLong {
                length: limit + 1,
                limit,
            }),
        );
        check(
            u64::MAX,
            Err(FrameError::TooLong {
                length: u64::MAX,
                limit,
            }),
        );
    }

    #[test]
    fn a_missing_nul_and_bytes_behind_a_nul_are_tolerated() {
        let mut decoder = FrameDecoder::for_replies();
        decoder.push(&3u64.to_ne_bytes());
        decoder.push(b"ok\n");
        decoder.push(&6u64.to_ne_bytes());
        decoder.push(b"set\n\0x");
        assert_eq!(decoder.poll_text(), Ok(Some("ok\n".to_owned())));
        assert_eq!(decoder.poll_text(), Ok(Some("set\n".to_owned())));
        assert!(!decoder.is_inside_message());
    }
}
