//! Encodes canvases as APNG, losslessly.
//!
//! Each frame is the box of the canvas that differs from what is already shown ([`Difference`]),
//! compressed as a separate picture. All frames of a file have the same kind of pixels: as long as
//! there were at most 255 colours these are a palette; a file with more colours is restarted in
//! true colour. Only the shown canvas, one box and the file are in memory.

mod palette;

use std::ops::ControlFlow;

use png::{BitDepth, ColorType};

use super::container::{Chunks, SIGNATURE, push_chunk};
use super::{compose, encode};
use crate::codec::difference::Difference;
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use crate::{Control, Error, Result};
use palette::Palette;

/// Receives canvases.
pub(crate) struct AnimationEncoder<'a> {
    fast: bool,
    control: &'a Control,
    file: Option<File>,
    bytes: Vec<u8>,
}

impl<'a> AnimationEncoder<'a> {
    /// `fast` trades bytes for time. `control` is checked when a file is restarted.
    pub(crate) fn new(fast: bool, control: &'a Control) -> Self {
        Self {
            fast,
            control,
            file: None,
            bytes: Vec::new(),
        }
    }

    /// The file; only valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl CanvasSink for AnimationEncoder<'_> {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        self.file = Some(File::new(shape, self.fast, Some(Palette::new())));
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        let file = self.file.as_mut().ok_or_else(misused)?;
        if canvas.rgba.len() != file.shown.len() {
            return Err(misused());
        }
        if !file.add(&canvas)? {
            let file = self.file.take().ok_or_else(misused)?;
            let whole = file.without_palette(self.control)?;
            let whole = self.file.insert(whole);
            if !whole.add(&canvas)? {
                return Err(misused());
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self) -> Result<()> {
        let mut file = self.file.take().ok_or_else(misused)?;
        if !file.write_first()? {
            file = file.without_palette(self.control)?;
            file.write_first()?;
        }
        self.bytes = file.finish()?;
        Ok(())
    }
}

struct File {
    shape: AnimationShape,
    fast: bool,
    /// `None` in true colour.
    palette: Option<Palette>,
    /// The canvas after the last frame.
    shown: Vec<u8>,
    /// The delay of the first canvas while it is not written: whether an alpha channel is needed is
    /// known only if there is a second one.
    first_delay_ms: Option<u32>,
    frames: u32,
    sequence: u32,
    /// Everything after the chunks that precede the frames.
    body: Vec<u8>,
    /// The position of the last frame's header in `body`, and its delay.
    last: (usize, u32),
    /// Whether the pixels have an alpha channel.
    alpha: bool,
}

impl File {
    fn new(shape: AnimationShape, fast: bool, palette: Option<Palette>) -> Self {
        Self {
            shape,
            fast,
            palette,
            shown: vec![0; shape.width as usize * shape.height as usize * 4],
            first_delay_ms: None,
            frames: 0,
            sequence: 0,
            body: Vec::new(),
            last: (0, 0),
            alpha: shape.has_alpha,
        }
    }

    /// The same animation so far in true colour.
    fn without_palette(self, control: &Control) -> Result<Self> {
        let (shape, fast) = (self.shape, self.fast);
        let mut whole = Self::new(shape, fast, None);
        if self.frames == 0 {
            whole.first_delay_ms = self.first_delay_ms;
            whole.shown = self.shown;
            return Ok(whole);
        }
        let bytes = self.finish()?;
        let facts = super::inspect(&bytes, control)?;
        compose::decode_animation(&bytes, &facts, control, &mut Again(&mut whole))?;
        Ok(whole)
    }

