//! Errors of SVG.

use crate::{Error, Format};

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Svg, reason)
}

/// The error when a picture needs too much work.
pub(super) fn too_much(what: &str, found: u64, limit: u64) -> Error {
    Error::Unsupported(format!(
        "the SVG is too complex: {found} {what}, the limit is {limit}"
    ))
}
