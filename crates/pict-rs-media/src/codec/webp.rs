//! WebP, still and animated, over libwebp.
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use crate::rows::{Row, RowSink, Shape};
use std::ops::ControlFlow;

use std::borrow::Cow;

use crate::{Control, Error, Facts, Result};

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(_source: &[u8]) -> Result<Facts> {
    Err(Error::Internal("webp is not written yet".into()))
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(_source: &'a [u8], _facts: &Facts) -> Result<Vec<Cow<'a, [u8]>>> {
    Err(Error::Internal("webp is not written yet".into()))
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(_source: &[u8]) -> Option<Cow<'_, [u8]>> {
    None
}

/// Pushes the still picture's rows (`Rgb8` or `Rgba8`); not turned, not colour managed.
pub(crate) fn decode(
    _source: &[u8],
    _facts: &Facts,
    _control: &Control,
    _sink: &mut dyn RowSink,
) -> Result<()> {
    Err(Error::Internal("webp is not written yet".into()))
}

/// Pushes the animation, one composed canvas after another; memory does not grow with the
/// number of frames.
pub(crate) fn decode_animation(
    _source: &[u8],
    _facts: &Facts,
    _control: &Control,
    _sink: &mut dyn CanvasSink,
) -> Result<()> {
    Err(Error::Internal("webp is not written yet".into()))
}

/// Receives canvases.
pub(crate) struct AnimationEncoder {}

impl AnimationEncoder {
    pub(crate) fn new(_settings: Settings) -> Self {
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

/// How a WebP is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// 0-100 on libwebp's scale; the default when unset.
    pub(crate) quality: Option<u8>,
    pub(crate) lossless: bool,
    pub(crate) fast: bool,
}

/// Receives `Gray8`, `Rgb8` or `Rgba8` rows of an sRGB picture.
pub(crate) struct Encoder {}

impl Encoder {
    pub(crate) fn new(_settings: Settings) -> Self {
        Self {}
    }

    /// The file; valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        Vec::new()
    }
}

impl RowSink for Encoder {
    fn begin(&mut self, _shape: Shape) -> Result<()> {
        Ok(())
    }
    fn row(&mut self, _row: Row<'_>) -> Result<()> {
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
