//! The tables of prefix codes that a decoder of a lossless bitstream keeps besides the pixels.
//!
//! A picture may have separate codes for each block of 4 × 4 pixels, up to 65,536 groups of them,
//! and a decoder keeps the tables of all. The number of groups comes after the transforms, which
//! are small pictures themselves: these are parsed here, only their codes and no pixels. Everything
//! follows the specification of the bitstream (RFC 9649, section 3). Start reading at
//! [`table_bytes`].

use super::riff::{Bitstream, corrupt};
use crate::Result;

/// An upper bound, in bytes, of what libwebp keeps for the prefix codes of a bitstream. 0 for a
/// damaged one, because decoding fails before that. The work is limited by the number of bits that
/// are read.
pub(super) fn table_bytes(bitstream: &Bitstream<'_>) -> u64 {
    let Bitstream { width, height, .. } = *bitstream;
    let stream = if bitstream.lossless {
        // Signature, sizes and version.
        bitstream.image.data.get(5..)
    } else {
        // One byte of flags, of which the lower two bits give the compression.
        bitstream
            .alpha
            .and_then(|alpha| alpha.data.split_first())
            .and_then(|(flags, rest)| (flags & 3 == 1).then_some(rest))
    };
    let groups = stream.map(|stream| groups(&mut Bits::new(stream), width, height));
    let Some(Ok(Groups { count, cache })) = groups else {
        return 0;
    };
    // Five tables with entries of four bytes, and a sixth for the most common codes.
    count * ((2956 + cache as u64) * 4 + 640)
}

/// The number of groups up to which libwebp does not check which of them are used.
const UNCHECKED_GROUPS: u64 = 1000;

/// Symbols of the five codes of a group: green with lengths, red, blue, alpha, distances.
const ALPHABETS: [usize; 5] = [LITERALS + LENGTHS, LITERALS, LITERALS, LITERALS, 40];
const LITERALS: usize = 256;
const LENGTHS: usize = 24;

/// The prefix codes of a picture.
struct Groups {
    /// The maximum number of groups.
    count: u64,
    /// How many symbols of the first code of each group are for recent colours.
    cache: usize,
}

fn groups(bits: &mut Bits<'_>, mut width: u32, height: u32) -> Result<Groups> {
    let mut seen = [false; 4];
    while bits.read(1)? == 1 {
        let transform = bits.read(2)?;
        if std::mem::replace(&mut seen[transform as usize], true) {
            return Err(corrupt("the lossless picture has a transform twice"));
        }
        match transform {
            PREDICTOR | COLOUR => {
                let block = bits.read(3)? + 2;
                skip_picture(bits, blocks(width, block) * blocks(height, block))?;
            }
            PALETTE => {
                let colours = bits.read(8)? + 1;
                skip_picture(bits, u64::from(colours))?;
                // Small palettes pack several pixels into one.
                let shared = match colours {
                    0..=2 => 3,
                    3..=4 => 2,
                    5..=16 => 1,
                    _ => 0,
                };
                width = width.div_ceil(1 << shared);
            }
            _ => {}
        }
    }
    let cache = cache_size(bits)?;
    if bits.read(1)? == 0 {
        return Ok(Groups { count: 1, cache });
    }
    let block = bits.read(3)? + 2;
    let blocks = blocks(width, block) * blocks(height, block);
    // The group number of a block is in red and green. If the maximum of both is known, no pixel is
    // needed.
    let own_cache = cache_size(bits)?;
    let [green, red, ..] = codes(bits, own_cache)?;
    let largest = |code: &PrefixCode| u64::from(code.largest).min(LITERALS as u64 - 1);
    let named = largest(&red) * 256 + largest(&green) + 1;
    let count = named.min(blocks.max(UNCHECKED_GROUPS));
    Ok(Groups { count, cache })
}

const PREDICTOR: u32 = 0;
const COLOUR: u32 = 1;
const PALETTE: u32 = 3;

/// The number of blocks of `1 << bits` pixels in a row.
fn blocks(pixels: u32, bits: u32) -> u64 {
    u64::from(pixels.div_ceil(1 << bits))
}

