//! GIF's variant of LZW, decoded row by row so that no frame is in memory as a whole. Works on
//! codes and bytes only. Start reading at [`Lzw::read`].

use super::blocks::corrupt;
use crate::Result;

/// Codes have at most 12 bits.
const CODES: usize = 4096;

/// The state of one frame's decoding, reused for the next.
pub(super) struct Lzw {
    /// The data of the frame without the lengths of sub-blocks.
    data: Vec<u8>,
    position: usize,
    /// Bits taken from `data` and not used yet, lowest first.
    bits: u64,
    bit_count: u32,
    code_size: u32,
    min_code_size: u32,
    /// The next code to be defined.
    next: usize,
    previous: Option<u16>,
    /// For each code: its string is that of the prefix plus one byte.
    table: Box<[Entry; CODES]>,
    /// The string that is being output.
    string: Box<[u8; CODES]>,
    /// The part of the string that is still to be output.
    pending: std::ops::Range<usize>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    prefix: u16,
    length: u16,
    first: u8,
    last: u8,
}

impl Lzw {
    pub(super) fn new() -> Self {
        Self {
            data: Vec::new(),
            position: 0,
            bits: 0,
            bit_count: 0,
            code_size: 0,
            min_code_size: 0,
            next: 0,
            previous: None,
            table: Box::new([Entry::default(); CODES]),
            string: Box::new([0; CODES]),
            pending: 0..0,
        }
    }

    /// Begins a frame with its sub-blocks.
    pub(super) fn begin(&mut self, min_code_size: u8, mut sub_blocks: &[u8]) -> Result<()> {
        if !(1..=11).contains(&min_code_size) {
            return Err(corrupt("a frame's codes have an impossible size"));
        }
        self.data.clear();
        while let [length, rest @ ..] = sub_blocks {
            let (block, rest) = rest.split_at(rest.len().min(usize::from(*length)));
            self.data.extend_from_slice(block);
            sub_blocks = rest;
        }
        self.position = 0;
        self.bits = 0;
        self.bit_count = 0;
        self.pending = 0..0;
        self.min_code_size = min_code_size.into();
        for (byte, entry) in self.table[..1 << min_code_size].iter_mut().enumerate() {
            // With 9 to 11 bits there are more literals than byte values; these cannot be drawn.
            let byte = byte as u8;
            *entry = Entry {
                prefix: 0,
                length: 1,
                first: byte,
                last: byte,
            };
        }
        self.clear();
        Ok(())
    }

    /// Fills `out` with the next pixels.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<()> {
        let mut filled = self.deliver(out);
        while filled < out.len() {
            let code = self
                .code()
                .ok_or_else(|| corrupt("a frame's pixels end too early"))?;
            let end = 1 << self.min_code_size;
            if usize::from(code) == end {
                self.clear();
                continue;
            }
            if usize::from(code) == end + 1 {
                return Err(corrupt("a frame's pixels end too early"));
            }
            self.define(code)?;
            let length = usize::from(self.table[usize::from(code)].length);
            let rest = &mut out[filled..];
            if let Some(into) = rest.get_mut(..length) {
                spell(&self.table, code, into);
                filled += length;
            } else {
                spell(&self.table, code, &mut self.string[..length]);
                self.pending = 0..length;
                filled += self.deliver(rest);
            }
        }
        Ok(())
    }

    /// Checks a code and defines the one that follows from it and the previous code.
    #[inline]
    fn define(&mut self, code: u16) -> Result<()> {
        let wrong = || corrupt("a frame has a code that was never defined");
        match self.previous.replace(code) {
            // The first string after a reset is always a single byte.
            None if code >> self.min_code_size != 0 => return Err(wrong()),
            None => {}
            Some(_) if usize::from(code) > self.next => return Err(wrong()),
            // A full table is unchanged until the next reset.
            Some(_) if self.next == CODES => {}
            Some(previous) => {
                let prefix = self.table[usize::from(previous)];
                let last = if usize::from(code) == self.next {
                    prefix.first
                } else {
                    self.table[usize::from(code)].first
                };
                self.table[self.next] = Entry {
                    prefix: previous,
                    length: prefix.length + 1,
                    first: prefix.first,
                    last,
                };
                self.next += 1;
            }
        }
        // With one bit per pixel this happens at the start; the specification then requires two
        // bits from writers, giflib reads either.
        if self.next == 1 << self.code_size && self.code_size < 12 {
            self.code_size += 1;
        }
        Ok(())
    }

    /// Drops all strings but single bytes.
    fn clear(&mut self) {
        self.code_size = self.min_code_size + 1;
        self.next = (1 << self.min_code_size) + 2;
        self.previous = None;
    }

    #[inline]
    fn code(&mut self) -> Option<u16> {
        if self.bit_count < self.code_size {
            self.refill();
            if self.bit_count < self.code_size {
                return None;
            }
        }
        let code = self.bits & ((1 << self.code_size) - 1);
        self.bits >>= self.code_size;
        self.bit_count -= self.code_size;
        Some(code as u16)
    }

    fn refill(&mut self) {
        while self.bit_count <= 56 {
            let Some(byte) = self.data.get(self.position) else {
                return;
            };
            self.bits |= u64::from(*byte) << self.bit_count;
            self.bit_count += 8;
            self.position += 1;
        }
    }

    /// Moves the rest of the current string to `out`.
    fn deliver(&mut self, out: &mut [u8]) -> usize {
        let length = self.pending.len().min(out.len());
        out[..length].copy_from_slice(&self.string[self.pending.start..][..length]);
        self.pending.start += length;
        length
    }
}

