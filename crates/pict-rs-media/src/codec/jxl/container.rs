//! The boxes around a codestream, and which of them are kept.

use std::borrow::Cow;
use std::io::Read as _;

use super::corrupt;
use crate::Result;
use crate::codec::bmff::{BoxRef, boxes_in};
use crate::codec::exif;
use crate::codec::pieces::Pieces;

/// The start of a file with boxes: a signature box.
pub(super) const SIGNATURE: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n";

/// The box after it.
const BRAND: &[u8] = b"\0\0\0\x14ftypjxl \0\0\0\0jxl ";

/// Flag in the number of the last piece of a codestream.
const LAST: u32 = 1 << 31;

/// The file without metadata; `end` is the end of the codestream in it.
///
/// Only listed boxes are kept: signature, brand, level and codestream. So `Exif`, `xml `, `jumb`
/// and compressed (`brob`) boxes are dropped, and so is `jbrd`, which can reconstruct the JPEG that
/// a picture was made from: that does not work without the EXIF, and it may contain everything else
/// in that JPEG. A gain map (`jhgm`) and an index of frames (`jxli`), which are not needed, are
/// dropped too.
pub(super) fn clean(source: &[u8], end: usize) -> Result<Vec<Cow<'_, [u8]>>> {
    let mut pieces = Pieces::new(source);
    if !source.starts_with(SIGNATURE) {
        pieces.keep(0..end);
        return Ok(pieces.finish());
    }
    let mut codestream = Codestream::default();
    for found in boxes_in(source) {
        let found = found.map_err(corrupt)?;
        match &found.kind {
            b"JXL " => pieces.keep(found.start..found.end().min(found.start + SIGNATURE.len())),
            b"ftyp" if found.body.len() == BRAND.len() - 8 => {
                pieces.keep(found.start..found.end());
            }
            // There is one form of brand and level each, whatever else they contain.
            b"ftyp" => pieces.borrow(BRAND),
            b"jxll" => {
                if let Some(level) = found.body.first() {
                    pieces.own([&header(b"jxll", 1)[..], &[*level]].concat());
                }
            }
            b"jxlc" | b"jxlp" => {
                codestream.add(&found)?;
                if codestream.in_order && found.end() >= end {
                    // Drops bytes after the last frame in the same box.
                    pieces.own(header(&found.kind, end - found.body_start));
                    pieces.keep(found.body_start..end);
                    break;
                }
                pieces.keep(found.start..found.end());
                if codestream.is_whole() {
                    break;
                }
            }
            _ => {}
        }
    }
    if !codestream.is_begun() {
        return Err(corrupt("it has no codestream"));
    }
    Ok(pieces.finish())
}

/// The EXIF structure, if there is one.
pub(super) fn exif(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    match body_of(source, b"Exif")? {
        Cow::Borrowed(body) => exif::behind_offset(body).map(Cow::Borrowed),
        Cow::Owned(body) => exif::behind_offset(&body).map(|tiff| Cow::Owned(tiff.to_vec())),
    }
}

/// The XMP packet, if there is one.
pub(super) fn xmp(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    body_of(source, b"xml ")
}

/// The contents of the first box of this kind, which may be compressed: then it is in a `brob` box
/// that begins with the kind (ISO/IEC 18181-2).
fn body_of<'a>(source: &'a [u8], kind: &[u8; 4]) -> Option<Cow<'a, [u8]>> {
    if !source.starts_with(SIGNATURE) {
        return None;
    }
    let mut boxes = boxes_in(source).map_while(Result::ok);
    boxes.find_map(|found| match &found.kind {
        found_kind if found_kind == kind => Some(Cow::Borrowed(found.body)),
        b"brob" => decompressed(found.body.strip_prefix(kind)?).map(Cow::Owned),
        _ => None,
    })
}

/// Larger metadata are not read for two fields.
const MAX_METADATA: u64 = 4 << 20;

/// `None` if it is damaged or too long.
fn decompressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut metadata = Vec::new();
    let decompressor = brotli_decompressor::Decompressor::new(body, BUFFER);
    let read = decompressor
        .take(MAX_METADATA + 1)
        .read_to_end(&mut metadata);
    let is_whole = read.is_ok() && metadata.len() as u64 <= MAX_METADATA;
    is_whole.then_some(metadata)
}

/// Bytes passed to the decompressor at a time.
const BUFFER: usize = 4096;

/// A box with EXIF for a cleaned file that begins with `start`, and its position: before the
/// codestream, whose last box may extend to the end of the file. `None` for a bare codestream,
/// which has no place for it and no EXIF to keep.
pub(super) fn exif_box(start: &[u8], tiff: &[u8]) -> Option<(usize, Vec<u8>)> {
    if !start.starts_with(SIGNATURE) {
        return None;
    }
    // The brand, and the level that must follow it immediately.
    let length = |at: usize| {
        let length = u32::from_be_bytes(*start.get(at..)?.first_chunk()?);
        usize::try_from(length).ok().filter(|length| *length >= 8)
    };
    let mut at = SIGNATURE.len();
    at += length(at).filter(|_| start.get(at + 4..at + 8) == Some(b"ftyp"))?;
    if start.get(at + 4..at + 8) == Some(b"jxll") {
        at += length(at)?;
    }
    let exif = [&header(b"Exif", 4 + tiff.len())[..], &[0; 4], tiff].concat();
    Some((at, exif))
}

/// A header has eight bytes, whatever it had in the source, unless the box is huge.
fn header(name: &[u8; 4], data: usize) -> Vec<u8> {
    match u32::try_from(data + 8) {
        Ok(size) => [&size.to_be_bytes(), &name[..]].concat(),
        Err(_) => {
            let size = (data as u64 + 16).to_be_bytes();
            [&1_u32.to_be_bytes(), &name[..], &size].concat()
        }
    }
}

/// The pieces of a codestream found so far.
struct Codestream {
    seen: u32,
    /// Their number, once it is known.
    count: Option<u32>,
    /// Whether they are in the order of their numbers so far.
    in_order: bool,
}

impl Default for Codestream {
    fn default() -> Self {
        Self {
            seen: 0,
            count: None,
            in_order: true,
        }
    }
}

impl Codestream {
    fn add(&mut self, piece: &BoxRef<'_>) -> Result<()> {
        let number = if &piece.kind == b"jxlc" {
            LAST
        } else {
            let number = piece.body.first_chunk();
            u32::from_be_bytes(*number.ok_or_else(|| corrupt("a piece has no number"))?)
        };
        let index = number & !LAST;
        self.in_order &= index == self.seen;
        self.seen += 1;
        if number & LAST != 0 {
            self.count = Some(index.saturating_add(1));
        }
        Ok(())
    }

    fn is_begun(&self) -> bool {
        self.seen > 0
    }

    fn is_whole(&self) -> bool {
        self.count.is_some_and(|count| self.seen >= count)
    }
}
