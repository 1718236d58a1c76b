//! The WebP container: chunks, frames and bitstream headers, read without decoding a pixel.
//!
//! All sizes are checked here before libwebp is called, so that the decoder only gets the bytes of
//! one frame with known dimensions. Never allocates memory for claimed sizes. Start reading at
//! [`read`].

use crate::{Control, Error, Format, Result};

/// `VP8X` flag: the file has an `ICCP` chunk.
pub(super) const ICC: u8 = 0x20;
/// `VP8X` flag: the file has an `EXIF` chunk.
pub(super) const EXIF: u8 = 0x08;
/// `VP8X` flag: some frame has transparency.
pub(super) const ALPHA: u8 = 0x10;
/// `VP8X` flag: the file has `ANIM` and `ANMF` chunks.
pub(super) const ANIMATION: u8 = 0x02;

/// Length of `RIFF`, the size field and `WEBP`.
pub(super) const RIFF_HEADER: usize = 12;
/// Length of a chunk's name and size field.
pub(super) const CHUNK_HEADER: usize = 8;
/// Length of the fields that precede the chunks inside `ANMF`.
pub(super) const FRAME_HEADER: usize = 16;

/// The contents of the whole file.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether any shown pixel can be transparent.
    pub(super) has_alpha: bool,
    /// Whether every bitstream is `VP8L`.
    pub(super) lossless: bool,
    /// The flags of the `VP8X` chunk, if it has one.
    pub(super) flags: u8,
    pub(super) icc: Option<&'a [u8]>,
    pub(super) exif: Option<&'a [u8]>,
    pub(super) xmp: Option<&'a [u8]>,
    pub(super) content: Content<'a>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    Still(Bitstream<'a>),
    Animation {
        /// The `ANIM` chunk.
        anim: Chunk<'a>,
        /// The number of plays; 0 = for ever.
        loop_count: u16,
        frames: u32,
        duration_ms: u64,
    },
}

/// One compressed picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bitstream<'a> {
    /// The `ALPH` chunk, for lossy pictures only.
    pub(super) alpha: Option<Chunk<'a>>,
    /// The `VP8 ` or `VP8L` chunk.
    pub(super) image: Chunk<'a>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_alpha: bool,
    pub(super) lossless: bool,
    /// Whether its pixels have an alpha channel although the container says that there is none.
    pub(super) alpha_is_void: bool,
}

/// One frame of an animation; it is inside the canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) duration_ms: u32,
    /// The whole `ANMF` chunk.
    pub(super) chunk: Chunk<'a>,
    /// Whether it is blended over the canvas; otherwise it replaces it.
    pub(super) blend: bool,
    /// Whether its box becomes transparent after it was shown.
    pub(super) clear: bool,
    pub(super) bitstream: Bitstream<'a>,
}

/// Reads the container and checks all sizes in it.
pub(super) fn read<'a>(source: &'a [u8], control: &Control) -> Result<Container<'a>> {
    control.check()?;
    let mut chunks = Chunks::of_file(source)?;
    let first = chunks.next().ok_or_else(|| corrupt("it has no chunks"))??;
    match &first.name {
        b"VP8 " | b"VP8L" => read_simple(&first),
        b"VP8X" => read_extended(&first, chunks, control),
        _ => Err(corrupt("the first chunk is not a picture")),
    }
}

fn read_simple<'a>(first: &Chunk<'a>) -> Result<Container<'a>> {
    let bitstream = Bitstream::of_chunks(None, *first)?;
    Ok(Container {
        width: bitstream.width,
        height: bitstream.height,
        has_alpha: bitstream.has_alpha,
        lossless: bitstream.lossless,
        flags: 0,
        icc: None,
        exif: None,
        xmp: None,
        content: Content::Still(bitstream),
    })
}

