//! TIFF, BMP, ICO (and CUR), QOI and PNM: read, but never kept and never written.
//!
//! The `image` crate decodes them and holds the whole picture; this module decides what may be
//! read, converts its samples to rows, and catches panics and decompression bombs. [`ico`] chooses
//! among the pictures of an icon.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use image::codecs::{
    bmp::BmpDecoder, ico::IcoDecoder, pnm::PnmDecoder, qoi::QoiDecoder, tiff::TiffDecoder,
};
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError};

use crate::codec::interface::{Codec, Repair};
use crate::codec::{exif, panics::guard};
use crate::colour::Colours;
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{ColourModel, Control, Error, Facts, Format, Orientation, Result};

mod bmp;
mod ico;
mod pnm;
#[cfg(test)]
mod tests;

/// TIFF. Of several pages the first is used.
pub(crate) const TIFF: Codec = Codec {
    formats: &[Format::Tiff],
    detect: |source| {
        // The second forms are BigTIFF, for files beyond 4 GiB, which smaller files may use too.
        matches!(
            source,
            [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..]
        )
    },
    inspect: |source, _, control| facts(source, Format::Tiff, control),
    colours: |source, facts, control| Colours::of_profile(icc(source, control), facts.colour),
    memory: |facts| {
        if facts.bits > 8 {
            // The samples, possibly floats, and three times that inside the library, whose limit is
            // set to that.
            facts.pixels() * facts.channels() * 16 + SPARE_BYTES + facts.row_bytes() * 4
        } else {
            memory(facts)
        }
    },
    ..READ_ONLY
};

/// What the engine asks of QOI.
pub(crate) const QOI: Codec = Codec {
    formats: &[Format::Qoi],
    detect: |source| source.starts_with(b"qoif"),
    inspect: |source, _, control| facts(source, Format::Qoi, control),
    ..READ_ONLY
};

/// PNM. Of several pictures the first is used.
pub(crate) const PNM: Codec = Codec {
    formats: &[Format::Pnm],
    detect: pnm::is_one,
    inspect: |source, _, control| facts(source, Format::Pnm, control),
    ..READ_ONLY
};

/// What the engine asks of BMP.
pub(crate) const BMP: Codec = Codec {
    formats: &[Format::Bmp],
    // Two letters are not enough, because text may begin with them. The size of the second header
    // is at most 124.
    detect: |source| source.starts_with(b"BM") && source.get(15..18) == Some(&[0; 3]),
    inspect: |source, _, control| facts(source, Format::Bmp, control),
    repair: Some(Repair {
        claimed_size: |source, _| bmp::claimed_size(source),
        may_move: |_| false,
        repair: bmp::repair,
    }),
    ..READ_ONLY
};

/// ICO and CUR. Of several pictures the largest is used.
pub(crate) const ICO: Codec = Codec {
    formats: &[Format::Ico],
    detect: |source| match source {
        // Icons and cursors with at least one picture.
        [0, 0, 1 | 2, 0, low, high, ..] if (*low, *high) != (0, 0) => ico::is_one(source),
        _ => false,
    },
    inspect: |source, _, control| ico::inspect(source, control),
    decode: Some(|source, facts, _, control, sink| ico::decode(source, facts, control, sink)),
    colours: |source, facts, _| Colours::of_profile(ico::icc(source), facts.colour),
    ..READ_ONLY
};

/// What these codecs have in common.
const READ_ONLY: Codec = Codec {
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    memory,
    ..Codec::NONE
};

fn memory(facts: &Facts) -> u64 {
    // Plus the file of a single picture, which is made from an icon.
    facts.pixels() * (facts.components() * 4 + 5) + SPARE_BYTES + facts.row_bytes() * 4
}

/// The ICC profile of a TIFF, if there is one and it fits the decoded samples.
fn icc<'a>(source: &'a [u8], control: &Control) -> Option<Cow<'a, [u8]>> {
    let format = Format::Tiff;
    let profile = guard(format, || {
        let mut decoder = open(source, format, control)?;
        if is_inked(decoder.as_ref()) {
            return Ok(None);
        }
        decoder
            .icc_profile()
            .map_err(|error| failed(format, &error))
    });
    profile.ok().flatten().map(Cow::Owned)
}

/// Pushes the picture's rows; neither turned nor colour managed. CMYK inks are passed on as `Rgb`.
fn decode(source: &[u8], facts: &Facts, control: &Control, sink: &mut dyn RowSink) -> Result<()> {
    let format = facts.format;
    let (colour, samples) = guard(format, || samples(source, facts, control))?;
    // The sink's panics are not caught.
    deliver(
        &samples,
        colour,
        is_premultiplied(source, facts),
        facts,
        control,
        sink,
    )
}

type Decoder<'a> = Box<dyn ImageDecoder + 'a>;

