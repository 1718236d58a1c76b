//! What an AV1 encoder has to do for us.

use super::boxes::Size;
use super::planes::Frame;
use crate::Result;

/// A sequence of pictures of one size, as it is to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) size: Size,
    /// Luma only.
    pub(crate) monochrome: bool,
    /// Whether there will be exactly one picture.
    pub(crate) single: bool,
    /// Whether samples go from 0 to 255, else from 16 to 235 or, of chroma, 240.
    pub(crate) full_range: bool,
    /// 0-100; 100 is nearly without loss.
    pub(crate) quality: u8,
}

/// One coded picture: a temporal unit.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    /// Whether decoding can start here.
    pub(crate) is_key: bool,
}

/// Encodes on the thread that calls, in the order of the pictures; holds a few of them at most.
pub(crate) trait Av1: Sized {
    fn new(stream: &Stream) -> Result<Self>;

    /// Takes the next picture, and appends what is finished by then.
    fn encode(&mut self, frame: &Frame<'_>, units: &mut Vec<Unit>) -> Result<()>;

    /// Appends what is still under way. Called once, at the end.
    fn finish(&mut self, units: &mut Vec<Unit>) -> Result<()>;
}
