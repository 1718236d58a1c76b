//! The interface of AV1 encoders.

use super::boxes::Size;
use super::planes::Frame;
use crate::Result;

/// The parameters of a sequence of pictures of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) size: Size,
    /// Luma only.
    pub(crate) monochrome: bool,
    /// Whether there will be exactly one picture.
    pub(crate) single: bool,
    /// Whether samples range from 0 to 255, else from 16 to 235 or, for chroma, 240.
    pub(crate) full_range: bool,
    /// 0-100; 100 is nearly lossless.
    pub(crate) quality: u8,
}

/// One coded picture: a temporal unit.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    /// Whether decoding can start here.
    pub(crate) is_key: bool,
}

/// Encodes on the calling thread, in the order of the pictures; buffers only a few of them.
pub(crate) trait Av1: Sized {
    fn new(stream: &Stream) -> Result<Self>;

    /// Takes the next picture, and appends finished units.
    fn encode(&mut self, frame: &Frame<'_>, units: &mut Vec<Unit>) -> Result<()>;

    /// Appends the remaining units. Called once, at the end.
    fn finish(&mut self, units: &mut Vec<Unit>) -> Result<()>;
}