fn read_extended<'a>(
    vp8x: &Chunk<'a>,
    chunks: Chunks<'a>,
    control: &Control,
) -> Result<Container<'a>> {
    let canvas = Canvas::of_chunk(vp8x)?;
    let (mut icc, mut exif, mut xmp) = (None, None, None);
    let mut anim = None;
    let mut still = None;
    let mut alpha = None;
    let mut frames = FrameFacts::default();
    for chunk in chunks {
        control.check()?;
        let chunk = chunk?;
        match &chunk.name {
            b"ICCP" if icc.is_none() => icc = Some(chunk.data),
            b"EXIF" if exif.is_none() => exif = Some(chunk.data),
            b"XMP " if xmp.is_none() => xmp = Some(chunk.data),
            b"ANIM" if canvas.animated && anim.is_none() => {
                anim = Some((chunk, le16(chunk.data, 4)?));
            }
            b"ANMF" if canvas.animated => {
                if anim.is_none() {
                    return Err(corrupt("a frame precedes the ANIM chunk"));
                }
                frames.add(&Frame::of_chunk(&chunk, &canvas)?, &canvas)?;
            }
            b"ALPH" if alpha.is_some() => return Err(corrupt("it has two alpha planes")),
            b"ALPH" if !canvas.animated && still.is_none() => alpha = Some(chunk),
            b"VP8 " | b"VP8L" if !canvas.animated && still.is_none() => {
                // Without the flag decoders ignore an alpha plane. The alpha channel of a lossless
                // picture is part of it, and applies anyway.
                let alpha = alpha.filter(|_| canvas.flags & ALPHA != 0);
                still = Some(Bitstream::of_chunks(alpha, chunk)?);
            }
            b"VP8 " | b"VP8L" if canvas.animated => {
                return Err(corrupt("an animation has a picture outside of its frames"));
            }
            _ => {}
        }
    }
    let Canvas { width, height, .. } = canvas;
    if let Some(bitstream) = still {
        if (bitstream.width, bitstream.height) != (width, height) {
            return Err(corrupt("the picture is not as large as its canvas"));
        }
        return Ok(Container {
            width,
            height,
            has_alpha: bitstream.has_alpha,
            lossless: bitstream.lossless,
            flags: canvas.flags,
            icc,
            exif,
            xmp,
            content: Content::Still(bitstream),
        });
    }
    let Some((anim, loop_count)) = anim.filter(|_| frames.count > 0) else {
        return Err(corrupt("it has no picture"));
    };
    Ok(Container {
        width,
        height,
        has_alpha: frames.has_alpha,
        lossless: !frames.lossy,
        flags: canvas.flags,
        icc,
        exif,
        xmp,
        content: Content::Animation {
            anim,
            loop_count,
            frames: frames.count,
            duration_ms: frames.duration_ms,
        },
    })
}

/// The frames of an animation that [`read`] has accepted.
pub(super) fn frames(source: &[u8]) -> Result<impl Iterator<Item = Result<Frame<'_>>>> {
    let mut chunks = Chunks::of_file(source)?;
    let first = chunks.next().ok_or_else(|| corrupt("it has no chunks"))??;
    let canvas = Canvas::of_chunk(&first)?;
    Ok(chunks.filter_map(move |chunk| match chunk {
        Ok(chunk) if &chunk.name == b"ANMF" => Some(Frame::of_chunk(&chunk, &canvas)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }))
}

/// Properties of the frames so far.
#[derive(Default)]
struct FrameFacts {
    count: u32,
    duration_ms: u64,
    /// Whether a pixel of any canvas can be transparent.
    has_alpha: bool,
    lossy: bool,
    /// Whether the canvas before the next frame is known to be opaque.
    opaque: bool,
}

impl FrameFacts {
    fn add(&mut self, frame: &Frame<'_>, canvas: &Canvas) -> Result<()> {
        let Bitstream {
            width,
            height,
            has_alpha,
            lossless,
            ..
        } = frame.bitstream;
        let covers = (width, height) == (canvas.width, canvas.height);
        // The canvas is initially transparent. Alpha that is only blended over an opaque canvas,
        // which is how encoders skip unchanged pixels, is not visible.
        self.opaque = (covers && !has_alpha) || (self.opaque && (frame.blend || !has_alpha));
        self.has_alpha |= !self.opaque;
        self.opaque &= !frame.clear;
        self.lossy |= !lossless;
        self.duration_ms += u64::from(frame.duration_ms);
        self.count = self
            .count
            .checked_add(1)
            .ok_or_else(|| corrupt("it has too many frames"))?;
        Ok(())
    }
}

/// The fields of a `VP8X` chunk.
struct Canvas {
    width: u32,
    height: u32,
    flags: u8,
    animated: bool,
}

