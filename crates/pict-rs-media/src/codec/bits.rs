//! Reads numbers from bits, most significant bit first.

/// A bit reader. Returns `None` at the end of the bytes.
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// A number of at most 32 bits.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// Skips bits, which need not exist.
    pub(crate) fn skip(&mut self, count: u32) {
        self.at += count as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_begin_and_end_inside_a_byte() {
        let mut bits = Bits::new(&[0b1010_0110, 0b1100_0001]);
        assert_eq!(bits.flag(), Some(true));
        assert_eq!(bits.take(6), Some(0b01_0011));
        assert_eq!(bits.take(3), Some(0b011));
        bits.skip(4);
        assert_eq!(bits.take(0), Some(0));
        assert_eq!(bits.take(2), Some(1));
        assert_eq!(bits.flag(), None);
    }

    #[test]
    fn what_lies_behind_the_end_is_not_read() {
        let mut bits = Bits::new(&[0xff]);
        bits.skip(u32::MAX);
        assert_eq!(bits.take(1), None);
        assert_eq!(Bits::new(&[0xff]).take(9), None);
    }
}
