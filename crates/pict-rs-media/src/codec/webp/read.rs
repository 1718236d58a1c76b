//! Decodes WebP: rows of a still, composed canvases of an animation.

use super::riff::{self, Bitstream, Container, Content, Frame, corrupt};
use super::sys::{self, Incremental, Pixels};
use crate::codec::blend::blend_row;
use crate::rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape};
use crate::{Control, Error, Facts, Result};

/// Bytes of bitstream between two checks of the control.
const STEP: usize = 64 << 10;

/// Pushes the still picture's rows (`Rgb8` or `Rgba8`); neither turned nor colour managed.
pub(crate) fn decode(
    source: &[u8],
    _facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let Container {
        content: Content::Still(bitstream),
        ..
    } = riff::read(source, control)?
    else {
        return Err(Error::Internal("an animation is not a still".into()));
    };
    let Bitstream { width, height, .. } = bitstream;
    let (pixels, layout) = if bitstream.has_alpha {
        (Pixels::Rgba, Layout::Rgba8)
    } else {
        (Pixels::Rgb, Layout::Rgb8)
    };
    let mut decoder = Incremental::new(bitstream.bytes(), width, height, pixels)?;
    sink.begin(Shape {
        width,
        height,
        layout,
    })?;
    let mut pushed = 0;
    loop {
        control.check()?;
        let more = decoder.advance(STEP)?;
        // Rows are pushed while they are still in the cache.
        for row in pushed..decoder.rows() {
            if row % 64 == 0 {
                control.check()?;
            }
            sink.row(Row::U8(decoder.row(row)))?;
        }
        pushed = pushed.max(decoder.rows());
        if more.is_none() {
            break;
        }
    }
    if pushed != height as usize {
        return Err(corrupt("the picture ends too early"));
    }
    sink.end()
}

/// Pushes the animation, one composed canvas after another; memory does not grow with the
/// number of frames.
pub(crate) fn decode_animation(
    source: &[u8],
    _facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    let container = riff::read(source, control)?;
    let Content::Animation { loop_count, .. } = container.content else {
        return Err(Error::Internal("a still is not an animation".into()));
    };
    sink.begin(AnimationShape {
        width: container.width,
        height: container.height,
        loop_count: loop_count.into(),
        has_alpha: container.has_alpha,
    })?;
    let mut composer = Composer::new(container.width, container.height);
    for frame in riff::frames(source)? {
        control.check()?;
        let frame = frame?;
        composer.show(&frame)?;
        let canvas = Canvas {
            rgba: &composer.canvas,
            delay_ms: frame.duration_ms,
        };
        if sink.canvas(canvas)?.is_break() {
            break;
        }
        if frame.clear {
            composer.clear(&frame);
        }
    }
    sink.end()
}

/// The canvas of an animation, and the buffers for drawing on it.
struct Composer {
    stride: usize,
    /// RGBA, straight alpha. Initially transparent: like all browsers, this ignores the background
    /// colour.
    canvas: Vec<u8>,
    /// A buffer for a frame that must be blended.
    frame: Vec<u8>,
}

impl Composer {
    fn new(width: u32, height: u32) -> Self {
        let stride = width as usize * 4;
        Self {
            stride,
            canvas: vec![0; stride * height as usize],
            frame: Vec::new(),
        }
    }

    fn show(&mut self, frame: &Frame<'_>) -> Result<()> {
        let Bitstream {
            width,
            height,
            has_alpha,
            ..
        } = frame.bitstream;
        let bytes = frame.bitstream.bytes();
        if !(has_alpha && frame.blend) {
            let start = self.start(frame);
            let into = &mut self.canvas[start..];
            sys::decode(bytes, Pixels::Rgba, into, self.stride)?;
            if frame.bitstream.alpha_is_void {
                for row in into.chunks_mut(self.stride).take(height as usize) {
                    let pixels = row[..width as usize * 4].chunks_exact_mut(4);
                    pixels.for_each(|pixel| pixel[3] = 255);
                }
            }
            return Ok(());
        }
        let row_len = width as usize * 4;
        self.frame.resize(row_len * height as usize, 0);
        sys::decode(bytes, Pixels::Rgba, &mut self.frame, row_len)?;
        let start = self.start(frame);
        let rows = self.canvas[start..].chunks_mut(self.stride);
        for (under, over) in rows.zip(self.frame.chunks_exact(row_len)) {
            blend_row(&mut under[..row_len], over);
        }
        Ok(())
    }

    fn clear(&mut self, frame: &Frame<'_>) {
        let row_len = frame.bitstream.width as usize * 4;
        let start = self.start(frame);
        let rows = self.canvas[start..].chunks_mut(self.stride);
        for row in rows.take(frame.bitstream.height as usize) {
            row[..row_len].fill(0);
        }
    }

    fn start(&self, frame: &Frame<'_>) -> usize {
        frame.y as usize * self.stride + frame.x as usize * 4
    }
}
