//! Files that break the rules of their format, and that viewers show all the same.
//!
//! [`repair()`] writes such a file again: whole where every pixel can be had, and only the end mark,
//! a checksum, a size or a count was wrong; else with what is there. Each codec knows how.

use crate::codec;
use crate::limits::{Bounds, LimitKind, at_most};
use crate::{Control, Error, Repaired, Result};

/// Bytes per pixel: filtered rows, the picture in four channels of 16 bits, and what is written.
/// Of a JPEG its coefficients, twice.
const BYTES: u64 = 24;
const FIXED: u64 = 4 << 20;

/// Writes a damaged file again, so that [`inspect()`](crate::inspect::inspect()) takes it. `None` when its
/// format cannot be repaired, or too little of it is there.
///
/// # Errors
/// [`Error::Limit`] when the size that it claims exceeds `bounds`, or needs more than
/// `bounds.memory`; [`Error::Cancelled`] through `control`.
pub fn repair(source: &[u8], bounds: &Bounds, control: &Control) -> Result<Option<Repaired>> {
    let Some(codec) = codec::of_file(source).and_then(|codec| codec.repair.as_ref()) else {
        return Ok(None);
    };
    let size = (codec.claimed_size)(source, control);
    let Some((width, height)) = size.filter(|(width, height)| *width > 0 && *height > 0) else {
        return Ok(None);
    };
    bounds.check_size((width, height), (codec.may_move)(source))?;
    let memory = FIXED + u64::from(width) * u64::from(height) * BYTES + 2 * source.len() as u64;
    at_most(LimitKind::Memory, bounds.memory, memory)?;
    control.check()?;
    let repaired = (codec.repair)(source, control);
    match repaired {
        // Too damaged for that as well.
        Err(Error::Corrupt { .. } | Error::Unsupported(_)) => Ok(None),
        other => other,
    }
}
