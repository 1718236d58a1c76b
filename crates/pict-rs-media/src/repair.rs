//! Files that break the rules of their format, and that viewers show all the same.
//!
//! [`repair()`] writes such a file again: whole where every pixel can be had, and only the end mark,
//! a checksum, a size or a count was wrong; else with what is there. Each codec knows how.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::limits::{Bounds, LimitKind, at_most};
use crate::{Control, Error, Format, Result};

/// A file that can be read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The whole file. It may be of another format than the one it was made from.
    pub bytes: Vec<u8>,
    /// What could not be had; `None` when nothing that is shown is missing.
    pub missing: Option<Missing>,
}

/// What a file that was cut lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Of which format the file is.
    pub format: Format,
    /// How much of it is there.
    pub there: Extent,
}

/// How much of a picture or an animation is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Whole rows, from the top unless the format begins at the bottom, and the height.
    Rows(u32, u32),
    /// Whole frames, and how many the file says it has, if it does.
    Frames(u32, Option<u32>),
    /// The whole picture, in less detail than was meant.
    Coarse,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.there {
            Extent::Rows(rows, height) => write!(f, "it ends after row {rows} of {height}"),
            Extent::Frames(frames, Some(all)) => {
                write!(f, "it ends after frame {frames} of {all}")
            }
            Extent::Frames(frames, None) => write!(f, "it ends after frame {frames}"),
            Extent::Coarse => f.write_str("it ends too early, and is coarse"),
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::corrupt(missing.format, missing)
    }
}

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
    let Some(format) = crate::inspect::damaged_format(source) else {
        return Ok(None);
    };
    let size = match format {
        Format::Jpeg => codec::jpeg::claimed_size(source),
        Format::Png => codec::png::claimed_size(source),
        Format::Gif => codec::gif::claimed_size(source),
        Format::Webp => codec::webp::claimed_size(source),
        Format::Avif => codec::avif::claimed_size(source, control),
        Format::Bmp => codec::converted::bmp::claimed_size(source),
        _ => None,
    };
    let Some((width, height)) = size.filter(|(width, height)| *width > 0 && *height > 0) else {
        return Ok(None);
    };
    let may_move = match format {
        Format::Png => codec::png::may_move(source),
        Format::Webp => codec::webp::may_move(source),
        format => format == Format::Gif,
    };
    bounds.check_size((width, height), may_move)?;
    let memory = FIXED + u64::from(width) * u64::from(height) * BYTES + 2 * source.len() as u64;
    at_most(LimitKind::Memory, bounds.memory, memory)?;
    control.check()?;
    let repaired = match format {
        Format::Jpeg => codec::jpeg::repair(source, control),
        Format::Png => codec::png::repair(source, control),
        Format::Gif => codec::gif::repair(source, control),
        Format::Webp => codec::webp::repair(source, control),
        Format::Avif => codec::avif::repair(source, control),
        Format::Bmp => codec::converted::bmp::repair(source, control),
        _ => return Ok(None),
    };
    match repaired {
        // Too damaged for that as well.
        Err(Error::Corrupt { .. } | Error::Unsupported(_)) => Ok(None),
        other => other,
    }
}
