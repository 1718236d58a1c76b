//! Repairs a PNG with wrong checksums, without its end, with a wrong number of frames, or
//! truncated.
//!
//! Chunks are written again with correct checksums; damaged chunks that only describe the picture
//! are dropped. Compressed data are inflated as far as possible, which tells whether the picture is
//! complete. Of an animation the frames before the first damaged one are kept.

use std::borrow::Cow;

use flate2::{Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};
use simd_adler32::Adler32;

use super::container::{HEADER_END, Header, Pass, SIGNATURE, parse, push_chunk};
use super::{Encoder, decode_pieces};
use crate::codec::partial::{Collector, Partial};
use crate::{Control, Error, Extent, Format, Missing, Repaired, Result};

/// The size that the header of a damaged file claims.
pub(crate) fn claimed_size(source: &[u8]) -> Option<(u32, u32)> {
    header(source).map(|header| header.size())
}

/// Whether a damaged file declares an animation.
pub(crate) fn may_move(source: &[u8]) -> bool {
    let mut before = chunks(source)
        .into_iter()
        .take_while(|chunk| &chunk.kind != b"IDAT");
    before.any(|chunk| &chunk.kind == b"acTL")
}

fn header(source: &[u8]) -> Option<Header> {
    let first = chunks(source).into_iter().next()?;
    (&first.kind == b"IHDR").then(|| parse(first.data).ok())?
}

/// A chunk, whose data may be truncated.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    is_whole: bool,
    is_intact: bool,
}

/// All chunks as far as they can be parsed, ending with the end mark.
fn chunks(source: &[u8]) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut rest = source.strip_prefix(SIGNATURE).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [l3, l2, l1, l0, kind @ ..] = *head;
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            break;
        }
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        let (data, behind) = behind.split_at(length.min(behind.len()));
        let sum = behind.first_chunk::<4>();
        let covered = rest.get(4..8 + data.len()).unwrap_or_default();
        chunks.push(Chunk {
            kind,
            data,
            is_whole: data.len() == length,
            is_intact: sum.is_some_and(|sum| {
                data.len() == length && crc32fast::hash(covered) == u32::from_be_bytes(*sum)
            }),
        });
        if &kind == b"IEND" {
            break;
        }
        rest = behind.get(4..).unwrap_or_default();
    }
    chunks
}

/// The chunks of a damaged file, sorted by purpose.
struct Parts<'a> {
    header: Header,
    /// `IHDR` first, then chunks that describe the picture.
    before: Vec<([u8; 4], &'a [u8])>,
    /// The animation control, and its number of frames.
    animation: Option<(&'a [u8], u32)>,
    /// The data of the default picture.
    picture: Vec<&'a [u8]>,
    /// Header and data of each frame; the data of the default picture are not repeated here.
    frames: Vec<(&'a [u8], Vec<&'a [u8]>)>,
    first_is_picture: bool,
    is_ended: bool,
}

fn parts(source: &[u8]) -> Option<Parts<'_>> {
    let mut parts = Parts {
        header: header(source)?,
        before: Vec::new(),
        animation: None,
        picture: Vec::new(),
        frames: Vec::new(),
        first_is_picture: false,
        is_ended: false,
    };
    for chunk in chunks(source) {
        match &chunk.kind {
            b"IEND" => parts.is_ended = true,
            b"IDAT" => {
                if parts.picture.is_empty() {
                    parts.first_is_picture = !parts.frames.is_empty();
                }
                parts.picture.push(chunk.data);
            }
            b"fdAT" => {
                if let Some((_, data)) = parts.frames.last_mut() {
                    data.push(chunk.data.get(4..).unwrap_or_default());
                }
            }
            b"fcTL" if chunk.is_whole && chunk.data.len() == 26 => {
                parts.frames.push((&chunk.data[4..], Vec::new()));
            }
            b"acTL" if parts.picture.is_empty() && chunk.data.len() == 8 => {
                let count = u32::from_be_bytes(*chunk.data.first_chunk()?);
                parts.animation = Some((&chunk.data[4..], count));
            }
            b"IHDR" | b"PLTE" if parts.picture.is_empty() && chunk.is_whole => {
                parts.before.push((chunk.kind, chunk.data));
            }
            kind if parts.picture.is_empty() && chunk.is_intact && kind[0] & 0x20 != 0 => {
                parts.before.push((chunk.kind, chunk.data));
            }
            _ => {}
        }
    }
    (!parts.picture.is_empty()).then_some(parts)
}

/// The result of inflating.
struct Inflated {
    /// Filtered rows, as many bytes as there are.
    raw: Vec<u8>,
    /// Compressed bytes that were used, without the zlib header.
    used: usize,
    is_ended: bool,
}

/// Bytes before a compressed stream.
const ZLIB_HEADER: usize = 2;
/// Bytes that are inflated between two checks of the control.
const STEP: usize = 256 << 10;

