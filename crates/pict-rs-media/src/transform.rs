//! Makes a variant: decode, operations in order, encode.

use crate::{Control, Error, Facts, OutputFormat, Result, operation::Operation};

/// How hard the engine tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speed {
    /// Full quality; the default.
    #[default]
    Quality,
    /// Less CPU, at some cost of sharpness and bytes.
    Fast,
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The format; an animated source stays animated where the format can do that.
    pub format: OutputFormat,
    /// 0-100; each codec's default when unset.
    pub quality: Option<u8>,
    /// How hard to try.
    pub speed: Speed,
}

/// A finished variant.
#[derive(Debug)]
pub struct Transformed {
    /// The encoded file.
    pub bytes: Vec<u8>,
    /// Its facts, known from making it.
    pub facts: Facts,
}

/// Applies `operations` in order and encodes the result. Orientation is applied, colours are
/// converted to sRGB, metadata is left behind.
///
/// # Errors
/// [`Error::Corrupt`] when pixels cannot be decoded, [`Error::Unsupported`] when this build
/// cannot write the format, [`Error::Cancelled`] through `control`.
pub fn transform(
    _source: &[u8],
    _facts: &Facts,
    _operations: &[Operation],
    _output: &Output,
    _control: &Control,
) -> Result<Transformed> {
    Err(Error::Internal("not written yet".into()))
}

/// An upper estimate, in bytes, of the memory that [`transform()`] needs beside the source.
pub fn predicted_memory(facts: &Facts, _operations: &[Operation], _output: &Output) -> u64 {
    u64::from(facts.stored_width) * u64::from(facts.stored_height) * 4
}
