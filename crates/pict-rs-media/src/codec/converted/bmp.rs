//! Repairs a truncated BMP.

use crate::codec::partial::Collector;
use crate::codec::png;
use crate::{Control, Extent, Format, Missing, Repaired, Result};

/// The layout of a picture with uncompressed rows, from the headers.
struct Rows {
    width: u32,
    height: u32,
    /// Whether the rows are stored bottom-up.
    from_bottom: bool,
    /// The position of the first row in the file.
    start: usize,
    /// Length of a row in bytes.
    length: usize,
}

/// Bytes of the file header, and of the oldest picture header.
const FILE_HEADER: usize = 14;
const CORE_HEADER: u32 = 12;
/// Uncompressed kinds: plain, and with colour masks.
const PLAIN: [u32; 3] = [0, 3, 6];

fn rows(source: &[u8]) -> Option<Rows> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*source.get(at..)?.first_chunk()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(*source.get(at..)?.first_chunk()?));
    let start = u32_at(10)? as usize;
    let (width, height, bits) = if u32_at(FILE_HEADER)? == CORE_HEADER {
        (u16_at(18)?.into(), u16_at(20)?.into(), u16_at(24)?)
    } else {
        if !PLAIN.contains(&u32_at(30)?) {
            return None;
        }
        (u32_at(18)?, u32_at(22)?.cast_signed(), u16_at(28)?)
    };
    let length = u64::from(width).checked_mul(u64::from(bits))?.div_ceil(32) * 4;
    Some(Rows {
        width,
        height: height.unsigned_abs(),
        from_bottom: height > 0,
        start,
        length: usize::try_from(length).ok().filter(|length| *length > 0)?,
    })
}

/// The size that the headers of a damaged file claim.
pub(crate) fn claimed_size(source: &[u8]) -> Option<(u32, u32)> {
    rows(source).map(|rows| (rows.width, rows.height))
}

/// See [`crate::repair::repair()`].
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let Some(rows) = rows(source) else {
        return Ok(None);
    };
    let there = source.len().saturating_sub(rows.start) / rows.length;
    let height = rows.height as usize;
    if there == 0 || there >= height {
        return Ok(None);
    }
    let mut padded = source.to_vec();
    padded.resize(rows.start + height * rows.length, 0);
    let facts = super::facts(&padded, Format::Bmp, control)?;
    let mut collector = Collector::new();
    super::decode(&padded, &facts, control, &mut collector)?;
    drop(padded);
    let mut partial = collector.into_partial();
    partial.keep_rows(if rows.from_bottom {
        height - there..height
    } else {
        0..there
    });
    let mut encoder = png::Encoder::new(true);
    partial.write(control, &mut encoder)?;
    let there = u32::try_from(there).unwrap_or(rows.height);
    Ok(Some(Repaired {
        bytes: encoder.into_bytes(),
        missing: Some(Missing {
            format: Format::Bmp,
            there: Extent::Rows(there, rows.height),
        }),
    }))
}