fn open<'a>(source: &'a [u8], format: Format, control: &'a Control) -> Result<Decoder<'a>> {
    let source = Source {
        bytes: Cursor::new(source),
        control,
    };
    let opened: Result<Decoder<'a>, ImageError> = match format {
        Format::Tiff => TiffDecoder::new(source).map(|decoder| Box::new(decoder) as _),
        Format::Bmp => BmpDecoder::new(source).map(|decoder| Box::new(decoder) as _),
        Format::Ico => IcoDecoder::new(source).map(|decoder| Box::new(decoder) as _),
        Format::Pnm => PnmDecoder::new(source).map(|decoder| Box::new(decoder) as _),
        Format::Qoi => QoiDecoder::new(source).map(|decoder| Box::new(decoder) as _),
        other => {
            return Err(Error::Internal(format!(
                "{other} is not a converted format"
            )));
        }
    };
    opened.map_err(|error| failed(format, &error))
}

fn facts(source: &[u8], format: Format, control: &Control) -> Result<Facts> {
    if format == Format::Tiff {
        refuse_unreadable(source)?;
    }
    let (size, colour) = guard(format, || {
        let decoder = open(source, format, control)?;
        Ok((decoder.dimensions(), decoder.color_type()))
    })?;
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::corrupt(format, "it has no pixels"));
    }
    Ok(Facts {
        format,
        stored_width: size.0,
        stored_height: size.1,
        orientation: if format == Format::Tiff {
            exif::orientation(source)
        } else {
            Orientation::Normal
        },
        frames: 1,
        duration_ms: None,
        has_alpha: colour.has_alpha(),
        bits: if layout(colour)?.is_16_bit() { 16 } else { 8 },
        colour: if colour.has_color() {
            ColourModel::Rgb
        } else {
            ColourModel::Gray
        },
        buffered: true,
        lossless: !matches!(tiff_number(source, format, COMPRESSION), Some(6 | 7)),
        decoder_tables: 0,
    })
}

const SUBFILE: u16 = 254;
const COMPRESSION: u16 = 259;
const FILL_ORDER: u16 = 266;
const EXTRA_SAMPLES: u16 = 338;
const DNG_VERSION: u16 = 50706;

fn tiff_number(source: &[u8], format: Format, tag: u16) -> Option<u32> {
    (format == Format::Tiff)
        .then(|| exif::number(source, tag))
        .flatten()
}

/// Refuses files that the library would misread. Camera raw files are TIFF whose first picture is a
/// small preview; bits in reversed order would give noise.
fn refuse_unreadable(source: &[u8]) -> Result<()> {
    if exif::number(source, FILL_ORDER) == Some(2) {
        return Err(Error::Unsupported(
            "TIFF files with reversed bits cannot be read".into(),
        ));
    }
    // Other compressions are reported when the picture is decoded.
    if let Some(compression) = exif::number(source, COMPRESSION)
        && !matches!(compression, 1 | 4 | 5 | 7 | 8 | 0x80b2 | 0x8005)
    {
        return Err(Error::Unsupported(format!(
            "TIFF files with the compression {compression} cannot be read"
        )));
    }
    if is_camera_raw(source) {
        return Err(Error::Unsupported(
            "raw files of cameras cannot be read".into(),
        ));
    }
    Ok(())
}

/// Whether the first picture of a TIFF is only the preview of a camera raw file.
pub(crate) fn is_camera_raw(source: &[u8]) -> bool {
    let is_preview = exif::number(source, SUBFILE).is_some_and(|kind| kind & 1 == 1);
    source.get(8..10) == Some(b"CR") || is_preview || exif::number(source, DNG_VERSION).is_some()
}

fn is_inked(decoder: &dyn ImageDecoder) -> bool {
    matches!(
        decoder.original_color_type(),
        ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16
    )
}

/// Whether the colours are premultiplied by alpha.
fn is_premultiplied(source: &[u8], facts: &Facts) -> bool {
    facts.has_alpha && tiff_number(source, facts.format, EXTRA_SAMPLES) == Some(1)
}

fn samples(source: &[u8], facts: &Facts, control: &Control) -> Result<(ColorType, Vec<u8>)> {
    let format = facts.format;
    control.check()?;
    let mut decoder = open(source, format, control)?;
    if decoder.dimensions() != (facts.stored_width, facts.stored_height) {
        return Err(Error::Internal("the facts are of another file".into()));
    }
    let colour = decoder.color_type();
    let bytes = usize::try_from(decoder.total_bytes()).map_err(|_| too_large())?;
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some((bytes as u64).saturating_mul(3).saturating_add(SPARE_BYTES));
    decoder
        .set_limits(limits)
        .map_err(|error| failed(format, &error))?;
    let mut samples = Vec::new();
    samples.try_reserve_exact(bytes).map_err(|_| too_large())?;
    samples.resize(bytes, 0);
    let read = decoder.read_image(&mut samples);
    control.check()?;
    read.map_err(|error| failed(format, &error))?;
    Ok((colour, samples))
}

