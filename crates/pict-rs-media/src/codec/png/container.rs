//! The chunks of a PNG file: facts, cleaning and the ICC profile. Inflates nothing but the profile,
//! and that only on request and up to a limit.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use flate2::{Compression, write::ZlibEncoder};

use crate::codec::exif;
use crate::codec::pieces::Pieces;
use crate::{ColourModel, Control, Error, Facts, Format, Orientation, Result};

pub(super) const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// The end of `IHDR`, which always comes first and always has this length.
pub(crate) const HEADER_END: usize = 33;
/// The largest value of a length or a size.
const MAX: u32 = i32::MAX as u32;
/// Larger profiles are not colour profiles.
const MAX_ICC: usize = 4 << 20;

/// Chunks that a decoder needs for the pixels.
const DECODED: [&[u8; 4]; 5] = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"];
/// Chunks that decoders skip if their checksum is wrong: they only describe the picture, or its
/// transparency.
const EXPLAINING: [&[u8; 4]; 10] = [
    b"tRNS", b"eXIf", b"iCCP", b"sBIT", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI",
];

/// The contents of the chunks.
pub(super) struct Header {
    width: u32,
    height: u32,
    bits: u8,
    colour: u8,
    interlaced: bool,
    transparent: bool,
    orientation: Orientation,
    /// Whether it declares an animation.
    pub(super) animated: bool,
}

impl Header {
    pub(super) fn facts(&self) -> Facts {
        Facts {
            format: Format::Png,
            stored_width: self.width,
            stored_height: self.height,
            orientation: self.orientation,
            frames: 1,
            duration_ms: None,
            has_alpha: self.transparent || matches!(self.colour, 4 | 6),
            bits: if self.bits == 16 { 16 } else { 8 },
            colour: if matches!(self.colour, 0 | 4) {
                ColourModel::Gray
            } else {
                ColourModel::Rgb
            },
            buffered: self.interlaced,
            lossless: true,
            decoder_tables: 0,
        }
    }
}

/// Parses the whole file.
pub(super) fn read(source: &[u8], control: &Control) -> Result<Header> {
    let mut header = read_first(source)?;
    let mut orientation = None;
    let mut palette = 0;
    // Image data chunks must be contiguous.
    let (mut data, mut data_ended) = (false, false);
    for chunk in Chunks::new(source)?.skip(1) {
        control.check()?;
        let chunk = chunk?;
        if data && &chunk.kind != b"IDAT" {
            data_ended = true;
        }
        match &chunk.kind {
            b"IHDR" => return Err(corrupt("it has two headers")),
            b"IDAT" if data_ended => return Err(corrupt("its data is in two places")),
            b"IDAT" => data = true,
            b"acTL" if !data => header.animated = true,
            b"tRNS" if !data && header.takes_trns(chunk.data.len(), palette) => {
                header.transparent |= chunk.counts(source);
            }
            b"PLTE" if !data => palette = chunk.data.len() / 3,
            b"eXIf" if orientation.is_none() && chunk.counts(source) => {
                orientation = Some(exif::orientation(chunk.data));
            }
            b"PLTE" | b"IEND" => {}
            // Bit 5 of the first letter: an unknown chunk that is required to show the picture.
            kind if kind[0] & 0x20 == 0 => {
                return Err(corrupt("it has an unknown critical chunk"));
            }
            _ => {}
        }
    }
    if !data {
        return Err(corrupt("it has no picture data"));
    }
    header.orientation = orientation.unwrap_or_default();
    Ok(header)
}

/// Whether its header says that its pixels are gray.
pub(super) fn is_gray(source: &[u8]) -> bool {
    read_first(source).is_ok_and(|header| header.is_gray())
}

/// Parses the first chunk.
pub(super) fn read_first(source: &[u8]) -> Result<Header> {
    match Chunks::new(source)?.next().transpose()? {
        Some(chunk) if &chunk.kind == b"IHDR" => parse(chunk.data),
        Some(chunk) if &chunk.kind == b"CgBI" => Err(Error::Unsupported(
            "PNG files rewritten for iOS applications cannot be read".into(),
        )),
        _ => Err(corrupt("it does not start with its header")),
    }
}

/// Only the chunks needed for pixels, so that a decoder neither reads nor stores anything else.
pub(super) fn decodable<'a>(source: &'a [u8], control: &Control) -> Result<Vec<Cow<'a, [u8]>>> {
    let header = read(source, control)?;
    let mut palette = 0;
    keep(source, |chunk| {
        if &chunk.kind == b"PLTE" {
            palette = chunk.data.len() / 3;
        }
        let takes_it = || header.takes_trns(chunk.data.len(), palette);
        DECODED.contains(&&chunk.kind) && (&chunk.kind != b"tRNS" || takes_it())
    })
}

