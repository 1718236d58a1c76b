//! PNG and APNG: container, cleaning, decoding, encoding; 16-bit samples of stills are kept.
//!
//! [`container`] parses chunks, [`frames`] those of animations. The `png` crate decodes pixels and
//! sees only the chunks that are needed for that: text and profiles are never inflated when a
//! picture is decoded. [`compose`] draws frames, [`animation`] writes them.

use std::borrow::Cow;
use std::io::{BufRead, Read, Seek, SeekFrom};

use png::{BitDepth, ColorType, DecodingError, Transformations};

use crate::codec::interface::{Codec, Credits, Kept, Repair, animated, streamed};
use crate::codec::pieces;
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Control, Error, Facts, Format, Result};
use container::corrupt;

mod animation;
mod clean;
mod colours;
mod compose;
mod container;
mod encode;
mod frames;
mod repair;

pub(crate) use animation::AnimationEncoder;
use colours::colours;
use compose::decode_animation;
pub(crate) use container::HEADER_END;
pub(crate) use encode::Encoder;
use repair::{claimed_size, may_move, repair};

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Png, Format::Apng],
    detect: |source| source.starts_with(container::SIGNATURE),
    inspect: |source, _, control| inspect(source, control),
    clean: Some(|source, facts, control| clean(source, facts, control).map(Kept::from)),
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    canvases: Some(decode_animation),
    colours: |source, _, _| colours(source),
    credits: Some(Credits {
        exif: |source, _| container::exif(source).map(Cow::Borrowed),
        xmp: |source, _| container::xmp(source).map(Cow::Borrowed),
        photoshop: |_| Vec::new(),
        put: |file, tiff, _| put_exif(file.pieces, tiff),
    }),
    repair: Some(Repair {
        claimed_size: |source, _| claimed_size(source),
        may_move,
        repair,
    }),
    memory: |facts| match facts.format {
        Format::Apng => animated(facts),
        _ if facts.buffered => facts.pixels() * facts.pixel_bytes() + facts.row_bytes() * 2,
        _ => streamed(facts),
    },
    ..Codec::NONE
};

/// Besides two rows: palettes and the decoder's own buffers.
const SPARE_BYTES: usize = 1 << 20;

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    let header = container::read(source, control)?;
    if header.animated {
        frames::facts(source, header.facts(), control)
    } else {
        Ok(header.facts())
    }
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(
    source: &'a [u8],
    facts: &Facts,
    control: &Control,
) -> Result<Vec<Cow<'a, [u8]>>> {
    clean::clean(source, facts.format == Format::Apng, control)
}

/// Inserts a chunk of EXIF after the header of a cleaned file.
fn put_exif<'a>(mut pieces: Vec<Cow<'a, [u8]>>, tiff: &[u8]) -> Vec<Cow<'a, [u8]>> {
    if let Ok(chunk) = exif_chunk(tiff)
        && pieces::start(&pieces).len() >= HEADER_END
    {
        pieces::insert(&mut pieces, HEADER_END, chunk);
    }
    pieces
}

/// An EXIF structure as a chunk.
pub(crate) fn exif_chunk(tiff: &[u8]) -> Result<Vec<u8>> {
    let mut chunk = Vec::new();
    container::push_chunk(&mut chunk, b"eXIf", &[tiff])?;
    Ok(chunk)
}

/// The chunks before the pixels that define their colours, each complete.
pub(crate) fn colour_chunks(source: &[u8]) -> Vec<Cow<'_, [u8]>> {
    clean::colour_chunks(source)
}

/// A PNG with a different declaration of its colours: code points of H.273 for primaries and
/// transfer, or none, which means sRGB. Drops everything that is not needed for the pixels.
///
/// # Errors
/// [`Error::Corrupt`] when it is not a complete PNG, [`Error::Cancelled`] through `control`.
pub fn with_code(source: &[u8], code: Option<(u8, u8)>, control: &Control) -> Result<Vec<u8>> {
    let mut bytes = container::decodable(source, control)?.concat();
    if let Some((primaries, transfer)) = code {
        let mut chunk = Vec::new();
        // RGB, in full range.
        container::push_chunk(&mut chunk, b"cICP", &[&[primaries, transfer, 0, 1]])?;
        bytes.splice(HEADER_END..HEADER_END, chunk);
    }
    Ok(bytes)
}

