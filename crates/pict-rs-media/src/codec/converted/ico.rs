//! The directory of an icon or a cursor, and the choice of its largest picture.
//!
//! A picture is a PNG, which our own codec reads, or a bitmap without its file header, which is
//! handed to the library as an icon with only that picture: what other entries and the hot spots
//! of cursors say does not disturb it then.

use std::borrow::Cow;

use crate::codec::panics::guard;
use crate::codec::png;
use crate::rows::RowSink;
use crate::{Control, Error, Facts, Format, Result};

const HEADER: usize = 6;
const ENTRY: usize = 16;

/// Bytes of a bitmap's header; those of a PNG are more.
const SMALLEST: usize = 40;

/// Bytes of a bitmap's header and palette, at most.
const LONGEST_TABLES: u64 = 2048;

/// More entries than any program writes.
const MAX_ENTRIES: usize = 1024;

/// Whether the first entry is one, be it that the file ends before its picture.
pub(super) fn is_one(source: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = source.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    let (length, start) = (number(HEADER + 8), number(HEADER + 12));
    length.is_some_and(|length| length >= SMALLEST)
        && start.is_some_and(|start| start >= HEADER + ENTRY)
}

pub(super) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    match largest(source)? {
        Picture::Png(file) => {
            let facts = png::inspect(file)?;
            if facts.format != Format::Png {
                return Err(Error::Unsupported(
                    "ICO files with animations in them cannot be read".into(),
                ));
            }
            Ok(Facts {
                format: Format::Ico,
                ..facts
            })
        }
        Picture::Bitmap(file) => super::facts(&file, Format::Ico, control),
    }
}

pub(super) fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    match largest(source).ok()? {
        Picture::Png(file) => png::icc(file),
        Picture::Bitmap(_) => None,
    }
}

pub(super) fn decode(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    match largest(source)? {
        Picture::Png(file) => {
            let facts = Facts {
                format: Format::Png,
                ..facts.clone()
            };
            png::decode(file, &facts, control, sink)
        }
        Picture::Bitmap(file) => {
            let (colour, samples) = guard(Format::Ico, || super::samples(&file, facts, control))?;
            super::deliver(&samples, colour, false, facts, control, sink)
        }
    }
}

enum Picture<'a> {
    Png(&'a [u8]),
    /// An icon of its own.
    Bitmap(Vec<u8>),
}

/// Area, depth and data of each entry that lies in the file.
fn entries(source: &[u8]) -> impl Iterator<Item = (u32, u16, &[u8])> {
    let count = source
        .get(4..6)
        .map_or(0, |c| u16::from_le_bytes([c[0], c[1]]));
    let directory = source.get(HEADER..).unwrap_or_default();
    let entries = directory
        .chunks_exact(ENTRY)
        .take(usize::from(count).min(MAX_ENTRIES));
    entries.filter_map(move |entry| {
        let size = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
        let number =
            |at: usize| Some(u32::from_le_bytes(*entry.get(at..)?.first_chunk()?) as usize);
        let (length, start) = (number(8)?, number(12)?);
        let data = source.get(start..start.checked_add(length)?)?;
        let is_cursor = source.get(2) == Some(&2);
        // Where a cursor has its hot spot, an icon has its depth.
        let depth = if is_cursor {
            0
        } else {
            u16::from_le_bytes([entry[6], entry[7]])
        };
        (data.len() >= SMALLEST).then_some((size(entry[0]) * size(entry[1]), depth, data))
    })
}

fn largest(source: &[u8]) -> Result<Picture<'_>> {
    let (_, _, data) = entries(source)
        .max_by_key(|(area, depth, _)| (*area, *depth))
        .ok_or_else(|| Error::corrupt(Format::Ico, "it has no picture"))?;
    if data.starts_with(b"\x89PNG") {
        return Ok(Picture::Png(data));
    }
    let number = |at: usize| {
        let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    // The height counts the picture and its mask.
    let (width, height) = (number(4), number(8) / 2);
    let byte = |side: u32| u8::try_from(side).unwrap_or(0);
    let depth = data.get(14..16).unwrap_or(&[0; 2]);
    // No more than there can be of it, so that the copy is in proportion to the picture.
    let (columns, rows) = (u64::from(width), u64::from(height));
    let most = rows.saturating_mul(columns * 4 + columns / 8 + 8);
    let most = usize::try_from(most.saturating_add(LONGEST_TABLES)).unwrap_or(usize::MAX);
    let data = &data[..data.len().min(most)];
    let length = u32::try_from(data.len())
        .map_err(|_| Error::corrupt(Format::Ico, "its picture is too large"))?;
    let mut file = vec![0, 0, 1, 0, 1, 0, byte(width), byte(height), 0, 0, 1, 0];
    file.extend(depth);
    file.extend(length.to_le_bytes());
    file.extend(((HEADER + ENTRY) as u32).to_le_bytes());
    file.extend_from_slice(data);
    Ok(Picture::Bitmap(file))
}
