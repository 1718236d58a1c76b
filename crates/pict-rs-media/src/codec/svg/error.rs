//! Why an SVG is refused.

use crate::{Error, Format};

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Svg, reason)
}

/// More work than any picture is worth.
pub(super) fn too_much(what: &str, found: u64, limit: u64) -> Error {
    Error::Unsupported(format!(
        "the SVG is too complex: {found} {what}, the limit is {limit}"
    ))
}