/// As [`with_code`], with a profile.
pub(crate) fn with_profile(source: &[u8], icc: &[u8], control: &Control) -> Result<Vec<u8>> {
    let mut bytes = container::decodable(source, control)?.concat();
    bytes.splice(
        HEADER_END..HEADER_END,
        container::profile_chunk(b"icc\0", icc)?,
    );
    Ok(bytes)
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    container::icc(source).map(Cow::Owned)
}

/// Pushes the picture's rows; palettes and small depths are expanded, `tRNS` becomes alpha.
/// Delivers any layout but `Cmyk8`; neither turned nor colour managed.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let pieces = container::decodable(source, control)?;
    decode_pieces(&pieces, facts, true, control, sink)
}

/// As [`decode`], for a file in pieces that contains only what is needed for the pixels. `checked`
/// is false when its checksums are known to be wrong.
fn decode_pieces(
    pieces: &[Cow<'_, [u8]>],
    facts: &Facts,
    checked: bool,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let mut decoder = png::Decoder::new(Joined::new(pieces));
    decoder.ignore_checksums(!checked);
    // The checksums of chunks are verified. The one inside the compressed stream is not: it comes
    // after the last pixel, and browsers ignore it too.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_limits(png::Limits {
        bytes: (facts.stored_width as usize)
            .saturating_mul(16)
            .saturating_add(SPARE_BYTES),
    });
    let mut reader = decoder.read_info().map_err(failed)?;
    if reader.info().size() != (facts.stored_width, facts.stored_height) {
        return Err(Error::Internal("the facts are of another file".into()));
    }
    let mut delivery = Delivery::new(reader.output_color_type(), facts)?;
    let row_bytes = reader
        .output_line_size(facts.stored_width)
        .ok_or_else(too_large)?;
    sink.begin(delivery.shape)?;
    if facts.buffered {
        let mut buffer = Vec::new();
        let bytes = reader.output_buffer_size().ok_or_else(too_large)?;
        buffer.try_reserve_exact(bytes).map_err(|_| too_large())?;
        buffer.resize(bytes, 0);
        // Row by row only to notice a cancellation: the passes are written to the whole buffer.
        let bits = delivery.bits_per_pixel;
        let mut row = vec![0; row_bytes];
        while let Some(pass) = reader.read_row(&mut row).map_err(failed)? {
            control.check()?;
            if let png::InterlaceInfo::Adam7(pass) = pass {
                png::expand_interlaced_row(&mut buffer, row_bytes, &row, &pass, bits);
            }
        }
        for row in buffer.chunks_exact(row_bytes) {
            control.check()?;
            delivery.deliver(row, sink)?;
        }
    } else {
        let mut row = vec![0; row_bytes];
        for _ in 0..facts.stored_height {
            control.check()?;
            if reader.read_row(&mut row).map_err(failed)?.is_none() {
                return Err(corrupt("rows are missing"));
            }
            delivery.deliver(&row, sink)?;
        }
    }
    // Verifies the checksum of the last data.
    reader.finish().map_err(failed)?;
    sink.end()
}

/// Converts the decoder's rows to one of our layouts.
struct Delivery {
    shape: Shape,
    /// Decoded channels, before grey is converted to RGB.
    channels: usize,
    bits_per_pixel: u8,
    wide: Vec<u16>,
    narrow: Vec<u8>,
}

