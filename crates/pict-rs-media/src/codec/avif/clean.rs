//! Writes the same pictures to a new file: boxes are rebuilt from the parsed ones, and data are
//! copied one after another, so all offsets are recomputed.
//!
//! The new file has what a viewer needs to show the picture: the primary item with everything that
//! it is made of, its alpha, its gain map; the track of pictures and that of its alpha. Rotation
//! and mirroring are part of the picture and are kept. Other items, including thumbnails, names,
//! times, unknown boxes and unreferenced data are dropped.

mod items;
mod movie;
mod properties;

use std::{borrow::Cow, ops::Range};

use super::{
    container::File,
    corrupt, obus,
    track::{Sequence, Track},
};
use crate::{Control, Result, codec::pieces::Pieces};

/// The cleaned file as pieces; the data borrow from the source.
pub(crate) fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Vec<Cow<'a, [u8]>>> {
    cleaned(source, None, control)
}

/// The cleaned file with `tiff` as its only EXIF. `None` when it has no item to describe.
pub(crate) fn with_exif<'a>(
    source: &'a [u8],
    tiff: &[u8],
    control: &Control,
) -> Option<Vec<Cow<'a, [u8]>>> {
    // The structure is preceded by its offset.
    cleaned(source, Some([&[0; 4], tiff].concat()), control).ok()
}

fn cleaned<'a>(
    source: &'a [u8],
    exif: Option<Vec<u8>>,
    control: &Control,
) -> Result<Vec<Cow<'a, [u8]>>> {
    let file = super::container::read(source, control)?;
    let mut keep = Vec::new();
    let mut items = match &file.meta {
        Some(meta) => items::Items::needed(source, meta, control)?,
        None => items::Items::default(),
    };
    items.add_ranges_to(&mut keep);
    let sequence = file
        .moov
        .and_then(|moov| Sequence::read(source, moov, control).ok());
    control.check()?;
    let tracks = match &sequence {
        Some(sequence) => tracks(source, sequence, &mut keep, control)?,
        None => Vec::new(),
    };
    let data = Data::new(keep);
    refuse_data_among_boxes(&file, &data)?;
    if let Some(exif) = &exif {
        items
            .describe(exif.len())
            .ok_or_else(|| corrupt("nothing can be described"))?;
    }
    let meta = file.meta.as_ref().filter(|_| !items.is_empty());
    let boxes = |start: usize| -> Result<Vec<u8>> {
        let at = |place: usize| start + data.before(place);
        let mut boxes = brands(source)?;
        if let Some(meta) = meta {
            boxes.extend(items.write(source, meta, &at, start + data.length)?);
        }
        if let (Some(moov), false) = (file.moov, tracks.is_empty()) {
            boxes.extend(movie::write(source, &moov, &tracks, &at)?);
        }
        Ok(boxes)
    };
    // Offsets have a fixed size, so the length of the boxes does not depend on them.
    let head = boxes(0)?.len();
    let content = data.length + exif.as_ref().map_or(0, Vec::len);
    let mdat = header(b"mdat", content);
    let mut pieces = Pieces::new(source);
    pieces.own([boxes(head + mdat.len())?, mdat].concat());
    data.ranges
        .iter()
        .for_each(|range| pieces.keep(range.clone()));
    if let Some(exif) = exif {
        pieces.own(exif);
    }
    Ok(pieces.finish())
}

/// The ranges that are copied, in the order of the source.
struct Data {
    /// They neither overlap nor touch.
    ranges: Vec<Range<usize>>,
    /// The number of bytes in all ranges before each.
    before: Vec<usize>,
    length: usize,
}

impl Data {
    fn new(mut ranges: Vec<Range<usize>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        let mut length = 0;
        let before = joined.iter().map(|range| {
            let before = length;
            length += range.len();
            before
        });
        let before = before.collect();
        Self {
            ranges: joined,
            before,
            length,
        }
    }

    /// The number of copied bytes before a position in the source.
    fn before(&self, place: usize) -> usize {
        let after = self.ranges.partition_point(|range| range.start <= place);
        after.checked_sub(1).map_or(0, |index| {
            let range = &self.ranges[index];
            self.before[index] + (place - range.start).min(range.len())
        })
    }

