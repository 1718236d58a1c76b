//! JPEG: container walk, cleaning, scaled row decoding, encoding, lossless turning.
use crate::rows::{Row, RowSink, Shape};

use std::borrow::Cow;

use crate::{Control, Error, Facts, Result};

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(_source: &[u8]) -> Result<Facts> {
    Err(Error::Internal("jpeg is not written yet".into()))
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(_source: &'a [u8], _facts: &Facts) -> Result<Vec<Cow<'a, [u8]>>> {
    Err(Error::Internal("jpeg is not written yet".into()))
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(_source: &[u8]) -> Option<Cow<'_, [u8]>> {
    None
}

/// Pushes the picture's rows, shrunk by `shrink` (1, 2, 4 or 8; sizes are rounded up) inside
/// the inverse DCT. Delivers `Gray8`, `Rgb8` or `Cmyk8`; not turned, not colour managed.
pub(crate) fn decode(
    _source: &[u8],
    _facts: &Facts,
    _shrink: u32,
    _control: &Control,
    _sink: &mut dyn RowSink,
) -> Result<()> {
    Err(Error::Internal("jpeg is not written yet".into()))
}

/// The same picture with its orientation applied to the DCT coefficients, without loss;
/// `None` when the sizes do not allow that. The result holds no metadata but the ICC profile.
pub(crate) fn turn(_source: &[u8], _facts: &Facts, _control: &Control) -> Result<Option<Vec<u8>>> {
    Ok(None)
}

/// Receives `Gray8` or `Rgb8` rows of an sRGB picture.
pub(crate) struct Encoder {}

impl Encoder {
    /// `quality` 0-100 on libjpeg's scale; `fast` trades bytes for time.
    pub(crate) fn new(_quality: Option<u8>, _fast: bool) -> Self {
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
