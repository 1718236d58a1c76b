//! Decodes JPEG XL: rows of a still, composed canvases of an animation.

use jxl::api::{Endianness, Event, JxlColorType, JxlDataFormat, JxlOutputBuffer, JxlPixelFormat};

use super::corrupt;
use super::read::{Clock, Header, Reader, Watch};
use crate::rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape};
use crate::{ColourModel, Control, Error, Facts, Result};

/// Rows between two checks of the control.
const CHECK_ROWS: usize = 64;

/// Pushes the still picture's rows; upright, not colour managed. Delivers any layout.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let header = header(source, facts, &Watch::new(control))?;
    let watch = Watch::at_most(header.most_hidden().saturating_add(1), control);
    let mut reader = Reader::open(source, &watch, Some(&header), false)?;
    let layout = layout(&header);
    let shape = Shape {
        width: header.width,
        height: header.height,
        layout,
    };
    reader.set_format(format(layout, &header))?;
    let mut frame = Frame::new(shape)?;
    if frame.read(&mut reader)?.is_none() {
        return Err(corrupt("it has no frame"));
    }
    drop(reader);
    sink.begin(shape)?;
    let mut words = Vec::new();
    for (index, row) in frame.rows().enumerate() {
        if index % CHECK_ROWS == 0 {
            control.check()?;
        }
        match layout {
            Layout::Rgb16 | Layout::Rgba16 => {
                words.clear();
                let samples = row.chunks_exact(2);
                words.extend(samples.map(|sample| u16::from_ne_bytes([sample[0], sample[1]])));
                sink.row(Row::U16(&words))?;
            }
            Layout::Cmyk8 => {
                // In this format full ink is 0.
                row.iter_mut().for_each(|ink| *ink = 255 - *ink);
                sink.row(Row::U8(row))?;
            }
            Layout::Gray8 | Layout::Rgb8 | Layout::Rgba8 => sink.row(Row::U8(row))?,
        }
    }
    sink.end()
}

/// Pushes the animation, one composed canvas after another; memory does not grow with the
/// number of frames.
pub(crate) fn decode_animation(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    let header = header(source, facts, &Watch::new(control))?;
    let most = header.most_hidden().saturating_add(facts.frames);
    let watch = Watch::at_most(most, control);
    let Some(animation) = &header.animation else {
        return Err(Error::Internal("a still is not an animation".into()));
    };
    let mut reader = Reader::open(source, &watch, Some(&header), false)?;
    reader.set_format(format(Layout::Rgba8, &header))?;
    sink.begin(AnimationShape {
        width: header.width,
        height: header.height,
        loop_count: animation.num_loops,
        has_alpha: header.has_alpha,
    })?;
    let mut frame = Frame::new(Shape {
        width: header.width,
        height: header.height,
        layout: Layout::Rgba8,
    })?;
    let mut clock = Clock::new(animation);
    while let Some(more) = frame.read(&mut reader)? {
        let delay = clock.advance(reader.ticks());
        let canvas = Canvas {
            rgba: frame.samples(),
            delay_ms: delay.try_into().unwrap_or(u32::MAX),
        };
        if sink.canvas(canvas)?.is_break() || !more {
            break;
        }
    }
    sink.end()
}

fn header(source: &[u8], facts: &Facts, watch: &Watch<'_>) -> Result<Header> {
    let header = Reader::open(source, watch, None, false)?.header().clone();
    if (header.width, header.height) != (facts.stored_width, facts.stored_height) {
        return Err(Error::Internal("the facts are of another file".into()));
    }
    Ok(header)
}

fn layout(header: &Header) -> Layout {
    match (header.colour, header.has_alpha, header.deep) {
        (ColourModel::Cmyk, ..) => Layout::Cmyk8,
        (ColourModel::Gray, false, false) => Layout::Gray8,
        (_, false, false) => Layout::Rgb8,
        (_, true, false) => Layout::Rgba8,
        (_, false, true) => Layout::Rgb16,
        (_, true, true) => Layout::Rgba16,
    }
}

fn format(layout: Layout, header: &Header) -> JxlPixelFormat {
    JxlPixelFormat {
        color_type: match layout {
            Layout::Gray8 => JxlColorType::Grayscale,
            Layout::Rgb8 | Layout::Rgb16 => JxlColorType::Rgb,
            Layout::Rgba8 | Layout::Rgba16 => JxlColorType::Rgba,
            Layout::Cmyk8 => JxlColorType::Cmyk,
        },
        color_data_format: Some(if layout.is_16_bit() {
            JxlDataFormat::U16 {
                endianness: Endianness::native(),
                bit_depth: 16,
            }
        } else {
            JxlDataFormat::U8 { bit_depth: 8 }
        }),
        extra_channel_format: vec![None; header.extra_channels],
    }
}

/// The samples of one frame.
struct Frame {
    height: usize,
    row_bytes: usize,
    /// One more than needed, so that the samples can begin at an even address.
    bytes: Vec<u8>,
    start: usize,
}

impl Frame {
    fn new(shape: Shape) -> Result<Self> {
        let too_large = || Error::Internal("the picture does not fit into memory".into());
        let sample = if shape.layout.is_16_bit() { 2 } else { 1 };
        let row_bytes = shape.row_len().checked_mul(sample);
        let row_bytes = row_bytes.ok_or_else(too_large)?;
        let height = shape.height as usize;
        let size = row_bytes.checked_mul(height).and_then(|n| n.checked_add(1));
        let size = size.ok_or_else(too_large)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| too_large())?;
        bytes.resize(size, 0);
        let start = bytes.as_ptr().addr() % 2;
        Ok(Self {
            height,
            row_bytes,
            bytes,
            start,
        })
    }

    /// Reads the next shown frame, if there is one, and returns whether another one follows.
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<Option<bool>> {
        loop {
            let size = self.row_bytes * self.height;
            let samples = &mut self.bytes[self.start..][..size];
            let buffer = JxlOutputBuffer::new(samples, self.height, self.row_bytes);
            match reader.next(Some(buffer))? {
                Event::FrameComplete { has_more_frames } => return Ok(Some(has_more_frames)),
                Event::Complete => return Ok(None),
                _ => {}
            }
        }
    }

    fn samples(&self) -> &[u8] {
        &self.bytes[self.start..][..self.row_bytes * self.height]
    }

    fn rows(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let size = self.row_bytes * self.height;
        self.bytes[self.start..][..size].chunks_exact_mut(self.row_bytes)
    }
}
