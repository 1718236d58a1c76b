//! One frame of an animation as a still.

use std::ops::ControlFlow;

use crate::{
    Error, Facts, Result,
    rows::{AnimationShape, Canvas, CanvasSink, RowSink},
    transform::frames::{Link, Unroll},
};

/// Pushes the frame with this number, counted from 1, into `sink`. `decode` pushes canvases.
///
/// # Errors
/// [`Error::Unsupported`] when there is no such frame, or the animation is damaged before it.
pub(super) fn push(
    frame: u32,
    sink: &mut dyn RowSink,
    facts: &Facts,
    decode: impl FnOnce(&mut dyn CanvasSink) -> Result<()>,
) -> Result<()> {
    if frame == 0 || frame > facts.frames {
        return Err(missing(frame, facts.frames));
    }
    let link = Link::new();
    let mut nth = Nth {
        frame,
        passed: 0,
        next: Unroll::new(&link, true, sink),
    };
    match decode(&mut nth) {
        // Playback ends before the first damaged frame.
        Ok(()) | Err(Error::Corrupt { .. }) if nth.passed > 0 && !nth.next.has_shown() => {
            Err(missing(frame, nth.passed))
        }
        outcome => outcome,
    }
}

fn missing(frame: u32, found: u32) -> Error {
    Error::Unsupported(format!(
        "frame={frame} is beyond the last frame that can be shown, which is {found}"
    ))
}

/// Passes on a single canvas.
struct Nth<'a, N> {
    frame: u32,
    passed: u32,
    next: Unroll<'a, N>,
}

impl<N: RowSink> CanvasSink for Nth<'_, N> {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        self.next.begin(shape)
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        if self.passed + 1 == self.frame {
            return self.next.canvas(canvas);
        }
        self.passed += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}
