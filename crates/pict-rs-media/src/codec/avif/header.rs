//! The colours in an AV1 sequence header (AV1 specification, 5.5), for files whose container gives
//! none.

use super::encode::obu::{SEQUENCE_HEADER, obus};
use crate::codec::bits::Bits;

/// The number of frames that a decoder has to decode in these units.
pub(super) fn frames(units: &[u8]) -> usize {
    const FRAME_HEADER: u8 = 3;
    const FRAME: u8 = 6;
    obus(units)
        .filter(|(kind, _)| matches!(*kind, FRAME_HEADER | FRAME))
        .count()
}

/// Primaries and transfer of the first sequence header, as code points of ITU-T H.273.
pub(super) fn colours(units: &[u8]) -> Option<(u8, u8)> {
    let (_, header) = obus(units).find(|(kind, _)| *kind == SEQUENCE_HEADER)?;
    read(&mut Bits::new(header))
}

fn read(bits: &mut Bits<'_>) -> Option<(u8, u8)> {
    let profile = bits.take(3)?;
    let _still_picture = bits.flag()?;
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.skip(5);
    } else {
        operating_points(bits)?;
    }
    let (width, height) = (bits.take(4)? + 1, bits.take(4)? + 1);
    bits.skip(width + height);
    if !is_reduced && bits.flag()? {
        // Numbering of frames.
        bits.skip(4 + 3);
    }
    // Superblocks, and two tools of intra prediction.
    bits.skip(3);
    if !is_reduced {
        tools(bits)?;
    }
    // Upscaling and two filters.
    bits.skip(3);
    let is_deep = bits.flag()?;
    if profile == 2 && is_deep {
        bits.skip(1);
    }
    if profile != 1 {
        let _monochrome = bits.flag()?;
    }
    if !bits.flag()? {
        return None;
    }
    Some((bits.take(8)? as u8, bits.take(8)? as u8))
}

fn operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_length = None;
    if bits.flag()? {
        // Ticks and their scale.
        bits.skip(64);
        if bits.flag()? {
            skip_golomb(bits)?;
        }
        if bits.flag()? {
            delay_length = Some(bits.take(5)? + 1);
            bits.skip(32 + 5 + 5);
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.skip(12);
        if bits.take(5)? > 7 {
            bits.skip(1);
        }
        if let Some(length) = delay_length
            && bits.flag()?
        {
            bits.skip(length * 2 + 1);
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4);
        }
    }
    Some(())
}

fn tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4);
    let has_order = bits.flag()?;
    if has_order {
        bits.skip(2);
    }
    // Chosen per frame, or for all of them.
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1);
    }
    if has_order {
        bits.skip(3);
    }
    Some(())
}

/// A number of variable length (AV1 specification, 4.10.3).
fn skip_golomb(bits: &mut Bits<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
    }
    // Longer prefixes have no number after them.
    if zeros < 32 {
        bits.skip(zeros);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_all_that_they_can_have_are_read() {
        let mut bits = Vec::new();
        let mut push = |value: u64, count: u32| {
            bits.extend((0..count).rev().map(|n| value >> n & 1 == 1));
        };
        // Profile, no still; ticks with a number, delays of four bits, shown later.
        push(2, 3);
        push(0, 2);
        push(1, 1);
        push(u64::MAX, 64);
        push(1, 1);
        push(0b00101, 5);
        push(1, 1);
        push(3, 5);
        push(0, 42);
        push(1, 1);
        // Two operating points, the first with a tier and delays.
        push(1, 5);
        push(0, 12);
        push(8, 5);
        push(1, 1);
        push(1, 1);
        push(0, 9);
        push(1, 1);
        push(15, 4);
        push(0, 12);
        push(7, 5);
        push(0, 1);
        push(0, 1);
        // Sides of ten and nine bits, numbered frames.
        push(9, 4);
        push(8, 4);
        push(0, 19);
        push(1, 1);
        push(0, 7);
        push(0, 3);
        // All tools, with order hints; screen content is signalled.
        push(0, 4);
        push(1, 1);
        push(0, 2);
        push(0, 1);
        push(1, 1);
        push(0, 1);
        push(0, 1);
        push(0, 3);
        push(0, 3);
        // Twelve bits, colours.
        push(0b11, 2);
        push(0, 1);
        push(1, 1);
        push(9, 8);
        push(16, 8);
        let mut header: Vec<u8> = bits
            .chunks(8)
            .map(|byte| {
                byte.iter()
                    .enumerate()
                    .fold(0, |sum, (n, bit)| sum | u8::from(*bit) << (7 - n))
            })
            .collect();
        let unit = |header: &[u8]| [&[0x0a, header.len() as u8], header].concat();
        assert_eq!(colours(&unit(&header)), Some((9, 16)));
        while header.pop().is_some() {
            assert_eq!(colours(&unit(&header)), None);
        }
        assert_eq!(colours(&[]), None);
    }
}
