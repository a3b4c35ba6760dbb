//! A bounded cursor over received bytes: every read names its field, none can panic.
//!
//! Two ends matter: where the bytes end (the answer was cut) and where a length field said the
//! structure ends. A read must stay within both, and the error names the field that did not.

use crate::DecodeError;

#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes up to the declared end; may be more than there are.
    declared: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            declared: bytes.len(),
        }
    }

    /// A reader of a structure that is said to be the next `length` bytes, whether they are there
    /// or not. Advance past it here with [`Self::take`] afterwards: that also checks that it does
    /// not reach beyond the structure it is part of.
    pub(crate) const fn window(&self, length: usize) -> Self {
        Self {
            bytes: self.bytes,
            declared: length,
        }
    }

    /// Bytes left up to the declared end.
    pub(crate) const fn left(&self) -> usize {
        self.declared
    }

    /// Whether the bytes end before the declared end.
    pub(crate) const fn is_cut(&self) -> bool {
        self.bytes.len() < self.declared
    }

    pub(crate) fn take(
        &mut self,
        field: &'static str,
        length: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let have = self.bytes.len().min(self.declared);
        let truncated = DecodeError::Truncated {
            field,
            need: length,
            have,
        };
        if length > have {
            return Err(truncated);
        }
        let (head, tail) = self.bytes.split_at_checked(length).ok_or(truncated)?;
        self.bytes = tail;
        self.declared -= length;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let head = self.take(field, N)?;
        let truncated = DecodeError::Truncated {
            field,
            need: N,
            have: head.len(),
        };
        head.first_chunk().copied().ok_or(truncated)
    }

    /// As [`Self::array`], but a structure that declares itself to end before this field is
    /// well-formed: nothing is read then.
    pub(crate) fn optional<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<[u8; N]>, DecodeError> {
        if self.declared < N {
            Ok(None)
        } else {
            self.array(field).map(Some)
        }
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// A 32-bit length field, as a size in memory.
    pub(crate) fn length(&mut self, field: &'static str) -> Result<(u32, usize), DecodeError> {
        let length = self.u32(field)?;
        Ok((length, usize::try_from(length).unwrap_or(usize::MAX)))
    }
}

/// The value of a 32-bit length field for `length` bytes in memory. More than 4 GiB are never
/// encoded: no transport carries them.
pub(crate) fn length_field(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_stays_within_the_declared_end() {
        let mut reader = Reader::new(&[1, 2, 3, 4]).window(3);
        assert_eq!(reader.u16("A"), Ok(0x0102));
        assert_eq!(
            reader.u16("B"),
            Err(DecodeError::Truncated {
                field: "B",
                need: 2,
                have: 1
            })
        );
        assert_eq!(reader.u8("C"), Ok(3));
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn a_read_stays_within_the_bytes() {
        let mut reader = Reader::new(&[1]).window(9);
        assert!(reader.is_cut());
        assert_eq!(
            reader.u64("K"),
            Err(DecodeError::Truncated {
                field: "K",
                need: 8,
                have: 1
            })
        );
    }

    #[test]
    fn an_optional_field_is_absent_only_by_declaration() {
        assert_eq!(Reader::new(&[1, 2]).window(1).optional::<2>("A"), Ok(None));
        assert!(Reader::new(&[1]).window(2).optional::<2>("A").is_err());
    }
}