impl Delivery {
    fn new((colour, depth): (ColorType, BitDepth), facts: &Facts) -> Result<Self> {
        let wide = match depth {
            BitDepth::Eight => false,
            BitDepth::Sixteen => true,
            other => return Err(Error::Internal(format!("png left a depth of {other:?}"))),
        };
        let (layout, channels) = match (colour, wide) {
            (ColorType::Grayscale, false) => (Layout::Gray8, 1),
            (ColorType::Grayscale, true) => (Layout::Rgb16, 1),
            (ColorType::GrayscaleAlpha, false) => (Layout::Rgba8, 2),
            (ColorType::GrayscaleAlpha, true) => (Layout::Rgba16, 2),
            (ColorType::Rgb, false) => (Layout::Rgb8, 3),
            (ColorType::Rgb, true) => (Layout::Rgb16, 3),
            (ColorType::Rgba, false) => (Layout::Rgba8, 4),
            (ColorType::Rgba, true) => (Layout::Rgba16, 4),
            (ColorType::Indexed, _) => {
                return Err(Error::Internal("png left a palette".into()));
            }
        };
        Ok(Self {
            shape: Shape {
                width: facts.stored_width,
                height: facts.stored_height,
                layout,
            },
            channels,
            bits_per_pixel: channels as u8 * if wide { 16 } else { 8 },
            wide: Vec::new(),
            narrow: Vec::new(),
        })
    }

    fn deliver(&mut self, row: &[u8], sink: &mut dyn RowSink) -> Result<()> {
        if !self.shape.layout.is_16_bit() {
            if self.channels == self.shape.layout.channels() {
                return sink.row(Row::U8(row));
            }
            self.narrow.clear();
            self.narrow.extend(
                row.chunks_exact(2)
                    .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]),
            );
            return sink.row(Row::U8(&self.narrow));
        }
        let samples = row
            .chunks_exact(2)
            .map(|s| u16::from_be_bytes([s[0], s[1]]));
        let wide = &mut self.wide;
        wide.clear();
        match self.channels {
            1 => wide.extend(samples.flat_map(|gray| [gray; 3])),
            2 => wide.extend(row.chunks_exact(4).flat_map(|pixel| {
                let gray = u16::from_be_bytes([pixel[0], pixel[1]]);
                [gray, gray, gray, u16::from_be_bytes([pixel[2], pixel[3]])]
            })),
            _ => wide.extend(samples),
        }
        sink.row(Row::U16(wide))
    }
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(_) => corrupt("it ends too early"),
        DecodingError::Format(error) => match error.to_string() {
            // The library's message contains its own data structures.
            long if long.starts_with("CRC error") => corrupt("a checksum does not match"),
            message => corrupt(message),
        },
        DecodingError::LimitsExceeded => too_large(),
        DecodingError::Parameter(error) => Error::Internal(error.to_string()),
    }
}

fn too_large() -> Error {
    Error::Internal("the picture does not fit into memory".into())
}

/// Several slices as one input.
struct Joined<'a> {
    rest: &'a [Cow<'a, [u8]>],
    current: &'a [u8],
}

impl<'a> Joined<'a> {
    fn new(pieces: &'a [Cow<'a, [u8]>]) -> Self {
        Self {
            rest: pieces,
            current: &[],
        }
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Joined<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while let ([], [next, rest @ ..]) = (self.current, self.rest) {
            self.current = next;
            self.rest = rest;
        }
        Ok(self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current = &self.current[count..];
    }
}