impl Canvas {
    fn of_chunk(vp8x: &Chunk<'_>) -> Result<Self> {
        let flags = *vp8x
            .data
            .first()
            .ok_or_else(|| corrupt("the VP8X chunk is too short"))?;
        let (width, height) = canvas_size(vp8x.data)?;
        if u64::from(width) * u64::from(height) > u64::from(u32::MAX) {
            return Err(corrupt("the canvas is larger than the format allows"));
        }
        Ok(Self {
            width,
            height,
            flags,
            animated: flags & ANIMATION != 0,
        })
    }
}

/// Width and height in the data of a `VP8X` chunk.
pub(super) fn canvas_size(vp8x: &[u8]) -> Result<(u32, u32)> {
    Ok((le24(vp8x, 4)? + 1, le24(vp8x, 7)? + 1))
}

impl<'a> Frame<'a> {
    fn of_chunk(anmf: &Chunk<'a>, canvas: &Canvas) -> Result<Self> {
        let header = anmf.data;
        let flags = *header
            .get(FRAME_HEADER - 1)
            .ok_or_else(|| corrupt("a frame's header is too short"))?;
        let (x, y) = (le24(header, 0)? * 2, le24(header, 3)? * 2);
        let (width, height) = (le24(header, 6)? + 1, le24(header, 9)? + 1);
        let mut bitstream = Bitstream::of_frame(&header[FRAME_HEADER..])?;
        if canvas.flags & ALPHA == 0 {
            bitstream.drop_alpha();
        }
        if (bitstream.width, bitstream.height) != (width, height) {
            return Err(corrupt("a frame is not as large as its header says"));
        }
        // No sum can overflow: offsets have 25 bits, sizes 24.
        if x + width > canvas.width || y + height > canvas.height {
            return Err(corrupt("a frame lies outside of the canvas"));
        }
        Ok(Self {
            x,
            y,
            duration_ms: le24(header, 12)?,
            chunk: *anmf,
            blend: flags & 2 == 0,
            clear: flags & 1 != 0,
            bitstream,
        })
    }
}

impl<'a> Bitstream<'a> {
    fn of_frame(payload: &'a [u8]) -> Result<Self> {
        let mut alpha = None;
        for chunk in Chunks::of(payload) {
            let chunk = chunk?;
            match &chunk.name {
                b"ALPH" if alpha.is_some() => return Err(corrupt("a frame has two alpha planes")),
                b"ALPH" => alpha = Some(chunk),
                b"VP8 " | b"VP8L" => return Self::of_chunks(alpha, chunk),
                _ => {}
            }
        }
        Err(corrupt("a frame has no picture"))
    }

    /// Both chunks must be in one buffer, `alpha` before `image`.
    fn of_chunks(alpha: Option<Chunk<'a>>, image: Chunk<'a>) -> Result<Self> {
        if &image.name == b"VP8L" {
            let (width, height, has_alpha) = vp8l_header(image.data)?;
            return Ok(Self {
                alpha: None,
                image,
                width,
                height,
                has_alpha,
                lossless: true,
                alpha_is_void: false,
            });
        }
        let (width, height) = vp8_header(image.data)?;
        Ok(Self {
            alpha,
            image,
            width,
            height,
            has_alpha: alpha.is_some(),
            lossless: false,
            alpha_is_void: false,
        })
    }

    /// Drops the alpha of a frame whose file declares no transparency.
    fn drop_alpha(&mut self) {
        self.alpha_is_void = self.has_alpha && self.lossless;
        self.has_alpha = false;
        self.alpha = None;
    }

    /// Its chunks, in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        self.alpha.into_iter().chain([self.image])
    }

    /// What libwebp decodes: from the header of the first chunk to the end of the last.
    pub(super) fn bytes(&self) -> &'a [u8] {
        let start = self.alpha.map_or(self.image.start, |alpha| alpha.start);
        &self.image.parent[start..self.image.end]
    }
}

/// Width and height from a lossy key frame (RFC 6386, section 9.1).
pub(super) fn vp8_header(data: &[u8]) -> Result<(u32, u32)> {
    let tag = le24(data, 0)?;
    let shown_key_frame = tag & 1 == 0 && tag >> 4 & 1 == 1;
    if !shown_key_frame || data.get(3..6) != Some(b"\x9d\x01\x2a") {
        return Err(corrupt("the lossy picture does not start with a key frame"));
    }
    // The upper two bits of both are a scale that decoders ignore.
    let (width, height) = (le16(data, 6)? & 0x3fff, le16(data, 8)? & 0x3fff);
    if width == 0 || height == 0 {
        return Err(corrupt("the lossy picture has no pixels"));
    }
    Ok((width.into(), height.into()))
}