    /// Adds a canvas; returns `false`, and changes nothing, when the palette is too small.
    fn add(&mut self, canvas: &Canvas<'_>) -> Result<bool> {
        let (width, height) = (self.shape.width as usize, self.shape.height as usize);
        if self.frames == 0 && self.first_delay_ms.is_none() {
            self.shown.copy_from_slice(canvas.rgba);
            self.first_delay_ms = Some(canvas.delay_ms);
            return Ok(true);
        }
        if self.frames == 0 {
            // Unchanged pixels are left out by making them transparent.
            self.alpha = true;
            if !self.write_first()? {
                return Ok(false);
            }
        }
        let difference = match Difference::between(&self.shown, canvas.rgba, width, height, 0) {
            Some(difference) => difference,
            None => {
                let together_ms = self.last.1.saturating_add(canvas.delay_ms);
                if together_ms <= LONGEST_DELAY_MS {
                    self.set_delay(together_ms);
                    return Ok(true);
                }
                Difference::corner(width, height)
            }
        };
        let blend = difference.can_blend(&self.shown, canvas.rgba);
        let mut pixels = Vec::with_capacity(difference.width() * difference.height() * 4);
        for y in difference.y..difference.y + difference.height() {
            let start = (y * width + difference.x) * 4;
            let line = start..start + difference.width() * 4;
            let (new, old) = (&canvas.rgba[line.clone()], &self.shown[line]);
            let pairs = new.chunks_exact(4).zip(old.chunks_exact(4));
            pixels.extend(pairs.flat_map(|(new, old)| {
                if (blend && new == old) || new[3] == 0 {
                    [0; 4]
                } else {
                    [new[0], new[1], new[2], new[3]]
                }
            }));
        }
        let frame = Area {
            x: difference.x as u32,
            y: difference.y as u32,
            width: difference.width() as u32,
            height: difference.height() as u32,
            blend,
        };
        if !self.write(&frame, pixels, canvas.delay_ms)? {
            return Ok(false);
        }
        difference.copy(canvas.rgba, &mut self.shown, false);
        Ok(true)
    }

    /// Writes the first canvas if it is still pending; returns whether that was possible.
    fn write_first(&mut self) -> Result<bool> {
        let Some(delay_ms) = self.first_delay_ms else {
            return Ok(true);
        };
        let frame = Area {
            x: 0,
            y: 0,
            width: self.shape.width,
            height: self.shape.height,
            blend: false,
        };
        let pixels = std::mem::take(&mut self.shown);
        let written = self.write(&frame, pixels.clone(), delay_ms);
        self.shown = pixels;
        if matches!(written, Ok(true)) {
            self.first_delay_ms = None;
        }
        written
    }

