//! Writes `moov` with only the tracks that are shown.

use super::{Shown, boxed, handler, properties};
use crate::{
    Result,
    codec::{
        avif::corrupt,
        bmff::{BoxRef, Fields, boxes},
    },
};

/// Maps a position in the source to the new file.
type At<'a> = &'a dyn Fn(usize) -> usize;

/// The whole box. Tracks with unreadable boxes were not accepted as tracks.
pub(super) fn write(
    source: &[u8],
    moov: &BoxRef<'_>,
    tracks: &[Shown<'_>],
    at: At<'_>,
) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    for child in boxes(source, moov.inside()) {
        let child = child.map_err(corrupt)?;
        let shown = tracks
            .iter()
            .find(|shown| shown.track.place.start == child.start);
        match (&child.kind, shown) {
            (b"mvhd", _) => content.extend(times(&child, 100)?),
            (b"trak", Some(shown)) => {
                let writer = Writer { source, at, shown };
                content.extend(writer.container(&child, 0)?);
            }
            _ => {}
        }
    }
    boxed(b"moov", &[&content])
}

/// A box with creation and modification times, which are zeroed. In version 0 its length is
/// `length`.
fn times(place: &BoxRef<'_>, length: usize) -> Result<Vec<u8>> {
    let is_long = place.body.first() == Some(&1);
    // In version 1 two times and a duration are longer.
    let (length, times) = if is_long {
        (length + 12, 20)
    } else {
        (length, 12)
    };
    let mut body = place.body.get(..length).unwrap_or(place.body).to_vec();
    if let Some(times) = body.get_mut(4..times) {
        times.fill(0);
    }
    boxed(&place.kind, &[&body])
}

struct Writer<'a> {
    source: &'a [u8],
    at: At<'a>,
    shown: &'a Shown<'a>,
}