/// Width, height and whether alpha is used, from a lossless picture.
pub(super) fn vp8l_header(data: &[u8]) -> Result<(u32, u32, bool)> {
    let bits = u32::from(le16(data, 1)?) | u32::from(le16(data, 3)?) << 16;
    if data[0] != 0x2f || bits >> 29 != 0 {
        return Err(corrupt("the lossless picture has no signature"));
    }
    let (width, height) = ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    Ok((width, height, bits >> 28 & 1 == 1))
}

/// One chunk of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) name: [u8; 4],
    pub(super) data: &'a [u8],
    /// The buffer that contains the chunk.
    parent: &'a [u8],
    /// The position of its header in the buffer.
    start: usize,
    /// The end of its data.
    end: usize,
}

impl<'a> Chunk<'a> {
    /// Header and data, without padding.
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.parent[self.start..self.end]
    }

    /// Header, data and padding; `None` when the file ends before the padding.
    pub(super) fn padded(&self) -> Option<&'a [u8]> {
        self.parent
            .get(self.start..self.end + (self.data.len() & 1))
    }
}

/// Iterates over the chunks of a buffer. Ends at the first error.
pub(super) struct Chunks<'a> {
    parent: &'a [u8],
    position: usize,
}

impl<'a> Chunks<'a> {
    /// The chunks of a whole file; bytes after the end stated in its header are ignored.
    pub(super) fn of_file(source: &'a [u8]) -> Result<Self> {
        if source.get(..4) != Some(b"RIFF") || source.get(8..12) != Some(b"WEBP") {
            return Err(corrupt("it does not start with RIFF and WEBP"));
        }
        let size = le32(source, 4)? as usize;
        let parent = source
            .get(CHUNK_HEADER..)
            .and_then(|rest| rest.get(..size))
            .ok_or_else(|| corrupt("it ends too early"))?;
        if size < 4 {
            return Err(corrupt("its size field is too small"));
        }
        Ok(Self {
            parent,
            position: 4,
        })
    }

    /// The chunks of a buffer that contains nothing else.
    pub(super) fn of(parent: &'a [u8]) -> Self {
        Self {
            parent,
            position: 0,
        }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.position;
        let rest = self.parent.get(start..)?;
        // Less than a header is padding left by some writers.
        let header = rest.get(..CHUNK_HEADER)?;
        let name = [header[0], header[1], header[2], header[3]];
        let size = le32(header, 4).ok()? as usize;
        let Some(data) = rest[CHUNK_HEADER..].get(..size) else {
            self.position = self.parent.len();
            return Some(Err(corrupt("a chunk ends after the file")));
        };
        let end = start + CHUNK_HEADER + size;
        self.position = end + (size & 1);
        Some(Ok(Chunk {
            name,
            data,
            parent: self.parent,
            start,
            end,
        }))
    }
}

/// A `VP8X` chunk.
pub(super) fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(18);
    chunk.extend(b"VP8X\x0a\0\0\0");
    chunk.extend([flags, 0, 0, 0]);
    chunk.extend(&(width - 1).to_le_bytes()[..3]);
    chunk.extend(&(height - 1).to_le_bytes()[..3]);
    chunk
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Webp, reason)
}

fn le16(data: &[u8], at: usize) -> Result<u16> {
    match data.get(at..) {
        Some([a, b, ..]) => Ok(u16::from_le_bytes([*a, *b])),
        _ => Err(corrupt("a header ends too early")),
    }
}

fn le24(data: &[u8], at: usize) -> Result<u32> {
    match data.get(at..) {
        Some([a, b, c, ..]) => Ok(u32::from_le_bytes([*a, *b, *c, 0])),
        _ => Err(corrupt("a header ends too early")),
    }
}

fn le32(data: &[u8], at: usize) -> Result<u32> {
    match data.get(at..) {
        Some([a, b, c, d, ..]) => Ok(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => Err(corrupt("a header ends too early")),
    }
}
