//! HEVC parameter set headers: the size of the pictures, before the decoder allocates memory for
//! them, and whether they use features that it does not support, which it does not report.

use super::error::corrupt;
use crate::Result;
use crate::codec::bits::Bits;

/// The contents of a set (H.265, 7.3.2.2). Sizes are in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    /// As coded: what the decoder allocates.
    pub(super) coded: (u32, u32),
    /// The visible part.
    pub(super) size: (u32, u32),
    pub(super) bits: u32,
    /// 1 is 4:2:0.
    pub(super) chroma: u32,
}

/// Reads a whole unit with its two header bytes.
pub(super) fn read(unit: &[u8]) -> Result<Sps> {
    let unescaped = unescaped(unit.get(2..).unwrap_or_default());
    parse(&mut Bits::new(&unescaped)).ok_or_else(|| corrupt("its size cannot be read"))
}

/// Removes emulation prevention bytes. The sizes come first.
fn unescaped(data: &[u8]) -> Vec<u8> {
    const ENOUGH: usize = 1024;
    let mut zeros = 0;
    let mut out = Vec::with_capacity(data.len().min(ENOUGH));
    for &byte in data.iter().take(ENOUGH) {
        if byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Whether a picture parameter set allows losslessly coded blocks (H.265, 7.3.2.3).
pub(super) fn may_be_lossless(unit: &[u8]) -> Option<bool> {
    let unescaped = unescaped(unit.get(2..)?);
    let bits = &mut Bits::new(&unescaped);
    // Ids of the sets, then flags, including three bits for extra ones.
    golomb(bits)?;
    golomb(bits)?;
    bits.skip(1 + 1 + 3 + 1 + 1);
    // Reference pictures and the quantiser.
    golomb(bits)?;
    golomb(bits)?;
    golomb(bits)?;
    bits.skip(1 + 1);
    if bits.flag()? {
        golomb(bits)?;
    }
    golomb(bits)?;
    golomb(bits)?;
    bits.skip(1 + 1 + 1);
    bits.flag()
}

fn parse(bits: &mut Bits<'_>) -> Option<Sps> {
    bits.skip(4);
    let sub_layers = bits.take(3)?;
    bits.skip(1);
    // Profile, its constraints, and level.
    bits.skip(88 + 8);
    let mut present = 0;
    for _ in 0..sub_layers {
        present += 88 * bits.take(1)? + 8 * bits.take(1)?;
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers));
    }
    bits.skip(present);
    golomb(bits)?;
    let chroma = golomb(bits)?;
    if chroma == 3 {
        bits.skip(1);
    }
    let coded = (golomb(bits)?, golomb(bits)?);
    let mut size = coded;
    if bits.flag()? {
        let (across, down) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let (left, right) = (golomb(bits)?, golomb(bits)?);
        let (top, bottom) = (golomb(bits)?, golomb(bits)?);
        let cut = |side: u32, a: u32, b: u32, unit: u32| {
            side.checked_sub(a.checked_add(b)?.checked_mul(unit)?)
        };
        size = (
            cut(coded.0, left, right, across)?,
            cut(coded.1, top, bottom, down)?,
        );
    }
    // The standard allows at most 16.
    let bits = golomb(bits)?.checked_add(8).filter(|bits| *bits <= 16)?;
    (size.0 > 0 && size.1 > 0).then_some(Sps {
        coded,
        size,
        bits,
        chroma,
    })
}

/// An unsigned Exp-Golomb code.
fn golomb(bits: &mut Bits<'_>) -> Option<u32> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
        if zeros > 30 {
            return None;
        }
    }
    Some((1 << zeros | bits.take(zeros)?) - 1)
}
