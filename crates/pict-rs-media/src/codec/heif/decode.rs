//! Converts tiles to rows.

use heic::{DecodedFrame, DecoderConfig, Limits};

use super::error::{corrupt, failed, hevc_failed};
use super::picture::{Content, Picture, Watch};
use super::size::area;
use super::tiles::Tiles;
use crate::codec::panics::guard;
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Control, Error, Facts, Format, Result};
use heic::heif::{ColorInfo, ItemProperty};

/// Rows that are converted from a decoded tile at a time.
const STRIP: u32 = 32;

/// The shape of the rows that [`decode`] delivers.
pub(super) fn shape(picture: &Picture<'_>) -> Shape {
    let (alpha, bits) = match &picture.content {
        Content::Tiles(tiles) => (picture.alpha.is_some(), tiles.bits),
        Content::Derived { bits, .. } => (false, *bits),
    };
    Shape {
        width: picture.window.width,
        height: picture.window.height,
        layout: match (alpha, bits > 8) {
            (false, false) => Layout::Rgb8,
            (true, false) => Layout::Rgba8,
            (false, true) => Layout::Rgb16,
            (true, true) => Layout::Rgba16,
        },
    }
}

/// Pushes the picture's rows (any colour layout); cropped, neither turned nor colour managed.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let picture = Picture::open(source, control)?;
    let shape = shape(&picture);
    if (shape.width, shape.height) != (facts.stored_width, facts.stored_height) {
        return Err(Error::Internal("the facts are of another file".into()));
    }
    let matrix = matrix(&picture);
    let mut assembly = Assembly {
        picture: &picture,
        shape,
        alpha: None,
        matrix,
        bytes: Vec::new(),
        words: Vec::new(),
    };
    match &picture.content {
        Content::Tiles(tiles) => {
            if let Some(alpha) = &picture.alpha {
                assembly.alpha = Some(Alpha::decode(alpha, tiles.size, control)?);
            }
            sink.begin(shape)?;
            tiles.for_each_row(control, |rows, frames| {
                assembly.push(tiles.size.0, rows, frames, control, sink)
            })?;
        }
        Content::Derived { width, height, .. } => {
            let mut frame = whole(source, (*width, *height), control)?;
            assembly.matrix = None;
            sink.begin(shape)?;
            let frames = std::slice::from_mut(&mut frame);
            assembly.push(*width, 0..*height, frames, control, sink)?;
        }
    }
    sink.end()
}

/// Lets the decoder assemble a picture.
fn whole(source: &[u8], size: (u32, u32), control: &Control) -> Result<DecodedFrame> {
    let area = area(size);
    let mut limits = Limits::default();
    // Parts of it were already checked.
    limits.max_pixels = Some(area.saturating_mul(4).max(1 << 22));
    limits.max_memory_bytes = Some(area.saturating_mul(32).max(1 << 26));
    let stop = Watch(control);
    let config = DecoderConfig::new();
    let request = config
        .decode_request(source)
        .with_limits(&limits)
        .with_stop(&stop);
    let frame = guard(Format::Heif, || {
        request.decode_yuv().map_err(|error| failed(error.error()))
    })?;
    if (frame.cropped_width(), frame.cropped_height()) != size {
        return Err(corrupt("it is not of the size that it said"));
    }
    super::tiles::whole(&frame)?;
    Ok(frame)
}

/// Matrix and range in the container, which take precedence over those in the pictures.
fn matrix(picture: &Picture<'_>) -> Option<(u8, bool)> {
    picture.properties().find_map(|property| match property {
        ItemProperty::ColorInfo(ColorInfo::Nclx {
            matrix_coefficients,
            full_range,
            ..
        }) => Some((u8::try_from(*matrix_coefficients).ok()?, *full_range)),
        _ => None,
    })
}

struct Assembly<'a> {
    picture: &'a Picture<'a>,
    shape: Shape,
    alpha: Option<Alpha>,
    matrix: Option<(u8, bool)>,
    bytes: Vec<u8>,
    words: Vec<u16>,
}

