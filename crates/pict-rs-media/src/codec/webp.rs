//! WebP, still and animated, with libwebp.
//!
//! The container is parsed here ([`riff`]), the bitstreams by libwebp; all calls to it are in
//! [`sys`], the only module with unsafe code. Start reading at [`inspect`].

mod animation;
mod end;
mod lossless;
mod read;
mod repair;
mod riff;
mod still;
mod sys;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::codec::interface::{Codec, Credits, Kept, Repair, animated, streamed};
use crate::codec::{exif, pieces};
use crate::colour::Colours;
use crate::{ColourModel, Control, Facts, Format, Orientation, Result};

pub(crate) use animation::AnimationEncoder;
use read::{decode, decode_animation};
use repair::{claimed_size, may_move, repair};
pub(crate) use still::Encoder;

use riff::{Bitstream, Chunk, Container, Content, Frame};

/// Options of the encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// 0-100 on libwebp's scale; the default when unset.
    pub(crate) quality: Option<u8>,
    pub(crate) lossless: bool,
    pub(crate) fast: bool,
}

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Webp, Format::WebpAnimation],
    detect: |source| source.starts_with(b"RIFF") && source.get(8..12) == Some(b"WEBP"),
    inspect: |source, _, control| inspect(source, control),
    clean: Some(|source, _, control| clean(source, control).map(Kept::from)),
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    canvases: Some(decode_animation),
    colours: |source, facts, control| Colours::of_profile(icc(source, control), facts.colour),
    credits: Some(Credits {
        exif: |source, control| exif(source, control).map(Cow::Borrowed),
        xmp: |source, control| xmp(source, control).map(Cow::Borrowed),
        photoshop: |_| Vec::new(),
        put: |file, tiff, _| put_exif(file.pieces, file.facts, tiff),
    }),
    repair: Some(Repair {
        claimed_size: |source, _| claimed_size(source),
        may_move,
        repair,
    }),
    memory: |facts| match facts.format {
        Format::WebpAnimation => animated(facts),
        _ if facts.lossless => facts.pixels() * LOSSLESS_DECODER + streamed(facts),
        // The pixels, and a second copy of them inside the decoder (alpha).
        _ => facts.pixels() * (facts.pixel_bytes() + 4) + streamed(facts),
    },
    ..Codec::NONE
};

/// Bytes per pixel of a lossless decoder: its pixels, those that it delivers, and blocks of three
/// transforms and of code groups, each at most a sixteenth of the picture.
const LOSSLESS_DECODER: u64 = 9;

/// Facts from the container and the bitstream headers; no pixel is decoded.
pub(crate) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    let container = riff::read(source, control)?;
    let mut decoder_tables = 0;
    let (format, frames, duration_ms) = match container.content {
        Content::Still(bitstream) => {
            decoder_tables = lossless::table_bytes(&bitstream);
            (Format::Webp, 1, None)
        }
        Content::Animation {
            frames,
            duration_ms,
            ..
        } => {
            for frame in riff::frames(source)? {
                control.check()?;
                decoder_tables = lossless::table_bytes(&frame?.bitstream).max(decoder_tables);
            }
            (Format::WebpAnimation, frames, Some(duration_ms))
        }
    };
    Ok(Facts {
        format,
        stored_width: container.width,
        stored_height: container.height,
        orientation: container
            .exif
            .map_or(Orientation::Normal, exif::orientation),
        frames,
        duration_ms,
        has_alpha: container.has_alpha,
        bits: 8,
        colour: ColourModel::Rgb,
        buffered: true,
        lossless: container.lossless,
        decoder_tables,
    })
}

/// The embedded ICC profile, if there is one.
fn icc<'a>(source: &'a [u8], control: &Control) -> Option<Cow<'a, [u8]>> {
    riff::read(source, control).ok()?.icc.map(Cow::Borrowed)
}

/// The EXIF structure, if there is one.
fn exif<'a>(source: &'a [u8], control: &Control) -> Option<&'a [u8]> {
    riff::read(source, control).ok()?.exif
}

/// The XMP packet, if there is one.
fn xmp<'a>(source: &'a [u8], control: &Control) -> Option<&'a [u8]> {
    riff::read(source, control).ok()?.xmp
}

/// The pieces of a cleaned file with a chunk of EXIF at the end.
fn put_exif<'a>(mut pieces: Vec<Cow<'a, [u8]>>, facts: &Facts, tiff: &[u8]) -> Vec<Cow<'a, [u8]>> {
    let size = pieces.iter().map(|piece| piece.len()).sum();
    let made = with_exif(&pieces::start(&pieces), facts, size, tiff);
    if let Some((head, replaced, chunk)) = made {
        let index = pieces::split(&mut pieces, replaced);
        pieces.splice(..index, [Cow::Owned(head)]);
        pieces.push(Cow::Owned(chunk));
    }
    pieces
}

