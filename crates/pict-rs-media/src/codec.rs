//! One folder per codec. Each knows its container (inspect, clean) and its pixels.

pub(crate) mod exif;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;
