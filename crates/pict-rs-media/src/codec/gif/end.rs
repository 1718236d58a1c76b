//! Finds where the codes of a frame end, without drawing it.
//!
//! A frame's data continue to the end of its sub-blocks. Its codes may end before that, with the
//! end code or with the last pixel. The rest is never shown.

use crate::Control;

/// Codes have at most 12 bits.
const CODES: usize = 4096;
/// Bytes of a sub-block.
const BLOCK: usize = 255;

/// Codes between two checks of the control.
const CODES_PER_LOOK: usize = 4096;

/// The sub-blocks of a frame of `pixels` pixels without what follows its codes. `None` if there is
/// nothing to remove, if the codes cannot be followed to their end, or if the work is cancelled.
pub(super) fn without_rest(
    min_code_size: u8,
    pixels: u64,
    sub_blocks: &[u8],
    control: &Control,
) -> Option<Vec<u8>> {
    let data = joined(sub_blocks);
    let (mut kept, is_ended) = codes(min_code_size, pixels, &data, control)?;
    // A last byte that is partly used is kept.
    let length = kept.bits.div_ceil(8);
    if is_ended && length == data.len() {
        return None;
    }
    let mut data = data[..length].to_vec();
    if !is_ended {
        kept.put_end(&mut data, min_code_size);
    }
    let mut blocks = Vec::with_capacity(data.len() + data.len() / BLOCK + 2);
    for block in data.chunks(BLOCK) {
        blocks.push(block.len() as u8);
        blocks.extend_from_slice(block);
    }
    blocks.push(0);
    (blocks.len() < sub_blocks.len()).then_some(blocks)
}

/// The data without the lengths of sub-blocks.
fn joined(mut sub_blocks: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(sub_blocks.len());
    while let [length, rest @ ..] = sub_blocks {
        let (block, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data.extend_from_slice(block);
        sub_blocks = rest;
    }
    data
}

/// The number of used bits, and the length of the next code.
struct Used {
    bits: usize,
    code_size: usize,
}

impl Used {
    /// Writes an end code after the used bits.
    fn put_end(&mut self, data: &mut Vec<u8>, min_code_size: u8) {
        let end = (1_usize << min_code_size) + 1;
        if let Some(last) = data.last_mut().filter(|_| !self.bits.is_multiple_of(8)) {
            *last &= (1 << (self.bits % 8)) - 1;
        }
        data.resize((self.bits + self.code_size).div_ceil(8), 0);
        for bit in 0..self.code_size {
            let at = self.bits + bit;
            data[at / 8] |= ((end >> bit & 1) as u8) << (at % 8);
        }
        self.bits += self.code_size;
    }
}

/// Follows the codes to the end code, or to the last pixel; returns which of them it was.
fn codes(min_code_size: u8, pixels: u64, data: &[u8], control: &Control) -> Option<(Used, bool)> {
    if !(1..=11).contains(&min_code_size) {
        return None;
    }
    let clear = 1_usize << min_code_size;
    // The number of pixels for each code.
    let mut lengths = [1_u32; CODES];
    let (mut next, mut previous) = (clear + 2, None);
    let mut used = Used {
        bits: 0,
        code_size: usize::from(min_code_size) + 1,
    };
    let mut drawn = 0_u64;
    for count in 0_usize.. {
        if count.is_multiple_of(CODES_PER_LOOK) {
            control.check().ok()?;
        }
        let code = read(data, used.bits, used.code_size);
        if code == Some(clear + 1) {
            used.bits += used.code_size;
            return Some((used, true));
        }
        if drawn >= pixels {
            return Some((used, false));
        }
        let code = code?;
        used.bits += used.code_size;
        if code == clear {
            (next, previous) = (clear + 2, None);
            used.code_size = usize::from(min_code_size) + 1;
            continue;
        }
        match previous {
            None if code > clear => return None,
            Some(_) if code > next => return None,
            Some(previous) if next < CODES => {
                lengths[next] = lengths[previous] + 1;
                next += 1;
            }
            _ => {}
        }
        if next == 1 << used.code_size && used.code_size < 12 {
            used.code_size += 1;
        }
        drawn += u64::from(lengths[code]);
        previous = Some(code);
    }
    None
}

/// Reads bits, lowest first.
fn read(data: &[u8], at: usize, count: usize) -> Option<usize> {
    let (byte, bit) = (at / 8, at % 8);
    let bytes = data.get(byte..(at + count).div_ceil(8))?;
    let bits = bytes
        .iter()
        .rev()
        .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
    Some(bits >> bit & ((1 << count) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_rest(min_code_size: u8, pixels: u64, sub_blocks: &[u8]) -> Option<Vec<u8>> {
        super::without_rest(min_code_size, pixels, sub_blocks, &Control::new())
    }

    fn blocks(data: &[u8]) -> Vec<u8> {
        let mut blocks: Vec<u8> = data
            .chunks(BLOCK)
            .flat_map(|block| [&[block.len() as u8], block].concat())
            .collect();
        blocks.push(0);
        blocks
    }

    /// Codes of three bits: clear, four pixels, and optionally the end.
    fn frame(ends: bool, tail: &[u8]) -> Vec<u8> {
        let codes: &[u8] = if ends {
            &[4, 1, 1, 2, 3, 5]
        } else {
            &[4, 1, 1, 2, 3]
        };
        // The third code after the clear code has four bits.
        let (mut bits, mut at) = (0_u64, 0);
        for (index, code) in codes.iter().enumerate() {
            bits |= u64::from(*code) << at;
            at += if index < 4 { 3 } else { 4 };
        }
        let length = (at as usize).div_ceil(8);
        blocks(&[&bits.to_le_bytes()[..length], tail].concat())
    }

    #[test]
    fn what_follows_the_end_code_goes() {
        assert_eq!(without_rest(2, 4, &frame(true, b"")), None);
        let cut = without_rest(2, 4, &frame(true, b"LEAKMARK"));
        assert_eq!(cut, Some(frame(true, b"")));
        let long = frame(true, &b"LEAKMARK".repeat(100));
        assert_eq!(without_rest(2, 4, &long), Some(frame(true, b"")));
    }

    #[test]
    fn what_follows_the_last_pixel_goes_and_an_end_code_comes() {
        let long = frame(false, &b"LEAKMARK".repeat(100));
        let cut = without_rest(2, 4, &long).expect("something goes");
        assert_eq!(cut, frame(true, b""));
    }

    #[test]
    fn codes_that_cannot_be_followed_stay() {
        assert_eq!(without_rest(2, 400, &frame(false, b"")), None);
        assert_eq!(without_rest(2, 4, &blocks(b"")), None);
        assert_eq!(without_rest(12, 4, &blocks(b"abc")), None);
        assert_eq!(without_rest(2, 4, &blocks(&[0xff; 20])), None);
    }
}