impl Writer<'_> {
    /// The boxes in a track, each of which is valid at only one depth.
    fn container(&self, place: &BoxRef<'_>, depth: u8) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        for child in boxes(self.source, place.inside()).map_while(std::result::Result::ok) {
            content.extend(self.child(&child, depth)?);
        }
        boxed(&place.kind, &[&content])
    }

    fn child(&self, child: &BoxRef<'_>, depth: u8) -> Result<Vec<u8>> {
        match (&child.kind, depth) {
            (b"mdia" | b"edts" | b"tref", 0) | (b"minf", 1) | (b"stbl", 2) => {
                self.container(child, depth + 1)
            }
            (b"tkhd", 0) => times(child, 84),
            (b"mdhd", 1) => times(child, 24),
            (b"hdlr", 1) => {
                let kind = child.body.get(8..12).and_then(|kind| kind.try_into().ok());
                handler(kind.ok_or_else(|| corrupt("a track has no kind"))?)
            }
            (b"auxl" | b"prem", 1) => {
                // One track each.
                boxed(&child.kind, &[child.body.get(..4).unwrap_or_default()])
            }
            (b"elst", 1) => match child.body.first() {
                Some(1) => self.table(child, 20),
                _ => self.table(child, 12),
            },
            (b"vmhd", 2) => boxed(b"vmhd", &[child.body.get(..12).unwrap_or(child.body)]),
            (b"nmhd", 2) => boxed(b"nmhd", &[&[0; 4]]),
            // All data are in the file itself; other references are paths on the sender's machine.
            (b"dinf", 2) => {
                let here = boxed(b"url ", &[&[0, 0, 0, 1]])?;
                boxed(
                    b"dinf",
                    &[&boxed(b"dref", &[&[0; 4], &[0, 0, 0, 1], &here])?],
                )
            }
            (b"stsd", 3) => self.entry(child),
            (b"stts" | b"ctts", 3) => self.table(child, 8),
            (b"stsc", 3) => self.table(child, 12),
            (b"stss", 3) => self.table(child, 4),
            (b"cslg", 3) => boxed(b"cslg", &[child.body.get(..24).unwrap_or(child.body)]),
            (b"stsz" | b"stz2", 3) => self.sizes(child),
            (b"stco" | b"co64", 3) => self.chunks(child),
            _ => Ok(Vec::new()),
        }
    }

    /// A count and that many entries, of which there may be fewer.
    fn table(&self, place: &BoxRef<'_>, entry: usize) -> Result<Vec<u8>> {
        let (count, rows) = rows(place.body, 8, entry)?;
        boxed(&place.kind, &[&place.body[..4], &count.to_be_bytes(), rows])
    }

    fn sizes(&self, place: &BoxRef<'_>) -> Result<Vec<u8>> {
        let Some(sizes) = &self.shown.sizes else {
            let head = place.body.get(..12).ok_or_else(early)?;
            let (kind, bits) = (&place.kind, u64::from(head[7]));
            let count = u64::from(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
            let bytes = match (kind, &head[4..8]) {
                (b"stsz", [0, 0, 0, 0]) => count * 4,
                (b"stsz", _) => 0,
                _ => (count * bits).div_ceil(8),
            };
            let bytes = usize::try_from(bytes).map_err(corrupt)?;
            let rows = place.body[12..].get(..bytes).ok_or_else(early)?;
            return boxed(kind, &[head, rows]);
        };
        let count = u32::try_from(sizes.len()).map_err(corrupt)?;
        let rows: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        boxed(b"stsz", &[&[0; 8], &count.to_be_bytes(), &rows])
    }

    fn chunks(&self, place: &BoxRef<'_>) -> Result<Vec<u8>> {
        let is_wide = place.kind == *b"co64";
        let (count, rows) = rows(place.body, 8, if is_wide { 8 } else { 4 })?;
        let mut fields = Fields::new(rows);
        let mut offsets = Vec::with_capacity(rows.len());
        for _ in 0..count {
            let old = if is_wide {
                fields.u64()
            } else {
                fields.u32().map(u64::from)
            };
            let new = (self.at)(usize::try_from(old.ok_or_else(early)?).map_err(corrupt)?);
            if is_wide {
                offsets.extend((new as u64).to_be_bytes());
            } else {
                offsets.extend(u32::try_from(new).map_err(corrupt)?.to_be_bytes());
            }
        }
        boxed(&place.kind, &[&[0; 4], &count.to_be_bytes(), &offsets])
    }

    /// The sample description. Only the first entry is read.
    fn entry(&self, stsd: &BoxRef<'_>) -> Result<Vec<u8>> {
        let start = stsd.body_start.saturating_add(8);
        let entry = boxes(self.source, start..stsd.end()).next();
        let entry = entry.ok_or_else(early)?.map_err(corrupt)?;
        let fixed = entry.body.get(..78).ok_or_else(early)?;
        let mut parts = Vec::new();
        let inside = entry.body_start + fixed.len()..entry.end();
        for part in boxes(self.source, inside).map_while(std::result::Result::ok) {
            if let Some(cleaned) = properties::clean(&part) {
                parts.extend(boxed(&part.kind, &[&cleaned])?);
            }
        }
        // Data reference, size and resolution, frames per sample, depth; between them reserved
        // fields, and the name of the compressor.
        let fields: [&[u8]; 9] = [
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &fixed[24..36],
            &[0; 4],
            &fixed[40..42],
            &[0; 32],
            &fixed[74..76],
            &[0xff; 2],
            &parts,
        ];
        let entry = boxed(&entry.kind, &fields)?;
        boxed(b"stsd", &[&[0; 4], &[0, 0, 0, 1], &entry])
    }
}

/// The number of entries, and their bytes after a head of `head` bytes that ends with the stated
/// count.
fn rows(body: &[u8], head: usize, entry: usize) -> Result<(u32, &[u8])> {
    let said = body
        .get(head - 4..head)
        .and_then(|said| said.try_into().ok());
    let said = u32::from_be_bytes(said.ok_or_else(early)?);
    let there = (body.len() - head) / entry;
    let count = said.min(u32::try_from(there).unwrap_or(u32::MAX));
    Ok((count, &body[head..head + count as usize * entry]))
}

fn early() -> crate::Error {
    corrupt("its tables of frames end early")
}
