//! HEIF with HEVC pictures, as taken by phones; read, never written.
//!
//! The `heic` crate parses the container and decodes HEVC. A container may have many items (bursts,
//! the film of a Live Photo, depth, gain map, thumbnail); only the primary picture is used. It is
//! assembled here, tile by tile, so that a photograph is never in memory as a whole: [`picture`]
//! finds its parts, [`tiles`] decodes them, [`mod@decode`] converts them to rows, [`sps`] reads
//! their size in advance. HEVC is patented in some countries, so all of this needs the feature
//! `heic`. Start reading at [`inspect`].

#[cfg(feature = "heic")]
mod decode;
#[cfg(feature = "heic")]
mod error;
#[cfg(feature = "heic")]
mod picture;
#[cfg(feature = "heic")]
mod size;
#[cfg(feature = "heic")]
mod sps;
#[cfg(all(test, feature = "heic"))]
mod tests;
#[cfg(feature = "heic")]
mod tiles;

use crate::Format;
use crate::codec::coding::{Coding, coding};
use crate::codec::interface::Codec;

#[cfg(feature = "heic")]
use decode::decode;

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Heif],
    detect: |source| source.get(4..8) == Some(b"ftyp") && coding(source) == Some(Coding::Hevc),
    inspect: |source, _, control| inspect(source, control),
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    colours: |source, _, control| colours(source, control),
    // Planes of 16 bits for a row of tiles, or for a whole picture.
    memory: |facts| {
        let pixels = if facts.buffered {
            DECODER + facts.pixel_bytes()
        } else {
            3
        };
        facts.pixels() * pixels + facts.row_bytes() * 64 + TABLES
    },
    ..Codec::NONE
};

/// Bytes per pixel inside an HEVC decoder: its planes. Measured for a single picture: 7.
const DECODER: u64 = 8;
/// What it needs for a picture of any size. Measured: 4.3 MB including everything around it.
const TABLES: u64 = 4 << 20;

/// Whether it contains a picture, and not only a film.
pub(crate) fn is_still(source: &[u8]) -> bool {
    super::coding::has_items(source)
}

#[cfg(feature = "heic")]
use with_hevc::{colours, inspect};
#[cfg(not(feature = "heic"))]
use without_hevc::{colours, decode, inspect};

#[cfg(feature = "heic")]
mod with_hevc {
    use std::borrow::Cow;

    use heic::heif::{ColorInfo, ItemProperty};

    use super::{decode::shape, picture::Picture};
    use crate::colour::{Code, Colours, profile_fits};
    use crate::{ColourModel, Control, Facts, Format, Result};

    /// Facts from the container and the headers of its pictures. Rotations are reported (EXIF is
    /// ignored, because the container repeats it), crops are applied: the size is that of the
    /// visible part.
    pub(crate) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
        let picture = Picture::open(source, control)?;
        let shape = shape(&picture);
        Ok(Facts {
            format: Format::Heif,
            stored_width: shape.width,
            stored_height: shape.height,
            orientation: picture.orientation,
            frames: 1,
            duration_ms: None,
            has_alpha: shape.layout.has_alpha(),
            bits: if shape.layout.is_16_bit() { 16 } else { 8 },
            colour: ColourModel::Rgb,
            buffered: picture.is_buffered(),
            lossless: false,
            decoder_tables: 0,
        })
    }

    /// The colours of the primary picture according to the container.
    pub(crate) fn colours<'a>(source: &'a [u8], control: &Control) -> Colours<'a> {
        let Ok(picture) = Picture::open(source, control) else {
            return Colours::Srgb;
        };
        let icc = picture.properties().find_map(|property| match property {
            ItemProperty::ColorInfo(ColorInfo::IccProfile(icc)) => Some(Cow::Owned(icc.clone())),
            _ => None,
        });
        let code = picture.properties().find_map(|property| match property {
            ItemProperty::ColorInfo(ColorInfo::Nclx {
                color_primaries,
                transfer_characteristics,
                ..
            }) => {
                let primaries = u8::try_from(*color_primaries).ok()?;
                Some((primaries, u8::try_from(*transfer_characteristics).ok()?))
            }
            _ => None,
        });
        // The decoded picture is never gray.
        let icc = icc.filter(|icc| profile_fits(icc, ColourModel::Rgb));
        Colours::told(icc, code.map(Code::from))
    }
}

#[cfg(not(feature = "heic"))]
mod without_hevc {
    use crate::{Control, Error, Facts, Result, colour::Colours, rows::RowSink};

    fn refused() -> Error {
        Error::Unsupported(
            "HEIF files with HEVC pictures cannot be read by this build of the server, which was \
             made without the feature heic"
                .into(),
        )
    }

    pub(crate) fn inspect(_source: &[u8], _control: &Control) -> Result<Facts> {
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

    pub(crate) fn colours<'a>(_source: &'a [u8], _control: &Control) -> Colours<'a> {
        Colours::Srgb
    }
}
