//! PNG: container walk, cleaning, row decoding, encoding; 16-bit samples are kept.
use crate::rows::{Row, RowSink, Shape};

use std::borrow::Cow;

use crate::{Control, Error, Facts, Result};

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(_source: &[u8]) -> Result<Facts> {
    Err(Error::Internal("png is not written yet".into()))
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(_source: &'a [u8], _facts: &Facts) -> Result<Vec<Cow<'a, [u8]>>> {
    Err(Error::Internal("png is not written yet".into()))
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(_source: &[u8]) -> Option<Cow<'_, [u8]>> {
    None
}

/// Pushes the picture's rows; palettes and small depths are expanded, `tRNS` becomes alpha.
/// Delivers any layout but `Cmyk8`; not turned, not colour managed.
pub(crate) fn decode(
    _source: &[u8],
    _facts: &Facts,
    _control: &Control,
    _sink: &mut dyn RowSink,
) -> Result<()> {
    Err(Error::Internal("png is not written yet".into()))
}

/// Receives rows of any layout but `Cmyk8`, sRGB.
pub(crate) struct Encoder {}

impl Encoder {
    /// `fast` trades bytes for time.
    pub(crate) fn new(_fast: bool) -> Self {
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