    /// Appends a frame of these RGBA pixels; returns whether that was possible.
    fn write(&mut self, frame: &Area, rgba: Vec<u8>, delay_ms: u32) -> Result<bool> {
        let (colour, samples) = match &mut self.palette {
            Some(palette) => match palette.indices(&rgba) {
                Some(indices) => (ColorType::Indexed, indices),
                None => return Ok(false),
            },
            None if self.alpha => (ColorType::Rgba, rgba),
            None => {
                let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]);
                (ColorType::Rgb, rgb.collect())
            }
        };
        let data = compress(frame, colour, &samples, self.fast)?;
        drop(samples);
        self.last = (self.body.len(), delay_ms);
        let fields = [frame.width, frame.height, frame.x, frame.y].map(u32::to_be_bytes);
        let sequence = self.next_sequence().to_be_bytes();
        let header = [
            &sequence[..],
            &fields.concat(),
            &delay(delay_ms),
            &[0, u8::from(frame.blend)],
        ]
        .concat();
        push_chunk(&mut self.body, b"fcTL", &[&header])?;
        if self.frames == 0 {
            push_chunk(&mut self.body, b"IDAT", &[&data])?;
        } else {
            let sequence = self.next_sequence().to_be_bytes();
            push_chunk(&mut self.body, b"fdAT", &[&sequence, &data])?;
        }
        self.frames += 1;
        Ok(true)
    }

    fn next_sequence(&mut self) -> u32 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }

    fn set_delay(&mut self, delay_ms: u32) {
        let start = self.last.0;
        self.last.1 = delay_ms;
        let header = &mut self.body[start..start + FRAME_HEADER];
        header[28..32].copy_from_slice(&delay(delay_ms));
        let sum = crc32fast::hash(&header[4..FRAME_HEADER - 4]);
        header[FRAME_HEADER - 4..].copy_from_slice(&sum.to_be_bytes());
    }

    fn finish(self) -> Result<Vec<u8>> {
        if self.frames == 0 {
            return Err(Error::Internal("an animation has no canvas".into()));
        }
        let colour = match (&self.palette, self.alpha) {
            (Some(_), _) => 3,
            (None, true) => 6,
            (None, false) => 2,
        };
        let size = [self.shape.width, self.shape.height].map(u32::to_be_bytes);
        let mut file = SIGNATURE.to_vec();
        push_chunk(&mut file, b"IHDR", &[&size.concat(), &[8, colour, 0, 0, 0]])?;
        let counts = [self.frames, self.shape.loop_count.min(i32::MAX as u32)];
        push_chunk(
            &mut file,
            b"acTL",
            &[&counts.map(u32::to_be_bytes).concat()],
        )?;
        push_chunk(&mut file, b"sRGB", &[&[0]])?;
        if let Some(palette) = &self.palette {
            push_chunk(&mut file, b"PLTE", &[&palette.colours()])?;
            let alphas = palette.alphas();
            if !alphas.is_empty() {
                push_chunk(&mut file, b"tRNS", &[&alphas])?;
            }
        }
        // In place: the frames may be large, the chunks before them are small.
        let mut body = self.body;
        body.splice(0..0, file);
        push_chunk(&mut body, b"IEND", &[])?;
        Ok(body)
    }
}

/// The area of a frame.
struct Area {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    blend: bool,
}

/// Writes decoded canvases to a file in true colour.
struct Again<'a>(&'a mut File);

impl CanvasSink for Again<'_> {
    fn begin(&mut self, _: AnimationShape) -> Result<()> {
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        if !self.0.add(&canvas)? {
            return Err(misused());
        }
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Length of an `fcTL` chunk.
const FRAME_HEADER: usize = 38;

/// Delays are fractions with 16 bits above and below; the longest are whole seconds.
const LONGEST_DELAY_MS: u32 = u16::MAX as u32 * 1000;

/// Numerator and denominator of a delay, as exact as possible.
fn delay(delay_ms: u32) -> [u8; 4] {
    let [per_second, parts] = [1, 10, 100, 1000]
        .into_iter()
        .find_map(|ms| {
            let parts = u16::try_from(delay_ms / ms).ok()?;
            Some([(1000 / ms) as u16, parts])
        })
        .unwrap_or([1, u16::MAX]);
    let [a, b] = parts.to_be_bytes();
    let [c, d] = per_second.to_be_bytes();
    [a, b, c, d]
}

/// The zlib stream of a frame.
fn compress(frame: &Area, colour: ColorType, samples: &[u8], fast: bool) -> Result<Vec<u8>> {
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, frame.width, frame.height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encode::configure(&mut encoder, fast);
    if colour == ColorType::Indexed {
        // Neighbouring indices are unrelated.
        encoder.set_filter(png::Filter::NoFilter);
        // The final palette is written at the end.
        encoder.set_palette(&[0; 3][..]);
    }
    let mut writer = encoder.write_header().map_err(encode::internal)?;
    writer.write_image_data(samples).map_err(encode::internal)?;
    writer.finish().map_err(encode::internal)?;
    let mut data = Vec::with_capacity(picture.len());
    for chunk in Chunks::new(&picture)? {
        let chunk = chunk?;
        if &chunk.kind == b"IDAT" {
            data.extend_from_slice(chunk.data);
        }
    }
    Ok(data)
}

fn misused() -> Error {
    Error::Internal("the APNG encoder was given canvases it did not ask for".into())
}

#[cfg(test)]
mod tests;
