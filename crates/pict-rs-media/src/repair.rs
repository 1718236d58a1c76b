//! Repairs files that violate their format, but that viewers show anyway.
//!
//! [`repair()`] writes such a file again: complete if only the end mark, a checksum, a size or a
//! count was wrong; otherwise with what is left. Each codec implements it.

use crate::codec;
use crate::limits::{Bounds, LimitKind, at_most};
use crate::{Control, Error, Repaired, Result};

/// Bytes per pixel: filtered rows, the picture in four channels of 16 bits, and the output. For a
/// JPEG its coefficients, twice.
const BYTES: u64 = 24;
const FIXED: u64 = 4 << 20;

/// Repairs a damaged file, so that [`inspect()`](crate::inspect::inspect()) accepts it. `None` if
/// its format cannot be repaired, or too little of it is left.
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
        // Too damaged to be repaired.
        Err(Error::Corrupt { .. } | Error::Unsupported(_)) => Ok(None),
        other => other,
    }
}
