//! Composes the canvases of an APNG: each frame is decoded as a separate picture and drawn.

use std::borrow::Cow;

use super::frames::{self, Dispose, Frame, corrupt};
use super::{container, decode_pieces};
use crate::codec::blend::blend_row;
use crate::colour::Narrow;
use crate::rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape};
use crate::{Control, Error, Facts, Result};

/// Pushes the animation, one composed canvas after another; memory does not grow with the number of
/// frames. A picture that is not part of the animation is skipped.
pub(crate) fn decode_animation(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    let (width, height) = (facts.stored_width, facts.stored_height);
    let animation = frames::read(source, width, height, control)?;
    sink.begin(AnimationShape {
        width,
        height,
        loop_count: animation.plays,
        has_alpha: facts.has_alpha,
    })?;
    let mut composer = Composer::new(source, width as usize, height as usize)?;
    let mut saved = Vec::new();
    for (index, frame) in animation.frames.iter().enumerate() {
        control.check()?;
        let dispose = match frame.dispose {
            // There is no canvas before the first frame.
            Dispose::Previous if index == 0 => Dispose::Background,
            other => other,
        };
        if dispose == Dispose::Previous {
            composer.save(frame, &mut saved);
        }
        composer.draw(source, facts, frame, control)?;
        let canvas = Canvas {
            rgba: &composer.canvas,
            delay_ms: frame.delay_ms,
        };
        if sink.canvas(canvas)?.is_break() {
            break;
        }
        match dispose {
            Dispose::Keep => {}
            Dispose::Background => composer.clear(frame),
            Dispose::Previous => composer.restore(frame, &saved),
        }
    }
    sink.end()
}

struct Composer<'a> {
    stride: usize,
    /// What precedes the data of each frame as a separate picture; the header first.
    before_data: Vec<&'a [u8]>,
    /// RGBA, straight alpha; initially transparent.
    canvas: Vec<u8>,
}

impl<'a> Composer<'a> {
    fn new(source: &'a [u8], width: usize, height: usize) -> Result<Self> {
        let bytes = width.checked_mul(height).and_then(|n| n.checked_mul(4));
        let bytes = bytes.ok_or_else(super::too_large)?;
        let mut canvas = Vec::new();
        canvas
            .try_reserve_exact(bytes)
            .map_err(|_| super::too_large())?;
        canvas.resize(bytes, 0);
        Ok(Self {
            stride: width * 4,
            before_data: container::before_data(source)?,
            canvas,
        })
    }

    /// The start of a frame as a separate picture; the header's checksum is not valid.
    fn beginning(&self, frame: &Frame) -> Result<Vec<Cow<'a, [u8]>>> {
        let mut pieces = vec![Cow::Borrowed(&container::SIGNATURE[..])];
        pieces.extend(self.before_data.iter().copied().map(Cow::Borrowed));
        let Some(size) = pieces
            .get_mut(1)
            .and_then(|header| header.to_mut().get_mut(8..16))
        else {
            return Err(Error::Internal("an animation without a header".into()));
        };
        size[..4].copy_from_slice(&frame.width.to_be_bytes());
        size[4..].copy_from_slice(&frame.height.to_be_bytes());
        Ok(pieces)
    }

    fn draw(
        &mut self,
        source: &[u8],
        facts: &Facts,
        frame: &Frame,
        control: &Control,
    ) -> Result<()> {
        let data = frames::data(source, frame)?;
        let mut pieces = self.beginning(frame)?;
        let length: usize = data.iter().map(|data| data.len()).sum();
        let length = u32::try_from(length).map_err(|_| corrupt("a frame is too large"))?;
        pieces.push(Cow::Owned([&length.to_be_bytes()[..], b"IDAT"].concat()));
        pieces.extend(data.into_iter().map(Cow::Borrowed));
        // The checksum, which is not checked: those of the file were verified.
        pieces.push(Cow::Borrowed(&[0; 4]));
        pieces.push(Cow::Borrowed(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let facts = Facts {
            stored_width: frame.width,
            stored_height: frame.height,
            ..facts.clone()
        };
        let start = frame.y as usize * self.stride + frame.x as usize * 4;
        let brush = Brush {
            rows: self.canvas[start..].chunks_mut(self.stride),
            row_len: frame.width as usize * 4,
            blend: frame.blend,
            layout: Layout::Rgba8,
        };
        decode_pieces(&pieces, &facts, false, control, &mut Narrow::new(brush))
            .map_err(as_animation)
    }

    /// For each row of the frame, its byte range in the canvas.
    fn lines(&self, frame: &Frame) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (stride, x, row_len) = (self.stride, frame.x as usize * 4, frame.width as usize * 4);
        (frame.y as usize..(frame.y + frame.height) as usize)
            .map(move |y| y * stride + x..y * stride + x + row_len)
    }

    fn save(&self, frame: &Frame, saved: &mut Vec<u8>) {
        saved.clear();
        for line in self.lines(frame) {
            saved.extend_from_slice(&self.canvas[line]);
        }
    }

    fn restore(&mut self, frame: &Frame, saved: &[u8]) {
        let rows = saved.chunks_exact(frame.width as usize * 4);
        for (line, row) in self.lines(frame).zip(rows) {
            self.canvas[line].copy_from_slice(row);
        }
    }

    fn clear(&mut self, frame: &Frame) {
        for line in self.lines(frame) {
            self.canvas[line].fill(0);
        }
    }
}

/// Reports damage in a frame as damage of the animation.
fn as_animation(error: Error) -> Error {
    match error {
        Error::Corrupt { reason, .. } => corrupt(reason),
        other => other,
    }
}

/// Draws the rows of one frame.
struct Brush<'a> {
    /// The rest of the canvas, from the frame's left edge.
    rows: std::slice::ChunksMut<'a, u8>,
    row_len: usize,
    blend: bool,
    layout: Layout,
}

impl RowSink for Brush<'_> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        self.layout = shape.layout;
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let (Some(under), Row::U8(row)) = (self.rows.next(), row) else {
            return Err(Error::Internal("a frame of another size".into()));
        };
        let under = &mut under[..self.row_len];
        match self.layout {
            Layout::Rgba8 if self.blend => blend_row(under, row),
            Layout::Rgba8 => under.copy_from_slice(row),
            // Without alpha, blending and replacing are the same.
            Layout::Rgb8 => {
                for (under, rgb) in under.chunks_exact_mut(4).zip(row.chunks_exact(3)) {
                    under.copy_from_slice(&[rgb[0], rgb[1], rgb[2], 255]);
                }
            }
            Layout::Gray8 => {
                for (under, &gray) in under.chunks_exact_mut(4).zip(row) {
                    under.copy_from_slice(&[gray, gray, gray, 255]);
                }
            }
            _ => return Err(Error::Internal("a frame of another layout".into())),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