/// The chunks before the data that are needed for pixels, the header first.
pub(super) fn before_data(source: &[u8]) -> Result<Vec<&[u8]>> {
    let header = read_first(source)?;
    let mut palette = 0;
    let mut before = Vec::new();
    for chunk in Chunks::new(source)? {
        let chunk = chunk?;
        match &chunk.kind {
            b"IDAT" => break,
            b"IHDR" => before.push(&source[chunk.range]),
            b"PLTE" => {
                palette = chunk.data.len() / 3;
                before.push(&source[chunk.range]);
            }
            b"tRNS" if header.takes_trns(chunk.data.len(), palette) && chunk.counts(source) => {
                before.push(&source[chunk.range]);
            }
            _ => {}
        }
    }
    Ok(before)
}

fn keep(source: &[u8], mut wanted: impl FnMut(&Chunk<'_>) -> bool) -> Result<Vec<Cow<'_, [u8]>>> {
    let mut pieces = Pieces::new(source);
    pieces.keep(0..SIGNATURE.len());
    for chunk in Chunks::new(source)? {
        let chunk = chunk?;
        if wanted(&chunk) && chunk.counts(source) {
            pieces.keep(chunk.range);
        }
    }
    Ok(pieces.finish())
}

/// The inflated ICC profile. Other colour chunks are handled by [`colours`](super::colours()).
pub(super) fn icc(source: &[u8]) -> Option<Vec<u8>> {
    let chunk = Chunks::new(source)
        .ok()?
        .map_while(Result::ok)
        .take_while(|chunk| &chunk.kind != b"IDAT")
        .find(|chunk| &chunk.kind == b"iCCP" && chunk.counts(source))?;
    // The decoder inflates it, with its limits, from a picture of one pixel with this chunk.
    let around = [
        SIGNATURE,
        &b"\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde"[..],
        &source[chunk.range],
        b"\0\0\0\0IDAT",
    ]
    .concat();
    let limits = png::Limits {
        bytes: chunk.data.len().saturating_mul(2).saturating_add(MAX_ICC),
    };
    let decoder = png::Decoder::new_with_limits(std::io::Cursor::new(around), limits);
    let profile = decoder.read_info().ok()?.info().icc_profile.clone()?;
    (!profile.is_empty() && profile.len() <= MAX_ICC).then(|| profile.into_owned())
}

/// The EXIF structure, if there is one.
pub(super) fn exif(source: &[u8]) -> Option<&[u8]> {
    let mut chunks = Chunks::new(source).ok()?.map_while(Result::ok);
    chunks
        .find(|chunk| &chunk.kind == b"eXIf" && chunk.counts(source))
        .map(|chunk| chunk.data)
}

/// The XMP packet, if there is one; it is never compressed (XMP specification, part 3, "PNG").
pub(super) fn xmp(source: &[u8]) -> Option<&[u8]> {
    // The keyword, no compression, no language and no translated keyword.
    const START: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
    let mut chunks = Chunks::new(source).ok()?.map_while(Result::ok);
    chunks.find_map(|chunk| match &chunk.kind {
        b"iTXt" => chunk.data.strip_prefix(START),
        _ => None,
    })
}

impl Header {
    /// Whether a `tRNS` of this length is valid, with a palette of this size. Viewers ignore one of
    /// another length.
    pub(super) fn takes_trns(&self, length: usize, palette: usize) -> bool {
        match self.colour {
            0 => length == 2,
            2 => length == 6,
            3 => (1..=palette).contains(&length),
            _ => false,
        }
    }

    /// Whether the pixels are palette indices.
    pub(super) fn has_palette(&self) -> bool {
        self.colour == 3
    }

    pub(super) fn bits(&self) -> u8 {
        self.bits
    }

    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn channels(&self) -> u64 {
        match self.colour {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        }
    }

    /// The number of channels in `sBIT`: for a palette, those of its colours.
    pub(super) fn channels_said(&self) -> usize {
        match self.colour {
            3 => 3,
            _ => self.channels() as usize,
        }
    }

    /// Bytes of the filtered rows of a picture of this size.
    pub(super) fn raw_size(&self, size: (u32, u32)) -> u64 {
        let pass = |pass: &Pass| {
            let (rows, row) = self.rows_of(size, *pass);
            u64::from(rows) * row
        };
        self.passes().iter().map(pass).sum()
    }

    /// The passes in which the pixels are stored.
    pub(super) fn passes(&self) -> &'static [Pass] {
        if self.interlaced {
            &PASSES
        } else {
            &[(0, 0, 1, 1)]
        }
    }

    /// The number of rows in a pass over the whole picture, and the bytes of each including its
    /// filter.
    pub(super) fn pass_rows(&self, pass: Pass) -> (u32, u64) {
        self.rows_of(self.size(), pass)
    }

    fn rows_of(&self, (width, height): (u32, u32), (x, y, across, down): Pass) -> (u32, u64) {
        let count = |side: u32, first: u32, step: u32| side.saturating_sub(first).div_ceil(step);
        let bits = u64::from(count(width, x, across)) * self.channels() * u64::from(self.bits);
        if bits == 0 {
            return (0, 0);
        }
        (count(height, y, down), 1 + bits.div_ceil(8))
    }

    /// Whether its pixels are gray.
    pub(super) fn is_gray(&self) -> bool {
        matches!(self.colour, 0 | 4)
    }
}

/// First column and row of a pass, and the steps between them, in pixels.
pub(super) type Pass = (u32, u32, u32, u32);

/// The passes of interlaced pictures (PNG, third edition, 8.1).
const PASSES: [Pass; 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

/// Parses the data of `IHDR`.
pub(super) fn parse(header: &[u8]) -> Result<Header> {
    let [
        w3,
        w2,
        w1,
        w0,
        h3,
        h2,
        h1,
        h0,
        bits,
        colour,
        0,
        0,
        interlace @ (0 | 1),
    ] = *header
    else {
        return Err(corrupt("its header is not valid"));
    };
    let (width, height) = (
        u32::from_be_bytes([w3, w2, w1, w0]),
        u32::from_be_bytes([h3, h2, h1, h0]),
    );
    if !(1..=MAX).contains(&width) || !(1..=MAX).contains(&height) {
        return Err(corrupt("its width or height is not valid"));
    }
    match (colour, bits) {
        (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) | (2 | 4 | 6, 8 | 16) => {}
        _ => return Err(corrupt("its colour type and depth do not fit")),
    }
    Ok(Header {
        width,
        height,
        bits,
        colour,
        interlaced: interlace == 1,
        transparent: false,
        orientation: Orientation::Normal,
        animated: false,
    })
}

pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) data: &'a [u8],
    /// Including length and checksum.
    pub(super) range: Range<usize>,
}