impl Assembly<'_> {
    /// Pushes the `rows` of the whole picture, `width` pixels long, that are in these tiles.
    fn push(
        &mut self,
        width: u32,
        rows: std::ops::Range<u32>,
        frames: &mut [DecodedFrame],
        control: &Control,
        sink: &mut dyn RowSink,
    ) -> Result<()> {
        let window = self.picture.window;
        for frame in frames.iter_mut() {
            if let Some((matrix, full)) = self.matrix {
                frame.matrix_coeffs = matrix;
                frame.full_range = full;
            }
        }
        let seen = rows.start.max(window.y)..rows.end.min(window.y + window.height);
        let mut top = seen.start;
        while top < seen.end {
            control.check()?;
            let bottom = (top + STRIP).min(seen.end);
            let strip = top - rows.start..bottom - rows.start;
            if self.shape.layout.is_16_bit() {
                let mut words = std::mem::take(&mut self.words);
                gather(&mut words, frames, width, &strip, rgb_16)?;
                self.deliver(top, width, &words, 65535, |row| sink.row(Row::U16(row)))?;
                self.words = words;
            } else {
                let mut bytes = std::mem::take(&mut self.bytes);
                gather(&mut bytes, frames, width, &strip, rgb_8)?;
                self.deliver(top, width, &bytes, 255, |row| sink.row(Row::U8(row)))?;
                self.bytes = bytes;
            }
            top = bottom;
        }
        Ok(())
    }

    /// Crops the rows to the window and adds the transparency, whose samples have the maximum
    /// `max`.
    fn deliver<T: Copy + TryFrom<u32>>(
        &self,
        top: u32,
        width: u32,
        rgb: &[T],
        max: u32,
        mut push: impl FnMut(&[T]) -> Result<()>,
    ) -> Result<()> {
        let window = self.picture.window;
        let seen = window.x as usize..(window.x + window.width) as usize;
        let mut rgba = Vec::new();
        for (y, row) in (top..).zip(rgb.chunks_exact(width as usize * 3)) {
            let row = &row[seen.start * 3..seen.end * 3];
            let Some(alpha) = &self.alpha else {
                push(row)?;
                continue;
            };
            rgba.clear();
            for (x, pixel) in seen.clone().zip(row.chunks_exact(3)) {
                let alpha = alpha.at(x, y as usize, max);
                // At most `max`, which fits the type.
                let alpha = T::try_from(alpha).unwrap_or(pixel[0]);
                rgba.extend([pixel[0], pixel[1], pixel[2], alpha]);
            }
            push(&rgba)?;
        }
        Ok(())
    }
}

/// Joins the rows `strip` of adjacent tiles.
fn gather<T: Copy + Default>(
    to: &mut Vec<T>,
    frames: &mut [DecodedFrame],
    width: u32,
    strip: &std::ops::Range<u32>,
    convert: impl Fn(&DecodedFrame) -> Result<Vec<T>>,
) -> Result<()> {
    let row_len = width as usize * 3;
    to.clear();
    to.resize(row_len * strip.len(), T::default());
    let mut left = 0;
    for frame in frames {
        let (crop_top, crop_bottom) = (frame.crop_top, frame.crop_bottom);
        // The conversion is limited by the crop.
        frame.crop_top = crop_top + strip.start;
        frame.crop_bottom = frame.height - crop_top - strip.end;
        let across = frame.cropped_width() as usize * 3;
        let samples = guard(Format::Heif, || convert(frame))?;
        (frame.crop_top, frame.crop_bottom) = (crop_top, crop_bottom);
        let seen = across.min(row_len - left);
        for (to, from) in to
            .chunks_exact_mut(row_len)
            .zip(samples.chunks_exact(across))
        {
            to[left..left + seen].copy_from_slice(&from[..seen]);
        }
        left += seen;
    }
    Ok(())
}

fn rgb_8(frame: &DecodedFrame) -> Result<Vec<u8>> {
    frame.to_rgb().map_err(|error| hevc_failed(&error))
}

