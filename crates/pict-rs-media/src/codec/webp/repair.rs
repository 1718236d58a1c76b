//! Repairs a WebP whose sizes are wrong, or that is truncated.
//!
//! Chunks are parsed regardless of the file header's size, and complete ones are written again. Of
//! a truncated still the rows that libwebp decodes are kept.

use super::riff::{self, CHUNK_HEADER, RIFF_HEADER};
use super::sys::{Incremental, Pixels};
use super::{Encoder, Settings};
use crate::codec::partial::Partial;
use crate::codec::png;
use crate::{Control, Error, Extent, Format, Missing, Repaired, Result};

/// The quality of a truncated still that is encoded again.
const QUALITY: u8 = 95;

/// The size that the first header of a damaged file claims.
pub(crate) fn claimed_size(source: &[u8]) -> Option<(u32, u32)> {
    let first = Walk::new(source).next()?;
    match &first.name {
        b"VP8X" => riff::canvas_size(first.data).ok(),
        b"VP8 " => riff::vp8_header(first.data).ok(),
        b"VP8L" => (riff::vp8l_header(first.data).ok()).map(|(width, height, _)| (width, height)),
        _ => None,
    }
}

/// Whether a damaged file declares an animation.
pub(crate) fn may_move(source: &[u8]) -> bool {
    let first = Walk::new(source).next();
    first.is_some_and(|first| {
        &first.name == b"VP8X"
            && first
                .data
                .first()
                .is_some_and(|flags| flags & riff::ANIMATION != 0)
    })
}

/// A chunk, whose data may be truncated.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// The position of its header in the file.
    start: usize,
    is_whole: bool,
}

/// The chunks as far as they can be parsed.
struct Walk<'a> {
    source: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn new(source: &'a [u8]) -> Self {
        let at = RIFF_HEADER;
        Self { source, at }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let start = self.at;
        let (head, rest) = self
            .source
            .get(start..)?
            .split_first_chunk::<CHUNK_HEADER>()?;
        let [a, b, c, d, size @ ..] = *head;
        let name = [a, b, c, d];
        if !name.iter().all(|letter| (b' '..=b'~').contains(letter)) {
            return None;
        }
        let size = u32::from_le_bytes(size) as usize;
        let data = &rest[..size.min(rest.len())];
        self.at = start + CHUNK_HEADER + data.len() + (size & 1);
        Some(Chunk {
            name,
            data,
            start,
            is_whole: data.len() == size,
        })
    }
}

/// See [`crate::repair::repair()`].
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let chunks: Vec<_> = Walk::new(source).collect();
    let Some((last, before)) = chunks.split_last() else {
        return Ok(None);
    };
    let picture_of = |chunks: &[Chunk<'_>]| {
        let mut names = chunks.iter().map(|chunk| chunk.name);
        names.any(|name| matches!(&name, b"VP8 " | b"VP8L" | b"ANMF"))
    };
    if last.is_whole {
        return Ok(picture_of(&chunks).then(|| Repaired {
            bytes: file(source, &chunks),
            missing: None,
        }));
    }
    match &last.name {
        b"VP8 " | b"VP8L" => still(source, before, last, control),
        b"ANMF" => {
            let frames = before.iter().filter(|chunk| &chunk.name == b"ANMF").count();
            let there = Extent::Frames(u32::try_from(frames).unwrap_or(u32::MAX), None);
            Ok((frames > 0).then(|| Repaired {
                bytes: file(source, before),
                missing: missing(there),
            }))
        }
        // Metadata of a picture may follow it.
        _ => Ok(picture_of(before).then(|| Repaired {
            bytes: file(source, before),
            missing: None,
        })),
    }
}

fn missing(there: Extent) -> Option<Missing> {
    Some(Missing {
        format: Format::Webp,
        there,
    })
}

/// A file of these chunks.
fn file(source: &[u8], chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut file = source[..RIFF_HEADER].to_vec();
    for chunk in chunks {
        let end = chunk.start + CHUNK_HEADER + chunk.data.len();
        file.extend_from_slice(&source[chunk.start..end]);
        if chunk.data.len() % 2 == 1 {
            file.push(0);
        }
    }
    // Files of 4 GiB are refused earlier.
    let size = u32::try_from(file.len() - CHUNK_HEADER).unwrap_or(u32::MAX);
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// Bytes that libwebp processes between two checks of the control.
const STEP: usize = 64 << 10;

/// The available rows of a truncated still.
fn still(
    source: &[u8],
    before: &[Chunk<'_>],
    picture: &Chunk<'_>,
    control: &Control,
) -> Result<Option<Repaired>> {
    let lossless = &picture.name == b"VP8L";
    let (width, height) = if lossless {
        let (width, height, _) = riff::vp8l_header(picture.data)?;
        (width, height)
    } else {
        riff::vp8_header(picture.data)?
    };
    let alpha = (before.last()).filter(|chunk| &chunk.name == b"ALPH" && !lossless);
    let start = alpha.map_or(picture.start, |alpha| alpha.start);
    let mut decoder = Incremental::new(&source[start..], width, height, Pixels::Rgba)?;
    loop {
        control.check()?;
        match decoder.advance(STEP) {
            Ok(Some(())) => {}
            Ok(None) | Err(Error::Corrupt { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    let rows = decoder.rows();
    if rows == 0 {
        return Ok(None);
    }
    let mut pixels = Vec::with_capacity(width as usize * height as usize);
    for row in 0..rows {
        let row = decoder.row(row).chunks_exact(4);
        pixels.extend(row.map(|p| [p[0], p[1], p[2], p[3]]));
    }
    drop(decoder);
    pixels.resize(width as usize * height as usize, [0; 4]);
    let partial = Partial::new(width as usize, height as usize, pixels);
    let profile = before.iter().find(|chunk| &chunk.name == b"ICCP");
    let bytes = match profile {
        Some(profile) => {
            let mut encoder = png::Encoder::new(true).without_colours();
            partial.write(control, &mut encoder)?;
            png::with_profile(&encoder.into_bytes(), profile.data, control)?
        }
        None => {
            let mut encoder = Encoder::new(Settings {
                quality: Some(QUALITY),
                lossless,
                fast: true,
            });
            partial.write(control, &mut encoder)?;
            encoder.into_bytes()
        }
    };
    let rows = u32::try_from(rows).unwrap_or(height);
    Ok(Some(Repaired {
        bytes,
        missing: missing(Extent::Rows(rows, height)),
    }))
}
