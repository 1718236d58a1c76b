//! Streams of pixels: rows of a still picture, canvases of an animation.
//!
//! Decoders push, encoders and stages receive. A stage (resample, colour, crop, …) is a [`RowSink`]
//! that owns or borrows the next one, so a picture passes through without being in memory as a
//! whole, unless its codec or operation needs that.

use std::ops::ControlFlow;

use crate::Result;

/// The layout of the samples in a row. Alpha is straight, never premultiplied. 16-bit samples are
/// in native byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Gray8,
    Rgb8,
    Rgba8,
    /// Ink coverage, 255 = full ink (never Adobe's inverted form).
    Cmyk8,
    Rgb16,
    Rgba16,
}

impl Layout {
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Rgb8 | Self::Rgb16 => 3,
            Self::Rgba8 | Self::Cmyk8 | Self::Rgba16 => 4,
        }
    }

    pub(crate) fn has_alpha(self) -> bool {
        matches!(self, Self::Rgba8 | Self::Rgba16)
    }

    pub(crate) fn is_16_bit(self) -> bool {
        matches!(self, Self::Rgb16 | Self::Rgba16)
    }
}

/// Size in pixels and layout of the rows that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
}

impl Shape {
    /// Samples in one row.
    pub(crate) fn row_len(&self) -> usize {
        self.width as usize * self.layout.channels()
    }
}

/// One row of samples; its length is [`Shape::row_len`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
}

/// Receives one picture: `begin` once, `row` exactly `shape.height` times from the top,
/// `end` once. An error ends the picture; nothing is called after it.
pub(crate) trait RowSink {
    fn begin(&mut self, shape: Shape) -> Result<()>;
    fn row(&mut self, row: Row<'_>) -> Result<()>;
    fn end(&mut self) -> Result<()>;
}

/// What is known about an animation before its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnimationShape {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The number of plays; 0 = for ever.
    pub(crate) loop_count: u32,
    /// Whether any canvas can have transparent pixels.
    pub(crate) has_alpha: bool,
}

/// One composed canvas: RGBA, 8 bits, straight alpha, `width * height * 4` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canvas<'a> {
    pub(crate) rgba: &'a [u8],
    pub(crate) delay_ms: u32,
}

/// Receives an animation, canvas by canvas. `Break` tells the decoder to stop early
/// (for a still made of the first frame); `end` is called in either case.
pub(crate) trait CanvasSink {
    fn begin(&mut self, shape: AnimationShape) -> Result<()>;
    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>>;
    fn end(&mut self) -> Result<()>;
}

impl<S: RowSink + ?Sized> RowSink for Box<S> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        (**self).begin(shape)
    }
    fn row(&mut self, row: Row<'_>) -> Result<()> {
        (**self).row(row)
    }
    fn end(&mut self) -> Result<()> {
        (**self).end()
    }
}

impl<S: RowSink + ?Sized> RowSink for &mut S {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        (**self).begin(shape)
    }
    fn row(&mut self, row: Row<'_>) -> Result<()> {
        (**self).row(row)
    }
    fn end(&mut self) -> Result<()> {
        (**self).end()
    }
}

/// A sink that records what it gets, and functions to push a picture, for tests of stages.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct Collected {
        pub(crate) shape: Option<Shape>,
        pub(crate) bytes: Vec<u8>,
        pub(crate) words: Vec<u16>,
        pub(crate) ended: bool,
    }

    impl RowSink for Collected {
        fn begin(&mut self, shape: Shape) -> Result<()> {
            *self = Self {
                shape: Some(shape),
                ..Self::default()
            };
            Ok(())
        }

        fn row(&mut self, row: Row<'_>) -> Result<()> {
            let shape = self.shape.expect("begin comes first");
            match row {
                Row::U8(row) => {
                    assert_eq!(
                        (row.len(), shape.layout.is_16_bit()),
                        (shape.row_len(), false)
                    );
                    self.bytes.extend_from_slice(row);
                }
                Row::U16(row) => {
                    assert_eq!(
                        (row.len(), shape.layout.is_16_bit()),
                        (shape.row_len(), true)
                    );
                    self.words.extend_from_slice(row);
                }
            }
            Ok(())
        }

        fn end(&mut self) -> Result<()> {
            let shape = self.shape.expect("begin comes first");
            let samples = shape.row_len() * shape.height as usize;
            assert_eq!(self.bytes.len() + self.words.len(), samples);
            self.ended = true;
            Ok(())
        }
    }

    pub(crate) fn picture_8(
        mut sink: impl RowSink,
        width: u32,
        height: u32,
        layout: Layout,
        samples: &[u8],
    ) {
        let shape = Shape {
            width,
            height,
            layout,
        };
        sink.begin(shape).expect("begins");
        for row in samples.chunks_exact(shape.row_len()) {
            sink.row(Row::U8(row)).expect("takes the row");
        }
        sink.end().expect("ends");
    }

    pub(crate) fn picture_16(
        mut sink: impl RowSink,
        width: u32,
        height: u32,
        layout: Layout,
        samples: &[u16],
    ) {
        let shape = Shape {
            width,
            height,
            layout,
        };
        sink.begin(shape).expect("begins");
        for row in samples.chunks_exact(shape.row_len()) {
            sink.row(Row::U16(row)).expect("takes the row");
        }
        sink.end().expect("ends");
    }
}