    fn overlaps(&self, range: &Range<usize>) -> bool {
        self.before(range.end) > self.before(range.start)
    }
}

/// A track that is shown.
struct Shown<'a> {
    track: &'a Track<'a>,
    /// The new sizes of its samples, if they change.
    sizes: Option<Vec<u32>>,
}

/// Collects the tracks that are shown; adds their samples to `keep`.
fn tracks<'a>(
    source: &[u8],
    sequence: &'a Sequence<'a>,
    keep: &mut Vec<Range<usize>>,
    control: &Control,
) -> Result<Vec<Shown<'a>>> {
    let tracks = [Some(&sequence.colour), sequence.alpha.as_ref()];
    let mut shown = Vec::new();
    for track in tracks.into_iter().flatten() {
        let (mut sizes, mut changed) = (Vec::new(), false);
        for sample in track.samples(source) {
            control.check()?;
            let sample = sample?;
            let mut size = 0;
            for part in obus::pictures_alone(&source[sample.clone()]) {
                size += part.len();
                let part = sample.start + part.start..sample.start + part.end;
                match keep.last_mut() {
                    Some(last) if last.end == part.start => last.end = part.end,
                    _ => keep.push(part),
                }
            }
            changed |= size != sample.len();
            sizes.push(u32::try_from(size).map_err(corrupt)?);
        }
        shown.push(Shown {
            track,
            sizes: changed.then_some(sizes),
        });
    }
    Ok(shown)
}

/// A crafted file could point to a box as data, which would copy text in it.
fn refuse_data_among_boxes(file: &File<'_>, data: &Data) -> Result<()> {
    let moov = file.moov.map(|moov| moov.start..moov.end());
    let around_data = file.meta.iter().flat_map(|meta| {
        let (start, end) = (meta.place.start, meta.place.end());
        let idat = meta.idat.clone().unwrap_or(end..end);
        [start..idat.start, idat.end..end]
    });
    if moov
        .into_iter()
        .chain(around_data)
        .any(|range| data.overlaps(&range))
    {
        return Err(corrupt("data of the picture lie among its boxes"));
    }
    Ok(())
}

/// `ftyp` without brands that do not matter to a viewer of pictures.
fn brands(source: &[u8]) -> Result<Vec<u8>> {
    const KNOWN: [&[u8]; 13] = [
        b"avif", b"avis", b"avio", b"mif1", b"mif2", b"miaf", b"msf1", b"MA1A", b"MA1B", b"av01",
        b"tmap", b"1pic", b"mp42",
    ];
    let ftyp = crate::codec::bmff::boxes_in(source).next();
    let ftyp = ftyp.and_then(std::result::Result::ok);
    let body = ftyp.map_or(&[][..], |ftyp| ftyp.body);
    let (major, rest) = body
        .split_first_chunk::<4>()
        .ok_or_else(|| corrupt("it does not begin with its brand"))?;
    let brands = rest.get(4..).unwrap_or_default().chunks_exact(4);
    let is_known = |brand: &&[u8]| KNOWN.contains(brand) || brand.starts_with(b"iso");
    let brands: Vec<_> = brands.filter(is_known).collect();
    boxed(b"ftyp", &[&major[..], &[0; 4], &brands.concat()])
}

/// The header of a box with this number of bytes.
fn header(kind: &[u8; 4], content: usize) -> Vec<u8> {
    match u32::try_from(content + 8) {
        Ok(length) => [&length.to_be_bytes(), &kind[..]].concat(),
        Err(_) => {
            let length = (content as u64 + 16).to_be_bytes();
            [&1_u32.to_be_bytes(), &kind[..], &length].concat()
        }
    }
}

/// A box that contains `parts`.
fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Result<Vec<u8>> {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(content + 8).map_err(corrupt)?;
    let mut bytes = [&length.to_be_bytes(), &kind[..]].concat();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

/// The handler of pictures, without a name.
fn handler(kind: [u8; 4]) -> Result<Vec<u8>> {
    boxed(b"hdlr", &[&[0; 8], &kind, &[0; 13]])
}