/// Inflates `data` as far as possible, at most to `most` bytes.
fn inflate(data: &[&[u8]], most: u64, control: &Control) -> Result<Inflated> {
    let most = usize::try_from(most).map_err(|_| too_large())?;
    let joined = data.concat();
    let packed = joined.get(ZLIB_HEADER..).unwrap_or_default();
    let mut inflate = Decompress::new(false);
    let mut raw = Vec::new();
    let mut is_ended = false;
    while raw.len() < most && !is_ended {
        control.check()?;
        let used = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        let before = raw.len();
        raw.reserve_exact(STEP.min(most - before));
        let status = inflate.decompress_vec(
            packed.get(used..).unwrap_or_default(),
            &mut raw,
            FlushDecompress::None,
        );
        is_ended = matches!(status, Ok(Status::StreamEnd));
        let is_idle = raw.len() == before && inflate.total_in() == used as u64;
        if status.is_err() || is_idle {
            break;
        }
    }
    raw.truncate(most);
    Ok(Inflated {
        raw,
        used: usize::try_from(inflate.total_in()).unwrap_or(usize::MAX),
        is_ended,
    })
}

fn too_large() -> Error {
    Error::Internal("the picture does not fit into memory".into())
}

/// The data of a whole picture as one stream with a correct checksum.
fn stream(data: &[&[u8]], inflated: &Inflated) -> Result<Vec<u8>> {
    if !inflated.is_ended {
        // More rows than the picture has, or meaningless bytes after them.
        return pack(&inflated.raw);
    }
    let joined = data.concat();
    // The window size in the header may be wrong; the largest is always sufficient.
    let mut stream = vec![0x78, 0x01];
    stream.extend_from_slice(&joined[ZLIB_HEADER..][..inflated.used]);
    let mut sum = Adler32::new();
    sum.write(&inflated.raw);
    stream.extend(sum.finish().to_be_bytes());
    Ok(stream)
}

fn pack(raw: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = packed.write_all(raw).and_then(|()| packed.finish());
    written.map_err(|error| Error::Internal(error.to_string()))
}

/// See [`crate::repair::repair()`].
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let Some(parts) = parts(source) else {
        return Ok(None);
    };
    let whole = parts.header.raw_size(parts.header.size());
    let inflated = inflate(&parts.picture, whole, control)?;
    if (inflated.raw.len() as u64) < whole {
        return partial(&parts, inflated.raw, control);
    }
    let picture = stream(&parts.picture, &inflated)?;
    drop(inflated);
    let mut file = SIGNATURE.to_vec();
    for (kind, data) in &parts.before {
        push_chunk(&mut file, kind, &[data])?;
    }
    let mut missing = None;
    match parts.animation {
        None => push_chunk(&mut file, b"IDAT", &[&picture])?,
        Some((plays, declared)) => {
            let frames = frames(&parts, control)?;
            let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
            if count > 0 {
                push_chunk(&mut file, b"acTL", &[&count.to_be_bytes(), plays])?;
            }
            let is_cut = !parts.is_ended && count < declared;
            if is_cut || frames.len() < parts.frames.len() {
                let all = declared.max(u32::try_from(parts.frames.len()).unwrap_or(u32::MAX));
                missing = Some(Missing {
                    format: Format::Apng,
                    there: Extent::Frames(count, Some(all)),
                });
            }
            push_frames(&mut file, &picture, &frames, parts.first_is_picture)?;
        }
    }
    push_chunk(&mut file, b"IEND", &[])?;
    Ok(Some(Repaired {
        bytes: file,
        missing,
    }))
}

/// A frame: its header without a number, and its data unless they are those of the default picture.
type Frame<'a> = (&'a [u8], Option<Vec<u8>>);

/// The frames before the first incomplete one.
fn frames<'a>(parts: &Parts<'a>, control: &Control) -> Result<Vec<Frame<'a>>> {
    let mut frames = Vec::new();
    for (index, (header, data)) in parts.frames.iter().enumerate() {
        if index == 0 && parts.first_is_picture {
            frames.push((*header, None));
            continue;
        }
        let side = |at: usize| header.get(at..)?.first_chunk().copied();
        let (Some(width), Some(height)) = (side(0), side(4)) else {
            break;
        };
        let size = (u32::from_be_bytes(width), u32::from_be_bytes(height));
        let canvas = parts.header.size();
        if size.0 > canvas.0 || size.1 > canvas.1 {
            break;
        }
        let whole = parts.header.raw_size(size);
        let inflated = inflate(data, whole, control)?;
        if whole == 0 || (inflated.raw.len() as u64) < whole {
            break;
        }
        frames.push((*header, Some(stream(data, &inflated)?)));
    }
    Ok(frames)
}