/// Required by the decoder's signature, but never called.
impl Seek for Joined<'_> {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::exif;
    use crate::codec::testing::{Collect, Picture, picture};
    use crate::{ColourModel, Orientation};

    fn inspect(source: &[u8]) -> Result<Facts> {
        super::inspect(source, &Control::new())
    }

    fn encode(picture: &Picture, fast: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(fast);
        picture.push(&mut encoder).expect("encodes");
        encoder.into_bytes()
    }

    fn decoded(file: &[u8]) -> Result<Picture> {
        let facts = inspect(file)?;
        let mut sink = Collect::default();
        decode(file, &facts, &Control::new(), &mut sink)?;
        Ok(sink.picture())
    }

    fn cleaned(file: &[u8]) -> Vec<u8> {
        let facts = inspect(file).expect("is a PNG");
        let cleaned = clean(file, &facts, &Control::new());
        cleaned.expect("cleans").concat()
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut crc = u32::MAX;
        for byte in kind.iter().chain(data) {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
        let len = (data.len() as u32).to_be_bytes();
        [&len[..], kind, data, &(!crc).to_be_bytes()].concat()
    }

    /// A stored (uncompressed) stream of at most 65535 bytes.
    fn zlib(data: &[u8]) -> Vec<u8> {
        let len = (data.len() as u16).to_le_bytes();
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in data {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        let sum = (b << 16 | a).to_be_bytes();
        let not = [!len[0], !len[1]];
        [&[0x78, 1, 1], &len[..], &not[..], data, &sum[..]].concat()
    }

    fn header(width: u32, height: u32, bits: u8, colour: u8, interlace: u8) -> Vec<u8> {
        let sizes = [width.to_be_bytes(), height.to_be_bytes()].concat();
        chunk(
            b"IHDR",
            &[&sizes[..], &[bits, colour, 0, 0, interlace]].concat(),
        )
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        [container::SIGNATURE, &chunks.concat()[..]].concat()
    }

    /// `rows` without filter bytes.
    fn tiny(width: u32, bits: u8, colour: u8, between: &[Vec<u8>], rows: &[&[u8]]) -> Vec<u8> {
        let raw: Vec<u8> = rows.iter().flat_map(|row| [&[0], *row].concat()).collect();
        file(&[
            header(width, rows.len() as u32, bits, colour, 0),
            between.concat(),
            chunk(b"IDAT", &zlib(&raw)),
            chunk(b"IEND", b""),
        ])
    }

    #[test]
    fn every_layout_comes_back_as_it_was() {
        for layout in [
            Layout::Gray8,
            Layout::Rgb8,
            Layout::Rgba8,
            Layout::Rgb16,
            Layout::Rgba16,
        ] {
            for (width, height) in [(1, 1), (3, 7), (130, 61)] {
                let original = picture(width, height, layout);
                for fast in [false, true] {
                    let file = encode(&original, fast);
                    assert_eq!(decoded(&file).expect("decodes"), original);
                    let facts = inspect(&file).expect("is a PNG");
                    assert_eq!((facts.stored_width, facts.stored_height), (width, height));
                    assert_eq!(facts.bits, if layout.is_16_bit() { 16 } else { 8 });
                    assert_eq!(facts.has_alpha, layout.has_alpha());
                    assert_eq!(facts.colour == ColourModel::Gray, layout == Layout::Gray8);
                    assert!(facts.lossless && !facts.buffered);
                    assert!(file.windows(4).any(|w| w == b"sRGB"));
                }
            }
        }
    }

    #[test]
    fn small_depths_palettes_and_transparency_are_expanded() {
        let check = |file: Vec<u8>, layout, samples: &[u16]| {
            let picture = decoded(&file).expect("decodes");
            assert_eq!(
                (picture.shape.layout, &picture.samples[..]),
                (layout, samples)
            );
            let facts = inspect(&file).expect("is a PNG");
            assert_eq!(facts.has_alpha, layout.has_alpha());
            assert_eq!(decoded(&cleaned(&file)).ok(), Some(picture));
        };
        check(
            tiny(3, 1, 0, &[], &[&[0b1010_0000]]),
            Layout::Gray8,
            &[255, 0, 255],
        );
        check(
            tiny(3, 4, 0, &[], &[&[0x0f, 0x10]]),
            Layout::Gray8,
            &[0, 255, 17],
        );
        let palette = chunk(b"PLTE", &[1, 2, 3, 4, 5, 6]);
        check(
            tiny(2, 8, 3, std::slice::from_ref(&palette), &[&[1, 0]]),
            Layout::Rgb8,
            &[4, 5, 6, 1, 2, 3],
        );
        check(
            tiny(2, 2, 3, &[palette, chunk(b"tRNS", &[9])], &[&[0b0100_0000]]),
            Layout::Rgba8,
            &[4, 5, 6, 255, 1, 2, 3, 9],
        );
        check(
            tiny(2, 8, 0, &[chunk(b"tRNS", &[0, 7])], &[&[7, 8]]),
            Layout::Rgba8,
            &[7, 7, 7, 0, 8, 8, 8, 255],
        );
        check(tiny(1, 8, 4, &[], &[&[7, 8]]), Layout::Rgba8, &[7, 7, 7, 8]);
        let (a, b) = (0x1234, 0x5678);
        check(
            tiny(1, 16, 0, &[], &[&[0x12, 0x34]]),
            Layout::Rgb16,
            &[a, a, a],
        );
        check(
            tiny(1, 16, 4, &[], &[&[0x12, 0x34, 0x56, 0x78]]),
            Layout::Rgba16,
            &[a, a, a, b],
        );
        check(
            tiny(1, 16, 0, &[chunk(b"tRNS", &[0x12, 0x34])], &[&[0x12, 0x34]]),
            Layout::Rgba16,
            &[a, a, a, 0],
        );
        check(
            tiny(1, 16, 2, &[], &[&[0x12, 0x34, 0x56, 0x78, 0, 1]]),
            Layout::Rgb16,
            &[a, b, 1],
        );
    }

    /// Starts and steps of Adam7's passes, across and down.
    const PASSES: [(u32, u32, u32, u32); 7] = [
        (0, 8, 0, 8),
        (4, 8, 0, 8),
        (0, 4, 4, 8),
        (2, 4, 0, 4),
        (0, 2, 2, 4),
        (1, 2, 0, 2),
        (0, 1, 1, 2),
    ];

    fn interlaced(picture: &Picture) -> Vec<u8> {
        let (width, height) = (picture.shape.width, picture.shape.height);
        let mut raw = Vec::new();
        for (x0, dx, y0, dy) in PASSES {
            for y in (y0..height).step_by(dy as usize) {
                if x0 < width {
                    raw.push(0);
                }
                for x in (x0..width).step_by(dx as usize) {
                    for sample in picture.at(x, y) {
                        if picture.shape.layout.is_16_bit() {
                            raw.push((sample >> 8) as u8);
                        }
                        raw.push(*sample as u8);
                    }
                }
            }
        }
        let (bits, colour) = match picture.shape.layout {
            Layout::Gray8 => (8, 0),
            Layout::Rgb8 => (8, 2),
            Layout::Rgba16 => (16, 6),
            other => panic!("no test needs {other:?}"),
        };
        file(&[
            header(width, height, bits, colour, 1),
            chunk(b"IDAT", &zlib(&raw)),
            chunk(b"IEND", b""),
        ])
    }

    #[test]
    fn interlaced_pictures_are_put_together() {
        for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba16] {
            for (width, height) in [(1, 1), (2, 3), (5, 1), (16, 16), (37, 29)] {
                let original = picture(width, height, layout);
                let file = interlaced(&original);
                assert!(inspect(&file).expect("is a PNG").buffered);
                assert_eq!(decoded(&file).expect("decodes"), original);
            }
        }
    }

    fn dirty(original: &Picture) -> Vec<u8> {
        let encoded = encode(original, false);
        let end = encoded.len() - 12;
        [
            &encoded[..33],
            &chunk(b"tEXt", b"Comment\0secret words"),
            &chunk(b"zTXt", b"Comment\0\0secret words"),
            &chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0secret words"),
            &chunk(b"tIME", &[7, 0xe8, 1, 1, 1, 1, 1]),
            &chunk(b"eXIf", &exif::tiff(6)),
            &chunk(b"pHYs", &[0, 0, 1, 0, 0, 0, 1, 0, 1]),
            &chunk(b"prVt", b"secret words"),
            &chunk(b"gAMA", &45_455_u32.to_be_bytes()),
            &encoded[33..end],
            &chunk(b"tEXt", b"Comment\0secret words"),
            &encoded[end..],
            b"trailing secret words",
        ]
        .concat()
    }

    #[test]
    fn cleaning_drops_metadata_and_keeps_pixels() {
        let original = picture(40, 30, Layout::Rgba8);
        let dirty = dirty(&original);
        let facts = inspect(&dirty).expect("is a PNG");
        assert_eq!(facts.orientation, Orientation::Rotate90);
        let clean = cleaned(&dirty);
        for word in [
            b"secret".as_slice(),
            b"eXIf",
            b"tIME",
            b"pHYs",
            b"prVt",
            b"adobe",
        ] {
            assert!(!clean.windows(word.len()).any(|w| w == word), "{word:?}");
        }
        assert!(clean.windows(4).any(|w| w == b"gAMA"));
        assert_eq!(decoded(&clean).expect("decodes"), original);
        assert_eq!(decoded(&dirty).expect("decodes"), original);
        let pieces = super::clean(&clean, &facts, &Control::new()).expect("cleans");
        assert!(matches!(pieces[..], [Cow::Borrowed(all)] if all == clean));
    }

    fn with_profile(profile: &[u8]) -> Vec<u8> {
        let data = [b"a name\0\0", &zlib(profile)[..]].concat();
        tiny(1, 8, 0, &[chunk(b"iCCP", &data)], &[&[7]])
    }

    #[test]
    fn the_profile_survives_and_is_inflated_on_demand() {
        let profile = crate::codec::testing::profile(3000);
        let file = with_profile(&profile);
        assert_eq!(icc(&file).as_deref(), Some(&profile[..]));
        let clean = cleaned(&file);
        assert_eq!(icc(&clean).as_deref(), Some(&profile[..]));
        assert!(!clean.windows(6).any(|window| window == b"a name"));
        assert_eq!(cleaned(&clean), clean);
        assert_eq!(icc(&encode(&picture(4, 4, Layout::Rgb8), true)), None);
        assert_eq!(icc(&with_profile(b"")), None);
        // Broken profiles are dropped, the picture is kept.
        let broken = tiny(1, 8, 0, &[chunk(b"iCCP", b"name\0\0garbage")], &[&[7]]);
        assert_eq!(icc(&broken), None);
        decoded(&broken).expect("decodes");
    }

    #[test]
    fn a_profile_that_explodes_is_not_inflated() {
        // The compressed stream of a picture is a zlib stream like any other.
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, 8_000, 1_000);
        encoder.set_color(ColorType::Grayscale);
        let mut writer = encoder.write_header().expect("starts");
        writer
            .write_image_data(&vec![0; 8_000_000])
            .expect("writes");
        writer.finish().expect("finishes");
        let at = out.windows(4).position(|w| w == b"IDAT").expect("is there");
        let len = u32::from_be_bytes(*out[at - 4..].first_chunk().expect("is there")) as usize;
        let stream = &out[at + 4..at + 4 + len];
        let data = [b"a name\0\0", stream].concat();
        let file = tiny(1, 8, 0, &[chunk(b"iCCP", &data)], &[&[7]]);
        assert_eq!(icc(&file), None);
        decoded(&file).expect("decodes");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let original = picture(20, 15, Layout::Rgba8);
        for file in [
            dirty(&original),
            encode(&original, true),
            interlaced(&picture(20, 15, Layout::Rgb8)),
        ] {
            let end = file
                .windows(4)
                .rposition(|w| w == b"IEND")
                .expect("is there")
                + 8;
            for end in 0..end {
                let cut = &file[..end];
                assert!(inspect(cut).is_err(), "cut at {end}");
                assert!(clean::clean(cut, false, &Control::new()).is_err());
                icc(cut);
            }
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let original = picture(12, 9, Layout::Rgb8);
        for file in [
            encode(&original, false),
            interlaced(&original),
            dirty(&original),
        ] {
            for at in 8..file.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut broken = file.clone();
                    broken[at] = value;
                    let Ok(facts) = inspect(&broken) else {
                        continue;
                    };
                    if facts.stored_width > 4000 || facts.stored_height > 4000 {
                        continue;
                    }
                    clean(&broken, &facts, &Control::new()).expect("walks like inspect");
                    icc(&broken);
                    let _ = decoded(&broken);
                }
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused_where_it_matters() {
        let mut file = encode(&picture(12, 9, Layout::Rgb8), false);
        let at = file.len() - 12 - 4;
        file[at] ^= 1;
        let message = decoded(&file).expect_err("is refused").to_string();
        assert!(message.ends_with("a checksum does not match"), "{message}");
        let mut file = dirty(&picture(12, 9, Layout::Rgb8));
        let at = file
            .windows(6)
            .position(|w| w == b"secret")
            .expect("is there");
        file[at] ^= 1;
        decoded(&file).expect("a comment does not matter");
    }

    #[test]
    fn a_chunk_with_a_wrong_checksum_neither_explains_colours_nor_makes_them_transparent() {
        let gamma = chunk(b"gAMA", &100_000_u32.to_be_bytes());
        let transparent = chunk(b"tRNS", &[0, 7]);
        for explains in [&gamma, &transparent] {
            let mut damaged = explains.clone();
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            let file = |extra: &[u8]| tiny(2, 8, 0, &[extra.to_vec()], &[&[7, 8]]);
            let (whole, with, without) = (file(explains), file(&damaged), file(b""));
            assert_ne!(
                (colours(&whole), inspect(&whole).ok()),
                (colours(&without), inspect(&without).ok())
            );
            assert_eq!(colours(&with), colours(&without));
            assert_eq!(inspect(&with).ok(), inspect(&without).ok());
            assert_eq!(decoded(&with).ok(), decoded(&without).ok());
            assert_eq!(cleaned(&with), without);
        }
    }

    #[test]
    fn refusals_say_why() {
        let (end, data) = (chunk(b"IEND", b""), chunk(b"IDAT", &zlib(&[0, 7])));
        let ihdr = header(1, 1, 8, 0, 0);
        let check = |chunks: &[&Vec<u8>], expected: &str| {
            let chunks: Vec<_> = chunks.iter().map(|chunk| (*chunk).clone()).collect();
            let message = inspect(&file(&chunks)).expect_err("is refused").to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(
            &[&chunk(b"acTL", &[0; 8]), &end],
            "does not start with its header",
        );
        check(&[&ihdr, &end], "no picture data");
        check(&[&ihdr, &data], "ends too early");
        check(&[&ihdr, &ihdr, &data, &end], "two headers");
        check(
            &[&ihdr, &data, &chunk(b"tEXt", b""), &data, &end],
            "in two places",
        );
        check(
            &[&ihdr, &chunk(b"XXXX", b""), &data, &end],
            "unknown critical",
        );
        check(
            &[&chunk(b"CgBI", b""), &ihdr, &data, &end],
            "rewritten for iOS",
        );
        check(&[&header(0, 1, 8, 0, 0), &data, &end], "width or height");
        check(
            &[&header(1, 1 << 31, 8, 0, 0), &data, &end],
            "width or height",
        );
        check(
            &[&header(1, 1, 4, 2, 0), &data, &end],
            "colour type and depth",
        );
        check(
            &[&header(1, 1, 8, 0, 2), &data, &end],
            "header is not valid",
        );
        // An acTL after the data does not make it an animation.
        let late = [&ihdr, &data, &chunk(b"acTL", &[0; 8]), &end].map(Vec::clone);
        decoded(&file(&late)).expect("decodes");
    }

    #[test]
    fn too_little_data_is_refused() {
        let file = file(&[
            header(4, 4, 8, 0, 0),
            chunk(b"IDAT", &zlib(&[0, 1, 2, 3, 4])),
            chunk(b"IEND", b""),
        ]);
        assert!(matches!(decoded(&file), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn a_cancelled_decode_stops() {
        let control = Control::new();
        control.cancel();
        for file in [
            encode(&picture(64, 64, Layout::Rgb8), true),
            interlaced(&picture(64, 64, Layout::Rgb8)),
        ] {
            let facts = inspect(&file).expect("is a PNG");
            let mut sink = Collect::default();
            let result = decode(&file, &facts, &control, &mut sink);
            assert!(matches!(result, Err(Error::Cancelled)));
        }
    }
}
