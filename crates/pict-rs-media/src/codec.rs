//! One folder per codec. Each handles its container (inspect, clean) and its pixels.
//!
//! A codec is a [`Codec`], a constant in the root of its folder, which is listed in [`ALL`]. The
//! rest of the engine finds it there, by a file ([`of_file`]) or by a format ([`of`]).

pub(crate) mod aperture;
pub(crate) mod avif;
pub(crate) mod bits;
pub(crate) mod blend;
pub(crate) mod bmff;
pub(crate) mod coding;
pub(crate) mod converted;
pub(crate) mod difference;
pub(crate) mod exif;
pub(crate) mod gif;
pub(crate) mod heif;
pub(crate) mod icc;
pub(crate) mod interface;
pub(crate) mod iptc;
pub(crate) mod jpeg;
pub(crate) mod jxl;
pub(crate) mod panics;
pub(crate) mod partial;
pub(crate) mod pieces;
pub(crate) mod png;
pub(crate) mod svg;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod video;
pub(crate) mod webp;
pub(crate) mod xmp;

use crate::Format;
use interface::Codec;

/// All codecs, in the order in which they check a file. Containers of pictures (HEIF, AVIF) come
/// before those of clips, which begin in the same way, and text (SVG) comes last.
const ALL: [&Codec; 14] = [
    &jpeg::CODEC,
    &png::CODEC,
    &gif::CODEC,
    &webp::CODEC,
    &jxl::CODEC,
    &heif::CODEC,
    &avif::CODEC,
    &video::CODEC,
    &converted::TIFF,
    &converted::QOI,
    &converted::PNM,
    &converted::BMP,
    &converted::ICO,
    &svg::CODEC,
];

/// The codec of a file, detected by its first bytes.
pub(crate) fn of_file(source: &[u8]) -> Option<&'static Codec> {
    ALL.into_iter().find(|codec| (codec.detect)(source))
}

/// The codec of a format.
pub(crate) fn of(format: Format) -> &'static Codec {
    ALL.into_iter()
        .find(|codec| codec.formats.contains(&format))
        .unwrap_or(&Codec::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_codec() {
        for format in Format::all() {
            let codecs = ALL.iter().filter(|codec| codec.formats.contains(&format));
            assert_eq!(codecs.count(), 1, "{format}");
        }
    }

    #[test]
    fn what_is_kept_can_be_cleaned() {
        use crate::Kind;
        for format in Format::all().filter(|format| format.kind() != Kind::Video) {
            assert_eq!(of(format).clean.is_some(), format.is_kept(), "{format}");
        }
    }
}