/// Skips a picture of this many pixels that belongs to a transform.
fn skip_picture(bits: &mut Bits<'_>, pixels: u64) -> Result<()> {
    let cache = cache_size(bits)?;
    let codes = codes(bits, cache)?;
    let [green, red, blue, alpha, distance] = &codes;
    let is_free = |code: &PrefixCode| code.bits == 0;
    if is_free(green) {
        let symbol = usize::from(green.largest);
        if (LITERALS..LITERALS + LENGTHS).contains(&symbol) {
            return Err(corrupt("the lossless picture begins with a copy"));
        }
        if symbol >= LITERALS || [red, blue, alpha].into_iter().all(is_free) {
            // All pixels are the same, and take no bits.
            return Ok(());
        }
    }
    let mut left = pixels;
    while left > 0 {
        let symbol = usize::from(green.read(bits)?);
        let pixels = if symbol < LITERALS {
            for code in [red, blue, alpha] {
                code.read(bits)?;
            }
            1
        } else if symbol < LITERALS + LENGTHS {
            let length = number(bits, symbol - LITERALS)?;
            let symbol = distance.read(bits)?;
            number(bits, symbol.into())?;
            length
        } else {
            1
        };
        left = left
            .checked_sub(pixels)
            .ok_or_else(|| corrupt("the lossless picture has too many pixels"))?;
    }
    Ok(())
}

/// A length or distance: a prefix, and extra bits.
fn number(bits: &mut Bits<'_>, prefix: usize) -> Result<u64> {
    if prefix < 4 {
        return Ok(prefix as u64 + 1);
    }
    let extra = (prefix as u32 - 2) / 2;
    let offset = (2 + (prefix as u64 & 1)) << extra;
    Ok(offset + u64::from(bits.read(extra)?) + 1)
}

/// The size of the colour cache; 0 without one.
fn cache_size(bits: &mut Bits<'_>) -> Result<usize> {
    if bits.read(1)? == 0 {
        return Ok(0);
    }
    match bits.read(4)? {
        size @ 1..=11 => Ok(1 << size),
        _ => Err(corrupt("the lossless picture's cache has no valid size")),
    }
}

/// One group of codes.
fn codes(bits: &mut Bits<'_>, cache: usize) -> Result<[PrefixCode; 5]> {
    let mut read = |index: usize| {
        let more = if index == 0 { cache } else { 0 };
        PrefixCode::read_from(bits, ALPHABETS[index] + more)
    };
    Ok([read(0)?, read(1)?, read(2)?, read(3)?, read(4)?])
}

/// A canonical prefix code.
struct PrefixCode {
    /// The number of bits to look up; 0 if there is only one symbol, which takes no bits.
    bits: u32,
    /// Indexed by the next bits: the symbol, and the length of its code.
    table: Vec<(u16, u8)>,
    /// The largest symbol.
    largest: u16,
}

/// The longest code.
const MAX_LENGTH: usize = 15;

impl PrefixCode {
    fn read_from(bits: &mut Bits<'_>, symbols: usize) -> Result<Self> {
        let mut lengths = vec![0; symbols.max(LITERALS)];
        if bits.read(1)? == 1 {
            let two = bits.read(1)? == 1;
            let first = if bits.read(1)? == 1 { 8 } else { 1 };
            lengths[bits.read(first)? as usize] = 1;
            if two {
                lengths[bits.read(8)? as usize] = 1;
            }
        } else {
            read_lengths(bits, &mut lengths[..symbols])?;
        }
        Self::new(&lengths[..symbols])
    }

