//! The directory of an icon or a cursor, and the choice of its largest picture.
//!
//! A picture is a PNG, which our own codec reads, or a bitmap without its file header, which is
//! passed to the library as an icon with only that picture, so that other entries and the hot spots
//! of cursors do not matter.

use std::borrow::Cow;

use crate::codec::panics::guard;
use crate::codec::png;
use crate::rows::RowSink;
use crate::{Control, Error, Facts, Format, Result};

const HEADER: usize = 6;
const ENTRY: usize = 16;

/// Bytes of a bitmap's header; a PNG has more.
const SMALLEST: usize = 40;

/// Maximum bytes of a bitmap's header and palette.
const LONGEST_TABLES: u64 = 2048;

/// More entries than any program writes.
const MAX_ENTRIES: usize = 1024;

/// Whether the first entry is valid, even if the file ends before its picture.
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
            let facts = png::inspect(file, control)?;
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
        Picture::Bitmap(bitmap) => super::facts(&bitmap.file, Format::Ico, control),
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
        Picture::Bitmap(bitmap) => {
            let samples = || super::samples(&bitmap.file, facts, control);
            let (colour, mut samples) = guard(Format::Ico, samples)?;
            bitmap.hide(&mut samples, facts.stored_width as usize);
            super::deliver(&samples, colour, false, facts, control, sink)
        }
    }
}

enum Picture<'a> {
    Png(&'a [u8]),
    Bitmap(Bitmap<'a>),
}

struct Bitmap<'a> {
    /// A separate icon, without a mask if that is known to be `mask`.
    file: Vec<u8>,
    /// One bit for each hidden pixel, from the last row to the first.
    mask: Option<&'a [u8]>,
    /// Whether its pixels have an alpha channel.
    deep: bool,
}

impl Bitmap<'_> {
    /// Makes masked pixels transparent. Alpha takes precedence over the mask, unless it is 0
    /// everywhere, as written by programs that do not support it.
    fn hide(&self, rgba: &mut [u8], width: usize) {
        if self.deep {
            if rgba.chunks_exact(4).any(|pixel| pixel[3] != 0) {
                return;
            }
            rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
        }
        let Some(mask) = self.mask.filter(|_| width > 0) else {
            return;
        };
        let rows = rgba.chunks_exact_mut(width * 4).rev();
        for (row, bits) in rows.zip(mask.chunks(width.div_ceil(32) * 4)) {
            for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
                let hidden = bits
                    .get(x / 8)
                    .is_some_and(|byte| byte << (x % 8) & 0x80 != 0);
                if hidden {
                    pixel[3] = 0;
                }
            }
        }
    }
}

/// The data of each entry that is inside the file.
fn entries(source: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = source
        .get(4..6)
        .map_or(0, |c| u16::from_le_bytes([c[0], c[1]]));
    let directory = source.get(HEADER..).unwrap_or_default();
    let entries = directory
        .chunks_exact(ENTRY)
        .take(usize::from(count).min(MAX_ENTRIES));
    entries.filter_map(move |entry| {
        let number =
            |at: usize| Some(u32::from_le_bytes(*entry.get(at..)?.first_chunk()?) as usize);
        let (length, start) = (number(8)?, number(12)?);
        let data = source.get(start..start.checked_add(length)?)?;
        (data.len() >= SMALLEST).then_some(data)
    })
}

/// Area and depth of a picture according to its own header: those in the directory are often wrong,
/// and a cursor has its hot spot there.
fn rank(data: &[u8]) -> (u64, u32) {
    if data.starts_with(PNG) {
        let side = |at: usize| {
            let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        return (u64::from(side(16)) * u64::from(side(20)), 32);
    }
    let header = BitmapHeader::read(data);
    (
        u64::from(header.width) * u64::from(header.height),
        header.depth.into(),
    )
}

const PNG: &[u8] = b"\x89PNG";

struct BitmapHeader {
    size: u32,
    width: u32,
    /// The height without the mask.
    height: u32,
    depth: u16,
    compression: u32,
    colours: u32,
}

impl BitmapHeader {
    /// Reads the header of data that are long enough.
    fn read(data: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        Self {
            size: number(0),
            width: number(4),
            // The stored height includes the mask.
            height: number(8) / 2,
            depth: (number(12) >> 16) as u16,
            compression: number(16),
            colours: number(32),
        }
    }

    /// The range of the pixels; `None` for kinds that the library must parse.
    fn pixels(&self) -> Option<std::ops::Range<u64>> {
        let masks = match (self.compression, self.size) {
            (0, _) => 0,
            // Colour masks, after the shortest header and inside longer ones.
            (3, 40) => 12,
            (3, _) => 0,
            _ => return None,
        };
        let colours = match self.depth {
            1 | 4 | 8 if self.colours == 0 => 1_u64 << self.depth,
            1 | 4 | 8 => self.colours.into(),
            16 | 24 | 32 => 0,
            _ => return None,
        };
        let start = (self.size >= 40).then_some(u64::from(self.size))? + masks + colours * 4;
        let row = (u64::from(self.width) * u64::from(self.depth)).div_ceil(32) * 4;
        let end = row.checked_mul(self.height.into())?.checked_add(start)?;
        Some(start..end)
    }
}

fn largest(source: &[u8]) -> Result<Picture<'_>> {
    let data = entries(source)
        .max_by_key(|data| rank(data))
        .ok_or_else(|| Error::corrupt(Format::Ico, "it has no picture"))?;
    if data.starts_with(PNG) {
        return Ok(Picture::Png(data));
    }
    let header = BitmapHeader::read(data);
    let byte = |side: u32| u8::try_from(side).unwrap_or(0);
    // At most the full size, so that the copy is in proportion to the picture.
    let (columns, rows) = (u64::from(header.width), u64::from(header.height));
    let most = rows.saturating_mul(columns * 4 + columns / 8 + 8);
    let most = usize::try_from(most.saturating_add(LONGEST_TABLES)).unwrap_or(usize::MAX);
    let data = &data[..data.len().min(most)];
    // The library would apply the mask to pixels with alpha, and refuse a truncated mask.
    let end = header
        .pixels()
        .and_then(|pixels| usize::try_from(pixels.end).ok());
    let (data, mask) = match end.and_then(|end| data.split_at_checked(end)) {
        Some((pixels, mask)) => (pixels, Some(mask)),
        None => (data, None),
    };
    let length = u32::try_from(data.len())
        .map_err(|_| Error::corrupt(Format::Ico, "its picture is too large"))?;
    let (width, height) = (byte(header.width), byte(header.height));
    let mut file = vec![0, 0, 1, 0, 1, 0, width, height, 0, 0, 1, 0];
    file.extend(header.depth.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(((HEADER + ENTRY) as u32).to_le_bytes());
    file.extend_from_slice(data);
    Ok(Picture::Bitmap(Bitmap {
        file,
        mask,
        deep: header.depth == 32,
    }))
}
