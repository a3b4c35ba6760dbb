//! Choices from a seed.

use scsi_pr::ReservationKey;

/// Splitmix64: numbers from a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_le_bytes();
        byte
    }

    /// Few, so that they meet.
    pub(super) fn key(&mut self) -> ReservationKey {
        ReservationKey([0, 1, 1, 2, 2, 3][self.below(6)])
    }

    pub(super) fn scope_and_type(&mut self) -> u8 {
        match self.below(20) {
            0 => self.byte(),
            1 => self.byte() & 0xf,
            number => [1, 3, 5, 6, 7, 8][number % 6],
        }
    }
}