    /// From the code length of each symbol, 0 for unused ones.
    fn new(lengths: &[u8]) -> Result<Self> {
        let used = || {
            lengths
                .iter()
                .zip(0u16..)
                .filter(|(length, _)| **length > 0)
        };
        let (_, largest) = used().last().ok_or_else(invalid_code)?;
        if used().count() == 1 {
            return Ok(Self {
                bits: 0,
                table: vec![(largest, 0)],
                largest,
            });
        }
        let space: u32 = used().map(|(length, _)| (1 << MAX_LENGTH) >> length).sum();
        if space != 1 << MAX_LENGTH {
            return Err(invalid_code());
        }
        let bits = u32::from(lengths.iter().copied().max().unwrap_or(0));
        let mut table = vec![(0, 0); 1 << bits];
        let mut code: usize = 0;
        for length in 1..=bits {
            for (_, symbol) in used().filter(|(found, _)| u32::from(**found) == length) {
                // The first bit of a code is the lowest bit of the index.
                let first = code.reverse_bits() >> (usize::BITS - length);
                for entry in table.iter_mut().skip(first).step_by(1 << length) {
                    *entry = (symbol, length as u8);
                }
                code += 1;
            }
            code <<= 1;
        }
        Ok(Self {
            bits,
            table,
            largest,
        })
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<u16> {
        let (symbol, length) = self.table[bits.peek(self.bits) as usize];
        bits.skip(length.into())?;
        Ok(symbol)
    }
}

/// The lengths of a code's symbols, which are coded themselves.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<()> {
    const ORDER: [usize; 19] = [
        17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ];
    let mut own = [0; ORDER.len()];
    let count = bits.read(4)? as usize + 4;
    for &symbol in ORDER.get(..count).ok_or_else(invalid_code)? {
        own[symbol] = bits.read(3)? as u8;
    }
    let code = PrefixCode::new(&own)?;
    let mut reads = lengths.len();
    if bits.read(1)? == 1 {
        let width = 2 + 2 * bits.read(3)?;
        reads = 2 + bits.read(width)? as usize;
        if reads > lengths.len() {
            return Err(invalid_code());
        }
    }
    let (mut at, mut last) = (0, 8);
    while at < lengths.len() && reads > 0 {
        reads -= 1;
        let (length, repeat) = match code.read(bits)? {
            16 => (last, 3 + bits.read(2)?),
            17 => (0, 3 + bits.read(3)?),
            18 => (0, 11 + bits.read(7)?),
            length => (length as u8, 1),
        };
        let end = at + repeat as usize;
        lengths
            .get_mut(at..end)
            .ok_or_else(invalid_code)?
            .fill(length);
        at = end;
        if length != 0 {
            last = length;
        }
    }
    Ok(())
}

fn invalid_code() -> crate::Error {
    corrupt("a prefix code of the lossless picture is invalid")
}

