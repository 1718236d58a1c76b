//! SVG: rendered once at its own size, never kept.
//!
//! Nothing outside the file is ever accessed: no other file, no URL, no font. Scripts, animations,
//! text and embedded pictures are ignored. Checks limit the work in advance: [`document`] checks
//! the XML (size, elements, nesting, what `use` multiplies) and [`styles`] its style sheets before
//! it is converted to shapes; [`cost`] checks the shapes (layers, filters, number of pixels
//! touched) and [`outline`] their edges before they are drawn. All of that needs the feature `svg`;
//! only detection, [`start`], does not.

#[cfg(feature = "svg")]
mod cost;
#[cfg(feature = "svg")]
mod document;
#[cfg(feature = "svg")]
mod draw;
#[cfg(feature = "svg")]
mod error;
mod layers;
#[cfg(feature = "svg")]
mod outline;
mod start;
#[cfg(feature = "svg")]
mod styles;
#[cfg(all(test, feature = "svg"))]
mod tests;

use crate::Format;
use crate::codec::interface::Codec;

pub(crate) use start::is_one;

#[cfg(feature = "svg")]
use draw::{decode, inspect};
#[cfg(not(feature = "svg"))]
use without_drawing::{decode, inspect};

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Svg],
    detect: is_one,
    inspect,
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    // Layers up to a limit, and the converted document.
    memory: |facts| (facts.pixels() + layers::most(facts.pixels())) * 4 + (64 << 20),
    ..Codec::NONE
};

/// Maximum size of a file in bytes.
const MAX_BYTES: usize = 4 << 20;

#[cfg(not(feature = "svg"))]
mod without_drawing {
    use crate::{Control, Error, Facts, Result, limits::Bounds, rows::RowSink};

    fn refused() -> Error {
        Error::Unsupported(
            "SVG files cannot be drawn by this build of the server, which was made without the \
             feature svg; build with the feature svg"
                .into(),
        )
    }

    pub(crate) fn inspect(_source: &[u8], _bounds: &Bounds, _control: &Control) -> Result<Facts> {
        Err(refused())
    }

    pub(crate) fn decode(
        _source: &[u8],
        _facts: &Facts,
        _control: &Control,
        _sink: &mut dyn RowSink,
    ) -> Result<()> {
        Err(refused())
    }
}