impl Chunk<'_> {
    /// Whether decoders use it.
    pub(super) fn counts(&self, source: &[u8]) -> bool {
        !EXPLAINING.contains(&&self.kind) || self.is_intact(source)
    }

    /// Whether its checksum in `source` is correct.
    pub(super) fn is_intact(&self, source: &[u8]) -> bool {
        let Some(chunk) = source.get(self.range.clone()) else {
            return false;
        };
        let Some((rest, sum)) = chunk.split_last_chunk() else {
            return false;
        };
        rest.get(4..)
            .is_some_and(|covered| crc32fast::hash(covered) == u32::from_be_bytes(*sum))
    }
}

/// All chunks up to `IEND`, which must exist.
pub(super) struct Chunks<'a> {
    source: &'a [u8],
    at: usize,
    done: bool,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a [u8]) -> Result<Self> {
        if !source.starts_with(SIGNATURE) {
            return Err(corrupt("it does not start as one"));
        }
        Ok(Self {
            source,
            at: SIGNATURE.len(),
            done: false,
        })
    }

    /// The chunks in a range that begins and ends with one.
    pub(super) fn within(
        source: &'a [u8],
        range: Range<usize>,
    ) -> impl Iterator<Item = Result<Chunk<'a>>> {
        let mut chunks = Self {
            source: source.get(..range.end).unwrap_or_default(),
            at: range.start,
            done: false,
        };
        std::iter::from_fn(move || (chunks.at < range.end).then(|| chunks.next()).flatten())
    }

    fn chunk(&mut self) -> Option<Chunk<'a>> {
        let rest = self.source.get(self.at..)?;
        let len = u32::from_be_bytes(*rest.first_chunk()?);
        if len > MAX {
            return None;
        }
        let kind = *rest.get(4..)?.first_chunk()?;
        let data = rest.get(8..)?.get(..len as usize)?;
        // The decoder verifies the checksum.
        rest.get(8..)?.get(data.len()..)?.get(..4)?;
        let start = self.at;
        self.at += 12 + data.len();
        Some(Chunk {
            kind,
            data,
            range: start..self.at,
        })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let Some(chunk) = self.chunk() else {
            self.done = true;
            return Some(Err(corrupt("it ends too early")));
        };
        self.done = &chunk.kind == b"IEND";
        Some(Ok(chunk))
    }
}

/// A profile as a chunk, with a zero-terminated name.
pub(super) fn profile_chunk(name: &[u8], icc: &[u8]) -> Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = packed.write_all(icc).and_then(|()| packed.finish());
    let packed = written.map_err(|error| Error::Internal(error.to_string()))?;
    let mut chunk = Vec::new();
    // The method of compression, of which there is only one.
    push_chunk(&mut chunk, b"iCCP", &[name, &[0], &packed])?;
    Ok(chunk)
}

/// Appends a chunk with these pieces of data.
pub(super) fn push_chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[&[u8]]) -> Result<()> {
    let length: usize = data.iter().map(|data| data.len()).sum();
    let length = i32::try_from(length)
        .map_err(|_| Error::Unsupported("PNG chunks have at most 2 GiB".into()))?;
    file.extend(length.to_be_bytes());
    let start = file.len();
    file.extend(kind);
    data.iter().for_each(|data| file.extend_from_slice(data));
    let sum = crc32fast::hash(&file[start..]);
    file.extend(sum.to_be_bytes());
    Ok(())
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Png, reason)
}