fn push_frames(
    file: &mut Vec<u8>,
    picture: &[u8],
    frames: &[Frame<'_>],
    first_is_picture: bool,
) -> Result<()> {
    let mut number = 0_u32;
    let mut next = || {
        number += 1;
        (number - 1).to_be_bytes()
    };
    if !first_is_picture {
        push_chunk(file, b"IDAT", &[picture])?;
    }
    for (header, data) in frames {
        push_chunk(file, b"fcTL", &[&next(), header])?;
        match data {
            None => push_chunk(file, b"IDAT", &[picture])?,
            Some(data) => push_chunk(file, b"fdAT", &[&next(), data])?,
        }
    }
    Ok(())
}

/// Chunks that depend on the stored samples.
const OF_SAMPLES: [&[u8; 4]; 5] = [b"PLTE", b"tRNS", b"sBIT", b"bKGD", b"hIST"];

/// The available rows, as a still with transparency for the rest.
fn partial(parts: &Parts<'_>, mut raw: Vec<u8>, control: &Control) -> Result<Option<Repaired>> {
    let (width, height) = parts.header.size();
    let known = Known::new(&parts.header, raw.len() as u64);
    if known.rows() == 0 {
        return Ok(None);
    }
    let whole = usize::try_from(parts.header.raw_size((width, height))).map_err(|_| too_large())?;
    // A row of zeros has no filter. A partial row counts as missing.
    raw.truncate(usize::try_from(known.whole_bytes).map_err(|_| too_large())?);
    raw.resize(whole, 0);
    let mut file = SIGNATURE.to_vec();
    for (kind, data) in &parts.before {
        if matches!(kind, b"IHDR" | b"PLTE" | b"tRNS") {
            push_chunk(&mut file, kind, &[data])?;
        }
    }
    push_chunk(&mut file, b"IDAT", &[&pack(&raw)?])?;
    drop(raw);
    push_chunk(&mut file, b"IEND", &[])?;
    let mut facts = super::inspect(&file, control)?;
    facts.format = Format::Png;
    let mut collector = Collector::new();
    decode_pieces(
        &[Cow::Borrowed(&file)],
        &facts,
        true,
        control,
        &mut collector,
    )?;
    drop(file);
    let mut picture: Partial = collector.into_partial();
    picture.fill(|x, y| known.nearest(x as u32, y as u32));
    let told: Vec<_> = (parts.before.iter())
        .filter(|(kind, _)| kind != b"IHDR" && !OF_SAMPLES.contains(&kind))
        // The profile of a gray picture does not fit the RGBA that is written.
        .filter(|(kind, _)| kind != b"iCCP" || !parts.header.is_gray())
        .collect();
    let says_colours = |kind: &[u8; 4]| matches!(kind, b"iCCP" | b"sRGB" | b"gAMA" | b"cICP");
    let mut encoder = Encoder::new(true);
    if told.iter().any(|(kind, _)| says_colours(kind)) {
        encoder = encoder.without_colours();
    }
    picture.write(control, &mut encoder)?;
    let mut bytes = encoder.into_bytes();
    let mut between = Vec::new();
    for (kind, data) in told {
        push_chunk(&mut between, kind, &[data])?;
    }
    bytes.splice(HEADER_END..HEADER_END, between);
    let there = match known.rows() {
        rows if rows < height => Extent::Rows(rows, height),
        _ => Extent::Coarse,
    };
    Ok(Some(Repaired {
        bytes,
        missing: Some(Missing {
            format: Format::Png,
            there,
        }),
    }))
}

/// Which pixels of a truncated picture exist.
struct Known {
    height: u32,
    /// Complete rows of each pass; a single pass unless interlaced.
    passes: Vec<(Pass, u32)>,
    /// Bytes of all complete rows.
    whole_bytes: u64,
}

impl Known {
    fn new(header: &Header, bytes: u64) -> Self {
        let (mut left, mut whole_bytes) = (bytes, 0);
        let passes = header.passes().iter().map(|&pass| {
            let (rows, row) = header.pass_rows(pass);
            let whole = (left.checked_div(row).unwrap_or(0)).min(rows.into());
            left -= whole * row;
            whole_bytes += whole * row;
            if whole < u64::from(rows) && row > 0 {
                left = 0;
            }
            (pass, u32::try_from(whole).unwrap_or(u32::MAX))
        });
        let passes = passes.collect();
        Self {
            height: header.size().1,
            passes,
            whole_bytes,
        }
    }

    fn has(&self, x: u32, y: u32) -> bool {
        self.passes
            .iter()
            .any(|&((left, top, across, down), rows)| {
                x >= left
                    && y >= top
                    && (x - left).is_multiple_of(across)
                    && (y - top).is_multiple_of(down)
                    && (y - top) / down < rows
            })
    }

    /// A known pixel that represents this one, as viewers show it while a picture loads.
    fn nearest(&self, x: u32, y: u32) -> Option<(usize, usize)> {
        // Each pass divides the blocks of earlier passes.
        const BLOCKS: [(u32, u32); 7] = [(0, 0), (0, 1), (1, 1), (1, 3), (3, 3), (3, 7), (7, 7)];
        let blocks = if self.passes.len() == 1 {
            &BLOCKS[..1]
        } else {
            &BLOCKS
        };
        (blocks.iter())
            .map(|(across, down)| (x & !across, y & !down))
            .find(|&(x, y)| self.has(x, y))
            .map(|(x, y)| (x as usize, y as usize))
    }

    /// The number of rows from the top in which every pixel is known or represented by a neighbour.
    fn rows(&self) -> u32 {
        (0..self.height)
            .take_while(|y| self.nearest(0, *y).is_some())
            .fold(0, |rows, _| rows + 1)
    }
}
