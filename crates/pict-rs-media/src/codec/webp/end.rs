//! Finds the real end of a picture's data.
//!
//! Neither VP8 nor VP8L stores the length of its last part: a decoder stops at the last pixel, and
//! ignores the rest of the chunk. Only decoding finds the end, so libwebp is given increasing
//! amounts of the data until they are sufficient.

use super::riff::Bitstream;
use super::sys::{Incremental, Pixels};
use crate::{Control, Result};

/// Encoders pad the last word, so some bytes at the end are rarely needed.
const SPARE: usize = 4;
/// Bytes at the end that are tried one by one.
const FINE: usize = 64;
/// The number of steps into which a longer range is divided.
const STEPS: usize = 64;

/// How many bytes of a picture's data to keep. All if they cannot be decoded.
pub(super) fn needed(bitstream: &Bitstream<'_>, control: &Control) -> Result<usize> {
    let bytes = bitstream.bytes();
    let whole = bitstream.image.data.len();
    let end = match search(bytes, (bitstream.width, bitstream.height), control)? {
        Some(end) => end + SPARE,
        None => return Ok(whole),
    };
    let rest = bytes.len().saturating_sub(end);
    Ok(whole.saturating_sub(rest))
}

/// How many bytes of an alpha plane's data to keep. All if they cannot be decoded.
pub(super) fn needed_of_alpha(
    alpha: &[u8],
    (width, height): (u32, u32),
    control: &Control,
) -> Result<usize> {
    let Some((flags, stream)) = alpha.split_first() else {
        return Ok(0);
    };
    if flags & 3 != COMPRESSED {
        // A flag byte and a byte for each pixel.
        return Ok(alpha.len().min(1 + width as usize * height as usize));
    }
    // The stream of a lossless picture without its header (RFC 9649, 2.7.1.2).
    let mut picture = b"VP8L".to_vec();
    let length = stream.len() + VP8L_HEADER;
    picture.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    picture.push(0x2f);
    picture.extend(((width - 1) | (height - 1) << 14).to_le_bytes());
    let head = picture.len();
    picture.extend_from_slice(stream);
    let end = search(&picture, (width, height), control)?;
    Ok(end.map_or(alpha.len(), |end| {
        (1 + end.saturating_sub(head) + SPARE).min(alpha.len())
    }))
}

/// Flag of an alpha plane.
const COMPRESSED: u8 = 1;
/// Signature, size and version of a lossless picture.
const VP8L_HEADER: usize = 5;

/// The length of the shortest prefix that contains all pixels.
fn search(bytes: &[u8], size: (u32, u32), control: &Control) -> Result<Option<usize>> {
    // Too few bytes, and enough.
    let mut bounds = (0, bytes.len());
    let mut start = bytes.len().saturating_sub(FINE);
    let mut step = 1;
    loop {
        let Some(end) = first_enough(bytes, size, (start, step, bounds.1), control)? else {
            return Ok(None);
        };
        let before = if end == start {
            bounds.0
        } else {
            end - step.min(end)
        };
        bounds = (before.max(bounds.0), end);
        if bounds.1 - bounds.0 <= 1 {
            return Ok(Some(end));
        }
        step = ((bounds.1 - bounds.0) / STEPS).max(1);
        start = bounds.0 + step;
    }
}

/// The first of the lengths `start`, `start + step`, …, `most` that is sufficient.
fn first_enough(
    bytes: &[u8],
    (width, height): (u32, u32),
    (start, step, most): (usize, usize, usize),
    control: &Control,
) -> Result<Option<usize>> {
    let Ok(mut decoder) = Incremental::new(bytes, width, height, Pixels::Rgb) else {
        return Ok(None);
    };
    let (mut given, mut more) = (start, start);
    loop {
        control.check()?;
        match decoder.advance(more) {
            Ok(None) => return Ok(Some(given)),
            Ok(Some(())) if given < most => {
                more = step.min(most - given);
                given += more;
            }
            _ => return Ok(None),
        }
    }
}