/// As [`rgb_8`], with all bits. The decoder has a function for this too, but it shifts colours.
fn rgb_16(frame: &DecodedFrame) -> Result<Vec<u16>> {
    let (columns, rows) = (
        frame.crop_left..frame.crop_left + frame.cropped_width(),
        frame.crop_top..frame.crop_top + frame.cropped_height(),
    );
    // Weights of red and blue in luma (H.273, table 4).
    let (red, blue) = match frame.matrix_coeffs {
        1 => (0.2126, 0.0722),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let step = f32::from(1_u16 << (frame.bit_depth - 8));
    // The black level, and the ranges of luma and chroma.
    let (black, luma, chroma) = if frame.full_range {
        let max = 256.0 * step - 1.0;
        (0.0, max, max)
    } else {
        (16.0 * step, 219.0 * step, 224.0 * step)
    };
    let neutral = 128.0 * step;
    let from_cr = 2.0 * (1.0 - red);
    let from_cb = 2.0 * (1.0 - blue);
    let green = 1.0 - red - blue;
    let mut rgb = Vec::with_capacity(columns.len() * rows.len() * 3);
    for y in rows {
        let luma_row = &frame.y_plane[y as usize * frame.y_stride()..];
        let at = (y / 2) as usize * frame.c_stride();
        let (cb_row, cr_row) = (&frame.cb_plane[at..], &frame.cr_plane[at..]);
        for x in columns.clone() {
            let value = |row: &[u16], x: u32, zero: f32, span: f32| {
                (f32::from(row[x as usize]) - zero) / span
            };
            let y = value(luma_row, x, black, luma);
            let cb = value(cb_row, x / 2, neutral, chroma) * from_cb;
            let cr = value(cr_row, x / 2, neutral, chroma) * from_cr;
            let g = y - (cr * red + cb * blue) / green;
            // The cast saturates at both ends.
            rgb.extend([y + cr, g, y + cb].map(|v| (v * 65535.0 + 0.5) as u16));
        }
    }
    Ok(rgb)
}

/// Scales `sample` from `max` to `full`, rounded.
fn scaled(sample: u16, max: u32, full: u32) -> u32 {
    (u32::from(sample).min(max) * full + max / 2) / max
}

/// The transparency of a whole picture.
struct Alpha {
    samples: Vec<u16>,
    /// Its own size, and that of its picture.
    size: (usize, usize),
    full: (usize, usize),
    max: u32,
}

impl Alpha {
    fn decode(tiles: &Tiles<'_>, full: (u32, u32), control: &Control) -> Result<Self> {
        let (width, height) = (tiles.size.0 as usize, tiles.size.1 as usize);
        if area(tiles.size) > area(full).saturating_mul(4) {
            return Err(corrupt("its transparency is larger than itself"));
        }
        let mut samples = vec![0; width * height];
        tiles.for_each_row(control, |rows, frames| {
            let mut left = 0;
            for frame in frames {
                let stride = frame.y_stride();
                let across = (frame.cropped_width() as usize).min(width - left);
                for (index, row) in rows.clone().enumerate() {
                    let from = (frame.crop_top as usize + index) * stride;
                    let from = &frame.y_plane[from + frame.crop_left as usize..][..across];
                    samples[row as usize * width + left..][..across].copy_from_slice(from);
                }
                left += across;
            }
            Ok(())
        })?;
        Ok(Self {
            samples,
            size: (width, height),
            full: (full.0 as usize, full.1 as usize),
            max: (1 << tiles.bits) - 1,
        })
    }

    /// The value at a pixel of the picture, scaled to `full`.
    fn at(&self, x: usize, y: usize, full: u32) -> u32 {
        let (x, y) = if self.size == self.full {
            (x, y)
        } else {
            (x * self.size.0 / self.full.0, y * self.size.1 / self.full.1)
        };
        scaled(self.samples[y * self.size.0 + x], self.max, full)
    }
}
