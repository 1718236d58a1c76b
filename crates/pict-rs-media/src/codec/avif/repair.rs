//! Repairs a truncated still AVIF.
//!
//! AV1 data do not show where a row begins, and a decoder continues past the end as if something
//! followed. So the picture is decoded twice, with different bytes in place of the missing ones:
//! rows that come out the same do not depend on them.

use crate::codec::partial::{Collector, Partial};
use crate::codec::{exif, png};
use crate::{Control, Extent, Format, Missing, Orientation, Repaired, Result};

/// The missing part may be this many times as long as the rest.
const MOST: usize = 16;

/// The size that the container of a damaged file claims.
pub(crate) fn claimed_size(source: &[u8], control: &Control) -> Option<(u32, u32)> {
    let facts = super::inspect(&padded(source, 0)?, control).ok()?;
    (facts.format == Format::Avif).then_some((facts.stored_width, facts.stored_height))
}

/// The file, with `byte` in place of the missing part of its last box.
fn padded(source: &[u8], byte: u8) -> Option<Vec<u8>> {
    let mut at = 0_usize;
    let end = loop {
        let (size, rest) = source.get(at..)?.split_first_chunk::<4>()?;
        let size = match u32::from_be_bytes(*size) {
            1 => u64::from_be_bytes(*rest.get(4..)?.first_chunk()?),
            size => size.into(),
        };
        let end = at.checked_add(usize::try_from(size).ok().filter(|size| *size >= 8)?)?;
        if end > source.len() {
            break end;
        }
        at = end;
    };
    if end / MOST > source.len() {
        return None;
    }
    let mut padded = source.to_vec();
    padded.resize(end, byte);
    Some(padded)
}

fn decoded(file: &[u8], control: &Control) -> Result<Partial> {
    let facts = super::inspect(file, control)?;
    let mut collector = Collector::new();
    super::decode(file, &facts, control, &mut collector)?;
    Ok(collector.into_partial())
}

/// See [`crate::repair::repair()`].
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let (Some(zeros), Some(ones)) = (padded(source, 0), padded(source, 0xff)) else {
        return Ok(None);
    };
    let facts = super::inspect(&zeros, control)?;
    let mut picture = decoded(&zeros, control)?;
    let rows = picture.same_rows(&decoded(&ones, control)?);
    let height = facts.stored_height;
    if rows == 0 || rows >= height as usize {
        return Ok(None);
    }
    picture.keep_rows(0..rows);
    let mut encoder = png::Encoder::new(true).without_colours();
    picture.write(control, &mut encoder)?;
    let mut bytes = encoder.into_bytes();
    if let Some(look) = super::look(&zeros, control) {
        bytes = match (look.icc, look.code) {
            (Some(icc), _) => png::with_profile(&bytes, icc, control)?,
            (None, code) => png::with_code(&bytes, code, control)?,
        };
    }
    if facts.orientation != Orientation::Normal {
        let chunk = png::exif_chunk(&exif::of_orientation(facts.orientation))?;
        bytes.splice(png::HEADER_END..png::HEADER_END, chunk);
    }
    Ok(Some(Repaired {
        bytes,
        missing: Some(Missing {
            format: Format::Avif,
            there: Extent::Rows(u32::try_from(rows).unwrap_or(height), height),
        }),
    }))
}
