//! One folder per codec. Each knows its container (inspect, clean) and its pixels.

pub(crate) mod aperture;
pub(crate) mod avif;
pub(crate) mod blend;
pub(crate) mod bmff;
pub(crate) mod coding;
pub(crate) mod converted;
pub(crate) mod difference;
pub(crate) mod exif;
pub(crate) mod gif;
pub(crate) mod heif;
pub(crate) mod icc;
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
