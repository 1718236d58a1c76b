//! A small look at a picture: proves that its pixels decode, and gives the blurhash.

use crate::{Control, Error, Facts, Result};

/// Decodes the picture (an animation's first frame) far enough to know that it is whole, and
/// gives its blurhash.
///
/// # Errors
/// [`Error::Corrupt`] when pixels cannot be decoded.
pub fn blurhash(_source: &[u8], _facts: &Facts, _control: &Control) -> Result<String> {
    Err(Error::Internal("not written yet".into()))
}

/// An upper estimate, in bytes, of the memory that [`blurhash`] needs beside the source.
pub fn preview_memory(_facts: &Facts) -> u64 {
    0
}
