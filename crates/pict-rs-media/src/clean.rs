//! Drops metadata without re-encoding: keeps what a decoder needs, loses the rest.

use std::borrow::Cow;

use crate::{Control, Error, Facts, Format, Result, codec};

/// A file without metadata, as pieces to be written one after another. Most of them borrow
/// from the source, so that nothing is held in memory twice.
#[derive(Debug)]
pub struct Cleaned<'a> {
    /// The pieces, in order.
    pub pieces: Vec<Cow<'a, [u8]>>,
    /// The facts of the cleaned file; its orientation is always normal.
    pub facts: Facts,
}

/// Drops all metadata but the ICC profile. Pixels stay bit for bit what they were unless the
/// orientation has to be applied and the codec cannot do that without loss.
///
/// # Errors
/// [`Error::Corrupt`] when the container breaks its own rules.
pub fn clean<'a>(source: &'a [u8], facts: &Facts, _control: &Control) -> Result<Cleaned<'a>> {
    let pieces = match facts.format {
        Format::Jpeg => codec::jpeg::clean(source, facts)?,
        Format::Png => codec::png::clean(source, facts)?,
        Format::Gif => codec::gif::clean(source, facts)?,
        Format::Webp | Format::WebpAnimation => codec::webp::clean(source, facts)?,
        other => {
            return Err(Error::Unsupported(format!(
                "{other} cannot be cleaned by this build"
            )));
        }
    };
    Ok(Cleaned {
        pieces,
        facts: facts.clone(),
    })
}

/// An upper estimate, in bytes, of the memory that [`clean()`] needs beside the source.
pub fn clean_memory(_facts: &Facts) -> u64 {
    0
}
