//! The boxes of MP4 and QuickTime, with errors of clips.

use crate::codec::bmff::{self, BoxRef, Broken};
use crate::{Error, Format, Result};

/// The boxes in `within`, in order. Ends at the first broken one.
pub(super) fn boxes(within: &[u8]) -> impl Iterator<Item = Result<BoxRef<'_>>> {
    bmff::boxes_in(within)
        .filter(|found| !matches!(found, Err(Broken::Rest)))
        .map(|found| found.map_err(broken))
}

/// The first box of this kind.
pub(super) fn find<'a>(within: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [u8]>> {
    for found in boxes(within) {
        let found = found?;
        if found.kind == *kind {
            return Ok(Some(found.body));
        }
    }
    Ok(None)
}

/// The first box of this kind, which must exist.
pub(super) fn need<'a>(within: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8]> {
    find(within, kind)?.ok_or_else(|| broken(format!("it has no {}", kind.escape_ascii())))
}

/// The error for an invalid file.
pub(super) fn broken(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Mp4, reason)
}
