//! Shared code of the codecs' tests: collecting sinks, and test pictures.

use std::ops::ControlFlow;

use crate::limits::Bounds;
use crate::rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape};
use crate::{Control, Facts, Result};

/// The facts of a file of any format, without limits.
pub(crate) fn inspect(file: &[u8]) -> Result<Facts> {
    crate::inspect::inspect(file, &Bounds::NONE, &Control::new())
}

/// A whole picture. 8-bit samples are widened without scaling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) shape: Shape,
    pub(crate) samples: Vec<u16>,
}

impl Picture {
    pub(crate) fn at(&self, x: u32, y: u32) -> &[u16] {
        let channels = self.shape.layout.channels();
        let start = y as usize * self.shape.row_len() + x as usize * channels;
        &self.samples[start..start + channels]
    }

    /// Pushes the picture to an encoder.
    pub(crate) fn push(&self, sink: &mut dyn RowSink) -> Result<()> {
        sink.begin(self.shape)?;
        for row in self.samples.chunks_exact(self.shape.row_len()) {
            if self.shape.layout.is_16_bit() {
                sink.row(Row::U16(row))?;
            } else {
                let row: Vec<u8> = row.iter().map(|sample| *sample as u8).collect();
                sink.row(Row::U8(&row))?;
            }
        }
        sink.end()
    }

    /// The largest difference of two samples; the shapes must be equal.
    pub(crate) fn difference(&self, other: &Self) -> u16 {
        assert_eq!(self.shape, other.shape);
        let pairs = self.samples.iter().zip(&other.samples);
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }
}

/// Smooth, but different in every corner and channel.
pub(crate) fn picture(width: u32, height: u32, layout: Layout) -> Picture {
    let shape = Shape {
        width,
        height,
        layout,
    };
    let scale = if layout.is_16_bit() { 257 } else { 1 };
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..layout.channels() as u32 {
                let (x, y) = (x * 255 / width, y * 255 / height);
                let sample = match channel {
                    0 => (x * 2 + y) / 3,
                    1 => 255 - y,
                    2 => (x + (255 - y)) / 2,
                    _ => 255 - x / 2,
                };
                samples.push((sample * scale) as u16);
            }
        }
    }
    Picture { shape, samples }
}

/// Collects what it receives, and checks that calls follow the protocol.
#[derive(Debug, Default)]
pub(crate) struct Collect {
    shape: Option<Shape>,
    samples: Vec<u16>,
    ended: bool,
}

impl Collect {
    pub(crate) fn picture(self) -> Picture {
        assert!(self.ended, "the picture was not ended");
        let shape = self.shape.expect("the picture was not begun");
        assert_eq!(
            self.samples.len(),
            shape.row_len() * shape.height as usize,
            "rows are missing"
        );
        Picture {
            shape,
            samples: self.samples,
        }
    }
}

impl RowSink for Collect {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        assert!(self.shape.is_none(), "begun twice");
        self.shape = Some(shape);
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let shape = self.shape.expect("a row before the beginning");
        let before = self.samples.len();
        match row {
            Row::U8(row) => {
                assert!(!shape.layout.is_16_bit());
                self.samples.extend(row.iter().copied().map(u16::from));
            }
            Row::U16(row) => {
                assert!(shape.layout.is_16_bit());
                self.samples.extend_from_slice(row);
            }
        }
        assert_eq!(self.samples.len() - before, shape.row_len());
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        assert!(!self.ended, "ended twice");
        self.ended = true;
        Ok(())
    }
}

/// An animation as canvases, and a sink that collects them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Film {
    pub(crate) shape: Option<AnimationShape>,
    /// Pixels and delay of each.
    pub(crate) canvases: Vec<(Vec<u8>, u32)>,
    /// After how many canvases the sink stops; never if 0.
    pub(crate) stop_after: usize,
    pub(crate) ended: bool,
}

impl CanvasSink for Film {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        assert!(self.shape.is_none(), "begun twice");
        self.shape = Some(shape);
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        let shape = self.shape.expect("a canvas before the beginning");
        let pixels = shape.width as usize * shape.height as usize;
        assert_eq!(canvas.rgba.len(), pixels * 4);
        self.canvases.push((canvas.rgba.to_vec(), canvas.delay_ms));
        Ok(if self.canvases.len() == self.stop_after {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn end(&mut self) -> Result<()> {
        assert!(!self.ended, "ended twice");
        self.ended = true;
        Ok(())
    }
}

/// Pushes an animation to an encoder.
pub(crate) fn animate(
    encoder: &mut dyn CanvasSink,
    shape: AnimationShape,
    canvases: &[(Vec<u8>, u32)],
) {
    encoder.begin(shape).expect("begins");
    for (rgba, delay_ms) in canvases {
        let canvas = Canvas {
            rgba,
            delay_ms: *delay_ms,
        };
        let more = encoder.canvas(canvas).expect("takes canvases");
        assert!(more.is_continue());
    }
    encoder.end().expect("ends");
}

/// A profile of at least that length, with one colour tag.
pub(crate) fn profile(length: usize) -> Vec<u8> {
    let data = length.saturating_sub(144).max(4);
    let mut profile = vec![0; 144];
    profile[36..40].copy_from_slice(b"acsp");
    profile[131] = 1;
    profile[132..136].copy_from_slice(b"A2B0");
    profile[136..140].copy_from_slice(&144_u32.to_be_bytes());
    profile[140..144].copy_from_slice(&(data as u32).to_be_bytes());
    profile.extend((0..data).map(|n| (n * 7 % 251) as u8));
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}
