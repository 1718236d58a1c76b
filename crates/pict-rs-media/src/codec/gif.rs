//! GIF, still and animated.
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use std::ops::ControlFlow;

use std::borrow::Cow;

use crate::{Control, Error, Facts, Result};

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(_source: &[u8]) -> Result<Facts> {
    Err(Error::Internal("gif is not written yet".into()))
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(_source: &'a [u8], _facts: &Facts) -> Result<Vec<Cow<'a, [u8]>>> {
    Err(Error::Internal("gif is not written yet".into()))
}

/// Pushes the animation, one composed canvas after another; memory does not grow with the
/// number of frames.
pub(crate) fn decode_animation(
    _source: &[u8],
    _facts: &Facts,
    _control: &Control,
    _sink: &mut dyn CanvasSink,
) -> Result<()> {
    Err(Error::Internal("gif is not written yet".into()))
}

/// Receives canvases.
pub(crate) struct AnimationEncoder {}

impl AnimationEncoder {
    /// `fast` trades palette quality for time.
    pub(crate) fn new(_fast: bool) -> Self {
        Self {}
    }

    /// The file; valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        Vec::new()
    }
}

impl CanvasSink for AnimationEncoder {
    fn begin(&mut self, _shape: AnimationShape) -> Result<()> {
        Ok(())
    }
    fn canvas(&mut self, _canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
