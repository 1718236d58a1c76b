//! Animations: each canvas passes through the same stages as a still picture, one at a time, so
//! memory does not grow with the number of frames.

use std::{cell::Cell, ops::ControlFlow};

use crate::{
    Error, Result,
    rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape},
};

/// State shared by both ends of the stages.
pub(crate) struct Link {
    pub(crate) shape: Cell<AnimationShape>,
    pub(crate) delay_ms: Cell<u32>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            shape: Cell::new(AnimationShape {
                width: 0,
                height: 0,
                loop_count: 1,
                has_alpha: true,
            }),
            delay_ms: Cell::new(0),
        }
    }
}

/// Receives canvases from a decoder and pushes their rows into the stages.
pub(crate) struct Unroll<'a, N> {
    link: &'a Link,
    next: N,
    /// Whether to stop after the first canvas.
    first_only: bool,
    has_shown: bool,
    rgb: Vec<u8>,
}

impl<'a, N: RowSink> Unroll<'a, N> {
    pub(crate) fn new(link: &'a Link, first_only: bool, next: N) -> Self {
        Self {
            link,
            next,
            first_only,
            has_shown: false,
            rgb: Vec::new(),
        }
    }

    /// Whether a whole canvas has passed.
    pub(crate) fn has_shown(&self) -> bool {
        self.has_shown
    }
}

impl<N: RowSink> CanvasSink for Unroll<'_, N> {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        self.link.shape.set(shape);
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        let AnimationShape {
            width,
            height,
            has_alpha,
            ..
        } = self.link.shape.get();
        self.link.delay_ms.set(canvas.delay_ms);
        self.next.begin(Shape {
            width,
            height,
            layout: if has_alpha {
                Layout::Rgba8
            } else {
                Layout::Rgb8
            },
        })?;
        let row_len = width as usize * 4;
        for row in canvas.rgba.chunks_exact(row_len).take(height as usize) {
            if has_alpha {
                self.next.row(Row::U8(row))?;
            } else {
                self.rgb.clear();
                self.rgb
                    .extend(row.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]));
                self.next.row(Row::U8(&self.rgb))?;
            }
        }
        self.next.end()?;
        self.has_shown = true;
        Ok(if self.first_only {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Assembles the rows that come out of the stages to canvases for an encoder. A canvas equal to the
/// previous one only prolongs it.
pub(crate) struct Assemble<'a, E> {
    link: &'a Link,
    encoder: E,
    begun: bool,
    canvas: Vec<u8>,
    layout: Layout,
    /// A finished canvas whose delay may still grow.
    waiting: Option<(Vec<u8>, u32)>,
    spare: Vec<u8>,
}

/// Merged delays are at most ten minutes: GIF can represent no more than eleven.
const LONGEST_DELAY_MS: u32 = 600_000;

impl<'a, E: CanvasSink> Assemble<'a, E> {
    pub(crate) fn new(link: &'a Link, encoder: E) -> Self {
        Self {
            link,
            encoder,
            begun: false,
            canvas: Vec::new(),
            layout: Layout::Rgba8,
            waiting: None,
            spare: Vec::new(),
        }
    }

    /// Passes on the waiting canvas and returns the encoder. Called once, after the last picture.
    pub(crate) fn finish(mut self) -> Result<E> {
        self.release()?;
        if !self.begun {
            return Err(Error::Internal("an animation without a canvas".into()));
        }
        self.encoder.end()?;
        Ok(self.encoder)
    }

    fn release(&mut self) -> Result<()> {
        if let Some((rgba, delay_ms)) = self.waiting.take() {
            // An encoder never stops early.
            let _ = self.encoder.canvas(Canvas {
                rgba: &rgba,
                delay_ms,
            })?;
            self.spare = rgba;
        }
        Ok(())
    }
}

impl<E: CanvasSink> RowSink for Assemble<'_, E> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        if !self.begun {
            self.encoder.begin(AnimationShape {
                width: shape.width,
                height: shape.height,
                has_alpha: shape.layout.has_alpha(),
                ..self.link.shape.get()
            })?;
            self.begun = true;
        }
        self.layout = shape.layout;
        self.canvas = std::mem::take(&mut self.spare);
        self.canvas.clear();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let Row::U8(row) = row else {
            return Err(Error::Internal("a canvas with 16 bits".into()));
        };
        match self.layout {
            Layout::Rgba8 => self.canvas.extend_from_slice(row),
            Layout::Rgb8 => self
                .canvas
                .extend(row.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255])),
            Layout::Gray8 => self.canvas.extend(row.iter().flat_map(|&v| [v, v, v, 255])),
            _ => return Err(Error::Internal("a canvas of another layout".into())),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let delay = self.link.delay_ms.get();
        let canvas = std::mem::take(&mut self.canvas);
        if let Some((waiting, total)) = &mut self.waiting
            && *waiting == canvas
            && let Some(sum) = total.checked_add(delay)
            && sum <= LONGEST_DELAY_MS
        {
            *total = sum;
            self.spare = canvas;
            return Ok(());
        }
        self.release()?;
        self.waiting = Some((canvas, delay));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::Film;

    fn run(canvases: &[([u8; 4], u32)], has_alpha: bool) -> Film {
        let link = Link::new();
        let mut out = Assemble::new(&link, Film::default());
        let mut unroll = Unroll::new(&link, false, &mut out);
        let shape = AnimationShape {
            width: 1,
            height: 1,
            loop_count: 3,
            has_alpha,
        };
        unroll.begin(shape).expect("begins");
        for (rgba, delay_ms) in canvases {
            let canvas = Canvas {
                rgba,
                delay_ms: *delay_ms,
            };
            assert!(unroll.canvas(canvas).expect("takes it").is_continue());
        }
        unroll.end().expect("ends");
        out.finish().expect("has a canvas")
    }

    #[test]
    fn equal_canvases_are_shown_longer_instead_of_twice() {
        let (red, blue) = ([255, 0, 0, 255], [0, 0, 255, 255]);
        let out = run(&[(red, 10), (red, 20), (blue, 5), (red, 1)], false);
        let found: Vec<_> = out.canvases.iter().map(|(p, d)| (p[0], *d)).collect();
        assert_eq!(found, [(255, 30), (0, 5), (255, 1)]);
        assert!(out.ended);
        let shape = out.shape.expect("begun");
        assert_eq!((shape.loop_count, shape.has_alpha), (3, false));
    }

    #[test]
    fn delays_are_not_added_up_without_end() {
        let red = [255, 0, 0, 9];
        let out = run(&[(red, 400_000), (red, 400_000), (red, u32::MAX)], true);
        let delays: Vec<_> = out.canvases.iter().map(|(_, delay)| *delay).collect();
        assert_eq!(delays, [400_000, 400_000, u32::MAX]);
        assert_eq!(out.canvases[0].0, red);
    }
}