/// The start of a file made by [`clean`] or an encoder, whose first bytes are `start`, with a chunk
/// of EXIF announced; the number of bytes that it replaces; and that chunk, for the end.
fn with_exif(
    start: &[u8],
    facts: &Facts,
    size: usize,
    tiff: &[u8],
) -> Option<(Vec<u8>, usize, Vec<u8>)> {
    const EXTENDED: usize = riff::RIFF_HEADER + riff::CHUNK_HEADER + 10;
    let mut chunk = chunk_header(b"EXIF", tiff.len());
    chunk.extend(tiff);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    let first = start.get(riff::RIFF_HEADER..)?;
    let (vp8x, replaced) = if first.starts_with(b"VP8X") {
        let mut vp8x = start.get(riff::RIFF_HEADER..EXTENDED)?.to_vec();
        vp8x[riff::CHUNK_HEADER] |= riff::EXIF;
        (vp8x, EXTENDED)
    } else {
        let alpha = if facts.has_alpha { riff::ALPHA } else { 0 };
        let vp8x = riff::vp8x(alpha | riff::EXIF, facts.stored_width, facts.stored_height);
        (vp8x, riff::RIFF_HEADER)
    };
    let whole = size - replaced + riff::RIFF_HEADER + vp8x.len() + chunk.len();
    let mut head = chunk_header(b"RIFF", whole - riff::CHUNK_HEADER);
    head.extend(b"WEBP");
    head.extend(vp8x);
    Some((head, replaced, chunk))
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after the
/// end of the picture.
///
/// Chunks are written in the order required by the specification.
pub(crate) fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Vec<Cow<'a, [u8]>>> {
    let container = riff::read(source, control)?;
    let icc = container.icc.and_then(crate::codec::icc::clean);
    // A placeholder for the header, which contains the length of the rest.
    let mut pieces = vec![Cow::Borrowed(&[][..])];
    if let Some(vp8x) = extended_header(&container, icc.is_some()) {
        pieces.push(Cow::Owned(vp8x));
    }
    if let Some(icc) = &icc {
        let mut chunk = chunk_header(b"ICCP", icc.len());
        chunk.extend(icc);
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        pieces.push(Cow::Owned(chunk));
    }
    match container.content {
        Content::Still(bitstream) => {
            push_picture(&mut pieces, &bitstream, control)?;
        }
        Content::Animation { anim, .. } => {
            // Background and loop count.
            let fields = anim.data.get(..6).unwrap_or(anim.data);
            pieces.push(Cow::Owned(chunk_header(b"ANIM", fields.len())));
            push_data(&mut pieces, fields);
            for frame in riff::frames(source)? {
                push_frame(&mut pieces, &frame?, control)?;
            }
        }
    }
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut header = chunk_header(b"RIFF", size + 4);
    header.extend(b"WEBP");
    pieces[0] = Cow::Owned(header);
    Ok(pieces)
}

/// The `VP8X` chunk, if the picture needs one.
fn extended_header(container: &Container<'_>, has_icc: bool) -> Option<Vec<u8>> {
    let needed = match &container.content {
        Content::Still(bitstream) => has_icc || bitstream.alpha.is_some(),
        Content::Animation { .. } => true,
    };
    let mut flags = container.flags & (riff::ALPHA | riff::ANIMATION);
    if matches!(&container.content, Content::Still(bitstream) if bitstream.has_alpha) {
        flags |= riff::ALPHA;
    }
    if has_icc {
        flags |= riff::ICC;
    }
    needed.then(|| riff::vp8x(flags, container.width, container.height))
}

/// The header of a chunk whose data were read from a file, so that their length fits.
fn chunk_header(name: &[u8; 4], length: usize) -> Vec<u8> {
    let mut header = name.to_vec();
    header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    header
}

fn push_chunk<'a>(pieces: &mut Vec<Cow<'a, [u8]>>, chunk: &Chunk<'a>) {
    match chunk.padded() {
        Some(bytes) if chunk.data.len().is_multiple_of(2) || bytes.ends_with(&[0]) => {
            pieces.push(Cow::Borrowed(bytes));
        }
        _ => {
            pieces.push(Cow::Borrowed(chunk.bytes()));
            pieces.push(Cow::Borrowed(&[0]));
        }
    }
}

fn push_data<'a>(pieces: &mut Vec<Cow<'a, [u8]>>, data: &'a [u8]) {
    pieces.push(Cow::Borrowed(data));
    if data.len() % 2 == 1 {
        pieces.push(Cow::Borrowed(&[0]));
    }
}

/// Appends a frame with only its alpha and its picture.
fn push_frame<'a>(
    pieces: &mut Vec<Cow<'a, [u8]>>,
    frame: &Frame<'a>,
    control: &Control,
) -> Result<()> {
    let start = pieces.len();
    push_picture(pieces, &frame.bitstream, control)?;
    let size = pieces[start..]
        .iter()
        .map(|piece| piece.len())
        .sum::<usize>();
    let mut header = chunk_header(b"ANMF", riff::FRAME_HEADER + size);
    header.extend(&frame.chunk.data[..riff::FRAME_HEADER]);
    pieces.insert(start, Cow::Owned(header));
    Ok(())
}

/// Appends alpha and picture, with only the data that are needed for pixels.
fn push_picture<'a>(
    pieces: &mut Vec<Cow<'a, [u8]>>,
    picture: &Bitstream<'a>,
    control: &Control,
) -> Result<()> {
    if let Some(alpha) = &picture.alpha {
        let size = (picture.width, picture.height);
        let length = end::needed_of_alpha(alpha.data, size, control)?;
        push_beginning(pieces, alpha, length);
    }
    push_beginning(pieces, &picture.image, end::needed(picture, control)?);
    Ok(())
}

/// Appends a chunk with the first `length` bytes of its data.
fn push_beginning<'a>(pieces: &mut Vec<Cow<'a, [u8]>>, chunk: &Chunk<'a>, length: usize) {
    if length == chunk.data.len() {
        return push_chunk(pieces, chunk);
    }
    pieces.push(Cow::Owned(chunk_header(&chunk.name, length)));
    push_data(pieces, &chunk.data[..length]);
}