/// Reads bits, lowest first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    buffer: u64,
    filled: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            buffer: 0,
            filled: 0,
        }
    }

    /// The next bits, at most 32; zeros after the end.
    fn peek(&mut self, count: u32) -> u32 {
        while self.filled <= 32 {
            let Some(byte) = self.bytes.next() else { break };
            self.buffer |= u64::from(*byte) << self.filled;
            self.filled += 8;
        }
        (self.buffer & ((1 << count) - 1)) as u32
    }

    /// Skips bits that were peeked at.
    fn skip(&mut self, count: u32) -> Result<()> {
        self.filled = self
            .filled
            .checked_sub(count)
            .ok_or_else(|| corrupt("the lossless picture ends too early"))?;
        self.buffer >>= count;
        Ok(())
    }

    fn read(&mut self, count: u32) -> Result<u32> {
        let bits = self.peek(count);
        self.skip(count)?;
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::webp::{self, riff};
    use crate::{Control, Error, preview::preview};

    /// Writes bits, lowest first.
    #[derive(Default)]
    struct Writer {
        bytes: Vec<u8>,
        filled: u32,
    }

    impl Writer {
        /// Such a picture up to its transforms.
        fn picture(width: u32, height: u32) -> Self {
            let mut writer = Self::default();
            writer.put(0x2f, 8);
            writer.put(width - 1, 14);
            writer.put(height - 1, 14);
            // No alpha, version 0.
            writer.put(0, 4);
            writer
        }

        fn put(&mut self, value: u32, count: u32) {
            for bit in 0..count {
                if self.filled.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                let last = self.bytes.last_mut().expect("at least one");
                *last |= ((value >> bit & 1) as u8) << (self.filled % 8);
                self.filled += 1;
            }
        }

        fn put_all(&mut self, fields: &[(u32, u32)]) {
            for &(value, count) in fields {
                self.put(value, count);
            }
        }

        /// A code of one symbol, which takes no bits.
        fn single(&mut self, symbol: u32) {
            self.put_all(&[(1, 1), (0, 1), (1, 1), (symbol, 8)]);
        }

        /// A code of two symbols, one bit each.
        fn pair(&mut self, first: u32, second: u32) {
            self.put_all(&[(1, 1), (1, 1), (1, 1), (first, 8), (second, 8)]);
        }

        /// A code of all literals, eight bits each, last bit first.
        fn bytes(&mut self) {
            // Lengths: twelve of their codes are given, of which only that of 8 is used.
            self.put(0, 1);
            self.put(12 - 4, 4);
            for _ in 0..11 {
                self.put(0, 3);
            }
            self.put(1, 3);
            // The lengths of 256 symbols follow, and take no bits.
            self.put_all(&[(1, 1), (3, 3), (254, 8)]);
        }

        /// A code of literal 0 and a length, one bit each.
        fn zero_and_length(&mut self, length: u32) {
            // Codes of lengths: of 17, 18, 0 and 1, the second and the last are used.
            self.put_all(&[(0, 1), (0, 4), (0, 3), (1, 3), (0, 3), (1, 3), (0, 1)]);
            let zeros = |writer: &mut Self, mut count: u32| {
                while count > 0 {
                    let run = count.min(138);
                    writer.put_all(&[(1, 1), (run - 11, 7)]);
                    count -= run;
                }
            };
            self.put(0, 1);
            zeros(self, 255 + length);
            self.put(0, 1);
            // Symbols after the last given one are unused, but all are given here.
            zeros(self, 23 - length);
        }

        fn file(mut self) -> Vec<u8> {
            // Decoders may read ahead.
            self.bytes.extend([0; 16]);
            if self.bytes.len() % 2 == 1 {
                self.bytes.push(0);
            }
            let mut file = b"RIFF".to_vec();
            file.extend((self.bytes.len() as u32 + 12).to_le_bytes());
            file.extend(b"WEBPVP8L");
            file.extend((self.bytes.len() as u32).to_le_bytes());
            file.extend(self.bytes);
            file
        }
    }

    fn tables(file: &[u8]) -> u64 {
        webp::inspect(file, &Control::new())
            .expect("a WebP")
            .decoder_tables
    }

    fn is_decoded(file: &[u8]) {
        let facts = webp::inspect(file, &Control::new()).expect("a WebP");
        preview(file, &facts, &Control::default()).expect("libwebp takes it");
    }

    #[test]
    fn groups_are_found_behind_transforms() {
        let mut writer = Writer::picture(64, 64);
        // A predictor for each block of 4 × 4.
        writer.put_all(&[(1, 1), (PREDICTOR, 2), (0, 3), (0, 1)]);
        writer.zero_and_length(12);
        for _ in 0..3 {
            writer.single(0);
        }
        // The distance to the previous pixel.
        writer.single(1);
        // 256 pixels: one, a copy of 65 + 31, and 159.
        writer.put_all(&[(0, 1), (1, 1), (31, 5)]);
        for _ in 0..159 {
            writer.put(0, 1);
        }
        // Green is subtracted. No more transforms, a cache of 4 colours.
        writer.put_all(&[(1, 1), (2, 2), (0, 1), (1, 1), (2, 4)]);
        // Three groups for blocks of 4 × 4, of which the second is not used.
        writer.put_all(&[(1, 1), (0, 3), (0, 1)]);
        writer.pair(0, 2);
        for _ in 0..4 {
            writer.single(0);
        }
        for pixel in 0..256 {
            writer.put(pixel % 2, 1);
        }
        for colour in [10, 20, 30] {
            writer.single(colour);
            for _ in 0..4 {
                writer.single(colour);
            }
        }
        let file = writer.file();
        assert_eq!(tables(&file), 3 * ((2956 + 4) * 4 + 640));
        is_decoded(&file);
    }

    /// A picture with a group of codes for each block, 65,536 in all.
    fn many_groups() -> Vec<u8> {
        let mut writer = Writer::picture(4096, 4096);
        writer.put_all(&[(0, 1), (0, 1), (1, 1), (2, 3), (0, 1)]);
        writer.bytes();
        // Red and the others have no lengths after the literals.
        writer.bytes();
        for _ in 0..3 {
            writer.single(0);
        }
        for group in 0..=u32::from(u16::MAX) {
            writer.put((group & 0xff).reverse_bits() >> 24, 8);
            writer.put((group >> 8).reverse_bits() >> 24, 8);
        }
        for _ in 0..=u16::MAX {
            for _ in 0..5 {
                writer.put_all(&[(1, 1), (0, 1), (0, 1), (0, 1)]);
            }
        }
        writer.file()
    }

    #[test]
    fn a_small_file_can_ask_for_many_groups() {
        let file = many_groups();
        assert!(file.len() < 300_000);
        assert_eq!(tables(&file), 65_536 * (2956 * 4 + 640));
        is_decoded(&file);
    }

    #[test]
    fn a_broken_code_has_no_tables_as_libwebp_fails_first() {
        for broken in 0..4 {
            let mut writer = Writer::picture(64, 64);
            writer.put_all(&[(1, 1), (PALETTE, 2), (0, 8), (0, 1)]);
            match broken {
                // Three codes of one bit.
                0 => writer.put_all(&[(0, 1), (0, 4), (1, 3), (1, 3), (1, 3), (0, 3)]),
                // The same transform twice.
                1 => {
                    for _ in 0..5 {
                        writer.single(0);
                    }
                    writer.put_all(&[(1, 1), (PALETTE, 2)]);
                }
                // A copy of pixels before the first one.
                2 => {
                    writer.put_all(&[(0, 1), (0, 4), (0, 3), (1, 3), (0, 3), (1, 3), (0, 1)]);
                    writer.put_all(&[(1, 1), (127, 7), (1, 1), (107, 7), (0, 1), (1, 1), (12, 7)]);
                    for _ in 0..4 {
                        writer.single(0);
                    }
                }
                // A cache of no size.
                _ => {
                    for _ in 0..5 {
                        writer.single(0);
                    }
                    writer.put_all(&[(0, 1), (1, 1), (0, 4)]);
                }
            }
            let file = writer.file();
            assert_eq!(tables(&file), 0, "{broken}");
            let facts =
                webp::inspect(&file, &Control::new()).expect("only its container is looked at");
            let error = preview(&file, &facts, &Control::default()).expect_err("broken");
            assert!(matches!(error, Error::Corrupt { .. }), "{broken}: {error}");
        }
    }

    #[test]
    fn transparency_of_a_lossy_picture_has_groups_too() {
        let alpha = |flags: u8| {
            let mut stream = Writer::picture(64, 64);
            stream.bytes.drain(..5);
            stream.filled = 0;
            stream.put_all(&[(0, 1), (0, 1), (0, 1)]);
            [&[flags][..], &stream.bytes].concat()
        };
        let file = |flags| {
            let mut image = vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
            image.extend([0; 16]);
            let mut body = riff::vp8x(riff::ALPHA, 64, 64);
            for (name, data) in [(b"ALPH", alpha(flags)), (b"VP8 ", image)] {
                body.extend(name);
                body.extend((data.len() as u32).to_le_bytes());
                body.extend(&data);
                body.resize(body.len().next_multiple_of(2), 0);
            }
            let mut file = b"RIFF".to_vec();
            file.extend((body.len() as u32 + 4).to_le_bytes());
            file.extend(b"WEBP");
            file.extend(body);
            file
        };
        assert_eq!(tables(&file(0)), 0);
        assert_eq!(tables(&file(1)), 2956 * 4 + 640);
    }
}