/// Writes the string of `code`, whose length is that of `into`.
#[inline]
fn spell(table: &[Entry; CODES], mut code: u16, into: &mut [u8]) {
    for byte in into.iter_mut().rev() {
        let entry = table[usize::from(code) % CODES];
        *byte = entry.last;
        code = entry.prefix;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels with long and short repetitions, all below `1 << bits`.
    fn pixels(bits: u32, count: u32) -> Vec<u8> {
        let pixel = |n: u32| {
            let noise = (n / 3).wrapping_mul(0x9e37_79b1) >> (32 - bits);
            let calm = (n / 700) % (1 << bits);
            if (n / 5000).is_multiple_of(2) {
                calm as u8
            } else {
                noise as u8
            }
        };
        (0..count).map(pixel).collect()
    }

    /// Minimal code size and sub-blocks, from the gif crate's encoder.
    fn encoded(pixels: &[u8], width: u16) -> (u8, Vec<u8>) {
        let mut frame = gif::Frame {
            width,
            height: (pixels.len() / usize::from(width)) as u16,
            buffer: pixels.into(),
            ..gif::Frame::default()
        };
        frame.make_lzw_pre_encoded();
        let mut blocks = Vec::new();
        for block in frame.buffer[1..].chunks(255) {
            blocks.push(block.len() as u8);
            blocks.extend(block);
        }
        blocks.push(0);
        (frame.buffer[0], blocks)
    }

    #[test]
    fn rows_of_any_length_come_back() {
        let mut lzw = Lzw::new();
        for bits in 1..=8 {
            let pixels = pixels(bits, 30_000);
            let (min_code_size, blocks) = encoded(&pixels, 100);
            // Rows that are longer and shorter than most strings.
            for length in [1, 7, 100, 30_000] {
                lzw.begin(min_code_size, &blocks).expect("begins");
                let mut row = vec![0; length];
                for expected in pixels.chunks_exact(length) {
                    lzw.read(&mut row).expect("has pixels");
                    assert!(row == expected, "{bits} bits, rows of {length}");
                }
            }
        }
    }

    #[test]
    fn one_bit_a_pixel_widens_the_codes_at_once() {
        // Reset, 0, 1, "01" and the end, of 2, 2, 3, 3 and 3 bits.
        let blocks = [2, 0x12, 0x0e, 0];
        let mut lzw = Lzw::new();
        lzw.begin(1, &blocks).expect("begins");
        let mut row = [9; 4];
        lzw.read(&mut row).expect("has pixels");
        assert_eq!(row, [0, 1, 0, 1]);
    }

    #[test]
    fn pixels_that_are_missing_are_an_error() {
        let pixels = pixels(4, 1000);
        let (min_code_size, blocks) = encoded(&pixels, 100);
        let mut lzw = Lzw::new();
        lzw.begin(min_code_size, &blocks).expect("begins");
        assert!(lzw.read(&mut [0; 1001]).is_err());
        for length in 0..blocks.len() - 3 {
            lzw.begin(min_code_size, &blocks[..length]).expect("begins");
            assert!(lzw.read(&mut [0; 1000]).is_err(), "{length}");
        }
    }
}