/// For tables, and for strips that are larger than they should be.
const SPARE_BYTES: u64 = 8 << 20;

/// The row layout for a sample type.
fn layout(colour: ColorType) -> Result<Layout> {
    Ok(match colour {
        ColorType::L8 => Layout::Gray8,
        ColorType::Rgb8 => Layout::Rgb8,
        ColorType::La8 | ColorType::Rgba8 => Layout::Rgba8,
        ColorType::L16 | ColorType::Rgb16 | ColorType::Rgb32F => Layout::Rgb16,
        ColorType::La16 | ColorType::Rgba16 | ColorType::Rgba32F => Layout::Rgba16,
        other => return Err(Error::Internal(format!("samples of the kind {other:?}"))),
    })
}

fn deliver(
    samples: &[u8],
    colour: ColorType,
    premultiplied: bool,
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let layout = layout(colour)?;
    sink.begin(Shape {
        width: facts.stored_width,
        height: facts.stored_height,
        layout,
    })?;
    let row_bytes = facts.stored_width as usize * usize::from(colour.bytes_per_pixel());
    let gray = !colour.has_color();
    let mut narrow = Vec::new();
    let mut wide = Vec::new();
    for (number, row) in samples.chunks_exact(row_bytes).enumerate() {
        if number % ROWS_PER_LOOK == 0 {
            control.check()?;
        }
        if !layout.is_16_bit() {
            narrow.clear();
            if gray && layout == Layout::Rgba8 {
                narrow.extend(row.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]));
            } else {
                narrow.extend_from_slice(row);
            }
            if premultiplied {
                narrow.chunks_exact_mut(4).for_each(divide_by_alpha::<u8>);
            }
            sink.row(Row::U8(&narrow))?;
            continue;
        }
        wide.clear();
        let words = row
            .chunks_exact(2)
            .map(|word| u16::from_ne_bytes([word[0], word[1]]));
        match colour {
            ColorType::L16 => wide.extend(words.flat_map(|gray| [gray; 3])),
            ColorType::La16 => wide.extend(row.chunks_exact(4).flat_map(|pixel| {
                let gray = u16::from_ne_bytes([pixel[0], pixel[1]]);
                [gray, gray, gray, u16::from_ne_bytes([pixel[2], pixel[3]])]
            })),
            ColorType::Rgb32F | ColorType::Rgba32F => {
                wide.extend(row.chunks_exact(4).map(|sample| {
                    let value = f32::from_ne_bytes([sample[0], sample[1], sample[2], sample[3]]);
                    // Values brighter than white become white; NaN becomes black.
                    (value.clamp(0.0, 1.0) * 65535.0).round() as u16
                }));
            }
            _ => wide.extend(words),
        }
        if premultiplied {
            wide.chunks_exact_mut(4).for_each(divide_by_alpha::<u16>);
        }
        sink.row(Row::U16(&wide))?;
    }
    sink.end()
}

/// Rows between two checks of the control.
const ROWS_PER_LOOK: usize = 64;

fn divide_by_alpha<S: Copy + Into<u64> + TryFrom<u64> + Bounded>(pixel: &mut [S]) {
    let [colours @ .., alpha] = pixel else {
        return;
    };
    let (most, alpha): (u64, u64) = (S::MOST.into(), (*alpha).into());
    for colour in colours {
        let value: u64 = (*colour).into();
        let whole = (value * most + alpha / 2).checked_div(alpha).unwrap_or(0);
        *colour = S::try_from(whole.min(most)).unwrap_or(S::MOST);
    }
}

/// The largest sample, which is full opacity.
trait Bounded {
    const MOST: Self;
}

impl Bounded for u8 {
    const MOST: Self = Self::MAX;
}

impl Bounded for u16 {
    const MOST: Self = Self::MAX;
}

fn failed(format: Format, error: &ImageError) -> Error {
    match error {
        ImageError::Unsupported(error) => Error::Unsupported(format!(
            "{format} files of this kind cannot be read: {error}"
        )),
        ImageError::IoError(_) => Error::corrupt(format, "it ends too early"),
        ImageError::Limits(_) => Error::corrupt(format, "it needs more memory than its pixels"),
        other => Error::corrupt(format, other),
    }
}

fn too_large() -> Error {
    Error::Internal("the picture does not fit into memory".into())
}

/// The file, which cannot be read any more after the work is cancelled.
struct Source<'a> {
    bytes: Cursor<&'a [u8]>,
    control: &'a Control,
}

impl Source<'_> {
    fn check(&self) -> std::io::Result<()> {
        self.control
            .check()
            .map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.check()?;
        self.bytes.read(buffer)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.check()?;
        self.bytes.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}
